"""A Redis Cluster: every operation on every shard, and a node that is killed while its replica lives."""

import asyncio
import contextlib
import signal
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.conftest import Bench, Gateway, wait_until
from tests.fake_upstream import FakeUpstream
from tests.redis_groups import Nodes, well
from workers.wire.connection import LOST, close, command_client, evicts
from workers.wire.keys import Keys

RIGHT = "The answer is 42."
SHARDS = 4
BODY: dict[str, Any] = {"n": 2, "stop": "none", "budget": {"seconds": 60}}


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """Three primaries and a replica for the module. None was ever asked for keys of two slots at once."""
    with Nodes(tmp_path_factory.mktemp("nodes")) as started:
        yield started
        for server in started.servers:
            if server.process.poll() is None:
                assert "errorstat_CROSSSLOT" not in server.client.info("errorstats")


@pytest.fixture(scope="module")
def bench(nodes: Nodes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Programs on the cluster."""
    folder = tmp_path_factory.mktemp("programs")
    started = Bench(nodes.url, folder, nodes.client(), queue_shards=str(SHARDS), gateway_lease_ms="2000")
    yield started
    started.close()
    for program in started._programs:
        assert program.process.returncode in (0, -9)
        assert "Traceback" not in program.log, program.log


@pytest.fixture(scope="module")
def upstream(bench: Bench) -> FakeUpstream:
    """One right answer a call, with a worker before it."""
    started = bench.upstream(texts=[RIGHT])
    bench.worker(f"fake=openai:{started.url}")
    return started


@pytest.fixture(scope="module")
def gateway(bench: Bench, upstream: FakeUpstream) -> Gateway:
    """A gateway that lives as long as the module."""
    return bench.gateway()


def shard_of(answer_id: str) -> int:
    """The shard of an answer."""
    return Keys(shards=SHARDS).shard_of(answer_id)


def in_every_shard(gateway: Gateway, **body: Any) -> list[str]:
    """Background answers, until there is one in every shard."""
    found: list[str] = []
    while {shard_of(answer_id) for answer_id in found} != set(range(SHARDS)):
        response = gateway.ask(background=True, **BODY | body)
        assert response.status_code == 202, response.text
        found.append(response.json()["id"])
    return found


def test_every_operation_works_in_every_shard(bench: Bench, gateway: Gateway, upstream: FakeUpstream) -> None:
    """Answers, new choices among their samples, and keys for one answer; two nodes have a shard at least."""
    for answer_id in in_every_shard(gateway):
        answer = gateway.final(answer_id)
        assert (answer["status"], answer["answer"]) == ("answered", "42")
        again = gateway.http.post(f"/v1/answers/{answer_id}/aggregate", json={"aggregator": "median"})
        assert (again.status_code, again.json()["answer"]) == (200, "42")
    assert gateway.answer(n=3)["usage"]["samples"]["finished"] == 3
    keyed = [
        gateway.http.post("/v1/answers", json={"model": "fake", "question": "Why?", **BODY}, headers=key)
        for key in ({"Idempotency-Key": "a"}, {"Idempotency-Key": "b"}, {"Idempotency-Key": "a"})
    ]
    assert [each.status_code for each in keyed] == [200] * 3
    assert keyed[0].json()["id"] == keyed[2].json()["id"] != keyed[1].json()["id"]
    assert [entry["id"] for entry in gateway.http.get("/v1/models").json()["data"]] == ["fake"]
    assert gateway.http.get("/readyz").json()["redis"] is True
    assert "conclave_queue_depth" in gateway.http.get("/metrics").text
    lasting = [key for key in bench.redis.scan_iter(f"{bench.prefix}:*") if bench.redis.ttl(key) == -1]
    assert lasting == []


async def test_the_client_is_one_of_a_single_server_s_kind(nodes: Nodes) -> None:
    """Commands wait for a connection; a transaction is one step; keys of two slots are a bug that shows."""
    client: Any = command_client(nodes.url, max_connections=2)
    found = await asyncio.gather(*(client.set(f"{{{i % 9}}}:{i}", i, px=60_000) for i in range(200)))
    assert found == [True] * 200
    async with client.pipeline(transaction=True) as pipe:
        pipe.set("{9}a", 7, px=60_000)
        pipe.zadd("{9}b", {"one": 1})
        pipe.delete("{9}b")
        assert await pipe.execute() == [b"OK", 1, 1]
    async with client.pipeline(transaction=False) as pipe:
        pipe.get("{9}a")
        pipe.get("{8}:8")
        assert await pipe.execute() == [b"7", b"8"]
    with pytest.raises(ValueError, match="slot"):
        await client.mget(["{1}", "{2}"])
    async with client.pipeline(transaction=True) as pipe:
        pipe.delete("{1}")
        pipe.delete("{2}")
        with pytest.raises(ValueError, match="slot"):
            await pipe.execute()
    assert await evicts(client) is None
    nodes.servers[2].client.config_set("maxmemory-policy", "allkeys-lru")
    assert await evicts(client) == "allkeys-lru"
    nodes.servers[2].client.config_set("maxmemory-policy", "noeviction")
    await close(client)


async def test_a_node_that_hangs_is_told_as_a_lost_server_only(nodes: Nodes) -> None:
    """Whatever many tasks were doing then, also while the others call the cluster down; and it goes on after."""
    client: Any = command_client(nodes.url)
    write: Any = client.register_script("return redis.call('SET', KEYS[1], ARGV[1], 'PX', 60000)")
    ok, over = 0, asyncio.Event()

    async def busy(number: int) -> None:
        nonlocal ok
        while not over.is_set():
            number, key = number + 1, f"{{{number % 4}}}busy"
            try:
                async with client.pipeline(transaction=number % 3 == 0) as pipe:
                    pipe.set(key, number, px=60_000)
                    await pipe.execute()
                await asyncio.gather(client.get(key), client.time(), write(keys=[key], args=[1]), evicts(client))
                ok += 1
            except LOST:
                ok = 0
            await asyncio.sleep(0.02)

    async with asyncio.TaskGroup() as tasks:
        for number in range(12):
            tasks.create_task(busy(number))
        nodes.servers[1].process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(2.5)
        nodes.servers[1].process.send_signal(signal.SIGCONT)
        async with asyncio.timeout(20):
            while ok < 48:  # noqa: ASYNC110  # one after the other without a loss
                await asyncio.sleep(0.05)
        over.set()
    await close(client)


def test_a_cancelled_answer_frees_its_worker_at_once(bench: Bench, gateway: Gateway, upstream: FakeUpstream) -> None:
    """Told by publishing, which reaches the one node at which the worker listens: its leases say so much later."""
    slow = bench.upstream(hang=True)
    bench.worker(f"slow=openai:{slow.url}", lease_ms="60000", heartbeat_ms="30000")
    for answer_id in in_every_shard(gateway, model="slow"):
        assert gateway.http.delete(f"/v1/answers/{answer_id}").status_code in (200, 202)
        assert gateway.final(answer_id)["status"] == "cancelled"
    wait_until(lambda: slow.stats.running == 0, "the upstream's calls are given up", 5.0)


def test_a_killed_gateway_s_answers_are_taken_over(bench: Bench, gateway: Gateway, upstream: FakeUpstream) -> None:
    """By the other, in every shard."""
    lost = bench.gateway()
    bench.say(upstream, texts=[RIGHT], delay_ms=1_000)
    accepted = in_every_shard(lost)
    lost.kill()
    assert [gateway.final(answer_id, 30.0)["answer"] for answer_id in accepted] == ["42"] * len(accepted)


def served(gateway: Gateway) -> bool:
    """Whether a new question is answered in every shard."""
    with contextlib.suppress(AssertionError, httpx.HTTPStatusError):
        return [gateway.final(each)["answer"] for each in in_every_shard(gateway)] != []
    return False


def test_answers_go_on_after_a_node_is_killed(
    bench: Bench, nodes: Nodes, gateway: Gateway, upstream: FakeUpstream
) -> None:
    """Its replica takes its place: what that had got ends answered, by the programs that were there before."""
    primary, replica = nodes.servers[0], nodes.servers[-1]
    bench.say(upstream, texts=[RIGHT], delay_ms=1_000)
    accepted = in_every_shard(gateway)
    with primary.client.pipeline(transaction=False) as pipe:
        pipe.set("{3}in-step", 1, ex=1)
        pipe.wait(1, 5_000)
        assert pipe.execute()[1] == 1
    primary.kill()
    wait_until(lambda: replica.client.info("replication")["role"] == "master", "the replica is promoted", 30.0)
    wait_until(lambda: all(well(server) for server in nodes.servers[1:]), "the cluster is well")
    assert [gateway.final(answer_id, 30.0)["answer"] for answer_id in accepted] == ["42"] * len(accepted)
    bench.say(upstream, texts=[RIGHT])
    wait_until(lambda: served(gateway), "new questions are answered")
