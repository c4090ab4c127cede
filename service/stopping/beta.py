"""Adaptive-Consistency's Beta rule."""

from pydantic import BaseModel, Field

from service.confidence.signals import posterior_lead
from service.stopping import base


class BetaOptions(base.Options):
    """`threshold`: stop at this posterior. `wave`: samples launched at a time."""

    threshold: float = Field(default=0.95, gt=0.5, lt=1.0)
    wave: int = Field(default=4, ge=1, le=64)


class Beta:
    """Stops when 1 - I_(1/2)(v1 + 1, v2 + 1) >= threshold (Adaptive-Consistency, arXiv 2305.11860).

    Four equal answers reach .969. The threshold is a belief and not an error bound, since it is looked at after every
    sample. Samples are launched in waves, because a rule saves nothing on samples that are already running.
    """

    name = "beta"
    Options: type[BaseModel] = BetaOptions
    independent = True
    in_order = True

    def __init__(self, options: BetaOptions) -> None:
        self.options = options
        self.wave: int | None = options.wave

    def stops(self, tally: base.Tally) -> bool:
        """True if the posterior that the leader leads has reached the threshold."""
        return tally.leader > 0 and posterior_lead(tally.leader, tally.runner_up) >= self.options.threshold
