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


def to_device(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A copy there of a tensor on the CPU, without waiting for what the device still does: a plain copy would."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


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
        return self._filter(self._warm(logits), once=False)[0]

    def draw(self, logits: torch.Tensor, uniforms: torch.Tensor, *, once: bool = False) -> torch.Tensor:
        """Token ids `[rows, 1]` from unprocessed `centred` logits `[rows, vocabulary]`. A row of NaN gives any id.

        `uniforms` `[rows, 1]`, float64, on the CPU or the device. `once`: nothing waits for the device; the token of a
        row whose top_p was not in sight is -1, and has to be drawn without `once`.
        """
        if self._all_greedy:
            return self._biased(logits).argmax(dim=-1, keepdim=True)
        weights, unseen = self._filter(self._warm(logits), once=once)
        drawn = invert(weights, uniforms)
        if unseen is not None:
            drawn = torch.where(unseen, -1, drawn)
        if not self._any_greedy:
            return drawn
        return torch.where(self._greedy, self._biased(logits).argmax(dim=-1, keepdim=True), drawn)

    def _biased(self, logits: torch.Tensor) -> torch.Tensor:
        return logits if self._bias is None else logits + self._bias

    def _warm(self, logits: torch.Tensor) -> torch.Tensor:
        if self._bias is not None:
            logits = centred(logits + self._bias)
        return (logits / self._temperature).exp_()

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

    def _filter(self, weights: torch.Tensor, *, once: bool) -> tuple[torch.Tensor, torch.Tensor | None]:
        """top_k, then top_p of what is left, then min_p: transformers' order. Ties with the last kept token stay.

        With `once` also in which rows `[rows, 1]` top_p was not in sight, None where it was in all.
        """
        threshold: torch.Tensor | None = None
        unseen: torch.Tensor | None = None
        if self._topped is not None:
            threshold = torch.zeros((len(weights), 1), device=self._device)
            threshold[self._topped], beyond = self._top_threshold(weights[self._topped], once=once)
            if beyond is not None:
                unseen = torch.zeros((len(weights), 1), dtype=torch.bool, device=self._device)
                unseen[self._topped] = beyond
        if self._any_min_p:
            least = weights.amax(dim=-1, keepdim=True) * self._min_p
            threshold = least if threshold is None else torch.maximum(threshold, least)
        return weights if threshold is None else weights * (weights >= threshold), unseen

    def _top_threshold(self, weights: torch.Tensor, *, once: bool) -> tuple[torch.Tensor, torch.Tensor | None]:
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
            beyond = kept[:, -1:] & (self._top_k > width) if width < self._widest else None
            if beyond is None or once or not bool(beyond.any()):
                last = kept.sum(dim=-1, keepdim=True).clamp_(min=1) - 1
                return ordered.gather(1, last), beyond
            width = self._widest


def _is_topped(row: Sampling, vocabulary: int) -> bool:
    """True if top_k or top_p may leave something out."""
    return row.temperature > 0 and (row.top_p < 1 or (row.top_k or vocabulary) < vocabulary)


def invert(weights: torch.Tensor, uniforms: torch.Tensor) -> torch.Tensor:
    """The tokens `[rows, 1]` at which the cumulated weights, as shares of their total, pass each row's number.

    `uniforms` `[rows, 1]`, float64, on the CPU or where the weights are.
    """
    uniform = uniforms if uniforms.device == weights.device else to_device(uniforms, weights.device)
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
