"""Panels of lettered answers with statistics, and aggregators by their options, for the voting methods' tests."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from service.aggregators import AGGREGATORS
from service.aggregators.base import Panel, Verdict
from service.asking import NoAsk
from service.contract import Choice
from service.plan import build
from workers.wire.messages import Sample, SampleStatistics


def samples(answers: str | Sequence[str], **statistics: Sequence[float | None]) -> list[Sample]:
    """One sample for each letter or text; the k-th number of each statistic is that of the k-th sample."""
    rows = [dict(zip(statistics, row, strict=True)) for row in zip(*statistics.values(), strict=True)]
    rows = rows or [{} for _ in answers]
    return [
        Sample(index=i, text=f"The answer is {answer}.", statistics=SampleStatistics(**row))
        for i, (answer, row) in enumerate(zip(answers, rows, strict=True))
    ]


def of_models(panel: Panel, sources: Sequence[str], weights: Mapping[str, float] | None = None) -> Panel:
    """The panel with a model for each candidate, and what a vote of each weighs."""
    pairs = zip(panel.candidates, sources, strict=True)
    candidates = tuple(replace(candidate, source=source) for candidate, source in pairs)
    return replace(panel, candidates=candidates, member_weights=weights or {})


def verdict(name: str, panel: Panel, **options: Any) -> Verdict:
    """What an aggregator that can ask nobody says."""
    made = build(AGGREGATORS, Choice(name=name, **options), "aggregator")
    return asyncio.run(made.aggregate(panel, NoAsk()))


def weights(found: Verdict) -> dict[str, float]:
    """Each answer's weight, best first."""
    return {standing.answer_class.answer: standing.weight for standing in found.ranking}
