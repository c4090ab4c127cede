"""Regions on a screen or an image: boxes, how much two overlap, and where most of them agree.

`consensus` is GUI-RC's (arXiv 2508.05615), which counts votes on a grid of pixels; here the grid is that of the boxes'
own edges (coordinate compression): exact for fractions of a pixel, and at most (2K)^2 cells for K boxes of any size.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

POINT_SIDE = 50.0
"""A point stands for a square of this side around it (GUI-RC: 50 pixels)."""
FRACTION_SIDE = 0.05
"""The side where coordinates are fractions of a screen: those of a screen a thousand wide have the same side."""


@dataclass(frozen=True, slots=True)
class Box:
    """An upright rectangle, `x1 <= x2` and `y1 <= y2`; a point where both are equal."""

    x1: float
    y1: float
    x2: float
    y2: float

    @property
    def centre(self) -> tuple[float, float]:
        """The point in the middle."""
        return (self.x1 + self.x2) / 2, (self.y1 + self.y2) / 2

    @property
    def area(self) -> float:
        """Zero for a point."""
        return (self.x2 - self.x1) * (self.y2 - self.y1)

    def spread(self, side: float) -> "Box":
        """The box itself, or the square of this side around it where it is a point or a line."""
        if self.area > 0:
            return self
        (x, y), half = self.centre, side / 2
        return Box(x - half, y - half, x + half, y + half)


@dataclass(frozen=True, slots=True)
class Consensus:
    """Where most boxes agree. `region` encloses the agreed region; `point` lies within it; `votes` cover it."""

    region: Box
    point: tuple[float, float]
    votes: int
    share: float


def overlap(a: Box, b: Box) -> float:
    """Intersection over union, from 0 to 1; two boxes without area overlap fully if they are the same."""
    if a == b:
        return 1.0
    width = min(a.x2, b.x2) - max(a.x1, b.x1)
    height = min(a.y2, b.y2) - max(a.y1, b.y1)
    shared = max(0.0, width) * max(0.0, height)
    union = a.area + b.area - shared
    return shared / union if 0 < union < math.inf else 0.0


class Votes:
    """How many of the boxes cover each place; points count as squares of side `side`."""

    def __init__(self, boxes: Sequence[Box], side: float = POINT_SIDE) -> None:
        self._boxes = [box.spread(side) for box in boxes]
        self._xs = sorted({x for box in self._boxes for x in (box.x1, box.x2)})
        self._ys = sorted({y for box in self._boxes for y in (box.y1, box.y2)})
        self._cells = self._counted()

    def consensus(self) -> Consensus | None:
        """The largest connected region that the most boxes cover; of equal ones the leftmost, then the topmost.

        None without boxes. The order of the boxes makes no difference.
        """
        most = max((max(column) for column in self._cells), default=0)
        if not most:
            return None
        regions = self._regions(most)
        cells = min(regions, key=lambda cells: (-self._area(cells), min(cells)))
        boxes = [self._box(cell) for cell in cells]
        region = Box(
            min(b.x1 for b in boxes), min(b.y1 for b in boxes), max(b.x2 for b in boxes), max(b.y2 for b in boxes)
        )
        return Consensus(region, self._inner_point(region, boxes), most, most / len(self._boxes))

    def consistency(self, box: Box, side: float = POINT_SIDE) -> float:
        """GUI-RC's region consistency of one prediction: the mean of the votes within it, as a share of the most."""
        asked = box.spread(side)
        most = max((max(column) for column in self._cells), default=0)
        if not most or not asked.area:
            return 0.0
        shares = (
            self._cells[i][j] * shared(asked, self._box((i, j)))
            for i in range(len(self._cells))
            for j in range(len(self._cells[i]))
            if self._cells[i][j]
        )
        return math.fsum(shares) / asked.area / most

    def _counted(self) -> list[list[int]]:
        """Counts by cell, from the changes at the corners of the boxes."""
        changes = [[0] * len(self._ys) for _ in self._xs]
        for box in self._boxes:
            i1, i2 = bisect_left(self._xs, box.x1), bisect_left(self._xs, box.x2)
            j1, j2 = bisect_left(self._ys, box.y1), bisect_left(self._ys, box.y2)
            changes[i1][j1] += 1
            changes[i2][j2] += 1
            changes[i1][j2] -= 1
            changes[i2][j1] -= 1
        columns: list[list[int]] = []
        running = [0] * len(self._ys)
        for column in changes[:-1]:
            running = [a + b for a, b in zip(running, column, strict=True)]
            columns.append(list(accumulate(running))[:-1])
        return columns

    def _regions(self, most: int) -> list[list[tuple[int, int]]]:
        """The connected groups of cells with the highest count; cells that share an edge are connected."""
        waiting = {(i, j) for i, column in enumerate(self._cells) for j, votes in enumerate(column) if votes == most}
        regions = []
        while waiting:
            region, edge = [], [waiting.pop()]
            while edge:
                i, j = edge.pop()
                region.append((i, j))
                near = waiting & {(i - 1, j), (i + 1, j), (i, j - 1), (i, j + 1)}
                waiting -= near
                edge.extend(near)
            regions.append(sorted(region))
        return regions

    def _box(self, cell: tuple[int, int]) -> Box:
        i, j = cell
        return Box(self._xs[i], self._ys[j], self._xs[i + 1], self._ys[j + 1])

    def _area(self, cells: list[tuple[int, int]]) -> float:
        return math.fsum(self._box(cell).area for cell in cells)

    @staticmethod
    def _inner_point(region: Box, boxes: list[Box]) -> tuple[float, float]:
        """The centre of the region, or of its largest cell where the region bends around its own centre."""
        x, y = region.centre
        if any(box.x1 <= x <= box.x2 and box.y1 <= y <= box.y2 for box in boxes):
            return x, y
        return min(boxes, key=lambda box: (-box.area, box.x1, box.y1)).centre


def point_side(answers: Iterable[Sequence[float]]) -> float:
    """The side of the square around a point, as the scale of all the answers together has it.

    Fractions of the screen are known by this: no coordinate is below 0 or above 1, and not all of them are whole.
    """
    numbers = [number for answer in answers for number in answer]
    fractions = all(0 <= number <= 1 for number in numbers) and not all(number.is_integer() for number in numbers)
    return FRACTION_SIDE if fractions else POINT_SIDE


def consensus(boxes: Sequence[Box], side: float = POINT_SIDE) -> Consensus | None:
    """Where most of the boxes agree; None without boxes."""
    return Votes(boxes, side).consensus()


def shared(a: Box, b: Box) -> float:
    """The area that lies in both."""
    return max(0.0, min(a.x2, b.x2) - max(a.x1, b.x1)) * max(0.0, min(a.y2, b.y2) - max(a.y1, b.y1))
