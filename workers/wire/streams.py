"""The job streams of one model as one worker reads them: a consumer group each, and what others dropped.

A stream holds the jobs of one shard and one priority.
"""

import asyncio
from itertools import product
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from workers.wire.connection import BLOCK_MS, stream_entries
from workers.wire.keys import GROUP, PRIORITIES, Keys, Priority
from workers.wire.lease import Entry, entry_of
from workers.wire.scripts import SWEEP

POOL_TTL_MS = 7 * 86_400_000
"""Streams and the pool's lists end so long after the last worker was there; every live one renews them."""

PAGE = 64


class Streams:
    """Every stream of a model. `client` serves short commands, `blocking` only `take` and `own_pending`."""

    def __init__(self, client: Redis, blocking: Redis, keys: Keys, *, model: str, worker: str) -> None:
        self._redis: Any = client  # redis-py's reply types are unions over both protocols
        self._blocking = blocking
        self._keys = keys
        self._model = model
        self._worker = worker
        self._trimmed = 0
        self._sweep = client.register_script(SWEEP)

    @property
    def shards(self) -> range:
        """The queue shards that a worker serves: all of them."""
        return range(self._keys.shards)

    @property
    def places(self) -> list[tuple[int, Priority]]:
        """Shard and priority of each stream."""
        return list(product(self.shards, PRIORITIES))

    async def join(self, shard: int) -> None:
        """Makes missing consumer groups; from 0, as done entries are deleted: what is there is work."""
        for priority in PRIORITIES:
            stream = self._keys.stream(shard, self._model, priority)
            try:
                await self._redis.xgroup_create(stream, GROUP, id="0", mkstream=True)
            except ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise
            await self._redis.pexpire(stream, POOL_TTL_MS)

    async def take(self, shard: int, count: int, priority: Priority = "interactive") -> tuple[Entry, ...]:
        """Waits for up to `count` new entries; empty when none came in BLOCK_MS."""
        found = await self._read(shard, priority, ">", count, BLOCK_MS)
        return tuple(entry_of(shard, raw[0], raw[1], priority) for raw in found)

    async def own_pending(self, shard: int, priority: Priority = "interactive") -> tuple[Entry, ...]:
        """What was delivered to this worker already: after a lost reply this is the only way to see it."""
        found: list[Entry] = []
        after = "0"
        while page := await self._read(shard, priority, after, PAGE, None):
            found += [
                entry_of(shard, raw[0], raw[1], priority) for raw in page if raw[1]
            ]  # those trimmed have no fields
            after = page[-1][0].decode()
        return tuple(found)

    async def _read(
        self, shard: int, priority: Priority, after: str, count: int, block_ms: int | None
    ) -> list[tuple[bytes, Any]]:
        stream = self._keys.stream(shard, self._model, priority)
        found = await self._blocking.xreadgroup(GROUP, self._worker, {stream: after}, count=count, block=block_ms)
        return stream_entries(found)

    async def reclaim(
        self, shard: int, idle_ms: int, count: int, grace_ms: int = 0, priority: Priority = "interactive"
    ) -> tuple[Entry, ...]:
        """Takes over up to `count` entries whose owner has not renewed for `idle_ms`.

        In two looks, `grace_ms` apart: after a time in which Redis itself was silent every lease looks run out, and
        their owners get the time to renew them. The first sees what will have run out at the second, so that nothing
        waits the longer for it. A trimmed entry is acknowledged: its job is found lost by its gateway.
        """
        stream = self._keys.stream(shard, self._model, priority)
        nearly_ms = max(0, idle_ms - grace_ms)
        stalled = await self._redis.xpending_range(stream, GROUP, "-", "+", max(count, PAGE), idle=nearly_ms)
        if not stalled:
            return ()
        await asyncio.sleep(grace_ms / 1000)
        names = [each["message_id"] for each in stalled]
        async with self._redis.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.xrange(stream, name, name)
            there = await pipe.execute()
        trimmed = [name for name, entry in zip(names, there, strict=True) if not entry]
        if trimmed:
            self._trimmed += int(await self._redis.xack(stream, GROUP, *trimmed))
        held = [name for name, entry in zip(names, there, strict=True) if entry][:count]
        # By XCLAIM, which looks at the time again: whoever renewed, or claimed first, keeps the entry.
        claimed = await self._redis.xclaim(stream, GROUP, self._worker, idle_ms, held) if held else []
        return tuple(entry_of(shard, raw[0], raw[1], priority) for raw in claimed if raw and raw[0] and raw[1])

    def take_trimmed(self) -> int:
        """How many trimmed entries were found since this was last asked."""
        found, self._trimmed = self._trimmed, 0
        return found

    async def sweep(self, shard: int, idle_ms: int, priority: Priority = "interactive") -> int:
        """Strikes off the workers that are gone and hold nothing; returns how many."""
        stream = self._keys.stream(shard, self._model, priority)
        consumers = await self._redis.xinfo_consumers(stream, GROUP)
        quiet = [each["name"].decode() for each in consumers if each["pending"] == 0 and each["idle"] > idle_ms]
        others = [name for name in quiet if name != self._worker]
        if not others:
            return 0
        cards = await self._redis.mget([self._keys.card(name) for name in others])
        gone = [name for name, card in zip(others, cards, strict=True) if card is None]
        return int(await self._sweep(keys=[stream], args=[GROUP, *gone])) if gone else 0
