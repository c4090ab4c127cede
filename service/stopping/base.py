"""The protocol of a stopping rule: the test that ends sampling early."""

from dataclasses import dataclass
from typing import Protocol

from pydantic import BaseModel, Field

from service import registry
from workers.wire.messages import ConfidenceCut, Provides


class Options(registry.Options):
    """What every rule has that ends the sampling.

    `shadow`: the rule ends nothing; all samples are drawn, and the reply says what it would have saved and whether the
    answer would have been the same.
    """

    shadow: bool = Field(default=False)


@dataclass(frozen=True, slots=True)
class Tally:
    """The state of the vote. `counts`: votes per class, largest first. `to_come`: samples planned and not yet in.

    In launch order, for each sample looked at: `votes`, the place in `counts` of the class that it votes for, or None
    if it does not vote; `option_logprobs`, for rules that are `closed`. `leading_option`: which of the closed answers
    the leader is. `answers`: how many answers there can be, where they are a closed set. `p`: the certificate's p-value
    for the leader, for rules that are `certifying`. `blocks`: where the samples of one model after the other end.
    `elapsed_s`: since the answer was begun.
    """

    counts: tuple[int, ...]
    to_come: int
    votes: tuple[int | None, ...] = ()
    option_logprobs: tuple[tuple[float, ...], ...] = ()
    leading_option: int | None = None
    answers: int | None = None
    p: float | None = None
    blocks: tuple[int, ...] = ()
    elapsed_s: float = 0.0

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

    What else a rule may have is read by the functions below: `cut`, `needs`, `independent`, `certifying`, `closed`,
    `seconds`, `blocks`, and the method `counted`.
    """

    name: str
    Options: type[BaseModel]
    in_order: bool
    wave: int | None

    def stops(self, tally: Tally) -> bool:
        """True if no further sample is wanted."""
        ...


def cut_of(rule: StoppingRule) -> ConfidenceCut | None:
    """By what the rule has single samples ended (`cut`); None if it ends none."""
    cut: ConfidenceCut | None = getattr(rule, "cut", None)
    return cut


def needs_of(rule: StoppingRule) -> frozenset[Provides]:
    """What the workers must supply for the rule (`needs`)."""
    needs: frozenset[Provides] = getattr(rule, "needs", frozenset())
    return needs


def needs_independence(rule: StoppingRule) -> bool:
    """True if what the rule computes means something for independent draws alone (`independent`)."""
    return bool(getattr(rule, "independent", False))


def is_certifying(rule: StoppingRule) -> bool:
    """True if the rule looks at the certificate's p-value (`certifying`)."""
    return bool(getattr(rule, "certifying", False))


def is_closed(rule: StoppingRule) -> bool:
    """True if samples are drawn from a closed set of answers, with the likelihood of each (`closed`)."""
    return bool(getattr(rule, "closed", False))


def takes_blocks(rule: StoppingRule) -> bool:
    """True if the rule looks at one model's samples after the other's (`blocks`)."""
    return bool(getattr(rule, "blocks", False))


def seconds_of(rule: StoppingRule) -> float | None:
    """When the rule is asked although nothing came (`seconds` since the answer was begun); None: never."""
    seconds: float | None = getattr(rule, "seconds", None)
    return seconds


def is_shadow(rule: StoppingRule) -> bool:
    """True if the rule is only measured."""
    return bool(getattr(getattr(rule, "options", None), "shadow", False))


def counted(rule: StoppingRule, tally: Tally) -> range:
    """Which samples of the prefix vote where the rule stops (`counted`): all of them unless the rule says otherwise."""
    says = getattr(rule, "counted", None)
    found: range = says(tally) if says else range(len(tally.votes))
    return found
