"""Runs an evaluation: every cell over every data set, offline, over HTTP, or both."""

import asyncio
import contextlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.progress import Progress

from service.aggregators import AGGREGATORS
from service.answer_types.base import Judge
from service.equality.pool import math_pool
from service.evaluation.datasets import Dataset, Record
from service.evaluation.discrimination import discriminations
from service.evaluation.offline import Offline
from service.evaluation.online import CONCURRENCY, Online, client
from service.evaluation.outcomes import Cell, Outcome, choice, rule_of, type_for
from service.evaluation.score import equal, equal_answers, mean, worth
from service.evaluation.table import Report, Row
from service.plan import build
from service.settings import Settings
from service.stack import Stack
from workers.wire.messages import Provides

Advance = Callable[[], None]

READY_S, READY_S_A_MODEL = 120.0, 15.0
"""How long a stack may take until it is ready: every model is a process of its own, which reads its recording."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to evaluate. `url` None: offline. `model` None: each data set's own name. `compare`: both, side by side.

    `where_possible`: leave out the aggregators that need a statistic that a data set's samples have not.
    """

    aggregators: tuple[str, ...]
    ns: tuple[int, ...]
    stop: str
    answer_types: tuple[str, ...]
    url: str | None = None
    model: str | None = None
    compare: bool = False
    where_possible: bool = False

    @property
    def cells(self) -> list[Cell]:
        """Every combination, in the order of the table."""
        combined = product(self.answer_types, self.aggregators, self.ns)
        return [Cell(aggregator, n, self.stop, answer_type) for answer_type, aggregator, n in combined]

    def cells_for(self, dataset: Dataset) -> list[Cell]:
        """Those that this data set is evaluated by; ValueError if there are none."""
        provides = dataset.provides
        found = [cell for cell in self.cells if not self.where_possible or needs(cell) <= provides]
        if not found:
            raise ValueError(f"{dataset.name}: its samples have not what any of these aggregators needs")
        return found


def needs(cell: Cell) -> frozenset[Provides]:
    """The statistics without which the cell's aggregator cannot work."""
    return build(AGGREGATORS, choice(cell.aggregator), "aggregator").needs


@dataclass(frozen=True, slots=True)
class Run:
    """One data set on the way through an evaluation."""

    dataset: Dataset
    wanted: Wanted
    settings: Settings
    judge: Judge


class Answering(Protocol):
    """Either way of answering a recorded question."""

    async def answer(self, record: Record, cell: Cell) -> Outcome:
        """One question's outcome."""
        ...


def evaluate(datasets: Sequence[Dataset], wanted: Wanted, settings: Settings) -> list[Report]:
    """Every data set's report, with a progress bar on the terminal's standard error.

    Raises ConclaveError, ServiceRefused or httpx.HTTPError where it cannot be done as asked.
    """
    console = Console(stderr=True, soft_wrap=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        return asyncio.run(_all(datasets, wanted, settings, progress))


def served(datasets: Sequence[Dataset], settings: Settings) -> contextlib.AbstractContextManager[str]:
    """A stack of its own that replays the data sets, each as the model of its name; gives its URL."""
    return serving([f"{dataset.name}=replay:{dataset.source}" for dataset in datasets], settings)


@contextlib.contextmanager
def serving(models: Sequence[str], settings: Settings) -> Iterator[str]:
    """A stack of its own with these models (NAME=BACKEND:ARG); gives its URL."""
    with tempfile.TemporaryDirectory(prefix="conclave-eval-") as folder:
        own = settings.model_copy(update={"state_dir": Path(folder), "log_level": "WARNING"})
        with Stack(own, models, 0).running() as stack:
            stack.wait_ready(READY_S + len(models) * READY_S_A_MODEL)
            yield stack.url


async def _all(datasets: Sequence[Dataset], wanted: Wanted, settings: Settings, progress: Progress) -> list[Report]:
    passes = 1 + wanted.compare
    cells = [wanted.cells_for(dataset) for dataset in datasets]
    total = passes * sum(len(own) * len(dataset.records) for own, dataset in zip(cells, datasets, strict=True))
    bar = progress.add_task("questions", total=total)
    reports = []
    async with contextlib.aclosing(math_pool(settings)) as pool:
        for dataset, own in zip(datasets, cells, strict=True):
            run = Run(dataset, wanted, settings, pool)
            rows = [await _row(run, cell, lambda: progress.advance(bar)) for cell in own]
            reports.append(await _report(run, rows))
    return reports


async def _row(run: Run, cell: Cell, advance: Advance) -> Row:
    dataset, wanted = run.dataset, run.wanted
    asked = [(record, cell) for record in dataset.records]
    offline = Offline(dataset, run.settings, run.judge)
    if wanted.url is None:
        return Row(cell, await answer_all(asked, offline, advance))
    async with client(wanted.url) as http:
        online = await answer_all(asked, Online(http, wanted.model or dataset.name, run.judge), advance)
    if not wanted.compare:
        return Row(cell, online)
    recorded = await answer_all(asked, offline, advance)
    return Row(cell, online, recorded, await agreeing(asked, online, recorded, run.judge))


async def answer_all(
    asked: Sequence[tuple[Record, Cell]], by: Answering, advance: Advance = lambda: None
) -> tuple[Outcome, ...]:
    """Every question's outcome, in their order; a few at a time."""
    room = asyncio.Semaphore(CONCURRENCY)

    async def one(record: Record, cell: Cell) -> Outcome:
        async with room:
            outcome = await by.answer(record, cell)
            advance()
            return outcome

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(record, cell)) for record, cell in asked]
    return tuple(task.result() for task in tasks)


async def agreeing(
    asked: Sequence[tuple[Record, Cell]], online: Sequence[Outcome], offline: Sequence[Outcome], judge: Judge
) -> tuple[bool, ...]:
    """Of each question, whether service and offline command have the same verdict."""
    found = []
    for (record, cell), left, right in zip(asked, online, offline, strict=True):
        rule = rule_of(cell)
        # A rule that stops by what happens to arrive first saves now these samples and now those: only the answer is
        # fixed.
        same = equal if rule.in_order or rule.name == "none" else equal_answers
        found.append(await same(record, left, right, judge))
    return tuple(found)


async def _report(run: Run, rows: Sequence[Row]) -> Report:
    dataset = run.dataset
    worths = {
        name: [await worth(record, type_for(record, name), run.judge) for record in dataset.records]
        for name in run.wanted.answer_types
    }
    return Report(
        name=dataset.name,
        questions=len(dataset.records),
        rows=tuple(rows),
        single={name: mean([one.single for one in found]) for name, found in worths.items()},
        oracle={name: mean([float(one.oracle) for one in found]) for name, found in worths.items()},
        statistics=discriminations(dataset.records, [one.right for one in worths[run.wanted.answer_types[0]]]),
        recorded_results=dataset.view.results,
    )
