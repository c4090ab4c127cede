"""How frequent an answer is at least: an anytime-valid lower bound."""

import math
from collections.abc import Collection, Hashable, Iterable

_HALVINGS = 60


def support_lower(labels: Iterable[Hashable], held: Collection[Hashable], alpha: float = 0.05) -> float:
    """With probability at least 1 - alpha the share of `held` in the distribution of the labels is at least this.

    At any time, for every label at once: the j-th different label is looked at from the draw after its first on, at the
    level alpha / 2^j, and levels sum up to alpha. Each is bounded below by the smaller root of K(p) = 2^j / alpha with
    K(p) = B(s + 1/2, f + 1/2) / (B(1/2, 1/2) p^s (1 - p)^f) after s more of the label and f others (Robbins' mixture,
    whose K is a martingale at the true p). Of several labels held the best bound counts.
    """
    first: dict[Hashable, int] = {}
    counts: dict[Hashable, int] = {}
    total = 0
    for total, label in enumerate(labels, start=1):
        first.setdefault(label, total)
        counts[label] = counts.get(label, 0) + 1
    bounds = [
        _lower(counts[label] - 1, total - first[label] - counts[label] + 1, alpha / 2.0**place)
        for place, label in enumerate(first, start=1)
        if label in held
    ]
    return max(bounds, default=0.0)


def _lower(wins: int, losses: int, alpha: float) -> float:
    """The smaller root by bisection: K falls from infinity at 0 to less than 1 at the observed share."""
    if wins == 0 or alpha <= 0:
        return 0.0
    limit = math.lgamma(wins + 0.5) + math.lgamma(losses + 0.5) - math.lgamma(wins + losses + 1)
    limit -= math.log(math.pi) - math.log(alpha)
    low, high = 0.0, wins / (wins + losses)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        above = limit > wins * math.log(middle) + (losses * math.log1p(-middle) if losses else 0.0)
        low, high = (middle, high) if above else (low, middle)
    return low
