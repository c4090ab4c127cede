"""The plain vote."""

from pydantic import BaseModel

from service.aggregators import base
from service.aggregators.base import Ask, Panel, Verdict
from service.aggregators.counting import plurality
from workers.wire.messages import Provides


class Vote:
    """The answer with the most samples (self-consistency, arXiv 2203.11171): argmax over classes of n_c.

    Where the models of a mixed ensemble weigh differently, argmax of the sum of their weights. Ties go to the class
    that holds the smallest sample index. Needs nothing but answers; asks no model.
    """

    name = "vote"
    Options: type[BaseModel] = base.Options
    needs: frozenset[Provides] = frozenset()
    counts_votes = True
    calls = "0"

    def __init__(self, options: base.Options) -> None:
        self.options = options

    def max_calls(self, n: int) -> int:
        """None."""
        return 0

    async def aggregate(self, panel: Panel, ask: Ask) -> Verdict:
        """The plurality's verdict."""
        return plurality(panel)
