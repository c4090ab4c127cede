"""The majority of the bests: the answer that best-of-m gives most often."""

import math
from dataclasses import replace

from pydantic import BaseModel, Field

from service.aggregators.ballot import rank_weights
from service.aggregators.base import Ask, Panel, Verdict
from service.aggregators.measures import MeasuredOptions, Statistic, needs_of, needs_of_options
from service.aggregators.weighing import by_weight, score, unscored
from workers.wire.messages import Provides


class MajorityOfBestsOptions(MeasuredOptions):
    """`statistic`: what the best sample is best by. `m`: samples drawn each time; None: ceil(sqrt(N)).

    `reward_model`: the pool that scores the samples, see `MeasuredOptions`.
    """

    statistic: Statistic = "self_certainty"
    m: int | None = Field(default=None, ge=1, le=10_000)


class MajorityOfBests:
    """The mode of best-of-m over samples drawn with replacement (Majority of the Bests, arXiv 2511.18630).

    In closed form: the sample of rank r (1 the best) of N is the best of m draws with the probability
    ((N - r + 1)^m - (N - r)^m) / N^m; these are the weights, summed per class. Samples of one value share their ranks'
    probability evenly. m = 1 is the plain vote, m to infinity best-of-n, and between them this is about a Borda vote
    with p = m - 1. Made for a score that is often right and sometimes fooled, such as a reward model's. Needs the
    statistic.

    A vote more for the winner that is at least as good as every other never unseats it. One that is worse can, for it
    lifts the weight of all above it. m = 2, the best first: A C D B B B, with weights 11 9 7 5 3 1 of 36: A has 11, B
    has 9. Three more A, the worst: of nine, A has 17 + 5 + 3 + 1 = 26, B has 11 + 9 + 7 = 27.
    """

    name = "majority_of_bests"
    Options: type[BaseModel] = MajorityOfBestsOptions
    needs: frozenset[Provides] = needs_of(["self_certainty"])
    counts_votes = False
    calls = "0"

    def __init__(self, options: MajorityOfBestsOptions) -> None:
        self.options = options
        self.needs = needs_of_options(options, options.statistic)

    def max_calls(self, n: int) -> int:
        """None."""
        return 0

    async def aggregate(self, panel: Panel, ask: Ask) -> Verdict:
        """The class that is most often the best's."""
        found = score(panel, self.options.statistic)
        if not found.voters:
            return unscored(panel, self.name, self.options.statistic)
        n = len(found.values)
        m = self.options.m or math.isqrt(n - 1) + 1
        # Of whole numbers only the quotient is rounded, however large the powers are.
        weights = rank_weights(found.values, lambda k: (k**m - (k - 1) ** m) / n**m)
        verdict = by_weight(panel, self.name, found, weights)
        return replace(verdict, notes=(f"m = {m} of {n}",))
