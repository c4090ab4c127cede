"""Which token comes next, for every row of a batch at once, each row with its own settings and its own randomness.

A row draws by inverting its cumulative distribution, in vocabulary order, at a uniform number from its own generator.
So what a row draws depends on its logits, its settings and its seed, never on the rows beside it, and a rounding
difference between batch sizes moves a boundary by 1e-7 instead of swapping two tokens of a sorted order.
"""

from collections.abc import Sequence

import torch

from workers.wire.messages import Sampling

_BLOCK = 64
"""Uniform numbers drawn from a generator at a time."""

_COLDEST = 1e-6
"""Temperatures between 0 and this are drawn as this: smaller ones are no numbers in float32."""


class Draw:
    """Draws one token a row a step. `samplings` and `seeds` give each row's settings and its generator's seed."""

    def __init__(
        self, samplings: Sequence[Sampling], seeds: Sequence[int], vocabulary: int, device: torch.device
    ) -> None:
        self._samplings = list(samplings)
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self._uniforms = torch.empty(0)
        self._used = _BLOCK
        self._vocabulary = vocabulary
        self._device = device
        self._set_rows()

    def select(self, rows: Sequence[int]) -> None:
        """Keeps only these rows, in this order."""
        self._samplings = [self._samplings[row] for row in rows]
        self._generators = [self._generators[row] for row in rows]
        if self._used < _BLOCK:
            self._uniforms = self._uniforms[list(rows)]
        self._set_rows()

    def draw(self, logits: torch.Tensor) -> torch.Tensor:
        """Token ids `[rows]` from unprocessed float32 logits `[rows, vocabulary]`. Rows of NaN give some token id."""
        uniform = self._next_uniform()
        if self._all_greedy:
            return logits.argmax(dim=-1)
        # Less the maximum first: otherwise a small temperature overflows.
        scaled = (logits - logits.amax(dim=-1, keepdim=True)) / self._temperature
        probabilities = self._filter(scaled.softmax(dim=-1))
        cumulated = probabilities.cumsum(dim=-1, dtype=torch.float64)
        drawn = torch.searchsorted(cumulated, uniform * cumulated[:, -1:], right=True).squeeze(1)
        drawn = drawn.clamp_(max=self._vocabulary - 1)
        return torch.where(self._greedy, logits.argmax(dim=-1), drawn) if self._any_greedy else drawn

    def _set_rows(self) -> None:
        """The rows' settings as tensors, rebuilt when rows leave."""
        rows, device = self._samplings, self._device
        greedy = [row.temperature == 0 for row in rows]
        self._any_greedy, self._all_greedy = any(greedy), all(greedy)
        self._greedy = torch.tensor(greedy, device=device)
        warmth = [max(row.temperature, _COLDEST) if row.temperature else 1.0 for row in rows]
        self._temperature = torch.tensor(warmth, device=device).unsqueeze(1)
        widths = [min(row.top_k or self._vocabulary, self._vocabulary) for row in rows]
        self._widest = max(widths, default=self._vocabulary)
        self._top_k = torch.tensor(widths, device=device).unsqueeze(1)
        self._top_p = torch.tensor([row.top_p for row in rows], device=device).unsqueeze(1)
        self._min_p = torch.tensor([row.min_p or 0.0 for row in rows], device=device).unsqueeze(1)
        self._any_top = min(widths, default=self._vocabulary) < self._vocabulary or any(row.top_p < 1 for row in rows)
        self._any_min_p = any(row.min_p for row in rows)

    def _next_uniform(self) -> torch.Tensor:
        if self._used == _BLOCK:
            blocks = [torch.rand(_BLOCK, generator=each, dtype=torch.float64) for each in self._generators]
            self._uniforms = torch.stack(blocks).to(self._device)
            self._used = 0
        self._used += 1
        return self._uniforms[:, self._used - 1 : self._used]

    def _filter(self, probabilities: torch.Tensor) -> torch.Tensor:
        """top_k, then top_p of what is left, then min_p: transformers' order. Ties with the last kept token stay."""
        threshold: torch.Tensor | None = None
        if self._any_top:
            threshold = self._top_threshold(probabilities)
        if self._any_min_p:
            least = probabilities.amax(dim=-1, keepdim=True) * self._min_p
            threshold = least if threshold is None else torch.maximum(threshold, least)
        return probabilities if threshold is None else probabilities * (probabilities >= threshold)

    def _top_threshold(self, probabilities: torch.Tensor) -> torch.Tensor:
        """Each row's smallest probability that top_k and top_p keep, `[rows, 1]`."""
        ordered = probabilities.topk(self._widest, dim=-1).values
        rank = torch.arange(self._widest, device=self._device)
        ordered = ordered * (rank < self._top_k)
        before = ordered.cumsum(dim=-1) - ordered
        kept = (before < self._top_p * ordered.sum(dim=-1, keepdim=True)) & (rank < self._top_k)
        last = kept.sum(dim=-1, keepdim=True).clamp_(min=1) - 1
        return ordered.gather(1, last)
