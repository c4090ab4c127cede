"""What reading and classing 64 samples costs, and how long the event loop waits: python -m tests.load.bench_classing.

For every registered answer type: 64 completions whose answers are settled by their canonical forms, short ones and ones
as long as a model may send; for `math` also 64 distinct LaTeX answers, which need the pool. Times are medians of
`ROUNDS` rounds; processor time does not depend on what else the machine does.
"""

import asyncio
import contextlib
import os
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from service.answer_types import ANSWER_TYPES
from service.answer_types.mathematics import Math
from service.candidates import Task
from service.classing import judged, make_candidate, make_classes
from service.equality.pool import Pool, math_pool
from service.reading import Reader
from service.settings import Settings
from service.stopping.base import Options
from service.stopping.none import NoStop
from workers.wire.messages import Sample

SAMPLES = 64
LONG_CHARS = 128_000
"""About 32,000 tokens of English."""
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


_PROSE = (
    "First we look at (b) and [c], where {d} is 3 + 4 = 7. The sum of x and y is 12, but wait: is it? Let me check. "
    "We get $x = \\frac{1}{2}$ on 5 May 2021, and the list - a, b, c - holds. So the next step is to compare both.\n"
)
ENDS: dict[str, tuple[str, ...]] = {
    "auto": ("The answer is 42.", "\\boxed{42}", "42", "#### 42"),
    "boxes": ('{"bbox_2d": [10, 20, 110, 220]}', "<box>(10,20),(110,220)</box>", "The answer is [10, 20, 110, 220]"),
    "choice": ("The answer is (B).", "**B**", "\\boxed{B}", "Answer: B"),
    "code": ("```python\ndef f(a):\n    b = a + 1\n    return [c for c in range(b)]\n```",),
    "date": ("The answer is March 5, 2024.", "5 March 2024", "\\boxed{2024-03-05}"),
    "json": ('{"a": [1, 2.0], "b": {"c": null}}', '```json\n{"b": {"c": null}, "a": [1, 2]}\n```'),
    "list": ("The answer is a, b and c.", '["c", "b", "a"]', "- a\n- b\n- c"),
    "math": ("\\boxed{\\frac{x}{2}}", "The answer is $\\dfrac x2$.", "$\\frac{x}{2}$"),
    "number": ("The answer is 1,234.", "\\boxed{1234}", "1 234", "#### 1234.0"),
    "text": ("The answer is Paris.", "**Paris**", "\\boxed{\\text{Paris}}", "paris"),
    "tool_call": ('<tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>', "f(a=1)"),
}
"""How completions of a type end; a type without a line of its own is measured on all of them."""
ALL_ENDS = tuple(end for ends in ENDS.values() for end in ends)


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


def completions(name: str, chars: int) -> dict[int, Sample]:
    """64 completions of so many characters before their ends, no two of them the same."""
    ends, prose = ENDS.get(name, ALL_ENDS), _PROSE * (chars // len(_PROSE))
    texts = [f"{prose}Attempt {i}.\n{ends[i % len(ends)]}" if chars else ends[i % len(ends)] for i in range(SAMPLES)]
    return {i: Sample(index=i, text=text) for i, text in enumerate(texts)}


async def of_type(name: str) -> tuple[float, float, float]:
    """Milliseconds: classing 64 short samples; reading and classing 64 long ones that come at once, in processor time;
    and how long the loop computed without a pause meanwhile."""
    task = Task("Which?\n(A) x\n(B) y" if name == "choice" else "How many?")
    kind, settled, long = ANSWER_TYPES[name](), [], []
    gaps: list[tuple[float, float]] = []
    heart = asyncio.create_task(beat(gaps))
    for _ in range(ROUNDS):
        made = [make_candidate(sample, kind, task) for sample in completions(name, 0).values()]
        started = time.process_time()
        make_classes(made, kind)
        settled.append(1000 * (time.process_time() - started))
        samples = completions(name, LONG_CHARS)
        await asyncio.sleep(0.01)
        gaps.clear()
        started = time.process_time()
        await Reader(task, ANSWER_TYPES[name](), NoStop(Options()), SAMPLES).read(samples)
        await asyncio.sleep(0.002)
        long.append((1000 * (time.process_time() - started), 1000 * max(own for _, own in gaps)))
    heart.cancel()
    return statistics.median(settled), statistics.median(ms for ms, _ in long), statistics.median(ms for _, ms in long)


def main() -> None:
    """Prints the numbers."""
    sys.stdout.write(
        f"{'type':12}{'classing 64':>14}{f'reading 64 of {LONG_CHARS:,} chars':>34}{'loop held at most':>20}\n"
    )
    for name in sorted(ANSWER_TYPES):
        settled, long, held = asyncio.run(of_type(name))
        sys.stdout.write(f"{name:12}{settled:11.2f} ms{long:31.1f} ms{held:17.2f} ms\n")
    sys.stdout.write("\nmath\n")
    for what, ms in asyncio.run(measure()).items():
        sys.stdout.write(f"{what:46}{ms:10.2f} ms\n")


if __name__ == "__main__":
    main()
