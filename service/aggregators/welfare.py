"""How several criteria become one worth: the rules of `maxmin` and `personas`."""

import math
from collections.abc import Callable, Sequence
from typing import Literal

from service.aggregators.ballot import rank_weights

Welfare = Literal["maximin", "leximin", "nash", "utilitarian"]

EPSILON = 1e-3
"""Added to a rank before its logarithm, so that being last by one criterion costs much and not everything."""

WELFARES: dict[str, Callable[[Sequence[float]], tuple[float, ...]]] = {
    "maximin": lambda ranks: (min(ranks),),
    "leximin": lambda ranks: tuple(sorted(ranks)),
    "nash": lambda ranks: (math.fsum(math.log(rank + EPSILON) for rank in ranks),),
    "utilitarian": lambda ranks: (math.fsum(ranks),),
}
"""`maximin`: the worst rank. `leximin`: then the next-worst, and so on. `nash`: the sum of logarithms. `utilitarian`:
the sum."""


def ranks_of(rows: Sequence[tuple[float, ...]]) -> list[tuple[float, ...]]:
    """Each row's rank by each criterion: the share of the other rows that it is better than."""
    others = max(1, len(rows) - 1)
    alone = len(rows) == 1
    columns = [rank_weights(column, lambda k: 1.0 if alone else (k - 1) / others) for column in zip(*rows, strict=True)]
    return list(zip(*columns, strict=True))
