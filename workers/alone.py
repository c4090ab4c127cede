"""Turns of jobs that are to run alone."""

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Alone:
    """One turn at a time; while one is taken or awaited, nothing else is to be started."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._nobody = asyncio.Event()
        self._nobody.set()

    async def nobody(self) -> None:
        """Returns once nobody has or awaits a turn."""
        await self._nobody.wait()

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """A turn, as long as the context lasts."""
        self._waiting += 1
        self._nobody.clear()
        try:
            async with self._turn:
                yield
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._nobody.set()
