"""Rows of the fault matrix: Redis stopped, full, with a stream deleted, or with a replica that takes its place."""

import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from service.embedded_redis import EmbeddedRedis
from tests.conftest import Bench, Gateway, Program, wait_until
from tests.faults.invariants import job_streams, pending

pytestmark = pytest.mark.matrix


RIGHT = "The answer is 42."
QUESTION = {"model": "fake", "question": "Why?", "n": 2, "stop": "none"}


def once(gateway: Gateway, method: str, path: str, **request: object) -> httpx.Response:
    """A request on a connection of its own, seen by the invariants."""
    with httpx.Client(base_url=gateway.http.base_url, timeout=60.0, trust_env=False) as client:
        response = client.request(method, path, **request)
    gateway.seen.append(response)
    return response


def held(program: Program) -> tuple[int, int]:
    """How many threads and open files a process has."""
    folder = Path(f"/proc/{program.pid}")
    return len(list((folder / "task").iterdir())), len(list((folder / "fd").iterdir()))


@pytest.mark.row(10)
def test_row_10_a_deleted_stream_is_healed_and_its_job_drawn_again(bench: Bench, dice: random.Random) -> None:
    """DEL of the stream, once while a worker waits at it and once while it draws: both answers come in time."""
    gateway = bench.gateway()
    upstream = bench.upstream(texts=[RIGHT], delay_ms=800)
    worker = bench.worker(f"fake=openai:{upstream.url}")
    bench.redis.delete(*job_streams(bench))
    assert gateway.answer(n=2, budget={"seconds": 20})["answer"] == "42"
    answer_id = gateway.ask(n=2, background=True, budget={"seconds": 20}).json()["id"]
    wait_until(lambda: upstream.stats.running == 1, "the upstream is asked")
    time.sleep(dice.uniform(0, 0.5))
    bench.redis.delete(*job_streams(bench))
    assert gateway.final(answer_id)["answer"] == "42"
    assert worker.running


@pytest.mark.matrix
@pytest.mark.row(11)
def test_row_11_redis_stopped_for_twenty_seconds(bench_of_own_redis: Bench, own_redis: EmbeddedRedis) -> None:
    """Alive and not ready, refused within time-outs, no thread or file leaked, and all goes on by itself after."""
    bench, server = bench_of_own_redis, own_redis.process
    assert server is not None
    gateway = bench.gateway()
    upstream = bench.upstream(texts=[RIGHT], delay_ms=1_000)
    worker = bench.worker(f"fake=openai:{upstream.url}")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: gateway.answer(n=2), range(8)))
    before = held(gateway), held(worker)
    answer_id = gateway.ask(n=4, stop="none", background=True, budget={"seconds": 60}).json()["id"]
    wait_until(lambda: upstream.stats.running == 1, "the upstream is asked")
    server.send_signal(signal.SIGSTOP)
    stopped = time.monotonic()
    while time.monotonic() - stopped < 20:
        began = time.monotonic()
        assert once(gateway, "GET", "/healthz").status_code == 200
        assert time.monotonic() - began < 2
        assert once(gateway, "GET", "/readyz").status_code == 503
        refused = once(gateway, "POST", "/v1/answers", json=QUESTION)
        assert (refused.status_code, refused.json()["code"]) == (503, "queue_unavailable")
        assert time.monotonic() - began < 5 + 10
    server.send_signal(signal.SIGCONT)
    wait_until(lambda: once(gateway, "GET", "/readyz").status_code == 200, "ready again", 10.0)
    assert gateway.final(answer_id, 30.0)["answer"] == "42"
    assert gateway.answer(n=2)["answer"] == "42"
    for program, (threads, files) in zip((gateway, worker), before, strict=True):
        now = held(program)
        assert now[0] <= threads + 8, f"{program.name}: {now[0]} threads, {threads} before"
        assert now[1] <= files + 24, f"{program.name}: {now[1]} files, {files} before"


@pytest.mark.row(12)
def test_row_12_a_full_redis_takes_nothing_in_and_loses_nothing(bench_of_own_redis: Bench, dice: random.Random) -> None:
    """Refused with 503; what is drawn meanwhile is not acknowledged and comes once there is room."""
    bench = bench_of_own_redis
    gateway = bench.gateway()
    upstream = bench.upstream(texts=[RIGHT], delay_ms=600)
    bench.worker(f"fake=openai:{upstream.url}")
    answer_id = gateway.ask(n=2, stop="none", background=True, budget={"seconds": 60}).json()["id"]
    wait_until(lambda: upstream.stats.running == 1, "the upstream is asked")
    bench.redis.config_set("maxmemory", "100kb")
    refused = once(gateway, "POST", "/v1/answers", json=QUESTION)
    assert (refused.status_code, refused.json()["code"]) == (503, "queue_unavailable")
    wait_until(lambda: upstream.stats.finished >= 1, "a result is there that cannot be stored")
    time.sleep(dice.uniform(0.5, 2.0))
    assert pending(bench) == 1
    assert bench.redis.hlen(f"{bench.prefix}:{{0}}:samples:{answer_id}") == 0
    assert upstream.stats.started <= 6
    bench.redis.config_set("maxmemory", "0")
    answer = gateway.final(answer_id, 20.0)
    assert (answer["answer"], answer["usage"]["samples"]["finished"]) == ("42", 2)


@pytest.mark.row(8, lost=True)  # what the disk had not taken may be lost: at most the last second
def test_row_08_every_caller_is_told_while_redis_is_killed_again_and_again(
    bench_of_own_redis: Bench, own_redis: EmbeddedRedis, dice: random.Random
) -> None:
    """Three kills at chance moments under a steady load: 200 or a typed 503, well again within 5 s, none hangs."""
    bench = bench_of_own_redis
    gateway = bench.gateway()
    upstream = bench.upstream(texts=[RIGHT], delay_ms=150)
    bench.worker(f"fake=openai:{upstream.url}")
    codes: list[int] = []
    over = threading.Event()

    def callers() -> None:
        while not over.is_set():
            reply = once(gateway, "POST", "/v1/answers", json=QUESTION | {"budget": {"seconds": 15}})
            codes.append(reply.status_code)
            time.sleep(0.05)

    with ThreadPoolExecutor(4) as pool:
        going = [pool.submit(callers) for _ in range(4)]
        for _ in range(3):
            time.sleep(dice.uniform(0.3, 1.0))
            assert own_redis.process is not None
            own_redis.process.kill()
            own_redis.process.wait()
            time.sleep(dice.uniform(0.1, 0.6))
            own_redis.start()
            wait_until(lambda: once(gateway, "GET", "/readyz").status_code == 200, "ready again", 5.0)
        over.set()
        for each in going:
            each.result(30)
    assert set(codes) <= {200, 503}
    assert codes.count(200) >= 8
