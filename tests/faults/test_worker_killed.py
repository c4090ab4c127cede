"""Faults: real kills and stops of real workers and of a real Redis server."""

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.embedded_redis import EmbeddedRedis
from tests.conftest import ROOT, Bench, Program, wait_until
from tests.faults.invariants import job_streams, pending
from tests.ports import own_port

RIGHT = "The answer is 42."

DEADLY = """
import asyncio, os, sys
from workers import __main__
from workers.wire.messages import Sample

class Backend:
    name, provides, capacity_samples = "deadly", frozenset(), 64
    async def start(self): pass
    async def close(self): pass
    async def healthy(self): return True
    async def sample(self, job, indices):
        if "Deadly" in job.messages[-1].content:
            await asyncio.sleep(0.3)
            os._exit(139)
        await asyncio.sleep(0.8)
        for index in indices:
            yield Sample(index=index, text="The answer is 42.")

__main__.make_backend = lambda spec, options: Backend()
sys.argv = ["worker", "--model", "fake=deadly"]
sys.exit(__main__.main())
"""
"""A worker that dies of one question and answers every other, a little later."""


def indices(answer: dict) -> list[int]:
    """The indices of the samples in a reply, as they stand in it."""
    return [sample["index"] for sample in answer["samples"]]


def stored(bench: Bench, answer_id: str) -> dict[bytes, bytes]:
    """The samples that the ledger holds."""
    return bench.redis.hgetall(f"{bench.prefix}:{{0}}:samples:{answer_id}")


def nothing_is_left(bench: Bench) -> bool:
    """No entry in any stream, none pending, no job hash."""
    return (sum(map(bench.redis.xlen, job_streams(bench))), pending(bench), bench.keys("{0}:job:*")) == (0, 0, [])


@pytest.mark.row(1)
@pytest.mark.parametrize("fresh", [True, False], ids=["before_the_first_sample", "in_the_middle"])
def test_a_killed_worker_loses_no_sample(bench: Bench, fresh: bool) -> None:
    """kill -9 in the middle of an answer, another worker there: the answer comes, each index once, none drawn again."""
    gateway = bench.gateway()
    upstream = bench.upstream(texts=[RIGHT], n="ignored", delay_ms=150)
    for _ in range(2):
        bench.worker(f"fake=openai:{upstream.url}", openai_max_concurrency="2")
    answer_id = gateway.ask(n=8, stop="none", background=True).json()["id"]
    owner = bench.owner_of(answer_id)
    if fresh:
        wait_until(lambda: upstream.stats.running >= 1, "the upstream is asked")
    else:
        wait_until(lambda: len(stored(bench, answer_id)) >= 3, "three samples are stored")
    owner.kill()
    kept = stored(bench, answer_id)
    started = time.monotonic()
    answer = gateway.final(answer_id)
    assert (answer["status"], answer["answer"]) == ("answered", "42")
    assert indices(answer) == list(range(8))
    assert answer["candidates"][0]["samples"] == list(range(8))
    assert answer["usage"]["samples"]["finished"] == 8
    assert {field: body for field, body in stored(bench, answer_id).items() if field in kept} == kept
    # What was running, or finished and not yet sent, when the worker died is drawn again; what was stored is not.
    assert upstream.stats.choices <= 8 + 4
    assert upstream.stats.disconnected >= 1
    assert time.monotonic() - started < 0.8 + 0.2 + 8 * 0.15 + 4
    wait_until(lambda: nothing_is_left(bench), "nothing is left")


@pytest.mark.row(1)
def test_killed_while_many_answers_run(bench: Bench) -> None:
    """Twelve answers at once, one of three workers killed: all come, each with each index once."""
    gateway = bench.gateway()
    upstream = bench.upstream(texts=[RIGHT], delay_ms=250)
    workers = [bench.worker(f"fake=openai:{upstream.url}") for _ in range(3)]
    with ThreadPoolExecutor(12) as pool:
        asked = [pool.submit(gateway.answer, n=4, stop="none", question=f"Question {i}?") for i in range(12)]
        wait_until(lambda: upstream.stats.running >= 6, "the upstream is asked")
        workers[0].kill()
        answers = [each.result(25) for each in asked]
    assert all(indices(answer) == [0, 1, 2, 3] and answer["status"] == "answered" for answer in answers)
    wait_until(lambda: nothing_is_left(bench), "nothing is left")


@pytest.mark.row(3)
def test_all_workers_killed_and_one_started_later(bench: Bench) -> None:
    """Jobs wait in the queue, and in the dead worker's hands, until a worker comes."""
    gateway = bench.gateway()
    upstream = bench.upstream(texts=[RIGHT], hang=True)
    only = bench.worker(f"fake=openai:{upstream.url}")
    answer_id = gateway.ask(n=4, background=True).json()["id"]
    wait_until(lambda: upstream.stats.running == 1, "the upstream is asked")
    only.kill()
    waiting = gateway.ask(n=4, background=True).json()["id"]
    bench.say(upstream, texts=[RIGHT])
    bench.worker(f"fake=openai:{upstream.url}")
    for each in (answer_id, waiting):
        assert gateway.final(each)["answer"] == "42"


@pytest.mark.row(5)
def test_draining_loses_nothing(bench: Bench) -> None:
    """SIGTERM: running jobs are finished, none is taken any more, the exit code is 0, the worker leaves the pool."""
    gateway = bench.gateway()
    upstream = bench.upstream(texts=[RIGHT], delay_ms=600)
    first = bench.worker(f"fake=openai:{upstream.url}")
    running = [gateway.ask(n=4, background=True).json()["id"] for _ in range(4)]
    wait_until(lambda: upstream.stats.running == 4, "four calls run")
    first.process.terminate()
    wait_until(lambda: b'"draining":true' in b"".join(bench.redis.mget(bench_cards(bench)) or [b""]), "it drains", 3.0)
    queued = gateway.ask(n=4, background=True).json()["id"]
    assert first.process.wait(10) == 0
    assert all(gateway.final(each)["answer"] == "42" for each in running)
    assert upstream.stats.started == 4
    assert bench_cards(bench) == []
    assert [bench.redis.xinfo_consumers(name, "workers") for name in job_streams(bench)] == [[], []]
    assert gateway.read(queued)["status"] == "in_progress"
    bench.worker(f"fake=openai:{upstream.url}")
    assert gateway.final(queued)["answer"] == "42"
    assert upstream.stats.started == 5


def bench_cards(bench: Bench) -> list[str]:
    """The keys of the cards that are out."""
    return [f"{bench.prefix}:{key}" for key in bench.keys("{pool}:card:*")]


@pytest.mark.row(5)
def test_a_drain_that_takes_too_long_hands_its_jobs_back(bench: Bench) -> None:
    """After the drain's time the worker ends with code 0 and another draws what it left."""
    gateway = bench.gateway()
    upstream = bench.upstream(texts=[RIGHT], hang=True)
    first = bench.worker(f"fake=openai:{upstream.url}", drain_s="0.3")
    answer_id = gateway.ask(n=4, background=True).json()["id"]
    wait_until(lambda: upstream.stats.running == 1, "the upstream is asked")
    first.process.terminate()
    assert first.process.wait(10) == 0
    bench.say(upstream, texts=[RIGHT])
    bench.worker(f"fake=openai:{upstream.url}")
    assert gateway.final(answer_id)["answer"] == "42"


@pytest.mark.row(5)
def test_a_job_that_was_handed_back_again_and_again_is_not_poison(bench: Bench) -> None:
    """Four rolling restarts in a row while it runs: each hands it on at once, and none counts against it."""
    gateway = bench.gateway()
    upstream = bench.upstream(texts=[RIGHT], hang=True)
    answer_id = None
    for _ in range(4):
        worker = bench.worker(f"fake=openai:{upstream.url}", drain_s="0.2", lease_ms="60000")
        answer_id = answer_id or gateway.ask(n=2, background=True, budget={"seconds": 300}).json()["id"]
        wait_until(lambda: upstream.stats.running == 1, "the upstream is asked")
        assert worker.end() == 0
        wait_until(lambda: upstream.stats.running == 0, "its call is given up")
    bench.say(upstream, texts=[RIGHT])
    bench.worker(f"fake=openai:{upstream.url}")
    assert answer_id is not None
    assert gateway.final(answer_id)["answer"] == "42"
    wait_until(lambda: nothing_is_left(bench), "nothing is left")
    assert [len(bench.redis.xinfo_consumers(name, "workers")) for name in job_streams(bench)] == [1, 1]


@pytest.mark.row(7)
def test_a_job_that_ends_its_workers_is_given_up_and_spares_the_others(bench: Bench, tmp_path: Path) -> None:
    """It takes three workers with it; the job that ran beside it is drawn, and the reason is kept."""
    (tmp_path / "deadly.py").write_text(DEADLY)
    gateway = bench.gateway()
    settings = {"PYTHONPATH": f"{tmp_path}:{ROOT}"}

    def started() -> Program:
        environment = bench._environment({}) | settings
        program = Program("worker", ["deadly"], environment, tmp_path)
        bench._programs.append(program)
        return program

    worker = started()
    wait_until(lambda: b"fake" in bench.redis.zrange(f"{bench.prefix}:{{pool}}:models", 0, -1), "the card is out", 60.0)
    asked = {"n": 1, "background": True, "budget": {"seconds": 100}}
    good = gateway.ask(question="Good?", **asked).json()["id"]
    deadly = gateway.ask(question="Deadly?", **asked).json()["id"]
    for _ in range(3):
        wait_until(lambda ended=worker: not ended.running, "the worker has died", 30.0)
        worker = started()
    failed, answered = gateway.final(deadly, 40.0), gateway.final(good, 40.0)
    assert (failed["status"], failed["error"]["failures"]) == ("failed", {"poison": 1})
    assert "3 workers in a row" in failed["error"]["detail"]
    assert answered["answer"] == "42"
    assert worker.running
    ((_, note),) = bench.redis.xrange(f"{bench.prefix}:{{0}}:quarantine")
    assert note[b"answer"].decode() == deadly
    assert b"3 workers in a row" in note[b"reason"]
    wait_until(lambda: nothing_is_left(bench), "nothing is left")


def test_an_idle_worker_ends_at_once(bench: Bench) -> None:
    """SIGTERM and SIGINT without work: exit code 0 within three seconds, at whatever moment."""
    upstream = bench.upstream()
    workers = [bench.worker(f"fake=openai:{upstream.url}") for _ in range(3)]
    for worker, number in zip(workers, (signal.SIGTERM, signal.SIGINT, signal.SIGTERM), strict=True):
        worker.send(number)
    assert [worker.process.wait(3) for worker in workers] == [0, 0, 0]


@pytest.mark.row(4)
def test_results_of_a_worker_that_was_stopped_are_refused(bench: Bench) -> None:
    """SIGSTOP, another worker takes over, SIGCONT: the late results change nothing and are counted as fenced."""
    gateway = bench.gateway()
    upstream = bench.upstream(texts=["The answer is 41.", RIGHT], delay_ms=300)
    ports = {}
    for _ in range(2):
        port = own_port()
        started = bench.worker(
            f"fake=openai:{upstream.url}", heartbeat_ms="60000", worker_metrics_port=str(port)
        )  # with a heartbeat, the woken worker would see the lost lease before it tries to store
        ports[started.pid] = port
    answer_id = gateway.ask(n=1, stop="none", background=True).json()["id"]
    owner = bench.owner_of(answer_id)
    wait_until(lambda: upstream.stats.running == 1, "the upstream is asked")
    owner.send(signal.SIGSTOP)
    answer = gateway.final(answer_id)
    kept = stored(bench, answer_id)
    assert (answer["status"], answer["answer"], indices(answer)) == ("answered", "42", [0])
    owner.send(signal.SIGCONT)

    def fenced() -> float:
        text = httpx.get(f"http://127.0.0.1:{ports[owner.pid]}/metrics", trust_env=False).text
        found = [s for family in text_string_to_metric_families(text) for s in family.samples]
        return sum(s.value for s in found if s.name == "conclave_worker_fenced_results_total")

    wait_until(lambda: fenced() == 1, "the late result is refused")
    assert stored(bench, answer_id) == kept
    assert gateway.read(answer_id) == answer
    assert owner.running
    wait_until(lambda: nothing_is_left(bench), "nothing is left")


def test_a_stopped_workers_long_job_is_not_drawn_twice_by_a_living_one(bench: Bench) -> None:
    """A job that takes three leases' time stays with its worker as long as that renews it."""
    gateway = bench.gateway()
    upstream = bench.upstream(texts=[RIGHT], delay_ms=2_400)
    for _ in range(2):
        bench.worker(f"fake=openai:{upstream.url}")
    assert gateway.answer(n=4)["answer"] == "42"
    assert upstream.stats.started == 1


@pytest.mark.row(8)
def test_redis_killed_and_restarted(bench_of_own_redis: Bench, own_redis: EmbeddedRedis) -> None:
    """kill -9 of Redis with an answer in progress: after its restart the answer comes, and so do new ones."""
    bench, server = bench_of_own_redis, own_redis.process
    assert server is not None
    gateway = bench.gateway()
    upstream = bench.upstream(texts=[RIGHT], delay_ms=700)
    worker = bench.worker(f"fake=openai:{upstream.url}")
    before = gateway.answer(n=2)["id"]
    answer_id = gateway.ask(n=4, background=True).json()["id"]
    wait_until(lambda: upstream.stats.running == 1, "the upstream is asked")
    # What a busy disk has not taken yet may be lost; here nothing is to be.
    wait_until(lambda: bench.redis.info("persistence")["aof_buffer_length"] == 0, "the log is written")
    server.kill()
    server.wait()
    time.sleep(1.0)  # the worker's result finds no server
    own_redis.start()
    wait_until(lambda: gateway.http.get("/readyz").status_code == 200, "ready again", 10.0)
    answer = gateway.final(answer_id, 15.0)
    assert (answer["status"], answer["answer"], indices(answer)) == ("answered", "42", [0, 1, 2, 3])
    assert gateway.read(before)["answer"] == "42"
    assert gateway.answer(n=2)["answer"] == "42"
    assert gateway.running
    assert worker.running
    wait_until(lambda: nothing_is_left(bench), "nothing is left")


@pytest.mark.row(10, lost=True)
def test_a_flushed_redis_heals(bench_of_own_redis: Bench) -> None:
    """FLUSHALL takes groups, cards and leases away: within seconds new answers come, without any restart."""
    bench = bench_of_own_redis
    gateway = bench.gateway()
    worker = bench.worker(f"fake=openai:{bench.upstream(texts=[RIGHT]).url}")
    assert gateway.answer(n=2)["answer"] == "42"
    for _ in range(2):
        bench.redis.flushall()

        def served() -> bool:
            response = gateway.ask(n=2, budget={"seconds": 5})
            assert response.status_code in (200, 404, 503, 504), response.text
            return response.status_code == 200

        wait_until(served, "answers again", 8.0)
    assert gateway.running
    assert worker.running
