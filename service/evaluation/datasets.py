"""Recorded questions with their samples: the form that evaluation and the replay backend read."""

import gzip
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from service.candidates import Task
from workers.wire.messages import Provides, Sample
from workers.wire.recorded import WHOLE, RecordedSample, View, provided

_GZIP_MAGIC = b"\x1f\x8b"


class _Line(BaseModel):
    """One line of a file; fields that are not named here are passed over."""

    model_config = ConfigDict(frozen=True, strict=True)

    id: str
    question: str
    gold: str | int | float | None = None
    answer_type: str | None = None
    choices: list[str] | None = None
    samples: list[RecordedSample] = []
    extra: Any = None


@dataclass(frozen=True, slots=True)
class Record:
    """One question with its right answer (None: not stated) and its recorded samples, numbered from 0.

    `sources`: the model of each sample, where the recording says so.
    """

    id: str
    question: str
    gold: str | None
    answer_type: str | None
    choices: tuple[str, ...] | None
    samples: tuple[Sample, ...]
    sources: tuple[str | None, ...] = ()

    @property
    def task(self) -> Task:
        """What finding an answer depends on."""
        return Task(question=self.question, choices=self.choices)

    def shuffled(self, seed: int) -> "Record":
        """The same samples in an order drawn from the seed and the question's id, numbered anew."""
        drawn = list(zip(self.samples, self.sources or (None,) * len(self.samples), strict=True))
        Random(f"{seed}:{self.id}").shuffle(drawn)
        samples = tuple(sample.model_copy(update={"index": i}) for i, (sample, _) in enumerate(drawn))
        return replace(self, samples=samples, sources=tuple(source for _, source in drawn))


@dataclass(frozen=True, slots=True)
class Dataset:
    """The records of one file. `name` is the file's name without its endings; `view`: what of the file they are."""

    name: str
    path: Path
    records: tuple[Record, ...]
    view: View = WHOLE

    @property
    def source(self) -> str:
        """What the replay backend serves the same samples from."""
        return self.view.written(str(self.path.resolve()))

    @property
    def provides(self) -> frozenset[Provides]:
        """The statistics that every sample has."""
        return provided(sample.statistics for record in self.records for sample in record.samples)


def read_dataset(path: Path, limit: int | None = None, seed: int = 0, view: View = WHOLE) -> Dataset:
    """Reads a `.jsonl` or gzip'd file, at most `limit` questions of it; a seed other than 0 shuffles the samples.

    `view`: what of the file is read, as the replay backend has it.

    Raises OSError, or ValueError naming the line that cannot be read.
    """
    read = (_record(path, number, line, view) for number, line in islice(lines(path), limit))
    records = tuple(record.shuffled(seed) if seed else record for record in read)
    if not records:
        raise ValueError(f"{path}: no recorded question")
    return Dataset(path.name.removesuffix(".gz").removesuffix(".jsonl"), path, records, view)


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a plain or gzip'd file that hold anything, with their numbers from 1 on."""
    with path.open("rb") as plain:
        packed = plain.peek(2)[:2] == _GZIP_MAGIC
    with gzip.open(path) if packed else path.open("rb") as opened:
        for number, line in enumerate(opened, start=1):
            if line.strip():
                yield number, line


def _record(path: Path, number: int, line: bytes, view: View) -> Record:
    try:
        read = _Line.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"{path}, line {number}: {where + ': ' if where else ''}{first['msg']}") from None
    samples = view.of(read.samples)
    return Record(
        id=read.id,
        question=read.question,
        gold=None if read.gold is None else str(read.gold),
        answer_type=read.answer_type,
        choices=tuple(read.choices) if read.choices else None,
        samples=tuple(sample.sample(index, read.extra) for index, sample in enumerate(samples)),
        sources=tuple(sample.source for sample in samples),
    )
