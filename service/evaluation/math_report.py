"""Judged correctness of recorded samples: ours beside plain Math-Verify's, with every disagreement.

Run as `python -m service.evaluation.math_report FILE...`. Plain Math-Verify reads the whole completion itself; it runs
in processes of a pool too, since it may hang.
"""

import asyncio
import contextlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from service.answer_types.base import Judge
from service.answer_types.mathematics import Math
from service.classing import make_candidate
from service.equality.pool import Pool, math_pool
from service.evaluation.datasets import Record, read_dataset
from service.evaluation.score import Grader
from service.settings import Settings
from workers.wire.messages import Sample

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


async def judge_file(path: Path, settings: Settings, limit: int | None = None) -> list[Verdict]:
    """Every verdict of a file, in its order."""
    async with (
        contextlib.aclosing(math_pool(settings)) as pool,
        contextlib.aclosing(
            Pool(settings.math_processes, PLAIN_DEADLINE_MS, 4 * settings.math_memory_mb, bare=True)
        ) as plain,
    ):
        records = read_dataset(path, limit).records
        return [verdict for record in records for verdict in await judge_record(record, pool, plain)]


def report(name: str, verdicts: list[Verdict]) -> dict[str, object]:
    """The shares that each finds right, and every disagreement."""
    total = max(1, len(verdicts))
    return {
        "name": name,
        "samples": len(verdicts),
        "ours": sum(verdict.ours for verdict in verdicts) / total,
        "math_verify": sum(verdict.plain for verdict in verdicts) / total,
        "only_ours": [_row(verdict) for verdict in verdicts if verdict.ours and not verdict.plain],
        "only_math_verify": [_row(verdict) for verdict in verdicts if verdict.plain and not verdict.ours],
    }


def _row(verdict: Verdict) -> dict[str, object]:
    return {name: getattr(verdict, name) for name in ("record", "sample", "gold", "answer", "tail")}


def main() -> None:
    """Prints one JSON object a file."""
    for name in sys.argv[1:]:
        path = Path(name)
        verdicts = asyncio.run(judge_file(path, Settings()))
        sys.stdout.write(json.dumps(report(path.name, verdicts), indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
