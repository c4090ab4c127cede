"""Pairs of answers of the type math, judged as the service judges them."""

from collections.abc import Iterable, Sequence
from contextlib import aclosing
from itertools import combinations

from service.answer_types.mathematics import Math
from service.candidates import Extraction, Task
from service.equality.pool import Pool

Groups = Sequence[tuple[str, ...]]
Pair = tuple[str, str, bool]


def pairs_of(equal: Groups, unequal: Groups) -> list[Pair]:
    """All pairs within each group, and whether they are equal."""
    pairs = [(a, b, True) for group in equal for a, b in combinations(group, 2)]
    return pairs + [(a, b, False) for group in unequal for a, b in combinations(group, 2)]


def found_in(answer: str) -> Extraction:
    """The answer as a completion gives it, in a box."""
    found = Math().extract(f"\\boxed{{{answer}}}", Task("?"))
    assert found is not None, answer
    return found


async def misjudged(pairs: Iterable[Pair]) -> list[tuple[str, str]]:
    """The pairs that come out otherwise than they should; in both directions the same."""
    wrong = []
    async with aclosing(Pool(2, 2_000, 512)) as pool:
        for a, b, equal in pairs:
            left, right = found_in(a), found_in(b)
            said = (await pool.judge([left.answer, right.answer])).same(left, right)
            assert said == (await pool.judge([right.answer, left.answer])).same(right, left), (a, b)
            if said != equal:
                wrong.append((a, b))
    return wrong
