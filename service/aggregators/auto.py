"""The default: which aggregator to use, decided from the classed samples and from what is left to spend."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel, Field

from service.aggregators import base
from service.aggregators.base import Ask, Left, Panel, Verdict
from service.aggregators.counting import plurality
from service.aggregators.instructions import demands
from service.aggregators.picking import READABLE
from service.aggregators.verdicts import near_tie
from workers.wire.messages import Provides

LEAST_SECONDS = 0.5
"""With less time than this no call is begun."""

SECOND_STAGES = (Provides.PREFIX_CONTINUE, Provides.CHAT)
"""What a pool must supply, either of it, to be asked where the vote is not settled."""


class AutoOptions(base.Options):
    """`margin`: a vote is settled if (first - second) / votes is above it; one that is not is looked into further."""

    margin: float = Field(default=0.25, ge=0.0, lt=1.0)


@dataclass(frozen=True, slots=True)
class Route:
    """Another aggregator, its options, and why it was taken."""

    name: str
    why: str
    options: Mapping[str, object] = field(default_factory=dict)


class Auto:
    """A counting vote where answers repeat; more evidence where that is close; synthesis for what no vote suits.

    1. Answers that can be compared, and short texts most of which repeat: `vote`. Where its margin is small, and time
       and tokens are left, a second stage decides: `prefix_consistency` where the workers can continue a completion,
       else `pairwise_fusion`.
    2. Code of which no version has a majority: `gsa`.
    3. Free text: `checklist` where the question makes several demands that can be checked, else `gsa`.

    `route` decides and says why; the chosen aggregator then does the work. Sampling ends early only where the vote is
    settled for good, so that what `lead` saves changes no route. As an aggregator of its own it is the vote.
    """

    name = "auto"
    Options: type[BaseModel] = AutoOptions
    needs: frozenset[Provides] = frozenset()
    counts_votes = True
    calls = "0, or those of the method that it takes"

    def __init__(self, options: AutoOptions) -> None:
        self.options = options

    def max_calls(self, n: int) -> int:
        """Those of the dearest route: one a sample and one more, or three pairs of answers in both orders."""
        return max(n + 1, 6)

    def settled_by(self, provides: frozenset[Provides]) -> float:
        """By which share of all samples the vote must lead so that no second stage of such a pool would be asked."""
        return self.options.margin if provides & {*SECOND_STAGES} else 0.0

    def route(self, panel: Panel, left: Left | None) -> Route:
        """What to do, from the panel and from what is left; `left` is None where nobody can be asked."""
        affordable = left is not None and left.seconds >= LEAST_SECONDS and left.tokens != 0
        readable = [c for c in panel.candidates if c.excluded in READABLE and c.sample.text.strip()]
        if panel.answer_type == "code" and len(readable) > 1 and not _majority(panel):
            return self._written("code of which no version has a majority", affordable)
        if panel.classify.extractable:
            return self._voted(panel, "answers of this type can be compared", affordable)
        repeated = sum(len(c.members) for c in panel.classes if len(c.members) > 1)
        if 2 * repeated > len(panel.voters):
            return self._voted(panel, "short texts, most of which repeat", affordable)
        if len(readable) < 2:
            return Route("vote", "fewer than two readable samples: nothing to synthesise")
        if affordable and demands(panel.task.question) > 1:
            return Route("checklist", "free text, and demands that can be checked: graded by a checklist")
        return self._written("free text that repeats too little to vote on", affordable)

    def _written(self, what: str, affordable: bool) -> Route:
        if not affordable:
            return Route("vote", f"{what}, and nothing left to ask with: counting vote")
        return Route("gsa", f"{what}: generative self-aggregation")

    def _voted(self, panel: Panel, what: str, affordable: bool) -> Route:
        """The vote; a second stage where it is not settled and there is somebody who can tell more."""
        if not near_tie(panel, self.options.margin):
            return Route("vote", f"{what}: counting vote")
        close = f"{what}, and the vote is close"
        if not affordable or not panel.provides & {*SECOND_STAGES}:
            return Route("vote", f"{close}, but nobody is there to ask: counting vote")
        if Provides.PREFIX_CONTINUE in panel.provides:
            options = {"margin": self.options.margin}
            return Route("prefix_consistency", f"{close}: answers that come back when drawn anew count more", options)
        return Route("pairwise_fusion", f"{close}: the largest answers are also compared in pairs")

    async def aggregate(self, panel: Panel, ask: Ask) -> Verdict:
        """The plurality's verdict."""
        return plurality(panel)


def _majority(panel: Panel) -> bool:
    return any(2 * len(found.members) > len(panel.voters) for found in panel.classes)
