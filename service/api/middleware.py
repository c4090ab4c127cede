"""What every request passes: its id, its overhead, the cap on its body, its metrics. Plain ASGI: it costs little."""

import asyncio
import secrets
import time
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.problems import render
from service.api.state import Waited
from service.endings import problem
from service.errors import BodyTooLarge
from service.metrics import Metrics

REQUEST_ID = "x-request-id"
OVERHEAD = "x-conclave-overhead-ms"


class TooLarge(HTTPException):
    """The body is larger than the cap. An HTTPException: FastAPI makes any other, raised while it reads, a 400."""

    def __init__(self) -> None:
        super().__init__(status_code=413, detail="The request body is too large")


class TooSlow(HTTPException):
    """The body took too long. The connection is closed: what still comes on it is no request."""

    def __init__(self) -> None:
        super().__init__(status_code=408, detail="The request body came too slowly", headers={"connection": "close"})


class Edge:
    """Outermost layer of the gateway. `body_s`: for how long a request's body may be waited for in all."""

    def __init__(self, app: ASGIApp, metrics: Metrics, max_body_bytes: int, body_s: float) -> None:
        self._app = app
        self._metrics = metrics
        self._max_body = max_body_bytes
        self._body_s = body_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, seen, waited = time.monotonic(), {"code": 500}, Waited()
        request_id = _request_id(Headers(scope=scope).get(REQUEST_ID))
        scope.setdefault("state", {}).update(request_id=request_id, waited=waited)

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen["code"] = message["status"]
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID], headers[OVERHEAD] = request_id, f"{self._overhead(started, waited) * 1000:.2f}"
            await send(message)

        self._metrics.started()
        try:
            await self._within_cap(scope, receive, send_marked, waited)
        finally:
            self._metrics.served(_route(scope), scope["method"], seen["code"], time.monotonic() - started)

    def _overhead(self, started: float, waited: Waited) -> float:
        """Seconds up to the reply's first byte that were spent here and not in waiting for others."""
        seconds = max(0.0, time.monotonic() - started - waited.seconds)
        if waited.aggregator is not None:
            self._metrics.overhead(waited.aggregator, seconds)
        return seconds

    async def _within_cap(self, scope: Scope, receive: Receive, send: Send, waited: Waited) -> None:
        announced = Headers(scope=scope).get("content-length", "0")
        size, left_s, complete = 0, self._body_s, False

        async def receive_capped() -> Message:
            nonlocal size, left_s, complete
            if complete:  # only a hang-up can come, which is waited for beside the work
                return await receive()
            began = time.monotonic()
            try:
                async with asyncio.timeout(left_s):
                    message = await receive()
            except TimeoutError:
                raise TooSlow from None
            finally:
                took_s = time.monotonic() - began
                waited.seconds, left_s = waited.seconds + took_s, left_s - took_s
            complete = not message.get("more_body", False)
            size += len(message.get("body", b""))
            if size > self._max_body:
                raise TooLarge
            return message

        try:
            if announced.isdigit() and int(announced) > self._max_body:
                raise TooLarge
            await self._app(scope, receive_capped, send)
        except TooLarge:
            error = BodyTooLarge(f"at most {self._max_body} bytes are read")
            await render(problem(error), Request(scope))(scope, receive, send)


def _request_id(given: str | None) -> str:
    """The caller's own id if it is short and plain, else a new one."""
    if given and len(given) <= 128 and given.isascii() and given.isprintable():
        return given
    return secrets.token_hex(12)


def _route(scope: Scope) -> str:
    """The route's template: a label without unbounded values."""
    route: Any = scope.get("route")
    path = getattr(route, "path", None)
    return path if isinstance(path, str) else "unmatched"
