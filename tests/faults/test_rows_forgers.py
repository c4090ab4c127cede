"""Rows of the fault matrix: workers that send garbage, and workers that want more votes than they were given."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from tests.conftest import Bench, Gateway, wait_until
from tests.faults.changed import changed_worker
from tests.faults.invariants import metrics
from workers.wire.connection import blocking_client, close, command_client
from workers.wire.keys import Keys
from workers.wire.lease import SHUT_OUT_REPLIES, Lease
from workers.wire.leases import Leases
from workers.wire.messages import Provides, WorkerCard
from workers.wire.scripts import STORE

pytestmark = pytest.mark.matrix


RIGHT = "The answer is 42."
WRONG = "The answer is 666."


class Rogue:
    """A worker that has the queue's own tools and every permission, and says what it likes."""

    def __init__(self, client: Redis, blocking: Redis, keys: Keys, name: str) -> None:
        self.redis = client
        self.keys = keys
        self.name = name
        self.leases = Leases(client, blocking, keys, model="fake", worker=name, samples_ttl_ms=600_000)

    async def show(self) -> None:
        """Its card is out."""
        card = WorkerCard(
            worker=self.name, model="fake", backend="rogue", provides=frozenset({Provides.CHAT}), capacity_samples=64
        )
        await self.leases.join(0)
        await self.leases.show(card, 60_000)

    async def lease(self) -> Lease:
        """The lease of the next job."""
        while True:
            for entry in await self.leases.take(0, 1, "background"):
                lease = await self.leases.lease(entry)
                assert lease is not None
                return lease

    async def store(self, lease: Lease, *pairs: tuple[int, str], done: bool = False, fence: int | None = None) -> bytes:
        """Calls the script that stores, with whatever it is given."""
        job = lease.job
        flat = [part for index, body in pairs for part in (str(index), body)]
        head = json.dumps({"v": 1, "job_id": job.job_id, "answer_id": job.answer_id, "batch": job.batch})
        reply = await self.redis.register_script(STORE)(
            keys=[
                self.keys.job(job.answer_id, job.job_id),
                self.keys.samples(job.answer_id),
                self.keys.stream(0, "fake", lease.entry.priority),
                self.keys.answer(job.answer_id),
            ],
            args=[
                lease.fence if fence is None else fence,
                lease.entry.entry_id,
                "workers",
                int(done),
                600_000,
                self.keys.inbox_prefix(0),
                f'{head[:-1]},"worker":"{self.name}","samples":[',
                *flat,
            ],
        )
        return bytes(reply[0])

    async def tell(self, answer_id: str, body: bytes) -> None:
        """Writes into the inbox of the gateway that works on the answer."""
        gateway = await self.redis.hget(self.keys.answer(answer_id), "gateway")  # type: ignore[misc]
        assert gateway is not None
        await self.redis.xadd(self.keys.inbox(0, gateway.decode()), {"reply": body})


@pytest.fixture
async def rogue(bench: Bench) -> AsyncIterator[Rogue]:
    """A rogue worker of the model `fake`."""
    client, blocking = command_client(bench._url), blocking_client(bench._url, 1)
    started = Rogue(client, blocking, Keys(bench.prefix, 1), f"rogue-{bench.prefix}")
    yield started
    await started.leases.leave()
    await close(client)
    await close(blocking)


def said(index: int, text: str, **more: object) -> str:
    """A sample as a worker sends it."""
    return json.dumps({"index": index, "text": text, **more})


async def begun(gateway: Gateway, rogue: Rogue, n: int) -> tuple[str, Lease]:
    """An answer in progress whose job the rogue holds."""
    await rogue.show()
    asked = {"n": n, "stop": "none", "aggregator": "vote", "background": True, "budget": {"seconds": 30}}
    response = await asyncio.to_thread(gateway.ask, **asked)
    assert response.status_code == 202, response.text
    return response.json()["id"], await rogue.lease()


GARBAGE = [
    b"\xff\xfe\x00 no text",
    b"[]",
    b'{"job_id": 1}',
    b'{"v":1,"job_id":"%s","answer_id":"%s","batch":"samples","worker":"w","samples":[{"index":-1}]}',
    b'{"v":1,"job_id":"%s","answer_id":"%s","batch":"samples","worker":"w","samples":[{"index":0,"text":"\\ud800"}]}',
    b'{"v":1,"job_id":"%s","answer_id":"%s","batch":"samples","worker":"w","samples":[{"index":0,"prompt_tokens":-5}]}',
    b'{"v":1,"job_id":"%s","answer_id":"%s","batch":"samples","worker":"w","samples":'
    b'[{"index":0,"text":"x","statistics":{"mean_logprob":NaN}}]}',
    b'{"v":1,"job_id":"%s","answer_id":"%s","batch":"samples","worker":"w","samples":'
    b'[{"index":0,"text":"x","statistics":{"mean_logprob":1e999}}]}',
    b'{"v":1,"job_id":"other","answer_id":"%s","batch":"samples","worker":"w","samples":[{"index":0,"text":"x"}]}',
]
"""Bad UTF-8, another schema, a negative index or count, half a character, numbers that are none, a foreign job."""


@pytest.mark.row(25)
async def test_row_25_garbage_in_the_inbox_is_refused_and_counted(bench: Bench, rogue: Rogue) -> None:
    """Whatever is written there, the answer is what its worker stored, and the gateway lives."""
    gateway = bench.gateway()
    answer_id, lease = await begun(gateway, rogue, 2)
    job_id = lease.job.job_id.encode()
    for body in GARBAGE:
        names = (job_id, answer_id.encode())[-body.count(b"%s") :] if b"%s" in body else ()
        await rogue.tell(answer_id, body % names if names else body)
    huge = json.loads(GARBAGE[-1] % answer_id.encode()) | {"job_id": lease.job.job_id}
    huge["samples"][0]["text"] = "x" * 50_000_000
    await rogue.tell(answer_id, json.dumps(huge).encode())
    assert await rogue.store(lease, (0, said(0, RIGHT)), (1, said(1, RIGHT)), done=True) == b"stored"
    answer = await asyncio.to_thread(gateway.final, answer_id)
    assert (answer["answer"], answer["candidates"][0]["samples"]) == ("42", [0, 1])
    refused = f"conclave_replies_refused_total {len(GARBAGE):.1f}"  # the last of them is read, and nobody's
    wait_until(lambda: refused in gateway.http.get("/metrics").text, "what cannot be read is counted", 5.0)


@pytest.mark.row(25)
async def test_row_25_garbage_that_was_stored_is_a_failed_sample_and_not_waited_for(bench: Bench, rogue: Rogue) -> None:
    """A worker that stores what nobody can read loses that sample; the others of its reply count, long before time."""
    gateway = bench.gateway()
    answer_id, lease = await begun(gateway, rogue, 4)
    good = [(index, said(index, RIGHT)) for index in (1, 2)]
    bad = [(0, '{"index":0,"text":"x","statistics":{"mean_logprob":NaN}}'), (3, '{"index":3,"completion_tokens":-1}')]
    assert await rogue.store(lease, *good, *bad, done=True) == b"stored"
    answer = await asyncio.to_thread(gateway.final, answer_id, 10.0)
    assert (answer["answer"], answer["candidates"][0]["samples"]) == ("42", [1, 2])
    counts = answer["usage"]["samples"]
    assert (counts["finished"], counts["failed"]) == (2, 2)


BABBLING = """
import runpy, sys
from workers.wire.messages import Sample

Sample.sent = lambda self: '{"index":%d,"completion_tokens":-5}' % self.index
sys.argv = ["workers", *sys.argv[1:]]
runpy.run_module("workers", run_name="__main__", alter_sys=True)
"""
"""A worker whose every sample nobody can read."""


@pytest.mark.row(25)
def test_row_25_a_worker_that_sends_only_garbage_is_shut_out(bench: Bench, tmp_path: Path) -> None:
    """After three replies it is given no more jobs and ends by itself; what it was given next another does."""
    gateway = bench.gateway()
    upstream = bench.upstream(texts=[RIGHT])
    babbling = changed_worker(bench, tmp_path, BABBLING, "--model", f"fake=openai:{upstream.url}")
    for _ in range(SHUT_OUT_REPLIES):
        failed = gateway.ask(n=2, stop="none", budget={"seconds": 10})
        assert (failed.status_code, failed.json()["code"]) == (502, "samples_failed")
    assert babbling.running
    answer_id = gateway.ask(n=2, stop="none", background=True, budget={"seconds": 60}).json()["id"]
    assert babbling.process.wait(20) == 3
    bench.worker(f"fake=openai:{upstream.url}")
    assert gateway.final(answer_id, 40.0)["answer"] == "42"
    assert upstream.stats.choices == 2 * (SHUT_OUT_REPLIES + 1)


@pytest.mark.row(26)
async def test_row_26_a_worker_cannot_vote_more_than_it_was_asked_to(bench: Bench, rogue: Rogue) -> None:
    """Foreign indices, replays, other jobs' ids, old fences and absurd weights: one vote for each index that it had."""
    gateway = bench.gateway()
    answer_id, lease = await begun(gateway, rogue, 3)
    extra = [(index, said(index, WRONG)) for index in (3, 4, 5, 63, 10**9)]
    assert await rogue.store(lease, (0, said(0, RIGHT)), *extra) == b"stored"
    assert await rogue.store(lease, (0, said(0, WRONG)), (0, said(0, WRONG))) == b"stored"
    assert await rogue.store(lease, (1, said(1, WRONG)), fence=lease.fence - 1) == b"fenced"
    assert await rogue.store(lease, (1, said(1, WRONG)), fence=lease.fence + 1) == b"fenced"
    reply = {"v": 1, "answer_id": answer_id, "batch": "samples", "worker": "w"}
    for job_id in (f"{answer_id}:samples:16", f"{answer_id}:samples:1", "none"):
        forged = reply | {"job_id": job_id, "samples": [{"index": index, "text": WRONG} for index in range(64)]}
        await rogue.tell(answer_id, json.dumps(forged).encode())
    heavy = {"mean_logprob": 1e308, "self_certainty": 1e308, "p_true": 1e308, "stated_confidence": 1e308}
    assert await rogue.store(lease, (1, said(1, WRONG, statistics=heavy)), (2, said(2, RIGHT)), done=True) == b"stored"
    assert await rogue.store(lease, (1, said(1, WRONG)), done=True) == b"fenced"
    answer = await asyncio.to_thread(gateway.final, answer_id)
    votes = {row["answer"]: row["samples"] for row in answer["candidates"]}
    assert (answer["answer"], votes) == ("42", {"42": [0, 2], "666": [1]})
    stored = bench.redis.hkeys(f"{bench.prefix}:{{0}}:samples:{answer_id}")
    assert sorted(stored) == [b"samples:0", b"samples:1", b"samples:2"]
    wait_until(lambda: metrics(gateway)["conclave_samples_requested_total", ""] == 3, "three were asked for", 5.0)
