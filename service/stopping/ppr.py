"""PPR-1v1: stop when the runner-up is refuted against the leader."""

from pydantic import BaseModel, Field

from service.confidence.signals import ppr
from service.stopping import base


class PprOptions(base.Options):
    """`delta`: the chance of error to reach. `answers`: how many answers there can be; None: the request's choices,
    and without choices one more than were seen. `wave`: samples launched at a time.
    """

    delta: float = Field(default=0.05, gt=0.0, lt=0.5)
    answers: int | None = Field(default=None, ge=2, le=10**9)
    wave: int = Field(default=4, ge=1, le=64)


class Ppr:
    """Stops when (K - 1) b(1/2) <= delta, b the density of Beta(v1 + 1, v2 + 1) (PAC mode estimation, PPR-1v1).

    With K answers known beforehand, the leader is the most frequent one with probability 1 - delta, whenever one looks.
    With K counted from the samples it is a policy and no bound. Eight equal answers reach .035 for K = 2.
    """

    name = "ppr"
    Options: type[BaseModel] = PprOptions
    independent = True
    in_order = True

    def __init__(self, options: PprOptions) -> None:
        self.options = options
        self.wave: int | None = options.wave

    def stops(self, tally: base.Tally) -> bool:
        """True if the bound against every rival is reached; the runner-up's is the largest."""
        answers = self.options.answers or tally.answers or len(tally.counts) + 1
        return tally.leader > 0 and ppr(tally.leader, tally.runner_up, max(answers, 2)) <= self.options.delta
