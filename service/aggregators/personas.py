"""Personas: judges with one criterion each, and the response that fares well with all of them."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

from service.aggregators import base
from service.aggregators.contenders import contenders, of_scores
from service.aggregators.counting import fall_back, plurality
from service.aggregators.listing import Listed, ask_for_scores
from service.aggregators.rank_statistics import facts_of
from service.aggregators.verifying import first_failure
from service.aggregators.welfare import WELFARES, Welfare, ranks_of
from service.candidates import Candidate
from workers.wire.messages import Provides, Sampling

Criterion = Annotated[str, StringConstraints(min_length=1, max_length=500)]


class PersonasOptions(base.AskingOptions):
    """`criteria`: what each judge goes by. `times`: judgements of each, whose mean counts: one noisy judge vetoes
    otherwise. `welfare`: how the ranks by the criteria become one worth. `most`: so many answers (or free texts).
    """

    criteria: tuple[Criterion, ...] = Field(
        default=(
            "correctness: is it true, and does it follow",
            "helpfulness: does it answer what was asked",
            "safety: could following it do harm (9: none)",
            "brevity: is it free of what is not needed",
        ),
        min_length=1,
        max_length=16,
    )
    times: int = Field(default=2, ge=1, le=8)
    welfare: Welfare = "leximin"
    most: int = Field(default=8, ge=2, le=32)
    temperature: float = Field(default=0.5, ge=0.0, le=2.0)
    max_tokens: int = Field(default=1024, ge=1, le=32_768)


class Personas:
    """The response whose worst criterion is best (or another `welfare`), by judges of one criterion each.

    An adaptation of MaxMin-RLHF (arXiv 2402.08925) to choosing. Each judge scores all responses from 0 to 9, shuffled
    anew each time; the mean of its judgements ranks them in [0, 1]; the ranks become one worth as in `maxmin`. A
    criterion of which nothing can be read is left out, with a warning; if none can, the plain vote stands in. Equal
    worths go to the answer with more votes, then to the smallest sample index. `notes` name the criterion by which the
    chosen one is worst; `facts`: `judge_agreement` between criteria, `length_correlation`.
    """

    name = "personas"
    Options: type[BaseModel] = PersonasOptions
    needs: frozenset[Provides] = frozenset()
    counts_votes = False
    calls = "criteria x times; none where all agree; twice that where the samples do not fit into the model's context"

    def __init__(self, options: PersonasOptions) -> None:
        self.options = options

    def max_calls(self, n: int) -> int:
        """Two for each of criteria x times."""
        return 2 * len(self.options.criteria) * self.options.times

    def calls_for(self, votes: Sequence[int], provides: frozenset[Provides]) -> int:
        """Criteria x times, of two answers or more."""
        return len(self._turns()) if len(votes) > 1 else 0

    async def aggregate(self, panel: base.Panel, ask: base.Ask) -> base.Verdict:
        """The response of the best worth."""
        judged: Sequence[Candidate] = contenders(panel, self.options.most)
        if len(judged) < 2:
            return plurality(panel)
        listed = await self._listed(panel, ask, judged)
        judged, means = listed.judged, self._means(listed)
        if not means:
            plain = fall_back(panel, self.name, first_failure([listed.replies]))
            return replace(plain, warnings=(*plain.warnings, *listed.warnings))
        ranks = ranks_of(list(zip(*means.values(), strict=True)))
        worth = [WELFARES[self.options.welfare](row) for row in ranks]
        places = {value: float(place) for place, value in enumerate(sorted(set(worth)), start=1)}
        verdict = of_scores(panel, judged, [places[value] for value in worth], "score")
        chosen = next(i for i, c in enumerate(judged) if c.sample.index == verdict.sample_index)
        rank, criterion = min(zip(ranks[chosen], means, strict=True))
        lacking = len(self.options.criteria) - len(means)
        facts = facts_of([math.fsum(row) for row in ranks], [c.sample.text for c in judged], list(means.values()))
        told = replace(
            verdict,
            notes=(f"worst by {criterion!r}: better than {rank:.0%} of the other responses",),
            warnings=(*listed.warnings, *([f"{lacking} criteria could not be judged"] if lacking else [])),
        )
        return base.with_facts(told, facts)

    async def _listed(self, panel: base.Panel, ask: base.Ask, judged: Sequence[Candidate]) -> Listed:
        sampling = Sampling(temperature=self.options.temperature, max_tokens=self.options.max_tokens)
        turns = [
            (sampling.model_copy(update={"seed": panel.seed + turn}), {"criterion": criterion})
            for turn, criterion in enumerate(self._turns())
        ]
        return await ask_for_scores(panel, ask, self.name, judged, turns, self.options)

    def _means(self, listed: Listed) -> dict[str, list[float]]:
        """The mean score of each contender by each criterion that could be judged."""
        rows: dict[str, list[list[float]]] = {}
        for criterion, row in zip(self._turns(), listed.rows(0.0, 9.0), strict=True):
            if row is not None:
                rows.setdefault(criterion, []).append(row)
        columns = {criterion: zip(*found, strict=True) for criterion, found in rows.items()}
        return {name: [math.fsum(column) / len(column) for column in each] for name, each in columns.items()}

    def _turns(self) -> list[str]:
        return [criterion for criterion in self.options.criteria for _ in range(self.options.times)]
