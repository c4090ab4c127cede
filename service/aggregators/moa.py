"""Mixture of agents: layers of writers, each of which reads all that the layer before wrote."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

from service.aggregators import base
from service.aggregators.counting import fall_back, plurality
from service.aggregators.picking import READABLE
from service.aggregators.synthesis import draft_of, drafts_of, write_all
from service.aggregators.verdicts import of_text
from workers.wire.messages import Provides, Sampling

Pool = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class MoaOptions(base.AskingOptions):
    """`layers`: the samples are the first, the final writer the last. `width`: writers in each layer between.

    `models`: the pools that take turns in the layers between; the answer's own if left out. `judge_model` writes last.
    `temperature` of the layers between; the final text is greedy. `max_tokens`: cap on each text.
    """

    layers: int = Field(default=3, ge=2, le=6)
    width: int = Field(default=4, ge=1, le=16)
    models: tuple[Pool, ...] = Field(default=(), max_length=16)
    temperature: float = Field(default=0.7, ge=0.0, le=2.0)
    max_tokens: int = Field(default=1024, ge=1, le=32_768)


class Moa:
    """Each writer of a layer is shown all that the layer before wrote; a last one makes the answer (arXiv 2406.04692).

    With two layers it is generative self-aggregation in other words. A layer of which no text can be used is passed
    over. The final text is classed as in `gsa`: `support`, `novel`; if it cannot be used, the plain vote stands in.
    """

    name = "moa"
    Options: type[BaseModel] = MoaOptions
    needs: frozenset[Provides] = frozenset()
    counts_votes = False
    calls = "(layers - 2) x width + 1; twice that where texts do not fit into the model's context"

    def __init__(self, options: MoaOptions) -> None:
        self.options = options

    def max_calls(self, n: int) -> int:
        """Two for each text."""
        return 2 * ((self.options.layers - 2) * self.options.width + 1)

    def calls_for(self, votes: Sequence[int], provides: frozenset[Provides]) -> int:
        """(layers - 2) x width + 1."""
        return (self.options.layers - 2) * self.options.width + 1

    async def aggregate(self, panel: base.Panel, ask: base.Ask) -> base.Verdict:
        """The final text's verdict; the plain vote if it cannot be used."""
        options, rng = self.options, panel.rng(self.name)
        drafts = drafts_of(panel, [c for c in panel.candidates if c.excluded in READABLE])
        if not drafts:
            return plurality(panel)
        warnings: list[str] = []
        between = Sampling(temperature=options.temperature, max_tokens=options.max_tokens, seed=panel.seed)
        for layer in range(options.layers - 2):
            views = [rng.sample(drafts, len(drafts)) for _ in range(options.width)]
            sampling = between.model_copy(update={"seed": panel.seed + layer * options.width})
            made = await write_all(panel, ask, self.name, views, sampling, options, options.models or (None,))
            warnings += made.warnings
            written = [own.text for own in made.written]
            drafts = [await draft_of(panel, text, at) for at, text in enumerate(written) if text is not None] or drafts
        final = Sampling(temperature=0.0, max_tokens=options.max_tokens, seed=panel.seed)
        view = rng.sample(drafts, len(drafts))
        made = await write_all(panel, ask, self.name, [view], final, options, (options.judge_model,))
        (last,) = made.written
        if last.text is None:
            verdict = fall_back(panel, self.name, "no_usable_reply")
        else:
            verdict = await of_text(panel, last.text, self.name)
        return replace(verdict, warnings=(*verdict.warnings, *dict.fromkeys([*warnings, *made.warnings])))
