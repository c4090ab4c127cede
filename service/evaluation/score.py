"""When an answer is right, and what a data set's samples are worth without any vote."""

import math
from collections.abc import Hashable
from dataclasses import dataclass, replace

from service.answer_types import ANSWER_TYPES
from service.answer_types.base import AnswerType, Judge, is_judged, meaning_of
from service.candidates import Extraction
from service.evaluation.datasets import Record
from service.evaluation.outcomes import Outcome, choice
from service.plan import build
from service.reading import Reader
from service.stopping.base import Options
from service.stopping.none import NoStop


class Grader:
    """Grades one record's answers; each distinct answer is compared with the gold one once."""

    def __init__(self, record: Record, judge: Judge | None = None) -> None:
        self._record = record
        self._judge = judge
        self._types: dict[str, tuple[AnswerType, Extraction | None]] = {}
        self._known: dict[tuple[str, Hashable, Hashable], bool] = {}

    async def answer(self, answer: str | None, answer_type: str | None) -> bool:
        """True if `answer`, as a reply prints it, is the gold answer by the type that the reply names.

        Where either is free text that the type finds no answer in, they are right if they are the same text.
        """
        if answer is None or answer_type is None or self._record.gold is None:
            return False
        decided, gold = self._gold(answer_type)
        found = decided.extract(answer, self._record.task)
        if found is None or gold is None:
            return answer.strip() == self._record.gold.strip()
        return await self._equal(decided, found, gold)

    async def extraction(self, found: Extraction | None, decided: AnswerType) -> bool:
        """True if an answer found in a completion is the gold answer."""
        if found is None or self._record.gold is None:
            return False
        gold = self._gold(decided.name)[1]
        return found.answer == self._record.gold.strip() if gold is None else await self._equal(decided, found, gold)

    def _gold(self, name: str) -> tuple[AnswerType, Extraction | None]:
        if name not in self._types:
            decided, task, gold = build(ANSWER_TYPES, name, "answer_type"), self._record.task, self._record.gold or ""
            self._types[name] = decided, decided.extract(gold, task) or decided.extract(f"\\boxed{{{gold}}}", task)
        return self._types[name]

    async def _equal(self, decided: AnswerType, found: Extraction, gold: Extraction) -> bool:
        at = (decided.name, found.identity, found.apart)
        if at not in self._known:
            alike = await equal_extractions(decided, gold, found, self._judge)
            self._known[at] = alike and not found.clashes(gold)
        return self._known[at]


async def equal_extractions(answer_type: AnswerType, left: Extraction, right: Extraction, judge: Judge | None) -> bool:
    """True if the two are the same answer, asked of the judge where the answer type has it compare."""
    if left.identity == right.identity or answer_type.exact:
        return left.identity == right.identity
    if judge is None or not is_judged(answer_type):
        return answer_type.same(left, right)
    return (await judge.judge([left.answer, right.answer])).same(left, right)


async def equal(record: Record, one: Outcome, other: Outcome, judge: Judge | None = None) -> bool:
    """True if answer, type and the votes of every class are equal, to the letter."""
    same = (one.answer, one.answer_type) == (other.answer, other.answer_type)
    return same and sorted(one.votes) == sorted(other.votes)


async def equal_answers(record: Record, one: Outcome, other: Outcome, judge: Judge | None = None) -> bool:
    """True if both are the same answer of the same type, however many votes it has and however it is spelled."""
    if one.answer_type != other.answer_type or one.answer is None or other.answer is None or one.answer_type is None:
        return (one.answer, one.answer_type) == (other.answer, other.answer_type)
    return await Grader(replace(record, gold=other.answer), judge).answer(one.answer, one.answer_type)


@dataclass(frozen=True, slots=True)
class Worth:
    """What one question's samples are worth: the share of right ones, whether any is, and which (None: has no vote)."""

    single: float
    oracle: bool
    right: tuple[bool | None, ...] = ()


async def worth(record: Record, answer_type: str, judge: Judge | None = None) -> Worth:
    """Grades every recorded sample, read by the type that all of them together have. One that has no vote is wrong.

    Nobody is asked what texts mean: a sample is right by its normalised form.
    """
    if not record.samples:
        return Worth(0.0, False)
    decided = build(ANSWER_TYPES, choice(answer_type), "answer_type")
    judge = None if meaning_of(decided) else judge
    reader = Reader(record.task, decided, NoStop(Options()), len(record.samples), judge=judge)
    reading = await reader.read({sample.index: sample for sample in record.samples})
    grader = Grader(record, judge)
    right = [
        await grader.extraction(candidate.extraction, reading.answer_type) if candidate.excluded is None else None
        for candidate in reading.candidates
    ]
    return Worth(right.count(True) / len(right), any(right), tuple(right))


def mean(values: list[float]) -> float:
    """The mean, summed exactly; 0 of nothing."""
    return math.fsum(values) / len(values) if values else 0.0
