"""One leased job's life: draw what is missing, coalesce, store, acknowledge."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress

from redis.exceptions import RedisError

from workers.backends.base import Backend, BackendError
from workers.metrics import WorkerMetrics
from workers.wire.connection import unbroken
from workers.wire.job_kinds import serves
from workers.wire.lease import Lease, LeaseState, Stored
from workers.wire.leases import Leases
from workers.wire.messages import Failure, FailureKind, Sample

log = logging.getLogger(__name__)

FLUSH_SAMPLES = 16
"""A reply carries at most this many samples."""


class LeaseLost(Exception):
    """The lease went to another worker, or the job was cancelled: stop drawing."""


class JobRun:
    """Runs one lease to its end. Cancelling the task that awaits `run` stops the backend within one decode step.

    `came` is called after each sample, when `open_samples` is one less.
    """

    def __init__(
        self,
        lease: Lease,
        backend: Backend,
        leases: Leases,
        metrics: WorkerMetrics,
        flush_s: float,
        came: Callable[[], None] = lambda: None,
    ) -> None:
        self.lease = lease
        self._backend = backend
        self._leases = leases
        self._metrics = metrics
        self._flush_s = flush_s
        self._came = came
        self._until = time.monotonic() + lease.left_ms / 1000
        self._open = set(lease.missing)
        self._ready: list[Sample] = []

    @property
    def open_samples(self) -> int:
        """Samples that are still to come."""
        return len(self._open)

    async def run(self) -> str:
        """Draws and stores; returns the job's outcome for the metrics. Never raises a backend's failure."""
        started = time.monotonic()
        try:
            await self._draw()
        except LeaseLost as lost:
            return str(lost)
        if self.lease.state is not LeaseState.LEASED:
            return self.lease.state.value
        if self.lease.entry.refused is not None:
            return "refused"
        self._metrics.job("done", time.monotonic() - started)
        return "done"

    async def _draw(self) -> None:
        if self.lease.state is not LeaseState.LEASED or self.lease.entry.refused is not None:
            await self._give_up()
            return
        if not self._open:
            await self._flush(done=True)
            return
        try:
            self._check_kind()
            async with asyncio.timeout(self._until - time.monotonic()):
                await self._pump()
        except TimeoutError:
            await self._fail_open(FailureKind.EXPIRED, "the answer's time was up")
        except BackendError as error:
            await self._fail_open(error.kind, error.detail)
        except (LeaseLost, RedisError, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - what nobody foresaw is a failed sample, not a lease that runs out
            # Only the kind of error: its message may quote the completion.
            log.error("job %s: the backend failed: %s", self.lease.job.job_id, type(error).__name__)
            await self._fail_open(FailureKind.INTERNAL, type(error).__name__)

    async def _give_up(self) -> None:
        """Fails the samples of a job that is not to be run; keeps a note of it where it is poison."""
        if self.lease.state is LeaseState.EXPIRED:
            await self._fail_open(FailureKind.EXPIRED, "the answer's time was up before a worker could begin")
            return
        if (refused := self.lease.entry.refused) is not None:
            log.warning("job %s: %s", self.lease.job.job_id, refused)
            await self._fail_open(FailureKind.WIRE_VERSION, refused)
            return
        reason = f"{self.lease.deliveries} workers in a row were given the job and none of them ended it"
        log.error("job %s is poison: %s; the last was %s", self.lease.job.job_id, reason, self.lease.owner)
        await unbroken(self._leases.quarantine(self.lease, reason))
        await self._fail_open(FailureKind.POISON, reason)

    def _check_kind(self) -> None:
        """The one place where a job is held against what the backend provides."""
        kind, backend = self.lease.job.kind, self._backend
        if not serves(backend.provides, kind):
            what = "draws no samples" if kind == "sample" else f"serves no {kind} jobs"
            raise BackendError(FailureKind.UNSUPPORTED, f"the backend {backend.name} {what}")

    async def _pump(self) -> None:
        """Moves samples from the backend to the queue, several in a reply where they finish close together."""
        samples = self._backend.sample(self.lease.job, tuple(sorted(self._open)))
        pending: asyncio.Task[Sample] | None = None
        try:
            while self._open:
                pending = pending or asyncio.ensure_future(anext(samples))
                wait = self._flush_s if self._ready else None
                await asyncio.wait({pending}, timeout=wait)
                if not pending.done():
                    await self._flush(done=False)
                    continue
                if not await self._accept(pending):
                    break
                pending = None
        finally:
            # A job can be cancelled twice, by the notice and by its lease: the backend is stopped whole all the same.
            await unbroken(_stop(pending, samples))
        if self._open:
            await self._fail_open(FailureKind.INTERNAL, "the backend ended without these samples")

    async def _accept(self, pending: "asyncio.Task[Sample]") -> bool:
        """Takes a finished sample; False at the end of the backend's samples."""
        try:
            sample = pending.result()
        except StopAsyncIteration:
            return False
        if sample.index in self._open:
            self._open.discard(sample.index)
            self._came()
            self._ready.append(sample)
            outcome = "failed" if sample.failure else sample.finish_reason.value
            self._metrics.sample(outcome, sample.prompt_tokens, sample.completion_tokens)
        if not self._open or len(self._ready) >= FLUSH_SAMPLES:
            await self._flush(done=not self._open)
        return True

    async def _fail_open(self, kind: FailureKind, detail: str) -> None:
        """Every sample still missing fails for one reason."""
        failure = Failure(kind=kind, detail=detail[:2_000])
        self._ready += [Sample(index=i, failure=failure) for i in sorted(self._open)]
        for _ in self._open:
            self._metrics.sample("failed", 0, 0)
        self._open.clear()
        await self._flush(done=True)

    async def _flush(self, *, done: bool) -> None:
        samples, self._ready = self._ready, []
        stored, _ = await unbroken(self._leases.store(self.lease, samples, done=done))
        if stored is Stored.FENCED:
            self._metrics.fenced()
            raise LeaseLost("fenced")
        if stored is Stored.CANCELLED:
            raise LeaseLost("cancelled")


async def _stop(pending: "asyncio.Task[Sample] | None", samples: AsyncGenerator[Sample, None]) -> None:
    """Ends what a backend is doing, and lets it clean up."""
    if pending is not None and not pending.done():
        pending.cancel()
        with suppress(asyncio.CancelledError, StopAsyncIteration, BackendError):
            await pending
    await samples.aclose()
