"""An answer's life in this gateway: accepted, solved, recorded; cancelled; taken over from a gateway that died."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterator
from dataclasses import replace

from redis.exceptions import RedisError

from service.admission import Admission, Load, load_of, priority_of
from service.again import again, kept_of, of_parent, variants_of
from service.answer_types.base import Judge
from service.contract import AggregateRequest, Answer, AnswerRequest, Status
from service.endings import counts, ended, problem, recorded
from service.ensemble import solve
from service.errors import Busy, ConclaveError, Conflict, Overloaded, QueueUnavailable, StateLost, UnknownAnswer
from service.gather import Gathered, Line
from service.ledger import Ledger
from service.metrics import Metrics
from service.plan import Plan, new_answer_id, sized
from service.planning import Planner
from service.progress import gateway_lost, so_far
from service.recording import Recorder
from service.settings import Settings
from service.work import Work
from workers.wire.dispatch import Dispatcher, Notice

log = logging.getLogger(__name__)

CANCEL = "cancel"

GRACE_MS = 15_000
"""An answer without a verdict so long after its budget was lost with every gateway that could have taken it over."""

LOOK_S = 0.1
"""How often the ledger is asked for an answer that another gateway works on."""

Solving = asyncio.Task[Answer]


class Lifecycle:
    """Starts, waits for, looks up, cancels and takes over answers."""

    def __init__(
        self,
        settings: Settings,
        planner: Planner,
        admission: Admission,
        dispatcher: Dispatcher,
        ledger: Ledger,
        metrics: Metrics,
        judge: Judge | None = None,
    ) -> None:
        self._settings = settings
        self._planner = planner
        self.admission = admission
        self._dispatcher = dispatcher
        self._ledger = ledger
        self._metrics = metrics
        self._judge = judge
        self.recorder = Recorder(ledger, metrics)
        self._running: dict[str, Solving] = {}
        self._left: set[str] = set()
        self._starting: list[str] = []
        self.draining = False
        self.line: Line | None = None

    def works_on(self, answer_id: str) -> bool:
        """True for an answer that is accepted, solved or recorded here, or that a drain has left to others."""
        known = (self._running, self._starting, self._left)
        return any(answer_id in each for each in known) or self.recorder.late(answer_id) is not None

    async def start(
        self,
        request: AnswerRequest,
        *,
        durable: bool = False,
        answer_id: str | None = None,
        keep_ms: int = 0,
        tenant: str = "",
    ) -> tuple[str, Solving | None]:
        """Plans and records a request and starts to solve it; returns the answer's id and the task that solves it.

        `durable`: another gateway goes on with it if this one dies. With an `answer_id` that is in the ledger already
        nothing is started and the task is None. `keep_ms`: the least time that it is kept once it is final. `tenant`:
        on whose account. Raises Busy or Overloaded.
        """
        priority = priority_of(request)
        if (busy := self.admission.answers(priority, self._starting)) >= self._settings.max_in_flight:
            self._metrics.rejected("overload")
            raise Overloaded(f"{busy} {priority} answers are in progress")
        answer_id = answer_id or new_answer_id()
        with self._starts(answer_id):
            return await self._begin(request, durable, answer_id, keep_ms, tenant)

    @contextlib.contextmanager
    def _starts(self, answer_id: str) -> Iterator[None]:
        """Holds the place of an answer while it is planned and recorded."""
        self._starting.append(answer_id)
        try:
            yield
        finally:
            self._starting.remove(answer_id)
            if answer_id not in self._running:
                self.admission.release(answer_id, ended=False)

    async def _begin(
        self, request: AnswerRequest, durable: bool, answer_id: str, keep_ms: int, tenant: str
    ) -> tuple[str, Solving | None]:
        created = int(time.time())
        request = sized(request, self._settings)
        try:
            plan = await self._planner.plan(request, answer_id=answer_id)
            # The record says which sampler drew, so that any gateway reads the samples' letters as they were shown.
            drawn_by = request if request.sampler else request.model_copy(update={"sampler": plan.sampler.name})
            load = load_of(plan, request, tenant)
            if not await self._admitted(answer_id, load) or not await self._ledger.accept(
                answer_id, drawn_by, plan.seed, created, durable=durable, keep_ms=keep_ms, tenant=tenant
            ):
                return answer_id, None
        except (RedisError, OSError) as error:
            self._metrics.rejected("redis_down")
            raise QueueUnavailable(f"the request could not be recorded: {type(error).__name__}") from error
        return answer_id, await self._run(Work(plan, created, load))

    async def _admitted(self, answer_id: str, load: Load) -> bool:
        """Lets an answer in; False if it is in the ledger already. Raises Busy or Overloaded, and counts that."""
        try:
            await self.admission.admit(answer_id, load)
            return True
        except (Busy, Overloaded) as error:
            if await self._ledger.knows(answer_id):
                return False
            self._metrics.rejected(error.code)
            raise

    async def _run(self, work: Work) -> Solving:
        answer_id = work.plan.answer_id
        task = asyncio.create_task(self._solve(work), name=answer_id)
        self._running[answer_id] = task
        if work.load is not None:
            self.admission.hold(answer_id, work.load)
        task.add_done_callback(lambda _: self._over(answer_id))
        await asyncio.sleep(0)  # lets it begin: a task that is cancelled before its first step records nothing
        return task

    def _over(self, answer_id: str) -> None:
        self._running.pop(answer_id, None)
        self.admission.release(answer_id)

    async def choose_again(self, answer_id: str, asked: AggregateRequest) -> Answer:
        """Another verdict over the stored samples of an answer, as an answer of its own; draws no sample.

        Raises Conflict while the answer is in progress or where no sample of it is there.
        """
        record = await self._ledger.read(answer_id)
        samples = await self._ledger.samples(answer_id)
        if not record.status.final or not samples:
            raise Conflict(f"the answer is {record.status.value} and holds {len(samples)} samples", field="id")
        request = again(record.request, asked)
        plan = await self._planner.plan(request, seed=record.seed)
        created = int(time.time())
        drawn = Gathered(samples, variants=variants_of(record.reply), kept=kept_of(record.reply))
        with self._starts(plan.answer_id):
            await self._ledger.accept(plan.answer_id, request, plan.seed, created)
            task = await self._run(Work(plan, created, drawn=drawn, parent=answer_id))
        return await task

    async def resume(self, answer_id: str) -> None:
        """Goes on with an answer of this gateway's that it does not work on: what is stored is not drawn again.

        One that nobody else could be waiting for, and one that was to be cancelled, is ended instead, which frees its
        workers; one that is final or another's is let be.
        """
        record = await self._ledger.read(answer_id)
        if record.status.final or record.gateway != self._ledger.gateway:
            await self._ledger.forget(answer_id)
            return
        try:
            plan = await self._planner.plan(record.request, answer_id, record.seed)
        except ConclaveError as error:
            log.warning("answer %s: taken over and not planned: %s", answer_id, error.detail)
            await self.recorder.record((await gateway_lost(record)).model_copy(update={"error": problem(error)}))
            return
        if record.cancelled:
            await self.recorder.cancelled(plan, record.created, time.monotonic())
        elif not record.durable:
            await self.recorder.record(await gateway_lost(record))
        else:
            left_s = (record.deadline_ms - await self._dispatcher.now_ms()) / 1000
            load = load_of(plan, record.request, record.tenant)
            work = Work(plan, record.created, load, elapsed_s=plan.budget_s - left_s, takes_over=True)
            (await self._run(work)).add_done_callback(observe)

    async def _solve(self, work: Work) -> Answer:
        """Solves and records; what fails is recorded too and raised as its error."""
        assert self.line is not None
        plan, created, started = work.plan, work.created, time.monotonic() - work.elapsed_s
        try:
            line = replace(self.line, takes_over=work.takes_over, priority=work.priority)
            answer = await solve(plan, line, created, self._judge, elapsed_s=work.elapsed_s, drawn=work.drawn)
        except asyncio.CancelledError:
            if plan.answer_id not in self._left:
                await asyncio.shield(self.recorder.cancelled(plan, created, started))
            raise
        except ConclaveError as error:
            return await self._failed(plan, created, started, error)
        except (RedisError, OSError) as error:
            lost = QueueUnavailable(f"the queue was lost on the way: {type(error).__name__}")
            return await self._failed(plan, created, started, lost)
        except Exception:
            # A bug, perhaps a plug-in's: the answer ends all the same, for whoever waits for it anywhere.
            log.exception("answer %s failed", plan.answer_id)
            return await self._failed(plan, created, started, ConclaveError("an unexpected error; see the log"))
        if work.parent is not None:
            answer = of_parent(answer, work.parent)
        return answer if await self.recorder.record(answer) else await self.settled(plan.answer_id)

    async def _failed(self, plan: Plan, created: int, started: float, error: ConclaveError) -> Answer:
        """Records the failure and raises it; the answer of another gateway, if that one has taken it over."""
        kept = ended(plan, created, Status.FAILED, error.code, counts(plan, error), started, problem(error))
        if not await self.recorder.record(kept):
            return await self.settled(plan.answer_id)
        raise error

    async def settled(self, answer_id: str) -> Answer:
        """The final answer of a known id, from whichever gateway works on it; raises its error if it failed."""
        try:
            while not (answer := await self.look(answer_id)).status.final:  # noqa: ASYNC110  # another process ends it
                await asyncio.sleep(LOOK_S)
        except UnknownAnswer:
            raise StateLost("Redis has lost what it knew of this answer") from None
        if answer.error is not None:
            raise recorded(answer.error)
        return answer

    async def look(self, answer_id: str) -> Answer:
        """The answer as it stands, from the ledger, with the running tally while it is in progress; in any gateway."""
        if (late := self.recorder.late(answer_id)) is not None:
            return late
        try:
            record = await self._ledger.read(answer_id)
            if record.reply is not None:
                return record.reply
            if await self._dispatcher.now_ms() > record.deadline_ms + GRACE_MS:
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
        if (task := self._running.get(answer_id)) is not None:
            task.cancel()
            await asyncio.wait({task})

    async def drain(self, seconds: float) -> None:
        """Lets running answers end; what is still running then is left for another gateway to take over."""
        self.draining = True
        if self._running:
            await asyncio.wait(set(self._running.values()), timeout=seconds)
        self._left |= set(self._running)
        for answer_id in self._left:
            with contextlib.suppress(RedisError, OSError):
                await self._ledger.hand_over(answer_id)
        for answer_id in list(self._running):
            await self._stop(answer_id)
        with contextlib.suppress(RedisError, OSError):
            await self.recorder.catch_up()


def observe(task: Solving) -> None:
    """A failure that nobody waits for is in the ledger; looking at it here keeps the loop from reporting it as lost."""
    if not task.cancelled():
        task.exception()
