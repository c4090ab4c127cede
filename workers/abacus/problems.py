"""Synthetic multi-step arithmetic questions: word problems and bare expressions.

A problem is a total of three to five signed terms, each a plain number or a product of two. The text of its question
decides, by a hash, whether it belongs to training or to the held-out set, so no question can be in both.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from workers.abacus.stories import CALCULATIONS, NAMES, STORIES, THINGS, Story

LARGEST = 199
"""No number of a question, a step or an answer is larger: each of 0..199 is one token."""

HELD_OUT_OF = 16
"""One question in so many is held out."""


@dataclass(frozen=True)
class Term:
    """One signed term of a total: `sign` is 1 or -1, `factors` are one or two numbers in the order of the text."""

    sign: int
    factors: tuple[int, ...]

    @property
    def size(self) -> int:
        """The term's value without its sign."""
        return self.factors[0] * self.factors[-1] if len(self.factors) == 2 else self.factors[0]


@dataclass(frozen=True)
class Problem:
    """A question as text with one `{}` a number, and the terms whose total answers it."""

    wording: str
    terms: tuple[Term, ...]

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers of the question, in the order of its text."""
        return tuple(number for term in self.terms for number in term.factors)

    @property
    def question(self) -> str:
        """The question's text."""
        return self.wording.format(*self.numbers)

    @property
    def gold(self) -> int:
        """The right answer."""
        return total(self.terms)

    def masked(self, position: int) -> str:
        """The question with the number at `position` replaced by x."""
        texts = [str(number) for number in self.numbers]
        texts[position] = "x"
        return self.wording.format(*texts)


@dataclass(frozen=True)
class Mix:
    """How hard problems are: the weights of 3, 4 and 5 terms, and how many problems have numbers of the wide ranges."""

    term_weights: tuple[float, float, float] = (1.4, 1.0, 0.4)
    product_share: float = 0.35
    wide_share: float = 0.15
    story_share: float = 0.5


@dataclass(frozen=True)
class _Ranges:
    """The largest plain number, and the largest factors of a product."""

    plain: int
    count: int
    each: int


_NARROW = _Ranges(plain=50, count=9, each=12)
_WIDE = _Ranges(plain=99, count=9, each=19)

TRAINING_MIX = Mix()
"""What training draws from: all that the default mix asks for, and more."""

DEFAULT_MIX = Mix(term_weights=(0.0, 1.0, 1.0))
"""What the held-out set and the measured table draw from; chosen so that a vote has something to do."""


def total(terms: Sequence[Term]) -> int:
    """The signed sum of the terms."""
    return sum(term.sign * term.size for term in terms)


def in_range(terms: Sequence[Term]) -> bool:
    """Tell whether each product and each running value, in the given order, stays within 0..LARGEST."""
    running = 0
    for term in terms:
        running += term.sign * term.size
        if term.size > LARGEST or not 0 <= running <= LARGEST:
            return False
    return True


def is_held_out(question: str) -> bool:
    """Tell to which side of the split a question belongs; it depends on the text alone."""
    return hashlib.sha256(question.encode()).digest()[0] % HELD_OUT_OF == 0


def draw(rng: Random, mix: Mix = TRAINING_MIX, *, held_out: bool = False) -> Problem:
    """Draw a problem of the asked side of the split."""
    while True:
        terms = _draw_terms(rng, mix)
        wording = _tell(rng, terms) if rng.random() < mix.story_share else _calculation(rng, terms)
        problem = Problem(wording, terms)
        if is_held_out(problem.question) == held_out:
            return problem


def draw_distinct(rng: Random, count: int, mix: Mix = DEFAULT_MIX, *, held_out: bool = True) -> Iterator[Problem]:
    """Draw `count` problems with different questions."""
    seen: set[str] = set()
    while len(seen) < count:
        problem = draw(rng, mix, held_out=held_out)
        if problem.question not in seen:
            seen.add(problem.question)
            yield problem


def _draw_terms(rng: Random, mix: Mix) -> tuple[Term, ...]:
    count = rng.choices((3, 4, 5), mix.term_weights)[0]
    ranges = _WIDE if rng.random() < mix.wide_share else _NARROW
    while True:
        terms = tuple(_draw_term(rng, mix, ranges, first=position == 0) for position in range(count))
        if in_range(terms):
            return terms


def _draw_term(rng: Random, mix: Mix, ranges: _Ranges, *, first: bool) -> Term:
    sign = 1 if first or rng.random() < 0.5 else -1
    if rng.random() < mix.product_share:
        return Term(sign, (rng.randint(2, ranges.count), rng.randint(2, ranges.each)))
    return Term(sign, (rng.randint(2, ranges.plain),))


def _calculation(rng: Random, terms: Sequence[Term]) -> str:
    body = ""
    for position, term in enumerate(terms):
        joint = "" if position == 0 else " + " if term.sign > 0 else " - "
        body += joint + " * ".join("{}" for _ in term.factors)
    return rng.choice(CALCULATIONS).replace("EXPRESSION", body)


def _tell(rng: Random, terms: Sequence[Term]) -> str:
    story = rng.choice(STORIES)
    sentences = [rng.choice(_clauses(story, term, first=position == 0)) for position, term in enumerate(terms)]
    text = " ".join([*sentences, rng.choice(story.ending)])
    return text.replace("NAME", rng.choice(NAMES)).replace("THINGS", rng.choice(THINGS))


def _clauses(story: Story, term: Term, *, first: bool) -> Sequence[str]:
    plain = len(term.factors) == 1
    if first:
        return story.start_plain if plain else story.start_product
    if term.sign > 0:
        return story.more_plain if plain else story.more_product
    return story.less_plain if plain else story.less_product


def _main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Print problems as JSON lines.")
    parser.add_argument("--held-out", action="store_true", help="the side of the split that training never sees")
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    problems = draw_distinct(Random(options.seed), options.count, held_out=options.held_out)
    for index, problem in enumerate(problems):
        row = {
            "id": f"abacus-{options.seed}-{index}",
            "question": problem.question,
            "gold": str(problem.gold),
            "answer_type": "number",
        }
        sys.stdout.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    _main()
