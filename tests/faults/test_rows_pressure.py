"""Rows of the fault matrix: requests that trickle in, ten times the load."""

import asyncio
import contextlib
import json
import re
import socket
import statistics
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest

from tests.conftest import Bench, Gateway, wait_until
from tests.faults.invariants import ledger

RIGHT = "The answer is 42."
HEAD = b"POST /v1/answers HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"


@pytest.mark.row(20)
def test_row_20_a_body_that_trickles_in_is_cut(bench: Bench) -> None:
    """408 as a problem, and the connection is closed; a body that is slow and in time is answered."""
    bench.worker(f"fake=openai:{bench.upstream(texts=[RIGHT]).url}")
    gateway = bench.gateway(body_s="1.5")
    body = json.dumps({"model": "fake", "question": "Why?", "n": 1}).encode()
    cut, seconds = _trickled(gateway, body + b" " * 1_000, 0.1)
    assert cut.startswith(b"HTTP/1.1 408")
    assert b"application/problem+json" in cut
    assert b'"body_too_slow"' in cut
    assert 1.4 < seconds < 6
    served, _ = _trickled(gateway, body, 0.3 / len(body))
    assert served.startswith(b"HTTP/1.1 200")


def _trickled(gateway: Gateway, body: bytes, pause_s: float) -> tuple[bytes, float]:
    """The reply to a request whose body comes a byte at a time, and how long it took; read to the connection's end."""
    head = (HEAD % len(body)).replace(b"host: x", b"host: x\r\nconnection: close")
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", gateway.port)) as line:
        line.sendall(head)
        return _sent_slowly(line, body, pause_s), time.monotonic() - began


def _sent_slowly(line: socket.socket, what: bytes, pause_s: float) -> bytes:
    """What comes back on a connection, up to its end, where a byte is sent after each pause until something does."""
    reply = b""
    line.settimeout(pause_s)
    for byte in what:
        try:
            reply = line.recv(65_536)
            break
        except TimeoutError:
            line.sendall(bytes([byte]))
    line.settimeout(10)
    # A byte that was on its way as the connection was closed is answered by a reset, behind the reply.
    with contextlib.suppress(ConnectionResetError):
        while part := line.recv(65_536):
            reply += part
    return reply


@pytest.mark.row(20)
def test_row_20_headers_that_trickle_in_are_cut(bench: Bench) -> None:
    """408 as a problem; so is a connection on which nothing comes at all, and others are served meanwhile."""
    bench.worker(f"fake=openai:{bench.upstream(texts=[RIGHT]).url}")
    gateway = bench.gateway(headers_s="1.5")
    with socket.create_connection(("127.0.0.1", gateway.port)) as silent:
        cut, seconds = _trickled_head(gateway, b"GET /healthz HTTP/1.1\r\nx-long: " + b"a" * 1_000, 0.1)
        assert gateway.answer(n=1)["answer"] == "42"
        silent.settimeout(5)
        unasked = silent.recv(65_536)
    for reply in (cut, unasked):
        assert reply.startswith(b"HTTP/1.1 408")
        assert b"application/problem+json" in reply
        assert b'"headers_too_slow"' in reply
    assert 1.4 < seconds < 6
    served, _ = _trickled_head(gateway, b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 0.01)
    assert served.startswith(b"HTTP/1.1 200")


@pytest.mark.row(20)
def test_row_20_headers_without_end_are_cut(bench: Bench) -> None:
    """431 once they are longer than any honest request's, long before their time is over."""
    gateway = bench.gateway()
    with socket.create_connection(("127.0.0.1", gateway.port)) as line:
        line.settimeout(5)
        reply = b""
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            line.sendall(b"GET /healthz HTTP/1.1\r\n" + b"x: " + b"a" * 200_000)
            reply = line.recv(65_536)
    assert not reply or reply.startswith(b"HTTP/1.1 431")  # a reset may overtake it
    assert gateway.http.get("/healthz").status_code == 200


def test_a_connection_that_is_kept_may_be_quiet_between_its_requests(bench: Bench) -> None:
    """The time for the headers runs while one is being sent, also for the second; two in one packet are both served."""
    gateway = bench.gateway(headers_s="0.5")
    asked, body = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n", b" " * 200_000
    posted = (HEAD % len(body)).replace(b"/v1/answers", b"/healthz") + body
    with socket.create_connection(("127.0.0.1", gateway.port)) as line:
        line.settimeout(5)
        for pause_s in (0.0, 0.8):
            time.sleep(pause_s)
            line.sendall(asked * 2)
            assert _until(line, b'{"status":"ok"}', 2).count(b"HTTP/1.1 200") == 2
        line.sendall(posted + asked[:20])
        assert b"HTTP/1.1 405" in _until(line, b'"method_not_allowed"')
        line.sendall(asked[20:])
        assert b"HTTP/1.1 200" in _until(line, b'{"status":"ok"}')
        line.sendall(asked[:20])
        assert b"HTTP/1.1 408" in _until(line, b'"headers_too_slow"')


def _until(line: socket.socket, what: bytes, times: int = 1) -> bytes:
    """What comes on a connection, until it holds that so many times."""
    read = b""
    while read.count(what) < times:
        part = line.recv(65_536)
        assert part, read
        read += part
    return read


def _trickled_head(gateway: Gateway, head: bytes, pause_s: float) -> tuple[bytes, float]:
    """The reply to a request whose headers come a byte at a time, and how long it took."""
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", gateway.port)) as line:
        return _sent_slowly(line, head, pause_s), time.monotonic() - began


@dataclass(frozen=True)
class Met:
    """What a caller met, and when: seconds after the first one came. `retry_after`: in seconds, 0 if it is not told."""

    code: int
    at: float
    seconds: float
    tenant: str
    retry_after: int


async def _arriving(gateway: Gateway, rates: dict[str, float], seconds: float) -> list[Met]:
    """Callers of each tenant who come so many a second, whatever becomes of those before them, and ask once."""
    began = time.monotonic()
    asked = {"model": "fake", "question": "Why?", "n": 4, "stop": "none", "budget": {"seconds": 8}}
    body = json.dumps(asked).encode()

    async def ask(tenant: str, at: float) -> Met:
        await asyncio.sleep(max(0.0, began + at - time.monotonic()))
        came = time.monotonic()
        head, text = await _posted(gateway.port, tenant, body)
        now, code = time.monotonic(), int(head[9:12])
        assert code != 200 or json.loads(text)["answer"] == "42"
        told = re.search(rb"retry-after: ([0-9]+)", head)
        return Met(code, now - began, now - came, tenant, int(told[1]) if told else 0)

    arrivals = [(tenant, k / rate) for tenant, rate in rates.items() for k in range(int(rate * seconds))]
    return list(await asyncio.gather(*(ask(tenant, at) for tenant, at in arrivals)))


async def _posted(port: int, tenant: str, body: bytes) -> tuple[bytes, bytes]:
    """Head and body of the reply to a question; by hand, as a client's pool costs more than the gateway does."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    own = b"authorization: %s\r\nconnection: close\r\n\r\n" % tenant.encode()
    writer.write((HEAD % len(body))[:-2] + own + body)
    head, _, text = (await reader.read(-1)).partition(b"\r\n\r\n")
    writer.close()
    return head.lower(), text


def _served(met: list[Met], seconds: float) -> int:
    return sum(each.code == 200 and each.at <= seconds for each in met)


@pytest.fixture
def ten_a_second(bench: Bench) -> Gateway:
    """A gateway before a pool that answers ten questions a second, with room for two seconds of them."""
    upstream = bench.upstream(texts=[RIGHT], delay_ms=400)
    bench.worker(f"fake=openai:{upstream.url}", openai_max_concurrency="4")
    gateway: Any = bench.gateway(max_queued_samples="80")
    assert gateway.answer(n=4)["answer"] == "42"
    return gateway


@pytest.mark.matrix
@pytest.mark.row(30)
def test_row_30_ten_times_the_load_leaves_the_goodput(bench: Bench, ten_a_second: Gateway) -> None:
    """Goodput stays, those refused are told so at once and when to come again, and what is accepted is answered."""
    gateway = ten_a_second
    peak = asyncio.run(_arriving(gateway, {"Bearer one": 10.0}, 6.0))
    met = asyncio.run(_arriving(gateway, {"Bearer one": 100.0}, 10.0))
    codes = Counter(each.code for each in met)
    assert set(codes) == {200, 429}
    at_capacity = _served(peak, 6.0) / 6
    assert _served(met, 10.0) / 10 >= 0.8 * at_capacity, (codes, Counter(each.code for each in peak))
    refused = [each for each in met if each.code == 429]
    assert statistics.quantiles([each.seconds for each in refused], n=20)[-1] < 1.5
    assert {1 <= each.retry_after <= 60 for each in refused} == {True}
    assert max(each.seconds for each in met if each.code == 200) < 8
    records = ledger(bench)
    assert len(records) == 1 + sum(each.code == 200 for each in [*peak, *met])
    assert {record["status"] for record in records.values()} == {"answered"}
    began = time.monotonic()
    assert gateway.answer(n=4)["answer"] == "42"
    assert time.monotonic() - began < 4
    held = 'conclave_samples_held{model="fake",priority="interactive"} 0.0'
    wait_until(lambda: held in gateway.http.get("/metrics").text, "all room is free again")


@pytest.mark.matrix
@pytest.mark.row(30)
def test_row_30_a_flood_of_one_tenant_takes_nothing_from_another(ten_a_second: Gateway) -> None:
    """One comes at eight times the capacity, the other at three tenths of it: this one is served nearly always."""
    met = asyncio.run(_arriving(ten_a_second, {"Bearer flood": 80.0, "Bearer few": 3.0}, 10.0))
    few = [each for each in met if each.tenant == "Bearer few"]
    flood = [each for each in met if each.tenant == "Bearer flood"]
    assert {each.code for each in met} == {200, 429}
    assert sum(each.code == 200 for each in few) >= 0.9 * len(few)
    assert _served(met, 10.0) >= 0.7 * 100
    assert sum(each.code == 200 for each in flood) < 0.25 * len(flood)
