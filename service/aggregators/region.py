"""The consensus region: for points and boxes on a screen, the place on which most of them agree."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from pydantic import BaseModel, Field

from service.aggregators import base
from service.aggregators.ballot import Voter, ordered, present, voters
from service.aggregators.base import Ask, Panel, Verdict
from service.aggregators.counting import fall_back, plurality
from service.aggregators.weighing import unweighted
from service.answer_types.boxes import region
from service.answer_types.coordinates import printed
from service.answer_types.regions import Box, Consensus, consensus, point_side, shared
from workers.wire.messages import Provides

MAX_BOXES = 256
"""The grid has up to (2K)^2 cells for K boxes: this many take about half a second, twice as many four times that."""


class RegionOptions(base.Options):
    """`answer`: a point or a box; auto: a point where every sample gave one, else a box.

    `point_side`: a point counts as a square of this side around it, in the unit of the coordinates. By default 50, or
    0.05 where the answers are fractions of the screen (all coordinates from 0 to 1).
    """

    answer: Literal["auto", "point", "box"] = "auto"
    point_side: float | None = Field(default=None, ge=1e-3, le=1e6)


class Region:
    """Where the most boxes overlap: GUI-RC's region consistency vote (arXiv 2508.05615).

    Every box votes for all it covers; of the connected places with the most votes the largest is the consensus, and the
    answer is the box around it, or its centre. The grid is that of the boxes' own edges, so that it is exact for any
    coordinates. `support` is the share of the boxes that cover it: the paper's confidence. The answer may be one that
    no sample gave: `novel`. The text is that of the sample that agrees best with all others (its mean vote within its
    own box). Needs answers of the type `boxes`: else, and beyond 256 of them, the plain vote stands in and says so.

    The class of that sample is ranked first, the others by their votes. Of equally large places the leftmost, then the
    topmost is taken. A vote more for the region that was answered, as a box, never unseats it.
    """

    name = "region"
    Options: type[BaseModel] = RegionOptions
    needs: frozenset[Provides] = frozenset()
    counts_votes = False
    calls = "0"

    def __init__(self, options: RegionOptions) -> None:
        self.options = options

    def max_calls(self, n: int) -> int:
        """None."""
        return 0

    async def aggregate(self, panel: Panel, ask: Ask) -> Verdict:
        """The consensus of the boxes."""
        voting = voters(panel)
        if not voting:
            return plurality(panel)
        keys = [_coordinates(voter) for voter in voting]
        numbers = [key for key in keys if key is not None]
        if len(numbers) < len(voting):
            return fall_back(panel, self.name, "an_answer_is_no_region")
        if len(numbers) > MAX_BOXES:
            return fall_back(panel, self.name, f"more_than_{MAX_BOXES}_boxes")
        side = self.options.point_side or point_side(numbers)
        boxes = [region(each).spread(side) for each in numbers]
        found = consensus(boxes, side)
        if found is None:
            return fall_back(panel, self.name, "no_box_has_an_area")
        point = self.options.answer == "point" or (
            self.options.answer == "auto" and all(len(each) == 2 for each in numbers)
        )
        best = _nearest(boxes, voting)
        return await self._verdict(panel, voting, found, point, best)

    async def _verdict(
        self, panel: Panel, voting: Sequence[Voter], found: Consensus, point: bool, best: Voter
    ) -> Verdict:
        corners = found.point if point else (found.region.x1, found.region.y1, found.region.x2, found.region.y2)
        answer = printed(corners)
        counts = [sum(voter.place == place for voter in voting) for place in range(len(panel.classes))]
        ranking = ordered(
            panel,
            voting,
            lambda place: (float(place == best.place), float(counts[place])),
            lambda place: float(counts[place]),
        )
        verdict = present(panel, ranking, len(voting), best.index)
        known = {v.candidate.extraction.answer for v in voting if v.candidate.extraction is not None}
        return replace(
            verdict,
            answer=answer,
            support=found.share,
            novel=answer not in known,
            warnings=unweighted(panel, self.name),
            notes=(f"{found.votes} of {len(voting)} boxes cover the consensus {_box(found)}",),
        )


def _nearest(boxes: Sequence[Box], voting: Sequence[Voter]) -> Voter:
    """The voter with the most votes within its own box, in the mean over its area; ties go to the smallest index.

    The votes within a box add up to what it shares with every box, itself included.
    """
    means = {box: math.fsum(shared(box, other) for other in boxes) / box.area for box in dict.fromkeys(boxes)}
    return min(zip(voting, boxes, strict=True), key=lambda pair: (-means[pair[1]], pair[0].index))[0]


def _coordinates(voter: Voter) -> tuple[float, ...] | None:
    found = voter.candidate.extraction
    key = found.key if found else None
    return key if isinstance(key, tuple) and len(key) in (2, 4) and all(isinstance(x, float) for x in key) else None


def _box(found: Consensus) -> str:
    return printed((found.region.x1, found.region.y1, found.region.x2, found.region.y2))
