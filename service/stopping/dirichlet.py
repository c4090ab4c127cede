"""Adaptive-Consistency's Dirichlet rule."""

import math
from functools import lru_cache

from pydantic import BaseModel, Field

from service.stopping import base


class DirichletOptions(base.Options):
    """`threshold`: stop at this posterior. `wave`: samples launched at a time."""

    threshold: float = Field(default=0.95, gt=0.5, lt=1.0)
    wave: int = Field(default=4, ge=1, le=64)


class Dirichlet:
    """Stops when P(p_1 > every other p_i | votes) >= threshold (Adaptive-Consistency, arXiv 2305.11860).

    The posterior is Dirichlet(v + 1) over the classes seen and one for all not seen. Where one class has all votes it
    is that of the rule `beta`; with many small classes it takes more samples. A belief and no error bound.
    """

    name = "dirichlet"
    Options: type[BaseModel] = DirichletOptions
    independent = True
    in_order = True

    def __init__(self, options: DirichletOptions) -> None:
        self.options = options
        self.wave: int | None = options.wave

    def stops(self, tally: base.Tally) -> bool:
        """True if the posterior that the leader leads all others has reached the threshold."""
        return tally.leader > 0 and leads_all((*tally.counts, 0)) >= self.options.threshold


@lru_cache(maxsize=4096)
def leads_all(counts: tuple[int, ...]) -> float:
    """P(p_1 > max p_i) under Dirichlet(counts + 1), to about twelve digits; counts[0] is the leader's.

    A Dirichlet vector is independent Gamma(v + 1, 1) variables over their sum, so P is the integral of the leader's
    density times the others' distribution functions. In y = log x the integrand is smooth and falls off at both ends
    faster than exponentially, where equally spaced points converge geometrically.
    """
    first, others = counts[0], sorted(counts[1:])
    step = 0.25 / math.sqrt(first + 1)
    middle = math.log(first + 1)
    low, high = middle - 36.0 / (first + 1) - 7.0 / math.sqrt(first + 1), middle + 7.5 / math.sqrt(first + 1)
    points = math.ceil((high - low) / step)
    return min(1.0, step * math.fsum(_integrand(math.exp(low + i * step), first, others) for i in range(points)))


def _integrand(x: float, first: int, others: list[int]) -> float:
    """Density in log x of Gamma(first + 1), times P(Gamma(v + 1) < x) for the other counts v, ascending."""
    log, below, product, place = math.log(x), 0.0, 1.0, 0
    for count in others:
        while place <= count:
            below += math.exp(place * log - x - math.lgamma(place + 1))
            place += 1
        product *= max(0.0, 1.0 - below)
    return math.exp((first + 1) * log - x - math.lgamma(first + 1)) * product
