"""Work on the event loop in slices, so that no one else waits for all of it."""

import asyncio
import time

HELD_S = 0.001
"""How long one piece of work may hold the event loop; what it does between two pauses comes on top."""


class Pace:
    """Lets the event loop go on with others whenever this work has held it for `HELD_S` seconds."""

    def __init__(self) -> None:
        self._since = time.perf_counter()

    async def pause(self) -> None:
        """Returns at once, or after the others had their turn."""
        if time.perf_counter() - self._since >= HELD_S:
            # What became ready meanwhile stands behind this work in the first turn, and before it in the second.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            self._since = time.perf_counter()
