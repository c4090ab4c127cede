"""The tests behind the certificate: fed with labels in the order of launch, they say how surely one of them leads.

What they state, and why it holds, is in this folder's __init__.
"""

import math
from collections.abc import Collection, Hashable
from typing import Protocol

from service.confidence.stakes import share_won
from service.confidence.wagers import Wagers, first_two


class LabelTest(Protocol):
    """An anytime-valid test of which label leads in the distribution from which labels are drawn. `seen`: draws."""

    seen: int

    def see(self, label: Hashable) -> None:
        """One more draw."""
        ...

    def chance(self, label: Hashable) -> float:
        """The p-value, in (0, 1], of "this label leads", whether it has been seen or not."""
        ...

    def p(self, labels: Collection[Hashable]) -> float:
        """The p-value, in (0, 1], of "no answer is more frequent than the one that holds all of these labels".

        It never rises with further draws, and it is 1 where none of the labels was drawn.
        """
        ...


class _Wealth:
    """The log of one gambler's wealth, and the largest that it has been."""

    __slots__ = ("largest", "now")

    def __init__(self, now: float = 0.0, largest: float = 0.0) -> None:
        self.now, self.largest = now, largest

    def win(self, wins: int, losses: int) -> None:
        """The stake was on what was drawn; it is set by the wins and losses before."""
        self._grow(share_won(wins, losses))

    def lose(self, wins: int, losses: int) -> None:
        """The stake was against what was drawn."""
        self._grow(1 - share_won(wins, losses))

    def _grow(self, share: float) -> None:
        self.now += math.log(2 * share)
        self.largest = max(self.largest, self.now)

    def copy(self) -> "_Wealth":
        return _Wealth(self.now, self.largest)


class LeaderTest(Wagers[_Wealth]):
    """Excludes each label as the most frequent one; what is left is. For labels that are fixed functions of the text.

    The rival of a label is the most frequent other one so far (of equals the one seen first). The stake follows the
    rival's count as wins and the label's own as losses. n equal labels: p = .057 for n = 6, .031 for 7, .0086 for 9.
    """

    def __init__(self) -> None:
        super().__init__(_Wealth())
        self._counts: dict[Hashable, int] = {}
        self._places: dict[Hashable, int] = {}
        self._top: list[Hashable] = []

    def see(self, label: Hashable) -> None:
        """One more draw: who staked on it wins, who staked against it loses."""
        mine = self._mine(label)
        for rival in self._top:
            if rival != label:
                mine.lose(self._counts[rival], self._counts.get(label, 0))
                break
        if label in self._top:
            self._pay(label)
        self._against[label] = mine
        self._count(label)

    def _pay(self, label: Hashable) -> None:
        """Labels whose rival was drawn: all others if it is the leader, the leader alone if it comes second."""
        leader, wins = self._top[0], self._counts[label]
        if label != leader:
            self._against[leader].win(wins, self._counts[leader])
            return
        for other, wealth in self._against.items():
            if other != leader:
                wealth.win(wins, self._counts[other])
        self._unseen.win(wins, 0)

    def _count(self, label: Hashable) -> None:
        self.seen += 1
        self._counts[label] = self._counts.get(label, 0) + 1
        self._places.setdefault(label, len(self._places))
        self._top = first_two(self._top, label, self._counts, self._places)


class MajorityTest(Wagers[_Wealth]):
    """Certifies that a label is more than half of all. For labels that are merged afterwards, in whatever way.

    Hypotheses of which at most one is true: no label has more than half; the label b has. The stake against the first
    is on the leader against all others, the stake against b on all others against b. n equal labels give the same p as
    in LeaderTest.
    """

    def __init__(self) -> None:
        self._no_majority = _Wealth()
        super().__init__(_Wealth(), self._no_majority)
        self._counts: dict[Hashable, int] = {}
        self._leader: Hashable = None

    def see(self, label: Hashable) -> None:
        """One more draw: who staked on it wins, who staked against it loses."""
        counts, seen = self._counts, self.seen
        mine = self._mine(label)
        mine.lose(seen - counts.get(label, 0), counts.get(label, 0))
        if counts:
            ahead = counts[self._leader]
            bet = self._no_majority.win if label == self._leader else self._no_majority.lose
            bet(ahead, seen - ahead)
        for other, wealth in self._against.items():
            if other != label:
                wealth.win(seen - counts[other], counts[other])
        self._unseen.win(seen, 0)
        self._against[label] = mine
        counts[label] = counts.get(label, 0) + 1
        self.seen += 1
        self._leader = max(counts, key=counts.__getitem__)
