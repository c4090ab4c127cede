"""Generative self-aggregation: the model writes a new solution in the light of its samples."""

from collections.abc import Sequence
from dataclasses import replace

from pydantic import BaseModel, Field

from service.aggregators import base
from service.aggregators.counting import fall_back, plurality
from service.aggregators.picking import READABLE
from service.aggregators.synthesis import drafts_of, write_all
from service.aggregators.verdicts import of_text
from workers.wire.messages import Provides, Sampling


class GsaOptions(base.AskingOptions):
    """`temperature` of the synthesis (0 is greedy). `max_tokens`: cap on its length, not the samples'."""

    temperature: float = Field(default=0.0, ge=0.0, le=2.0)
    max_tokens: int = Field(default=1024, ge=1, le=32_768)


class Gsa:
    """One call writes a new, complete solution, shown the question and the samples as reference (arXiv 2503.04104).

    The model neither picks nor rates. The new solution's answer is classed again: `support` is the share of votes that
    agree with it, `novel` is True if none does. For free text the whole synthesis is the answer. An empty, truncated or
    (where answers are extractable) answerless synthesis falls back to the plain vote.
    """

    name = "gsa"
    Options: type[BaseModel] = GsaOptions
    needs: frozenset[Provides] = frozenset()
    counts_votes = False
    calls = "1; 2 where the samples do not fit into the model's context"

    def __init__(self, options: GsaOptions) -> None:
        self.options = options

    def max_calls(self, n: int) -> int:
        """Two."""
        return 2

    def calls_for(self, votes: Sequence[int], provides: frozenset[Provides]) -> int:
        """One."""
        return 1

    async def aggregate(self, panel: base.Panel, ask: base.Ask) -> base.Verdict:
        """The synthesis' verdict; the plain vote if the synthesis cannot be used."""
        shown = [c for c in panel.candidates if c.excluded in READABLE]
        if not shown:
            return plurality(panel)
        sampling = Sampling(temperature=self.options.temperature, max_tokens=self.options.max_tokens, seed=panel.seed)
        view = drafts_of(panel, shown)
        panel.rng(self.name).shuffle(view)
        made = await write_all(panel, ask, self.name, [view], sampling, self.options, (self.options.judge_model,))
        (own,) = made.written
        if own.why is not None and own.why != "reply_empty":
            verdict = fall_back(panel, self.name, own.why)
        else:
            verdict = await of_text(panel, own.text or "", self.name)
        return replace(verdict, warnings=(*verdict.warnings, *made.warnings))
