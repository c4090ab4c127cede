"""An answer's life in this gateway: accepted, solved, recorded; or cancelled."""

import asyncio
import contextlib
import logging
import time

from redis.exceptions import RedisError

from service.answer_types.base import Judge
from service.catalog import Catalog
from service.contract import (
    AggregatorReply,
    Answer,
    AnswerRequest,
    Problem,
    SampleCounts,
    Status,
    StopReply,
    Timing,
    Usage,
)
from service.ensemble import solve
from service.errors import ConclaveError, Conflict, Overloaded, QueueUnavailable
from service.gather import Line
from service.ledger import Ledger
from service.metrics import Metrics
from service.plan import Plan, make_plan, meaning
from service.progress import gateway_lost, so_far
from service.settings import Settings
from workers.wire.connection import unbroken
from workers.wire.dispatch import Dispatcher, Notice

log = logging.getLogger(__name__)

CANCEL = "cancel"

GRACE_S = 15.0
"""An answer without a verdict so long after its budget was lost with its gateway."""


class Lifecycle:
    """Starts, waits for, looks up and cancels answers."""

    def __init__(
        self,
        settings: Settings,
        catalog: Catalog,
        dispatcher: Dispatcher,
        ledger: Ledger,
        metrics: Metrics,
        judge: Judge | None = None,
    ) -> None:
        self._settings = settings
        self._catalog = catalog
        self._dispatcher = dispatcher
        self._ledger = ledger
        self._metrics = metrics
        self._judge = judge
        self._running: dict[str, asyncio.Task[Answer]] = {}
        self._starting = 0
        self.line: Line | None = None

    @property
    def in_progress(self) -> int:
        """How many answers this gateway is working on."""
        return len(self._running)

    async def start(self, request: AnswerRequest) -> "tuple[str, asyncio.Task[Answer]]":
        """Plans and records a request and starts to solve it; returns the answer's id and the task that solves it."""
        if len(self._running) + self._starting >= self._settings.max_in_flight:
            self._metrics.rejected("overload")
            raise Overloaded(f"{len(self._running)} answers are in progress")
        self._starting += 1  # holds the place while the request is planned and recorded
        try:
            return await self._begin(request)
        finally:
            self._starting -= 1

    async def _begin(self, request: AnswerRequest) -> "tuple[str, asyncio.Task[Answer]]":
        created = int(time.time())
        try:
            plan = await self._plan(request)
            await self._ledger.accept(plan.answer_id, request, plan.seed, created)
        except (RedisError, OSError) as error:
            self._metrics.rejected("redis_down")
            raise QueueUnavailable(f"the request could not be recorded: {type(error).__name__}") from error
        task = asyncio.create_task(self._solve(plan, created))
        self._running[plan.answer_id] = task
        task.add_done_callback(lambda _: self._running.pop(plan.answer_id, None))
        await asyncio.sleep(0)  # lets it begin: a task that is cancelled before its first step records nothing
        return plan.answer_id, task

    async def _plan(self, request: AnswerRequest) -> Plan:
        pool = await self._catalog.pool(request.model)
        asked = meaning(request)
        comparing = await self._catalog.find(asked.model) if asked else None
        return make_plan(request, pool, self._settings, comparing)

    async def _solve(self, plan: Plan, created: int) -> Answer:
        """Solves and records; what fails is recorded too and raised as its error."""
        assert self.line is not None
        started = time.monotonic()
        try:
            answer = await solve(plan, self.line, created, self._judge)
        except asyncio.CancelledError:
            await asyncio.shield(self._record_cancelled(plan, created, started))
            raise
        except ConclaveError as error:
            await self._record(
                _ended(plan, created, Status.FAILED, error.code, _counts(plan, error), started, problem(error))
            )
            raise
        except (RedisError, OSError) as error:
            lost = QueueUnavailable(f"the queue was lost while the answer was in progress: {type(error).__name__}")
            await self._record(
                _ended(plan, created, Status.FAILED, lost.code, _counts(plan, lost), started, problem(lost))
            )
            raise lost from error
        await self._record(answer)
        return answer

    async def _record_cancelled(self, plan: Plan, created: int, started: float) -> None:
        finished = 0
        with contextlib.suppress(RedisError, OSError):
            finished = len(await self._ledger.samples(plan.answer_id))
        counts = SampleCounts(requested=plan.n, finished=finished, cancelled=plan.n - finished)
        await self._record(_ended(plan, created, Status.CANCELLED, "cancelled", counts, started))

    async def _record(self, answer: Answer) -> None:
        self._metrics.answered(answer)
        try:
            await unbroken(self._ledger.finish(answer))
        except (RedisError, OSError) as error:
            # The caller who waits still gets the answer; only a later GET will not find it.
            log.warning("answer %s could not be recorded: %s", answer.id, type(error).__name__)

    async def look(self, answer_id: str) -> Answer:
        """The answer as it stands, from the ledger, with the running tally while it is in progress; in any gateway."""
        try:
            record = await self._ledger.read(answer_id)
            if record.reply is not None:
                return record.reply
            if time.time() > record.created + record.request.budget.seconds + GRACE_S:
                return await gateway_lost(record)
            return await so_far(record, await self._ledger.samples(answer_id), self._judge)
        except (RedisError, OSError) as error:
            raise QueueUnavailable(f"the ledger cannot be read: {type(error).__name__}") from error

    async def cancel(self, answer_id: str) -> Answer:
        """Cancels an answer in progress, in whichever gateway it runs; raises Conflict if it is already final."""
        try:
            record = await self._ledger.read(answer_id)
            if record.status.final:
                raise Conflict(f"the answer is already {record.status.value}", field="id")
            if answer_id in self._running:
                await self._stop(answer_id)
                return await self.look(answer_id)
            await self._dispatcher.notify(record.gateway, Notice(answer_id=answer_id, event=CANCEL))
        except (RedisError, OSError) as error:
            raise QueueUnavailable(f"the ledger cannot be read: {type(error).__name__}") from error
        return await so_far(record, {})

    def notice(self, notice: Notice) -> None:
        """What another gateway asks of this one."""
        task = self._running.get(notice.answer_id)
        if notice.event == CANCEL and task is not None:
            task.cancel()

    async def _stop(self, answer_id: str) -> None:
        task = self._running.get(answer_id)
        if task is None:
            return
        task.cancel()
        await asyncio.wait({task})

    async def drain(self, seconds: float) -> None:
        """Lets running answers end, then cancels the rest."""
        if self._running:
            await asyncio.wait(set(self._running.values()), timeout=seconds)
        for answer_id in list(self._running):
            await self._stop(answer_id)


def problem(error: ConclaveError) -> Problem:
    """The error as the contract shows it."""
    failures = error.extra.get("failures")
    return Problem(
        title=error.title,
        status=error.status,
        code=error.code,
        detail=error.detail,
        field=error.field,
        failures=failures if isinstance(failures, dict) else None,
    )


def _counts(plan: Plan, error: ConclaveError) -> SampleCounts:
    """What became of the samples of an answer that failed; those of which nothing is known were cancelled."""
    finished, failed = (int(str(error.extra.get(what, 0))) for what in ("finished", "failed"))
    return SampleCounts(requested=plan.n, finished=finished, failed=failed, cancelled=plan.n - finished - failed)


def _ended(
    plan: Plan,
    created: int,
    status: Status,
    reason: str,
    counts: SampleCounts,
    started: float,
    error: Problem | None = None,
) -> Answer:
    return Answer(
        id=plan.answer_id,
        created=created,
        model=plan.model,
        status=status,
        reason=reason,
        aggregator=AggregatorReply(name=plan.aggregator.name),
        stop=StopReply(name=plan.stop.name),
        usage=Usage(samples=counts),
        timing=Timing(total_ms=round((time.monotonic() - started) * 1000, 3)),
        warnings=list(plan.warnings),
        error=error,
    )
