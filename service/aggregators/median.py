"""The median: for numbers, the answer in the middle."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from pydantic import BaseModel

from service.aggregators import base
from service.aggregators.ballot import Voter, ordered, present, voters
from service.aggregators.base import Ask, Panel, Verdict
from service.aggregators.counting import fall_back, plurality
from service.answer_types.numerals import read_quantity
from workers.wire.messages import Provides


class Median:
    """The lower median of the numbers: the smallest that half of the weight of all votes does not exceed.

    It is an answer that a sample gave, and one wild voice moves it by one place in the sorted answers at most, however
    far out it is: for estimates, where answers scatter and hardly two are equal. Where most samples say the same it is
    the vote's answer too. One vote weighs 1, or what its model does. Ties there are none. Needs nothing but numbers: if
    an answer is none, or their units differ, the plain vote stands in and says so.

    The other classes are ranked by their weight. A vote more for the winner never unseats it.
    """

    name = "median"
    Options: type[BaseModel] = base.Options
    needs: frozenset[Provides] = frozenset()
    counts_votes = False
    calls = "0"

    def __init__(self, options: base.Options) -> None:
        self.options = options

    def max_calls(self, n: int) -> int:
        """None."""
        return 0

    async def aggregate(self, panel: Panel, ask: Ask) -> Verdict:
        """The class of the number in the middle."""
        voting = voters(panel)
        if not voting:
            return plurality(panel)
        numbers = [_number(voter) for voter in voting]
        if None in numbers:
            return fall_back(panel, self.name, "an_answer_is_no_number")
        if len({_unit(voter) for voter in voting} - {None}) > 1:
            return fall_back(panel, self.name, "units_differ")
        return _verdict(panel, voting, [number for number in numbers if number is not None])


def _verdict(panel: Panel, voting: Sequence[Voter], numbers: Sequence[Fraction]) -> Verdict:
    weights = [Fraction(voter.weight) for voter in voting]
    below, half, middle = Fraction(0), sum(weights) / 2, 0
    for middle in sorted(range(len(voting)), key=lambda place: (numbers[place], voting[place].index)):
        below += weights[middle]
        if below >= half and weights[middle]:
            break
    equal = [v for v, number in zip(voting, numbers, strict=True) if number == numbers[middle] and v.weight]
    first = min(equal, key=lambda voter: voter.index)
    of_class = [Fraction(0)] * len(panel.classes)
    for voter, weight in zip(voting, weights, strict=True):
        of_class[voter.place] += weight
    ranking = ordered(
        panel,
        voting,
        lambda place: (float(place == first.place), float(of_class[place])),
        lambda place: float(of_class[place]),
    )
    found = first.candidate.extraction
    verdict = present(panel, ranking, len(voting), first.index)
    return replace(verdict, answer=found.answer) if found else verdict


def _number(voter: Voter) -> Fraction | None:
    """The number that a vote is for; None if it is for something else."""
    found = voter.candidate.extraction
    if found is None:
        return None
    if isinstance(found.key, Fraction):
        return found.key
    quantity = read_quantity(found.answer)
    return quantity.value if quantity else None


def _unit(voter: Voter) -> object:
    return voter.candidate.extraction.apart if voter.candidate.extraction else None
