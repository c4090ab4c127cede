"""Faults of a Redis that Sentinel watches: its primary is killed or steps down, and a replica is promoted."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Bench, Gateway, wait_until
from tests.fake_upstream import FakeUpstream
from tests.redis_groups import SERVICE, Server, Watched
from workers.wire.connection import close, command_client

RIGHT = "The answer is 42."


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A primary, two replicas and a sentinel for the module."""
    with Watched(tmp_path_factory.mktemp("watched")) as started:
        yield started


@pytest.fixture
def bench(watched: Watched, tmp_path: Path) -> Iterator[Bench]:
    """Programs that are told the sentinels only."""
    started = Bench(watched.url, tmp_path, watched.client())
    yield started
    started.close()


@pytest.fixture
def upstream(bench: Bench) -> FakeUpstream:
    """One right answer a call, with a worker before it."""
    started = bench.upstream(texts=[RIGHT], delay_ms=800)
    bench.worker(f"fake=openai:{started.url}")
    return started


def served(gateway: Gateway) -> bool:
    """Whether a new question is answered."""
    response = gateway.ask(n=2, stop="none", budget={"seconds": 10})
    assert response.status_code in (200, 503), response.text
    return response.status_code == 200 and response.json()["answer"] == "42"


def promoted(watched: Watched, before: Server) -> bool:
    """Whether another server is the primary now."""
    return watched.primary() not in (None, before)


async def test_a_script_that_a_replica_refuses_is_made_at_the_primary(watched: Watched) -> None:
    """Redis 6.2 wraps READONLY into another error there; each form is a lost connection, and Sentinel asked again."""
    client = command_client(watched.url)
    pool: Any = client.connection_pool
    find, stale = pool.sentinel_manager.discover_master, ("127.0.0.1", watched.replicas()[0].port)
    pool.sentinel_manager.discover_master = lambda name: asyncio.sleep(0, stale)
    assert await client.get("nothing") is None
    pool.sentinel_manager.discover_master = find
    write: Any = client.register_script("return redis.call('SET', KEYS[1], ARGV[1], 'EX', 60)")
    assert await write(keys=["something"], args=[1]) == b"OK"
    assert watched.client().get("something") == b"1"
    await close(client)


@pytest.mark.row(14, lost=True)  # replication is asynchronous: what the replica has not got by then is lost
def test_answers_go_on_after_the_primary_is_killed(
    bench: Bench, watched: Watched, upstream: FakeUpstream, request: pytest.FixtureRequest
) -> None:
    """What the replicas had got ends answered; new questions are served, by the programs that were there before."""
    gateway = bench.gateway(gateway_lease_ms="3000")
    body: dict[str, Any] = {"n": 2, "stop": "none", "background": True, "budget": {"seconds": 60}}
    accepted = [gateway.ask(**body).json()["id"] for _ in range(3)]
    wait_until(lambda: upstream.stats.running >= 1, "the upstream is asked")
    before = watched.primary()
    assert before is not None
    wait_until(watched.in_step, "the replicas have all")
    before.kill()
    request.addfinalizer(before.start)  # the sentinel makes it a replica
    wait_until(lambda: promoted(watched, before), "a replica is promoted", 30.0)
    for answer_id in accepted:
        answer = gateway.final(answer_id, 30.0)
        assert (answer["status"], answer["answer"]) == ("answered", "42")
        assert answer["usage"]["samples"]["finished"] == 2
    bench.say(upstream, texts=[RIGHT])
    wait_until(lambda: served(gateway), "new questions are answered")
    later = gateway.ask(**body).json()["id"]
    assert gateway.final(later)["answer"] == "42"
    assert gateway.http.get("/readyz").status_code == 200


@pytest.mark.matrix  # Sentinel takes 10 s to make it a replica
@pytest.mark.row(14, lost=True)
def test_a_primary_that_steps_down_takes_nothing_along_from_before(
    bench: Bench, watched: Watched, upstream: FakeUpstream
) -> None:
    """It lives on as a second primary until Sentinel makes it a replica; only what it alone took may be lost."""
    gateway = bench.gateway()
    wait_until(watched.in_step, "two replicas are in step", 60.0)
    before = watched.primary()
    assert before is not None
    body: dict[str, Any] = {"n": 2, "stop": "none", "background": True, "budget": {"seconds": 60}}
    answer_id = gateway.ask(**body).json()["id"]
    wait_until(lambda: upstream.stats.running >= 1, "the upstream is asked")
    wait_until(watched.in_step, "the replicas have all")
    watched.sentinel.client.execute_command("SENTINEL", "FAILOVER", SERVICE)
    wait_until(lambda: promoted(watched, before), "a replica is promoted", 30.0)
    meanwhile = gateway.ask(**body)
    assert meanwhile.status_code in (202, 503), meanwhile.text
    assert gateway.final(answer_id, 30.0)["answer"] == "42"
    bench.say(upstream, texts=[RIGHT])
    wait_until(lambda: before in watched.replicas(), "the one before is a replica", 30.0)
    wait_until(lambda: served(gateway), "new questions are answered")
    if meanwhile.status_code == 202:
        there = gateway.http.get(f"/v1/answers/{meanwhile.json()['id']}")
        assert there.status_code == 404 or gateway.final(there.json()["id"])["answer"] == "42"
