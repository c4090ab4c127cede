"""The protocol of an answer type: how an answer is found in a completion, and when two answers are equal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from pydantic import BaseModel

from service.candidates import Extraction, Task
from service.registry import Options as Options


@dataclass(frozen=True, slots=True)
class Judgement:
    """Which answers, by their canonical forms, a judge found equal although their forms differ.

    `overruns`: comparisons that ran into their deadline or their memory and count as "not equal"; `uncompared`: answers
    and pairs beyond the judge's bounds, which are compared by their canonical forms alone. `distances` says how far
    apart equal forms are; 1 where it says nothing. `warnings`: what else kept the judge from comparing in full.
    """

    equal: frozenset[frozenset[str]] = frozenset()
    overruns: int = 0
    uncompared: int = 0
    distances: Mapping[frozenset[str], float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def same(self, left: Extraction, right: Extraction) -> bool:
        """True if the two are the same answer."""
        if left.clashes(right):
            return False
        return left.identity == right.identity or frozenset((left.answer, right.answer)) in self.equal


class Judge(Protocol):
    """Compares answers of types that cannot do so themselves."""

    async def judge(self, answers: Sequence[str]) -> Judgement:
        """Which of these canonical forms, most important first, are equal; a function of the pairs alone."""
        ...

    async def place(self, answer: str, classes: Sequence[Sequence[str]]) -> int | None:
        """The class to which one more canonical form belongs; None if to none.

        A class is given by its forms; the first is the one that opened it.
        """
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


@dataclass(frozen=True, slots=True)
class Meaning:
    """How answers are found to mean the same, where the workers of a pool say so: `model` names the pool.

    `embeddings`: their vectors have a cosine of at least `threshold`. `entailment`: each entails the other with a
    probability of at least `threshold`; not `strict`: neither contradicts the other and not both leave it open.
    """

    by: Literal["embeddings", "entailment"]
    model: str
    threshold: float
    strict: bool = True


def meaning_of(answer_type: AnswerType) -> Meaning | None:
    """By what a pool of workers compares the answers of a judged type; None where it needs no pool."""
    meaning: Meaning | None = getattr(answer_type, "meaning", None)
    return meaning
