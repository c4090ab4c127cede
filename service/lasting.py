"""Commands that outlast a server that is away for a while."""

import asyncio
import itertools
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from redis.exceptions import RedisError

from workers.wire.connection import unbroken

log = logging.getLogger(__name__)

T = TypeVar("T")

PAUSES_S = (0.1, 0.2, 0.4, 0.8)
"""Between attempts; the last one again and again."""


async def lasting(deadline: float, command: Callable[[], Awaitable[T]]) -> T:
    """Carries out a command that may be repeated, again and again until the deadline (monotonic) while Redis is away.

    Each attempt is awaited to its end, so that a caller who is cancelled here knows what was done. Raises what the last
    attempt raised.
    """
    for pause in itertools.chain(PAUSES_S, itertools.repeat(PAUSES_S[-1])):
        try:
            return await unbroken(command())
        except (RedisError, OSError) as error:
            if time.monotonic() + pause >= deadline:
                raise
            log.warning("Redis does not answer, tried again in %.1f s: %s", pause, type(error).__name__)
            await asyncio.sleep(pause)
    raise AssertionError("the pauses never end")
