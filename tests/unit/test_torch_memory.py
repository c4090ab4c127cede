"""The torch engine where memory runs out: of the device at any place, and of the bytes that it may use."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tests import torch_jobs
from tests.conftest import wait_until
from tests.tiny_model import make_tiny_model
from tests.torch_jobs import draw
from workers.backends.torch_local import line
from workers.backends.torch_local.backend import TorchBackend
from workers.backends.torch_local.facts import EngineFacts
from workers.backends.torch_local.line import Line
from workers.backends.torch_local.memory import CacheShape, Prompt, Store
from workers.backends.torch_local.rows import Work
from workers.backends.torch_local.scheduler import Scheduler
from workers.wire.messages import Caution, FailureKind, Job, Probe, Sample, Sampling

ENDLESS = ((0, -100.0),)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model: 512 bytes a token."""
    return make_tiny_model(tmp_path_factory.mktemp("tiny"), hidden=32, layers=2, max_positions=2048, likely_end=1.0)


def job(n: int, content: str, job_id: str, **sampling: Any) -> Job:
    """A job of n samples."""
    asked = torch_jobs.job(n, content, **{"max_tokens": 24, "temperature": 1.0} | sampling)
    return asked.model_copy(update={"job_id": job_id})


def every_kind() -> list[Job]:
    """Jobs that take memory at every place there is."""
    return [
        job(4, "What is 12 + 34 * 2?", "plain"),
        job(3, "7 + " * 60 + "1", "long"),
        job(3, "What is 9 * 4?", "options", options=("36", "35", "thirty six")),
        job(2, "What is 5 + 4?", "cautious", caution=Caution(trials=3, entropy_low=0.0, entropy_high=0.5)),
        job(2, "What is 8 - 4?", "probed", probe=Probe(every=4, tokens=4), top_p=0.9),
    ]


@pytest.fixture
async def backend(folder: Path) -> AsyncIterator[TorchBackend]:
    """A started backend with memory enough."""
    made = TorchBackend(str(folder), "cpu", threads=1)
    await made.start()
    await draw(made, job(1, "one", "first"))
    yield made
    await made.close()


async def samples_of(backend: TorchBackend, jobs: Sequence[Job]) -> list[list[Sample]]:
    """What the engine draws when all jobs come at once; nothing of them is left then."""
    scheduler = backend._engine.scheduler
    assert scheduler is not None
    async with asyncio.timeout(60):
        found = await asyncio.gather(*(draw(backend, asked) for asked in jobs))
    await asyncio.to_thread(wait_until, lambda: scheduler.idle, "the engine is idle")
    assert backend._engine.scheduler is scheduler  # no turn failed
    assert (scheduler._batch.rows, list(scheduler._shelves)) == ([], [])
    scheduler._reader.forget()
    return found


class Shortage:
    """Counts allocations; from the `at`-th on, `times` of them fail."""

    def __init__(self, at: int, times: int) -> None:
        self.count = 0
        self._failing = range(at, at + times)

    def take(self) -> None:
        """One allocation."""
        self.count += 1
        if self.count in self._failing:
            raise torch.OutOfMemoryError("told so")


@contextmanager
def of_stores(at: int, times: int = 1) -> Iterator[Shortage]:
    """Of the memory for keys and values."""
    shortage = Shortage(at, times)
    blank, cut = CacheShape.blank, Store.cut

    def scarce_blank(self: CacheShape, rows: int, tokens: int) -> Store:
        if rows and tokens and threading.current_thread().name == "torch-engine":
            shortage.take()
        return blank(self, rows, tokens)

    def scarce_cut(self: Store, row: int, tokens: int) -> Store:
        shortage.take()
        return cut(self, row, tokens)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CacheShape, "blank", scarce_blank)
        patch.setattr(Store, "cut", scarce_cut)
        yield shortage


class _Scarce(TorchDispatchMode):
    """Every operation whose outcome is new memory takes some."""

    def __init__(self, take: Callable[[], None]) -> None:
        super().__init__()
        self._take = take

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        schema = func._schema
        if not schema.is_mutable and all(made.alias_info is None for made in schema.returns):
            self._take()
        return func(*args, **(kwargs or {}))


@contextmanager
def of_everything(at: int, times: int = 1) -> Iterator[Shortage]:
    """Of all that a turn of the engine allocates."""
    shortage, turn = Shortage(at, times), Scheduler.turn

    def scarce(self: Scheduler) -> None:
        with _Scarce(shortage.take):
            turn(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Scheduler, "turn", scarce)
        yield shortage


def told(samples: Sequence[Sample]) -> list[tuple[Any, ...]]:
    """What a shortage must not change."""
    return [(s.index, s.text, s.finish_reason, s.completion_tokens, len(s.option_logprobs)) for s in samples]


def check(found: list[list[Sample]], expected: list[list[Sample]], at: int) -> None:
    """Each sample is the one expected or has failed for want of memory, and those of one job at most have failed."""
    short = set()
    for number, (samples, clean) in enumerate(zip(found, expected, strict=True)):
        for sample, right in zip(samples, clean, strict=True):
            if sample.failure is None:
                assert told([sample]) == told([right]), at
            else:
                assert sample.failure.kind is FailureKind.OUT_OF_MEMORY, (at, sample.failure)
                short.add(number)
    assert len(short) <= 1, at


@pytest.mark.timeout(600)
async def test_a_shortage_of_room_for_keys_and_values_at_any_place_changes_no_sample(backend: TorchBackend) -> None:
    """Each single allocation fails in turn."""
    with of_stores(at=-1) as counted:
        expected = await samples_of(backend, every_kind())
    assert counted.count >= 20
    for at in range(1, counted.count + 1):
        with of_stores(at):
            check(await samples_of(backend, every_kind()), expected, at)


@pytest.mark.timeout(600)
async def test_a_shortage_in_any_operation_changes_no_sample(backend: TorchBackend) -> None:
    """A dozen of the thousands, spread evenly; now and then three that fail one after the other."""
    jobs = [asked.model_copy(update={"last": 2}) for asked in every_kind()]
    with of_everything(at=-1) as counted:
        expected = await samples_of(backend, jobs)
    for number, at in enumerate(range(1, counted.count, counted.count // 10)):
        with of_everything(at, times=1 if number % 4 else 3):
            check(await samples_of(backend, jobs), expected, at)


async def test_many_small_prompts_in_little_memory_wait_for_each_other(folder: Path) -> None:
    """None fails that fits alone, though all of their prompts together do not."""
    tight = TorchBackend(str(folder), "cpu", threads=1, cache_mb=1)
    await tight.start()
    rng = Random(0)
    prompts = [" ".join(str(rng.randint(1, 99)) for _ in range(rng.randint(20, 300))) for _ in range(40)]
    found = await asyncio.gather(*(draw(tight, job(1, text, text, max_tokens=30)) for text in prompts))
    assert [sample.failure for (sample,) in found] == [None] * len(prompts)
    assert tight.facts.cache_bytes <= tight.facts.cache_limit
    await tight.close()


async def test_a_prompt_that_waits_for_memory_holds_up_no_small_job(folder: Path) -> None:
    """It is read when there is room; one that never fits fails though others run."""
    tight = TorchBackend(str(folder), "cpu", threads=1, cache_mb=1)
    await tight.start()
    done: list[str] = []

    async def run(asked: Job) -> list[Sample]:
        samples = await draw(tight, asked)
        done.append(asked.job_id)
        return samples

    going = asyncio.create_task(run(job(4, "one", "going", max_tokens=320, logit_bias=ENDLESS)))
    await asyncio.to_thread(wait_until, lambda: tight.facts.steps > 100, "it takes a quarter of the memory")
    large = asyncio.create_task(run(job(1, "7 + " * 400, "large", max_tokens=4)))
    never = asyncio.create_task(run(job(1, "7 + " * 600, "never", max_tokens=4)))
    await run(job(1, "two", "small", max_tokens=4))
    (sample,) = await never
    assert sample.failure is not None
    assert sample.failure.kind is FailureKind.OUT_OF_MEMORY
    assert all(sample.failure is None for sample in await going + await large)
    assert done[-2:] == ["going", "large"]
    await tight.close()


def test_who_was_passed_over_for_long_is_next() -> None:
    """Later orders start before one that has no room, but not for ever; older ones still come before it."""
    facts = EngineFacts()
    queue = Line(8, SimpleNamespace(rows=[]), facts)  # type: ignore[arg-type]  # all that it looks at
    prompt = Prompt((1,), torch.empty(0))
    first, large, small = (
        Work(SimpleNamespace(), (1,), Sampling(), [0, 1], None, prompt=prompt)  # type: ignore[arg-type]
        for _ in range(3)
    )
    queue.works = [first, large, small]
    first.running = small.running = 1
    for _ in range(line.PATIENCE):
        queue.refuse(large)
        assert queue.next(2) is first
        queue.started(small)
        queue.turn()
    queue.refuse(large)
    small.running = 0
    assert queue.next(2) is first
    first.waiting.clear()
    assert queue.next(2) is None
    queue.turn()
    assert queue.next(2) is large
    queue.started(large)
    large.running = 1
    assert queue.next(2) is small
