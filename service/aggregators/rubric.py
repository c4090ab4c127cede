"""Rubric: several judgements of all samples at once, each by principles that it sets up itself."""

import asyncio
import math

from pydantic import BaseModel, Field

from service.aggregators import base
from service.aggregators.contenders import Combine, contenders, of_scores
from service.aggregators.counting import fall_back, plurality
from service.aggregators.listing import ask_for_scores, scores_of
from service.aggregators.rank_statistics import facts_of, spearman
from service.aggregators.verifying import first_failure
from workers.wire.messages import Provides, Sampling


class RubricOptions(base.AskingOptions):
    """`judgements`, each with the responses in an order of its own. `keep`: the share of judgements that is counted,
    those that agree best with the others. `most`: so many answers (or free texts) are shown. `combine`: votes times
    score, or the score alone.
    """

    judgements: int = Field(default=4, ge=1, le=32)
    keep: float = Field(default=1.0, gt=0.0, le=1.0)
    most: int = Field(default=8, ge=2, le=32)
    combine: Combine = "score"
    temperature: float = Field(default=0.5, ge=0.0, le=2.0)
    max_tokens: int = Field(default=2048, ge=1, le=32_768)


class Rubric:
    """S_i = sum over k judgements of the score 1 to 10 of response i (voting of generative reward models, 2504.02495).

    Each judgement writes principles, criticises every response and scores all; the responses are shuffled anew each
    time. Scores beyond 1 to 10 are pulled back to it. With `keep` below 1 those judgements are counted whose ranking
    agrees best with the other ones: our stand-in for a trained filter, without its proof. A judgement that does not
    give as many scores as there are responses is left out; if all are, the plain vote stands in. `facts`:
    `judge_agreement` (mean rank correlation of the judgements) and `length_correlation`.
    """

    name = "rubric"
    Options: type[BaseModel] = RubricOptions
    needs: frozenset[Provides] = frozenset()
    counts_votes = False
    calls = "judgements; none where all agree"

    def __init__(self, options: RubricOptions) -> None:
        self.options = options

    def max_calls(self, n: int) -> int:
        """One a judgement."""
        return self.options.judgements

    async def aggregate(self, panel: base.Panel, ask: base.Ask) -> base.Verdict:
        """The response of the largest sum of scores."""
        judged = contenders(panel, self.options.most)
        if len(judged) < 2:
            return plurality(panel)
        rng = panel.rng(self.name)
        orders = [rng.sample(range(len(judged)), len(judged)) for _ in range(self.options.judgements)]
        replies = await asyncio.gather(
            *(
                ask_for_scores(panel, ask, self.name, judged, order, self._sampling(panel, turn), self.options)
                for turn, order in enumerate(orders)
            )
        )
        pairs = zip(replies, orders, strict=True)
        rows = [row for reply, order in pairs if (row := scores_of(reply, order, 1.0, 10.0)) is not None]
        if not rows:
            return fall_back(panel, self.name, first_failure([replies]))
        kept = self._kept(rows)
        sums = [math.fsum(row[i] for row in kept) for i in range(len(judged))]
        verdict = of_scores(panel, judged, sums, self.options.combine)
        return base.with_facts(verdict, facts_of(sums, [c.sample.text for c in judged], rows))

    def _sampling(self, panel: base.Panel, turn: int) -> Sampling:
        return Sampling(
            temperature=self.options.temperature, max_tokens=self.options.max_tokens, seed=panel.seed + turn
        )

    def _kept(self, rows: list[list[float]]) -> list[list[float]]:
        """The judgements that are counted, in their order."""
        most = max(1, math.ceil(self.options.keep * len(rows)))
        if most >= len(rows):
            return rows
        accord = [
            math.fsum(spearman(row, other) or 0.0 for j, other in enumerate(rows) if j != i)
            for i, row in enumerate(rows)
        ]
        best = sorted(range(len(rows)), key=lambda i: (-accord[i], i))[:most]
        return [rows[i] for i in sorted(best)]
