"""The certificate over probabilities in place of single votes: each draw gives every answer a share in [0, 1]."""

import math
from collections.abc import Sequence

STAKES = tuple(sorted({2.0**-i for i in range(1, 9)} | {1 - 2.0**-i for i in range(1, 9)}))
"""Fifteen stakes from 1/256 to 255/256, of which the wealth is the mean (ASC-D, arXiv 2609.38931)."""


class Purse:
    """A gambler's wealth, the mean over the stakes of STAKES: the log of the largest that it has been."""

    __slots__ = ("_logs", "largest")

    def __init__(self) -> None:
        self._logs = [0.0] * len(STAKES)
        self.largest = 0.0

    def bet(self, edge: float) -> None:
        """For each stake the wealth grows by 1 + stake x edge; `edge` is in [-1, 1]."""
        self._logs = [log + math.log1p(stake * edge) for log, stake in zip(self._logs, STAKES, strict=True)]
        top = max(self._logs)
        if top > self.largest:  # else the mean is no larger either
            mean = top + math.log(math.fsum(math.exp(log - top) for log in self._logs) / len(STAKES))
            self.largest = max(self.largest, mean)

    def copy(self) -> "Purse":
        """One that goes on from here."""
        found = Purse()
        found._logs, found.largest = list(self._logs), self.largest
        return found


class SoftTest:
    """Which of K answers has the largest mean share, anytime-valid; the shares of draw t depend on that draw alone.

    Against H_m, "no answer has a larger mean share than m", the wealth for a stake lambda grows by
    1 + lambda (v(c) - v(m)), c being the rival with the largest sum so far (of equals the first): under H_m its mean is
    at most 1. As in LeaderTest only answers that do lead must never be excluded, so K costs nothing. The first draw is
    spent on finding a rival. Shares that are 0 and 1 make it a test of labels.
    """

    def __init__(self, answers: int) -> None:
        self.seen = 0
        self.sums = [0.0] * answers
        self._against = [Purse() for _ in range(answers)]

    def see(self, shares: Sequence[float]) -> None:
        """One more draw. Raises ValueError where there are not K shares, each in [0, 1]."""
        if len(shares) != len(self.sums) or not all(0.0 <= share <= 1.0 for share in shares):
            raise ValueError(f"a draw gives each of the {len(self.sums)} answers a share between 0 and 1")
        if self.seen:
            ranked = sorted(range(len(self.sums)), key=lambda k: -self.sums[k])[:2]
            for m in range(len(self.sums)):
                rivals = [k for k in ranked if k != m]
                if rivals:
                    self._against[m].bet(shares[rivals[0]] - shares[m])
        self.sums = [total + share for total, share in zip(self.sums, shares, strict=True)]
        self.seen += 1

    @property
    def leader(self) -> int:
        """The answer with the largest sum, of equals the first."""
        return max(range(len(self.sums)), key=self.sums.__getitem__)

    def p(self, answer: int) -> float:
        """The p-value of "no answer has a larger mean share than this one"; it never rises."""
        if not self.seen:
            return 1.0
        return math.exp(-min((purse.largest for m, purse in enumerate(self._against) if m != answer), default=0.0))
