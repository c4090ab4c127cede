"""Whose sample is next: the orders in line, who is passed over, and how many rows there may be.

Whoever has the fewest samples running comes next, the oldest of equals, and every order has at least one. An order
without room for its first is passed over until so many later ones' samples have started that it is its turn.
"""

from workers.backends.torch_local.batch import Batch
from workers.backends.torch_local.facts import EngineFacts
from workers.backends.torch_local.rows import Work

PATIENCE = 64
"""Samples of later orders that start before an order for whose first there was no room; then none does."""

_UNLIMITED = 1 << 20
_CALM_STEPS = 200
"""After so many steps without trouble, twice as many rows are tried as fitted when the device's memory ran out."""


class Line:
    """The works of one engine, in the order in which they came. `rows`: each has at least one sample beyond that."""

    def __init__(self, rows: int, batch: Batch, facts: EngineFacts) -> None:
        self._rows = rows
        self._batch = batch
        self._facts = facts
        self._most_rows, self._calm_from = _UNLIMITED, 0
        self._refused: list[Work] = []
        self.works: list[Work] = []

    def turn(self) -> None:
        """A new turn: who is done leaves, who had no room is tried again."""
        self.works = [work for work in self.works if work.waiting or work.running]
        self._refused.clear()
        if self._most_rows < _UNLIMITED and self._facts.steps - self._calm_from > _CALM_STEPS:
            self.try_rows(2 * self._most_rows)

    def try_rows(self, rows: int) -> None:
        """Memory ran out: no more rows than so many for a while."""
        self._most_rows = max(1, rows)
        self._calm_from = self._facts.steps

    def refuse(self, work: Work) -> None:
        """There is no room for it in this turn."""
        self._refused.append(work)

    def unread(self) -> list[Work]:
        """Whose prompt is to be read."""
        return [work for work in self._served() if work.waiting and work.prompt is None]

    def unstarted(self) -> list[Work]:
        """Whose prompt is read, and of whose samples none runs."""
        return [work for work in self.works if work.waiting and work.prompt is not None and not work.running]

    def next(self, rows: int) -> Work | None:
        """Who starts a sample beside so many rows."""
        able = [
            work
            for work in self._served()
            if work.prompt is not None and work.ready() and work not in self._refused and self.may_try(work)
        ]
        work = min(able, key=lambda each: each.running, default=None)
        if work is None or rows >= self._most_rows:
            return None
        return work if work.running == 0 or rows + work.rows_each <= self._rows else None

    def may_try(self, work: Work) -> bool:
        """False while there are more rows than when memory ran out for it."""
        return work.most_rows is None or len(self._batch.rows) <= work.most_rows

    def started(self, work: Work) -> None:
        """A sample of it has started."""
        work.passed_over, work.most_rows = 0, None
        for older in self.works[: self.works.index(work)]:
            if older in self._refused and not older.running:
                older.passed_over += 1

    def _served(self) -> list[Work]:
        for place, work in enumerate(self.works):
            if work.passed_over >= PATIENCE and work.waiting and not work.running:
                return self.works[: place + 1]
        return self.works
