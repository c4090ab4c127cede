"""The default: which aggregator to use, decided from the classed samples."""

from pydantic import BaseModel

from service.aggregators import base
from service.aggregators.base import Ask, Panel, Verdict
from service.aggregators.counting import plurality
from workers.wire.messages import Provides


class Auto:
    """Counting vote where samples agree on extractable answers, GSA for open text on which none agrees.

    `route` decides and says why; the chosen aggregator then does the work. As an aggregator of its own it is the vote.
    """

    name = "auto"
    Options: type[BaseModel] = base.Options
    needs: frozenset[Provides] = frozenset()
    counts_votes = True
    calls = "0, or those of the method that it takes"

    def __init__(self, options: base.Options) -> None:
        self.options = options

    def max_calls(self, n: int) -> int:
        """Two, if the route is GSA."""
        return 2

    def route(self, panel: Panel) -> tuple[str, str]:
        """The aggregator's name and the reason, from the panel alone."""
        if panel.classify.extractable:
            return "vote", "answers of this type can be compared: counting vote"
        if any(len(c.members) > 1 for c in panel.classes):
            return "vote", "short texts, at least two samples agree: counting vote"
        readable = [c for c in panel.candidates if c.sample.text.strip() and c.sample.failure is None]
        if len(readable) < 2:
            return "vote", "fewer than two readable samples: nothing to synthesise"
        return "gsa", "free text on which no two samples agree: generative self-aggregation"

    async def aggregate(self, panel: Panel, ask: Ask) -> Verdict:
        """The plurality's verdict."""
        return plurality(panel)
