"""Self-check: samples in which the model itself finds a mistake do not vote."""

import math
from collections.abc import Sequence
from dataclasses import replace

from pydantic import BaseModel, Field

from service.aggregators import ballot, base
from service.aggregators.counting import fall_back, plurality
from service.aggregators.replies import last_word, said, unusable
from service.aggregators.verdicts import of_weights
from service.aggregators.verifying import ask_of_each, first_failure
from workers.wire.messages import Provides, Sample, Sampling

PHRASE = "the solution is"
MEANINGS = {
    "correct": True,
    "right": True,
    "wrong": False,
    "incorrect": False,
    "not correct": False,
    "not right": False,
}


class SelfCheckOptions(base.AskingOptions):
    """`most`: so many samples are checked, in index order; the others vote unchecked. `max_tokens`: of a reply."""

    most: int = Field(default=16, ge=1, le=64)
    max_tokens: int = Field(default=512, ge=1, le=32_768)


class SelfCheck:
    """One greedy call a sample asks for a mistake in it; those judged wrong do not vote (after arXiv 2310.04815).

    A reply that cannot be read leaves its sample in. If none is left all vote, with a warning; if no reply can be read
    the plain vote stands in. A model is a weak critic just where it is unsure. `facts`: `judged_wrong`, the share of
    checked samples that were left out.
    """

    name = "self_check"
    Options: type[BaseModel] = SelfCheckOptions
    needs: frozenset[Provides] = frozenset()
    counts_votes = False
    calls = "1 a voting sample, `most` at most; none where all agree"

    def __init__(self, options: SelfCheckOptions) -> None:
        self.options = options

    def max_calls(self, n: int) -> int:
        """One a sample."""
        return min(self.options.most, n)

    def calls_for(self, votes: Sequence[int], provides: frozenset[Provides]) -> int:
        """One a sample."""
        return min(self.options.most, sum(votes)) if len(votes) > 1 else 0

    async def aggregate(self, panel: base.Panel, ask: base.Ask) -> base.Verdict:
        """The vote of those that are left."""
        if len(panel.classes) < 2:
            return plurality(panel)
        checked = panel.voters[: self.options.most]
        sampling = Sampling(temperature=0.0, max_tokens=self.options.max_tokens)
        replies = await ask_of_each(panel, ask, self.name, checked, sampling, self.options)
        verdicts = [_verdict(reply) for (reply,) in replies]
        if all(verdict is None for verdict in verdicts):
            return fall_back(panel, self.name, first_failure(replies))
        wrong = {c.sample.index for c, verdict in zip(checked, verdicts, strict=True) if verdict is False}
        facts = {"judged_wrong": len(wrong) / len(checked)}
        voting = ballot.voters(panel)
        left = [voter for voter in voting if voter.index not in wrong]
        weights = {c.answer: math.fsum(v.weight for v in left if v.index in c.members) for c in panel.classes}
        if not any(weights.values()):
            plain = plurality(panel)
            kept = (*plain.warnings, "every sample was judged wrong: all of them vote")
            return base.with_facts(replace(plain, warnings=kept), facts)
        return base.with_facts(of_weights(panel, weights), facts)


def _verdict(reply: Sample) -> bool | None:
    """True if the reply finds the solution correct; None if it cannot be read."""
    return None if unusable(reply) else last_word(said(reply), MEANINGS, PHRASE)
