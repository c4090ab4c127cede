"""An answer's life in this gateway: accepted, solved, recorded; cancelled; taken over from a gateway that died."""

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass, replace

from redis.exceptions import RedisError

from service.again import again, kept_of, of_parent, variants_of
from service.answer_types.base import Judge
from service.catalog import Catalog
from service.contract import AggregateRequest, Answer, AnswerRequest, SampleCounts, Status
from service.endings import counts, ended, problem
from service.ensemble import solve
from service.errors import ConclaveError, Conflict, Overloaded, QueueUnavailable, Recorded
from service.gather import Gathered, Line, Recall
from service.ledger import Ledger
from service.metrics import Metrics
from service.plan import Plan, make_plan, meaning, new_answer_id, sized
from service.pool_fit import check_asked, member_pools
from service.progress import gateway_lost, so_far
from service.sampler_fit import check_embedder
from service.settings import Settings
from workers.wire.connection import unbroken
from workers.wire.dispatch import Dispatcher, Notice

log = logging.getLogger(__name__)

CANCEL = "cancel"

GRACE_S = 15.0
"""An answer without a verdict so long after its budget was lost with every gateway that could have taken it over."""

LOOK_S = 0.1
"""How often the ledger is asked for an answer that another gateway works on."""

Solving = asyncio.Task[Answer]


@dataclass(frozen=True, slots=True)
class Work:
    """A planned answer. `created`: seconds since 1970. `elapsed_s`: how much of its budget was used before.

    `recall` is there where another gateway began with it; `drawn` and `parent` where it chooses among the samples of an
    answer that was given before.
    """

    plan: Plan
    created: int
    elapsed_s: float = 0.0
    recall: Recall | None = None
    drawn: Gathered | None = None
    parent: str | None = None


class Lifecycle:
    """Starts, waits for, looks up, cancels and takes over answers."""

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
        self._running: dict[str, Solving] = {}
        self._left: set[str] = set()
        self._starting = 0
        self.line: Line | None = None

    @property
    def in_progress(self) -> int:
        """How many answers this gateway is working on."""
        return len(self._running)

    async def start(
        self, request: AnswerRequest, *, durable: bool = False, answer_id: str | None = None
    ) -> tuple[str, Solving | None]:
        """Plans and records a request and starts to solve it; returns the answer's id and the task that solves it.

        `durable`: another gateway goes on with it if this one dies. With an `answer_id` that is in the ledger already
        nothing is started and the task is None.
        """
        if len(self._running) + self._starting >= self._settings.max_in_flight:
            self._metrics.rejected("overload")
            raise Overloaded(f"{len(self._running)} answers are in progress")
        self._starting += 1  # holds the place while the request is planned and recorded
        try:
            return await self._begin(request, durable, answer_id)
        finally:
            self._starting -= 1

    async def _begin(self, request: AnswerRequest, durable: bool, answer_id: str | None) -> tuple[str, Solving | None]:
        created = int(time.time())
        request = sized(request, self._settings)
        try:
            plan = await self._plan(request, answer_id=answer_id or new_answer_id())
            # The record says which sampler drew, so that any gateway reads the samples' letters as they were shown.
            drawn_by = request if request.sampler else request.model_copy(update={"sampler": plan.sampler.name})
            if not await self._ledger.accept(plan.answer_id, drawn_by, plan.seed, created, durable=durable):
                return plan.answer_id, None
        except (RedisError, OSError) as error:
            self._metrics.rejected("redis_down")
            raise QueueUnavailable(f"the request could not be recorded: {type(error).__name__}") from error
        return plan.answer_id, await self._run(Work(plan, created))

    async def _plan(self, request: AnswerRequest, answer_id: str | None = None, seed: int | None = None) -> Plan:
        """The plan, checked against the pools there are; with the id and the seed of an answer, that one's again."""
        pool = await self._catalog.pool(request.model)
        asked = meaning(request)
        comparing = await self._catalog.find(asked.model) if asked else None
        members = await member_pools(request, self._catalog)
        plan = make_plan(request, pool, self._settings, comparing, answer_id=answer_id, seed=seed, members=members)
        await check_embedder(plan.sampler, self._catalog)
        await check_asked(plan.aggregator, self._catalog)
        return plan

    async def _run(self, work: Work) -> Solving:
        answer_id = work.plan.answer_id
        task = asyncio.create_task(self._solve(work), name=answer_id)
        self._running[answer_id] = task
        task.add_done_callback(lambda _: self._running.pop(answer_id, None))
        await asyncio.sleep(0)  # lets it begin: a task that is cancelled before its first step records nothing
        return task

    async def choose_again(self, answer_id: str, asked: AggregateRequest) -> Answer:
        """Another verdict over the stored samples of an answer, as an answer of its own; draws no sample.

        Raises Conflict while the answer is in progress or where no sample of it is there.
        """
        record = await self._ledger.read(answer_id)
        samples = await self._ledger.samples(answer_id)
        if not record.status.final or not samples:
            raise Conflict(f"the answer is {record.status.value} and holds {len(samples)} samples", field="id")
        request = again(record.request, asked)
        plan = await self._plan(request, seed=record.seed)
        created = int(time.time())
        await self._ledger.accept(plan.answer_id, request, plan.seed, created)
        drawn = Gathered(samples, variants=variants_of(record.reply), kept=kept_of(record.reply))
        return await (await self._run(Work(plan, created, drawn=drawn, parent=answer_id)))

    async def resume(self, answer_id: str) -> None:
        """Goes on with an answer that this gateway has taken over: what is stored is not drawn again.

        One that nobody else could be waiting for, and one that was to be cancelled, is ended instead, which frees its
        workers.
        """
        record = await self._ledger.read(answer_id)
        try:
            plan = await self._plan(record.request, answer_id, record.seed)
        except ConclaveError as error:
            log.warning("answer %s: taken over and not planned: %s", answer_id, error.detail)
            await self._record((await gateway_lost(record)).model_copy(update={"error": problem(error)}))
            return
        if record.cancelled:
            await self._record_cancelled(plan, record.created, time.monotonic())
        elif not record.durable:
            await self._record(await gateway_lost(record))
        else:
            left_s = (record.deadline_ms - await self._dispatcher.now_ms()) / 1000
            work = Work(plan, record.created, elapsed_s=plan.budget_s - left_s, recall=self._ledger.samples)
            (await self._run(work)).add_done_callback(observe)

    async def _solve(self, work: Work) -> Answer:
        """Solves and records; what fails is recorded too and raised as its error."""
        assert self.line is not None
        plan, created, started = work.plan, work.created, time.monotonic() - work.elapsed_s
        try:
            line = replace(self.line, recall=work.recall)
            answer = await solve(plan, line, created, self._judge, elapsed_s=work.elapsed_s, drawn=work.drawn)
        except asyncio.CancelledError:
            if plan.answer_id not in self._left:
                await asyncio.shield(self._record_cancelled(plan, created, started))
            raise
        except ConclaveError as error:
            return await self._failed(plan, created, started, error)
        except (RedisError, OSError) as error:
            lost = QueueUnavailable(f"the queue was lost while the answer was in progress: {type(error).__name__}")
            return await self._failed(plan, created, started, lost)
        if work.parent is not None:
            answer = of_parent(answer, work.parent)
        return answer if await self._record(answer) else await self.settled(plan.answer_id)

    async def _failed(self, plan: Plan, created: int, started: float, error: ConclaveError) -> Answer:
        """Records the failure and raises it; the answer of another gateway, if that one has taken it over."""
        kept = ended(plan, created, Status.FAILED, error.code, counts(plan, error), started, problem(error))
        if not await self._record(kept):
            return await self.settled(plan.answer_id)
        raise error

    async def _record_cancelled(self, plan: Plan, created: int, started: float) -> None:
        finished = 0
        with contextlib.suppress(RedisError, OSError):
            finished = len(await self._ledger.samples(plan.answer_id))
        tally = SampleCounts(requested=plan.n, finished=finished, cancelled=plan.n - finished)
        await self._record(ended(plan, created, Status.CANCELLED, "cancelled", tally, started))

    async def _record(self, answer: Answer) -> bool:
        """False if the answer belongs to another gateway by now, whose verdict counts."""
        try:
            kept = await unbroken(self._ledger.finish(answer))
        except (RedisError, OSError) as error:
            # The caller who waits still gets the answer; only a later GET will not find it.
            log.warning("answer %s could not be recorded: %s", answer.id, type(error).__name__)
            kept = True
        if kept or not await self._is_anothers(answer.id):
            self._metrics.answered(answer)
            return True
        return False

    async def _is_anothers(self, answer_id: str) -> bool:
        """True if another gateway owns the answer; not so if a server that lost its data knows nothing of it."""
        try:
            record = await self._ledger.read(answer_id)
        except (ConclaveError, RedisError, OSError):
            return False
        return record.gateway != self._ledger.gateway

    async def settled(self, answer_id: str) -> Answer:
        """The final answer, from whichever gateway works on it; raises its error if it failed."""
        while not (answer := await self.look(answer_id)).status.final:  # noqa: ASYNC110  # another process ends it
            await asyncio.sleep(LOOK_S)
        if (error := answer.error) is None:
            return answer
        raise Recorded(
            error.detail,
            status=error.status,
            code=error.code,
            title=error.title,
            field=error.field,
            failures=error.failures,
        )

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
            await self._ledger.mark_cancelled(answer_id)
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
        """Lets running answers end; what is still running then is left for another gateway to take over."""
        if self._running:
            await asyncio.wait(set(self._running.values()), timeout=seconds)
        self._left |= set(self._running)
        for answer_id in self._left:
            with contextlib.suppress(RedisError, OSError):
                await self._ledger.hand_over(answer_id)
        for answer_id in list(self._running):
            await self._stop(answer_id)


def observe(task: Solving) -> None:
    """A failure that nobody waits for is in the ledger; looking at it here keeps the loop from reporting it as lost."""
    if not task.cancelled():
        task.exception()
