"""Rows of the fault matrix: a Redis that comes back and has forgotten all, or the last moments."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis

from service.embedded_redis import EmbeddedRedis
from tests.chaos import Chaos
from tests.conftest import Bench, Gateway, wait_until
from tests.ports import own_port

pytestmark = pytest.mark.matrix


RIGHT = "The answer is 42."


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """A server that keeps nothing when it ends, and can have a replica."""
    port = own_port()
    server = EmbeddedRedis(tmp_path / "first", extra=("--appendonly", "no", "--bind", "127.0.0.1", "--port", str(port)))
    with server:
        yield server


@pytest.fixture
def way(own_redis: EmbeddedRedis) -> Iterator[Chaos]:
    """What clients know of the server: an address that a failover moves."""
    with Chaos(own_redis.socket) as started:
        yield started


@pytest.fixture
def second(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """A server that may be made the other's replica."""
    with EmbeddedRedis(tmp_path / "second", extra=("--appendonly", "no")) as started:
        yield started


@pytest.fixture
def bench(way: Chaos, second: EmbeddedRedis, tmp_path: Path) -> Iterator[Bench]:
    """All of it at the address."""
    started = Bench(way.url, tmp_path)
    yield started
    started.close()


def served(gateway: Gateway) -> bool:
    """True if a new question is answered; what else may be said while Redis comes back is typed."""
    response = gateway.ask(n=2, budget={"seconds": 5})
    assert response.status_code in (200, 404, 503, 504), response.text
    return response.status_code == 200


@pytest.mark.row(9, lost=True)
def test_row_09_a_redis_that_forgot_all_is_healed_by_every_process(bench: Bench, own_redis: EmbeddedRedis) -> None:
    """Who waits is told 503 state_lost; new answers come within 5 s, though nobody was started anew."""
    gateway = bench.gateway()
    upstream = bench.upstream(texts=[RIGHT], hang=True)
    worker = bench.worker(f"fake=openai:{upstream.url}")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(gateway.ask, n=2, budget={"seconds": 60})
        wait_until(lambda: upstream.stats.running == 1, "the upstream is asked")
        assert own_redis.process is not None
        own_redis.process.kill()
        own_redis.process.wait()
        own_redis.start()
        back = time.monotonic()
        assert bench.keys("*answer:*") == []
        told = waiting.result(15)
    assert (told.status_code, told.json()["code"]) == (503, "state_lost")
    wait_until(lambda: upstream.stats.disconnected == 1, "the upstream's call is given up")
    bench.say(upstream, texts=[RIGHT])
    wait_until(lambda: served(gateway), "new answers come", 5.0)
    assert time.monotonic() - back < 10
    assert gateway.running
    assert worker.running


def caught_up(server: redis.Redis, replica: redis.Redis) -> bool:
    """True once the replica has all that its server has."""
    info = replica.info("replication")
    return bool(
        info["role"] == "slave"
        and info["master_link_status"] == "up"
        and info["slave_repl_offset"] == server.info("replication")["master_repl_offset"]
    )


@pytest.mark.row(14, lost=True)
def test_row_14_a_failover_that_loses_the_last_writes_loses_them_by_name(
    bench: Bench, way: Chaos, own_redis: EmbeddedRedis, second: EmbeddedRedis
) -> None:
    """A replica that is cut off takes over: what it has goes on, what it never had is 503 or 404, and nobody hangs."""
    gateway = bench.gateway(gateway_lease_ms="1500")
    upstream = bench.upstream(texts=[RIGHT], delay_ms=2_500)
    bench.worker(f"fake=openai:{upstream.url}")
    server = redis.Redis.from_url(own_redis.url)
    replica = redis.Redis.from_url(second.url)
    replica.replicaof("127.0.0.1", server.config_get("port")["port"])
    kept = gateway.ask(n=2, stop="none", background=True, budget={"seconds": 60}).json()["id"]
    wait_until(lambda: upstream.stats.running == 1, "the upstream is asked")
    wait_until(lambda: caught_up(server, replica), "the replica has all", 30.0)
    replica.replicaof("NO", "ONE")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(gateway.ask, n=2, stop="none", budget={"seconds": 60})
        never = gateway.ask(n=2, stop="none", background=True, budget={"seconds": 60}).json()["id"]
        wait_until(lambda: upstream.stats.started >= 3, "both are asked for")
        assert own_redis.process is not None
        own_redis.process.kill()
        own_redis.process.wait()
        way.target = second.socket
        way.cut()
        told = waiting.result(20)
    assert (told.status_code, told.json()["code"]) == (503, "state_lost")
    answer = gateway.final(kept, 30.0)
    assert (answer["answer"], answer["usage"]["samples"]["finished"]) == ("42", 2)
    assert gateway.http.get(f"/v1/answers/{never}").status_code == 404
    wait_until(lambda: served(gateway), "new answers come", 10.0)
    replica.close()
    server.close()
