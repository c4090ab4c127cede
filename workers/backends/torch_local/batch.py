"""The rows that are being decoded together; samples join and leave at any step."""

from collections.abc import Sequence

import torch

from workers.backends.torch_local.cohorts import Cohorts
from workers.backends.torch_local.drawing import Drawing
from workers.backends.torch_local.memory import Shelves, Slots, Store
from workers.backends.torch_local.model import LoadedModel
from workers.backends.torch_local.passes import Decoding
from workers.backends.torch_local.recording import Steps
from workers.backends.torch_local.rows import Row
from workers.backends.torch_local.sampling import Draw, centred


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
        self._steps = Steps(model, self._decoding)
        self._drawing = Drawing(self._steps, model.device)
        self._draw: Draw | None = None
        self._logits = torch.empty((0, model.vocabulary), device=model.device)
        self._places: list[int | None] = []  # where in `_logits` each row's are; None: a row that has just forked
        self._arranged = -1
        self.rows: list[Row] = []
        self.pending = False
        self.statistics = True

    @property
    def bytes(self) -> int:
        """Bytes of the rows' own tokens."""
        return self._slots.bytes

    def logits_of(self, row: Row) -> torch.Tensor:
        """The unprocessed logits `[vocabulary]` from which `draw` draws next, or has just drawn."""
        place = self._places[self.rows.index(row)]
        if place is None:
            raise RuntimeError("the row has no logits yet")
        return self._logits[place]

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

    def tighten(self) -> None:
        """Gives back memory that the rows do not need."""
        self._slots.tighten()

    def forget(self) -> None:
        """Gives back what only makes steps faster."""
        self._steps.forget()

    def join(self, rows: Sequence[Row]) -> None:
        """Rows that start at the end of their prompts, all or none; between a forward call and a draw."""
        if not rows:
            return
        if any(row.prompt.shelf is None for row in rows):
            raise RuntimeError("a row's prompt is on no shelf")
        logits = torch.cat([self._logits, *(row.prompt.logits for row in rows)])
        self._append(rows, max(row.prompt.tokens * row.prompt.copied for row in rows))
        for place, row in enumerate(rows, start=len(self.rows) - len(rows)):
            if row.prompt.copied and row.prompt.shelf is not None:
                self._slots.restore(place, row.prompt.shelf.store, row.prompt.place, row.prompt.tokens)
        self._cohorts.append(len(rows), self._slots.lengths)
        self._places[-len(rows) :] = range(len(self._logits), len(logits))
        self._logits = logits

    def fork(self, row: Row, other: Row) -> None:
        """A row that has drawn what `row` has, but for the newest token; between a draw and a forward call."""
        source = self.rows.index(row)
        self._append([other], self._slots.lengths[source])
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
        self._append([row], saved.tokens)
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
        for row in rows:
            for source, target in self._cohorts.remove(self.rows.index(row)):
                self._slots.copy(source, target)
                self.rows[target], self._places[target] = self.rows[source], self._places[source]
            self.rows.pop()
            self._places.pop()
            self._slots.pop()
            self._shelves.release(row.prompt)
        if not self.rows:
            self._decoding.arrange([], [])  # lets go of the shelves it has read
            self._logits = self._logits[:0]
        self._arranged = -1

    def spoil(self, row: Row) -> None:
        """Overwrites what a row holds: its logits were no numbers, so its keys and values may be none."""
        self._slots.wipe(self.rows.index(row))

    def draw(self) -> list[list[float]]:
        """Draws a token for every row: its columns of `measure`, the token first. After a failure it draws the same."""
        uniforms = [row.uniforms.peek() for row in self.rows]
        numbers = self._drawing.numbers(self._arrange(), self._ordered(), uniforms, statistics=self.statistics)
        for row in self.rows:
            row.uniforms.next()
        self.pending = True
        return numbers

    def weights(self) -> torch.Tensor:
        """What the rows draw from, `[rows, vocabulary]`, of any total; before a draw or just after it."""
        return self._arrange().weights(centred(self._ordered()))

    def forward(self) -> None:
        """Feeds every row's newest token to the model."""
        if not self.rows:
            self.pending = False
            return
        self._arrange()
        places = [
            length if row.prompt.copied else row.prompt.tokens + length
            for row, length in zip(self.rows, self._slots.lengths, strict=True)
        ]
        self._logits = self._steps.forward([row.tokens[-1] for row in self.rows], places)
        self._decoding.end()
        self._places = list(range(len(self.rows)))
        self.pending = False

    def _ordered(self) -> torch.Tensor:
        """The logits in the order of the rows."""
        if self._places != list(range(len(self._logits))):
            self._logits = self._logits[torch.tensor(self._places, dtype=torch.long, device=self._model.device)]
            self._places = list(range(len(self.rows)))
        return self._logits

    def _append(self, rows: Sequence[Row], tokens: int) -> None:
        self._slots.append(len(rows), tokens)
        self.rows += rows
        self._places += [None] * len(rows)
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
