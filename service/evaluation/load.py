"""A load client that costs little: one keep-alive connection a slot, replies parsed in C.

A general client spends more on a request than the gateway does; then it would measure itself.
"""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httptools


class _Reader:
    """Collects one response; httptools calls its methods."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.body = bytearray()
        self.done = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keeps a header."""
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        """Keeps a piece of the body."""
        self.body += body

    def on_message_complete(self) -> None:
        """The response is whole."""
        self.done = True


@dataclass(frozen=True, slots=True)
class Response:
    """What came back, and the seconds it took."""

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float


class Connection:
    """One connection to `url`'s host, kept open; posts one JSON body after the other."""

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, body: bytes) -> Response:
        """Posts a JSON body; raises OSError where the other side does not answer in HTTP."""
        started = time.monotonic()
        reader, writer = self._streams = self._streams or await self._open()
        head = f"POST {self._parts.path}{path} HTTP/1.1\r\nhost: {self._parts.netloc}\r\n"
        head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        read = _Reader()
        parser = httptools.HttpResponseParser(read)
        while not read.done:
            data = await reader.read(65_536)
            if not data:
                raise ConnectionError(f"{self._parts.netloc} closed the connection")
            parser.feed_data(data)
        return Response(parser.get_status_code(), read.headers, bytes(read.body), time.monotonic() - started)

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        secure = self._parts.scheme == "https"
        port = self._parts.port or (443 if secure else 80)
        return await asyncio.open_connection(self._parts.hostname, port, ssl=secure or None)

    def close(self) -> None:
        """Closes the connection."""
        if self._streams is not None:
            self._streams[1].close()


@dataclass(slots=True)
class Run:
    """One run of many requests: how long it took, this process's CPU seconds, and every response."""

    wall_s: float = 0.0
    client_cpu_s: float = 0.0
    responses: list[Response] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Responses a second."""
        return len(self.responses) / self.wall_s


async def drive(connections: Sequence[Connection], path: str, bodies: Sequence[dict[str, object]]) -> Run:
    """Posts all bodies, one at a time on each connection."""
    waiting = iter([json.dumps(body).encode() for body in bodies])
    run = Run()

    async def slot(connection: Connection) -> None:
        for body in waiting:
            run.responses.append(await connection.post(path, body))

    started, cpu = time.monotonic(), time.process_time()
    async with asyncio.TaskGroup() as group:
        for connection in connections:
            group.create_task(slot(connection))
    run.wall_s, run.client_cpu_s = time.monotonic() - started, time.process_time() - cpu
    return run
