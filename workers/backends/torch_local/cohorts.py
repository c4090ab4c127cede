"""Rows of about equal length side by side, so that each run of them is attended to over its own length.

On a CPU a step takes as long as the reading of keys and values takes. Read to the length of the longest row, a batch
whose rows began at different times reads most of them in vain.
"""

from collections.abc import Iterator, Sequence

MOST = 4
"""Runs at once: each costs a call in every layer."""


class Cohorts:
    """How many rows of a batch belong to each run, in the batch's order. Rows that joined together are one."""

    def __init__(self) -> None:
        self._sizes: list[int] = []

    def append(self, count: int, lengths: Sequence[int]) -> None:
        """Adds a run of new rows at the end; `lengths` are those of all rows then. Runs most alike become one."""
        self._sizes.append(count)
        while len(self._sizes) > MOST:
            longest = [max(lengths[start:stop]) for start, stop in self.spans()]
            pairs = range(len(longest) - 1)
            place = min(pairs, key=lambda pair: (self._waste(longest, pair), pair))
            self._sizes[place : place + 2] = [self._sizes[place] + self._sizes[place + 1]]

    def spans(self) -> Iterator[tuple[int, int]]:
        """Where each run begins and ends."""
        start = 0
        for size in self._sizes:
            yield start, start + size
            start += size

    def remove(self, place: int) -> list[tuple[int, int]]:
        """Takes a row out; which rows then move, as (from, to), one after the other, so that all runs stay together."""
        moves = []
        hole = place
        holder = 0
        for number, (start, stop) in enumerate(self.spans()):
            if stop <= place:
                continue
            if start <= place:
                holder = number
            if stop - 1 != hole:
                moves.append((stop - 1, hole))
            hole = stop - 1
        self._sizes[holder] -= 1
        if self._sizes[holder] == 0:
            del self._sizes[holder]
        return moves

    def _waste(self, longest: Sequence[int], pair: int) -> int:
        """Tokens read in vain if two neighbouring runs were one."""
        first, second = longest[pair], longest[pair + 1]
        return self._sizes[pair] * max(0, second - first) + self._sizes[pair + 1] * max(0, first - second)
