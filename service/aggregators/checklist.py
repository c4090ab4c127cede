"""Checklist: yes-or-no questions made from the instruction, by which every response is graded."""

import hashlib
import re
from collections import OrderedDict
from collections.abc import Sequence
from typing import ClassVar

from pydantic import BaseModel, Field

from service.aggregators import base
from service.aggregators.contenders import Combine, contenders, of_scores
from service.aggregators.counting import fall_back, plurality
from service.aggregators.prompt import fill
from service.aggregators.rank_statistics import facts_of
from service.aggregators.replies import said, unusable
from service.aggregators.verifying import ask_of_each, first_failure
from workers.wire.messages import Provides, Sample, Sampling

MAX_ITEMS = 8
MAX_ITEM_CHARS = 500
MAX_KEPT = 256
"""Checklists that are kept, so that a question asked again needs none anew."""

_ITEM = re.compile(r"^\s{0,8}(?:[-*\u2022]|\d{1,2}[.)])\s{1,4}(\S[^\n]{0,1000}\?)[ \t]{0,8}$", re.MULTILINE)
_GRADE = re.compile(
    r"^\W{0,6}(\d{1,2})\W{1,6}(yes|no)\b(?!\W{1,4}(?:or\W{1,4})?(?:yes|no)\b)", re.IGNORECASE | re.MULTILINE
)


class ChecklistOptions(base.AskingOptions):
    """`most`: so many answers (or free texts) are graded. `combine`: votes times grade, or the grade alone.

    `max_tokens`: of each reply.
    """

    most: int = Field(default=16, ge=2, le=64)
    combine: Combine = "score"
    max_tokens: int = Field(default=1024, ge=1, le=32_768)


class Checklist:
    """Score = share of the checklist's questions that a response meets (TICK and STICK, arXiv 2410.03608).

    One call makes 2 to 8 questions from the instruction alone, before any response is seen; it is kept for the same
    question and judge. One call a response answers them; what is left unanswered counts as no. Equal scores go to the
    answer with more votes, then to the smallest sample index. Without a usable checklist, or if no response can be
    graded, the plain vote stands in. `facts`: `length_correlation`.
    """

    name = "checklist"
    Options: type[BaseModel] = ChecklistOptions
    needs: frozenset[Provides] = frozenset()
    counts_votes = False
    calls = "1 (0 if the question was asked before) + 1 an answer; none where all agree"
    _kept: ClassVar[OrderedDict[str, tuple[str, ...]]] = OrderedDict()

    def __init__(self, options: ChecklistOptions) -> None:
        self.options = options

    def max_calls(self, n: int) -> int:
        """One, and one an answer."""
        return 1 + min(self.options.most, n)

    def calls_for(self, votes: Sequence[int], provides: frozenset[Provides]) -> int:
        """One, and one an answer; of a question that was not asked before."""
        return 1 + min(self.options.most, len(votes)) if len(votes) > 1 else 0

    async def aggregate(self, panel: base.Panel, ask: base.Ask) -> base.Verdict:
        """The response that meets most of the checklist."""
        judged = contenders(panel, self.options.most)
        if len(judged) < 2:
            return plurality(panel)
        items = await self._items(panel, ask)
        if isinstance(items, str):
            return fall_back(panel, self.name, items)
        listed = "\n".join(f"{number}. {item}" for number, item in enumerate(items, start=1))
        sampling = Sampling(temperature=0.0, max_tokens=self.options.max_tokens)
        replies = await ask_of_each(panel, ask, "checklist_grade", judged, sampling, self.options, checklist=listed)
        found = [_grade(reply, len(items)) for (reply,) in replies]
        if all(grade is None for grade in found):
            return fall_back(panel, self.name, first_failure(replies))
        grades = [grade or 0.0 for grade in found]
        verdict = of_scores(panel, judged, grades, self.options.combine)
        return base.with_facts(verdict, facts_of(grades, [c.sample.text for c in judged]))

    async def _items(self, panel: base.Panel, ask: base.Ask) -> tuple[str, ...] | str:
        """The checklist, kept or made; or why there is none."""
        prompt = fill(panel, "checklist_write")
        key = hashlib.sha256(f"{self.options.judge_model}\n{prompt[0].content}".encode(errors="replace")).hexdigest()
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        sampling = Sampling(temperature=0.0, max_tokens=self.options.max_tokens)
        (reply,) = await ask(prompt, sampling, model=self.options.judge_model)
        if reason := unusable(reply):
            return reason
        items = tuple(item[:MAX_ITEM_CHARS] for item in _ITEM.findall(said(reply))[:MAX_ITEMS])
        if not items:
            return "reply_without_checklist"
        self._kept[key] = items
        while len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)
        return items


def _grade(reply: Sample, items: int) -> float | None:
    """The share of questions answered with yes; None if none is answered. The last answer to a question counts."""
    if unusable(reply):
        return None
    answers = {int(number): word.lower() == "yes" for number, word in _GRADE.findall(said(reply))}
    known = [answers[number] for number in range(1, items + 1) if number in answers]
    return sum(known) / items if known else None
