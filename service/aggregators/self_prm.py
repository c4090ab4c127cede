"""Self-PRM: the model judges the steps of its own solutions, to break near ties and nothing else."""

import re
from collections.abc import Sequence

from pydantic import BaseModel, Field

from service.aggregators import base
from service.aggregators.counting import fall_back, plurality
from service.aggregators.replies import said, unusable
from service.aggregators.verdicts import is_close, member, near_tie, of_class, top_classes
from service.aggregators.verifying import ask_of_each, first_failure
from workers.wire.messages import Provides, Sample, Sampling

_STEP = re.compile(
    r"^\W{0,4}step \d{1,4}\W{1,4}(right|wrong)\b(?!\W{1,4}(?:or\W{1,4})?(?:right|wrong)\b)",
    re.IGNORECASE | re.MULTILINE,
)


class SelfPrmOptions(base.AskingOptions):
    """`margin`: a vote is a near tie if (first - second) / votes is at most this. `classes`: at most so many judged.

    `max_tokens`: of a reply.
    """

    margin: float = Field(default=0.2, ge=0.0, le=1.0)
    classes: int = Field(default=3, ge=2, le=8)
    max_tokens: int = Field(default=1024, ge=1, le=32_768)


class SelfPrm:
    """Of the classes within `margin` of the leader, the one whose first sample has the largest share of right steps.

    One greedy call a class judges each step right or wrong (after arXiv 2505.11227). Self-scores are worth little on
    hard questions, so a clear vote is never overridden: then no call is made. Equal scores go to the class with more
    votes, then to the smallest sample index. A reply without a judged step scores 0; if none can be read the plain vote
    stands in.
    """

    name = "self_prm"
    Options: type[BaseModel] = SelfPrmOptions
    needs: frozenset[Provides] = frozenset()
    counts_votes = False
    calls = "1 a class within the margin, `classes` at most; none where the vote is clear"

    def __init__(self, options: SelfPrmOptions) -> None:
        self.options = options

    def max_calls(self, n: int) -> int:
        """One a class."""
        return min(self.options.classes, n)

    def calls_for(self, votes: Sequence[int], provides: frozenset[Provides]) -> int:
        """One a class within the margin."""
        ranked = sorted(votes, reverse=True)[: self.options.classes]
        reach = max(votes, default=0) - self.options.margin * sum(votes)
        return sum(count >= reach for count in ranked) if is_close(votes, self.options.margin) else 0

    async def aggregate(self, panel: base.Panel, ask: base.Ask) -> base.Verdict:
        """The plain vote where it is clear; else the class whose steps hold best."""
        if not near_tie(panel, self.options.margin):
            return plurality(panel)
        ranked = top_classes(panel, self.options.classes)
        reach = len(ranked[0].members) - self.options.margin * len(panel.voters)
        close = [each for each in ranked if len(each.members) >= reach]
        sampling = Sampling(temperature=0.0, max_tokens=self.options.max_tokens)
        speakers = [member(panel, each) for each in close]
        replies = await ask_of_each(panel, ask, self.name, speakers, sampling, self.options)
        shares = [_share(reply) for (reply,) in replies]
        if all(share is None for share in shares):
            return fall_back(panel, self.name, first_failure(replies))
        best = max(range(len(close)), key=lambda i: (shares[i] or 0.0, -i))
        return of_class(panel, close[best])


def _share(reply: Sample) -> float | None:
    """The share of judged steps that are right; None if none is judged."""
    steps = [] if unusable(reply) else [found.lower() for found in _STEP.findall(said(reply))]
    return steps.count("right") / len(steps) if steps else None
