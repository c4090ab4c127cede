"""Over HTTP: full queues and spent shares are refused as such; what is accepted or known already never is."""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import Bench, Gateway, wait_until

RIGHT = "The answer is 42."
BOUNDS = {"max_queued_samples": "32", "max_background_samples": "16"}


@pytest.fixture
def gateway(bench: Bench) -> Gateway:
    """A gateway with small bounds, and a worker whose upstream takes a second and a half for each call."""
    bench.worker(f"fake=openai:{bench.upstream(texts=[RIGHT], delay_ms=1_500).url}")
    return bench.gateway(**BOUNDS)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Threads for callers who wait."""
    with ThreadPoolExecutor(16) as made:
        yield made


def ask(gateway: Gateway, key: str = "", once: str = "", **body: Any) -> httpx.Response:
    """A question on somebody's account, perhaps with an Idempotency-Key."""
    headers = {"authorization": key} if key else {}
    headers |= {"idempotency-key": once} if once else {}
    asked = {"model": "fake", "question": "Why?", "stop": "none", **body}
    return gateway.http.post("/v1/answers", json=asked, headers=headers)


def held(gateway: Gateway, priority: str = "interactive") -> float:
    """How many samples the gateway says that its answers hold."""
    for family in text_string_to_metric_families(gateway.http.get("/metrics").text):
        for series in family.samples:
            if series.name == "conclave_samples_held" and series.labels["priority"] == priority:
                return float(series.value)
    return 0.0


def waiting(pool: ThreadPoolExecutor, gateway: Gateway, count: int, key: str = "") -> list[Future[httpx.Response]]:
    """So many callers who wait for four samples each, once all of them are let in."""
    before = held(gateway)
    futures = [pool.submit(ask, gateway, key, n=4) for _ in range(count)]
    wait_until(lambda: held(gateway) == before + 4 * count, "they are let in", 1.4)
    return futures


def refused(reply: httpx.Response, code: str) -> None:
    """Says that it was refused as 429, with the field and a time to come again."""
    assert (reply.status_code, reply.headers["content-type"]) == (429, "application/problem+json"), reply.text
    assert (reply.json()["code"], reply.json()["field"]) == (code, "model")
    assert 1 <= int(reply.headers["retry-after"]) <= 60


def test_a_tenant_over_its_share_is_refused_while_another_is_let_in(gateway: Gateway, pool: ThreadPoolExecutor) -> None:
    """One holds seven eighths and gets no more; another still does, until the queue is full for all."""
    accepted = waiting(pool, gateway, 7, "Bearer one")
    began = time.monotonic()
    refused(ask(gateway, "Bearer one", n=4), "share_spent")
    assert time.monotonic() - began < 1
    accepted += waiting(pool, gateway, 1, "Bearer two")
    refused(ask(gateway, "Bearer two", n=4), "pool_full")
    refused(ask(gateway, n=4), "pool_full")
    text = gateway.http.get("/metrics").text
    assert 'conclave_requests_rejected_total{reason="share_spent"} 1.0' in text
    assert 'conclave_requests_rejected_total{reason="pool_full"} 2.0' in text
    assert {reply.result().json()["answer"] for reply in accepted} == {"42"}
    wait_until(lambda: held(gateway) == 0, "all room is free again")
    assert ask(gateway, n=32).status_code == 200


def test_an_answer_that_is_known_is_not_refused(gateway: Gateway, pool: ThreadPoolExecutor) -> None:
    """The same Idempotency-Key again, while the queue is full: the same answer. One that was refused may come again."""
    first = pool.submit(ask, gateway, "Bearer one", "k1", n=4)
    wait_until(lambda: held(gateway) == 4, "it is let in")
    waiting(pool, gateway, 6, "Bearer one")
    refused(ask(gateway, "Bearer one", "k2", n=4), "share_spent")
    again = ask(gateway, "Bearer one", "k1", n=4)
    assert (again.status_code, again.json()["id"]) == (200, first.result().json()["id"])
    wait_until(lambda: held(gateway) == 0, "all room is free again")
    assert ask(gateway, "Bearer one", "k2", n=4).json()["answer"] == "42"


def test_background_answers_have_a_bound_of_their_own(gateway: Gateway) -> None:
    """It keeps nobody out who waits, and what was accepted is read in the end."""
    ids = [ask(gateway, n=7, background=True).json()["id"] for _ in range(2)]
    refused(ask(gateway, n=7, background=True), "pool_full")
    assert held(gateway, "background") == 14
    assert ask(gateway, n=4).json()["answer"] == "42"
    assert [gateway.final(answer_id)["answer"] for answer_id in ids] == ["42", "42"]
    assert held(gateway, "background") == 0


def test_a_killed_gateways_room_comes_back(bench: Bench, pool: ThreadPoolExecutor) -> None:
    """What it held in vain is free once its lease is over; what is taken over is held by whoever took it."""
    upstream = bench.upstream(texts=[RIGHT], delay_ms=2_500)
    bench.worker(f"fake=openai:{upstream.url}")
    first, second = (bench.gateway(gateway_lease_ms="900", max_queued_samples="32") for _ in range(2))
    for once in ("k1", ""):
        pool.submit(ask, first, "Bearer one", once, n=14)
    wait_until(lambda: held(first) == 28, "two are let in")
    time.sleep(0.5)
    refused(ask(second, "Bearer one", n=4), "share_spent")
    first.kill()
    wait_until(lambda: held(second) == 14, "one is taken over, the other is free")
    assert ask(second, "Bearer one", n=14).json()["answer"] == "42"
    assert ask(second, "Bearer one", "k1", n=14).json()["answer"] == "42"


def test_who_waits_is_served_before_the_background(bench: Bench) -> None:
    """Four seconds of background work are queued: those who wait pass it by, and it is done in the end."""
    upstream = bench.upstream(texts=[RIGHT], n="ignored", delay_ms=100)
    bench.worker(f"fake=openai:{upstream.url}", openai_max_concurrency="4")
    gateway = bench.gateway(job_samples="4")
    streams = [f"{bench.prefix}:{{0}}:{kind}:fake" for kind in ("jobs", "background")]
    wait_until(lambda: bench.redis.exists(*streams) == 2, "the worker reads both streams")
    ids = [ask(gateway, n=16, background=True).json()["id"] for _ in range(10)]
    assert bench.redis.xlen(streams[0]) == 0
    seconds = []
    for _ in range(5):
        began = time.monotonic()
        assert ask(gateway, n=4).json()["answer"] == "42"
        seconds.append(time.monotonic() - began)
    assert bench.redis.xlen(streams[1]) > 10
    assert sorted(seconds)[2] < 1.0, seconds
    assert {gateway.final(answer_id)["answer"] for answer_id in ids} == {"42"}
    assert bench.redis.xlen(streams[1]) == 0


def test_the_background_is_served_under_whatever_load(bench: Bench, pool: ThreadPoolExecutor) -> None:
    """While callers keep the worker full, a background answer still comes."""
    upstream = bench.upstream(texts=[RIGHT], n="ignored", delay_ms=20)
    bench.worker(f"fake=openai:{upstream.url}", openai_max_concurrency="2", capacity_samples="4")
    gateway = bench.gateway()
    wait_until(lambda: bench.redis.exists(f"{bench.prefix}:{{0}}:background:fake"), "the worker reads both streams")
    going = True

    def again_and_again() -> int:
        served = 0
        while going:
            served += ask(gateway, n=4).status_code == 200
        return served

    callers = [pool.submit(again_and_again) for _ in range(8)]
    try:
        wait_until(lambda: upstream.stats.choices > 40, "all callers are at it")
        answer_id = ask(gateway, n=4, background=True).json()["id"]
        assert gateway.final(answer_id)["answer"] == "42"
    finally:
        going = False
    assert sum(caller.result() for caller in callers) > 10
