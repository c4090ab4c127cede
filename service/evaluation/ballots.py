"""Labelled ballots: which member of a mixed ensemble gave which answer, and which answers are right."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from service.answer_types import ANSWER_TYPES
from service.answer_types.base import Judge
from service.evaluation.datasets import Dataset, Record
from service.evaluation.outcomes import type_for
from service.evaluation.score import Grader
from service.plan import build
from service.reading import Reader
from service.stopping.base import Options
from service.stopping.none import NoStop
from workers.wire.messages import Sample


@dataclass(frozen=True, slots=True)
class Ballot:
    """One question. `classes[c]`: the members that gave answer c, by place; `right[c]`: whether it is right.

    Classes stand in the order of their smallest sample index, so that a tie goes to the first, as in the plain vote.
    """

    classes: tuple[tuple[int, ...], ...]
    right: tuple[bool, ...]

    @property
    def rightly(self) -> tuple[int, ...]:
        """The members that are right."""
        return tuple(m for members, right in zip(self.classes, self.right, strict=True) if right for m in members)

    def won_rightly(self, weights: Sequence[float]) -> bool:
        """True if the class of the greatest weight is a right one; False where nobody answered."""
        totals = [math.fsum(weights[member] for member in members) for members in self.classes]
        return bool(totals) and self.right[totals.index(max(totals))]


@dataclass(frozen=True, slots=True)
class Ballots:
    """The ballots of one data set. A member's place is that of its name in `members`, which are sorted."""

    name: str
    members: tuple[str, ...]
    listed: tuple[Ballot, ...]

    def some(self, places: Sequence[int]) -> "Ballots":
        """The ballots at these places."""
        return Ballots(self.name, self.members, tuple(self.listed[place] for place in places))

    def rights(self) -> list[int]:
        """How many questions each member has right; one that it did not answer it has wrong."""
        counts = [0] * len(self.members)
        for ballot in self.listed:
            for member in ballot.rightly:
                counts[member] += 1
        return counts

    def outcomes(self, weights: Sequence[float]) -> list[bool]:
        """Whether the weighted vote is right, question by question."""
        return [ballot.won_rightly(weights) for ballot in self.listed]


async def read_ballots(
    dataset: Dataset, answer_type: str, judge: Judge | None, advance: Callable[[], None] = lambda: None
) -> Ballots:
    """Reads a data set whose samples name their models; of several samples of one model the first counts.

    Raises ValueError where fewer than two models are named or a question states no right answer.
    """
    members = tuple(sorted({source for record in dataset.records for source in record.sources if source is not None}))
    if len(members) < 2:
        raise ValueError(f"{dataset.path}: samples[].extra.model names fewer than two models")
    places = {name: place for place, name in enumerate(members)}
    listed = []
    for record in dataset.records:
        if record.gold is None:
            raise ValueError(f"{dataset.path}: {record.id}: no right answer (gold) is stated")
        listed.append(await _ballot(record, type_for(record, answer_type), places, judge))
        advance()
    return Ballots(dataset.name, members, tuple(listed))


async def _ballot(record: Record, answer_type: str, places: Mapping[str, int], judge: Judge | None) -> Ballot:
    member_of: dict[int, int] = {}
    samples: dict[int, Sample] = {}
    for sample, source in zip(record.samples, record.sources, strict=True):
        if source is not None and places[source] not in member_of.values():
            member_of[sample.index], samples[sample.index] = places[source], sample
    decided = build(ANSWER_TYPES, answer_type, "answer_type")
    reading = await Reader(record.task, decided, NoStop(Options()), max(1, len(samples)), judge=judge).read(samples)
    grader = Grader(record, judge)
    found = sorted(reading.classes, key=lambda one: one.members[0])
    return Ballot(
        classes=tuple(tuple(member_of[index] for index in one.members) for one in found),
        right=tuple([await grader.answer(one.answer, reading.answer_type.name) for one in found]),
    )
