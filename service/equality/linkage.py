"""Classes of things that are alike in pairs: complete linkage, so that any two members of a class are alike."""

from collections.abc import Mapping
from heapq import heapify, heappop, heappush

Pair = tuple[int, int]
"""Two places in a list, the smaller one first."""


def linked(count: int, near: Mapping[Pair, float]) -> list[list[int]]:
    """The places 0..count in clusters, each ascending, in the order of their first places.

    `near` holds how alike two are, higher is more, for every pair that may share a cluster. Again and again the two
    clusters merge whose least alike members are the most alike, of equal ones those that come first, as long as every
    pair across them is near. A pair that is not in `near` never shares a cluster.
    """
    known = dict(near)
    clusters = {place: [place] for place in range(count)}
    waiting = [(-value, *pair) for pair, value in known.items()]
    heapify(waiting)
    while waiting:
        value, left, right = heappop(waiting)
        if known.get((left, right)) != -value:  # one of the two has merged since
            continue
        clusters[left] += clusters.pop(right)
        del known[left, right]
        for other in clusters:
            to_left, to_right = (known.pop(ordered(place, other), None) for place in (left, right))
            if to_left is not None and to_right is not None:
                pair = ordered(left, other)
                known[pair] = min(to_left, to_right)
                heappush(waiting, (-known[pair], *pair))
    return [sorted(members) for members in clusters.values()]


def ordered(one: int, other: int) -> Pair:
    """The two places, the smaller one first."""
    return (one, other) if one < other else (other, one)
