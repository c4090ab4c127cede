"""One HTTP call to one upstream, and what its outcome means for the next."""

import asyncio
import email.utils
import math
import time
from dataclasses import dataclass
from typing import Any

import httpx

from workers.backends.base import BackendError
from workers.backends.connections import Connections
from workers.backends.openai_reply import rejection
from workers.backends.upstreams import Upstream
from workers.wire.messages import FailureKind

_CONNECT_TIMEOUT_S = 5.0
_LISTING_TIMEOUT_S = 2.0
_LISTING_PERIOD_S = 5.0
_LONGEST_RETRY_AFTER_S = 20.0


class PassingFailure(Exception):
    """A call failed in a way that may pass. `hung`: it took too long, so that the same upstream is not asked again.
    `told`: the upstream said when to come back, which is no sign of trouble."""

    def __init__(self, error: BackendError, *, hung: bool = False, told: bool = False) -> None:
        super().__init__(error)
        self.error = error
        self.hung = hung
        self.told = told


@dataclass(frozen=True, slots=True)
class Caller:
    """Makes the calls: `api_key` is sent if there is one, no call takes longer than `timeout_s`."""

    api_key: str | None
    timeout_s: float

    def connections(self) -> Connections:
        """New connections to one upstream."""
        headers = {"authorization": f"Bearer {self.api_key}"} if self.api_key else {}
        return Connections(headers, httpx.Timeout(self.timeout_s, connect=_CONNECT_TIMEOUT_S))

    async def call(self, upstream: Upstream, method: str, path: str, body: dict[str, Any] | None) -> Any:
        """The decoded reply. Raises PassingFailure, or the failure that another try would not change."""
        if upstream.connections is None:
            raise BackendError(FailureKind.INTERNAL, "the backend is not started")
        try:
            async with asyncio.timeout(self.timeout_s):
                with upstream.connections.take() as client:
                    reply = await client.request(method, upstream.url + path, json=body)
        except (TimeoutError, httpx.ReadTimeout, httpx.WriteTimeout):
            late = BackendError(FailureKind.TIMEOUT, "the upstream did not answer in time")
            raise PassingFailure(late, hung=True) from None
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise PassingFailure(BackendError(FailureKind.UPSTREAM_UNREACHABLE, type(error).__name__)) from None
        except httpx.RequestError as error:
            raise PassingFailure(BackendError(FailureKind.UPSTREAM_ERROR, type(error).__name__)) from None
        if reply.is_success:
            return _decoded(reply)
        raise self._refused(upstream, reply, body)

    def _refused(self, upstream: Upstream, reply: httpx.Response, body: dict[str, Any] | None) -> Exception:
        prompt = "\n".join(message["content"] for message in body["messages"]) if body else ""
        refusal = rejection(reply.status_code, reply.content, prompt, self.api_key)
        if not refusal.passing:
            return refusal
        after_s = _retry_after_s(reply.headers.get("retry-after"))
        upstream.rest(after_s)
        return PassingFailure(refusal, told=after_s > 0 and reply.status_code == 429)


async def list_models(upstream: Upstream) -> bool:
    """Learns what `GET /models` says within 2 s; true if it is answered, be it 404 (not every upstream has it); false
    for 401, 403 and 5xx. An answer is not asked for again to recognise the server, a failure for 5 s."""
    upstream.ask_again_at = time.monotonic() + _LISTING_PERIOD_S
    if upstream.connections is None:
        return False
    try:
        async with asyncio.timeout(_LISTING_TIMEOUT_S):
            with upstream.connections.take() as client:
                reply = await client.get(f"{upstream.url}/models", timeout=_LISTING_TIMEOUT_S)
    except (TimeoutError, httpx.HTTPError):
        return False
    if reply.status_code >= 500 or reply.status_code in (401, 403):
        return False
    upstream.ask_again_at = math.inf
    if reply.is_success:
        try:
            upstream.learn(_decoded(reply))
        except BackendError:
            return True
    return True


def _decoded(reply: httpx.Response) -> Any:
    try:
        return reply.json()
    except (ValueError, RecursionError):
        raise BackendError(FailureKind.UPSTREAM_ERROR, "the reply is not JSON") from None


def _retry_after_s(header: str | None) -> float:
    """Seconds that a Retry-After header asks for (a number or an HTTP date), at most 20."""
    if header is None:
        return 0.0
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(header).timestamp() - time.time()
        except ValueError:
            return 0.0
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER_S) if math.isfinite(seconds) else 0.0
