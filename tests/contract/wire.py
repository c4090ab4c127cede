"""Both ends of one queue, for tests."""

import asyncio
import secrets
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from workers.wire.dispatch import Dispatcher, Inbox, Notice
from workers.wire.keys import GROUP, Keys
from workers.wire.lease import Entry
from workers.wire.leases import Leases
from workers.wire.messages import Job, Message, Reply, Sample, Sampling

MODEL = "fake"
GATEWAY = "gate-1"


@dataclass
class Wire:
    """Both ends of one queue."""

    redis: Redis
    blocking: Redis
    keys: Keys

    def __post_init__(self) -> None:
        self.dispatcher = Dispatcher(self.redis, self.keys)
        self.raw: Any = self.redis

    async def worker(self, name: str) -> Leases:
        """A worker's end that has joined every shard."""
        leases = Leases(self.redis, self.blocking, self.keys, model=MODEL, worker=name, samples_ttl_ms=60_000)
        for shard in leases.shards:
            await leases.join(shard)
        return leases

    async def submit(self, *, n: int = 2, budget_ms: int = 30_000, answer: str | None = None) -> Job:
        """Queues one job of an accepted answer."""
        answer_id = answer or f"ans_{secrets.token_hex(12)}"
        await self.raw.hset(self.keys.answer(answer_id), mapping={"gateway": GATEWAY})
        await self.raw.pexpire(self.keys.answer(answer_id), 60_000)
        job = Job(
            job_id=f"{answer_id}:samples:0",
            answer_id=answer_id,
            model=MODEL,
            messages=(Message(role="user", content="Why?"),),
            sampling=Sampling(),
            first=0,
            last=n,
        )
        await self.dispatcher.submit([job], budget_ms)
        return job

    async def taken(self, leases: Leases, job: Job) -> Entry:
        """The job's entry, delivered to the worker."""
        (entry,) = await leases.take(self.keys.shard_of(job.answer_id), 1)
        assert entry.job == job
        return entry

    async def leased(self, leases: Leases, job: Job) -> Any:
        """A lease of the job, which was delivered to the worker."""
        lease = await leases.lease(await self.taken(leases, job))
        assert lease is not None
        return lease

    async def pending(self, shard: int) -> int:
        """How many entries are delivered and not acknowledged."""
        return int((await self.raw.xpending(self.keys.stream(shard, MODEL), GROUP))["pending"])

    async def left(self, shard: int) -> tuple[int, int]:
        """Entries in the stream, entries pending."""
        return int(await self.raw.xlen(self.keys.stream(shard, MODEL))), await self.pending(shard)

    async def messages(self, shard: int, count: int) -> list[Reply | Notice]:
        """The next messages of the gateway's inbox."""
        inbox = Inbox(self.blocking, self.keys, GATEWAY)
        found: list[Reply | Notice] = []
        async with asyncio.timeout(5):
            async for message in inbox.read(shard):
                found.append(message)
                if len(found) == count:
                    break
        return found


def drawn(*indices: int, text: str = "The answer is 42.") -> list[Sample]:
    """Samples with these indices."""
    return [Sample(index=i, text=text) for i in indices]
