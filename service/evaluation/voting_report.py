"""What each way of voting is worth on recorded samples of real models, offline and through the running service.

`conclave voting` prints it. Accuracies are of all questions, offline; so many of them as asked for are put to a service
as well, which replays the recordings in workers of their own, one for each data set and one for each of its members,
and the verdicts are compared question by question.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from service.answer_types.base import Judge
from service.equality.pool import math_pool
from service.evaluation.ballots import read_ballots
from service.evaluation.datasets import Dataset, Record, read_dataset
from service.evaluation.intervals import bootstrap
from service.evaluation.offline import Offline
from service.evaluation.online import Online, client
from service.evaluation.outcomes import AS_RECORDED, Cell, Outcome, type_for
from service.evaluation.run import agreeing, answer_all, serving
from service.evaluation.score import Worth, mean, worth
from service.evaluation.stopping_report import Remembering
from service.evaluation.voting_methods import (
    Halves,
    Method,
    by_statistics,
    fitted_map,
    fitted_softmax,
    halved,
    of_members,
    same_for_all,
    servable,
    statistics_of,
)
from service.settings import Settings
from workers.wire.recorded import View

SETS = {
    "cotuq_llama8b_svamp": 10,
    "gpt35_date_t08": 40,
    "llama2_13b_gsm8k_pot": 40,
    "qwen_math_rm8": 8,
    "mmlu_pro_cross": 64,
    "zeroeval_math_l5_cross": 64,
}
"""Data sets, and how many samples of a question are counted at most; of several models all are."""

Advance = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Asked:
    """`limit`: only the first so many questions of each set. `serve`: so many of them through the service too; None:
    all. `seed`: of the halves that what is learned is learned on."""

    limit: int | None = None
    serve: int | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """One method's share of right answers per question. `served` of them were asked both ways, and of `different` the
    verdicts were not the same, each as (service, offline)."""

    method: str
    right: tuple[float, ...]
    served: int = 0
    different: tuple[tuple[Outcome, Outcome], ...] = ()

    @property
    def accuracy(self) -> float:
        """The mean over questions."""
        return mean(list(self.right))

    def interval(self) -> tuple[float, float]:
        """Its 95 % bootstrap interval over questions; what was learned stays as it is."""
        return bootstrap(self.right, lambda drawn: sum(drawn) / len(drawn))


@dataclass(frozen=True, slots=True)
class VotingReport:
    """One data set's table. `samples`: the mean number counted; `members`: how many models, 1 where none is named."""

    name: str
    questions: int
    samples: float
    members: int
    lines: tuple[Line, ...]


@dataclass(slots=True)
class _Study:
    """One data set on its way through the report."""

    dataset: Dataset
    n: int
    asked: Asked
    judge: Judge
    offline: Offline
    recorded_as: dict[str, str]
    worths: list[Worth] = field(default_factory=list)

    @property
    def records(self) -> tuple[Record, ...]:
        return self.dataset.records

    @property
    def models(self) -> list[str]:
        """What a stack serves: the whole recording as one model, and each member of it."""
        path, view = str(self.dataset.path.resolve()), self.dataset.view
        members = {name: replace(view, model=source).written(path) for name, source in self.recorded_as.items()}
        return [
            f"{name}=replay:{source}" for name, source in {self.dataset.name: self.dataset.source, **members}.items()
        ]

    async def right(self, cell: Cell, places: Sequence[int]) -> int:
        """How many of these questions a cell has right, offline."""
        outcomes = await answer_all([(self.records[place], cell) for place in places], self.offline)
        return sum(outcome.right for outcome in outcomes)


async def reports(
    folder: Path, asked: Asked, settings: Settings, advance: Advance = lambda said: None
) -> AsyncIterator[VotingReport]:
    """Each data set of `SETS` that the folder holds. Raises OSError or ValueError where one cannot be read, and as
    `evaluate` does where the service cannot be asked."""
    for name, n in SETS.items():
        path = folder / f"{name}.jsonl.gz"
        if path.exists():
            yield await report(path, n, asked, settings, advance)


async def report(path: Path, n: int, asked: Asked, settings: Settings, advance: Advance) -> VotingReport:
    """One data set's."""
    whole = read_dataset(path, asked.limit, view=View(results=True))
    counted = tuple(
        replace(one, samples=one.samples[:n], sources=one.sources[:n]) for one in whole.records if one.samples
    )
    dataset, recorded_as = servable(replace(whole, records=counted))
    async with contextlib.aclosing(math_pool(settings)) as pool:
        study = _Study(dataset, n, asked, pool, Offline(dataset, settings, pool, Remembering), recorded_as)
        advance(f"{dataset.name}: grading {len(counted)} questions")
        study.worths = [await worth(record, type_for(record, AS_RECORDED), pool) for record in counted]
        advance(f"{dataset.name}: learning")
        methods = await _methods(study, halved(len(counted), asked.seed))
        lines = await _lines(study, methods, settings, advance)
    single = Line("single, mean of one sample", tuple(one.single for one in study.worths))
    oracle = Line("oracle: any sample is right", tuple(float(one.oracle) for one in study.worths))
    samples = mean([float(len(record.samples)) for record in counted])
    return VotingReport(dataset.name, len(counted), samples, max(1, len(recorded_as)), (single, *lines, oracle))


async def _methods(study: _Study, halves: Halves) -> list[Method]:
    dataset, n = study.dataset, study.n
    found = [same_for_all("vote", "vote", n, len(dataset.records)), *by_statistics(dataset, n)]
    for statistic in statistics_of(dataset):
        found.append(await fitted_softmax(statistic, n, halves, study.right))
        mapped = fitted_map(statistic, n, halves, dataset.records, study.worths)
        found += [mapped] if mapped else []
    if len(study.recorded_as) > 1:
        ballots = await read_ballots(dataset, AS_RECORDED, study.judge)
        found += await asyncio.to_thread(of_members, ballots, halves)
    return found


async def _lines(study: _Study, methods: Sequence[Method], settings: Settings, advance: Advance) -> list[Line]:
    """Every method's, offline and, as many questions as asked for, through a stack of the report's own."""
    served = len(study.records) if study.asked.serve is None else min(study.asked.serve, len(study.records))
    found = []
    async with contextlib.AsyncExitStack() as stack:
        url = None
        if served:
            advance(f"{study.dataset.name}: starting {len(study.models)} workers")
            context = serving(study.models, settings)
            url = await asyncio.to_thread(context.__enter__)
            stack.push(context.__exit__)
        for method in methods:
            advance(f"{study.dataset.name}: {method.name}")
            asked = list(zip(study.records, method.cells, strict=True))
            offline = await answer_all(asked, study.offline)
            online = await _online(study, url, asked[:served]) if url else ()
            same = await agreeing(asked[:served], online, offline[:served], study.judge)
            pairs = zip(online, offline[:served], same, strict=True)
            different = tuple((one, other) for one, other, equal in pairs if not equal)
            found.append(Line(method.name, tuple(float(one.right) for one in offline), served, different))
    return found


async def _online(study: _Study, url: str, asked: Sequence[tuple[Record, Cell]]) -> tuple[Outcome, ...]:
    """Through the service; by connections of their own, since those that were idle meanwhile may be closed just now."""
    async with client(url) as http:
        return await answer_all(asked, Online(http, study.dataset.name, study.judge))
