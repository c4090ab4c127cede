"""The maximum a posteriori vote: each vote weighs the evidence that its model and its score are."""

import math
from dataclasses import replace
from typing import Annotated, Self

from pydantic import BaseModel, Field, model_validator

from service.aggregators import base
from service.aggregators.ballot import Voter, voters
from service.aggregators.base import Ask, Panel, Verdict
from service.aggregators.counting import plurality
from service.aggregators.measures import MEASURES, Scored, Statistic, needs_of, scored
from service.aggregators.weighing import by_weight
from workers.wire.messages import Provides

MOST_EVIDENCE = 3.0
"""No vote weighs more than this log-odds for or against: reliabilities and densities are estimates."""

Reliability = Annotated[float, Field(ge=0.001, le=0.999)]


class Normal(base.Options):
    """A normal distribution of a statistic, on its own scale."""

    mean: float = Field(allow_inf_nan=False, ge=-1e6, le=1e6)
    sd: float = Field(allow_inf_nan=False, ge=1e-6, le=1e6)

    def log_density(self, x: float) -> float:
        """The logarithm of the density at x, but for the constant that all normal distributions share."""
        return -((x - self.mean) ** 2) / (2 * self.sd**2) - math.log(self.sd)


class Scores(base.Options):
    """How a statistic is distributed over right and over wrong samples: measured on labelled data."""

    statistic: Statistic
    right: Normal
    wrong: Normal

    @model_validator(mode="after")
    def _tells(self) -> Self:
        if self.right == self.wrong:
            raise ValueError("right and wrong samples have the same distribution: the scores say nothing")
        return self


class MapOptions(base.Options):
    """`reliability`: how often a sample is right; `reliabilities`: the same by model, where a plan has several.

    `scores`: a statistic as evidence. `answers`: how many answers a question has, 2 or more; None: the choices, else
    the distinct answers given.
    """

    reliability: Reliability = 0.7
    reliabilities: dict[str, Reliability] = Field(default={}, max_length=64)
    scores: Scores | None = None
    answers: int | None = Field(default=None, ge=2, le=1_000_000)


class Map:
    """argmax over classes of the sum of w_i = log(q_i (m - 1) / (1 - q_i)) + log(f1(s_i) / f0(s_i)), within +-3.

    q_i is how often the sample's model is right, m how many answers there are, f1 and f0 the densities of the sample's
    statistic given that it is right and wrong. For independent samples whose mistakes spread evenly over the other
    answers it is the most probable answer (calibrated weights, arXiv 2510.13918; optimal weights, arXiv 2510.01499).
    Members of an ensemble that make the same mistakes are over-weighed by it: there, weights fitted to the ensemble's
    own accuracy do better.

    With one q above 1 / m and no scores it is the plain vote; below it, samples are evidence against their answer, and
    weights are negative. A sample without the statistic votes by its q alone. Needs the statistic of `scores`, if
    given.

    A vote more for the winner never unseats it if its weight is not negative; one of negative weight is evidence
    against it. A vote's member weight multiplies it.
    """

    name = "map"
    Options: type[BaseModel] = MapOptions
    needs: frozenset[Provides] = frozenset()
    counts_votes = False
    calls = "0"

    def __init__(self, options: MapOptions) -> None:
        self.options = options
        self.needs = needs_of([options.scores.statistic]) if options.scores else frozenset()

    def max_calls(self, n: int) -> int:
        """None."""
        return 0

    async def aggregate(self, panel: Panel, ask: Ask) -> Verdict:
        """The class of the most evidence."""
        voting = voters(panel)
        if not voting:
            return plurality(panel)
        m = self.options.answers or len(panel.task.choices or ()) or len({voter.place for voter in voting})
        found = self._scored(voting)
        values = dict(zip((voter.index for voter in found.voters), found.values, strict=True))
        weights = [self._evidence(voter, values.get(voter.index), max(m, 2)) for voter in voting]
        everyone = Scored(voting, (), self._unscored(len(voting) - len(found.voters)))
        verdict = by_weight(panel, self.name, everyone, weights, least=-MOST_EVIDENCE)
        return replace(verdict, notes=(f"m = {max(m, 2)}",))

    def _scored(self, voting: tuple[Voter, ...]) -> Scored:
        return scored(voting, self.options.scores.statistic) if self.options.scores else Scored(voting[:0], (), ())

    def _unscored(self, lacking: int) -> tuple[str, ...]:
        if self.options.scores is None or not lacking:
            return ()
        return (f"{lacking} votes weigh by their model alone: their samples have no {self.options.scores.statistic}",)

    def _evidence(self, voter: Voter, turned: float | None, m: int) -> float:
        q = self.options.reliabilities.get(voter.candidate.source or "", self.options.reliability)
        evidence = math.log(q * (m - 1) / (1 - q))
        if self.options.scores is not None and turned is not None:
            value = turned * MEASURES[self.options.scores.statistic].turn
            evidence += self.options.scores.right.log_density(value) - self.options.scores.wrong.log_density(value)
        return min(max(evidence, -MOST_EVIDENCE), MOST_EVIDENCE)
