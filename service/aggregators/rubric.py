"""Rubric: several judgements of all samples at once, each by principles that it sets up itself."""

import math
from collections.abc import Sequence
from dataclasses import replace

from pydantic import BaseModel, Field

from service.aggregators import base
from service.aggregators.contenders import Combine, contenders, of_scores
from service.aggregators.counting import fall_back, plurality
from service.aggregators.listing import ask_for_scores
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
    calls = "judgements; none where all agree; twice that where the samples do not fit into the model's context"

    def __init__(self, options: RubricOptions) -> None:
        self.options = options

    def max_calls(self, n: int) -> int:
        """Two a judgement."""
        return 2 * self.options.judgements

    def calls_for(self, votes: Sequence[int], provides: frozenset[Provides]) -> int:
        """One a judgement, of two answers or more."""
        return self.options.judgements if len(votes) > 1 else 0

    async def aggregate(self, panel: base.Panel, ask: base.Ask) -> base.Verdict:
        """The response of the largest sum of scores."""
        judged = contenders(panel, self.options.most)
        if len(judged) < 2:
            return plurality(panel)
        turns = [(self._sampling(panel, turn), dict[str, str]()) for turn in range(self.options.judgements)]
        listed = await ask_for_scores(panel, ask, self.name, judged, turns, self.options)
        rows = [row for row in listed.rows(1.0, 10.0) if row is not None]
        if not rows:
            plain = fall_back(panel, self.name, first_failure([listed.replies]))
            return replace(plain, warnings=(*plain.warnings, *listed.warnings))
        kept = self._kept(rows)
        sums = [math.fsum(row[i] for row in kept) for i in range(len(listed.judged))]
        verdict = replace(of_scores(panel, listed.judged, sums, self.options.combine), warnings=listed.warnings)
        return base.with_facts(verdict, facts_of(sums, [c.sample.text for c in listed.judged], rows))

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
