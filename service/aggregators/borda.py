"""The Borda vote: each sample's vote weighs what its rank by a statistic says."""

import math
from dataclasses import replace

from pydantic import BaseModel, Field

from service.aggregators.ballot import MAX_WEIGHT, rank_weights
from service.aggregators.base import Ask, Panel, Verdict
from service.aggregators.measures import MeasuredOptions, Statistic, needs_of, needs_of_options
from service.aggregators.weighing import by_weight, score, unscored
from workers.wire.messages import Provides


class BordaOptions(MeasuredOptions):
    """`statistic`: what ranks the samples. `p`: how steeply ranks weigh, 0 is the plain vote; None: by their number.

    `reward_model`: the pool that scores the samples, see `MeasuredOptions`.
    """

    statistic: Statistic = "self_certainty"
    p: float | None = Field(default=None, ge=0.0, le=20.0)


class Borda:
    """argmax over classes of the sum of (N - r + 1)^p, r the sample's rank by a statistic (arXiv 2502.18581).

    N is the number of voting samples that have the statistic; the most confident has rank 1. Samples of one value share
    the mean of their ranks' weights. p 0 is the plain vote, a large p the most confident sample alone. Where p is not
    given it is 0.5 + 0.7 * log2(N / 8) / 3, within 0.3 and 1.2: the paper's table has its best accuracy at about 0.3 to
    0.7 for 8 samples and at 1.2 for 64, and the line between them is straight in log N. Needs the statistic. Unlike in
    the paper's code, samples without an answer hold no rank: what does not vote changes nothing.

    A vote more for the winner that is at least as confident as every other never unseats it. One that is less so can,
    for it lifts the weight of all above it. p = 1, the most confident first: A C D E F G B B B B. A has 10, B has
    4 + 3 + 2 + 1 = 10, and A's sample comes first. One more A, the least confident: A has 11 + 1, B has 5 + 4 + 3 + 2.
    """

    name = "borda"
    Options: type[BaseModel] = BordaOptions
    needs: frozenset[Provides] = needs_of(["self_certainty"])
    counts_votes = False
    calls = "0"

    def __init__(self, options: BordaOptions) -> None:
        self.options = options
        self.needs = needs_of_options(options, options.statistic)

    def max_calls(self, n: int) -> int:
        """None."""
        return 0

    async def aggregate(self, panel: Panel, ask: Ask) -> Verdict:
        """The class of the most weight."""
        found = score(panel, self.options.statistic)
        if not found.voters:
            return unscored(panel, self.name, self.options.statistic)
        p = power(len(found.values)) if self.options.p is None else self.options.p
        heaviest = max(1.0, len(found.values) ** p / MAX_WEIGHT)
        weights = rank_weights(found.values, lambda k: k**p / heaviest)
        verdict = by_weight(panel, self.name, found, weights)
        return replace(verdict, notes=(f"p = {p:.3g} over {len(found.values)} ranks",))


def power(n: int) -> float:
    """The p for n samples where none is given."""
    return min(1.2, max(0.3, 0.5 + 0.7 * math.log2(n / 8) / 3))
