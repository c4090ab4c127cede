"""A real worker on a thread that embeds texts by a function of the test's: no model, no process."""

import asyncio
import contextlib
import secrets
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass

from workers.backends.base import BackendError
from workers.settings import WorkerSettings
from workers.wire.connection import blocking_client, close, command_client
from workers.wire.keys import Keys
from workers.wire.leases import Leases
from workers.wire.messages import FailureKind, Job, Provides, Sample, WorkerCard
from workers.worker import Worker


@dataclass
class ToyEmbedder:
    """The vector of a text is what `embed` says; None fails the whole job. `seen` are the texts of all jobs."""

    embed: Callable[[str], tuple[float, ...] | None]
    seen: list[str]
    name: str = "toy"
    provides: frozenset[Provides] = frozenset({Provides.EMBED})
    capacity_samples: int = 64

    async def start(self) -> None:
        """Needs nothing."""

    async def sample(self, job: Job, indices: tuple[int, ...]) -> AsyncGenerator[Sample, None]:
        """A vector for each text."""
        for index in indices:
            self.seen.append(job.texts[index])
            vector = self.embed(job.texts[index])
            if vector is None:
                raise BackendError(FailureKind.CONTEXT_OVERFLOW, "told to fail")
            yield Sample(index=index, values=vector)

    async def healthy(self) -> bool:
        """Always."""
        return True

    async def close(self) -> None:
        """Holds nothing."""


@contextlib.contextmanager
def embedding(
    url: str, prefix: str, model: str, embed: Callable[[str], tuple[float, ...] | None]
) -> Iterator[list[str]]:
    """A worker that serves `model` on this prefix until the end of the context; gives the texts that it was asked
    for."""
    settings = WorkerSettings(redis_url=url, queue_prefix=prefix)
    ready, handle = threading.Event(), list[tuple[asyncio.AbstractEventLoop, Worker]]()
    backend = ToyEmbedder(embed, [])

    async def serve() -> None:
        redis, blocking = command_client(url), blocking_client(url, 1)
        name = f"toy-{secrets.token_hex(4)}"
        leases = Leases(redis, blocking, Keys(prefix), model=model, worker=name, samples_ttl_ms=60_000)
        card = WorkerCard(
            worker=name, model=model, backend=backend.name, provides=backend.provides, capacity_samples=64,
            started_ms=int(time.time() * 1000),
        )  # fmt: skip
        worker = Worker(settings, card, backend, leases, redis)
        handle.append((asyncio.get_running_loop(), worker))
        ready.set()
        await worker.run(Keys(prefix).cancel_channel)
        await close(redis)
        await close(blocking)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    if not ready.wait(10):
        raise TimeoutError("the embedder did not start")
    try:
        yield backend.seen
    finally:
        loop, worker = handle[0]
        loop.call_soon_threadsafe(worker.drain)
        thread.join(20)
