"""A causal language model and its tokenizer, loaded from a local folder: messages to token ids, token ids to text."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from workers.backends import chat_form
from workers.backends.torch_local import attention
from workers.backends.torch_local.memory import CacheShape
from workers.backends.torch_local.passes import Decoding, Reading
from workers.wire.messages import Message

_TRIAL = (5, 3)
"""Tokens that the check at loading reads and then decodes."""

_TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.05, torch.float16: 0.02}
"""By how much, as a share of the largest logit, the engine's logits may differ from transformers' own."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """What the decode loop needs of a model. `max_positions` None: the model states no limit."""

    network: Any
    tokenizer: Any
    device: torch.device
    ends: frozenset[int]
    vocabulary: int
    max_positions: int | None
    cache: CacheShape

    def prompt_ids(self, messages: Sequence[Message], prefix: str = "") -> list[int]:
        """The prompt in the model's chat form, and how the reply begins.

        Without a chat template: the contents with a line feed between.
        """
        return chat_form.prompt_ids(self.tokenizer, messages, prefix)

    def space_after(self, prefix: str) -> str:
        """The space to read along behind how a reply begins, "" or " "."""
        return chat_form.space_after(self.tokenizer, prefix)

    def ids(self, text: str) -> list[int]:
        """A text's tokens, with nothing put before or behind; special tokens in it are broken up."""
        return chat_form.ids(self.tokenizer, chat_form.disarmed(self.tokenizer, text))

    def forward(
        self, ids: torch.Tensor, positions: torch.Tensor, step: attention.Pass, keep: int | torch.Tensor = 1
    ) -> torch.Tensor:
        """Runs the model on `ids` `[rows, tokens]` at `positions`; the float32 logits of the last `keep` tokens.

        A tensor as `keep` names the places whose logits are wanted. `[rows, places, vocabulary]`.
        """
        logits: torch.Tensor = self.network(
            input_ids=ids, position_ids=positions, use_cache=False, logits_to_keep=keep, step=step
        ).logits
        return logits.float()

    def probe(self) -> bool:
        """One real forward pass over one token; True if its logits are numbers."""
        ids = torch.zeros((1, 1), dtype=torch.long, device=self.device)
        logits = self.forward(ids, ids, Reading.of(self.cache, rows=1, tokens=1))
        return bool(torch.isfinite(logits.logsumexp(dim=-1)).all())

    def text(self, ids: Iterable[int]) -> str:
        """The ids as text, without special tokens and otherwise exactly as the tokenizer has it."""
        decoded: str = self.tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return decoded


def load(folder: Path, device: str) -> LoadedModel:
    """Loads a model folder: nothing is downloaded, no code in the folder runs, and weights are safetensors only.

    `device` "auto" is the first GPU if there is one. bfloat16 on a GPU, float32 on a CPU. Raises FileNotFoundError
    where there is no such folder, what transformers raises where it holds no model, and ValueError for a model that
    the engine does not compute as transformers does.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no model folder at {folder}")
    transformers_logging.disable_progress_bar()
    name = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    place = torch.device(name)
    local: dict[str, bool] = {"local_files_only": True, "trust_remote_code": False}
    tokenizer = AutoTokenizer.from_pretrained(folder, **local)
    dtype = torch.float32 if place.type == "cpu" else torch.bfloat16
    network = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, use_safetensors=True, **local).to(place).eval()
    return adopt(network, tokenizer)


def adopt(network: Any, tokenizer: Any) -> LoadedModel:
    """Makes a transformers model ready for the engine, and checks that the engine computes what transformers does."""
    device = next(network.parameters()).device
    vocabulary = network.get_output_embeddings().weight.shape[0]
    ids = torch.arange(1, 1 + sum(_TRIAL), device=device).remainder(vocabulary).unsqueeze(0)
    with torch.inference_mode():
        expected = network(input_ids=ids, use_cache=False).logits[0, -1].float()
        network.set_attn_implementation(attention.NAME)
        model = LoadedModel(
            network=network,
            tokenizer=tokenizer,
            device=device,
            ends=_ends(network, tokenizer),
            vocabulary=vocabulary,
            max_positions=_positions(network.config.get_text_config()),
            cache=_cache_shape(network, ids),
        )
        found = _trial(model, ids)
    # Also False where either is no number.
    close = bool((found - expected).abs().amax() <= _TOLERANCE[network.dtype] * expected.abs().amax().clamp(min=1))
    if not close:
        raise ValueError(
            f"{type(network).__name__}: the engine's logits are not transformers' own; serve it by another backend"
        )
    return model


def _trial(model: LoadedModel, ids: torch.Tensor) -> torch.Tensor:
    """The last logits when a part of `ids` is read as a prompt and the rest decoded, one by one, in two rows."""
    read, _ = _TRIAL
    reading = Reading.of(model.cache, rows=1, tokens=read)
    model.forward(ids[:, :read], torch.arange(read, device=model.device).unsqueeze(0), reading)
    decoding = Decoding.trial(model.cache, reading.store, read, rows=2)
    logits = torch.empty(0)
    for place in range(read, ids.shape[1]):
        column = ids[:, place : place + 1].expand(2, 1)
        logits = model.forward(column, torch.full((2, 1), place, device=model.device), decoding.begin())
        decoding.end()
    return logits[1, -1]


class _Probe:
    """A pass that only notes the widths of keys and values."""

    def __init__(self) -> None:
        self.seen: list[tuple[torch.Size, torch.Size]] = []

    def attend(
        self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float
    ) -> torch.Tensor:
        self.seen.append((key.shape, value.shape))
        return attention.causal(query, key, value, None, scale).transpose(1, 2)


def _cache_shape(network: Any, ids: torch.Tensor) -> CacheShape:
    probe = _Probe()
    network(input_ids=ids, use_cache=False, step=probe)
    if not probe.seen or len(set(probe.seen)) > 1:
        raise ValueError(
            f"{type(network).__name__}: its layers do not all attend alike, as this engine needs; "
            "serve this model by another backend"
        )
    key, value = probe.seen[0]
    return CacheShape(len(probe.seen), key[1], key[3], value[3], network.dtype, ids.device)


def _positions(config: Any) -> int | None:
    """Tokens that prompt and completion may have; a model with a sliding window is served within its window."""
    limits = [getattr(config, "max_position_embeddings", None)]
    if getattr(config, "use_sliding_window", True):
        limits.append(getattr(config, "sliding_window", None))
    return min((limit for limit in limits if limit), default=None)


def _ends(network: Any, tokenizer: Any) -> frozenset[int]:
    """Every token id that ends a completion, as the generation config, the model config and the tokenizer name them."""
    found: set[int] = set()
    for stated in (network.generation_config.eos_token_id, network.config.eos_token_id, tokenizer.eos_token_id):
        if stated is not None:
            found.update([stated] if isinstance(stated, int) else stated)
    return frozenset(found)
