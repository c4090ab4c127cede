"""The table of a model's skills: each measure with its 95 % interval. What a model card prints."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial

from rich.table import Table

from service.evaluation.intervals import auroc, bootstrap, wilson
from service.evaluation.score import mean
from service.evaluation.skills import SIZES, Backward, Drawn, Proposal

Statistic = Callable[[Sequence[Drawn]], float]


@dataclass(frozen=True, slots=True)
class Measure:
    """One line: a value, its interval, how the interval was made and over how many problems or proposals."""

    name: str
    value: float
    low: float
    high: float
    interval: str
    count: int


def measures(drawn: Sequence[Drawn], n: int) -> list[Measure]:
    """All measures of a model."""
    listed = [_share("greedy", [one.greedy for one in drawn]), _resampled(f"single, mean of {n}", drawn, _single)]
    listed += [_share(f"vote over {size}", [one.votes[size] for one in drawn]) for size in (*SIZES, n)]
    listed.append(_paired(f"vote over {n} less single", drawn, lambda one: one.votes[n] - one.single))
    listed.append(_paired(f"vote over {n} less greedy", drawn, lambda one: float(one.votes[n]) - one.greedy))
    for size in SIZES:
        listed += _comparing(drawn, size)
    return [*listed, *_backward(drawn), *_judging(drawn)]


def _comparing(drawn: Sequence[Drawn], size: int) -> list[Measure]:
    listed = []
    for key, name in (("gsa", "GSA"), ("self_agreement", "self-agreement")):
        found = [one.compared[key, size] for one in drawn]
        label = f"{name} over {size}"
        listed.append(_share(label, [each.right for each in found]))
        listed.append(_paired(f"{label} less single", drawn, partial(_above_single, key, size)))
        listed.append(_paired(f"{label} less the vote over the same", drawn, partial(_above_vote, key, size)))
        if key == "self_agreement":
            listed.append(_share(f"{label} names a plurality answer", [each.plurality for each in found]))
        listed.append(_share(f"{label} falls back to the vote", [each.fell_back for each in found]))
    return listed


def _above_single(key: str, size: int, one: Drawn) -> float:
    return one.compared[key, size].right - one.single


def _above_vote(key: str, size: int, one: Drawn) -> float:
    found = one.compared[key, size]
    return float(found.right) - float(found.vote_right)


def _backward(drawn: Sequence[Drawn]) -> list[Measure]:
    listed = []
    for name, hit in (("greedy", _greedily), ("sampled", _sampled)):
        for right, answer in ((True, "the right answer"), (False, "a wrong answer")):
            listed.append(_resampled(f"FOBAR finds x from {answer}, {name}", drawn, _recovery(right, hit)))
        listed.append(_resampled(f"FOBAR, ratio of the two, {name}", drawn, _ratio(hit)))
    return listed


def _greedily(found: Backward) -> float:
    return float(found.greedy)


def _sampled(found: Backward) -> float:
    return found.sampled


def _recovery(right: bool, hit: Callable[[Backward], float]) -> Statistic:
    return lambda drawn: mean([hit(b) for one in drawn for b in one.backward if b.proposal_right is right])


def _ratio(hit: Callable[[Backward], float]) -> Statistic:
    right, wrong = _recovery(True, hit), _recovery(False, hit)
    return lambda drawn: right(drawn) / wrong(drawn) if wrong(drawn) else math.inf


def _judging(drawn: Sequence[Drawn]) -> list[Measure]:
    scores: tuple[tuple[str, Callable[[Proposal], float]], ...] = (
        ("P(True) AUROC, standard order", lambda p: p.standard),
        ("P(True) AUROC, swapped order", lambda p: p.swapped),
        ("P(True) AUROC, mean of both orders", lambda p: p.standard + p.swapped),
        ("share of equal ideas, AUROC", lambda p: p.support),
    )
    count = sum(len(one.proposals) for one in drawn)
    return [_resampled(name, drawn, _area(score), count) for name, score in scores]


def _area(score: Callable[[Proposal], float]) -> Statistic:
    return lambda drawn: auroc([(score(p), p.right) for one in drawn for p in one.proposals])


def _single(drawn: Sequence[Drawn]) -> float:
    return mean([one.single for one in drawn])


def _share(name: str, hits: Sequence[bool]) -> Measure:
    low, high = wilson(sum(hits), len(hits))
    return Measure(name, sum(hits) / len(hits), low, high, "Wilson", len(hits))


def _paired(name: str, drawn: Sequence[Drawn], difference: Callable[[Drawn], float]) -> Measure:
    return _resampled(name, drawn, lambda some: mean([difference(one) for one in some]))


def _resampled(name: str, drawn: Sequence[Drawn], statistic: Statistic, count: int | None = None) -> Measure:
    low, high = bootstrap(drawn, statistic)
    return Measure(name, statistic(drawn), low, high, "bootstrap", len(drawn) if count is None else count)


def as_table(listed: Sequence[Measure]) -> Table:
    """The measures as a table."""
    table = Table("measure", box=None, pad_edge=False)
    for name in ("value", "95 % interval", "by", "of"):
        table.add_column(name, justify="right")
    for one in listed:
        between = f"{one.low:.3f} to {one.high:.3f}"
        table.add_row(one.name, f"{one.value:.3f}", between, one.interval, str(one.count))
    return table


def as_json(listed: Sequence[Measure]) -> list[dict[str, object]]:
    """The measures as JSON; a value that is no finite number is null."""
    return [
        {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in asdict(m).items()
        }
        for m in listed
    ]
