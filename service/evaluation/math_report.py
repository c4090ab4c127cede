"""Judged correctness of recorded samples: ours beside plain Math-Verify's, with every disagreement.

Plain Math-Verify reads the whole completion itself; it runs in processes of a pool too, since it may hang.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from service.answer_types.base import Judge
from service.answer_types.mathematics import Math
from service.classing import make_candidate
from service.equality.pool import Pool, math_pool
from service.evaluation.datasets import Record, read_dataset
from service.evaluation.score import Grader
from service.settings import Settings
from workers.wire.messages import Sample

FILES = ("zeroeval_math_l5_cross.jsonl.gz", "qwen_math_rm8.jsonl.gz")
"""Recorded LaTeX answers in the data folder."""
SHOWN = 120
PLAIN_DEADLINE_MS = 5_000
"""Math-Verify's own default deadline, for its side of the comparison."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What both say of one sample. `answer` is what we found in it; None if nothing."""

    record: str
    sample: int
    gold: str
    answer: str | None
    ours: bool
    plain: bool
    tail: str


@dataclass(frozen=True, slots=True)
class Judged:
    """What both find right in one data set, and every sample of which only one of them says so."""

    name: str
    samples: int
    ours: int
    plain: int
    only_ours: tuple[Verdict, ...]
    only_plain: tuple[Verdict, ...]

    @property
    def reached(self) -> bool:
        """True if we find at least as many right."""
        return self.ours >= self.plain

    def as_json(self) -> dict[str, object]:
        """The counts and every disagreement."""
        counts = {"name": self.name, "samples": self.samples, "right": self.ours, "right_math_verify": self.plain}
        listed = {"only_ours": self.only_ours, "only_math_verify": self.only_plain}
        return {**counts, "reached": self.reached, **{k: [asdict(one) for one in found] for k, found in listed.items()}}


Advance = Callable[[int], None]
"""Told how many samples more have been judged."""


async def judged(
    folder: Path, settings: Settings, limit: int | None = None, advance: Advance = lambda _: None
) -> AsyncGenerator[Judged, None]:
    """What both find in each of `FILES` that the folder has, or in its first `limit` questions."""
    for path in (folder / name for name in FILES):
        if path.is_file():
            yield await judge_file(path, settings, limit, advance)


async def judge_file(
    path: Path, settings: Settings, limit: int | None = None, advance: Advance = lambda _: None
) -> Judged:
    """What both find in one file. Raises OSError, or ValueError naming the line that cannot be read."""
    dataset = read_dataset(path, limit)
    verdicts: list[Verdict] = []
    async with (
        contextlib.aclosing(math_pool(settings)) as pool,
        contextlib.aclosing(
            Pool(settings.math_processes, PLAIN_DEADLINE_MS, 4 * settings.math_memory_mb, bare=True)
        ) as plain,
    ):
        for record in dataset.records:
            found = await judge_record(record, pool, plain)
            verdicts += found
            advance(len(found))
    return Judged(
        name=dataset.name,
        samples=len(verdicts),
        ours=sum(verdict.ours for verdict in verdicts),
        plain=sum(verdict.plain for verdict in verdicts),
        only_ours=tuple(verdict for verdict in verdicts if verdict.ours and not verdict.plain),
        only_plain=tuple(verdict for verdict in verdicts if verdict.plain and not verdict.ours),
    )


async def judge_record(record: Record, judge: Judge, plain: Pool) -> list[Verdict]:
    """Both verdicts on every sample of a record that has a gold answer."""
    if record.gold is None:
        return []
    kind, grader, gold = Math(), Grader(record, judge), record.gold

    async def one(sample: Sample) -> Verdict:
        found = make_candidate(sample, kind, record.task).extraction
        ours, theirs = await asyncio.gather(grader.extraction(found, kind), plain.plainly(gold, sample.text))
        answer = found.answer if found else None
        return Verdict(record.id, sample.index, gold, answer, ours, theirs, sample.text[-SHOWN:])

    return list(await asyncio.gather(*(one(sample) for sample in record.samples)))
