"""The worker's end of the queue: take entries, lease jobs, keep the lease, store results, recover what others dropped.

An entry is delivered by the consumer group and stays in its owner's pending list until it is acknowledged, which
happens only together with the stored result. A lease is the pair (delivered entry, fence): every new lease of a job
raises the fence, so a worker that was stopped and comes back is refused.
"""

import hashlib
import json
import logging
from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis

from workers.wire.keys import GROUP, Keys, sample_field
from workers.wire.lease import (
    MAX_DELIVERIES,
    SHUT_OUT_REPLIES,
    SUSPECT_DELIVERIES,
    Entry,
    Lease,
    LeaseState,
    Renewal,
    Stored,
)
from workers.wire.messages import Sample, WorkerCard
from workers.wire.scripts import BEGIN, LEASE, QUARANTINE, RELEASE, RENEW, STORE
from workers.wire.streams import POOL_TTL_MS, Streams

log = logging.getLogger(__name__)

QUARANTINE_TTL_MS = 7 * 86_400_000
QUARANTINE_ENTRIES = 1_000


class Leases(Streams):
    """The queue as one worker sees it. `client` serves short commands, `blocking` only `take` and `own_pending`."""

    def __init__(
        self, client: Redis, blocking: Redis, keys: Keys, *, model: str, worker: str, samples_ttl_ms: int
    ) -> None:
        super().__init__(client, blocking, keys, model=model, worker=worker)
        self._samples_ttl_ms = samples_ttl_ms
        self.shut_out = False
        """Whether this worker was refused a job because gateways cannot read what it sends."""
        self._lease = client.register_script(LEASE)
        self._renew = client.register_script(RENEW)
        self._store = client.register_script(STORE)
        self._begin = client.register_script(BEGIN)
        self._release = client.register_script(RELEASE)
        self._quarantine = client.register_script(QUARANTINE)

    async def lease(self, entry: Entry) -> Lease | None:
        """Leases an entry's job. None if it is not to be worked on: cancelled, done, another's, or not readable.

        None also of a copy of the job's own entry, and where this worker is shut out: the entry is given back then, and
        `shut_out` says so.
        """
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
                self._keys.refused(entry.shard, self._worker),
            ],
            args=[
                self._worker,
                GROUP,
                entry.entry_id,
                MAX_DELIVERIES,
                SUSPECT_DELIVERIES,
                entry.priority,
                SHUT_OUT_REPLIES,
            ],
        )
        state = LeaseState(reply[0].decode())
        self.shut_out = self.shut_out or state is LeaseState.SHUT_OUT
        if state not in (LeaseState.LEASED, LeaseState.EXPIRED, LeaseState.POISON):
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
        """Publishes this worker's card for `ttl_ms`, once its streams are there: who sees it can queue jobs."""
        for shard in self.shards:
            await self.join(shard)
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

    async def leave(self) -> None:
        """Takes the card away, gives back what was delivered to this worker, and takes its name out of the group.

        A consumer on which something is still pending stays: deleting it would drop that for ever.
        """
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.delete(self._keys.card(self._worker))
            pipe.zrem(self._keys.pool, self._worker)
            await pipe.execute()
        for shard, priority in self.places:
            for entry in await self.own_pending(shard, priority):
                await self.release(entry)
            await self._sweep(keys=[self._keys.stream(shard, self._model, priority)], args=[GROUP, self._worker])

    async def _drop(self, entry: Entry) -> None:
        log.warning("the entry %s holds nothing that can be read and is dropped", entry.entry_id)
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.xack(self._stream(entry), GROUP, entry.entry_id)
            pipe.xdel(self._stream(entry), entry.entry_id)
            await pipe.execute()

    def _stream(self, entry: Entry) -> str:
        return self._keys.stream(entry.shard, self._model, entry.priority)


def _reply_head(lease: Lease, worker: str) -> str:
    """The reply message up to its list of samples, which the script completes with those that were new."""
    head = lease.job.model_dump_json(include={"v", "job_id", "answer_id", "batch"})
    return f'{head[:-1]},"worker":{json.dumps(worker)},"left_ms":{lease.left_ms},"samples":['
