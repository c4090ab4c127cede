"""Sorts what comes in for this gateway into one box per prompt of an answer."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from workers.wire.connection import end_all
from workers.wire.dispatch import Inbox, Notice
from workers.wire.messages import Reply

Box = asyncio.Queue[Reply]


async def next_reply(box: Box, until: float) -> Reply | None:
    """The next reply of a box; None if none has come by then, on the monotonic clock."""
    left = until - time.monotonic()
    try:
        async with asyncio.timeout(left):  # wait_for can swallow a cancellation in Python 3.11
            return box.get_nowait() if left <= 0 else await box.get()
    except (TimeoutError, asyncio.QueueEmpty):
        return None


class Mailroom:
    """One reader per queue shard; a reply for which there is no box (any more) is dropped."""

    def __init__(self, inbox: Inbox, shards: int, on_notice: Callable[[Notice], None]) -> None:
        self._inbox = inbox
        self._shards = shards
        self._on_notice = on_notice
        self._boxes: dict[tuple[str, str], Box] = {}
        self._readers: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Starts the readers."""
        self._readers = [asyncio.create_task(self._read(shard)) for shard in range(self._shards)]

    async def close(self) -> None:
        """Stops the readers."""
        await end_all(self._readers)

    @contextmanager
    def box(self, answer_id: str, batch: str) -> Iterator[Box]:
        """The box of one prompt, as long as the context lasts."""
        box: Box = asyncio.Queue()
        self._boxes[answer_id, batch] = box
        try:
            yield box
        finally:
            del self._boxes[answer_id, batch]

    async def _read(self, shard: int) -> None:
        async for message in self._inbox.read(shard):
            if isinstance(message, Notice):
                self._on_notice(message)
                continue
            box = self._boxes.get((message.answer_id, message.batch))
            if box is not None:
                box.put_nowait(message)
