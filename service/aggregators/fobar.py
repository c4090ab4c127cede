"""FOBAR: forward votes and backward questions in one score."""

import asyncio
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from pydantic import BaseModel, Field

from service.aggregators import base
from service.aggregators.counting import fall_back, plurality
from service.aggregators.prompt import fill
from service.aggregators.replies import said, unusable
from service.aggregators.verdicts import is_close, near_tie, of_weights, top_classes, votes_of
from service.answer_types.number_words import find_words
from service.answer_types.options import list_in, offered
from service.candidates import AnswerClass, Task
from service.fencing import disarm
from workers.wire.messages import Provides, Sample, Sampling

MAX_QUESTION_CHARS = 20_000
MAX_VALUE_CHARS = 200
EPSILON = 1e-8
_NUMBER = re.compile(r"(?<![\w.,])\d{1,15}(?:,\d{3}){0,4}(?:\.\d{1,10})?(?![\w]|[.,]\d)")
_NAMED = re.compile(r"value of x is", re.IGNORECASE)
_VALUE = re.compile(r"[^\d-]{0,8}(-?\d{1,15}(?:,\d{3}){0,4}(?:\.\d{1,10})?)")
_OR = re.compile(r"[\s,*$]{0,4}or[\s*$]{1,4}")
_NEAR = 8
"""Characters between "is" and a number in words, at most."""
_PRONOUN = "one"
"""Alone it is more often a pronoun ("one of them") than a number that an answer hangs on."""


@dataclass(frozen=True, slots=True)
class Hidden:
    """A number of the question, and where it stands."""

    value: Fraction
    start: int
    end: int


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
    P_b(a) = (Z_a + eps / |A|) / (sum Z + eps), eps = 1e-8. Which numbers are hidden, in figures or in words, follows
    from the seed; those within a list of options are not, and `choices` that the question does not list are shown with
    it. A question without a number is decided by the vote, as is a clear one. A number that does not determine the
    answer tells nothing. If no reply names a value the plain vote stands in. `facts`: `recovered`, the share of replies
    that found x.
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

    def calls_for(self, votes: Sequence[int], provides: frozenset[Provides]) -> int:
        """Classes x masks x backward, of a question with as many numbers as `masks`."""
        asked = is_close(votes, self.options.margin)
        return min(self.options.classes, len(votes)) * self.options.masks * self.options.backward if asked else 0

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
        if all(_found(reply) is None for reply in replies):
            return fall_back(panel, self.name, "reply_off_format")
        hits = [sum(found[i * len(hidden) + j][0] for j in range(len(hidden))) for i in range(len(checked))]
        facts = {"recovered": sum(hits) / len(replies)}
        return base.with_facts(of_weights(panel, self._scores(panel, checked, hits)), facts)

    def _scores(self, panel: base.Panel, checked: tuple[AnswerClass, ...], hits: Sequence[int]) -> dict[str, float]:
        votes, total = [votes_of(panel, each) for each in checked], sum(hits)
        alpha = self.options.alpha
        scores = {}
        for each, count, hit in zip(checked, votes, hits, strict=True):
            forward = count / math.fsum(votes)
            backward = (hit + EPSILON / len(checked)) / (total + EPSILON)
            scores[each.answer] = math.pow(forward, alpha) * math.pow(backward, 1.0 - alpha)
        return scores

    def _hidden(self, panel: base.Panel) -> list[Hidden]:
        """The numbers to hide, in the order of the question."""
        found = hideable(panel.task.question)
        drawn = panel.rng(self.name).sample(found, min(self.options.masks, len(found)))
        return sorted(drawn, key=lambda mask: mask.start)

    async def _recover(
        self, panel: base.Panel, ask: base.Ask, checked: AnswerClass, mask: Hidden
    ) -> tuple[int, tuple[Sample, ...]]:
        """How many replies find the hidden number, and the replies."""
        question = panel.task.question
        masked = question[: mask.start] + "x" + question[mask.end :] + _options(panel.task)
        prompt = fill(panel, self.name, None, question=masked, answer=disarm(checked.answer)[:200])
        sampling = Sampling(temperature=self.options.temperature, max_tokens=self.options.max_tokens, seed=panel.seed)
        replies = await ask(prompt, sampling, self.options.backward, model=self.options.judge_model)
        return sum(_found(reply) == mask.value for reply in replies), replies


def hideable(question: str) -> list[Hidden]:
    """The numbers of a question, in figures and in words, in order; none within or behind a list of its options."""
    listed, _ = list_in(question)
    seen = question[: min(MAX_QUESTION_CHARS, listed[0].start if listed else MAX_QUESTION_CHARS)]
    figures = [Hidden(_value(found[0]), found.start(), found.end()) for found in _NUMBER.finditer(seen)]
    words = [
        Hidden(word.value, word.start, word.end)
        for word in find_words(seen)
        if seen[word.start : word.end].lower() != _PRONOUN
    ]
    return sorted(figures + words, key=lambda hidden: hidden.start)


def _options(task: Task) -> str:
    """The request's choices as lettered lines, where the question does not list them itself."""
    options = offered(task) if task.choices and not list_in(task.question)[0] else None
    if options is None or not all(options.texts):
        return ""
    lines = (
        f"({letter}) {text}" if letter else text for letter, text in zip(options.letters, options.texts, strict=True)
    )
    return "\n\n" + "\n".join(lines)


def _found(reply: Sample) -> Fraction | None:
    """The value of x that the reply names last, in figures or in words; None if it names none, or two."""
    text = "" if unusable(reply) else said(reply)
    ends = [phrase.end() for phrase in _NAMED.finditer(text)]
    if not ends:
        return None
    tail = text[ends[-1] : ends[-1] + MAX_VALUE_CHARS].split("\n", 1)[0]
    words = {word.start: word for word in find_words(tail)}
    figures = _VALUE.match(tail)
    if figures is not None:
        value, end = _value(figures[1]), figures.end()
    elif words and min(words) <= _NEAR:
        first = words[min(words)]
        value, end = first.value, first.end
    else:
        return None
    other = _OR.match(tail, end)
    if other and (tail[other.end() : other.end() + 1].isdigit() or other.end() in words):
        return None
    return value


def _value(figures: str) -> Fraction:
    return Fraction(figures.replace(",", ""))
