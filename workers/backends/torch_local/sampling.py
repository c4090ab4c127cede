"""Which token comes next, for every row of a batch at once, each row with its own settings and its own randomness.

A row draws by inverting its cumulative distribution, in vocabulary order, at a uniform number from its own generator.
So what a row draws depends on its logits, its settings and its seed, never on the rows beside it, and a rounding
difference between batch sizes moves a boundary by 1e-7 instead of swapping two tokens of a sorted order.
"""

import math
from collections.abc import Sequence

import torch

from workers.wire.messages import Sampling

_BLOCK = 64
"""Uniform numbers drawn from a generator at a time."""

_FIRST_LOOK = 256
"""How many of the likeliest tokens are looked at before all are."""

_COLDEST = 1e-6
"""Temperatures between 0 and this are drawn as this: smaller ones are no numbers in float32."""


def centred(logits: torch.Tensor) -> torch.Tensor:
    """Logits `[rows, vocabulary]` less the largest of their row: the same distributions, and no exponential overflows.

    A row of NaN, of +inf, or of -inf alone becomes NaN.
    """
    return logits - logits.amax(dim=-1, keepdim=True)


class Uniforms:
    """An endless row of uniform numbers in [0, 1), the same for the same seed."""

    __slots__ = ("_block", "_generator", "_used")

    def __init__(self, seed: int) -> None:
        self._generator = torch.Generator().manual_seed(seed)
        self._block: list[float] = []
        self._used = 0

    def next(self) -> float:
        """The next number."""
        number = self.peek()
        self._used += 1
        return number

    def peek(self) -> float:
        """What `next` gives next."""
        if self._used == len(self._block):
            self._block = torch.rand(_BLOCK, generator=self._generator, dtype=torch.float64).tolist()
            self._used = 0
        return self._block[self._used]


class Draw:
    """Draws one token for each row of a batch whose rows have the settings `samplings`."""

    def __init__(self, samplings: Sequence[Sampling], vocabulary: int, device: torch.device) -> None:
        self._vocabulary = vocabulary
        self._device = device
        greedy = [row.temperature == 0 for row in samplings]
        self._any_greedy, self._all_greedy = any(greedy), all(greedy)
        self._greedy = torch.tensor(greedy, device=device).unsqueeze(1)
        warmth = [max(row.temperature, _COLDEST) if row.temperature else 1.0 for row in samplings]
        self._temperature = self._column(warmth)
        topped = [place for place, row in enumerate(samplings) if _is_topped(row, vocabulary)]
        self._topped = torch.tensor(topped, dtype=torch.long, device=device) if topped else None
        widths = [min(samplings[place].top_k or vocabulary, vocabulary) for place in topped]
        self._widest = max(widths, default=0)
        seen = all(width <= _FIRST_LOOK or width == vocabulary for width in widths)
        self._look = min(self._widest, _FIRST_LOOK) if seen else self._widest
        self._top_k, self._top_p = self._column(widths), self._column([samplings[place].top_p for place in topped])
        self._any_min_p = any(row.min_p for row in samplings)
        self._min_p = self._column([row.min_p or 0.0 for row in samplings])
        self._bias = self._biases(samplings)

    def weights(self, logits: torch.Tensor) -> torch.Tensor:
        """What each row draws from, `[rows, vocabulary]`, of any total, from unprocessed `centred` logits.

        A greedy row's are at temperature 1.
        """
        if self._bias is not None:
            logits = centred(logits + self._bias)
        return self._filter((logits / self._temperature).exp_())

    def draw(self, logits: torch.Tensor, uniforms: Sequence[float]) -> torch.Tensor:
        """Token ids `[rows, 1]` from unprocessed `centred` logits `[rows, vocabulary]`. A row of NaN gives any id."""
        if self._all_greedy:
            return (logits if self._bias is None else logits + self._bias).argmax(dim=-1, keepdim=True)
        drawn = invert(self.weights(logits), uniforms)
        if not self._any_greedy:
            return drawn
        likeliest = (logits if self._bias is None else logits + self._bias).argmax(dim=-1, keepdim=True)
        return torch.where(self._greedy, likeliest, drawn)

    def _column(self, values: Sequence[float]) -> torch.Tensor:
        return torch.tensor(values, device=self._device).unsqueeze(1)

    def _biases(self, samplings: Sequence[Sampling]) -> torch.Tensor | None:
        if not any(row.logit_bias for row in samplings):
            return None
        bias = torch.zeros((len(samplings), self._vocabulary))
        for place, row in enumerate(samplings):
            for token, amount in row.logit_bias:
                bias[place, token] += amount
        return bias.to(self._device)

    def _filter(self, weights: torch.Tensor) -> torch.Tensor:
        """top_k, then top_p of what is left, then min_p: transformers' order. Ties with the last kept token stay."""
        threshold: torch.Tensor | None = None
        if self._topped is not None:
            threshold = torch.zeros((len(weights), 1), device=self._device)
            threshold[self._topped] = self._top_threshold(weights[self._topped])
        if self._any_min_p:
            least = weights.amax(dim=-1, keepdim=True) * self._min_p
            threshold = least if threshold is None else torch.maximum(threshold, least)
        return weights if threshold is None else weights * (weights >= threshold)

    def _top_threshold(self, weights: torch.Tensor) -> torch.Tensor:
        """The smallest weight that top_k and top_p keep, `[rows, 1]`, of the rows that have one of the two."""
        everything = weights.sum(dim=-1, keepdim=True)
        width = self._look
        while True:
            ordered = weights.topk(width, dim=-1).values
            rank = torch.arange(width, device=self._device)
            within = rank < self._top_k
            before = ordered.cumsum(dim=-1) - ordered
            # What top_p is a share of: all that top_k keeps. Where that is not in sight, it is everything.
            total = torch.where(self._top_k <= width, (ordered * within).sum(dim=-1, keepdim=True), everything)
            kept = (before < self._top_p * total) & within
            # Sorting a whole vocabulary is slow, and nearly always what is kept lies within the first few.
            if width == self._widest or not bool((kept[:, -1:] & (self._top_k > width)).any()):
                last = kept.sum(dim=-1, keepdim=True).clamp_(min=1) - 1
                return ordered.gather(1, last)
            width = self._widest


def _is_topped(row: Sampling, vocabulary: int) -> bool:
    """True if top_k or top_p may leave something out."""
    return row.temperature > 0 and (row.top_p < 1 or (row.top_k or vocabulary) < vocabulary)


def invert(weights: torch.Tensor, uniforms: Sequence[float]) -> torch.Tensor:
    """The tokens `[rows, 1]` at which the cumulated weights, as shares of their total, pass each row's number."""
    uniform = torch.tensor(uniforms, dtype=torch.float64, device=weights.device).unsqueeze(1)
    cumulated = weights.cumsum(dim=-1, dtype=torch.float64)
    drawn = torch.searchsorted(cumulated, uniform * cumulated[:, -1:], right=True)
    return drawn.clamp_(max=weights.shape[-1] - 1)


def pick(logprobs: Sequence[float], temperature: float, uniform: float) -> int:
    """One of several options by their logprobs at a temperature; at 0 the likeliest, the first of equals."""
    best = max(logprobs)
    if temperature == 0:
        return logprobs.index(best)
    weights = [math.exp((logprob - best) / max(temperature, _COLDEST)) for logprob in logprobs]
    reached, aim = 0.0, uniform * math.fsum(weights)
    for place, weight in enumerate(weights):
        reached += weight
        if reached > aim:
            return place
    return len(weights) - 1
