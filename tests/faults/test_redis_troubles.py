"""Faults: replies of Redis that are lost, a Redis that is away, full, flushed or evicting; nothing accepted hangs."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from service.embedded_redis import EmbeddedRedis
from service.ledger_scripts import ACCEPT, FINISH, TAKE
from tests.chaos import Chaos
from tests.conftest import Bench, Gateway, Program, wait_until
from tests.fake_upstream import FakeUpstream
from tests.faults.invariants import job_streams, pending
from workers.wire.scripts import SUBMIT

RIGHT = "The answer is 42."


@pytest.fixture
def way(own_redis: EmbeddedRedis) -> Iterator[Chaos]:
    """A way to the server of the test; the scripts are known there, so that the first call is the real one."""
    with Chaos(own_redis.socket) as started:
        yield started


@pytest.fixture
def bench(way: Chaos, own_redis: EmbeddedRedis, tmp_path: Path) -> Iterator[Bench]:
    """All on a server of its own, which knows the ledger's scripts; it ends before the way to it does."""
    started = Bench(own_redis.url, tmp_path)
    for script in (ACCEPT, FINISH, TAKE, SUBMIT):
        started.redis.script_load(script)
    yield started
    started.close()


@pytest.fixture
def upstream(bench: Bench) -> FakeUpstream:
    """One right answer a call, with a worker before it."""
    started = bench.upstream(texts=[RIGHT], delay_ms=200)
    bench.worker(f"fake=openai:{started.url}")
    return started


def open_answers(bench: Bench) -> set[bytes]:
    """What any gateway works on, by the ledger."""
    return {name for key in bench.keys("{0}:open:*") for name in bench.redis.smembers(f"{bench.prefix}:{key}")}


def once(gateway: Gateway, method: str, path: str, **request: object) -> httpx.Response:
    """A request on a connection of its own."""
    with httpx.Client(base_url=gateway.http.base_url, timeout=30.0, trust_env=False) as client:
        return client.request(method, path, **request)


@pytest.mark.row(16)
@pytest.mark.parametrize("background", [True, False])
def test_a_lost_reply_of_the_acceptance_loses_no_answer(
    bench: Bench, way: Chaos, upstream: FakeUpstream, background: bool
) -> None:
    """The client sends the script again and is told the same."""
    gateway = bench.gateway(redis_url=way.url)
    way.lose_reply(ACCEPT)
    response = gateway.ask(n=2, background=background, budget={"seconds": 20})
    assert (response.status_code, way.sprung) == (202 if background else 200, 1)
    assert gateway.final(response.json()["id"])["answer"] == "42"
    assert open_answers(bench) == set()


@pytest.mark.row(8)
@pytest.mark.parametrize("script", [SUBMIT, FINISH], ids=["submit", "finish"])
def test_redis_away_at_a_step_delays_the_answer_only(
    bench: Bench, way: Chaos, upstream: FakeUpstream, script: str
) -> None:
    """Away for longer than the client tries again by itself, as the jobs are queued or the verdict is recorded."""
    gateway = bench.gateway(redis_url=way.url, gateway_lease_ms="60000" if script is SUBMIT else "1500")
    way.go_away_at(script, 3.0)
    response = gateway.ask(n=2, background=True, budget={"seconds": 25})
    wait_until(lambda: way.sprung == 1, "the way is cut")
    wait_until(lambda: once(gateway, "GET", "/readyz").status_code == 200, "it is there again")
    (name,) = bench.keys("{0}:answer:*")
    answer_id = name.rpartition(":")[2]
    assert response.status_code in (202, 503), response.text
    wait_until(lambda: bench.redis.hget(f"{bench.prefix}:{name}", "status") == b"answered", "recorded", 30.0)
    assert gateway.read(answer_id)["answer"] == "42"
    assert open_answers(bench) == set()


@pytest.mark.row(16)
def test_a_lost_reply_of_a_takeover_loses_no_answer(bench: Bench, way: Chaos, upstream: FakeUpstream) -> None:
    """The answer is the new gateway's, though that was not told so: it finds it among its own."""
    first = bench.gateway(gateway_lease_ms="1200")
    second = bench.gateway(gateway_lease_ms="1200", redis_url=way.url)
    bench.say(upstream, hang=True)
    answer_id = first.ask(n=2, background=True, budget={"seconds": 60}).json()["id"]
    wait_until(lambda: upstream.stats.running == 1, "the upstream is asked")
    way.lose_reply(TAKE)
    first.kill()
    wait_until(lambda: way.sprung == 1, "the reply is lost")
    bench.owner_of(answer_id).kill()  # its call hangs for ever
    bench.say(upstream, texts=[RIGHT])
    bench.worker(f"fake=openai:{upstream.url}")
    assert second.final(answer_id, 30.0)["answer"] == "42"


@pytest.mark.row(10, lost=True)
def test_a_flush_in_the_middle_is_said_at_once(bench: Bench, upstream: FakeUpstream) -> None:
    """503 state_lost long before the budget is over, also with a key; and no key without a time to live is left."""
    gateway = bench.gateway()
    bench.say(upstream, hang=True)
    body = {"model": "fake", "question": "Why?", "n": 2, "budget": {"seconds": 60}}
    with ThreadPoolExecutor(2) as pool:
        plain = pool.submit(once, gateway, "POST", "/v1/answers", json=body)
        keyed = pool.submit(once, gateway, "POST", "/v1/answers", json=body, headers={"Idempotency-Key": "k"})
        wait_until(lambda: upstream.stats.running == 2, "the upstream is asked")
        bench.redis.flushall()
        started = time.monotonic()
        replies = [each.result(30) for each in (plain, keyed)]
    assert [(reply.status_code, reply.json()["code"]) for reply in replies] == [(503, "state_lost")] * 2
    assert "retry-after" in replies[0].headers
    assert time.monotonic() - started < 10
    wait_until(lambda: upstream.stats.disconnected == 2, "the upstream's calls are given up")
    assert gateway.end() == 0
    assert [key for key in bench.keys("*") if bench.redis.ttl(f"{bench.prefix}:{key}") == -1] == []


@pytest.mark.row(10, lost=True)
def test_an_answer_that_is_left_after_a_flush_makes_no_lasting_key(bench: Bench, upstream: FakeUpstream) -> None:
    """A drain notes what it leaves only where there is something to note."""
    gateway = bench.gateway(drain_s="0.1")
    bench.say(upstream, hang=True)
    assert gateway.ask(n=2, background=True).status_code == 202
    wait_until(lambda: upstream.stats.running == 1, "the upstream is asked")
    bench.redis.flushall()
    assert gateway.end() == 0
    assert [key for key in bench.keys("*") if bench.redis.ttl(f"{bench.prefix}:{key}") == -1] == []


@pytest.mark.row(14, lost=True)
@pytest.mark.parametrize("drawn", ["kept", "lost"])
def test_a_verdict_that_a_failover_lost_is_reached_again(bench: Bench, upstream: FakeUpstream, drawn: str) -> None:
    """The replica had the answer in progress: its gateway goes on with it, and draws what is not stored."""
    gateway = bench.gateway(gateway_lease_ms="900")
    answer_id = gateway.ask(n=2, background=True, budget={"seconds": 60}).json()["id"]
    assert gateway.final(answer_id)["answer"] == "42"
    record = f"{bench.prefix}:{{0}}:answer:{answer_id}"
    owner = bench.redis.hget(record, "gateway").decode()
    bench.say(upstream, texts=[RIGHT])
    with bench.redis.pipeline() as pipe:
        pipe.hdel(record, "reply")
        pipe.hset(record, "status", "in_progress")
        pipe.sadd(f"{bench.prefix}:{{0}}:open:{owner}", answer_id)
        pipe.pexpire(f"{bench.prefix}:{{0}}:open:{owner}", 60_000)
        if drawn == "lost":
            pipe.delete(f"{bench.prefix}:{{0}}:samples:{answer_id}")
        pipe.execute()
    assert gateway.read(answer_id)["status"] == "in_progress"
    assert gateway.final(answer_id)["answer"] == "42"
    assert upstream.stats.started == (0 if drawn == "kept" else 1)


@pytest.mark.row(18)
def test_a_trimmed_job_is_drawn_again(bench: Bench) -> None:
    """Its worker died and its entry was trimmed away: the answer comes, and nothing stays pending."""
    gateway = bench.gateway()
    upstream = bench.upstream(texts=[RIGHT], hang=True)
    first = bench.worker(f"fake=openai:{upstream.url}")
    answer_id = gateway.ask(n=2, background=True, budget={"seconds": 60}).json()["id"]
    wait_until(lambda: upstream.stats.running == 1, "the upstream is asked")
    first.kill()
    streams = job_streams(bench)
    assert sum(bench.redis.xtrim(stream, maxlen=0, approximate=False) for stream in streams) == 1
    bench.say(upstream, texts=[RIGHT])
    bench.worker(f"fake=openai:{upstream.url}")
    assert gateway.final(answer_id)["answer"] == "42"
    wait_until(lambda: pending(bench) == 0, "nothing is pending")
    left = [1 for _ in streams]
    wait_until(
        lambda: [len(bench.redis.xinfo_consumers(name, "workers")) for name in streams] == left,
        "one worker is left in the groups",
    )
    assert bench.keys("{0}:job:*") == []


@pytest.mark.row(12)
def test_without_redis_a_request_with_a_key_and_a_new_choice_are_503(bench: Bench, own_redis: EmbeddedRedis) -> None:
    """Down, and full: no 500 from any route, and Retry-After."""
    gateway = bench.gateway()
    upstream = bench.upstream(texts=[RIGHT])
    bench.worker(f"fake=openai:{upstream.url}")
    answer_id = gateway.answer(n=2)["id"]
    body = {"model": "fake", "question": "Why?", "n": 2}
    bench.redis.config_set("maxmemory", "100kb")
    full = once(gateway, "POST", "/v1/answers", json=body, headers={"Idempotency-Key": "k"})
    bench.redis.config_set("maxmemory", "0")
    assert own_redis.process is not None
    own_redis.process.kill()
    own_redis.process.wait()
    down = once(gateway, "POST", "/v1/answers", json=body, headers={"Idempotency-Key": "k"})
    again = once(gateway, "POST", f"/v1/answers/{answer_id}/aggregate", json={"aggregator": "vote"})
    for response in (full, down, again):
        assert (response.status_code, response.json()["code"]) == (503, "queue_unavailable")
        assert int(response.headers["retry-after"]) >= 1
    own_redis.start()


@pytest.mark.row(13)
def test_an_evicting_redis_is_refused(tmp_path: Path) -> None:
    """By gateway and worker at their start, and by readiness when it begins to evict later; a setting allows it."""
    with EmbeddedRedis(tmp_path / "redis", extra=("--maxmemory-policy", "allkeys-lru")) as server:
        bench = Bench(server.url, tmp_path)
        try:
            lax = bench.gateway(evicting_redis="warn")
            assert lax.http.get("/readyz").json()["evicts"] == "allkeys-lru"
            assert "allkeys-lru" in lax.log
            for name, arguments in (("gateway", ["service", "gateway"]), ("worker", ["workers", "--model", "abacus"])):
                strict = Program(name, arguments, bench._environment({"port": "0"}), tmp_path)
                assert strict.process.wait(90) != 0  # importing all takes its time on a busy machine
                assert "allkeys-lru" in strict.log
                strict.end()
            bench.redis.config_set("maxmemory-policy", "noeviction")
            good = bench.gateway()
            bench.redis.config_set("maxmemory-policy", "volatile-lru")
            ready = good.http.get("/readyz")
            assert (ready.status_code, ready.json()["evicts"]) == (503, "volatile-lru")
        finally:
            bench.close()
