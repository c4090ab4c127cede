"""FOBAR: forward votes and backward questions in one score."""

import asyncio
import math
import re
from decimal import Decimal, InvalidOperation

from pydantic import BaseModel, Field

from service.aggregators import base
from service.aggregators.counting import fall_back, plurality
from service.aggregators.prompt import fill
from service.aggregators.replies import said, unusable
from service.aggregators.verdicts import near_tie, of_weights, top_classes, votes_of
from service.candidates import AnswerClass
from service.fencing import disarm
from workers.wire.messages import Provides, Sample, Sampling

MAX_QUESTION_CHARS = 20_000
EPSILON = 1e-8
_NUMBER = re.compile(r"(?<![\w.,])\d{1,15}(?:,\d{3}){0,4}(?:\.\d{1,10})?(?![\w]|[.,]\d)")
_UNKNOWN = re.compile(r"value of x is[^\d-]{0,8}(-?\d{1,15}(?:,\d{3}){0,4}(?:\.\d{1,10})?)", re.IGNORECASE)


class FobarOptions(base.AskingOptions):
    """`alpha`: the forward votes' part in the score. `masks`: numbers of the question that are hidden, one at a time.

    `backward`: samples of each backward question, at `temperature`. `classes`: at most so many are checked. `margin`:
    backward questions are asked only where (first - second) / votes is at most this. `max_tokens`: of a reply.
    """

    alpha: float = Field(default=0.5, ge=0.0, le=1.0)
    masks: int = Field(default=2, ge=1, le=8)
    backward: int = Field(default=8, ge=1, le=32)
    classes: int = Field(default=3, ge=2, le=8)
    margin: float = Field(default=0.5, ge=0.0, le=1.0)
    temperature: float = Field(default=0.7, ge=0.0, le=2.0)
    max_tokens: int = Field(default=512, ge=1, le=32_768)


class Fobar:
    """argmax over classes of P_f^alpha x P_b^(1 - alpha) (arXiv 2308.07758).

    P_f(a) is the class's share of votes. For P_b a number of the question is replaced by x, and the model is asked for
    it from the question and the answer a: Z_a of the replies, over all masks, find it, and
    P_b(a) = (Z_a + eps / |A|) / (sum Z + eps), eps = 1e-8. Which numbers are hidden follows from the seed. A question
    without a number is decided by the vote, as is a clear one. A number that does not determine the answer tells
    nothing. If every call fails the plain vote stands in. `facts`: `recovered`, the share of replies that found x.
    """

    name = "fobar"
    Options: type[BaseModel] = FobarOptions
    needs: frozenset[Provides] = frozenset()
    counts_votes = False
    calls = "classes x masks x backward; none where the vote is clear or the question has no number"

    def __init__(self, options: FobarOptions) -> None:
        self.options = options

    def max_calls(self, n: int) -> int:
        """Classes x masks x backward."""
        return min(self.options.classes, n) * self.options.masks * self.options.backward

    async def aggregate(self, panel: base.Panel, ask: base.Ask) -> base.Verdict:
        """The class of the best score; the plain vote where backward questions cannot tell."""
        hidden = self._hidden(panel)
        if not hidden or not near_tie(panel, self.options.margin):
            return plurality(panel)
        checked = top_classes(panel, self.options.classes)
        jobs = [self._recover(panel, ask, each, mask) for each in checked for mask in hidden]
        found = await asyncio.gather(*jobs)
        replies = [reply for _, group in found for reply in group]
        if all(unusable(reply) for reply in replies):
            failed = next((r.failure for r in replies if r.failure is not None), None)
            return fall_back(panel, self.name, f"call_failed:{failed.kind.value}" if failed else "reply_empty")
        hits = [sum(found[i * len(hidden) + j][0] for j in range(len(hidden))) for i in range(len(checked))]
        facts = {"recovered": sum(hits) / len(replies)}
        return base.with_facts(of_weights(panel, self._scores(panel, checked, hits)), facts)

    def _scores(self, panel: base.Panel, checked: tuple[AnswerClass, ...], hits: list[int]) -> dict[str, float]:
        votes, total = [votes_of(panel, each) for each in checked], sum(hits)
        alpha = self.options.alpha
        scores = {}
        for each, count, hit in zip(checked, votes, hits, strict=True):
            forward = count / math.fsum(votes)
            backward = (hit + EPSILON / len(checked)) / (total + EPSILON)
            scores[each.answer] = math.pow(forward, alpha) * math.pow(backward, 1.0 - alpha)
        return scores

    def _hidden(self, panel: base.Panel) -> list["re.Match[str]"]:
        """The numbers to hide, in the order of the question."""
        found = list(_NUMBER.finditer(panel.task.question[:MAX_QUESTION_CHARS]))
        drawn = panel.rng(self.name).sample(found, min(self.options.masks, len(found)))
        return sorted(drawn, key=lambda mask: mask.start())

    async def _recover(
        self, panel: base.Panel, ask: base.Ask, checked: AnswerClass, mask: "re.Match[str]"
    ) -> tuple[int, tuple[Sample, ...]]:
        """How many replies find the hidden number, and the replies."""
        question = panel.task.question
        masked = question[: mask.start()] + "x" + question[mask.end() :]
        prompt = fill(panel, self.name, None, question=masked, answer=disarm(checked.answer)[:200])
        sampling = Sampling(temperature=self.options.temperature, max_tokens=self.options.max_tokens, seed=panel.seed)
        replies = await ask(prompt, sampling, self.options.backward, model=self.options.judge_model)
        wanted = _value(mask[0])
        return sum(_found(reply) == wanted for reply in replies), replies


def _found(reply: Sample) -> Decimal | None:
    """The last value of x that the reply names."""
    named = [] if unusable(reply) else _UNKNOWN.findall(said(reply))
    return _value(named[-1]) if named else None


def _value(text: str) -> Decimal | None:
    try:
        return Decimal(text.replace(",", ""))
    except InvalidOperation:
        return None
