"""Universal self-consistency: one call names a sample."""

from collections.abc import Sequence

from pydantic import BaseModel, Field

from service.aggregators import base
from service.aggregators.picking import PickingOptions, pick
from workers.wire.messages import Provides, Sampling


class UscOptions(PickingOptions):
    """`temperature` of a call (0 is greedy). `max_tokens`: cap on its reply. `orders`: 2 asks once more, with the
    samples in the reverse order.
    """

    temperature: float = Field(default=0.0, ge=0.0, le=2.0)
    max_tokens: int = Field(default=1024, ge=1, le=32_768)


class Usc:
    """One call says which of the samples is most consistent with the others (arXiv 2311.17311).

    Its hit rate falls as n grows: long prompts are read badly. The samples are shown in a random order that follows
    from the seed; a reply that names no sample that was shown falls back to the plain vote.
    `facts`: `order_flip`, 1 if a second order changed the answer.
    """

    name = "usc"
    Options: type[BaseModel] = UscOptions
    needs: frozenset[Provides] = frozenset()
    counts_votes = False
    calls = "`orders`; twice that where the samples do not fit into the model's context"

    def __init__(self, options: UscOptions) -> None:
        self.options = options

    def max_calls(self, n: int) -> int:
        """Two for each order."""
        return 2 * self.options.orders

    def calls_for(self, votes: Sequence[int], provides: frozenset[Provides]) -> int:
        """One for each order."""
        return self.options.orders

    async def aggregate(self, panel: base.Panel, ask: base.Ask) -> base.Verdict:
        """The class of the sample that the model names; the plain vote if the reply cannot be used."""
        options = self.options
        sampling = Sampling(temperature=options.temperature, max_tokens=options.max_tokens, seed=panel.seed)
        return await pick(panel, ask, self.name, "The most consistent solution is Solution", sampling, options)
