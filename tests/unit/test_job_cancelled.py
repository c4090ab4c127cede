"""A cancelled job's backend is stopped whole, however often the job is cancelled."""

import asyncio
from collections.abc import AsyncGenerator
from types import SimpleNamespace
from typing import Any

import pytest

from workers.run_job import JobRun
from workers.wire.connection import unbroken
from workers.wire.leases import LeaseState
from workers.wire.messages import Job, Message, Sample


class Slow:
    """Draws for ever, and takes several turns of the loop to clean up."""

    name, provides = "fake", frozenset[Any]()

    def __init__(self) -> None:
        self.drawing = asyncio.Event()
        self.closed = 0

    async def sample(self, job: Job, indices: tuple[int, ...]) -> AsyncGenerator[Sample, None]:
        """Never gives one."""
        try:
            self.drawing.set()
            await asyncio.sleep(60)
            yield Sample(index=0)
        finally:
            for _ in range(5):
                await asyncio.sleep(0.01)
            self.closed += 1


def run_of(backend: Slow) -> JobRun:
    """A leased job of two samples."""
    asked = Job(job_id="j", answer_id="a", model="m", messages=(Message(role="user", content="?"),), first=0, last=2)
    entry = SimpleNamespace(refused=None)
    kept = {"missing": frozenset({0, 1}), "job": asked, "left_ms": 60_000, "state": LeaseState.LEASED, "entry": entry}
    lease: Any = SimpleNamespace(**kept)
    metrics: Any = SimpleNamespace(job=lambda *_: None, sample=lambda *_: None)
    return JobRun(lease, backend, None, metrics, 0.0)  # type: ignore[arg-type]  # nothing is stored


@pytest.mark.parametrize("times", [1, 2, 3])
async def test_what_a_backend_does_ends_with_its_job(times: int) -> None:
    """The notice cancels a job, and so does its lease: a second time while the backend cleans up."""
    backend = Slow()
    task = asyncio.create_task(run_of(backend).run())
    await backend.drawing.wait()
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0.015)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert backend.closed == 1


async def test_a_command_is_awaited_to_its_end_however_often_its_caller_is_cancelled() -> None:
    """And the cancellation is raised then."""
    ended = asyncio.Event()

    async def command() -> None:
        await asyncio.sleep(0.1)
        ended.set()

    task = asyncio.create_task(unbroken(command()))
    for _ in range(3):
        await asyncio.sleep(0.01)
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()
