"""What a gateway that fell silent worked on is taken over by one that lives."""

import asyncio
import logging

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
        """Looks three times in a lease, for ever; waits out a lost server."""
        while True:
            try:
                await self.look()
            except (RedisError, OSError) as error:
                log.warning("takeover: Redis does not answer: %s", type(error).__name__)
            await asyncio.sleep(self._period_s)

    async def look(self) -> None:
        """One sign of life, and one look at those that fell silent."""
        for lost in await self._presence.beat():
            for answer_id in await self._ledger.open_answers(lost):
                if await self._ledger.take(answer_id, lost):
                    log.warning("answer %s: taken over from %s", answer_id, lost)
                    self._metrics.taken_over()
                    await self._resume(answer_id)
            await self._presence.forget(lost)

    async def _resume(self, answer_id: str) -> None:
        try:
            await self._lifecycle.resume(answer_id)
        except ConclaveError as error:  # its record went in the meantime, or cannot be read
            log.warning("answer %s: could not be resumed: %s", answer_id, error.detail)
