"""How alike two rankings are, and what a judge's scores go by: facts on the verdicts of judging methods."""

import math
from collections.abc import Sequence
from itertools import combinations


def ranks(values: Sequence[float]) -> list[float]:
    """Ranks from 1 (smallest) on; equal values share the mean of their ranks."""
    order = sorted(range(len(values)), key=lambda i: values[i])
    found = [0.0] * len(values)
    at = 0
    while at < len(order):
        end = at
        while end < len(order) and values[order[end]] == values[order[at]]:
            end += 1
        for place in order[at:end]:
            found[place] = (at + 1 + end) / 2
        at = end
    return found


def spearman(left: Sequence[float], right: Sequence[float]) -> float | None:
    """Spearman's rank correlation, in [-1, 1]; None where one side has no spread or fewer than two values."""
    if len(left) < 2:
        return None
    a, b = ranks(left), ranks(right)
    mean = (len(a) + 1) / 2
    spread = math.fsum((x - mean) ** 2 for x in a) * math.fsum((y - mean) ** 2 for y in b)
    if not spread:
        return None
    both = math.fsum((x - mean) * (y - mean) for x, y in zip(a, b, strict=True))
    return max(-1.0, min(1.0, both / math.sqrt(spread)))


def agreement(rows: Sequence[Sequence[float]]) -> float | None:
    """The mean rank correlation of every two rows; None where there is none."""
    found = [rho for left, right in combinations(rows, 2) if (rho := spearman(left, right)) is not None]
    return math.fsum(found) / len(found) if found else None


def facts_of(scores: Sequence[float], texts: Sequence[str], rows: Sequence[Sequence[float]] = ()) -> dict[str, float]:
    """`length_correlation`: how far scores go with the texts' lengths. `judge_agreement`: of several score rows."""
    found = {"length_correlation": spearman(scores, [float(len(text)) for text in texts])}
    found["judge_agreement"] = agreement(rows)
    return {name: value for name, value in found.items() if value is not None}
