"""Stop when the samples still to come cannot change the winner."""

from pydantic import BaseModel

from service.stopping import base
from service.stopping.base import Tally


class Lead:
    """Stops at v1 - v2 > to_come: deterministic, no assumption, loses nothing under counting votes.

    The inequality is strict: at v1 - v2 = to_come the runner-up could draw level, and the tie rule (smallest sample
    index) could then prefer it. A class not seen yet counts as a runner-up with no votes. `ahead`: by so many votes
    more must it lead, for an aggregator that looks further where the vote is close.
    """

    name = "lead"
    Options: type[BaseModel] = base.Options
    in_order = False
    wave: int | None = None

    def __init__(self, options: base.Options, ahead: float = 0.0) -> None:
        self.options = options
        self._ahead = ahead

    def stops(self, tally: Tally) -> bool:
        """True if no possible rest changes the winner."""
        return tally.to_come > 0 and tally.leader - tally.runner_up > tally.to_come + self._ahead
