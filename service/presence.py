"""Which gateways live: each says so every now and then, and what a silent one worked on is taken over by another."""

from typing import Any

from redis.asyncio import Redis

from workers.wire.keys import Keys

_BEAT = """
-- KEYS: gateways   ARGV: gateway, lease_ms, ttl_ms
local t = redis.call('TIME') local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('ZADD', KEYS[1], now + tonumber(ARGV[2]), ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now)
"""


TTL_MS = 86_400_000
"""Renewed by every sign of life: only where no gateway is left does the list end by itself."""


class Presence:
    """This gateway's sign of life, in Redis time."""

    def __init__(self, client: Redis, keys: Keys, gateway: str, lease_ms: int) -> None:
        self._redis: Any = client  # redis-py's reply types are unions over both protocols
        self._keys = keys
        self._gateway = gateway
        self._lease_ms = lease_ms
        self._beat = client.register_script(_BEAT)

    async def beat(self) -> tuple[str, ...]:
        """Says that this gateway lives for another lease; returns those whose lease is over."""
        silent = await self._beat(keys=[self._keys.gateways], args=[self._gateway, self._lease_ms, TTL_MS])
        return tuple(name.decode() for name in silent)

    async def forget(self, gateway: str) -> None:
        """Strikes a gateway off, after all that it worked on has been taken over."""
        await self._redis.zrem(self._keys.gateways, gateway)

    async def leave(self) -> None:
        """Ends this gateway's lease at once, so that others take over what it leaves without waiting."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.zadd(self._keys.gateways, {self._gateway: 0})
            pipe.pexpire(self._keys.gateways, TTL_MS)  # the list may have been lost, and is made anew here
            await pipe.execute()
