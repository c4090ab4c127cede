"""The ways in which the voting report answers a data set's questions: every weighting that its samples allow.

What must be learned is learned from one half of the questions for the other, both ways round: a question is never
answered with what was fitted on it.
"""

import json
import math
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from random import Random

from service.aggregators.measures import MEASURES, Statistic
from service.evaluation.ballots import Ballots
from service.evaluation.datasets import Dataset, Record
from service.evaluation.outcomes import AS_RECORDED, Cell, Part
from service.evaluation.score import Worth, mean
from service.evaluation.weights import Weights, best_member, exp_accuracy, fit

TEMPERATURES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
"""Of the softmax of a statistic; which is best is learned."""

PLAIN = ("weighted_vote", "borda", "best_of_n", "majority_of_bests")
"""Aggregators that weigh or choose by one statistic, and learn nothing."""

BEST, LEARNED = "best single member", "learned member weights"

_UNSERVABLE = re.compile(r"[^A-Za-z0-9._:/-]")
_LEAST_SD = 1e-3


@dataclass(frozen=True, slots=True)
class Method:
    """One row of the table: how each record is asked, in the order of the records."""

    name: str
    cells: tuple[Cell, ...]


Halves = tuple[Sequence[int], Sequence[int]]
RightWith = Callable[[Cell, Sequence[int]], Awaitable[int]]
"""How many of the questions at these places a cell has right."""


def halved(total: int, seed: int) -> Halves:
    """The places of a random half of the questions and of the other, as `conclave weights` splits them."""
    order = list(range(total))
    Random(seed).shuffle(order)
    return order[: total // 2], order[total // 2 :]


def same_for_all(name: str, aggregator: str, n: int, total: int) -> Method:
    """A method that learns nothing."""
    return Method(name, (_cell(aggregator, n),) * total)


def by_statistics(dataset: Dataset, n: int) -> list[Method]:
    """What weighs by the statistics that every sample has, and learns nothing."""
    total, having = len(dataset.records), statistics_of(dataset)
    found = [
        same_for_all(f"{name} by {statistic}", f"{name}:statistic={statistic}", n, total)
        for statistic in having
        for name in PLAIN
    ]
    if len(having) < 2:
        return found
    together = "+".join(having)
    return [
        *found,
        same_for_all("kemeny by all and the vote", f"kemeny:statistics={together}", n, total),
        same_for_all("maxmin by all", f"maxmin:statistics={together}", n, total),
    ]


def statistics_of(dataset: Dataset) -> list[Statistic]:
    """The statistics that every sample of the data set has."""
    return [statistic for statistic, measure in MEASURES.items() if measure.needs in dataset.provides]


async def fitted_softmax(statistic: Statistic, n: int, halves: Halves, right: RightWith) -> Method:
    """The softmax whose temperature has most right on the other half; of equal ones the highest, nearest the vote."""

    async def best(known: Sequence[int]) -> Cell:
        cells = [_cell(f"weighted_vote:statistic={statistic}:temperature={t}", n) for t in reversed(TEMPERATURES)]
        rights = [await right(cell, known) for cell in cells]
        return cells[rights.index(max(rights))]

    first, second = halves
    cells = crossed(halves, await best(first), await best(second))
    return Method(f"weighted_vote by softmax of {statistic}, learned T", cells)


def fitted_map(
    statistic: Statistic, n: int, halves: Halves, records: Sequence[Record], worths: Sequence[Worth]
) -> Method | None:
    """`map` with the distributions of the statistic over the other half's right and wrong samples; None where a half
    has not two of each."""
    made = [_scores(statistic, [records[k] for k in known], [worths[k] for k in known]) for known in halves]
    first, second = (None if one is None else _cell(json.dumps({"name": "map", **one}), n) for one in made)
    if first is None or second is None:
        return None
    return Method(f"map by {statistic}, learned distributions", crossed(halves, first, second))


def of_members(ballots: Ballots, halves: Halves) -> list[Method]:
    """The best single member and member weights, each learned on the other half; members are those of the ballots."""
    names = ballots.members

    def method(name: str, learn: Callable[[Ballots], Cell]) -> Method:
        first, second = (learn(ballots.some(known)) for known in halves)
        return Method(name, crossed(halves, first, second))

    def weighing(learn: Callable[[Ballots], Weights]) -> Callable[[Ballots], Cell]:
        return lambda known: _weighed(names, learn(known))

    return [
        method("map by member, learned reliabilities (log-odds)", lambda known: _by_reliability(known)),
        method("vote by exp(12 x accuracy)", weighing(exp_accuracy)),
        method(BEST, weighing(best_member)),
        method(LEARNED, weighing(lambda known: fit(known).weights)),
    ]


def crossed(halves: Halves, first: Cell, second: Cell) -> tuple[Cell, ...]:
    """What was learned on the first half for the questions of the second, and the other way round."""
    learned_first = set(halves[0])
    return tuple(second if place in learned_first else first for place in range(sum(map(len, halves))))


def servable(dataset: Dataset) -> tuple[Dataset, dict[str, str]]:
    """The data set with names of its members that a service takes (the data set's first), and what each is recorded
    as; none for a data set of one model."""
    sources = sorted({source for record in dataset.records for source in record.sources if source is not None})
    named: dict[str, str] = {}
    for source in sources:
        name = f"{dataset.name}/{_UNSERVABLE.sub('-', source)}"
        while name in named:
            name += "-"
        named[name] = source
    names = {source: name for name, source in named.items()}
    records = tuple(
        replace(record, sources=tuple(names.get(source) if source else None for source in record.sources))
        for record in dataset.records
    )
    return replace(dataset, records=records), named


def _cell(aggregator: str, n: int) -> Cell:
    return Cell(aggregator, n, "none", AS_RECORDED)


def _weighed(names: Sequence[str], weights: Weights) -> Cell:
    parts = tuple(Part(name, weight) for name, weight in zip(names, weights, strict=True) if weight > 0)
    return Cell("vote", len(parts), "none", AS_RECORDED, parts)


def _by_reliability(known: Ballots) -> Cell:
    total = len(known.listed)
    shares = [(right + 0.5) / (total + 1) for right in known.rights()]
    reliabilities = {name: min(max(share, 0.001), 0.999) for name, share in zip(known.members, shares, strict=True)}
    written = json.dumps({"name": "map", "reliabilities": reliabilities})
    return Cell(written, len(known.members), "none", AS_RECORDED, tuple(Part(name) for name in known.members))


def _scores(statistic: Statistic, records: Sequence[Record], worths: Sequence[Worth]) -> dict[str, object] | None:
    values: dict[bool, list[float]] = {True: [], False: []}
    for record, worth in zip(records, worths, strict=True):
        for sample, right in zip(record.samples, worth.right, strict=True):
            value: float | None = getattr(sample.statistics, statistic)
            if right is not None and value is not None:
                values[right].append(value)
    if min(map(len, values.values())) < 2:
        return None
    reliability = len(values[True]) / (len(values[True]) + len(values[False]))
    scores = {"statistic": statistic, "right": _normal(values[True]), "wrong": _normal(values[False])}
    return {"reliability": min(max(reliability, 0.001), 0.999), "scores": scores}


def _normal(values: list[float]) -> dict[str, float]:
    middle = mean(values)
    variance = math.fsum((value - middle) ** 2 for value in values) / (len(values) - 1)
    return {"mean": middle, "sd": max(math.sqrt(variance), _LEAST_SD)}
