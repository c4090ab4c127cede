"""What all tests behind the certificate share: wealths staked against labels, and who leads so far."""

import math
from collections.abc import Collection, Hashable, Mapping
from typing import Generic, Protocol, Self, TypeVar


class Grown(Protocol):
    """A wealth; `largest`: the log of the largest that it has been."""

    @property
    def largest(self) -> float:
        """0 or more."""
        ...

    def copy(self) -> Self:
        """One that goes on from here."""
        ...


W = TypeVar("W", bound=Grown)


class Wagers(Generic[W]):
    """Wealths staked against each label, and against any that has not been seen. `seen`: draws.

    `none`: the wealth staked against "no label leads", where that is a hypothesis too.
    """

    def __init__(self, unseen: W, none: W | None = None) -> None:
        self.seen = 0
        self._against: dict[Hashable, W] = {}
        self._unseen = unseen
        self._none = none

    def _mine(self, label: Hashable) -> W:
        """The wealth against a label; a new one goes on from that against the unseen."""
        return self._against[label] if label in self._against else self._unseen.copy()

    def chance(self, label: Hashable) -> float:
        """The p-value of "this label leads", whether it has been seen or not."""
        return math.exp(-self._against.get(label, self._unseen).largest)

    @property
    def chance_of_none(self) -> float:
        """The p-value of "no label leads"; 0 where some label does by definition."""
        return 0.0 if self._none is None else math.exp(-self._none.largest)

    def p(self, labels: Collection[Hashable]) -> float:
        """The largest chance that is left to "no label leads" and to any label but these, seen or not.

        1 where none of the labels was drawn.
        """
        held = set(labels)
        if held.isdisjoint(self._against):
            return 1.0
        others = [wealth.largest for label, wealth in self._against.items() if label not in held]
        none = () if self._none is None else (self._none.largest,)
        return math.exp(-min([self._unseen.largest, *none, *others]))


def first_two(
    top: Collection[Hashable], label: Hashable, totals: Mapping[Hashable, float], places: Mapping[Hashable, int]
) -> list[Hashable]:
    """The two labels with the most, of equals those seen first, after `label` has gained; `top`: those before."""
    return sorted({*top, label}, key=lambda one: (-totals[one], places[one]))[:2]
