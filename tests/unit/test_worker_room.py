"""How many jobs a worker takes at once."""

import asyncio
from types import SimpleNamespace
from typing import Any

from workers.run_job import JobRun
from workers.wire.leases import LeaseState
from workers.wire.messages import Job, Message, Sample, WorkerCard
from workers.worker import Worker


def worker(capacity: int, *open_samples: int) -> Worker:
    """A worker with jobs that have so many samples to come."""
    card = WorkerCard(worker="w", model="room", backend="fake", capacity_samples=capacity)
    backend: Any = SimpleNamespace(capacity_samples=capacity)
    made = Worker(None, card, backend, None, None)  # type: ignore[arg-type]  # nothing of them is asked
    made._runs = {
        (0, "interactive", str(number)): (SimpleNamespace(open_samples=count), None)
        for number, count in enumerate(open_samples)
    }  # type: ignore[misc]
    made._update_room()
    return made


def test_the_largest_job_takes_no_room_from_others() -> None:
    """A job that fills the worker shuts nobody out; its others do once they fill it themselves."""
    assert worker(8)._room.is_set()
    assert worker(8, 64)._room.is_set()
    assert worker(8, 64, 7)._room.is_set()
    assert not worker(8, 64, 8)._room.is_set()
    assert not worker(8, 64, 64)._room.is_set()
    assert worker(8, 64, 1)._wanted() == 1


async def test_room_grows_as_samples_come() -> None:
    """Not only when a job is at its end: what is counted is what is still to come."""
    counted: list[int] = []

    class Two:
        name, provides = "fake", frozenset[Any]()

        async def sample(self, job: Job, indices: tuple[int, ...]) -> Any:
            for index in indices:
                yield Sample(index=index, text="42")

    class Kept:
        async def store(self, *_: Any, **__: Any) -> Any:
            return None, None

    asked = Job(job_id="j", answer_id="a", model="m", messages=(Message(role="user", content="?"),), first=0, last=2)
    entry = SimpleNamespace(refused=None)
    kept = {"missing": frozenset({0, 1}), "job": asked, "left_ms": 5_000, "state": LeaseState.LEASED, "entry": entry}
    lease: Any = SimpleNamespace(**kept)
    metrics: Any = SimpleNamespace(job=lambda *_: None, sample=lambda *_: None)
    run = JobRun(lease, Two(), Kept(), metrics, 0.0, lambda: counted.append(run.open_samples))  # type: ignore[arg-type]
    assert run.open_samples == 2
    assert await asyncio.wait_for(run.run(), 5) == "done"
    assert counted == [1, 0]
