"""The pool that compares expressions: real processes, real kills."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from service.answer_types.mathematics import Math
from service.candidates import Task
from service.classing import Classifier, judged, make_candidate, make_classes
from service.equality.pool import MAX_ANSWERS, Pool
from workers.wire.messages import Sample

DEADLINE_MS = 250
TASK = Task("Simplify.")
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pool() -> AsyncIterator[Pool]:
    """A pool of two processes that the tests share, as answers do."""
    made = Pool(2, DEADLINE_MS, 512)
    yield made
    await made.aclose()


@pytest_asyncio.fixture(loop_scope="module")
async def own() -> AsyncIterator[Pool]:
    """A pool for one test alone."""
    made = Pool(2, DEADLINE_MS, 512)
    yield made
    await made.aclose()


def pids(pool: Pool) -> list[int]:
    """The processes that the pool has started and not yet ended."""
    return [p._child.pid for p in pool._all if p._child is not None]


def alive(pid: int) -> bool:
    """True if there is such a process."""
    return Path(f"/proc/{pid}").exists()


async def test_equal_expressions_are_one_class_whatever_their_order(pool: Pool) -> None:
    """Classes come from the judge where canonical forms differ, the same for any order."""
    texts = ["x+1", "1+x", "1+x", "(x+1)^2", "x^2+2x+1", "x+2", r"\boxed{2x^2-x}", r"\boxed{x(2x-1)}"]
    made = [make_candidate(Sample(index=i, text=text), Math(), TASK) for i, text in enumerate(texts)]
    found = make_classes(made, Math(), await judged(made, Math(), pool))
    assert [(c.answer, c.members) for c in found] == [
        ("1+x", (0, 1, 2)),
        ("(x+1)^2", (3, 4)),
        ("2x^2-x", (6, 7)),
        ("x+2", (5,)),
    ]
    assert make_classes(made[::-1], Math(), await judged(made[::-1], Math(), pool)) == found


async def test_a_new_answer_finds_its_class(pool: Pool) -> None:
    """An aggregator's reply that is spelled otherwise belongs to the class of its equals."""
    made = [make_candidate(Sample(index=i, text=t), Math(), TASK) for i, t in enumerate(["a+b", "a-b"])]
    classifier = Classifier(made, Math(), TASK, await judged(made, Math(), pool), pool)
    named, other = classifier.extract(r"\boxed{b + a}"), classifier.extract(r"\boxed{b - a}")
    assert named is not None
    assert other is not None
    assert await classifier.find(named) == classifier.classes[0]
    assert await classifier.find(other) is None


async def test_numbers_alone_start_no_process(own: Pool) -> None:
    """What exact values settle needs no judge."""
    assert (await own.judge(["1", "2", "0.5", "1/3", "-7"])).equal == frozenset()
    assert pids(own) == []


@pytest.mark.parametrize(
    "bomb",
    ["9^{9^{9^9}}", "(10^7)!", "10^{10^{10}}", "x^{10^9}", "10^{10000000}", "2^{10^{12}}", "{" * 200, "((10^5)!)!"],
)
async def test_a_bomb_costs_at_most_the_deadline(pool: Pool, bomb: str) -> None:
    """Power towers, factorials and huge exponents are killed, are equal to nothing, and the pool serves on."""
    await pool.judge(["x+1", "1+x"])
    before = pids(pool)
    started = time.perf_counter()
    found = await pool.judge([bomb, "y+1", "1+y"])
    took = time.perf_counter() - started
    assert found.equal == {frozenset(("y+1", "1+y"))}
    assert pids(pool)[: len(before)] == before, "only the forked server was killed"
    assert took < 10 * DEADLINE_MS / 1000  # of processor time; the rest is a busy machine's
    asked = [process._last for process in pool._all]
    assert await pool.judge([bomb, "y+1", "1+y"]) == found
    assert [process._last for process in pool._all] == asked, "what overran is remembered"


async def test_an_overrun_is_counted(pool: Pool) -> None:
    """The reply can say how many comparisons were given up."""
    assert (await pool.judge(["9^{9^{9^9}}", "x+1"])).overruns == 1


async def test_memory_is_capped() -> None:
    """A process that wants more memory than it may have loses its answer and nothing else."""
    small = Pool(1, 20_000, 256)
    huge = "2^{10^{11}}"  # one shift and 12 GB; a power of ten is multiplied out, and its time is up first
    try:
        found = await small.judge([huge, "x+1", "1+x"])
        assert found.equal == {frozenset(("x+1", "1+x"))}
        assert found.overruns == 1
        assert (await small._all[0].ask("sketch", huge)).lost == "memory"
    finally:
        await small.aclose()


async def test_a_killed_process_is_replaced(own: Pool) -> None:
    """A process that somebody kills costs what it was asked, no more."""
    await own.judge(["x+1", "1+x"])
    for pid in pids(own):
        os.killpg(pid, 9)
    await own.judge(["x+3", "3+x", "y+3", "3+y"])  # may be lost with the processes
    assert (await own.judge(["x+4", "4+x"])).equal == {frozenset(("x+4", "4+x"))}


async def test_a_caller_that_goes_away_leaves_the_pool_usable(pool: Pool) -> None:
    """Work that was begun is finished and its reply is taken for no other's."""
    task = asyncio.create_task(pool.judge([f"z^2+{k}" for k in range(30)]))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await pool.judge(["x+5", "5+x", "x+6"])).equal == {frozenset(("x+5", "5+x"))}


async def test_closing_ends_the_processes(own: Pool) -> None:
    """Nothing is left behind, also in the middle of the work."""
    await own.judge(["x+1", "1+x"])
    started = pids(own)
    assert started
    work = asyncio.create_task(own.judge(["(10^7)!", "x"]))
    await asyncio.sleep(0.05)
    await own.aclose()
    assert all(not alive(pid) for pid in started)
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)


async def test_more_answers_than_are_compared_are_counted(pool: Pool) -> None:
    """Beyond the bound, canonical forms decide, and the reply says so."""
    found = await pool.judge([str(number) for number in range(MAX_ANSWERS + 3)])
    assert found.uncompared == 3


async def test_the_event_loop_is_not_blocked(pool: Pool) -> None:
    """A heartbeat goes on while answers are classed: this process computes 10 ms at a stretch at most.

    Of processor time, since a busy machine is late anyhow; twice the bar here, `bench_classing` prints the number.
    """
    gaps: list[float] = []

    async def beat() -> None:
        while True:
            own = time.process_time()
            await asyncio.sleep(0.001)
            gaps.append(time.process_time() - own)

    await pool.judge(["x", "y+1"])
    heart = asyncio.create_task(beat())
    await pool.judge([f"x^2+{k}x+\\sqrt{{{k}}}" for k in range(40)] + ["(10^7)!"])
    heart.cancel()
    assert gaps
    assert max(gaps) < 0.02


async def test_the_gateway_loads_no_sympy() -> None:
    """Only the pool's processes do."""
    code = "import sys, service.app, service.cli; sys.exit('sympy' in sys.modules or 'math_verify' in sys.modules)"
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    assert await child.wait() == 0
