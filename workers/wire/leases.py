"""The worker's end of the queue: take entries, lease jobs, keep the lease, store results, recover what others dropped.

An entry is delivered by the consumer group and stays in its owner's pending list until it is acknowledged, which
happens only together with the stored result. A lease is the pair (delivered entry, fence): every new lease of a job
raises the fence, so a worker that was stopped and comes back is refused.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import ValidationError
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from workers.wire.connection import BLOCK_MS, stream_entries
from workers.wire.keys import GROUP, Keys, sample_field
from workers.wire.messages import Job, Sample, WorkerCard
from workers.wire.scripts import LEASE, RENEW, STORE

MAX_DELIVERIES = 3
"""A job that was leased this often without a result is quarantined: its samples fail with kind `poison`."""


class LeaseState(StrEnum):
    """What a lease attempt or a lease's life can come to."""

    LEASED = "leased"
    EXPIRED = "expired"
    POISON = "poison"
    CANCELLED = "cancelled"
    GONE = "gone"


class Stored(StrEnum):
    """What became of a result."""

    STORED = "stored"
    FENCED = "fenced"
    CANCELLED = "cancelled"


class Renewal(StrEnum):
    """What became of a lease's renewal."""

    HELD = "held"
    CANCELLED = "cancelled"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Entry:
    """One delivered stream entry. `job` None: its body could not be read."""

    shard: int
    entry_id: str
    job: Job | None

    @property
    def place(self) -> tuple[int, str]:
        """What tells entries apart: two shards' streams may give out the same id."""
        return self.shard, self.entry_id


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to store the samples `missing` of `entry.job`, as long as `fence` is current."""

    entry: Entry
    job: Job
    state: LeaseState
    fence: int
    left_ms: int
    missing: tuple[int, ...]


class Leases:
    """The queue as one worker sees it. `client` serves short commands, `blocking` only `take`."""

    def __init__(
        self, client: Redis, blocking: Redis, keys: Keys, *, model: str, worker: str, samples_ttl_ms: int
    ) -> None:
        self._redis: Any = client  # redis-py's reply types are unions over both protocols
        self._blocking = blocking
        self._keys = keys
        self._model = model
        self._worker = worker
        self._samples_ttl_ms = samples_ttl_ms
        self._lease = client.register_script(LEASE)
        self._renew = client.register_script(RENEW)
        self._store = client.register_script(STORE)

    @property
    def shards(self) -> range:
        """The queue shards that a worker serves: all of them."""
        return range(self._keys.shards)

    async def join(self, shard: int) -> None:
        """Makes the consumer group where it is missing; from 0, as done entries are deleted: what is there is work."""
        try:
            await self._redis.xgroup_create(self._keys.stream(shard, self._model), GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    async def take(self, shard: int, count: int) -> tuple[Entry, ...]:
        """Waits for up to `count` new entries; empty when none came in BLOCK_MS."""
        return await self._read(shard, ">", count, BLOCK_MS)

    async def own_pending(self, shard: int) -> tuple[Entry, ...]:
        """What was delivered to this worker already: after a lost reply this is the only way to see it."""
        return await self._read(shard, "0", 64, None)

    async def _read(self, shard: int, after: str, count: int, block_ms: int | None) -> tuple[Entry, ...]:
        stream = self._keys.stream(shard, self._model)
        found = await self._blocking.xreadgroup(GROUP, self._worker, {stream: after}, count=count, block=block_ms)
        return tuple(_entry(shard, *raw) for raw in stream_entries(found) if raw[1])

    async def reclaim(self, shard: int, idle_ms: int, count: int) -> tuple[Entry, ...]:
        """Takes over entries whose owner has not renewed for `idle_ms`."""
        stream = self._keys.stream(shard, self._model)
        found: list[tuple[bytes, dict[bytes, bytes]]] = []
        cursor = b"0-0"
        while len(found) < count:
            # A page looks at ten times `count` entries and may be empty though abandoned ones come later.
            reply = await self._redis.xautoclaim(stream, GROUP, self._worker, idle_ms, cursor, count=count - len(found))
            # Redis 6.2 answers (cursor, entries), 7.0 adds the ids of trimmed entries; these are (None, None) in 6.2.
            found += [raw for raw in reply[1] if raw and raw[0] and raw[1]]
            cursor = reply[0]
            if cursor == b"0-0":
                break
        return tuple(_entry(shard, *raw) for raw in found)

    async def lease(self, entry: Entry) -> Lease | None:
        """Leases an entry's job. None if it is not to be worked on: cancelled, already done, or not readable."""
        job = entry.job
        if job is None:
            await self._drop(entry)
            return None
        reply = await self._lease(
            keys=[
                self._keys.job(job.answer_id, job.job_id),
                self._keys.samples(job.answer_id),
                self._stream(entry),
                self._keys.answer(job.answer_id),
            ],
            args=[self._worker, GROUP, entry.entry_id, MAX_DELIVERIES],
        )
        state = LeaseState(reply[0].decode())
        if state in (LeaseState.CANCELLED, LeaseState.GONE):
            return None
        there = {field.decode() for field in reply[3:]}
        missing = tuple(i for i in range(job.first, job.last) if sample_field(job.batch, i) not in there)
        return Lease(entry, job, state, fence=int(reply[1]), left_ms=int(reply[2]), missing=missing)

    async def renew(self, lease: Lease) -> Renewal:
        """Keeps the entry from being reclaimed, if the lease is still this worker's."""
        job = lease.job
        reply = await self._renew(
            keys=[
                self._keys.job(job.answer_id, job.job_id),
                self._stream(lease.entry),
                self._keys.answer(job.answer_id),
            ],
            args=[lease.fence, self._worker, GROUP, lease.entry.entry_id],
        )
        return Renewal(reply.decode())

    async def store(self, lease: Lease, samples: Sequence[Sample], *, done: bool) -> tuple[Stored, int]:
        """Stores samples, announces them to the answer's gateway and, with `done`, acknowledges: in one step.

        Each index counts once: what was stored before stays. Returns what happened and how many samples were new.
        """
        job = lease.job
        shard = self._keys.shard_of(job.answer_id)
        pairs: list[str] = []
        for sample in samples:
            pairs += [sample_field(job.batch, sample.index), sample.model_dump_json(exclude_defaults=True)]
        reply = await self._store(
            keys=[
                self._keys.job(job.answer_id, job.job_id),
                self._keys.samples(job.answer_id),
                self._stream(lease.entry),
                self._keys.answer(job.answer_id),
            ],
            args=[
                lease.fence,
                lease.entry.entry_id,
                GROUP,
                int(done),
                self._samples_ttl_ms,
                self._keys.inbox_prefix(shard),
                _reply_head(lease, self._worker),
                *pairs,
            ],
        )
        return Stored(reply[0].decode()), int(reply[1])

    async def show(self, card: WorkerCard, ttl_ms: int) -> None:
        """Publishes this worker's card for `ttl_ms`."""
        seconds, micros = await self._redis.time()
        now_ms = int(seconds) * 1000 + int(micros) // 1000
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.set(self._keys.card(self._worker), card.model_dump_json(), px=ttl_ms)
            pipe.zadd(self._keys.pool, {self._worker: now_ms + ttl_ms})
            pipe.zadd(self._keys.models, {self._model: now_ms})
            pipe.zremrangebyscore(self._keys.pool, "-inf", now_ms - ttl_ms)
            await pipe.execute()

    async def leave(self) -> None:
        """Takes the card away, and this worker's name out of the group where nothing is pending on it.

        A consumer with pending entries stays: deleting it would drop them for ever.
        """
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.delete(self._keys.card(self._worker))
            pipe.zrem(self._keys.pool, self._worker)
            await pipe.execute()
        for shard in self.shards:
            stream = self._keys.stream(shard, self._model)
            pending = await self._redis.xpending_range(stream, GROUP, "-", "+", 1, consumername=self._worker)
            if not pending:
                await self._redis.xgroup_delconsumer(stream, GROUP, self._worker)

    async def _drop(self, entry: Entry) -> None:
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.xack(self._stream(entry), GROUP, entry.entry_id)
            pipe.xdel(self._stream(entry), entry.entry_id)
            await pipe.execute()

    def _stream(self, entry: Entry) -> str:
        return self._keys.stream(entry.shard, self._model)


def _reply_head(lease: Lease, worker: str) -> str:
    """The reply message up to its list of samples, which the script completes with those that were new."""
    head = lease.job.model_dump_json(include={"v", "job_id", "answer_id", "batch"})
    return f'{head[:-1]},"worker":{json.dumps(worker)},"left_ms":{lease.left_ms},"samples":['


def _entry(shard: int, entry_id: bytes, fields: dict[bytes, bytes]) -> Entry:
    try:
        job: Job | None = Job.model_validate_json(fields.get(b"job", b""))
    except ValidationError:
        job = None
    return Entry(shard=shard, entry_id=entry_id.decode(), job=job)
