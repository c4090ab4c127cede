"""The protocol of a stopping rule: the test that ends sampling early."""

from dataclasses import dataclass
from typing import Protocol

from pydantic import BaseModel

from service.registry import Options as Options
from workers.wire.messages import ConfidenceCut, Provides


@dataclass(frozen=True, slots=True)
class Tally:
    """The state of the vote. `counts`: votes per class, largest first. `to_come`: samples planned and not yet in."""

    counts: tuple[int, ...]
    to_come: int

    @property
    def leader(self) -> int:
        """Votes of the largest class."""
        return self.counts[0] if self.counts else 0

    @property
    def runner_up(self) -> int:
        """Votes of the second class; 0 if there is none (a class not seen yet has none)."""
        return self.counts[1] if len(self.counts) > 1 else 0


class StoppingRule(Protocol):
    """Decides from a tally whether to stop.

    `in_order`: the tally is taken over the contiguous finished prefix in launch order, so that the decision does not
    depend on which sample finishes first. `wave`: samples to launch at a time; None launches all at once.

    A rule may have two attributes more. `cut` (ConfidenceCut | None): by what the worker ends single samples.
    `needs` (frozenset[Provides]): what the workers must supply.
    """

    name: str
    Options: type[BaseModel]
    in_order: bool
    wave: int | None

    def stops(self, tally: Tally) -> bool:
        """True if no further sample is wanted."""
        ...


def cut_of(rule: StoppingRule) -> ConfidenceCut | None:
    """By what the rule has single samples ended; None if it ends none."""
    cut: ConfidenceCut | None = getattr(rule, "cut", None)
    return cut


def needs_of(rule: StoppingRule) -> frozenset[Provides]:
    """What the workers must supply for the rule."""
    needs: frozenset[Provides] = getattr(rule, "needs", frozenset())
    return needs
