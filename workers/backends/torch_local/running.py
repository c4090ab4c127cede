"""The samples that are running: one step of all of them, and how they leave."""

import time
from math import isfinite

from workers.backends.model_thread import out_of_memory
from workers.backends.torch_local.batch import Batch
from workers.backends.torch_local.cautious import Courses, Ending
from workers.backends.torch_local.facts import EngineFacts
from workers.backends.torch_local.memory import Shelves
from workers.backends.torch_local.model import LoadedModel
from workers.backends.torch_local.probing import Probing
from workers.backends.torch_local.rows import Row, Work
from workers.wire.messages import Failure, FailureKind, FinishReason, Sample


class Running:
    """The batch, and what becomes of its rows."""

    def __init__(self, model: LoadedModel, shelves: Shelves, facts: EngineFacts) -> None:
        self._model = model
        self._facts = facts
        self.batch = Batch(model, shelves)
        self._courses = Courses(model, self.batch)
        self._probing = Probing(model, self.batch)

    def draw(self) -> None:
        """Draws a token a row; samples that are at their end with it are delivered and leave.

        Where memory runs out while samples fork, those that may fork start again later.
        """
        endings = self._drawn()
        forking = [row for row in self.batch.rows if row.part or row.sampling.caution or row.sampling.probe]
        for row in [row for row in endings if row not in forking]:
            self._finish(row, endings.pop(row))
        if not forking:
            return
        try:
            endings = self._probing.after_draw(self._courses.after_draw(endings))
        except RuntimeError as error:
            if out_of_memory(error):  # where they stand with each other is lost
                self._again(forking)
            raise
        for row, ending in endings.items():
            self._finish(row, ending)

    def forward(self) -> None:
        """Feeds every row's newest token to the model."""
        self.batch.forward()
        self._facts.steps += 1
        self._facts.last_forward = time.monotonic()

    def leave(self, row: Row) -> None:
        """Takes a sample out of the batch, with all its continuations and probes."""
        self._courses.leave(row)
        same = [other for other in self.batch.rows if other.work is row.work and other.index == row.index]
        self.batch.remove(same)
        row.work.running -= 1

    def drop_unwanted(self) -> None:
        """Takes out the samples that nobody wants any more."""
        gone = [row for row in self.batch.rows if not row.work.order.wants(row.index)]
        for row in gone:
            if row in self.batch.rows:
                drawn = self._drawn_by(row)
                self.leave(row)
                row.work.cancelled(row.index, drawn)

    @property
    def samples(self) -> list[Row]:
        """A row of each sample."""
        return _one_each(self.batch.rows)

    def send_back(self, works: list[Work]) -> None:
        """Half of the samples, the youngest, start again later; one that is alone can never be served."""
        samples = sorted(self.samples, key=lambda row: works.index(row.work))
        if len(samples) == 1:
            self._outgrown(samples[0])
        for row in samples[(len(samples) + 1) // 2 :]:
            self._restart(row)

    def _again(self, rows: list[Row]) -> None:
        """Samples start again later; one that is alone and for which memory had run out before has failed."""
        alone = len(self.samples) <= 1
        for row in _one_each(rows):
            if alone and row.work.last_try:
                self._outgrown(row)
            else:
                row.work.last_try = alone
                self._restart(row)

    def _outgrown(self, row: Row) -> None:
        self.leave(row)
        row.work.fail(row.index, FailureKind.OUT_OF_MEMORY, "one sample alone does not fit the device's memory")

    def _restart(self, row: Row) -> None:
        self.leave(row)
        row.work.waiting = sorted([*row.work.waiting, row.index])
        self._facts.restarted_samples += 1

    def _drawn(self) -> dict[Row, Ending]:
        """Draws a token a row; the rows that ended with it. Rows whose logits were no numbers are gone."""
        endings: dict[Row, Ending] = {}
        spoilt: list[Row] = []
        for row, (token, *numbers) in zip(self.batch.rows, self.batch.draw(), strict=True):
            if not isfinite(numbers[0]):
                spoilt.append(row)
                continue
            row.add(row.forced.pop() if row.forced else int(token), numbers)
            if (ending := row.ending(self._model)) is not None:
                endings[row] = ending
        self._facts.drawn_tokens += len(self.batch.rows) - len(spoilt)
        for row in spoilt:
            self.batch.spoil(row)
        for row in spoilt:
            if row in self.batch.rows:
                self._discard(row)
                endings = {other: ending for other, ending in endings.items() if other in self.batch.rows}
        return endings

    def _discard(self, row: Row) -> None:
        detail = f"NaN or infinite logits at token {len(row.tokens) + 1}"
        failure = Failure(kind=FailureKind.INVALID_LOGITS, detail=detail)
        self.leave(row)
        self._facts.invalid_in_a_row += 1
        self._note_full(row, failed=True)
        seed = row.work.order.seed + row.index
        row.work.deliver(Sample(index=row.index, seed=seed, completion_tokens=len(row.tokens), failure=failure))

    def _finish(self, row: Row, ending: Ending) -> None:
        sample = row.sample(*ending)
        self.leave(row)
        self._facts.invalid_in_a_row = 0
        if ending[0] is FinishReason.CUT:
            self._facts.cut_samples += 1
            self._facts.saved_tokens += sample.saved_tokens
        else:
            self._note_full(row, failed=False)
        row.work.deliver(sample)

    def _drawn_by(self, row: Row) -> int:
        return len(row.tokens)

    def _note_full(self, row: Row, *, failed: bool) -> None:
        if row.work.bar is not None and row.watch is not None:
            row.work.bar.note(row.watch, [] if failed else row.numbers.confidences)


def _one_each(rows: list[Row]) -> list[Row]:
    """A row of each sample that the rows belong to."""
    return list({(id(row.work), row.index): row for row in rows}.values())
