"""The gateway's end of the queue: submit jobs, cancel them, see the live pools, read the inbox."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from workers.wire.connection import BLOCK_MS, LOST, stream_entries
from workers.wire.keys import GROUP, PRIORITIES, Keys, Priority
from workers.wire.lease import SHUT_OUT_MS
from workers.wire.messages import WIRE_VERSION, Frozen, Job, Reply, WorkerCard
from workers.wire.scripts import CANCEL, CHECK, SUBMIT

log = logging.getLogger(__name__)

JOB_GRACE_MS = 600_000
"""A job's hash outlives its deadline by this much, then it is gone even if no worker ever came."""


class Notice(Frozen):
    """Something other than samples for the gateway that owns an answer."""

    answer_id: str
    event: str


@dataclass(frozen=True, slots=True)
class QueueState:
    """What one model's streams of a priority hold: jobs, jobs leased to workers, age of the oldest (None: empty)."""

    depth: int
    pending: int
    oldest_ms: int | None


class Dispatcher:
    """Submits and cancels jobs and looks at pools."""

    def __init__(self, client: Redis, keys: Keys) -> None:
        self._redis: Any = client  # redis-py's reply types are unions over both protocols
        self._keys = keys
        self._submit = client.register_script(SUBMIT)
        self._cancel = client.register_script(CANCEL)
        self._check = client.register_script(CHECK)

    async def submit(self, jobs: Sequence[Job], budget_ms: int, priority: Priority = "interactive") -> int:
        """Queues jobs of one answer, batch and model in one step; returns their deadline in Redis time (ms).

        Where no worker has ever read background jobs of the model, such jobs are queued as interactive ones.
        """
        first = jobs[0]
        shard = self._keys.shard_of(first.answer_id)
        keys = [self._keys.stream(shard, first.model, priority), self._keys.stream(shard, first.model)]
        keys += [self._keys.job(job.answer_id, job.job_id) for job in jobs]
        args: list[Any] = [budget_ms, budget_ms + JOB_GRACE_MS, WIRE_VERSION, first.answer_id, first.batch, priority]
        for job in jobs:
            args += [job.sent(), job.job_id, job.first, job.last]
        return int(await self._submit(keys=keys, args=args))

    async def lost(self, answer_id: str, jobs: Sequence[Job]) -> tuple[Job, ...] | None:
        """Those of an answer's open jobs that nobody will bring any more, unless they have been brought just now.

        None if the server knows nothing of the answer itself: it has lost its data.
        """
        shard = self._keys.shard_of(answer_id)
        keys = [self._keys.answer(answer_id)]
        for job in jobs:
            keys.append(self._keys.job(answer_id, job.job_id))
            keys += [self._keys.stream(shard, job.model, priority) for priority in PRIORITIES]
        found = await self._check(keys=keys)
        return None if found is None else tuple(jobs[int(at)] for at in found)

    async def cancel(self, answer_id: str, job_ids: Sequence[str]) -> int:
        """Marks jobs as cancelled and tells the workers; returns how many were still open."""
        if not job_ids:
            return 0
        keys = [self._keys.job(answer_id, job_id) for job_id in job_ids]
        return int(await self._cancel(keys=keys, args=[self._keys.cancel_channel, *job_ids]))

    async def notify(self, gateway: str, notice: Notice) -> None:
        """Puts a notice into a gateway's inbox."""
        inbox = self._keys.inbox(self._keys.shard_of(notice.answer_id), gateway)
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.xadd(inbox, {"notice": notice.sent()})
            pipe.pexpire(inbox, JOB_GRACE_MS)
            await pipe.execute()

    async def now_ms(self) -> int:
        """Redis time in milliseconds: the one clock of all deadlines."""
        seconds, micros = await self._redis.time()
        return int(seconds) * 1000 + int(micros) // 1000

    async def cards(self) -> tuple[WorkerCard, ...]:
        """The cards of the live workers, ordered by name."""
        names = await self._redis.zrangebyscore(self._keys.pool, await self.now_ms(), "+inf")
        if not names:
            return ()
        raw = await self._redis.mget([self._keys.card(name.decode()) for name in names])
        cards = [_card(body) for body in raw if body is not None]
        return tuple(sorted((c for c in cards if c is not None), key=lambda c: c.worker))

    async def models_seen(self) -> frozenset[str]:
        """Every model that some worker has ever served here."""
        return frozenset(name.decode() for name in await self._redis.zrange(self._keys.models, 0, -1))

    async def queue_state(self, model: str, priority: Priority = "interactive") -> QueueState:
        """Depth, pending entries and age of the oldest entry of a model's streams, over all shards."""
        depth = pending = 0
        oldest: int | None = None
        for shard in range(self._keys.shards):
            stream = self._keys.stream(shard, model, priority)
            depth += int(await self._redis.xlen(stream))
            pending += await self._pending(stream)
            head = await self._redis.xrange(stream, count=1)
            if head:
                born = int(head[0][0].split(b"-")[0])
                oldest = born if oldest is None else min(oldest, born)
        age = None if oldest is None else max(0, await self.now_ms() - oldest)
        return QueueState(depth=depth, pending=pending, oldest_ms=age)

    async def _pending(self, stream: str) -> int:
        try:
            return int((await self._redis.xpending(stream, GROUP))["pending"])
        except ResponseError:  # NOGROUP: no worker has ever come, or the server lost its data
            return 0


def _card(body: bytes) -> WorkerCard | None:
    try:
        return WorkerCard.model_validate_json(body)
    except ValidationError:
        log.warning("a worker's card could not be read: is it of another wire version?")
        return None


class Inbox:
    """Reads one gateway's replies and notices. What cannot be read is dropped and counted, never raised.

    It is counted against the worker whose lease it was, too: one that goes on like that is given no more jobs.
    """

    def __init__(self, client: Redis, keys: Keys, gateway: str, on_refused: Callable[[], None] = lambda: None) -> None:
        self._redis = client
        self._keys = keys
        self._gateway = gateway
        self._on_refused = on_refused

    async def read(self, shard: int) -> AsyncIterator[Reply | Notice]:
        """Every reply and notice of a shard, for ever; waits out a lost server with growing pauses."""
        key = self._keys.inbox(shard, self._gateway)
        last, pause = b"0-0", 0.05
        while True:
            try:
                found = await self._redis.xread({key: last}, count=256, block=BLOCK_MS)
                pause = 0.05
            except LOST:
                await asyncio.sleep(pause)
                pause = min(pause * 2, 2.0)
                continue
            except ResponseError as error:
                log.warning("the inbox could not be read: %s", error)
                await asyncio.sleep(pause)
                continue
            for entry_id, fields in stream_entries(found):
                last = entry_id
                message = self._parse(fields)
                if message is not None:
                    yield message
                elif by := fields.get(b"by"):
                    await self._count(shard, by.decode("utf-8", "replace"))
            await self._clear(key, found, last)

    async def _clear(self, key: str, found: object, last: bytes) -> None:
        """Forgets what has been read; the ledger has it. What a lost server keeps is cleared with the next read."""
        if stream_entries(found):
            with contextlib.suppress(*LOST, ResponseError):
                await self._redis.xtrim(key, minid=last.decode(), approximate=False)

    async def _count(self, shard: int, worker: str) -> None:
        """Another reply of the worker's that cannot be read."""
        key = self._keys.refused(shard, worker)
        with contextlib.suppress(*LOST, ResponseError):
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.incr(key)
                pipe.pexpire(key, SHUT_OUT_MS)
                await pipe.execute()

    def _parse(self, fields: dict[bytes, bytes]) -> Reply | Notice | None:
        try:
            if b"notice" in fields:
                return Notice.model_validate_json(fields[b"notice"])
            return Reply.model_validate_json(fields.get(b"reply", b""))
        except ValidationError:
            self._on_refused()
            log.warning("a reply was refused at the boundary: it does not fit the wire schema")
            return None
