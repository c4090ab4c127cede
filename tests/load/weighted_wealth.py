"""The weighted tests restated in numpy, what they are tried on, and what has no such bound."""

from collections.abc import Callable
from functools import partial

import numpy as np

from service.confidence.soft import STAKES

Floats = np.ndarray
Runs = Callable[[np.random.Generator, int, int], Floats]

Law = tuple[tuple[float, float, float], ...]
"""For each label: how often it is drawn, and the two parameters of the beta distribution of what it then weighs."""


class Purses:
    """Purse, one a run: no logs here, since a thousand draws do not overflow."""

    def __init__(self, runs: int) -> None:
        self._wealth, self._largest = np.ones((len(STAKES), runs)), np.ones(runs)

    def bet(self, edges: Floats) -> None:
        """One edge a run."""
        for wealth, stake in zip(self._wealth, STAKES, strict=True):
            wealth *= 1 + stake * edges
        self._largest = np.maximum(self._largest, self._wealth.mean(axis=0))

    @property
    def largest(self) -> Floats:
        """The log of the largest wealth."""
        return np.log(self._largest)


class Sums:
    """The weight of each label so far, and which other one than `mode` is ahead, of equals the one seen first."""

    def __init__(self, runs: int, answers: int, draws: int) -> None:
        self.sums, self._first = np.zeros((runs, answers)), np.full((runs, answers), draws)
        self._rows = np.arange(runs)

    def ahead(self, mode: int | None) -> tuple[Floats, Floats]:
        """Who is ahead, and whether anyone has been seen."""
        place = self._first.astype(float)
        heavy = np.where(place < place.max(initial=1), self.sums, -1.0)
        if mode is not None:
            heavy[:, mode] = -2.0
        best = heavy.max(axis=1, keepdims=True)
        leader = np.where(heavy == best, self._first, np.iinfo(np.int64).max).argmin(axis=1)
        return leader, best[:, 0] >= 0.0

    def add(self, t: int, drawn: Floats, weights: Floats) -> None:
        """Draw t of every run."""
        self.sums[self._rows, drawn] += weights
        self._first[self._rows, drawn] = np.minimum(self._first[self._rows, drawn], t)


def against_weighted_leader(drawn: Floats, weights: Floats, mode: int) -> Floats:
    """WeightedLeaderTest's largest log wealth against `mode`'s having the largest expected vote."""
    runs, draws = drawn.shape
    purses, sums = Purses(runs), Sums(runs, int(drawn.max()) + 2, draws)
    for t in range(draws):
        x, w = drawn[:, t], weights[:, t]
        rival, some = sums.ahead(mode)
        purses.bet(np.where(some, w * ((x == rival).astype(float) - (x == mode)), 0.0))
        sums.add(t, x, w)
    return purses.largest


def against_weighted_majority(drawn: Floats, weights: Floats, mode: int | None) -> Floats:
    """WeightedMajorityTest's against `mode`'s having more than half of the expected vote; None: against none's."""
    runs, draws = drawn.shape
    purses, sums = Purses(runs), Sums(runs, int(drawn.max()) + 2, draws)
    for t in range(draws):
        x, w = drawn[:, t], weights[:, t]
        leader, some = sums.ahead(None)
        edge = np.where(some, np.where(x == leader, w, -w), 0.0) if mode is None else np.where(x == mode, -w, w)
        purses.bet(edge)
        sums.add(t, x, w)
    return purses.largest


def weighed(law: Law, rng: np.random.Generator, runs: int, draws: int) -> tuple[Floats, Floats]:
    """Labels and what each draw weighs."""
    shares, a, b = (np.array(each) for each in zip(*law, strict=True))
    drawn = np.searchsorted(np.cumsum(shares)[:-1], rng.random((runs, draws)), side="right")
    return drawn, rng.beta(a[drawn], b[drawn])


def leader_errs(law: Law, mode: int, rng: np.random.Generator, runs: int, draws: int) -> Floats:
    """Against a label of the largest expected vote."""
    return against_weighted_leader(*weighed(law, rng, runs, draws), mode)


def majority_errs(law: Law, mode: int | None, rng: np.random.Generator, runs: int, draws: int) -> Floats:
    """Against what is true of the law."""
    return against_weighted_majority(*weighed(law, rng, runs, draws), mode)


def agreeing_with_earlier_ones(rng: np.random.Generator, runs: int, draws: int) -> Floats:
    """Two equal answers; each draw weighs the share of the draws before it that say the same."""
    drawn = (rng.random((runs, draws)) < 0.5).astype(np.int64)
    same = np.where(drawn == 1, np.cumsum(drawn, axis=1), np.cumsum(1 - drawn, axis=1))
    return against_weighted_leader(drawn, same / np.arange(1, draws + 1), 0)


def read_as_frequency(rng: np.random.Generator, runs: int, draws: int) -> Floats:
    """The most frequent answer, .6, whose draws weigh little: that of the largest expected vote is another."""
    return leader_errs(((0.6, 2, 8), (0.4, 8, 2)), 0, rng, runs, draws)


FEW_SURE: Law = ((0.3, 8, 2), (0.6, 4, 6), (0.1, 9, 1))
"""Expected votes of .24, .24 and .09: of the two that are equal one is rarer and surer."""

SPREAD: Law = ((0.5, 0.1, 0.1), (0.25, 1, 0.001), (0.25, 30, 0.01))
"""Half of the draws weigh 0 or 1 by chance, a quarter each weigh next to 1."""

WEIGHED_NULLS: dict[str, Runs] = {
    "weighted: rare and sure": partial(leader_errs, FEW_SURE, 0),
    "weighted: frequent and unsure, as much": partial(leader_errs, FEW_SURE, 1),
    "weighted: 0 or 1 by chance, against near 1": partial(leader_errs, SPREAD, 0),
    "weighted: ten, equal": partial(leader_errs, ((0.1, 0.1, 0.1),) * 10, 0),
    "weighted: a hundred, equal": partial(leader_errs, ((0.01, 2, 2),) * 100, 0),
    "weighted majority, none has it: two, equal": partial(majority_errs, ((0.4, 6, 4), (0.6, 4, 6)), None),
    "weighted majority, none has it: ten, equal": partial(majority_errs, ((0.1, 0.1, 0.1),) * 10, None),
    "weighted majority, half has it": partial(majority_errs, ((0.4, 6, 4), (0.3, 4, 6), (0.3, 4, 6)), 0),
}
"""True hypotheses on the boundary."""

WEIGHED_CONTROLS: dict[str, Runs] = {
    "weighted by the share of earlier draws that agree": agreeing_with_earlier_ones,
    "weighted, and read as of the most frequent answer": read_as_frequency,
}
