"""A causal language model and its tokenizer, loaded from a local folder: messages to token ids, token ids to text."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jinja2 import TemplateError
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.cache_utils import Cache, DynamicCache
from transformers.utils import logging as transformers_logging

from workers.backends.base import BackendError
from workers.wire.messages import FailureKind, Message


@dataclass(frozen=True, slots=True)
class Prefix:
    """A prompt that has been read: its cache (one row), the logits of the next token `[1, vocabulary]`, its length."""

    cache: DynamicCache
    logits: torch.Tensor
    tokens: int


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """What the decode loop needs of a model. `max_positions` None: the model states no limit."""

    network: Any
    tokenizer: Any
    device: torch.device
    ends: frozenset[int]
    vocabulary: int
    max_positions: int | None

    def prompt_ids(self, messages: Sequence[Message]) -> list[int]:
        """The prompt in the model's chat form; without a chat template, the contents with a line feed between."""
        if self.tokenizer.chat_template is None:
            return list(self.tokenizer("\n".join(each.content for each in messages))["input_ids"])
        turns = [{"role": each.role, "content": self._disarmed(each.content)} for each in messages]
        try:
            text = self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        except TemplateError as error:
            raise BackendError(FailureKind.UNSUPPORTED, "the chat template refuses these roles") from error
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _disarmed(self, content: str) -> str:
        """The content with the tokenizer's special tokens broken up: text never opens or ends a turn."""
        for token in self.tokenizer.all_special_tokens:
            content = content.replace(token, f"{token[0]} {token[1:]}")
        return content

    def read(self, ids: Sequence[int]) -> Prefix:
        """Reads a prompt (one forward pass, one row)."""
        cache = DynamicCache(config=self.network.config)
        return Prefix(cache, self.forward(torch.tensor([ids], device=self.device), cache), len(ids))

    def forward(self, ids: torch.Tensor, cache: Cache) -> torch.Tensor:
        """Appends `ids` `[rows, tokens]` to the cache; the last position's logits `[rows, vocabulary]` in float32."""
        logits: torch.Tensor = self.network(ids, past_key_values=cache, use_cache=True, logits_to_keep=1).logits
        return logits[:, -1].float()

    def text(self, ids: Iterable[int]) -> str:
        """The ids as text, without special tokens and otherwise exactly as the tokenizer has it."""
        decoded: str = self.tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return decoded


def load(folder: Path, device: str) -> LoadedModel:
    """Loads a model folder: nothing is downloaded, no code in the folder runs, and weights are safetensors only.

    `device` "auto" is the first GPU if there is one. bfloat16 on a GPU, float32 on a CPU. Raises FileNotFoundError
    where there is no such folder, and what transformers raises where it holds no model.
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
    config = network.config.get_text_config()
    return LoadedModel(
        network=network,
        tokenizer=tokenizer,
        device=place,
        ends=_ends(network, tokenizer),
        vocabulary=network.get_output_embeddings().weight.shape[0],
        max_positions=getattr(config, "max_position_embeddings", None),
    )


def _ends(network: Any, tokenizer: Any) -> frozenset[int]:
    """Every token id that ends a completion, as the generation config, the model config and the tokenizer name them."""
    found: set[int] = set()
    for stated in (network.generation_config.eos_token_id, network.config.eos_token_id, tokenizer.eos_token_id):
        if stated is not None:
            found.update([stated] if isinstance(stated, int) else stated)
    return frozenset(found)
