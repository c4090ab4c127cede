"""Rows of the fault matrix: workers that are killed at a bad moment, told to end twice, misled, or short of memory."""

import random
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from service.embedded_redis import EmbeddedRedis
from tests.chaos import Chaos
from tests.clock import clock_off
from tests.conftest import Bench, wait_until
from tests.faults.changed import changed_worker
from tests.faults.invariants import job_streams
from tests.tiny_model import make_tiny_model
from workers.wire.scripts import STORE

pytestmark = pytest.mark.matrix

RIGHT = "The answer is 42."

SHORT = """
import runpy, sys, torch
from workers.backends.torch_local.model import LoadedModel

forward = LoadedModel.forward
def short(self, ids, *given):
    if len(ids) > 2 or ids.shape[1] > 200:
        raise torch.OutOfMemoryError("told so")
    return forward(self, ids, *given)
LoadedModel.forward = short
sys.argv = ["workers", *sys.argv[1:]]
runpy.run_module("workers", run_name="__main__", alter_sys=True)
"""
"""A worker whose memory has room for two completions at once, and for no long prompt."""


@pytest.fixture
def way(own_redis: EmbeddedRedis, seed: int) -> Iterator[Chaos]:
    """A way to the test's own server."""
    with Chaos(own_redis.socket, seed) as started:
        yield started


@pytest.mark.row(2)
@pytest.mark.parametrize("n", [1, 4], ids=["the_last_result", "one_of_four"])
def test_row_02_a_worker_killed_as_its_result_is_stored_counts_once(
    bench_of_own_redis: Bench, way: Chaos, n: int
) -> None:
    """The step is carried out and the worker dies before it hears of it: its sample stays, and is the only one."""
    bench = bench_of_own_redis
    bench.redis.script_load(STORE)
    gateway = bench.gateway()
    upstream = bench.upstream(texts=[RIGHT], n="ignored", delay_ms=100)
    first = bench.worker(f"fake=openai:{upstream.url}", redis_url=way.url, openai_max_concurrency="1")
    way.fall_silent_at(STORE, first.process.kill)
    answer_id = gateway.ask(n=n, stop="none", background=True).json()["id"]
    wait_until(lambda: way.sprung == 1 and not first.running, "the worker was killed at its first result")
    kept = bench.redis.hgetall(f"{bench.prefix}:{{0}}:samples:{answer_id}")
    assert len(kept) == 1
    bench.worker(f"fake=openai:{upstream.url}")
    answer = gateway.final(answer_id)
    assert (answer["answer"], answer["candidates"][0]["samples"]) == ("42", list(range(n)))
    assert kept.items() <= bench.redis.hgetall(f"{bench.prefix}:{{0}}:samples:{answer_id}").items()
    assert n <= upstream.stats.choices <= n + (n > 1)  # the second sample was being drawn when the worker died


@pytest.mark.row(3)
def test_row_03_with_all_workers_killed_answers_end_at_their_deadline(bench: Bench, dice: random.Random) -> None:
    """A quorum that is stored answers as degraded, less is 504, in time; a worker that comes later clears the rest."""
    gateway = bench.gateway()
    upstream = bench.upstream(texts=[RIGHT], n="ignored", delay_ms=200)
    workers = [bench.worker(f"fake=openai:{upstream.url}", openai_max_concurrency="2") for _ in range(2)]
    asked = {"n": 16, "stop": "none", "aggregator": "vote", "budget": {"seconds": 3}}
    with ThreadPoolExecutor(2) as pool:
        some = pool.submit(gateway.ask, **asked, quorum=2)
        (name,) = wait_until(lambda: bench.keys("{0}:answer:*"), "the answer is accepted")
        samples = f"{bench.prefix}:{{0}}:samples:{name.rpartition(':')[2]}"
        wait_until(lambda: bench.redis.hlen(samples) >= dice.randint(2, 4), "some samples are stored")
        for worker in workers:
            worker.kill()
        none = pool.submit(gateway.ask, **asked, quorum=2)
        degraded, refused = some.result(10), none.result(10)
    assert (degraded.status_code, degraded.json()["status"], degraded.json()["answer"]) == (200, "degraded", "42")
    assert degraded.json()["timing"]["total_ms"] < 3_000 + 400
    assert (refused.status_code, refused.json()["code"]) == (504, "deadline_exceeded")
    bench.worker(f"fake=openai:{upstream.url}")
    assert gateway.answer(n=2)["answer"] == "42"


@pytest.mark.row(6)
def test_row_06_told_to_end_and_then_killed_is_as_killed(bench: Bench, dice: random.Random) -> None:
    """SIGTERM, and SIGKILL before the drain is over: another draws what is missing, each index once."""
    gateway = bench.gateway()
    upstream = bench.upstream(texts=[RIGHT], n="ignored", delay_ms=150)
    first = bench.worker(f"fake=openai:{upstream.url}", openai_max_concurrency="2", drain_s="60")
    answer_id = gateway.ask(n=12, stop="none", background=True).json()["id"]
    samples = f"{bench.prefix}:{{0}}:samples:{answer_id}"
    wait_until(lambda: bench.redis.hlen(samples) >= 2, "two samples are stored")
    bench.worker(f"fake=openai:{upstream.url}", openai_max_concurrency="2")
    first.send(signal.SIGTERM)
    try:
        first.process.wait(dice.uniform(0.05, 0.3))
    except Exception:  # noqa: BLE001  # it drains for longer than that
        first.kill()
    answer = gateway.final(answer_id)
    assert (answer["answer"], [sample["index"] for sample in answer["samples"]]) == ("42", list(range(12)))
    assert upstream.stats.choices <= 12 + 4


@pytest.mark.row(22)
def test_row_22_an_entry_that_comes_three_times_is_one_effect(bench: Bench) -> None:
    """Two copies in the stream, and the entry claimed for a stranger by hand: each index once, nothing is left."""
    gateway = bench.gateway()
    upstream = bench.upstream(texts=[RIGHT], delay_ms=700)
    workers = [bench.worker(f"fake=openai:{upstream.url}") for _ in range(2)]
    for worker in workers:
        worker.send(signal.SIGSTOP)
    answer_id = gateway.ask(n=4, stop="none", background=True, budget={"seconds": 30}).json()["id"]
    wait_until(lambda: any(map(bench.redis.xlen, job_streams(bench))), "the job is queued")
    (stream,) = filter(bench.redis.xlen, job_streams(bench))
    ((entry, fields),) = bench.redis.xrange(stream)
    for _ in range(2):
        bench.redis.xadd(stream, fields)
    for worker in workers:
        worker.send(signal.SIGCONT)
    wait_until(lambda: upstream.stats.running >= 1, "the upstream is asked")
    bench.redis.xclaim(stream, "workers", "stranger", 0, [entry])
    answer = gateway.final(answer_id)
    assert (answer["answer"], answer["candidates"][0]["samples"]) == ("42", [0, 1, 2, 3])
    assert answer["usage"]["samples"]["finished"] == 4


@pytest.mark.row(22)
def test_row_22_a_worker_that_gets_all_three_copies_goes_on(bench: Bench) -> None:
    """The third copy is a suspect and runs alone: it waits for the two before it, and for nothing else."""
    gateway = bench.gateway()
    upstream = bench.upstream(texts=[RIGHT], delay_ms=1_500)
    worker = bench.worker(f"fake=openai:{upstream.url}")
    worker.send(signal.SIGSTOP)
    answer_id = gateway.ask(n=4, stop="none", background=True, budget={"seconds": 30}).json()["id"]
    wait_until(lambda: any(map(bench.redis.xlen, job_streams(bench))), "the job is queued")
    (stream,) = filter(bench.redis.xlen, job_streams(bench))
    ((_, fields),) = bench.redis.xrange(stream)
    for _ in range(2):
        bench.redis.xadd(stream, fields)
    worker.send(signal.SIGCONT)
    assert gateway.final(answer_id)["candidates"][0]["samples"] == [0, 1, 2, 3]
    assert gateway.answer(n=4, stop="none", budget={"seconds": 10})["answer"] == "42"


@pytest.mark.row(24)
@pytest.mark.parametrize("seconds", [3600, -3600])
def test_row_24_a_worker_whose_clock_is_wrong_ends_nothing_too_soon(bench: Bench, seconds: int) -> None:
    """An hour before or behind: what it takes is drawn to the end, its card is out, and a deadline comes in time."""
    gateway = bench.gateway()
    upstream = bench.upstream(texts=[RIGHT], delay_ms=1_200)
    with clock_off(seconds):
        bench.worker(f"fake=openai:{upstream.url}")
    assert gateway.answer(n=4, stop="none", budget={"seconds": 8})["answer"] == "42"
    assert upstream.stats.started == 1  # no lease was thought lost
    bench.say(upstream, hang=True)
    late = gateway.ask(n=2, budget={"seconds": 1})
    assert (late.status_code, late.json()["code"]) == (504, "deadline_exceeded")
    assert [model["id"] for model in gateway.http.get("/v1/models").json()["data"]] == ["fake"]


@pytest.mark.row(27)
def test_row_27_a_model_out_of_memory_draws_less_at_once_or_fails_by_name(bench: Bench, tmp_path: Path) -> None:
    """Eight at once do not fit: they come two by two. A prompt that never fits fails alone, and the worker lives."""
    gateway = bench.gateway()
    model = make_tiny_model(tmp_path / "model", hidden=32, layers=1)
    worker = changed_worker(bench, tmp_path, SHORT, "--model", f"fake=torch:{model}", torch_threads="1")
    short = {"n": 8, "stop": "none", "sampling": {"max_tokens": 8}}
    assert gateway.answer(question="hello", **short)["usage"]["samples"]["finished"] == 8
    refused = gateway.ask(question="much " * 60, **short | {"n": 1}, quorum=1)
    assert refused.status_code == 502, refused.text
    assert refused.json()["failures"] == {"out_of_memory": 1}
    assert gateway.answer(question="hello again", **short)["usage"]["samples"]["finished"] == 8
    assert worker.running
    assert bench.keys("{0}:quarantine") == []
