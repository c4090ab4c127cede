"""Rankings of answers: reading one from a completion, and the rules that count them.

A rule is given ballots over the places 0 to k - 1, of which each lists some, best first.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from service.answer_types import reading

_SIGN = re.compile(r"\s{0,9}(?:>|\u227b|\\succ\b|\\gt\b)\s{0,9}")
_LEAD = re.compile(r".*(?::|\bis\b|=)\s", re.DOTALL)
_MAX_LINES = 40
_MAX_ITEM_CHARS = 200


@dataclass(frozen=True, slots=True)
class Ballot:
    """What one voter ranks, best first, and what it weighs."""

    ranking: tuple[int, ...]
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Result:
    """By place: `order`, of which more is better, and the `weights` to show. `tied`: a tie on the way was broken."""

    order: tuple[float, ...]
    weights: tuple[float, ...]
    tied: bool = False


def written_ranking(text: str) -> tuple[str, ...]:
    """What stands between the ">" of the last line that has such a ranking; empty if none has."""
    visible, unclosed = reading.strip_thinking(text)
    if unclosed:
        return ()
    lines = [line for line in reading.window(visible).splitlines() if _SIGN.search(line)]
    for line in reversed(lines[-_MAX_LINES:]):
        if items := _items(line):
            return items
    return ()


def _items(line: str) -> tuple[str, ...]:
    first, *others = _SIGN.split(line)
    if lead := _LEAD.match(first):
        first = first[lead.end() :]
    if others:
        others[-1] = reading.first_sentence(others[-1])
    items = [reading.unwrap(item) for item in (first, *others)]
    fit = len(items) > 1 and all(0 < len(item) <= _MAX_ITEM_CHARS for item in items)
    return tuple(items) if fit else ()


def borda(ballots: Sequence[Ballot], k: int) -> Result:
    """The i-th on a ballot has k - i + 1 points; those that it does not list share the mean of what is left."""
    points: list[list[float]] = [[] for _ in range(k)]
    for ballot in ballots:
        left = (k - len(ballot.ranking) + 1) / 2
        own = {place: float(k - i) for i, place in enumerate(ballot.ranking)}
        for place in range(k):
            points[place].append(ballot.weight * own.get(place, left))
    sums = tuple(math.fsum(each) for each in points)
    return Result(sums, sums)


def reciprocal(ballots: Sequence[Ballot], k: int) -> Result:
    """The i-th on a ballot has 1 / i points; those that it does not list have none."""
    points: list[list[float]] = [[] for _ in range(k)]
    for ballot in ballots:
        for i, place in enumerate(ballot.ranking, start=1):
            points[place].append(ballot.weight / i)
    sums = tuple(math.fsum(each) for each in points)
    return Result(sums, sums)


def run_off(ballots: Sequence[Ballot], k: int) -> Result:
    """Instant run-off: the place with the fewest firsts drops out and its ballots go to their next; until one is left.

    Of equal ones the last place drops out: places are in the order in which ties are to be won. The weight of a place
    is what it had when it dropped out.
    """
    order, weights, left, tied = [0.0] * k, [0.0] * k, list(range(k)), False
    for step in range(k):
        firsts: dict[int, list[float]] = {place: [] for place in left}
        for ballot in ballots:
            first = next((place for place in ballot.ranking if place in firsts), None)
            if first is not None:
                firsts[first].append(ballot.weight)
        tally = {place: math.fsum(given) for place, given in firsts.items()}
        fewest = min(tally.values())
        last = [place for place in left if tally[place] == fewest]
        tied = tied or (len(last) > 1 and fewest > 0)
        out = last[-1]
        order[out], weights[out] = float(step), fewest
        left.remove(out)
    return Result(tuple(order), tuple(weights), tied)
