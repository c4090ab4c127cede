"""Early-stopping self-consistency: a window that agrees."""

from pydantic import BaseModel, Field

from service.stopping import base


class EscOptions(base.Options):
    """`window`: samples that must agree; also how many are launched at a time."""

    window: int = Field(default=5, ge=2, le=64)


class Esc:
    """Stops when all samples of one window vote for one answer (ESC, arXiv 2401.10480); that answer is the verdict.

    Windows follow each other in launch order and do not overlap. Only the window that agrees votes: earlier windows may
    hold more votes for another answer, and a vote over everything would then contradict the stop. A sample without an
    answer keeps its window from agreeing. If no window agrees, all samples vote. A policy and no error bound: a wrong
    answer drawn with probability p agrees in each window with probability p^window.
    """

    name = "esc"
    Options: type[BaseModel] = EscOptions
    independent = True
    in_order = True

    def __init__(self, options: EscOptions) -> None:
        self.options = options
        self.wave: int | None = options.window

    def stops(self, tally: base.Tally) -> bool:
        """True at the end of a window whose samples all vote for one class."""
        window = tally.votes[-self.options.window :]
        whole = bool(tally.votes) and len(tally.votes) % self.options.window == 0
        return whole and None not in window and len(set(window)) == 1

    def counted(self, tally: base.Tally) -> range:
        """The window that agrees."""
        return range(len(tally.votes) - self.options.window, len(tally.votes))
