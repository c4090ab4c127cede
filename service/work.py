"""What this gateway has to do for one answer."""

from dataclasses import dataclass

from service.admission import Load
from service.gather import Gathered
from service.plan import Plan
from workers.wire.keys import Priority


@dataclass(frozen=True, slots=True)
class Work:
    """A planned answer. `created`: seconds since 1970. `elapsed_s`: how much of its budget was used before.

    `load`: what it holds of the pools; None where it draws no sample. `takes_over`: another gateway, or a task before,
    began with it; `drawn` and `parent` where it chooses among the samples of an answer that was given before.
    """

    plan: Plan
    created: int
    load: Load | None = None
    elapsed_s: float = 0.0
    takes_over: bool = False
    drawn: Gathered | None = None
    parent: str | None = None

    @property
    def priority(self) -> Priority:
        """Whether somebody waits for it."""
        return self.load.priority if self.load is not None else "interactive"
