"""The worker's end of the queue: take entries, lease jobs, keep the lease, store results, recover what others dropped.

An entry is delivered by the consumer group and stays in its owner's pending list until it is acknowledged, which
happens only together with the stored result. A lease is the pair (delivered entry, fence): every new lease of a job
raises the fence, so a worker that was stopped and comes back is refused.
"""

import asyncio
import hashlib
import json
import logging
from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from workers.wire.connection import BLOCK_MS, stream_entries
from workers.wire.keys import GROUP, Keys, sample_field
from workers.wire.lease import (
    MAX_DELIVERIES,
    SUSPECT_DELIVERIES,
    Entry,
    Lease,
    LeaseState,
    Renewal,
    Stored,
    entry_of,
)
from workers.wire.messages import Sample, WorkerCard
from workers.wire.scripts import BEGIN, LEASE, QUARANTINE, RELEASE, RENEW, STORE, SWEEP

log = logging.getLogger(__name__)

POOL_TTL_MS = 7 * 86_400_000
"""Streams and the pool's lists end so long after the last worker was there; every live one renews them."""

QUARANTINE_TTL_MS = 7 * 86_400_000
QUARANTINE_ENTRIES = 1_000

PAGE = 64


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
        self._trimmed = 0
        self._lease = client.register_script(LEASE)
        self._renew = client.register_script(RENEW)
        self._store = client.register_script(STORE)
        self._begin = client.register_script(BEGIN)
        self._release = client.register_script(RELEASE)
        self._quarantine = client.register_script(QUARANTINE)
        self._sweep = client.register_script(SWEEP)

    @property
    def shards(self) -> range:
        """The queue shards that a worker serves: all of them."""
        return range(self._keys.shards)

    async def join(self, shard: int) -> None:
        """Makes the consumer group where it is missing; from 0, as done entries are deleted: what is there is work."""
        stream = self._keys.stream(shard, self._model)
        try:
            await self._redis.xgroup_create(stream, GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise
        await self._redis.pexpire(stream, POOL_TTL_MS)

    async def take(self, shard: int, count: int) -> tuple[Entry, ...]:
        """Waits for up to `count` new entries; empty when none came in BLOCK_MS."""
        return tuple(entry_of(shard, *raw) for raw in await self._read(shard, ">", count, BLOCK_MS))

    async def own_pending(self, shard: int) -> tuple[Entry, ...]:
        """What was delivered to this worker already: after a lost reply this is the only way to see it."""
        found: list[Entry] = []
        after = "0"
        while page := await self._read(shard, after, PAGE, None):
            found += [entry_of(shard, *raw) for raw in page if raw[1]]  # those that were trimmed have no fields
            after = page[-1][0].decode()
        return tuple(found)

    async def _read(self, shard: int, after: str, count: int, block_ms: int | None) -> list[tuple[bytes, Any]]:
        stream = self._keys.stream(shard, self._model)
        found = await self._blocking.xreadgroup(GROUP, self._worker, {stream: after}, count=count, block=block_ms)
        return stream_entries(found)

    async def reclaim(self, shard: int, idle_ms: int, count: int, grace_ms: int = 0) -> tuple[Entry, ...]:
        """Takes over up to `count` entries whose owner has not renewed for `idle_ms`.

        In two looks, `grace_ms` apart: after a time in which Redis itself was silent every lease looks run out, and
        their owners get the time to renew them. A trimmed entry is acknowledged: its job is found lost by its gateway.
        """
        stream = self._keys.stream(shard, self._model)
        stalled = await self._redis.xpending_range(stream, GROUP, "-", "+", max(count, PAGE), idle=idle_ms)
        if not stalled:
            return ()
        await asyncio.sleep(grace_ms / 1000)
        names = [each["message_id"] for each in stalled]
        async with self._redis.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.xrange(stream, name, name)
            there = await pipe.execute()
        trimmed = [name for name, entry in zip(names, there, strict=True) if not entry]
        if trimmed:
            self._trimmed += int(await self._redis.xack(stream, GROUP, *trimmed))
        held = [name for name, entry in zip(names, there, strict=True) if entry][:count]
        # By XCLAIM, which looks at the time again: whoever renewed, or claimed first, keeps the entry.
        claimed = await self._redis.xclaim(stream, GROUP, self._worker, idle_ms, held) if held else []
        return tuple(entry_of(shard, *raw) for raw in claimed if raw and raw[0] and raw[1])

    def take_trimmed(self) -> int:
        """How many trimmed entries were found since this was last asked."""
        found, self._trimmed = self._trimmed, 0
        return found

    async def sweep(self, shard: int, idle_ms: int) -> int:
        """Strikes off the workers that are gone and hold nothing; returns how many."""
        stream = self._keys.stream(shard, self._model)
        consumers = await self._redis.xinfo_consumers(stream, GROUP)
        quiet = [each["name"].decode() for each in consumers if each["pending"] == 0 and each["idle"] > idle_ms]
        others = [name for name in quiet if name != self._worker]
        if not others:
            return 0
        cards = await self._redis.mget([self._keys.card(name) for name in others])
        gone = [name for name, card in zip(others, cards, strict=True) if card is None]
        return int(await self._sweep(keys=[stream], args=[GROUP, *gone])) if gone else 0

    async def lease(self, entry: Entry) -> Lease | None:
        """Leases an entry's job. None if it is not to be worked on: cancelled, done, another's, or not readable."""
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
            args=[self._worker, GROUP, entry.entry_id, MAX_DELIVERIES, SUSPECT_DELIVERIES],
        )
        state = LeaseState(reply[0].decode())
        if state in (LeaseState.CANCELLED, LeaseState.GONE, LeaseState.LOST):
            return None
        there = {field.decode() for field in reply[5:]}
        missing = tuple(i for i in range(job.first, job.last) if sample_field(job.batch, i) not in there)
        return Lease(
            entry,
            job,
            state,
            fence=int(reply[1]),
            left_ms=int(reply[2]),
            missing=missing,
            deliveries=int(reply[3]),
            owner=reply[4].decode(),
        )

    async def begin(self, lease: Lease) -> bool:
        """Counts the delivery of a suspect, which begins to run now; False if the lease is lost."""
        job = lease.job
        return bool(await self._begin(keys=[self._keys.job(job.answer_id, job.job_id)], args=[lease.fence]))

    async def release(self, entry: Entry, *, uncounted: int = 0) -> bool:
        """Gives an entry back, for any worker to take at once; takes so many deliveries of it back with `uncounted`.

        False if it is not this worker's any more.
        """
        if entry.job is None:
            return False
        keys = [self._keys.job(entry.job.answer_id, entry.job.job_id), self._stream(entry)]
        return bool(await self._release(keys=keys, args=[self._worker, GROUP, entry.entry_id, uncounted]))

    async def quarantine(self, lease: Lease, reason: str) -> None:
        """Notes a job that is given up, with the reason and a digest of what it asked for; once."""
        job = lease.job
        facts = {
            "job": job.job_id,
            "answer": job.answer_id,
            "model": self._model,
            "reason": reason,
            "deliveries": lease.deliveries,
            "owner": lease.owner,
            "sha256": hashlib.sha256(job.sent().encode()).hexdigest(),
        }
        flat: list[Any] = [part for pair in facts.items() for part in pair]
        keys = [self._keys.job(job.answer_id, job.job_id), self._keys.quarantine(lease.entry.shard)]
        await self._quarantine(keys=keys, args=[lease.fence, QUARANTINE_TTL_MS, QUARANTINE_ENTRIES, *flat])

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
            pairs += [str(sample.index), sample.sent()]
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
            pipe.set(self._keys.card(self._worker), card.sent(), px=ttl_ms)
            pipe.zadd(self._keys.pool, {self._worker: now_ms + ttl_ms})
            pipe.zadd(self._keys.models, {self._model: now_ms})
            pipe.zremrangebyscore(self._keys.pool, "-inf", now_ms - ttl_ms)
            pipe.pexpire(self._keys.pool, POOL_TTL_MS)
            pipe.pexpire(self._keys.models, POOL_TTL_MS)
            await pipe.execute()
        for shard in self.shards:
            await self._redis.pexpire(self._keys.stream(shard, self._model), POOL_TTL_MS)

    async def leave(self) -> None:
        """Takes the card away, gives back what was delivered to this worker, and takes its name out of the group.

        A consumer on which something is still pending stays: deleting it would drop that for ever.
        """
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.delete(self._keys.card(self._worker))
            pipe.zrem(self._keys.pool, self._worker)
            await pipe.execute()
        for shard in self.shards:
            for entry in await self.own_pending(shard):
                await self.release(entry)
            await self._sweep(keys=[self._keys.stream(shard, self._model)], args=[GROUP, self._worker])

    async def _drop(self, entry: Entry) -> None:
        log.warning("the entry %s holds nothing that can be read and is dropped", entry.entry_id)
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
