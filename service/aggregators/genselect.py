"""Generative selection: one call names a sample."""

from pydantic import BaseModel, Field

from service.aggregators import base
from service.aggregators.picking import pick
from workers.wire.messages import Provides, Sampling


class GenselectOptions(base.AskingOptions):
    """`temperature` of the one call (0 is greedy). `max_tokens`: cap on its reply."""

    temperature: float = Field(default=0.3, ge=0.0, le=2.0)
    max_tokens: int = Field(default=1024, ge=1, le=32_768)


class Genselect:
    """One call says which of the samples is most likely right (arXiv 2504.16891).

    Unlike `usc` it asks for correctness and not for agreement, so a minority may win. The samples are shown in a random
    order that follows from the seed; a reply that names no sample that was shown falls back to the plain vote.
    """

    name = "genselect"
    Options: type[BaseModel] = GenselectOptions
    needs: frozenset[Provides] = frozenset()
    counts_votes = False
    calls = "1; 2 where the samples do not fit into the model's context"

    def __init__(self, options: GenselectOptions) -> None:
        self.options = options

    def max_calls(self, n: int) -> int:
        """Two."""
        return 2

    async def aggregate(self, panel: base.Panel, ask: base.Ask) -> base.Verdict:
        """The class of the sample that the model names; the plain vote if the reply cannot be used."""
        options = self.options
        sampling = Sampling(temperature=options.temperature, max_tokens=options.max_tokens, seed=panel.seed)
        return await pick(panel, ask, self.name, "The best solution is Solution", sampling, options)
