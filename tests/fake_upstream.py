"""An OpenAI-compatible upstream that says what it is told to: a real HTTP/1.1 server in raw asyncio, cheap to run.

In a test: `async with FakeUpstream(Script(texts=["The answer is 4."])) as upstream: ... upstream.url, upstream.stats`.
As a process: `python -m tests.fake_upstream --port 0 --delay-ms 50`, which prints its base URL on one line.
`GET /stats` counts the completion calls: started, finished, disconnected, failed, most at a time, choices given.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from tests.fake_servers import SERVERS, Server

_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 429: "Too Many Requests", 503: "Service Unavailable"}


@dataclass
class Script:
    """What the upstream does. `texts` are given out in turn, one a choice, across all calls (or by `reply`)."""

    texts: list[str | None] = field(default_factory=lambda: ["The answer is 42."])
    says: Callable[[dict[str, Any]], str] | None = None
    """Makes the text of each choice from what the call asks, in place of `texts`."""
    delay_ms: float = 0.0
    n: Literal["supported", "refused", "ignored"] = "supported"
    logprobs: Literal["given", "refused", "ignored"] = "given"
    logprob: float = -0.25
    finish_reason: str = "stop"
    usage: bool = True
    hang: bool = False
    """Accept calls and never answer."""
    fail_every: int = 0
    """Every k-th completion call fails with `fail_status`; 1 is each; 0 is none."""
    fail_first: int = 0
    """The first k completion calls fail with `fail_status`."""
    fail_status: int = 503
    fail_body: dict[str, Any] = field(default_factory=lambda: {"error": {"message": "told to fail"}})
    fail_headers: dict[str, str] = field(default_factory=dict)
    raw_body: bytes | None = None
    """Sent with status 200 instead of a completion."""
    model: str = "fake"
    models_status: int = 200
    server: str = ""
    """One of `SERVERS`: signs its models so, refuses and passes over what that server does, in its words."""
    context_chars: int = 0
    """With `server`: a prompt of more characters does not fit; 0: every prompt does."""

    @property
    def ways(self) -> Server:
        """How the server speaks that this one plays."""
        return SERVERS[self.server]


@dataclass
class Stats:
    """Counts of completion calls."""

    started: int = 0
    finished: int = 0
    disconnected: int = 0
    failed: int = 0
    running: int = 0
    most_running: int = 0
    choices: int = 0
    connections: int = 0


@dataclass
class FakeUpstream:
    """The server; enter it to run it on the current loop. `requests` and `headers` are kept if `keep` is set."""

    script: Script = field(default_factory=Script)
    port: int = 0
    keep: bool = True
    stats: Stats = field(default_factory=Stats)
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def __aenter__(self) -> "FakeUpstream":
        self._turn = itertools.count()
        self._connections: set[_Connection] = set()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", self.port, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        # A socket that was just accepted stays open for ever if its server is closed before the loop has made a
        # connection of it, some turns later: nobody more is let in, and those turns are waited for.
        for listening in self._server.sockets:
            asyncio.get_running_loop().remove_reader(listening.fileno())
        for _ in range(5):
            await asyncio.sleep(0)
        self._server.close()
        for connection in list(self._connections):
            connection.abort()
        await asyncio.sleep(0)  # lets the connections hear of their end
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        """The base URL, as an OpenAI client wants it."""
        return f"http://127.0.0.1:{self.port}/v1"

    async def until(self, met: Callable[[Stats], bool]) -> None:
        """Returns when the counts are as asked for."""
        while not met(self.stats):
            self._changed.clear()
            await self._changed.wait()

    def answer(self, path: str) -> tuple[int, bytes, dict[str, str]]:
        """The reply to anything but a completion call."""
        if path.endswith("/models"):
            signed = {"owned_by": self.script.ways.owned_by} if self.script.ways.owned_by else {}
            listed = {"object": "list", "data": [{"id": self.script.model, "object": "model", **signed}]}
            return self.script.models_status, _json(listed), {}
        if path.endswith("/stats"):
            return 200, _json(asdict(self.stats)), {}
        return 404, _json({"error": {"message": "no such path"}}), {}

    def begin(self, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, Any]]:
        """Counts a completion call; its number and what it asks."""
        asked, stats = json.loads(body), self.stats
        stats.started += 1
        stats.running += 1
        stats.most_running = max(stats.most_running, stats.running)
        self._changed.set()
        if self.keep:
            self.requests.append(asked)
            self.headers.append(headers)
        return stats.started, asked

    def finish(self, number: int, asked: dict[str, Any]) -> tuple[int, bytes, dict[str, str]]:
        """The reply to a completion call."""
        status, reply, extra = self._reply(number, asked)
        self.stats.running -= 1
        self.stats.finished += status == 200
        self.stats.failed += status != 200
        self._changed.set()
        return status, reply, extra

    def hung_up(self) -> None:
        """Counts a completion call whose client closed the connection before the reply."""
        self.stats.running -= 1
        self.stats.disconnected += 1
        self._changed.set()

    def _reply(self, number: int, asked: dict[str, Any]) -> tuple[int, bytes, dict[str, str]]:
        script, n = self.script, asked.get("n", 1)
        if number <= script.fail_first or (script.fail_every and number % script.fail_every == 0):
            return script.fail_status, _json(script.fail_body), script.fail_headers
        refused = script.ways.refusal(asked, script.context_chars)
        if refused is not None:
            return refused[0], _json(refused[1]), {}
        if n > 1 and script.n == "refused":
            return 400, _json({"error": {"message": "'n' must be 1", "param": "n"}}), {}
        if asked.get("logprobs") and script.logprobs == "refused":
            return 400, _json({"error": {"message": "logprobs is not supported"}}), {}
        if script.raw_body is not None:
            return 200, script.raw_body, {}
        choices = [self._choice(index, asked) for index in range(n if self._several else 1)]
        self.stats.choices += len(choices)
        reply: dict[str, Any] = {"id": f"chatcmpl-{number}", "object": "chat.completion", "created": 0}
        reply |= {"model": script.model, "choices": choices}
        if script.usage:
            counts = {"prompt_tokens": 11, "completion_tokens": 7 * len(choices)}
            reply["usage"] = counts | {"total_tokens": sum(counts.values())}
        return 200, _json(reply), {}

    @property
    def _several(self) -> bool:
        return self.script.n == "supported" and "n" not in self.script.ways.deaf_to

    def _choice(self, index: int, asked: dict[str, Any]) -> dict[str, Any]:
        text = self.script.texts[next(self._turn) % len(self.script.texts)]
        if self.script.says is not None:
            text = self.script.says(asked)
        logprobs = None
        deaf = "logprobs" in self.script.ways.deaf_to
        if asked.get("logprobs") and self.script.logprobs == "given" and not deaf:
            tokens = (text or "").split()
            logprobs = {"content": [{"token": token, "logprob": self.script.logprob} for token in tokens]}
        message = {"role": "assistant", "content": text}
        return {"index": index, "message": message, "logprobs": logprobs, "finish_reason": self.script.finish_reason}


class _Connection(asyncio.Protocol):
    """One keep-alive connection; one request at a time, as HTTP/1.1 clients do."""

    def __init__(self, upstream: FakeUpstream) -> None:
        self._upstream = upstream
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self._delayed: asyncio.TimerHandle | None = None
        self._pending = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # a stream server's transport is a Transport
        self._upstream._connections.add(self)
        self._upstream.stats.connections += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._upstream._connections.discard(self)
        if self._delayed is not None:
            self._delayed.cancel()
        if self._pending:
            self._pending = False
            self._upstream.hung_up()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (request := self._next()) is not None:
            self._serve(*request)

    def abort(self) -> None:
        """Closes the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def _next(self) -> tuple[str, dict[str, str], bytes] | None:
        """Path, headers and body of the next request, if it has come in whole."""
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return None
        lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        length = int(headers.get("content-length", "0"))
        if len(rest) < length:
            return None
        self._buffer = rest[length:]
        return lines[0].split(" ")[1], headers, rest[:length]

    def _serve(self, path: str, headers: dict[str, str], body: bytes) -> None:
        if not path.endswith("/chat/completions"):
            self._send(*self._upstream.answer(path))
            return
        number, asked = self._upstream.begin(headers, body)
        self._pending = True
        script = self._upstream.script
        if script.delay_ms and not script.hang:
            self._delayed = asyncio.get_running_loop().call_later(script.delay_ms / 1000, self._finish, number, asked)
        elif not script.hang:
            self._finish(number, asked)

    def _finish(self, number: int, asked: dict[str, Any]) -> None:
        self._pending = False
        self._send(*self._upstream.finish(number, asked))

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        if self._transport is not None:
            self._transport.write(_http(status, body, headers))


def _http(status: int, body: bytes, headers: dict[str, str]) -> bytes:
    extra = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"HTTP/1.1 {status} {_REASONS.get(status, 'Scripted')}\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(body)}\r\n{extra}\r\n".encode("latin-1") + body


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


@contextlib.contextmanager
def on_thread(script: Script, port: int = 0) -> Iterator[FakeUpstream]:
    """The upstream on a loop of its own in another thread, for tests that block or that measure."""
    ready, running = threading.Event(), FakeUpstream(script, port, keep=False)
    stop: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def serve() -> None:
        over = asyncio.Event()
        async with running:
            stop.append((asyncio.get_running_loop(), over))
            ready.set()
            await over.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    if not ready.wait(10):
        raise TimeoutError("the fake upstream did not start")
    try:
        yield running
    finally:
        loop, over = stop[0]
        loop.call_soon_threadsafe(over.set)
        thread.join(10)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A scripted OpenAI-compatible upstream on 127.0.0.1.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--delay-ms", type=float, default=0.0)
    parser.add_argument("--text", action="append", help="a completion; given several times, they take turns")
    parser.add_argument("--texts-file", help="a JSON list of completions")
    parser.add_argument("--n", choices=["supported", "refused", "ignored"], default="supported")
    parser.add_argument("--logprobs", choices=["given", "refused", "ignored"], default="given")
    parser.add_argument("--finish-reason", default="stop")
    parser.add_argument("--fail-every", type=int, default=0)
    parser.add_argument("--fail-first", type=int, default=0)
    parser.add_argument("--fail-status", type=int, default=503)
    parser.add_argument("--hang", action="store_true")
    parser.add_argument("--model", default="fake")
    return parser.parse_args()


async def _main() -> None:
    given = vars(_arguments())
    port, text, texts_file = given.pop("port"), given.pop("text"), given.pop("texts_file")
    if texts_file:
        with open(texts_file, encoding="utf-8") as file:  # noqa: ASYNC230 - before the server starts
            text = json.load(file)
    script = Script(**given, **({"texts": text} if text else {}))
    async with FakeUpstream(script, port, keep=False) as upstream:
        print(upstream.url, flush=True)  # noqa: T201 - the one line that its starter reads
        await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main())
