"""Draw completions from the model in large batches: for training on its own samples, and for the measured table."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from workers.abacus.network import Cache, Weights, hidden_states, logits

ROWS = 256
"""How many completions are written side by side."""


def chat_ids(tokenizer: PreTrainedTokenizerBase, prompt: str) -> list[int]:
    """The tokens of a conversation whose only message is `prompt`, up to where the answer begins."""
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True
    )
    ids: list[int] = tokenizer.encode(str(text), add_special_tokens=False)
    return ids


def complete(
    weights: Weights,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    generator: torch.Generator,
    *,
    count: int = 1,
    temperature: float = 0.8,
    limit: int = 120,
    slack: int = 1,
) -> list[list[str]]:
    """Draw `count` completions of each prompt; temperature 0 takes the likeliest token.

    Prompts run together whose lengths differ by less than `slack`: many long prompts ask for more than 1.
    """
    encoded = [chat_ids(tokenizer, prompt) for prompt in prompts]
    groups: dict[int, list[int]] = defaultdict(list)
    for index, ids in enumerate(encoded):
        groups[-(-len(ids) // slack)].append(index)
    written: list[list[str]] = [[] for _ in prompts]
    for indices in groups.values():
        size = max(1, ROWS // count)
        for start in range(0, len(indices), size):
            part = indices[start : start + size]
            batch, padding = _pad([encoded[index] for index in part], int(tokenizer.pad_token_id))
            asked = _Asked(count, temperature, limit, int(tokenizer.eos_token_id))
            rows = _write(weights, batch, padding, asked, generator)
            texts = tokenizer.batch_decode(rows, skip_special_tokens=True)
            for place, index in enumerate(part):
                written[index] = texts[place * count : (place + 1) * count]
    return written


@dataclass(frozen=True)
class _Asked:
    count: int
    temperature: float
    limit: int
    end: int


def _pad(rows: Sequence[list[int]], pad: int) -> tuple[Tensor, Tensor | None]:
    """Rows of one length, filled on the left, and by how much; none where all are of one length already."""
    width = max(len(row) for row in rows)
    missing = [width - len(row) for row in rows]
    ids = torch.tensor([[pad] * gap + row for gap, row in zip(missing, rows, strict=True)])
    return ids, torch.tensor(missing) if any(missing) else None


@torch.no_grad()
def _write(
    weights: Weights, ids: Tensor, padding: Tensor | None, asked: _Asked, generator: torch.Generator
) -> list[list[int]]:
    """Continue each row of `ids` as often as asked; rows that have ended leave the batch."""
    cached = Cache(padding)
    last = hidden_states(weights, ids, cached)[:, -1]
    rows = torch.arange(len(ids)).repeat_interleave(asked.count)
    cached.select(rows)
    scores = logits(weights, last.index_select(0, rows))
    written: list[list[int]] = [[] for _ in range(len(rows))]
    alive = list(range(len(rows)))
    for _ in range(asked.limit):
        chosen = _choose(scores, asked.temperature, generator)
        for row, token in zip(alive, chosen.tolist(), strict=True):
            written[row].append(token)
        kept = (chosen != asked.end).nonzero().flatten()
        if len(kept) == 0:
            break
        if len(kept) < len(alive):
            cached.select(kept)
            alive = [alive[row] for row in kept.tolist()]
        scores = logits(weights, hidden_states(weights, chosen[kept, None], cached)[:, -1])
    return written


def _choose(scores: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    if temperature == 0:
        return scores.argmax(dim=-1)
    return torch.multinomial(torch.softmax(scores / temperature, dim=-1), 1, generator=generator).flatten()


@torch.no_grad()
def next_token_logits(weights: Weights, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str]) -> Tensor:
    """The scores of the first token of each answer, one row a prompt."""
    rows = []
    for prompt in prompts:
        ids = torch.tensor([chat_ids(tokenizer, prompt)])
        rows.append(logits(weights, hidden_states(weights, ids)[:, -1]))
    return torch.cat(rows)


def number_after(phrase: str, text: str) -> int | None:
    """The number behind the last occurrence of `phrase`, if there is one."""
    found: list[str] = re.findall(rf"{re.escape(phrase)} (\d+)", text)
    return int(found[-1]) if found else None
