"""The worker's loops: take entries, renew leases, take over abandoned ones, hear cancellations, show itself."""

import asyncio
import contextlib
import logging
from collections import deque

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from workers.alone import Alone
from workers.backends.base import Backend, CanBreak, TellsFacts
from workers.cancellations import hear
from workers.metrics import WorkerMetrics
from workers.periodic import forever
from workers.run_job import JobRun
from workers.settings import WorkerSettings
from workers.turns import Turns
from workers.wire.connection import LOST, end_all, unbroken
from workers.wire.keys import Priority
from workers.wire.lease import Entry, Place, Renewal
from workers.wire.leases import Leases
from workers.wire.messages import WorkerCard

log = logging.getLogger(__name__)

CARD_PERIOD_S = 2.0
HEALTH_PERIOD_S = 5.0
"""How often the backend is asked whether it can serve."""

GRACE_MS = 800
"""At most so long before its end a lease is looked at, and taken over at its end where nobody has renewed it since."""

CARD_TTL_MS = 8_000
"""A worker that was not heard of for this long counts as gone in `GET /v1/models`."""


class WorkerBroken(Exception):
    """This process will never serve again: its backend is broken, or what it sends."""


class Worker:
    """One process's worker: one model, one backend, as many jobs at once as the backend has room for."""

    def __init__(
        self, settings: WorkerSettings, card: WorkerCard, backend: Backend, leases: Leases, redis: Redis
    ) -> None:
        self._settings = settings
        self._card = card
        self._backend = backend
        self._leases = leases
        self._redis = redis
        self._metrics = WorkerMetrics(card.model, card.backend)
        # By entry, not by job: copies of one entry may run side by side, until all but the last are found fenced.
        self._runs: dict[Place, tuple[JobRun, asyncio.Task[None]]] = {}
        self._claimed: set[Place] = set()
        self._counted: set[Place] = set()  # entries whose delivery has been counted
        self._alone = Alone()
        self._turns = Turns(backend)
        # Cancellations of jobs that are not running here: one may be just about to start.
        self._heard: deque[str] = deque(maxlen=256)
        self._room = asyncio.Event()
        self._room.set()
        self._draining = asyncio.Event()
        self._healthy = asyncio.Event()
        self._healthy.set()
        self._broken: str | None = None

    def drain(self) -> None:
        """Takes no more entries; `run` returns when the running jobs are done or the drain time is over."""
        self._draining.set()
        self._room.set()

    async def run(self, cancel_channel: str) -> None:
        """Serves until `drain`. Survives a lost Redis server.

        Raises what the backend raises if it cannot start, and WorkerBroken once it will never serve again; what was
        running then is left to other workers.
        """
        await self._backend.start()
        self._metrics.up(True)
        loops = [
            asyncio.create_task(forever("card", self._show, CARD_PERIOD_S)),
            asyncio.create_task(forever("renew", self._renew_all, self._settings.heartbeat_ms / 1000)),
            asyncio.create_task(forever("reclaim", self._reclaim, self._settings.reclaim_ms / 1000)),
            asyncio.create_task(hear(self._redis, cancel_channel, self._cancel)),
            *(asyncio.create_task(self._take_for_ever(*place)) for place in self._leases.places),
            asyncio.create_task(self._watch_health()),
        ]
        await self._draining.wait()
        self._metrics.up(False)
        await self._end(loops)
        if self._broken is not None:
            raise WorkerBroken(self._broken)

    async def _end(self, loops: "list[asyncio.Task[None]]") -> None:
        with contextlib.suppress(RedisError, OSError):
            await self._show()
        for taker in loops[4:-1]:
            taker.cancel()
        if self._runs and self._broken is None:
            await asyncio.wait({task for _, task in self._runs.values()}, timeout=self._settings.drain_s)
        # What is still running is given back. It ended in no fault of its own, unless the backend broke by it.
        counted = self._counted if self._broken is None else set()
        left = [(run.lease.entry, int(place in counted)) for place, (run, _) in self._runs.items()]
        await end_all([*(task for _, task in self._runs.values()), *loops])
        with contextlib.suppress(RedisError, OSError):
            for entry, uncounted in left:
                await self._leases.release(entry, uncounted=uncounted)
        with contextlib.suppress(RedisError, OSError):
            await self._leases.leave()
        await self._backend.close()

    async def _watch_health(self) -> None:
        """Takes no entries while a model of its own cannot be run, and ends the worker where it never will be again.

        A backend that forwards to others fails at once and by name while they are away: better than entries that wait.
        """
        while True:
            self._metrics.healthy(healthy := await self._backend.healthy())
            if isinstance(self._backend, CanBreak):
                self._gate(healthy)
                if (why := self._backend.broken()) is not None:
                    self._break(f"the backend is broken: {why}")
                    return
            await asyncio.sleep(HEALTH_PERIOD_S)

    def _break(self, why: str) -> None:
        """Ends the worker, once: what it runs is left to others."""
        if self._broken is None:
            log.error(why)
            self._broken = why
        self.drain()

    def _gate(self, healthy: bool) -> None:
        if healthy:
            self._healthy.set()
        elif self._healthy.is_set():
            log.warning("the backend cannot serve")
            self._healthy.clear()

    async def _show(self) -> None:
        if isinstance(self._backend, TellsFacts):
            self._metrics.facts(self._backend.take_facts())
        if not self._healthy.is_set() and not self._draining.is_set():
            return  # its card runs out: a pool of workers that cannot serve is none
        card = self._card.model_copy(update={"draining": self._draining.is_set(), "provides": self._backend.provides})
        await self._leases.show(card, CARD_TTL_MS)

    # -- taking ---------------------------------------------------------------------------------------------------

    async def _take_for_ever(self, shard: int, priority: Priority) -> None:
        """Reads new entries while there is room. After every error it joins again and reads its own pending entries."""
        pause, fresh = 0.05, True
        while not self._draining.is_set():
            try:
                if fresh:
                    await self._leases.join(shard)
                    await self._start_all(await self._leases.own_pending(shard, priority))
                    fresh = False
                await self._turn(priority).wait()
                await self._healthy.wait()
                if self._draining.is_set():
                    return
                entries = await self._leases.take(shard, self._wanted(priority), priority)
                self._turns.taken(priority, len(entries))
                await self._start_all(entries)
                pause = 0.05
            except (*LOST, ResponseError) as error:  # ResponseError: NOGROUP after a server lost its data, or OOM
                log.warning("take: %s: %s", type(error).__name__, str(error)[:200])
                fresh = True
                await asyncio.sleep(pause)
                pause = min(pause * 2, 2.0)

    def _turn(self, priority: Priority) -> asyncio.Event:
        return self._room if priority == "interactive" else self._turns.background

    def _wanted(self, priority: Priority = "interactive") -> int:
        if priority == "background":
            return 1  # the next one may have to wait for its turn
        return max(1, min(16, (self._backend.capacity_samples - self._running_samples()) // 16))

    def _running_samples(self) -> int:
        return sum(run.open_samples for run, _ in self._runs.values())

    def _has_room(self) -> bool:
        """True while those beside the largest job leave room: nobody waits for the end of one large job."""
        counts = [run.open_samples for run, _ in self._runs.values()]
        return sum(counts) - max(counts, default=0) < self._backend.capacity_samples

    async def _start_all(self, entries: tuple[Entry, ...]) -> None:
        await asyncio.gather(*(self._start(entry) for entry in entries))

    async def _start(self, entry: Entry) -> None:
        await self._alone.nobody()
        if entry.place in self._claimed:
            return
        self._claimed.add(entry.place)
        try:
            lease = await unbroken(self._leases.lease(entry))
        except BaseException:
            self._claimed.discard(entry.place)
            raise
        if lease is None:
            self._claimed.discard(entry.place)
            if self._leases.shut_out:
                self._break("the gateways cannot read what this worker sends, and give it no more jobs")
            else:
                self._metrics.job("cancelled")
            return
        flush_s = self._settings.flush_ms / 1000
        run = JobRun(lease, self._backend, self._leases, self._metrics, flush_s, self._update_room)
        if lease.counted:
            self._counted.add(entry.place)
        task = asyncio.create_task(self._run(run))
        self._runs[entry.place] = (run, task)
        self._update_room()
        if lease.job.job_id in self._heard:
            await self._cancel(lease.job.job_id)

    async def _run(self, run: JobRun) -> None:
        job_id, place = run.lease.job.job_id, run.lease.entry.place
        try:
            outcome = await (self._run_alone(run) if run.lease.suspect else run.run())
            if outcome != "done":
                self._metrics.job(outcome)
        except (RedisError, OSError) as error:  # not stored, not acknowledged: the entry comes back by itself
            log.warning("job %s: result not stored: %s", job_id, type(error).__name__)
            self._metrics.job("failed")
        except asyncio.CancelledError:
            self._metrics.job("cancelled")
            raise
        except Exception:
            # A bug in a backend must not take the worker down; after three deliveries the job is quarantined.
            log.exception("job %s failed", job_id)
            self._metrics.job("failed")
        finally:
            self._runs.pop(place, None)
            self._counted.discard(place)
            self._claimed.discard(place)
            self._update_room()

    async def _run_alone(self, run: JobRun) -> str:
        """Runs a suspect when nothing else runs here: if it ends this process too, nothing is suspected with it."""
        async with self._alone.turn():
            while self._claimed - self._suspects():  # noqa: ASYNC110  # jobs end in many ways
                await asyncio.sleep(0.02)
            if not await unbroken(self._leases.begin(run.lease)):
                return "fenced"
            self._counted.add(run.lease.entry.place)
            return await run.run()

    def _suspects(self) -> set[Place]:
        return {place for place, (run, _) in self._runs.items() if run.lease.suspect}

    def _update_room(self) -> None:
        self._metrics.running(self._running_samples())
        self._turns.running(len(self._runs), self._running_samples())
        (self._room.set if self._has_room() or self._draining.is_set() else self._room.clear)()

    # -- leases ---------------------------------------------------------------------------------------------------

    async def _renew_all(self) -> None:
        for run, task in list(self._runs.values()):
            renewal = await self._leases.renew(run.lease)
            if renewal is Renewal.HELD:
                self._metrics.renewed()
                continue
            log.info("job %s: lease %s", run.lease.job.job_id, renewal.value)
            task.cancel()
            if renewal is Renewal.CANCELLED:
                await self._leases.lease(run.lease.entry)  # acknowledges a cancelled entry

    async def _reclaim(self) -> None:
        if self._draining.is_set() or not self._healthy.is_set():
            return
        # All at once: each look pauses for the grace, and pauses one after another would be added to the period.
        await asyncio.gather(*(self._reclaim_at(*at) for at in self._leases.places if self._turn(at[1]).is_set()))

    async def _reclaim_at(self, shard: int, priority: Priority) -> None:
        lease_ms, grace_ms = self._settings.lease_ms, min(self._settings.heartbeat_ms, GRACE_MS)
        try:
            entries = await self._leases.reclaim(shard, lease_ms, self._wanted(priority), grace_ms, priority)
            await self._leases.sweep(shard, lease_ms, priority)
        except ResponseError:  # NOGROUP: the taking loop heals it
            return
        self._metrics.lost(self._leases.take_trimmed())
        if fresh := tuple(e for e in entries if e.place not in self._claimed):
            self._metrics.reclaimed(len(fresh))
            await self._start_all(fresh)

    async def _cancel(self, job_id: str) -> None:
        found = [(run, task) for run, task in self._runs.values() if run.lease.job.job_id == job_id]
        if not found:
            self._heard.append(job_id)
        for run, task in found:
            task.cancel()
            await self._leases.lease(run.lease.entry)  # acknowledges a cancelled entry
