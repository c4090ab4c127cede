"""What has room in the memory for keys and values: counted without slack, which is given back where it is in the way.

What a prompt needs is its place on a shelf, and either the store that it is read into or its first sample's rows.
"""

from collections.abc import Sequence

from workers.backends.torch_local.batch import Batch
from workers.backends.torch_local.memory import CacheShape, Shelves
from workers.backends.torch_local.reader import Reader
from workers.backends.torch_local.rows import Row, Work


class Room:
    """The bytes of one engine; `limit` is the most there may be."""

    def __init__(self, shape: CacheShape, limit: int, shelves: Shelves, reader: Reader, batch: Batch) -> None:
        self._shape = shape
        self._limit = limit
        self._shelves = shelves
        self._reader = reader
        self._batch = batch

    @property
    def used(self) -> int:
        """Bytes taken, slack and kept prompts included."""
        return self._shelves.bytes + self._reader.bytes + self._batch.bytes

    def ever(self, work: Work) -> bool:
        """True if a work fits where there is nothing else."""
        start = self._starting([work], rows=0, foreseen=0)
        shelf = self._shelves.bytes_for(len(work.ids), work.sharers)
        return shelf + max(len(work.ids) * self._shape.bytes_per_token, start) <= self._limit

    def for_prompts(self, works: Sequence[Work], waiting: Sequence[Work]) -> bool:
        """True if there is room to read the prompts of `works`, beside the first samples of all that are `waiting`."""
        fresh = list({work.ids: work for work in works if self._shelves.find(work.ids) is None}.values())
        read = len(fresh) * max((len(work.ids) for work in fresh), default=0) * self._shape.bytes_per_token
        if len(fresh) == 1 and self._reader.is_reading(fresh[0]):
            read = 0  # it is counted where it is
        shelves = self._shelves.bytes_with((len(work.ids), work.sharers) for work in fresh)
        start = self._starting([*works, *waiting], len(self._batch.rows), self._foreseen)
        return self._granted(shelves, max(self._batch_bytes(0) + read, start))

    def for_rows(self, rows: Sequence[Row]) -> bool:
        """True if there is room for these rows to start together."""
        count = len(self._batch.rows) + sum(row.work.rows_each for row in rows)
        longest = max(row.work.first_tokens for row in rows)
        own = self._batch.bytes_for(count, max(self._foreseen, longest))
        return self._granted(self._shelves.bytes_with(), own)

    def for_a_token(self) -> bool:
        """True if there is room for one more token a row."""
        return self._batch.takes_a_token() or self._granted(self._shelves.bytes_with(), self._batch_bytes(1))

    def trim(self) -> None:
        """Gives back what is more than the limit and only kept."""
        if self.used > self._limit:
            self._reader.forget(reading=False)

    def _granted(self, shelves: int, rest: int) -> bool:
        """True if bytes on shelves and others fit; then slack and kept prompts are not in their way any more."""
        if shelves + self._reader.reading_bytes + rest > self._limit:
            return False
        if self.used + max(0, shelves - self._shelves.bytes) + max(0, rest - self._batch.bytes) > self._limit:
            self._reader.forget(reading=False)
            self._shelves.tighten()
            self._batch.tighten()
        return True

    @property
    def _foreseen(self) -> int:
        """Own tokens that the longest row has now, or that one which has just started was promised."""
        return max([self._batch.longest + 1, *(row.work.first_tokens for row in self._batch.rows)])

    def _batch_bytes(self, more: int) -> int:
        """Bytes of the rows with `more` tokens each, without slack."""
        rows = len(self._batch.rows)
        return self._batch.bytes_for(rows, self._batch.longest + more) if rows else 0

    def _starting(self, works: Sequence[Work], rows: int, foreseen: int) -> int:
        """Bytes of a batch of so many rows once each work has its first sample there, or chooses among its options."""
        drawn = [work for work in works if not work.sampling.options]
        count = rows + sum(work.rows_each for work in drawn)
        tokens = max([foreseen, *(work.first_tokens for work in drawn)])
        chosen = [len(work.ids) + work.longest_option for work in works if work.longest_option > 1]
        return (self._batch.bytes_for(count, tokens) if count else 0) + max(chosen, default=0) * (
            self._shape.bytes_per_token
        )
