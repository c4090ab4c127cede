"""How much to stake: posterior means under the shipped prior, by recurrences that only add positive numbers."""

import math

_FAR = 64
"""Steps from which the backward recurrence starts: what it starts with is halved at each."""

_inverse: dict[int, list[float]] = {}


def share_won(wins: int, losses: int) -> float:
    """q: the posterior mean of the chance of a win, given so many wins and losses; in [1/2, 1).

    The prior is Beta(1/2, 1/2) cut to (1/2, 1). With E(s, f) the prior's mean of (2q)^s (2(1 - q))^f, it is
    E(s + 1, f) / (2 E(s, f)). Integrating by parts, with g = 2 / (pi E):
    q = (2 s + 1 + g(s, f)) / (2 (s + f + 1)) and g(s + 1, f) = g(s, f) / (2 q).
    """
    row = _inverse.setdefault(losses, [])
    if not row:
        row.append(1 / _scaled(losses))
    while len(row) <= wins:
        s = len(row) - 1
        row.append(row[s] / (2 * _mean(s, losses, row[s])))
    return _mean(wins, losses, row[wins])


def _mean(s: int, f: int, g: float) -> float:
    return min(max((2 * s + 1 + g) / (2 * (s + f + 1)), 0.5), math.nextafter(1.0, 0.0))


def _scaled(losses: int) -> float:
    """E(0, f) pi / 2, by h(f) = ((f + 1) h(f + 1) + 1) / (2 f + 1) from far above; h(0) is pi / 2."""
    h = 1 / (losses + _FAR)
    for f in range(losses + _FAR - 1, losses - 1, -1):
        h = ((f + 1) * h + 1) / (2 * f + 1)
    return h
