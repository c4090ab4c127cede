"""Best of n: the one sample that a statistic likes best."""

from dataclasses import replace

from pydantic import BaseModel

from service.aggregators.ballot import ordered, present, voters
from service.aggregators.base import Ask, Panel, Verdict
from service.aggregators.measures import MeasuredOptions, Scored, Statistic, needs_of, needs_of_options, weights_of
from service.aggregators.weighing import score, unscored, unweighted
from workers.wire.messages import Provides

TIE = "tie: of the best samples the one with the smallest index was chosen"


class BestOfNOptions(MeasuredOptions):
    """`statistic`: what the best sample is best by.

    `reward_model`: the pool that scores the samples, see `MeasuredOptions`.
    """

    statistic: Statistic = "self_certainty"


class BestOfN:
    """The answer and the text of the sample with the best statistic: argmax over samples of s_i.

    By self-certainty (arXiv 2502.18581), a reward model's score, or the mean log-likelihood (soft self-consistency,
    arXiv 2402.13212); for answers that no two samples share, such as commands or programs. Where answers can be
    compared it loses to the vote (2502.18581: 52.7 against 56.2 on average), and to the weighted vote from about 8
    samples on, for a score's mistakes are what a maximum finds. Needs the statistic.

    Ties go to the smallest sample index. Classes are ranked by their best sample, which their `weight` is that of. A
    vote more for the winner never unseats it. A sample without the statistic is never the best.
    """

    name = "best_of_n"
    Options: type[BaseModel] = BestOfNOptions
    needs: frozenset[Provides] = needs_of(["self_certainty"])
    counts_votes = False
    calls = "0"

    def __init__(self, options: BestOfNOptions) -> None:
        self.options = options
        self.needs = needs_of_options(options, options.statistic)

    def max_calls(self, n: int) -> int:
        """None."""
        return 0

    async def aggregate(self, panel: Panel, ask: Ask) -> Verdict:
        """The best sample's class."""
        found = score(panel, self.options.statistic)
        if not found.voters:
            return unscored(panel, self.name, self.options.statistic)
        best = _best(found)
        weights = dict(zip(found.values, weights_of(found.values, self.options.statistic), strict=True))
        ranking = ordered(
            panel,
            voters(panel),
            lambda place: (best[place][0], -best[place][1]) if place in best else (float("-inf"), 0.0),
            lambda place: weights[best[place][0]] if place in best else 0.0,
        )
        most = max(found.values)
        chosen = min(v.index for v, value in zip(found.voters, found.values, strict=True) if value == most)
        tied = (TIE,) if found.values.count(most) > 1 else ()
        verdict = present(panel, ranking, len(voters(panel)), chosen)
        return replace(verdict, warnings=(*tied, *found.warnings, *unweighted(panel, self.name)))


def _best(found: Scored) -> dict[int, tuple[float, int]]:
    """By class, the best value and the smallest index that has it."""
    best: dict[int, tuple[float, int]] = {}
    for voter, value in zip(found.voters, found.values, strict=True):
        if voter.place not in best or value > best[voter.place][0]:
            best[voter.place] = value, voter.index
    return best
