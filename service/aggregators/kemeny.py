"""Kemeny: the ranking of the answers that contradicts the rankings of several criteria least."""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

from pydantic import BaseModel, Field, field_validator

from service.aggregators import base
from service.aggregators.ballot import Voter, ordered, present, voters
from service.aggregators.base import Ask, Panel, Verdict
from service.aggregators.counting import plurality
from service.aggregators.measures import Statistic, needs_of, value_of
from workers.wire.messages import Provides

MAX_EXACT = 8
"""Up to so many classes the best of all rankings is found; beyond, Borda's."""

Matrix = tuple[tuple[int, ...], ...]


class KemenyOptions(base.Options):
    """`statistics`: each ranks the answers, by the best sample of each. `vote`: so do the votes."""

    statistics: tuple[Statistic, ...] = Field(default=("mean_logprob", "tail_confidence"), min_length=1, max_length=12)
    vote: bool = True

    @field_validator("statistics")
    @classmethod
    def _once_each(cls, given: tuple[Statistic, ...]) -> tuple[Statistic, ...]:
        if len(set(given)) < len(given):
            raise ValueError("a statistic is named twice")
        return given


class Kemeny:
    """Fuses rankings of the answers by several statistics and by the votes (Kemeny-Young, as in arXiv 2202.03799).

    Each criterion ranks the classes: the vote by the weight of their votes, a statistic by the best sample of each, so
    that no scales need be compared. The consensus is the ranking with the fewest contradictions: pairs that a criterion
    has the other way round, over all criteria. Exact to 8 classes, by dynamic programming over subsets; beyond, by
    Borda's points: for each criterion and class the classes behind it, half for those level with it. Needs the
    statistics; with an even number of criteria ties are common.

    A class's weight is how many classes are behind it in the consensus, and 1. Of equally good rankings the one that
    has the smallest sample index first is taken. A class without a statistic is last by it. A vote more for the winner
    never unseats it: it can lift the winner in any criterion and moves no other pair.
    """

    name = "kemeny"
    Options: type[BaseModel] = KemenyOptions
    needs: frozenset[Provides] = needs_of(["mean_logprob", "tail_confidence"])
    counts_votes = False
    calls = "0"

    def __init__(self, options: KemenyOptions) -> None:
        self.options = options
        self.needs = needs_of(options.statistics)

    def max_calls(self, n: int) -> int:
        """None."""
        return 0

    async def aggregate(self, panel: Panel, ask: Ask) -> Verdict:
        """The first of the consensus."""
        voting = voters(panel)
        if not voting:
            return plurality(panel)
        places = sorted({voter.place for voter in voting}, key=lambda place: panel.classes[place].members[0])
        criteria = [_by_statistic(voting, places, statistic) for statistic in self.options.statistics]
        lacking = [
            name for name, found in zip(self.options.statistics, criteria, strict=True) if float("-inf") in found
        ]
        if self.options.vote:
            criteria.append([math.fsum(v.weight for v in voting if v.place == place) for place in places])
        wins = _wins(criteria, len(places))
        order, tied = _exact(wins) if len(places) <= MAX_EXACT else _by_points(wins)
        behind = {places[position]: len(places) - rank for rank, position in enumerate(order)}
        ranking = ordered(panel, voting, lambda place: (float(behind[place]),), lambda place: float(behind[place]))
        warnings = [f"answers without {name} are last by it" for name in lacking]
        if tied:
            warnings.insert(0, "tie: of equally good rankings the one with the smallest sample index first was chosen")
        return replace(
            present(panel, ranking, len(voting)),
            warnings=tuple(warnings),
            notes=() if len(places) <= MAX_EXACT else (f"more than {MAX_EXACT} answers: Borda's points",),
        )


def _by_statistic(voting: Sequence[Voter], places: Sequence[int], statistic: Statistic) -> list[float]:
    """Each class's best value, turned so that more is better."""
    best = dict.fromkeys(places, float("-inf"))
    for voter in voting:
        value = value_of(voter.candidate.sample, statistic)
        if value is not None:
            best[voter.place] = max(best[voter.place], value)
    return list(best.values())


def _wins(criteria: Sequence[Sequence[float]], k: int) -> Matrix:
    """How many criteria have a before b."""
    return tuple(tuple(sum(c[a] > c[b] for c in criteria) for b in range(k)) for a in range(k))


def _exact(wins: Matrix) -> tuple[tuple[int, ...], bool]:
    """The ranking that the most pairs of the criteria agree with; True if others with another first are as good."""

    @cache
    def best(left: frozenset[int]) -> int:
        return max((gain(first, left) for first in left), default=0)

    def gain(first: int, left: frozenset[int]) -> int:
        others = left - {first}
        return sum(wins[first][other] for other in others) + best(others)

    left, tied = frozenset(range(len(wins))), False
    order: list[int] = []
    while left:
        equal = [first for first in sorted(left) if gain(first, left) == best(left)]
        tied = tied or (not order and len(equal) > 1)
        order.append(equal[0])
        left -= {equal[0]}
    return tuple(order), tied


def _by_points(wins: Matrix) -> tuple[tuple[int, ...], bool]:
    """The order of Borda's points, doubled so that they are whole: wins less losses."""
    k = range(len(wins))
    points = [sum(wins[a][b] - wins[b][a] for b in k) for a in k]
    order = sorted(k, key=lambda a: (-points[a], a))
    return tuple(order), points[order[0]] == points[order[1]]
