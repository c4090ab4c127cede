"""Taking over on a real Redis server: who is busy with it is not taken for dead."""

import asyncio
import contextlib
from types import SimpleNamespace
from typing import Any

from service.ledger import Ledger
from service.presence import Presence
from service.takeover import Takeover
from tests.contract.wire import Wire

LEASE_MS = 300


class Slow:
    """A lifecycle that takes its time to go on with an answer."""

    draining = False

    def __init__(self) -> None:
        self.recorder = SimpleNamespace(catch_up=self._nothing)
        self.admission = SimpleNamespace(post=self._nothing)
        self.begun = asyncio.Event()

    async def _nothing(self) -> None:
        return None

    def works_on(self, answer_id: str) -> bool:
        """It works on whatever it has."""
        return True

    async def resume(self, answer_id: str) -> None:
        """Much longer than a lease."""
        self.begun.set()
        await asyncio.sleep(10 * LEASE_MS / 1000)


async def test_a_gateway_that_takes_over_for_long_still_lives(wire: Wire) -> None:
    """Its own answers would be taken from it, while it works on them, by whoever finds it silent."""
    dead, busy, other = (Presence(wire.redis, wire.keys, name, LEASE_MS) for name in ("dead", "busy", "other"))
    await dead.beat()
    await wire.submit(answer="ans_left")
    await wire.raw.hset(wire.keys.answer("ans_left"), mapping={"gateway": "dead", "status": "in_progress"})
    await wire.raw.sadd(wire.keys.open_answers(wire.keys.shard_of("ans_left"), "dead"), "ans_left")
    await dead.leave()
    slow: Any = Slow()
    ledger = Ledger(wire.redis, wire.keys, "busy", 60)
    metrics: Any = SimpleNamespace(taken_over=lambda: None)
    running = asyncio.create_task(Takeover(busy, ledger, slow, metrics, LEASE_MS).run())
    async with asyncio.timeout(10):
        await slow.begun.wait()
    await asyncio.sleep(2 * LEASE_MS / 1000)
    assert "busy" not in await other.beat()
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
