"""Hearing at once that jobs were cancelled."""

import asyncio
from collections.abc import Awaitable, Callable

from redis.asyncio import Redis
from redis.exceptions import RedisError


async def hear(redis: Redis, channel: str, cancel: Callable[[str], Awaitable[None]]) -> None:
    """Calls `cancel` with the id of each job that is cancelled, for ever; waits out a lost server.

    What is published meanwhile is not heard: the next renewal of the job's lease makes up for it.
    """
    while True:
        try:
            async with redis.pubsub() as pubsub:
                await pubsub.subscribe(channel)
                while True:
                    message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=1.0)
                    if message is not None:
                        await cancel(message["data"].decode(errors="replace"))
        except (RedisError, OSError):
            await asyncio.sleep(0.2)
