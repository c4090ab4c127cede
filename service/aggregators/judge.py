"""Judge: the model rates one sample of each answer from 0 to 9."""

import math
from collections.abc import Sequence
from dataclasses import replace

from pydantic import BaseModel, Field

from service.aggregators import base
from service.aggregators.contenders import Combine, contenders, of_scores
from service.aggregators.counting import fall_back, plurality
from service.aggregators.rank_statistics import facts_of
from service.aggregators.replies import last_rating, said, unusable
from service.aggregators.verifying import ask_of_each, first_failure
from workers.wire.messages import Provides, Sample, Sampling

DIGITS = tuple("0123456789")


class JudgeOptions(base.AskingOptions):
    """`most`: so many answers (or free texts) are rated. `likelihood`: the expected digit, by the digits' likelihoods;
    without it the digit that the judge writes. `combine`: votes times rating, or the rating alone. `abstain_below`: no
    answer is given if the winner's rating is below this.
    """

    most: int = Field(default=8, ge=1, le=64)
    likelihood: bool = True
    combine: Combine = "votes"
    abstain_below: float | None = Field(default=None, ge=0.0, le=9.0)


class Judge:
    """Rating = sum over digits of d x p(d) / sum of p(d) at the judge's first word (Self-J, arXiv 2409.01215).

    One call for the first sample of each answer. An untrained model's rating of its own work tells little, so by
    default it only weighs the votes; for free text, where each is alone, it decides. Anonymous and one at a time: there
    is no order to be biased by. Where a call fails the plain vote stands in. `facts`: `length_correlation`.
    """

    name = "judge"
    Options: type[BaseModel] = JudgeOptions
    counts_votes = False
    calls = "1 an answer, `most` at most; none where all agree"

    def __init__(self, options: JudgeOptions) -> None:
        self.options = options
        self.needs: frozenset[Provides] = frozenset({Provides.OPTION_LOGPROBS} if options.likelihood else ())

    def max_calls(self, n: int) -> int:
        """One an answer."""
        return min(self.options.most, n)

    def calls_for(self, votes: Sequence[int], provides: frozenset[Provides]) -> int:
        """One an answer."""
        least = 2 if self.options.abstain_below is None else 1
        return min(self.options.most, len(votes)) if len(votes) >= least else 0

    async def aggregate(self, panel: base.Panel, ask: base.Ask) -> base.Verdict:
        """The answer of the best weight; abstains with `low_score` if it is not good enough."""
        judged = contenders(panel, self.options.most)
        if len(judged) < 2 and self.options.abstain_below is None:
            return plurality(panel)
        options = DIGITS if self.options.likelihood else ()
        sampling = Sampling(temperature=0.0, max_tokens=8, options=options)
        replies = await ask_of_each(panel, ask, self.name, judged, sampling, self.options)
        found = [self._rating(reply) for (reply,) in replies]
        ratings = [rating for rating in found if rating is not None]
        if not judged or len(ratings) < len(found):
            return fall_back(panel, self.name, first_failure(replies)) if judged else plurality(panel)
        verdict = of_scores(panel, judged, ratings, self.options.combine)
        facts = facts_of(ratings, [c.sample.text for c in judged])
        best = next(r for c, r in zip(judged, ratings, strict=True) if c.sample.index == verdict.sample_index)
        if self.options.abstain_below is not None and best < self.options.abstain_below:
            verdict = replace(verdict, answer=None, text=None, sample_index=None, reason="low_score", support=0.0)
        return base.with_facts(verdict, facts)

    def _rating(self, reply: Sample) -> float | None:
        if not self.options.likelihood:
            digit = None if unusable(reply, whole=False) else last_rating(said(reply))
            return None if digit is None else float(digit)
        if reply.failure is not None or len(reply.option_logprobs) != len(DIGITS):
            return None
        most = max(reply.option_logprobs)
        likely = [math.exp(logprob - most) for logprob in reply.option_logprobs]
        return math.fsum(digit * p for digit, p in enumerate(likely)) / math.fsum(likely)
