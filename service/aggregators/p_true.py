"""P(True): the model says how likely each proposed answer is to be right."""

import asyncio
import math
from collections.abc import Sequence

from pydantic import BaseModel, Field

from service.aggregators import base
from service.aggregators.counting import fall_back, plurality
from service.aggregators.prompt import fill
from service.aggregators.verdicts import of_weights, top_classes, votes_of
from service.candidates import AnswerClass
from service.fencing import disarm
from workers.wire.messages import Provides, Sample, Sampling

LETTERS = ("(A)", "(B)")
ORDERS = ("(A) True\n(B) False", "(A) False\n(B) True")
"""The options in their standard order, and swapped; the first letter stands for True, and then for False."""

MAX_IDEA_CHARS = 200


class PTrueOptions(base.AskingOptions):
    """`classes`: so many are judged, the largest first. `ideas`: so many of the samples' answers are shown as ideas."""

    classes: int = Field(default=4, ge=2, le=16)
    ideas: int = Field(default=5, ge=0, le=32)


class PTrue:
    """Each class weighs its votes times P(True), the mean over both orders of the options (arXiv 2207.05221).

    The model is shown the question, some of its own answers as ideas and the proposed answer, and
    P(True) = p("(A)") / (p("(A)") + p("(B)")) of its next words. One call a class and order, and not one a sample.
    Classes beyond the largest `classes` weigh nothing. Where a call fails the plain vote stands in. `facts`:
    `order_flip`, the share of classes whose verdict (above or below 1/2) changed with the order.
    """

    name = "p_true"
    Options: type[BaseModel] = PTrueOptions
    needs: frozenset[Provides] = frozenset({Provides.OPTION_LOGPROBS})
    counts_votes = False
    calls = "2 x classes, of at most `classes`; none where all agree"

    def __init__(self, options: PTrueOptions) -> None:
        self.options = options

    def max_calls(self, n: int) -> int:
        """Two for each class."""
        return 2 * min(self.options.classes, n)

    def calls_for(self, votes: Sequence[int], provides: frozenset[Provides]) -> int:
        """Two for each class."""
        return 2 * min(self.options.classes, len(votes)) if len(votes) > 1 else 0

    async def aggregate(self, panel: base.Panel, ask: base.Ask) -> base.Verdict:
        """The class of the largest weight."""
        judged = top_classes(panel, self.options.classes)
        if len(panel.classes) < 2:
            return plurality(panel)
        asked = [self._judge(panel, ask, each, order) for each in judged for order in ORDERS]
        replies = await asyncio.gather(*asked)
        odds = [_first_likelihood(reply) for reply in replies]
        likely = [value for value in odds if value is not None]
        if len(likely) < len(odds):
            failed = next((r.failure for r in replies if r.failure is not None), None)
            reason = f"call_failed:{failed.kind.value}" if failed else "reply_without_likelihoods"
            return fall_back(panel, self.name, reason)
        pairs = [(likely[at], 1.0 - likely[at + 1]) for at in range(0, len(likely), 2)]
        weights = {c.answer: votes_of(panel, c) * (a + b) / 2 for c, (a, b) in zip(judged, pairs, strict=True)}
        flips = sum((a > 0.5) != (b > 0.5) for a, b in pairs) / len(pairs)
        return base.with_facts(of_weights(panel, weights), {"order_flip": flips})

    async def _judge(self, panel: base.Panel, ask: base.Ask, proposed: AnswerClass, order: str) -> Sample:
        answers = [c.extraction.answer for c in panel.voters if c.extraction is not None]
        room = min(self.options.ideas, self.options.max_shown_chars // MAX_IDEA_CHARS - 1)
        ideas = panel.rng(self.name).sample(answers, min(room, len(answers)))
        prompt = fill(
            panel,
            "p_true",
            ideas="\n".join(disarm(idea)[:MAX_IDEA_CHARS] for idea in ideas),
            answer=disarm(proposed.answer)[:MAX_IDEA_CHARS],
            options=order,
        )
        sampling = Sampling(temperature=0.0, options=LETTERS)
        (reply,) = await ask(prompt, sampling, model=self.options.judge_model)
        return reply


def _first_likelihood(reply: Sample) -> float | None:
    """p(first option) / (p(first) + p(second)); None if the reply does not tell."""
    if reply.failure is not None or len(reply.option_logprobs) != len(LETTERS):
        return None
    first, second = reply.option_logprobs
    return 1.0 / (1.0 + math.exp(min(700.0, second - first)))
