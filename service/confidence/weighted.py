"""The tests behind the certificate of a weighted vote: each draw gives its label a weight in [0, 1].

The weight is a function of its draw alone: what is proven in this folder's __init__ then holds with "expected vote",
the mean of the weight where the label is drawn and 0 elsewhere, in place of "frequency". Weights that are all 1 make
these tests of labels, only with the stakes of STAKES in place of those that follow the counts.
"""

from collections.abc import Hashable

from service.confidence.soft import Purse
from service.confidence.wagers import Wagers, first_two


class WeightedLeaderTest(Wagers[Purse]):
    """Excludes each label as the one with the largest expected vote. For labels that are fixed functions of the text.

    The rival of a label is the other one with the largest sum of weights so far (of equals the one seen first). Seven
    equal labels of weight 1 give p = .038; the less they weigh, the more draws it takes, about as 1 / weight.
    """

    def __init__(self) -> None:
        super().__init__(Purse())
        self._sums: dict[Hashable, float] = {}
        self._places: dict[Hashable, int] = {}
        self._top: list[Hashable] = []

    def see(self, label: Hashable, weight: float = 1.0) -> None:
        """One more draw. Raises ValueError where the weight is not in [0, 1]."""
        _check(weight)
        mine = self._mine(label)
        if any(rival != label for rival in self._top):
            mine.bet(-weight)
        if self._top[:1] == [label]:
            for other, purse in self._against.items():
                if other != label:
                    purse.bet(weight)
            self._unseen.bet(weight)
        elif label in self._top:
            self._against[self._top[0]].bet(weight)
        self._against[label] = mine
        self._add(label, weight)

    def _add(self, label: Hashable, weight: float) -> None:
        self.seen += 1
        self._sums[label] = self._sums.get(label, 0.0) + weight
        self._places.setdefault(label, len(self._places))
        self._top = first_two(self._top, label, self._sums, self._places)


class WeightedMajorityTest(Wagers[Purse]):
    """Certifies that a label has more than half of the expected vote. For labels that are merged afterwards.

    As in MajorityTest at most one of its hypotheses is true. The stake against "none has more than half" is on the
    leader against all others, the stake against a label on all others against it.
    """

    def __init__(self) -> None:
        self._no_majority = Purse()
        super().__init__(Purse(), self._no_majority)
        self._sums: dict[Hashable, float] = {}
        self._leader: Hashable = None

    def see(self, label: Hashable, weight: float = 1.0) -> None:
        """One more draw. Raises ValueError where the weight is not in [0, 1]."""
        _check(weight)
        mine = self._mine(label)
        mine.bet(-weight)
        if self._sums:
            self._no_majority.bet(weight if label == self._leader else -weight)
        for other, purse in self._against.items():
            if other != label:
                purse.bet(weight)
        self._unseen.bet(weight)
        self._against[label] = mine
        self._sums[label] = self._sums.get(label, 0.0) + weight
        self.seen += 1
        self._leader = max(self._sums, key=self._sums.__getitem__)


def _check(weight: float) -> None:
    if not 0.0 <= weight <= 1.0:
        raise ValueError(f"a weight is between 0 and 1, and not {weight}")
