"""Written solutions: right ones in several orders and wordings, and ones that slip and carry the slip on."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from workers.abacus.problems import LARGEST, Problem, Term, in_range

ANSWER_PHRASE = "The answer is"
UNKNOWN_PHRASE = "The value of x is"


@dataclass(frozen=True)
class Slip:
    """A mistake at one term: it counts as `amount` more than it is, or (`dropped`) is left out."""

    term: Term
    amount: int
    dropped: bool = False


@dataclass(frozen=True)
class Solution:
    """A solution's text and the answer that it ends with."""

    text: str
    answer: int


def solve(rng: Random, problem: Problem) -> Solution:
    """Write a right solution in an order and a wording drawn at random."""
    steps, answer = work_out(rng, problem.terms)
    return Solution(_write(rng, steps, f"{ANSWER_PHRASE} {answer}."), answer)


def draw_slip(rng: Random, problem: Problem) -> Slip:
    """Draw a mistake that somebody could make in this problem."""
    term = rng.choice(problem.terms)
    kind = rng.random()
    if kind < 0.2:
        return Slip(term, 0, dropped=True)
    if kind < 0.4 and len(term.factors) == 2:
        return Slip(term, rng.choice((-1, 1)) * rng.choice(term.factors))
    if kind < 0.5:
        return Slip(term, rng.choice(problem.numbers) - term.size)
    return Slip(term, rng.choice((-10, -2, -1, -1, 1, 1, 2, 10)))


def slipped_answer(problem: Problem, slip: Slip) -> int:
    """The answer that the mistake leads to, in any order of the steps; it may lie outside the range."""
    change = -slip.term.size if slip.dropped else slip.amount
    return problem.gold + slip.term.sign * change


def solve_with_slip(rng: Random, problem: Problem, slip: Slip) -> Solution | None:
    """Write a solution with the mistake in it, or none where a number would leave the range."""
    terms = [term for term in problem.terms if not (slip.dropped and term is slip.term)]
    worked = _steps(_ordered(rng, terms), slip, early=rng.random() < 0.5)
    if worked is None:
        return None
    steps, answer = worked
    return Solution(_write(rng, steps, f"{ANSWER_PHRASE} {answer}."), answer)


def solve_backward(rng: Random, problem: Problem, position: int) -> str | None:
    """Write how the number at `position` follows from the answer, or none where a number would leave the range."""
    index, term, other = _locate(problem, position)
    rest = [*problem.terms[:index], *problem.terms[index + 1 :]]
    worked = _isolate(rng, rest, term.sign, problem.gold)
    if worked is None:
        return None
    steps, size = worked
    if other is not None:
        steps.append(f"{size} / {other} = {size // other}")
    return _write(rng, steps, f"{UNKNOWN_PHRASE} {problem.numbers[position]}.")


def _isolate(rng: Random, rest: Sequence[Term], sign: int, gold: int) -> tuple[list[str], int] | None:
    """Total the other terms as in a solution and compare with the answer; where they have no total, undo them."""
    early = rng.random() < 0.5
    if not in_range(rest):
        undone = [Term(sign, (gold,)), *(Term(-sign * term.sign, term.factors) for term in rest)]
        return _steps(_ordered(rng, undone), None, early=early)
    worked = _steps(_ordered(rng, rest), None, early=early)
    if worked is None:
        return None
    steps, known = worked
    large, small = (gold, known) if sign > 0 else (known, gold)
    return [*steps, f"{large} - {small} = {large - small}"], large - small


def work_out(rng: Random, terms: Sequence[Term]) -> tuple[list[str], int]:
    """Combine the terms in a random valid order; the order of the text must be one."""
    worked = _steps(_ordered(rng, terms), None, early=rng.random() < 0.5)
    if worked is None:
        raise ValueError("the terms leave the range in the order of the text")
    return worked


def _locate(problem: Problem, position: int) -> tuple[int, Term, int | None]:
    """The term that holds the number at `position`, its index, and the factor beside that number."""
    for index, term in enumerate(problem.terms):
        if position < len(term.factors):
            other = term.factors[1 - position] if len(term.factors) == 2 else None
            return index, term, other
        position -= len(term.factors)
    raise IndexError("the question has no number at this position")


def _ordered(rng: Random, terms: Sequence[Term]) -> list[Term]:
    """One of several orders: of the text, backwards, what is added first, or any; the text's where it is not valid."""
    choice = rng.randrange(4)
    ordered = list(terms)
    if choice == 1:
        ordered.reverse()
    elif choice == 2:
        ordered.sort(key=lambda term: -term.sign)
    elif choice == 3:
        rng.shuffle(ordered)
    return ordered if in_range(ordered) else list(terms)


def _steps(terms: Sequence[Term], slip: Slip | None, *, early: bool) -> tuple[list[str], int] | None:
    """The steps and their result; products come all first (`early`) or where they are needed."""
    products: list[str] = []
    sums: list[str] = []
    running: int | None = None
    for term in terms:
        size, added = _sizes(term, slip, first=running is None)
        if len(term.factors) == 2:
            (products if early else sums).append(f"{term.factors[0]} * {term.factors[1]} = {size}")
        before = running
        running = (running or 0) + term.sign * added
        if not (0 <= running <= LARGEST and 0 <= size <= LARGEST):
            return None
        if before is not None:
            sums.append(f"{before} {'+' if term.sign > 0 else '-'} {size} = {running}")
    return products + sums, running or 0


def _sizes(term: Term, slip: Slip | None, *, first: bool) -> tuple[int, int]:
    """What is written for a term and what is counted for it; a slip shows in the product, else in the sum."""
    if slip is None or term is not slip.term:
        return term.size, term.size
    wrong = term.size + slip.amount
    if first or len(term.factors) == 2:
        return wrong, wrong
    return term.size, wrong


def _write(rng: Random, steps: Sequence[str], ending: str) -> str:
    if rng.random() < 0.5:
        return " ".join([*(f"{step}." for step in steps), ending])
    openings = ["First ", *("Then " for _ in steps[1:])]
    return " ".join([*(f"{opening}{step}." for opening, step in zip(openings, steps, strict=True)), ending])
