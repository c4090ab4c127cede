"""A TCP way to a server that can be made bad: late, cut, silent in one direction or both, moved, or deaf at one moment.

It runs on a thread of its own, so that tests without a loop use it too: `with Chaos(socket_path) as way: ... way.url`.
What is random is drawn from the seed that it is given.
"""

import asyncio
import contextlib
import hashlib
import random
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

Direction = Literal["up", "down"]
"""up: from the client to the server."""

CHUNK = 65_536


def digest(script: str) -> bytes:
    """How a call of a Lua script names it."""
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest().encode()


@dataclass(slots=True)
class Weather:
    """Every chunk is late by `latency_s` give or take `jitter_s`; with the chance of `resets` it ends its line."""

    latency_s: float = 0.0
    jitter_s: float = 0.0
    resets: float = 0.0


@dataclass(slots=True)
class Trap:
    """What happens once, to the line on which a chunk that holds `needle` passes in `direction`.

    lose: what comes back is dropped and the line cut. hole: what comes back is dropped and the line stays silent.
    away: the chunk is dropped, every line cut, and nobody served for `away_s`.
    """

    needle: bytes
    direction: Direction
    act: Literal["lose", "hole", "away"]
    away_s: float = 0.0
    then: Callable[[], None] = lambda: None


@dataclass(slots=True, eq=False)
class Line:
    """One connection through the proxy. What goes in a direction of `silent` is dropped, its end too."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    silent: set[Direction] = field(default_factory=set)
    lost: bool = False

    def cut(self) -> None:
        """Ends both sides with a reset, as a crashed machine or a firewall would."""
        for side in (self.client, self.server):
            bare = side.get_extra_info("socket")
            if bare is not None and bare.family != socket.AF_UNIX:
                with contextlib.suppress(OSError):
                    bare.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            side.transport.abort()


class Chaos:
    """The proxy. `target`: a Unix socket's path, or the port of a server on 127.0.0.1; it may be changed on the way."""

    def __init__(self, target: Path | int, seed: int = 0) -> None:
        self.target = target
        self.weather = Weather()
        self.sprung = 0
        self.resets = 0
        self.accepted = 0
        self._random = random.Random(seed)
        self._trap: Trap | None = None
        self._lines: set[Line] = set()
        self._until = 0.0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        starting = asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**20)
        self._server = asyncio.run_coroutine_threadsafe(starting, self._loop).result(10)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    @property
    def url(self) -> str:
        """The way, as a Redis URL."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def open(self) -> int:
        """How many lines there are."""
        return len(self._lines)

    def lose_reply(self, script: str) -> None:
        """The next call of a script is carried out, its reply lost and its line cut."""
        self._trap = Trap(digest(script), "up", "lose")

    def lose(self, needle: bytes) -> None:
        """The next chunk from the server that holds `needle` is lost, and its line cut."""
        self._trap = Trap(needle, "down", "lose")

    def fall_silent_at(self, script: str, then: Callable[[], None]) -> None:
        """The next call of a script is carried out; nothing is heard of it, and `then` is called."""
        self._trap = Trap(digest(script), "up", "hole", then=then)

    def go_away_at(self, script: str, seconds: float) -> None:
        """The next call of a script does not arrive, and nobody is served for so long."""
        self._trap = Trap(digest(script), "up", "away", away_s=seconds)

    def silence(self, *directions: Direction) -> int:
        """The lines that there are go half-open: nothing passes, and nobody is told. New ones work."""
        lines = list(self._lines)
        for line in lines:
            line.silent |= set(directions or ("up", "down"))
        return len(lines)

    def cut(self) -> None:
        """Resets every line that there is."""
        self._loop.call_soon_threadsafe(self._cut_all)

    def _cut_all(self) -> None:
        for line in list(self._lines):
            line.cut()

    async def _close(self) -> None:
        self._server.close()
        self._cut_all()
        # Not cancelled: asyncio's streams report a cancelled server task as an error.
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        if others:
            await asyncio.wait(others, timeout=5)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if time.monotonic() < self._until:
            writer.transport.abort()
            return
        try:
            far, server = await self._reach()
        except OSError:
            writer.transport.abort()
            return
        self.accepted += 1
        line = Line(writer, server)
        self._lines.add(line)
        try:
            await asyncio.gather(self._pass(reader, server, line, "up"), self._pass(far, writer, line, "down"))
        finally:
            self._lines.discard(line)
            line.cut()

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self.target, int):
            return await asyncio.open_connection("127.0.0.1", self.target)
        return await asyncio.open_unix_connection(str(self.target))

    async def _pass(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, line: Line, direction: Direction
    ) -> None:
        """Carries one direction: chunks keep their order, however late they are."""
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        delivering = asyncio.create_task(self._deliver(queue, sink, line, direction))
        due = 0.0
        try:
            while data := await source.read(CHUNK):
                wait = self.weather.latency_s + self._random.uniform(-1, 1) * self.weather.jitter_s
                due = max(due, time.monotonic() + max(0.0, wait))
                queue.put_nowait((due, data))
        except OSError:
            pass
        queue.put_nowait((due, b""))
        await delivering

    async def _deliver(
        self, queue: "asyncio.Queue[tuple[float, bytes]]", sink: asyncio.StreamWriter, line: Line, direction: Direction
    ) -> None:
        while True:
            due, data = await queue.get()
            if (wait := due - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            if direction in line.silent:
                if data:
                    continue
                return
            if not data:
                line.cut() if line.lost else sink.transport.close()
                return
            if self._stopped(data, line, direction):
                continue
            try:
                sink.write(data)
                await sink.drain()
            except OSError:
                return

    def _stopped(self, data: bytes, line: Line, direction: Direction) -> bool:
        """True if the chunk is not to be passed on."""
        if line.lost and direction == "down":
            line.cut()
            return True
        if self._random.random() < self.weather.resets:
            self.resets += 1
            line.cut()
            return True
        trap = self._trap
        if trap is None or trap.direction != direction or trap.needle not in data:
            return False
        self._trap = None
        self.sprung += 1
        return self._spring(trap, line)

    def _spring(self, trap: Trap, line: Line) -> bool:
        if trap.act == "away":
            self._until = time.monotonic() + trap.away_s
            self._cut_all()
            return True
        if trap.act == "hole":
            line.silent.add("down")
            # A moment later, so that the server has had the chunk.
            self._loop.call_later(0.1, trap.then)
            return False
        if trap.direction == "down":
            line.cut()
            return True
        line.lost = True
        return False
