"""Recording how answers end, also where Redis is away at that moment."""

import contextlib
import logging

from redis.exceptions import RedisError

from service.contract import Answer, SampleCounts, Status
from service.endings import ended
from service.errors import ConclaveError
from service.ledger import Ledger
from service.metrics import Metrics
from service.plan import Plan
from workers.wire.connection import unbroken

log = logging.getLogger(__name__)


class Recorder:
    """Writes each final answer into the ledger once; keeps what could not be written until it can."""

    def __init__(self, ledger: Ledger, metrics: Metrics) -> None:
        self._ledger = ledger
        self._metrics = metrics
        self._late: dict[str, Answer] = {}

    def late(self, answer_id: str) -> Answer | None:
        """A final answer that the ledger does not know yet."""
        return self._late.get(answer_id)

    async def record(self, answer: Answer) -> bool:
        """False if the answer belongs to another gateway by now, whose verdict counts."""
        try:
            kept = await unbroken(self._ledger.finish(answer))
        except (RedisError, OSError) as error:
            log.warning("answer %s is not recorded yet: %s", answer.id, type(error).__name__)
            self._late[answer.id] = answer
            kept = True
        if kept or not await self._is_anothers(answer.id):
            self._metrics.answered(answer)
            return True
        return False

    async def cancelled(self, plan: Plan, created: int, started: float) -> None:
        """Records that an answer was cancelled. `started` is on the monotonic clock."""
        finished = 0
        with contextlib.suppress(RedisError, OSError):
            finished = len(await self._ledger.samples(plan.answer_id))
        tally = SampleCounts(requested=plan.n, finished=finished, cancelled=plan.n - finished)
        await self.record(ended(plan, created, Status.CANCELLED, "cancelled", tally, started))

    async def catch_up(self) -> None:
        """Writes what could not be written before; raises RedisError or OSError where it still cannot be."""
        for answer_id, answer in list(self._late.items()):
            if not await self._ledger.finish(answer):
                log.warning("answer %s was recorded too late: it is another gateway's, or gone", answer_id)
            self._late.pop(answer_id, None)

    async def _is_anothers(self, answer_id: str) -> bool:
        """True if another gateway owns the answer; not so if a server that lost its data knows nothing of it."""
        try:
            record = await self._ledger.read(answer_id)
        except (ConclaveError, RedisError, OSError):
            return False
        return record.gateway != self._ledger.gateway
