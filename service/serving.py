"""The HTTP server's door: what may come in, and the way out.

On the way out readiness falls first, then the door closes, then what runs may end.
"""

import asyncio
import signal
import socket
import time
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.api.problems import MEDIA_TYPE
from service.contract import Problem
from service.endless import StepGuard

MOST_HEAD_BYTES = 65_536
"""Of a request's line and headers."""


class Server(uvicorn.Server):
    """On SIGTERM the gateway says for `notice_s` seconds that it is not ready and serves on, then shuts down.

    So whatever sends it requests can look elsewhere before its port is closed. A second signal, and SIGINT, do not
    wait. A step of an aggregator that computes on for `step_s` seconds is ended.
    """

    def __init__(self, config: uvicorn.Config, app: FastAPI, *, notice_s: float, step_s: float) -> None:
        super().__init__(config)
        self._app = app
        self._notice_s = notice_s
        self._step_s = step_s
        self._leave_at: float | None = None

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serves until a signal comes and what ran then has ended."""
        with StepGuard(self._step_s):
            await super().serve(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal came: readiness falls at once."""
        state = getattr(self._app.state, "conclave", None)
        if state is not None:
            state.draining = True
        if state is None or sig != signal.SIGTERM or self._leave_at is not None:
            super().handle_exit(sig, frame)
        else:
            self._leave_at = time.monotonic() + self._notice_s

    async def on_tick(self, counter: int) -> bool:
        """Asked ten times a second whether it is time to go."""
        if self._leave_at is not None and time.monotonic() >= self._leave_at:
            self.should_exit = True
        return await super().on_tick(counter)


class Heads(HttpToolsProtocol):
    """A connection whose requests' heads (line and headers) must be whole within `most_s` seconds, and of a fair size.

    The server itself waits for a head for as long as one byte of it comes, or none, and keeps all of it.
    """

    most_s: float

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The first head is waited for from now on."""
        super().connection_made(transport)
        self._waiting: asyncio.TimerHandle | None = None
        self._await_head()

    def on_message_begin(self) -> None:
        """Another one begins; how long it may take until then is the server's own concern."""
        super().on_message_begin()
        if self._waiting is None:
            self._await_head()

    def data_received(self, data: bytes) -> None:
        """Reads on, unless the head is too long."""
        waiting = self._waiting
        super().data_received(data)
        # What a head began in may hold the end of another request's body.
        if waiting is not None and waiting is self._waiting:
            self._head_bytes += len(data)
            if self._head_bytes > MOST_HEAD_BYTES:
                self._refuse(431, "headers_too_large", f"the request's headers hold more than {MOST_HEAD_BYTES} bytes")

    def on_headers_complete(self) -> None:
        """It is whole."""
        self._came()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing will come any more."""
        self._came()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        self._head_bytes = 0
        self._waiting = self.loop.call_later(self.most_s, self._late)

    def _came(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _late(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self._await_head()  # begun while the reply to the request before it is on its way
        else:
            self._refuse(408, "headers_too_slow", f"the request's headers were not complete after {self.most_s:g} s")

    def _refuse(self, status: int, code: str, detail: str) -> None:
        self._came()
        title = {408: "Request Timeout", 431: "Request Header Fields Too Large"}[status]
        body = Problem(title=title, status=status, code=code, detail=detail).model_dump_json(exclude_none=True).encode()
        head = f"HTTP/1.1 {status} {title}\r\ncontent-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\n"
        self.transport.write(head.encode() + b"connection: close\r\n\r\n" + body)
        self.transport.close()


def heads_within(most_s: float) -> type[asyncio.Protocol]:
    """The class of connections with that bound, as uvicorn's configuration takes it."""
    attributes: dict[str, Any] = {"most_s": most_s}
    return type("BoundHeads", (Heads,), attributes)
