"""The decode loop: one batch of samples of one prompt, from the prompt's cache to their ends.

Each step is three calls: `draw` a token a row, `settle` the rows that ended, `forward` the others. All rows have the
same length (one prompt, one step at a time), so no padding and no attention mask is needed. Rows that ended stay in the
batch, ignored, until they are a quarter of it; then the batch is compacted.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from workers.backends.torch_local.cache import expand
from workers.backends.torch_local.model import LoadedModel, Prefix
from workers.backends.torch_local.sampling import Draw
from workers.backends.torch_local.token_statistics import TokenStatistics
from workers.wire.messages import Failure, FailureKind, FinishReason, Sample, Sampling

_ENDED, _INVALID = 1, 2


@dataclass(frozen=True, slots=True)
class Draft:
    """A sample to be drawn: its index, its own seed and its settings (`max_tokens` already within the context)."""

    index: int
    seed: int
    sampling: Sampling


class Batch:
    """Samples of one prompt, decoded in lockstep."""

    def __init__(self, model: LoadedModel, prefix: Prefix, drafts: Sequence[Draft]) -> None:
        rows, self._limit = len(drafts), max(draft.sampling.max_tokens for draft in drafts)
        self._model = model
        self._rows = list(drafts)
        self._alive = [True] * rows
        self._step = 0
        self._cache = expand(prefix.cache, rows)
        self._logits = prefix.logits.expand(rows, -1)
        self._tokens = torch.zeros((rows, self._limit), dtype=torch.long, device=model.device)
        self._statistics = TokenStatistics(rows, self._limit, model.vocabulary, model.device)
        settings, seeds = [draft.sampling for draft in drafts], [draft.seed for draft in drafts]
        self._draw = Draw(settings, seeds, model.vocabulary, model.device)
        self._codes = torch.zeros(model.vocabulary, dtype=torch.uint8, device=model.device)
        self._codes[[end for end in model.ends if end < model.vocabulary]] = _ENDED

    def run(self, cancelled: Callable[[], bool]) -> Iterator[Sample]:
        """Yields each sample as it ends; looks at `cancelled` before every step and every sample handed over."""
        while not cancelled():
            codes = self.draw()
            for sample in self.settle(codes):
                yield sample
                if cancelled():
                    return
            if not any(self._alive):
                return
            self.forward()

    def draw(self) -> list[int]:
        """Draws a token for every row; returns for every row whether it ended or met logits that are no numbers."""
        # NaN or +inf anywhere, or -inf everywhere, makes the normaliser itself no number.
        normaliser = self._logits.logsumexp(dim=-1, keepdim=True)
        tokens = self._draw.draw(self._logits)
        self._statistics.add(self._step, self._logits - normaliser, tokens)
        self._tokens[:, self._step] = tokens
        self._step += 1
        invalid = ~torch.isfinite(normaliser.squeeze(1))
        codes: list[int] = (self._codes[tokens] + _INVALID * invalid).tolist()
        return codes

    def settle(self, codes: list[int]) -> Iterator[Sample]:
        """The samples that the last token ended."""
        for row, code in enumerate(codes):
            if self._alive[row] and (sample := self._ending(row, code)) is not None:
                self._alive[row] = False
                yield sample

    def forward(self) -> None:
        """Feeds the last tokens to the model, after dropping ended rows where they are a quarter of the batch."""
        if 4 * self._alive.count(True) <= 3 * len(self._alive):
            self._compact()
        self._logits = self._model.forward(self._tokens[:, self._step - 1 : self._step], self._cache)

    def _ending(self, row: int, code: int) -> Sample | None:
        """The row's sample if it is at its end, else None."""
        draft = self._rows[row]
        if code >= _INVALID:
            failure = Failure(kind=FailureKind.INVALID_LOGITS, detail=f"NaN or infinite logits at token {self._step}")
            return Sample(index=draft.index, seed=draft.seed, completion_tokens=self._step, failure=failure)
        if code == _ENDED:
            return self._sample(row, self._text(row, self._step - 1), FinishReason.STOP)
        if draft.sampling.stop and (text := self._stopped(row, draft.sampling.stop)) is not None:
            return self._sample(row, text, FinishReason.STOP)
        if self._step >= draft.sampling.max_tokens:
            return self._sample(row, self._text(row, self._step), FinishReason.LENGTH)
        return None

    def _sample(self, row: int, text: str, finish_reason: FinishReason) -> Sample:
        draft = self._rows[row]
        return Sample(
            index=draft.index,
            text=text,
            finish_reason=finish_reason,
            seed=draft.seed,
            completion_tokens=self._step,
            statistics=self._statistics.of(row, self._step),
        )

    def _text(self, row: int, length: int) -> str:
        return self._model.text(self._tokens[row, :length].tolist())

    def _stopped(self, row: int, stops: tuple[str, ...]) -> str | None:
        """The text before the earliest stop string if there is one, else None."""
        # A token holds at least one byte and a character at most four, so a stop string that has just been completed
        # lies within so many tokens; the whole text is decoded only when it is there.
        tail = 4 * max(map(len, stops)) + 8
        recent = self._model.text(self._tokens[row, max(0, self._step - tail) : self._step].tolist())
        if not any(stop in recent for stop in stops):
            return None
        text = self._text(row, self._step)
        starts = [start for stop in stops if (start := text.find(stop)) >= 0]
        return text[: min(starts)] if starts else None

    def _compact(self) -> None:
        """Drops the rows that ended."""
        kept = [row for row, alive in enumerate(self._alive) if alive]
        rows = torch.tensor(kept, device=self._model.device)
        self._rows = [self._rows[row] for row in kept]
        self._alive = [True] * len(kept)
        self._cache.batch_select_indices(rows)
        self._tokens = self._tokens.index_select(0, rows)
        self._statistics.select(rows)
        self._draw.select(kept)
