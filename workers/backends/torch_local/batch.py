"""The rows that are being decoded together; samples join and leave at any step."""

from collections.abc import Sequence

import torch

from workers.backends.torch_local.cohorts import Cohorts
from workers.backends.torch_local.memory import Shelves, Slots, Store
from workers.backends.torch_local.model import LoadedModel
from workers.backends.torch_local.passes import Decoding
from workers.backends.torch_local.rows import Row
from workers.backends.torch_local.sampling import Draw, centred
from workers.backends.torch_local.token_statistics import measure


class Batch:
    """Rows, the logits of their next tokens, and their keys and values.

    A step is `draw` (one token a row), then whatever the caller does with rows that ended, forked or came back, then
    `forward`, which is `pending` in between. Rows join with `join` before a draw, and leave with `remove` at any time.
    `statistics` False leaves them out, only to measure what they cost.
    """

    def __init__(self, model: LoadedModel, shelves: Shelves) -> None:
        self._model = model
        self._shelves = shelves
        self._slots = Slots(model.cache)
        self._cohorts = Cohorts()
        self._decoding = Decoding(model.cache, self._slots)
        self._draw: Draw | None = None
        self._logits = torch.empty((0, model.vocabulary), device=model.device)
        self._arranged = -1
        self.rows: list[Row] = []
        self.pending = False
        self.statistics = True

    @property
    def bytes(self) -> int:
        """Bytes of the rows' own tokens."""
        return self._slots.bytes

    @property
    def logits(self) -> torch.Tensor:
        """The unprocessed logits `[rows, vocabulary]` from which `draw` draws next, or has just drawn."""
        return self._logits

    @property
    def longest(self) -> int:
        """Own tokens of the longest row, with its prompt where it has a copy."""
        return max(self._slots.lengths, default=0)

    def bytes_for(self, rows: int, tokens: int) -> int:
        """Bytes that so many rows of so many own tokens would take."""
        return self._slots.bytes_for(rows, tokens)

    def takes_a_token(self) -> bool:
        """True if every row can take one more token without more memory."""
        return self._slots.fits(len(self.rows), self.longest + 1)

    def join(self, rows: Sequence[Row]) -> None:
        """Rows that start at the end of their prompts; between a forward call and a draw."""
        if not rows:
            return
        self._append(rows)
        for place, row in enumerate(rows, start=len(self.rows) - len(rows)):
            if row.prompt.copied and row.prompt.shelf is not None:
                self._slots.restore(place, row.prompt.shelf.store, row.prompt.place, row.prompt.tokens)
        self._cohorts.append(len(rows), self._slots.lengths)
        self._logits = torch.cat([self._logits, *(row.prompt.logits for row in rows)])

    def fork(self, row: Row, other: Row) -> None:
        """A row that has drawn what `row` has, but for the newest token; between a draw and a forward call."""
        source = self.rows.index(row)
        self._append([other])
        self._slots.copy(source, len(self.rows) - 1)
        self._cohorts.append(1, self._slots.lengths)

    def rest(self, row: Row) -> Store:
        """Takes a row out; what is returned brings it back. Between a draw and a forward call."""
        saved = self._slots.save(self.rows.index(row))
        row.prompt.hold()  # its prompt stays where it is
        self.remove([row])
        return saved

    def resume(self, row: Row, saved: Store) -> None:
        """Brings a resting row back; between a draw and a forward call."""
        self._append([row])
        self._shelves.release(row.prompt)
        self._slots.restore(len(self.rows) - 1, saved, 0, saved.tokens)
        self._cohorts.append(1, self._slots.lengths)

    def give_up(self, row: Row) -> None:
        """Forgets a resting row."""
        self._shelves.release(row.prompt)

    def remove(self, rows: Sequence[Row]) -> None:
        """Takes rows out; others move into their places."""
        if not rows:
            return
        order = list(range(len(self.rows)))
        for row in rows:
            for source, target in self._cohorts.remove(self.rows.index(row)):
                self._slots.copy(source, target)
                self.rows[target], order[target] = self.rows[source], order[source]
            self.rows.pop()
            order.pop()
            self._slots.pop()
            self._shelves.release(row.prompt)
        if not self.rows:
            self._decoding.arrange([], [])  # lets go of the shelves it has read
        if len(self._logits) > len(self.rows):
            kept = [place for place in order if place < len(self._logits)]
            self._logits = self._logits[torch.tensor(kept, dtype=torch.long, device=self._model.device)]
        self._arranged = -1

    def spoil(self, row: Row) -> None:
        """Overwrites what a row holds: its logits were no numbers, so its keys and values may be none."""
        self._slots.wipe(self.rows.index(row))

    def draw(self) -> list[list[float]]:
        """Draws a token for every row: its columns of `measure`, the token first."""
        self.pending = True
        logits = centred(self._logits)
        tokens = self._arrange().draw(logits, [row.uniforms.next() for row in self.rows])
        if not self.statistics:
            return [[token, 1.0, 0.0, 0.0, 0.0, 0.0] for (token,) in tokens.tolist()]
        # One transfer from the device a step.
        numbers: list[list[float]] = measure(logits, tokens).tolist()
        return numbers

    def weights(self) -> torch.Tensor:
        """What the rows draw from, `[rows, vocabulary]`, of any total; before a draw or just after it."""
        return self._arrange().weights(centred(self._logits))

    def forward(self) -> None:
        """Feeds every row's newest token to the model."""
        if not self.rows:
            self._logits, self.pending = self._logits[:0], False
            return
        self._arrange()
        device, lengths = self._model.device, self._slots.lengths
        ids = torch.tensor([[row.tokens[-1]] for row in self.rows], device=device)
        places = [
            [length if row.prompt.copied else row.prompt.tokens + length]
            for row, length in zip(self.rows, lengths, strict=True)
        ]
        self._decoding.begin()
        self._logits = self._model.forward(ids, torch.tensor(places, device=device), self._decoding)[:, -1]
        self._decoding.end()
        self.pending = False

    def _append(self, rows: Sequence[Row]) -> None:
        self._slots.append(len(rows))
        self.rows += rows
        for row in rows:
            row.prompt.hold()
        self._arranged = -1

    def _arrange(self) -> Draw:
        """Makes the tensors that depend on who is in the batch, if that has changed."""
        if self._draw is None or self._arranged != self._shelves.version:
            prompts = [None if row.prompt.copied else row.prompt for row in self.rows]
            self._decoding.arrange(prompts, list(self._cohorts.spans()))
            self._draw = Draw([row.sampling for row in self.rows], self._model.vocabulary, self._model.device)
            self._arranged = self._shelves.version
        return self._draw
