"""The best answer within t seconds."""

from pydantic import BaseModel, Field

from service.stopping import base


class DeadlineOptions(base.Options):
    """`seconds` after which sampling ends, counted from when the answer is begun."""

    seconds: float = Field(gt=0.0, le=3_600.0, allow_inf_nan=False, default=10.0)


class Deadline:
    """Ends sampling at t seconds; whatever has come votes, and the answer is a full one and not `degraded`.

    If too few samples (`quorum`) can be used by then, it waits for them as long as the budget lasts. What has come in
    time are the shorter completions, so the vote leans towards answers that take few words. The certificate counts the
    contiguous prefix alone and is not touched by that.
    """

    name = "deadline"
    Options: type[BaseModel] = DeadlineOptions
    in_order = False
    wave: int | None = None

    def __init__(self, options: DeadlineOptions) -> None:
        self.options = options
        self.seconds: float | None = options.seconds

    def stops(self, tally: base.Tally) -> bool:
        """True from t seconds on, if anything votes."""
        return tally.leader > 0 and tally.elapsed_s >= self.options.seconds
