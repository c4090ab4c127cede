"""The weighted vote: each sample's vote weighs what a statistic of it says."""

from pydantic import BaseModel, Field

from service.aggregators.base import Ask, Panel, Verdict, Weigh
from service.aggregators.measures import (
    MEASURES,
    MeasuredOptions,
    Statistic,
    needs_of,
    needs_of_options,
    value_of,
    weights_of,
)
from service.aggregators.weighing import by_weight, score, unscored
from workers.wire.messages import Provides, Sample


class WeightedVoteOptions(MeasuredOptions):
    """`statistic`: what a vote weighs. `temperature`: of a softmax over the samples; None: the table's weight.

    `reward_model`: the pool that scores the samples, see `MeasuredOptions`.
    """

    statistic: Statistic = "mean_logprob"
    temperature: float | None = Field(default=None, gt=0.0, le=1_000.0)


class WeightedVote:
    """argmax over classes of the sum of w_i: the answer whose samples weigh most (arXiv 2203.11171, section 3.1).

    w_i is the statistic as a weight: a probability (e^x of a log-likelihood, e^-x of an entropy, P(True), a stated
    confidence), a confidence in nats as it is, or the logistic function of a reward score. With a `temperature` T it is
    e^(x_i / T) over the sum of these, CISC's softmax (arXiv 2502.06233): T to infinity is the plain vote, a small T the
    best sample alone; tune it on data. Needs the statistic; other answers than the plain vote's are only as good as
    that statistic is at telling right from wrong samples of one question.

    A vote more for the winner never unseats it, whatever it weighs. A sample without the statistic weighs nothing.
    """

    name = "weighted_vote"
    Options: type[BaseModel] = WeightedVoteOptions
    needs: frozenset[Provides] = needs_of(["mean_logprob"])
    counts_votes = False
    calls = "0"

    def __init__(self, options: WeightedVoteOptions) -> None:
        self.options = options
        self.needs = needs_of_options(options, options.statistic)

    @property
    def absolute_weight(self) -> Weigh | None:
        """What a sample weighs, where that depends on it alone: not of a softmax, nor of nats, which have no bound."""
        relative = self.options.temperature is not None
        return None if relative or not MEASURES[self.options.statistic].within_one else self._weight

    def _weight(self, sample: Sample) -> float | None:
        """A score that another pool did not give may have come too late, which says something of the sample."""
        value = value_of(sample, self.options.statistic)
        if value is None:
            return None if self.options.reward_model is not None else 0.0
        return weights_of([value], self.options.statistic)[0]

    def max_calls(self, n: int) -> int:
        """None."""
        return 0

    async def aggregate(self, panel: Panel, ask: Ask) -> Verdict:
        """The class of the most weight."""
        found = score(panel, self.options.statistic)
        if not found.voters:
            return unscored(panel, self.name, self.options.statistic)
        weights = weights_of(found.values, self.options.statistic, self.options.temperature)
        return by_weight(panel, self.name, found, weights)
