"""What a gateway that fell silent worked on is taken over by one that lives."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from redis.exceptions import RedisError

from service.errors import ConclaveError
from service.ledger import Ledger
from service.lifecycle import Lifecycle
from service.metrics import Metrics
from service.presence import Presence

log = logging.getLogger(__name__)


class Takeover:
    """Says that this gateway lives, and goes on with the answers of those that no longer do."""

    def __init__(
        self, presence: Presence, ledger: Ledger, lifecycle: Lifecycle, metrics: Metrics, lease_ms: int
    ) -> None:
        self._presence = presence
        self._ledger = ledger
        self._lifecycle = lifecycle
        self._metrics = metrics
        self._period_s = lease_ms / 3000

    async def run(self) -> None:
        """Says that it lives and looks at others, three times in a lease, for ever; waits out a lost server.

        Apart from each other: to go on with many answers may take longer than a lease, and who does so is not silent.
        """
        await asyncio.gather(self._again_and_again(self._presence.beat), self._again_and_again(self.look))

    async def _again_and_again(self, step: Callable[[], Awaitable[object]]) -> None:
        while True:
            try:
                await step()
            except (RedisError, OSError) as error:
                log.warning("takeover: Redis does not answer: %s", type(error).__name__)
            await asyncio.sleep(self._period_s)

    async def look(self) -> None:
        """One sign of life, and one look at those that fell silent."""
        silent = await self._presence.beat()
        await self._lifecycle.recorder.catch_up()
        await self._lifecycle.admission.post()
        if self._lifecycle.draining:
            return
        for lost in silent:
            for answer_id in await self._ledger.open_answers(lost):
                if await self._ledger.take(answer_id, lost):
                    log.warning("answer %s: taken over from %s", answer_id, lost)
                    self._metrics.taken_over()
                    await self._resume(answer_id)
            await self._presence.forget(lost)
        await self._look_at_own()

    async def _look_at_own(self) -> None:
        """Goes on with what is this gateway's by the ledger and is worked on by nobody.

        Whatever was lost between a step of the ledger and the work that follows it, a reply or a connection, ends here.
        """
        for answer_id in await self._ledger.open_answers(self._ledger.gateway):
            if not self._lifecycle.works_on(answer_id):
                log.warning("answer %s: is open and was not worked on", answer_id)
                await self._resume(answer_id)

    async def _resume(self, answer_id: str) -> None:
        """Resumes one; what can never be resumed is not tried again, and keeps no other from being resumed."""
        try:
            await self._lifecycle.resume(answer_id)
        except (RedisError, OSError):
            raise
        except Exception as error:  # noqa: BLE001  # a record that is gone or that nobody can read
            said = error.detail if isinstance(error, ConclaveError) else type(error).__name__
            log.warning("answer %s: could not be resumed: %s", answer_id, said)
            await self._ledger.forget(answer_id)
