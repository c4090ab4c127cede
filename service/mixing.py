"""Which member of a mixed ensemble each sample is drawn from, and what its vote weighs.

A function of the request and its seed alone, so that the running tally, another gateway and a later verdict over the
stored samples see the same.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from random import Random

from service.members import Member, Mixing

_ROUNDING = 1e-9
"""A lead in weight must exceed the rest by this share of itself, which is more than any sum is rounded by."""


@dataclass(frozen=True, slots=True)
class Mix:
    """`models[i]`: the member that sample i is drawn from; () where a plan has one model, which needs no name.

    `blocks`: where the samples of one member after the other end. `independent`: the samples are independent draws from
    one distribution, as far as their models go.
    """

    models: tuple[str, ...] = ()
    weights: Mapping[str, float] = field(default_factory=dict)
    blocks: tuple[int, ...] = ()
    independent: bool = True

    @property
    def weighted(self) -> bool:
        """True if not all votes weigh the same."""
        return len(set(self.weights.values())) > 1

    def model(self, index: int) -> str | None:
        """The member of sample `index`; None where there is one model."""
        return self.models[index] if index < len(self.models) else None

    def weight(self, index: int) -> float:
        """What the vote of sample `index` weighs."""
        return self.weights.get(self.model(index) or "", 1.0)

    def skipped(self, index: int) -> int:
        """How many of the samples before `index` are other members': its number among its own is the rest."""
        return sum(model != self.models[index] for model in self.models[:index]) if self.models else 0

    def surely_leads(
        self, classes: Sequence[Iterable[int]], outstanding: Iterable[int], together: bool, ahead: float = 0.0
    ) -> int | None:
        """The place of the class that outweighs every other by more than all votes still to come; None if none does.

        G0 of an unassailable lead, W1 - W2 > the weight of what is outstanding. `together`: the others may prove to be
        one class. `ahead`: it must lead by this share of the weight of all samples more.
        """
        weights = [math.fsum(self.weight(index) for index in members) for members in classes]
        if not weights:
            return None
        first = weights.index(max(weights))
        others = weights[:first] + weights[first + 1 :]
        against = math.fsum(others) if together else max(others, default=0.0)
        against += math.fsum(self.weight(index) for index in outstanding)
        against += ahead * math.fsum(self.weight(index) for index in range(len(self.models)))
        return first if weights[first] > against * (1 + _ROUNDING) else None


ALONE = Mix()
"""One model."""


def mix_of(members: Sequence[Member] | None, mixing: Mixing | None, seed: int, *, one_by_one: bool = False) -> Mix:
    """Shares all members' samples out. `one_by_one`: one member after the other, in the order of the request."""
    if not members:
        return ALONE
    names, counts = [member.model for member in members], [member.n for member in members]
    weights = {member.model: member.weight for member in members}
    if one_by_one:
        places = [place for place, count in enumerate(counts) for _ in range(count)]
        return Mix(tuple(names[k] for k in places), weights, tuple(accumulate(counts)), independent=len(counts) == 1)
    if mixing == "random":
        drawn = Random(f"{seed}:members").choices(names, weights=counts, k=sum(counts))
        return Mix(tuple(drawn), weights)
    return Mix(tuple(names[k] for k in interleaved(counts)), weights, independent=len(counts) == 1)


def interleaved(counts: Sequence[int]) -> list[int]:
    """The place of a count for each sample: always the one that is furthest behind its share, ties to the first.

    Of k samples each has at most its share of k and one more; of all of them it has exactly its count.
    """
    total, had, order = sum(counts), [0] * len(counts), []
    for drawn in range(1, total + 1):
        behind = [count * drawn - total * own for count, own in zip(counts, had, strict=True)]
        place = behind.index(max(behind))
        had[place] += 1
        order.append(place)
    return order
