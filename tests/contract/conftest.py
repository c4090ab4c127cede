"""A queue of its own for each test."""

import secrets
from collections.abc import AsyncIterator

import pytest

from tests.contract.wire import Wire
from workers.wire.connection import blocking_client, close, command_client
from workers.wire.keys import Keys


@pytest.fixture(params=[1, 4], ids=["one_shard", "four_shards"])
async def wire(request: pytest.FixtureRequest, redis_url: str) -> AsyncIterator[Wire]:
    """A queue of its own."""
    redis, blocking = command_client(redis_url), blocking_client(redis_url, 4)
    made = Wire(redis, blocking, Keys(f"queue-{secrets.token_hex(4)}", request.param))
    yield made
    for name in [name async for name in redis.scan_iter(f"{made.keys.prefix}:*", count=1000)]:
        await redis.delete(name)
    await close(redis)
    await close(blocking)
