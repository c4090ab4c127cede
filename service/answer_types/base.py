"""The protocol of an answer type: how an answer is found in a completion, and when two answers are equal."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic import BaseModel

from service.candidates import Extraction, Task
from service.registry import Options as Options


@dataclass(frozen=True, slots=True)
class Judgement:
    """Which answers, by their canonical forms, a judge found equal although their forms differ.

    `overruns`: comparisons that ran into their deadline or their memory and count as "not equal"; `uncompared`: answers
    and pairs beyond the judge's bounds, which are compared by their canonical forms alone.
    """

    equal: frozenset[frozenset[str]] = frozenset()
    overruns: int = 0
    uncompared: int = 0

    def same(self, left: Extraction, right: Extraction) -> bool:
        """True if the two are the same answer."""
        return left.identity == right.identity or frozenset((left.answer, right.answer)) in self.equal


class Judge(Protocol):
    """Compares answers of types that cannot do so themselves."""

    async def judge(self, answers: Sequence[str]) -> Judgement:
        """Which of these canonical forms, most important first, are equal; a function of the pairs alone."""
        ...


class AnswerType(Protocol):
    """An answer type, made once a request from its options.

    Laws (tests/contract/test_answer_type_laws.py): no input raises; reading is linear in the text; `same` is
    reflexive and symmetric; extracting from a canonical form gives it back.
    """

    name: str
    Options: type[BaseModel]
    exact: bool
    """True if equal `Extraction.identity` without a clash is the whole of equality, so that `same` is never asked."""

    def extract(self, text: str, task: Task) -> Extraction | None:
        """The answer in `text` (thinking already stripped), or None."""
        ...

    def same(self, left: Extraction, right: Extraction) -> bool:
        """True if the two are the same answer; asked only between representatives of classes."""
        ...


def is_judged(answer_type: AnswerType) -> bool:
    """True if a `Judge` decides which answers are equal where their canonical forms differ.

    Such a type says `judged = True` and `exact = False`; its own `same` compares canonical forms and is what holds
    where there is no judge.
    """
    return bool(getattr(answer_type, "judged", False))


def reads_shown(answer_type: AnswerType) -> bool:
    """True if the type reads letters by `Task.shown`, the order in which a sample was shown the options; it says so by
    `reads_shown = True`."""
    return bool(getattr(answer_type, "reads_shown", False))
