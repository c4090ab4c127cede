"""Faults: real kills and stops of gateways; another goes on with what they had begun."""

import hashlib
import json
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.clock import clock_off
from tests.conftest import Bench, Gateway, wait_until
from tests.fake_upstream import FakeUpstream
from tests.faults.changed import changed_gateway
from tests.faults.invariants import job_streams, pending

RIGHT = "The answer is 42."
LEASE = {"gateway_lease_ms": "1500"}


def stored(bench: Bench, answer_id: str) -> dict[bytes, bytes]:
    """The samples and calls that the ledger holds."""
    return bench.redis.hgetall(f"{bench.prefix}:{{0}}:samples:{answer_id}")


def nothing_is_left(bench: Bench) -> bool:
    """No entry, none pending, no job hash, no answer that is open; every key has a time to live."""
    entries = (sum(map(bench.redis.xlen, job_streams(bench))), pending(bench))
    lasting = [key for key in bench.keys("*") if bench.redis.ttl(f"{bench.prefix}:{key}") == -1]
    return (*entries, bench.keys("{0}:job:*"), bench.keys("{0}:open:*"), lasting) == (0, 0, [], [], [])


@pytest.fixture
def upstream(bench: Bench) -> FakeUpstream:
    """One sample a call, two at a time, 150 ms each, and a worker before it."""
    started = bench.upstream(texts=[RIGHT], n="ignored", delay_ms=150)
    bench.worker(f"fake=openai:{started.url}", openai_max_concurrency="2")
    return started


@pytest.fixture
def two(bench: Bench) -> tuple[Gateway, Gateway]:
    """Two gateways."""
    return bench.gateway(**LEASE), bench.gateway(**LEASE)


@pytest.mark.row(21)
@pytest.mark.parametrize("aggregator", ["vote", "self_agreement"])
def test_another_gateway_goes_on_with_what_is_stored(
    bench: Bench, two: tuple[Gateway, Gateway], upstream: FakeUpstream, aggregator: str
) -> None:
    """kill -9 in the middle: what was stored stays, each index is drawn once, and the answer comes."""
    first, second = two
    asked = {"n": 10, "stop": "none", "aggregator": aggregator, "sampling": {"seed": 3}, "background": True}
    answer_id = first.ask(**asked).json()["id"]
    wait_until(lambda: len(stored(bench, answer_id)) >= 3, "three samples are stored")
    first.kill()
    kept = stored(bench, answer_id)
    answer = second.final(answer_id)
    assert (answer["status"], answer["answer"], answer["usage"]["samples"]["finished"]) == ("answered", "42", 10)
    assert [sample["index"] for sample in answer["samples"]] == list(range(10))
    assert [sample["seed"] for sample in answer["samples"]][1:] == [3 + index for index in range(1, 10)]
    assert kept.items() <= stored(bench, answer_id).items()
    calls = answer["usage"]["aggregation_calls"]
    assert upstream.stats.choices == 10 + calls == 10 + (aggregator != "vote")
    wait_until(lambda: nothing_is_left(bench), "nothing is left")


@pytest.mark.row(21)
@pytest.mark.parametrize(
    "sampler", ["choice_shuffle", {"name": "navigate", "batch": 3}, {"name": "deepen", "width": 3}]
)
def test_another_gateway_draws_the_rest_from_the_very_same_prompts(
    bench: Bench, two: tuple[Gateway, Gateway], upstream: FakeUpstream, sampler: object
) -> None:
    """The samples are those of an answer with the same seed that nobody disturbed, and are read as they were shown."""
    first, second = two

    def says(asked: dict[str, Any]) -> str:
        digest = hashlib.sha256(json.dumps([asked["messages"], asked["seed"]]).encode()).hexdigest()
        return f"Way {digest[:4]} comes first. Then the rest.\nThe answer is ({'ABC'[int(digest, 16) % 3]})."

    bench.say(upstream, says=says, n="ignored", delay_ms=120)
    asked = {"n": 9, "stop": "none", "choices": ["red", "green", "blue"], "sampling": {"seed": 3}, "sampler": sampler}
    whole = second.answer(**asked)
    answer_id = first.ask(**asked, background=True).json()["id"]
    wait_until(lambda: len(stored(bench, answer_id)) >= 4, "four samples are stored")
    first.kill()
    answer = second.final(answer_id)
    kept = ("index", "text", "answer", "variant", "shown")
    assert [[s[name] for name in kept] for s in answer["samples"]] == [[s[n] for n in kept] for s in whole["samples"]]
    assert len({sample["text"] for sample in answer["samples"]}) == 9


@pytest.mark.row(21)
def test_a_call_that_was_made_is_not_made_again(bench: Bench, two: tuple[Gateway, Gateway]) -> None:
    """Killed while the aggregator's call runs: the samples are not drawn again, and the call is made once."""
    first, second = two
    upstream = bench.upstream(texts=[RIGHT], delay_ms=0)
    bench.worker(f"fake=openai:{upstream.url}")
    bench.say(upstream, texts=["The majority voted answer is 42."], delay_ms=700)
    answer_id = first.ask(n=2, stop="none", aggregator="self_agreement", background=True).json()["id"]
    wait_until(lambda: len(stored(bench, answer_id)) == 2 and upstream.stats.running == 1, "it asks once more", 10.0)
    first.kill()
    wait_until(lambda: len(stored(bench, answer_id)) == 3, "the call's reply is stored", 10.0)
    answer = second.final(answer_id)
    assert (answer["status"], answer["answer"], answer["aggregator"]["fallback_from"]) == ("answered", "42", None)
    assert answer["usage"]["aggregation_calls"] == 1
    assert upstream.stats.choices == 3


@pytest.mark.row(21)
def test_a_caller_who_waited_at_the_dead_gateway_frees_the_workers(bench: Bench, two: tuple[Gateway, Gateway]) -> None:
    """Nobody can take that answer any more: it ends as gateway_lost, and the upstream's calls are given up."""
    first, second = two
    upstream = bench.upstream(texts=[RIGHT], hang=True)
    bench.worker(f"fake=openai:{upstream.url}")
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(first.ask, n=4, budget={"seconds": 60})
        wait_until(lambda: upstream.stats.running == 1, "the upstream is asked")
        (name,) = bench.keys("{0}:answer:*")
        first.kill()
        assert asked.exception(10) is not None
    answer_id = name.rpartition(":")[2]
    wait_until(lambda: upstream.stats.disconnected == 1, "the upstream's call is given up", 1.5 + 1.5 + 4)
    answer = second.final(answer_id)
    assert (answer["status"], answer["reason"], answer["answer"]) == ("failed", "gateway_lost", None)
    assert answer["usage"]["samples"]["cancelled"] == 4
    wait_until(lambda: nothing_is_left(bench), "nothing is left")


@pytest.mark.row(21)
def test_an_answer_that_was_to_be_cancelled_is_not_gone_on_with(bench: Bench, two: tuple[Gateway, Gateway]) -> None:
    """DELETE at the living gateway while the owner is dead: cancelled as soon as it is taken over."""
    first, second = two
    upstream = bench.upstream(texts=[RIGHT], hang=True)
    bench.worker(f"fake=openai:{upstream.url}")
    answer_id = first.ask(n=4, background=True).json()["id"]
    wait_until(lambda: upstream.stats.running == 1, "the upstream is asked")
    first.kill()
    assert second.http.delete(f"/v1/answers/{answer_id}").status_code == 202
    assert second.final(answer_id)["status"] == "cancelled"
    wait_until(lambda: upstream.stats.disconnected == 1, "the upstream's call is given up")


@pytest.mark.row(21)
def test_a_gateway_that_was_stopped_does_not_undo_what_another_did(
    bench: Bench, two: tuple[Gateway, Gateway], upstream: FakeUpstream
) -> None:
    """SIGSTOP, the other takes over and answers, SIGCONT: one verdict, also for the caller who waits at the first."""
    first, second = two
    key = {"Idempotency-Key": "a-1"}
    body = {"model": "fake", "question": "Why?", "n": 6, "stop": "none"}
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(first.http.post, "/v1/answers", json=body, headers=key)
        (name,) = wait_until(lambda: bench.keys("{0}:answer:*"), "the answer is accepted")
        answer_id = name.rpartition(":")[2]
        wait_until(lambda: len(stored(bench, answer_id)) >= 1, "a sample is stored")
        first.send(signal.SIGSTOP)
        answer = second.final(answer_id)
        kept = bench.redis.hgetall(f"{bench.prefix}:{{0}}:answer:{answer_id}")
        first.send(signal.SIGCONT)
        reply = asked.result(20).json()
    assert (reply["id"], reply["answer"], reply["timing"]) == (answer_id, "42", answer["timing"])
    assert bench.redis.hgetall(f"{bench.prefix}:{{0}}:answer:{answer_id}") == kept
    assert upstream.stats.choices == 6


@pytest.mark.row(21)
def test_a_drained_gateway_leaves_its_answers_to_others(bench: Bench, upstream: FakeUpstream) -> None:
    """SIGTERM: what does not end in the drain's time is taken over at once, without waiting for a lease."""
    first = bench.gateway(gateway_lease_ms="60000", drain_s="0.2")
    second = bench.gateway(**LEASE)
    answer_id = first.ask(n=12, stop="none", background=True).json()["id"]
    wait_until(lambda: len(stored(bench, answer_id)) >= 2, "two samples are stored")
    first.process.terminate()
    assert first.process.wait(10) == 0
    answer = second.final(answer_id)
    assert (answer["status"], answer["answer"], answer["usage"]["samples"]["finished"]) == ("answered", "42", 12)


@pytest.mark.row(21)
def test_the_same_key_at_another_gateway_is_the_same_answer(
    bench: Bench, two: tuple[Gateway, Gateway], upstream: FakeUpstream
) -> None:
    """The caller's gateway dies; the caller asks again with the same key elsewhere: nothing is drawn twice."""
    first, second = two
    key = {"Idempotency-Key": "b-1"}
    body = {"model": "fake", "question": "Why?", "n": 8, "stop": "none"}
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(first.http.post, "/v1/answers", json=body, headers=key)
        (name,) = wait_until(lambda: bench.keys("{0}:answer:*"), "the answer is accepted")
        wait_until(lambda: len(stored(bench, name.rpartition(":")[2])) >= 2, "two samples are stored")
        first.kill()
        assert asked.exception(10) is not None
    started = time.monotonic()
    reply = second.http.post("/v1/answers", json=body, headers=key)
    assert (reply.status_code, reply.json()["id"]) == (200, name.rpartition(":")[2])
    assert reply.json()["answer"] == "42"
    assert upstream.stats.choices == 8
    assert time.monotonic() - started < 1.5 + 1.0 + 8 * 0.15 + 4


BROKEN = """
import runpy, sys
from service.aggregators import AGGREGATORS
async def broken(self, panel, ask):
    raise ValueError("broken")
AGGREGATORS["vote"].aggregate = broken
if len(sys.argv) > 1:
    import service.aggregators.counting, service.ensemble
    def no(*args): raise ValueError("broken too")
    service.ensemble.fall_back = no
sys.argv = ["service", "gateway"]
runpy.run_module("service", run_name="__main__", alter_sys=True)
"""


@pytest.mark.row(24)
@pytest.mark.parametrize("seconds", [3600, -3600])
def test_a_gateway_whose_clock_is_wrong_sees_and_gives_the_same(
    bench: Bench, upstream: FakeUpstream, seconds: int
) -> None:
    """An hour before or behind: what runs is in progress, what it accepts is answered in its time."""
    right = bench.gateway(**LEASE)
    with clock_off(seconds):
        wrong = bench.gateway(**LEASE)
    asked = {"n": 8, "stop": "none", "background": True}
    answer_id = right.ask(**asked).json()["id"]
    assert wrong.read(answer_id)["status"] in ("in_progress", "answered")
    other = wrong.ask(**asked).json()["id"]
    assert right.read(other)["status"] in ("in_progress", "answered")
    assert [right.final(each)["answer"] for each in (answer_id, other)] == ["42", "42"]


@pytest.mark.row(29, bugs=True)
def test_an_aggregator_that_breaks_leaves_the_plain_vote(bench: Bench, upstream: FakeUpstream, tmp_path: Path) -> None:
    """The samples are there: the answer names what broke, and is the vote's."""
    gateway = changed_gateway(bench, tmp_path, BROKEN, **LEASE)
    answer = gateway.answer(n=3, aggregator="vote")
    assert (answer["answer"], answer["aggregator"]["fallback_from"]) == ("42", "vote")
    assert answer["aggregator"]["fallback_reason"] == "broken: ValueError"


@pytest.mark.row(29, bugs=True)
def test_an_answer_on_which_the_gateway_breaks_ends(bench: Bench, upstream: FakeUpstream, tmp_path: Path) -> None:
    """500 for who waits, failed for who looks later; it does not stay in progress."""
    gateway = changed_gateway(bench, tmp_path, BROKEN, "wholly", **LEASE)
    waited = gateway.ask(n=2, aggregator="vote")
    assert (waited.status_code, waited.json()["code"]) == (500, "internal_error")
    answer = gateway.final(gateway.ask(n=2, aggregator="vote", background=True).json()["id"])
    assert (answer["status"], answer["error"]["code"]) == ("failed", "internal_error")
    wait_until(lambda: nothing_is_left(bench), "nothing is left")


@pytest.mark.row(21)
def test_readiness_falls_before_the_door_closes(bench: Bench, upstream: FakeUpstream) -> None:
    """After SIGTERM the gateway says that it is not ready, and serves on for the time of notice."""
    gateway = bench.gateway(drain_notice_s="3")
    gateway.process.terminate()
    ready = wait_until(lambda: (found := gateway.http.get("/readyz")).status_code == 503 and found, "not ready", 2.0)
    assert ready.json()["draining"] is True
    assert gateway.answer(n=2, stop="none")["answer"] == "42"
    assert gateway.process.wait(20) == 0
