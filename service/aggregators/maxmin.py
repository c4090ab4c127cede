"""MaxMin: the sample that fares well by every criterion."""

import math
from dataclasses import dataclass, replace
from typing import Annotated, Self

from pydantic import BaseModel, Field, StringConstraints, model_validator

from service.aggregators import base
from service.aggregators.ballot import Voter, ordered, present, voters
from service.aggregators.base import Ask, Panel, Verdict
from service.aggregators.measures import Statistic, needs_of, value_of
from service.aggregators.weighing import unscored, unweighted
from service.aggregators.welfare import EPSILON, WELFARES, Welfare, ranks_of
from workers.wire.messages import Provides

TIE = "tie: of the best samples the one with the smallest index was chosen"

Criterion = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Score = Annotated[float, Field(allow_inf_nan=False)]
Column = Annotated[tuple[Score, ...], Field(min_length=1, max_length=4_096)]


class MaxMinOptions(base.Options):
    """`statistics` and `scores` are the criteria; of scores, the k-th number is that of sample k, and more is better.

    `welfare`: how a sample's ranks by the criteria become one worth.
    """

    statistics: tuple[Statistic, ...] = Field(default=("mean_logprob", "tail_confidence"), max_length=12)
    scores: dict[Criterion, Column] = Field(default={}, max_length=32)
    welfare: Welfare = "leximin"

    @model_validator(mode="after")
    def _some_criterion(self) -> Self:
        names = [*self.statistics, *self.scores]
        if not names:
            raise ValueError("no criterion: name statistics, or give scores")
        if len(set(names)) < len(names):
            raise ValueError("a criterion is named twice")
        return self


class MaxMin:
    """The sample whose worst criterion is best: an adaptation of MaxMin-RLHF (arXiv 2402.08925) to choosing.

    By each criterion u the N samples have a rank r_u in [0, 1]: the share of the others that it is better than, half
    for those level with it. `maximin` takes argmax of min_u r_u; `leximin` then the next-worst criterion and so on;
    `nash` argmax of the sum of log(r_u + 0.001); `utilitarian` the mean. The reply's notes name the criterion by which
    the chosen sample is worst. One noisy criterion vetoes everything under the first two. Needs the statistics named.

    Ties go to the smallest sample index. Classes are ranked by their best sample; their weight is its least rank (the
    mean of its ranks for nash, geometric, and utilitarian). A sample that lacks a criterion is not chosen. A vote more
    for the winner that is at least as good as every other by every criterion never unseats it. One that is less so can:
    A (0, 1) and B (1, 0) are level, and A comes first; one more A (0.5, -0.5) makes the ranks (0, 1), (1, 0.5) and
    (0.5, 0), and B the winner under each welfare.
    """

    name = "maxmin"
    Options: type[BaseModel] = MaxMinOptions
    needs: frozenset[Provides] = needs_of(["mean_logprob", "tail_confidence"])
    counts_votes = False
    calls = "0"

    def __init__(self, options: MaxMinOptions) -> None:
        self.options = options
        self.needs = needs_of(options.statistics)

    def max_calls(self, n: int) -> int:
        """None."""
        return 0

    async def aggregate(self, panel: Panel, ask: Ask) -> Verdict:
        """The class of the sample that fares best."""
        everyone = voters(panel)
        columns = [self._values(voter) for voter in everyone]
        judged = [(v, column) for v, column in zip(everyone, columns, strict=True) if column is not None]
        if not judged:
            return unscored(panel, self.name, "criterion")
        names = [*self.options.statistics, *self.options.scores]
        fares = [
            Fare(voter, row, WELFARES[self.options.welfare](row))
            for (voter, _), row in zip(judged, ranks_of([column for _, column in judged]), strict=True)
        ]
        best: dict[int, Fare] = {}
        for fare in fares:
            if fare.voter.place not in best or fare.worth > best[fare.voter.place].worth:
                best[fare.voter.place] = fare
        most = max(fare.worth for fare in fares)
        equal = sorted((fare for fare in fares if fare.worth == most), key=lambda fare: fare.voter.index)
        ranking = ordered(
            panel,
            everyone,
            lambda place: (*best[place].worth, -best[place].voter.index) if place in best else (float("-inf"),),
            lambda place: best[place].shown(self.options.welfare) if place in best else 0.0,
        )
        chosen, lacking = equal[0], len(everyone) - len(judged)
        worst = min(range(len(names)), key=lambda place: chosen.ranks[place])
        warnings = [TIE] if len(equal) > 1 else []
        warnings += [f"{lacking} samples lack a criterion and are not chosen"] if lacking else []
        return replace(
            present(panel, ranking, len(everyone), chosen.voter.index),
            warnings=(*warnings, *unweighted(panel, self.name)),
            notes=(f"worst by {names[worst]}: better than {chosen.ranks[worst]:.0%} of the other samples",),
        )

    def _values(self, voter: Voter) -> tuple[float, ...] | None:
        """The voter's value by each criterion; None if it lacks one."""
        found = [value_of(voter.candidate.sample, statistic) for statistic in self.options.statistics]
        found += [column[voter.index] if voter.index < len(column) else None for column in self.options.scores.values()]
        values = tuple(value for value in found if value is not None)
        return values if len(values) == len(found) else None


@dataclass(frozen=True, slots=True)
class Fare:
    """A voter, its ranks by the criteria, and what these are worth together."""

    voter: Voter
    ranks: tuple[float, ...]
    worth: tuple[float, ...]

    def shown(self, welfare: str) -> float:
        """One number in [0, 1] for it."""
        if welfare == "nash":
            return math.exp(self.worth[0] / len(self.ranks)) - EPSILON
        return math.fsum(self.ranks) / len(self.ranks) if welfare == "utilitarian" else min(self.ranks)
