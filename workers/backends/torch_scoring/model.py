"""A model that scores, embeds or judges texts, loaded from a local folder: encoded texts in, values out."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils import logging as transformers_logging

from workers.backends.torch_scoring.encoding import Encoded, Encoder
from workers.backends.torch_scoring.labels import entailment_columns
from workers.backends.torch_scoring.pooling import Pooling, stated_pooling
from workers.wire.messages import JobKind

_NO_LIMIT = 10**9
"""transformers writes 1e30 where a tokenizer states no longest text."""

Head = Callable[[Any, torch.Tensor], torch.Tensor]
"""Values `[rows, values]` in float32 from the network's output and the mask `[rows, tokens]`."""


@dataclass(frozen=True, slots=True)
class Scorer:
    """A network with its tokenizer. `most_rows`: rows of one pass at most (None: as many as there is room for)."""

    network: Any
    encoder: Encoder
    head: Head
    device: torch.device
    pad_id: int
    most_rows: int | None

    def values(self, texts: Sequence[Encoded]) -> list[list[float]]:
        """Each text's values, in one forward pass. What a text gets does not depend on the others, up to rounding."""
        longest = max(len(text.ids) for text in texts)
        # Padding stands on the right: what a model that reads from left to right says of a text comes before it.
        rows = {
            "input_ids": [text.ids + [self.pad_id] * (longest - len(text.ids)) for text in texts],
            "attention_mask": [[1] * len(text.ids) + [0] * (longest - len(text.ids)) for text in texts],
        }
        if self.encoder.segments:
            rows["token_type_ids"] = [(text.segments or []) + [0] * (longest - len(text.ids)) for text in texts]
        inputs = {name: torch.tensor(filled, device=self.device) for name, filled in rows.items()}
        found: list[list[float]] = self.head(self.network(**inputs), inputs["attention_mask"]).tolist()
        return found


def load(kind: JobKind, folder: Path, device: str) -> Scorer:
    """Loads a model folder: nothing is downloaded, no code in the folder runs, and weights are safetensors only.

    `device` "auto" is the first GPU if there is one. float32 on a CPU, on a GPU the type that the folder states. Raises
    FileNotFoundError where there is no such folder, ValueError where its model cannot do what `kind` asks (its labels
    or its pooling are others, weights are missing), and what transformers raises where it holds no model.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no model folder at {folder}")
    transformers_logging.disable_progress_bar()
    name = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    place = torch.device(name)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    pooling = stated_pooling(folder) if kind == "embed" else Pooling()
    network = _network(kind, folder, place)
    config = network.config.get_text_config()
    config.use_cache = False
    # Some folders state no padding as -1.
    pad_id = config.pad_token_id if (config.pad_token_id or 0) >= 0 else None
    # RoBERTa's network takes them but knows one segment only; it is the tokenizer that says whether they are meant.
    taken = inspect.signature(network.forward).parameters.keys() & set(tokenizer.model_input_names)
    return Scorer(
        network=network,
        encoder=Encoder(
            tokenizer, _context(network, tokenizer, pooling.max_tokens), segments="token_type_ids" in taken
        ),
        head=_head(kind, network.config, pooling),
        device=place,
        pad_id=pad_id or 0,
        # A classifier finds a row's last token by the padding's id: without one it can read a single row at a time.
        most_rows=1 if pad_id is None and kind != "embed" else None,
    )


def _network(kind: JobKind, folder: Path, place: torch.device) -> Any:
    """The network, of which every weight that counts comes from the folder."""
    factory = AutoModel if kind == "embed" else AutoModelForSequenceClassification
    network, report = factory.from_pretrained(
        folder,
        dtype=torch.float32 if place.type == "cpu" else "auto",
        use_safetensors=True,
        local_files_only=True,
        trust_remote_code=False,
        output_loading_info=True,
    )
    # transformers fills what is missing with random numbers. The pooler's output is not used by any pooling here.
    missing = sorted(key for key in report["missing_keys"] if not (kind == "embed" and "pooler" in key))
    if missing:
        raise ValueError(f"the folder holds no model for {kind}: it lacks {', '.join(missing[:3])}")
    if kind == "embed" and network.config.is_encoder_decoder:
        raise ValueError("embed serves models with one stack of layers; this one has an encoder and a decoder")
    return network.to(place).eval()


def _context(network: Any, tokenizer: Any, stated: int | None) -> int | None:
    """The longest text in tokens, special ones included: the least of what model, tokenizer and folder state."""
    positions = getattr(network.config.get_text_config(), "max_position_embeddings", None)
    if positions is not None:
        # RoBERTa and its kin count positions from behind the padding's own.
        for name, module in network.named_modules():
            if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
                positions -= module.padding_idx + 1
                break
    limits = [limit for limit in (positions, tokenizer.model_max_length, stated) if limit is not None and limit > 0]
    least = min(limits, default=_NO_LIMIT)
    return int(least) if least < _NO_LIMIT else None


def _head(kind: JobKind, config: Any, pooling: Pooling) -> Head:
    """How the values of `kind` are read off the network's output."""
    if kind == "embed":
        return lambda output, mask: pooling(output.last_hidden_state.float(), mask)
    if kind == "entail":
        columns = entailment_columns(config.id2label)
        return lambda output, mask: _probabilities(output.logits.float(), columns)
    if config.num_labels not in (1, 2):
        raise ValueError(f"a reward model has one label or two, this one has {config.num_labels}")
    return lambda output, mask: _score(output.logits.float())


def _score(logits: torch.Tensor) -> torch.Tensor:
    """The only logit; of two labels (0 bad, 1 good) the log-odds of the good one, which is their difference."""
    return logits if logits.shape[1] == 1 else logits[:, 1:] - logits[:, :1]


def _probabilities(logits: torch.Tensor, columns: tuple[int, int | None, int]) -> torch.Tensor:
    """Entailment, neutral (0 where the model has none), contradiction `[rows, 3]`; each row sums to 1."""
    found = logits.softmax(dim=-1)
    entailment, neutral, contradiction = columns
    middle = torch.zeros_like(found[:, 0]) if neutral is None else found[:, neutral]
    return torch.stack((found[:, entailment], middle, found[:, contradiction]), dim=1)
