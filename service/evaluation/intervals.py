"""How sure a measured number is: intervals and the area under the ROC curve."""

import math
from collections.abc import Callable, Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")

Z95 = 1.959963984540054
"""The normal distribution's 97.5 % point."""


def wilson(successes: int, total: int) -> tuple[float, float]:
    """The 95 % score interval of a share (Wilson 1927); (0, 1) where nothing was seen."""
    if total == 0:
        return 0.0, 1.0
    share, square = successes / total, Z95**2
    middle = (share + square / (2 * total)) / (1 + square / total)
    half = Z95 / (1 + square / total) * math.sqrt(share * (1 - share) / total + square / (4 * total**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def least_share(successes: int, total: int, error: float = 0.05) -> float:
    """The lower bound of a share that is too high with probability at most `error` (Clopper and Pearson 1934).

    The p at which at least so many successes have the probability `error`; 0 without a success.
    """
    low, high = 0.0, successes / total if total else 0.0
    for _ in range(60 if high else 0):
        middle = (low + high) / 2
        low, high = (low, middle) if _at_least(successes, total, middle) > error else (middle, high)
    return low


def _at_least(successes: int, total: int, share: float) -> float:
    """P(Bin(total, share) >= successes), for a share between 0 and 1; the shorter tail is summed."""
    upper = range(successes, total + 1)
    summed = upper if len(upper) < successes else range(successes)
    terms = (
        math.lgamma(total + 1)
        - math.lgamma(k + 1)
        - math.lgamma(total - k + 1)
        + k * math.log(share)
        + (total - k) * math.log1p(-share)
        for k in summed
    )
    found = math.fsum(math.exp(term) for term in terms)
    return found if summed is upper else 1.0 - found


def bootstrap(
    items: Sequence[T], statistic: Callable[[Sequence[T]], float], *, seed: int = 0, rounds: int = 1000
) -> tuple[float, float]:
    """The 95 % percentile interval of a statistic over resampled items; its value is that of the items themselves."""
    if not items:
        return math.nan, math.nan
    rng = Random(seed)
    drawn = sorted(statistic(rng.choices(items, k=len(items))) for _ in range(rounds))
    return drawn[round(0.025 * rounds)], drawn[round(0.975 * rounds) - 1]


def auroc(pairs: Sequence[tuple[float, bool]]) -> float:
    """The chance that a right one scores higher than a wrong one, ties counting half; NaN without one of each."""
    rights = sum(right for _, right in pairs)
    wrongs = len(pairs) - rights
    if not rights or not wrongs:
        return math.nan
    tallies: dict[float, list[int]] = {}
    for score, right in pairs:
        tallies.setdefault(score, [0, 0])[right] += 1
    won, below = 0.0, 0
    for score in sorted(tallies):
        wrong, right_here = tallies[score]
        won += right_here * (below + wrong / 2)
        below += wrong
    return won / (rights * wrongs)


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of the values do not exceed; NaN of nothing."""
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
