"""What a worker does again and again as long as it lives."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from redis.exceptions import RedisError

log = logging.getLogger(__name__)


async def forever(what: str, step: Callable[[], Awaitable[None]], period_s: float) -> None:
    """Takes the step every `period_s` seconds, from start to start; a lost server is waited out."""
    while True:
        began = time.monotonic()
        try:
            await step()
        except (RedisError, OSError) as error:
            log.warning("%s: Redis does not answer: %s", what, type(error).__name__)
        await asyncio.sleep(max(0.0, began + period_s - time.monotonic()))
