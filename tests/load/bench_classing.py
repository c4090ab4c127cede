"""What classing 64 samples of `math` costs, and how long the event loop waits: python -m tests.load.bench_classing."""

import asyncio
import contextlib
import os
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from service.answer_types.mathematics import Math
from service.candidates import Task
from service.classing import judged, make_candidate, make_classes
from service.equality.pool import Pool, math_pool
from service.settings import Settings
from workers.wire.messages import Sample

SAMPLES = 64
ROUNDS = 5
_SHAPES = (
    *(
        r"\frac{{{k}x+1}}{{x^2+{k}}}",
        r"{k}x^2-3x+{k}",
        r"\sqrt{{{k}+x}}",
        r"\{{{k},{k}+1,x\}}",
        r"({k},\frac{{{k}}}{{7}})",
    ),
    *(r"[{k},\infty)", r"\frac{{\sqrt{{{k}}}}}{{{k}+1}}+\pi", r"{k}\sin x\cos x", r"\log_2({k}+x)", r"e^{{{k}x}}"),
    *(
        r"\begin{{pmatrix}}{k}&1\\0&x\end{{pmatrix}}",
        r"{k}a+b^2-c",
        r"2^{{{k}}}+3i",
        r"\frac{{{k}\pi}}{{11}}",
        "x^{k}+y",
    ),
)


def distinct(start: int) -> list[str]:
    """64 LaTeX answers, no two equal and none asked for before."""
    return [f"\\boxed{{{_SHAPES[i % len(_SHAPES)].format(k=start + i)}}}" for i in range(SAMPLES)]


async def beat(gaps: list[tuple[float, float]]) -> None:
    """Notes how late the event loop comes back and how long it computed meanwhile, in seconds."""
    while True:
        due, own = time.perf_counter() + 0.001, time.process_time()
        await asyncio.sleep(0.001)
        gaps.append((time.perf_counter() - due, time.process_time() - own))


@dataclass(frozen=True, slots=True)
class Cost:
    """Milliseconds on the clock and of this process's processor time; how many classes there are."""

    wall: float
    own: float
    classes: int


def spent(pool: Pool) -> float:
    """Milliseconds of processor time that the pool's processes have used so far."""
    groups = {each._child.pid for each in pool._all if each._child is not None}
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12]) if int(fields[2]) in groups else 0
    return 1000 * ticks / os.sysconf("SC_CLK_TCK")


async def classed(texts: list[str], pool: Pool) -> Cost:
    """Finds the answers, one text at a time as they arrive, and classes them."""
    made = []
    for index, text in enumerate(texts):
        made.append(make_candidate(Sample(index=index, text=text), Math(), Task("?")))
        await asyncio.sleep(0)
    started, own = time.perf_counter(), time.process_time()
    classes = make_classes(made, Math(), await judged(made, Math(), pool))
    return Cost(1000 * (time.perf_counter() - started), 1000 * (time.process_time() - own), len(classes))


async def measure() -> dict[str, float]:
    """The numbers, in milliseconds: medians of 5 rounds after the processes have started."""
    pool = math_pool(Settings())
    gaps: list[tuple[float, float]] = []
    try:
        started = time.perf_counter()
        await pool.judge(["x+1", "1+x", "y", "z+1"])
        first = 1000 * (time.perf_counter() - started)
        halves = [r"\boxed{\frac{1}{2}}", "0.5", "$1/2$", r"\boxed{\dfrac12}", r"\boxed{x = \frac{1}{2}}"]
        settled = [await classed([halves[i % 5] for i in range(SAMPLES)], pool) for _ in range(ROUNDS)]
        before = spent(pool)
        heart = asyncio.create_task(beat(gaps))
        latex = [await classed(distinct(2 + 100 * turn), pool) for turn in range(ROUNDS)]
        heart.cancel()
        theirs = (spent(pool) - before) / ROUNDS
        assert {cost.classes for cost in settled} == {1}
        assert {cost.classes for cost in latex} == {SAMPLES}
    finally:
        await pool.aclose()
    return {
        "first use: starting the processes": first,
        "64 samples settled by canonical form": statistics.median(cost.wall for cost in settled),
        "64 distinct LaTeX answers": statistics.median(cost.wall for cost in latex),
        "64 distinct LaTeX answers, slowest round": max(cost.wall for cost in latex),
        "of it in the gateway's own process": statistics.median(cost.own for cost in latex),
        "and of processor time in the pool's": theirs,
        "event loop late by at most": 1000 * max(late for late, _ in gaps),
        "event loop computing without a pause at most": 1000 * max(own for _, own in gaps),
    }


def main() -> None:
    """Prints the numbers."""
    for what, ms in asyncio.run(measure()).items():
        sys.stdout.write(f"{what:46}{ms:10.2f} ms\n")


if __name__ == "__main__":
    main()
