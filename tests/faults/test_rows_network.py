"""Rows of the fault matrix: a bad network between Redis and the processes, played by the chaos proxy."""

import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from service.embedded_redis import EmbeddedRedis
from tests.chaos import Chaos
from tests.conftest import Bench, wait_until

pytestmark = pytest.mark.matrix


RIGHT = "The answer is 42."


@pytest.fixture
def way(own_redis: EmbeddedRedis, seed: int) -> Iterator[Chaos]:
    """A way to the test's own server."""
    with Chaos(own_redis.socket, seed) as started:
        yield started


@pytest.mark.matrix
@pytest.mark.row(15)
@pytest.mark.parametrize("directions", [("up", "down"), ("down",)], ids=["both_ways", "replies_only"])
def test_row_15_a_worker_behind_dead_connections_comes_back(
    bench_of_own_redis: Bench, way: Chaos, directions: tuple
) -> None:
    """Nobody tells it that its lines are dead: its time-outs do; another worker serves meanwhile."""
    bench = bench_of_own_redis
    gateway = bench.gateway()
    upstream = bench.upstream(texts=[RIGHT])
    alone = bench.worker(f"fake=openai:{upstream.url}", redis_url=way.url)
    assert gateway.answer(n=2)["answer"] == "42"
    assert way.silence(*directions) >= 2
    began = time.monotonic()
    answer_id = gateway.ask(n=2, background=True, budget={"seconds": 60}).json()["id"]
    other = bench.worker(f"other=openai:{upstream.url}")
    assert gateway.answer(model="other", n=2)["answer"] == "42"
    assert other.running
    assert gateway.final(answer_id, 30.0)["answer"] == "42"
    assert time.monotonic() - began < 10 + 5  # the time-out of a blocking read, and what it takes to join again
    assert alone.running


@pytest.mark.matrix
@pytest.mark.row(15)
def test_row_15_a_gateway_behind_dead_connections_comes_back(bench_of_own_redis: Bench, way: Chaos) -> None:
    """Its running answer ends well, liveness stays, and after at most some time-outs it takes questions again."""
    bench = bench_of_own_redis
    gateway = bench.gateway(redis_url=way.url, gateway_lease_ms="60000")
    upstream = bench.upstream(texts=[RIGHT], delay_ms=700)
    bench.worker(f"fake=openai:{upstream.url}")
    answer_id = gateway.ask(n=2, background=True, budget={"seconds": 60}).json()["id"]
    wait_until(lambda: upstream.stats.running == 1, "the upstream is asked")
    assert way.silence() >= 1
    assert gateway.http.get("/healthz").status_code == 200

    def served() -> bool:
        response = gateway.ask(n=2, budget={"seconds": 20})
        assert response.status_code in (200, 503), response.text
        return response.status_code == 200

    wait_until(served, "it takes questions again", 30.0)
    assert gateway.final(answer_id, 30.0)["answer"] == "42"


@pytest.mark.matrix
@pytest.mark.row(16)
def test_row_16_late_and_cut_connections_are_no_storm(bench_of_own_redis: Bench, way: Chaos) -> None:
    """200 ms there and back, as much jitter, one chunk of a hundred a reset: all is answered, nothing is multiplied."""
    bench = bench_of_own_redis
    leases = {"lease_ms": "6000", "heartbeat_ms": "1500", "reclaim_ms": "1500"}
    gateway = bench.gateway(redis_url=way.url, gateway_lease_ms="6000")
    upstream = bench.upstream(texts=[RIGHT], delay_ms=100)
    bench.worker(f"fake=openai:{upstream.url}", redis_url=way.url, **leases)
    assert gateway.answer(n=2)["answer"] == "42"
    before = way.accepted
    way.weather.latency_s, way.weather.jitter_s, way.weather.resets = 0.1, 0.1, 0.01
    count, seconds = 24, []

    def ask(number: int) -> httpx.Response:
        began = time.monotonic()
        reply = gateway.ask(question=f"Question {number}?", n=4, stop="none", budget={"seconds": 40})
        seconds.append(time.monotonic() - began)
        return reply

    with ThreadPoolExecutor(6) as pool:
        replies = list(pool.map(ask, range(count)))
    way.weather.latency_s = way.weather.jitter_s = way.weather.resets = 0.0
    codes = [reply.status_code for reply in replies]
    assert set(codes) <= {200, 503}
    assert codes.count(200) >= count - 2
    assert all(reply.json()["answer"] == "42" for reply in replies if reply.status_code == 200)
    assert way.resets >= 1
    assert statistics.median(seconds) < 8
    assert max(seconds) < 25
    assert way.accepted - before <= 6 + 2 + 3 * way.resets  # callers at once, and some lines for each that was cut
    assert upstream.stats.choices <= 1.1 * 4 * (count + 1) + 4 * way.resets


@pytest.mark.row(17)
def test_row_17_an_entry_whose_delivery_was_not_heard_is_found_by_its_worker(
    bench_of_own_redis: Bench, way: Chaos
) -> None:
    """XREADGROUP is carried out and its reply lost: the worker finds the entry among its own, long before its lease."""
    bench = bench_of_own_redis
    gateway = bench.gateway()
    upstream = bench.upstream(texts=[RIGHT])
    worker = bench.worker(f"fake=openai:{upstream.url}", redis_url=way.url, lease_ms="60000", heartbeat_ms="5000")
    assert gateway.answer(n=2)["answer"] == "42"
    way.lose(b'"job_id"')
    answer = gateway.answer(n=4, stop="none", budget={"seconds": 20})
    assert (answer["answer"], answer["candidates"][0]["samples"]) == ("42", [0, 1, 2, 3])
    assert (way.sprung, upstream.stats.choices) == (1, 2 + 4)
    assert worker.running


@pytest.mark.row(16)
def test_row_16_every_line_cut_in_the_middle_of_many_answers(bench_of_own_redis: Bench, way: Chaos) -> None:
    """All connections of gateway and worker are reset three times: every answer comes, each index once."""
    bench = bench_of_own_redis
    gateway = bench.gateway(redis_url=way.url)
    upstream = bench.upstream(texts=[RIGHT], n="ignored", delay_ms=200)
    bench.worker(f"fake=openai:{upstream.url}", redis_url=way.url, openai_max_concurrency="8")
    ids = [gateway.ask(n=8, stop="none", background=True, budget={"seconds": 60}).json()["id"] for _ in range(4)]
    for _ in range(3):
        time.sleep(0.25)
        way.cut()
    for answer_id in ids:
        answer = gateway.final(answer_id)
        assert (answer["answer"], answer["candidates"][0]["samples"]) == ("42", list(range(8)))
