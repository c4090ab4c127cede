"""What stopping early saves and loses on recorded samples, and how many draws it takes to certify an answer.

Every rule sees the samples of each question in the same few random orders, a wave after the other, through the very
code that the service runs. What it loses is lost against drawing all of them in the same order. Recorded results stand
for programs, as with `eval --recorded-results`: nothing is executed.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

from service.answer_types import ANSWER_TYPES
from service.answer_types.base import AnswerType, Judge, is_judged
from service.candidates import Extraction, Task
from service.certifying import divided, evidence_for
from service.equality.pool import math_pool
from service.evaluation.datasets import Dataset, Record, read_dataset
from service.evaluation.intervals import bootstrap
from service.evaluation.offline import Offline
from service.evaluation.outcomes import AS_RECORDED, Cell, type_for
from service.evaluation.score import mean
from service.plan import build
from service.reading import Reader
from service.settings import Settings
from service.stopping.base import Options
from service.stopping.none import NoStop
from workers.wire.recorded import View

SETS = {
    "gpt35_date_t08": 40,
    "llama2_13b_gsm8k_pot": 40,
    "zeroeval_math_l5_cross": 43,
    "cotuq_llama8b_svamp": 10,
}
"""Data sets with many samples a question, and how many of them are asked for; some questions have fewer.

Those of zeroeval are of as many models: a random order of them draws models by chance, each once. Left out is
codet_humaneval_codegen16b, which states tests and no answer: its programs are right or wrong when they are run.
"""

RULES = (
    "lead",
    "beta",
    "beta:wave=1",
    "beta:threshold=0.9:wave=1",
    "beta:threshold=0.8:wave=1",
    "dirichlet",
    "esc",
    "ppr",
    "certified",
    "consensus",
)

ORDERS = tuple(range(1, 21))
"""Seeds of the orders in which the samples come: with few of them, what a rule loses is known to no half point."""

COSTLY = {"zeroeval_math_l5_cross": 3}
"""Where answers are compared by a judge: so many orders, the first of them."""

ALPHA = 0.05

Advance = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Saved:
    """One rule over one data set. `samples`: mean drawn; `fewer`: all samples over those drawn; shares are 0 to 1.

    `lost`: accuracy with all samples less that with the rule, with its 95 % bootstrap interval over questions.
    """

    rule: str
    samples: float
    fewer: float
    accuracy: float
    lost: float
    lost_low: float
    lost_high: float


@dataclass(frozen=True, slots=True)
class StoppingReport:
    """One data set, each question in so many `orders`. `certified`: share of questions whose answer is certified at
    0.05 within all their samples; `to_certify`: the mean draws that this takes them."""

    name: str
    questions: int
    n: int
    orders: int
    all_samples: float
    accuracy: float
    certified: float
    to_certify: float
    rows: tuple[Saved, ...]

    def as_json(self) -> dict[str, object]:
        """The numbers."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Asked:
    """Which `rules`, over the first `limit` questions of each set, in how many `orders`."""

    rules: tuple[str, ...] = RULES
    limit: int | None = None
    orders: int = len(ORDERS)


def report(
    folder: Path, settings: Settings, advance: Advance = lambda: None, asked: Asked | None = None
) -> Iterator[StoppingReport]:
    """Each data set of `SETS` that the folder holds. Raises OSError or ValueError where one cannot be read."""
    asked = asked or Asked(RULES)
    for name, n in SETS.items():
        path = folder / f"{name}.jsonl.gz"
        if path.exists():
            dataset = read_dataset(path, asked.limit, view=View(results=True))
            yield asyncio.run(measure(dataset, n, asked.rules, settings, advance, asked.orders))


async def measure(
    dataset: Dataset,
    n: int,
    rules: Sequence[str],
    settings: Settings,
    advance: Advance = lambda: None,
    orders: int = len(ORDERS),
) -> StoppingReport:
    """Every rule over one data set, each question in every order."""
    records = [record for record in dataset.records if record.samples]
    seeds = ORDERS[: min(orders, COSTLY.get(dataset.name, orders))]
    ordered = [[record.shuffled(seed) for seed in seeds] for record in records]
    async with contextlib.aclosing(math_pool(settings)) as pool:
        offline = Offline(dataset, settings, pool, Remembering)
        full = [await _outcomes(offline, each, n, "none") for each in ordered]
        rows = []
        for rule in rules:
            found = [await _outcomes(offline, each, n, rule) for each in ordered]
            rows.append(_saved(rule, full, found))
            advance()
        certain = [await draws_to_certify(record, n, pool) for each in ordered for record in each]
    reached = [float(draws) for draws in certain if draws is not None]
    return StoppingReport(
        name=dataset.name,
        questions=len(records),
        n=n,
        orders=len(seeds),
        all_samples=mean([one.samples for one in full]),
        accuracy=mean([one.right for one in full]),
        certified=len(reached) / len(certain),
        to_certify=mean(reached),
        rows=tuple(rows),
    )


class Remembering:
    """An answer type that reads each text once, since every rule and order reads the same ones again."""

    _found: ClassVar[dict[tuple[str, Task, str], Extraction | None]] = {}

    def __init__(self, answer_type: AnswerType) -> None:
        self._type = answer_type
        self.name, self.Options, self.exact = answer_type.name, answer_type.Options, answer_type.exact
        self.judged = is_judged(answer_type)

    def extract(self, text: str, task: Task) -> Extraction | None:
        """What the answer type finds."""
        at = (self.name, task, text)
        if at not in self._found:
            self._found[at] = self._type.extract(text, task)
        return self._found[at]

    def same(self, left: Extraction, right: Extraction) -> bool:
        """What the answer type says."""
        return self._type.same(left, right)


@dataclass(frozen=True, slots=True)
class _Question:
    """One question over all orders: the mean samples drawn and the share of orders with a right answer."""

    samples: float
    right: float


async def _outcomes(offline: Offline, orders: Sequence[Record], n: int, rule: str) -> _Question:
    found = [await offline.answer(record, Cell("vote", n, rule, AS_RECORDED)) for record in orders]
    return _Question(mean([float(one.samples) for one in found]), mean([float(one.right) for one in found]))


def _saved(rule: str, full: Sequence[_Question], found: Sequence[_Question]) -> Saved:
    lost = [whole.right - early.right for whole, early in zip(full, found, strict=True)]
    low, high = bootstrap(lost, lambda items: mean(list(items)))
    samples = mean([one.samples for one in found])
    return Saved(
        rule=rule,
        samples=samples,
        fewer=mean([one.samples for one in full]) / samples,
        accuracy=mean([one.right for one in found]),
        lost=mean(lost),
        lost_low=low,
        lost_high=high,
    )


async def draws_to_certify(record: Record, n: int, judge: Judge | None = None, alpha: float = ALPHA) -> int | None:
    """After how many of the first n samples the answer that leads then is certified; None if it is not."""
    answer_type = build(ANSWER_TYPES, type_for(record, AS_RECORDED), "answer_type")
    samples = {sample.index: sample for sample in record.samples[:n]}
    reading = await Reader(record.task, Remembering(answer_type), NoStop(Options()), len(samples), judge=judge).read(
        samples
    )
    evidence = evidence_for(reading.answer_type)
    if reading.kinds is None or (evidence.exact and divided(reading.candidates)):
        return None
    for drawn, candidate in enumerate(reading.candidates, start=1):
        evidence.see([candidate])
        leader = max(set(evidence.labels), key=evidence.labels.count, default=None)
        if evidence.labels and evidence.p([leader], reading.kinds) <= alpha:
            return drawn
    return None
