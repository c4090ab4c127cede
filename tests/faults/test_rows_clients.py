"""Rows of the fault matrix: callers that hang up, dawdle, repeat themselves, send bombs or come ten at a time."""

import contextlib
import json
import random
import socket
import statistics
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.conftest import Bench, Gateway, Program, wait_until

pytestmark = pytest.mark.matrix


RIGHT = "The answer is 42."
HEAD = b"POST /v1/answers HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"


def resident_mib(program: Program) -> float:
    """Memory of a process."""
    status = Path(f"/proc/{program.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


def raw(gateway: Gateway, **body: object) -> bytes:
    """A request as it goes over the line."""
    text = json.dumps({"model": "fake", "question": "Why?", **body}).encode()
    return HEAD % len(text) + text


@pytest.mark.row(19)
def test_row_19_a_client_that_hangs_up_ends_its_work_and_no_other(bench: Bench, dice: random.Random) -> None:
    """At a chance moment, streaming or not: its upstream call is given up; what runs in the background goes on."""
    gateway = bench.gateway()
    upstream = bench.upstream(texts=[RIGHT], hang=True)
    bench.worker(f"fake=openai:{upstream.url}")
    for number, stream in enumerate((False, True)):
        with socket.create_connection(("127.0.0.1", gateway.port)) as line:
            line.sendall(raw(gateway, n=4, stream=stream))
            wait_until(lambda: upstream.stats.running == 1, "the upstream is asked")
            time.sleep(dice.uniform(0, 0.2))
        wait_until(lambda at=number: upstream.stats.disconnected == at + 1, "the call is given up", 2.0)
    bench.say(upstream, texts=[RIGHT], delay_ms=500)
    with httpx.Client(base_url=gateway.http.base_url, trust_env=False) as client:
        accepted = client.post("/v1/answers", json={"model": "fake", "question": "Why?", "n": 4, "background": True})
    assert accepted.status_code == 202
    answer_id = accepted.json()["id"]
    assert gateway.final(answer_id)["answer"] == "42"


@pytest.mark.row(20)
def test_row_20_slow_readers_and_writers_cost_others_nothing(bench: Bench) -> None:
    """Forty who read or write a byte at a time: the gateway's memory stays, others are served, hang-ups free all."""
    gateway = bench.gateway()
    upstream = bench.upstream(texts=[RIGHT + " Because." * 400], delay_ms=20)
    bench.worker(f"fake=openai:{upstream.url}")
    assert gateway.answer(n=8)["answer"] == "42"
    before = resident_mib(gateway)
    with contextlib.ExitStack() as lines:
        slow = []
        for number in range(40):
            line = lines.enter_context(socket.socket())
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
            line.connect(("127.0.0.1", gateway.port))
            line.settimeout(0.02)
            reads = number % 2 == 0
            if reads:
                line.sendall(raw(gateway, n=64, stop="none", stream=True))
            slow.append((line, reads, iter(raw(gateway, n=2))))
        seconds = []
        for _ in range(20):
            for line, reads, letters in slow:
                with contextlib.suppress(TimeoutError):
                    line.recv(1) if reads else line.send(bytes([next(letters)]))
            began = time.monotonic()
            assert gateway.answer(n=2)["answer"] == "42"
            seconds.append(time.monotonic() - began)
        grown = resident_mib(gateway) - before
    assert statistics.median(seconds) < 2
    assert grown < 96
    assert gateway.answer(n=2)["answer"] == "42"


@pytest.mark.row(23)
def test_row_23_fifty_at_once_with_one_key_are_one_answer(bench: Bench) -> None:
    """At two gateways: one job, fifty equal replies."""
    gateways = bench.gateway(), bench.gateway()
    upstream = bench.upstream(texts=[RIGHT], delay_ms=300)
    bench.worker(f"fake=openai:{upstream.url}")
    body = {"model": "fake", "question": "Why?", "n": 4, "stop": "none"}

    def post(number: int) -> httpx.Response:
        return gateways[number % 2].http.post("/v1/answers", json=body, headers={"Idempotency-Key": "k"})

    with ThreadPoolExecutor(50) as pool:
        replies = list(pool.map(post, range(50)))
    assert {reply.status_code for reply in replies} == {200}
    assert len({reply.text for reply in replies}) == 1
    assert (upstream.stats.choices, len(bench.keys("{0}:answer:*"))) == (4, 1)


@pytest.mark.row(29)
@pytest.mark.parametrize(
    "bomb",
    [r"\boxed{" * 400, r"\boxed{" + "{" * 3_000, "(a+)+$" * 500, "9**(9**(9**9)) = " * 150, "answer is " * 300],
    ids=["boxes", "braces", "pattern", "powers", "phrase"],
)
def test_row_29_a_hostile_completion_is_read_in_time_beside_others(bench: Bench, bomb: str) -> None:
    """What stops a careless reader for minutes neither delays its own answer nor anybody else's."""
    gateway = bench.gateway()
    upstream = bench.upstream(texts=[bomb, RIGHT, RIGHT, RIGHT])
    bench.worker(f"fake=openai:{upstream.url}")
    for kind in ("auto", "math", "text"):
        bench.say(upstream, texts=[bomb, RIGHT, RIGHT, RIGHT])
        with ThreadPoolExecutor(1) as pool, httpx.Client(base_url=gateway.http.base_url, trust_env=False) as other:
            asked = pool.submit(gateway.answer, n=4, stop="none", answer_type=kind, budget={"seconds": 20})
            while not asked.done():
                began = time.monotonic()
                assert other.get("/healthz").status_code == 200
                assert time.monotonic() - began < 4  # on a busy machine; a careless reader holds all for minutes
                time.sleep(0.05)
        assert asked.result()["timing"]["total_ms"] < 10_000


@pytest.mark.matrix
@pytest.mark.row(30)
def test_row_30_ten_times_the_load_takes_nothing_from_those_accepted(bench: Bench) -> None:
    """Goodput holds at 90 % of its peak, what is accepted comes in time, the rest is told when to come again."""
    gateway = bench.gateway(max_in_flight="24")
    upstream = bench.upstream(texts=[RIGHT], delay_ms=500)
    bench.worker(f"fake=openai:{upstream.url}", openai_max_concurrency="8")
    peak = _load(gateway, callers=8, seconds=6.0)
    memory = resident_mib(gateway)
    most = _load(gateway, callers=80, seconds=20.0)
    assert set(peak.codes) == {200}
    assert set(most.codes) <= {200, 429, 503}
    assert most.codes[200] / 20 >= 0.9 * peak.codes[200] / 6, (peak.codes, most.codes)
    assert sorted(most.seconds)[int(len(most.seconds) * 0.99)] < 24 / 8 * 0.5 + 3
    began = time.monotonic()
    assert gateway.answer(n=1, stop="none")["answer"] == "42"
    assert time.monotonic() - began < 10
    assert resident_mib(gateway) <= 1.1 * memory + 8


class _Load:
    """What callers met: replies by code, and how long those took that were answered."""

    def __init__(self) -> None:
        self.codes: Counter[int] = Counter()
        self.seconds: list[float] = []
        self.lock = threading.Lock()


def _load(gateway: Gateway, callers: int, seconds: float) -> _Load:
    """So many callers, each of whom asks again at once, or when told to, for so long."""
    load, end = _Load(), time.monotonic() + seconds

    def call(client: httpx.Client) -> None:
        while (began := time.monotonic()) < end:
            reply = client.post("/v1/answers", json={"model": "fake", "question": "Why?", "n": 1, "stop": "none"})
            with load.lock:
                load.codes[reply.status_code] += 1
                if reply.status_code == 200:
                    load.seconds.append(time.monotonic() - began)
            if reply.status_code != 200:
                time.sleep(min(float(reply.headers["retry-after"]), max(0.0, end - time.monotonic())))

    limits = httpx.Limits(max_connections=callers)
    with (
        httpx.Client(base_url=gateway.http.base_url, timeout=60.0, trust_env=False, limits=limits) as client,
        ThreadPoolExecutor(callers) as pool,
    ):
        for each in [pool.submit(call, client) for _ in range(callers)]:
            each.result()
    return load
