"""How well a statistic tells the right from the wrong samples of one question: what weighing votes by it is worth.

The within-question discrimination of CISC (arXiv 2502.06233): the chance that of a right and a wrong sample of the same
question the right one has the better statistic, ties counting half. At 0.5 a statistic says nothing, and below it
weighing by it hurts. How well calibrated it is says nothing of this.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from service.aggregators.measures import MEASURES, value_of
from service.evaluation.datasets import Record
from service.evaluation.intervals import auroc, bootstrap


@dataclass(frozen=True, slots=True)
class Discrimination:
    """One statistic's. `ci95`: bootstrap over questions; `questions`: those that have both right and wrong samples."""

    statistic: str
    value: float
    ci95: tuple[float, float]
    pairs: int
    questions: int


def discriminations(records: Sequence[Record], rights: Sequence[Sequence[bool | None]]) -> tuple[Discrimination, ...]:
    """Of every statistic that a sample has; `rights` says of each record's samples which are right (None: no vote)."""
    found = []
    for statistic in MEASURES:
        counted = []
        for record, right in zip(records, rights, strict=True):
            pairs = [
                (value, is_right)
                for sample, is_right in zip(record.samples, right, strict=True)
                if is_right is not None and (value := value_of(sample, statistic)) is not None
            ]
            good = sum(is_right for _, is_right in pairs)
            if total := good * (len(pairs) - good):
                counted.append((auroc(pairs) * total, total))
        if counted:
            pairs_in_all = sum(total for _, total in counted)
            ci95 = bootstrap(counted, _share)
            found.append(Discrimination(statistic, _share(counted), ci95, pairs_in_all, len(counted)))
    return tuple(found)


def _share(counted: Sequence[tuple[float, int]]) -> float:
    return sum(won for won, _ in counted) / sum(total for _, total in counted)
