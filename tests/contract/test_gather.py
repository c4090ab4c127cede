"""Drawing over a real queue: a cancellation at whatever moment leaves nothing running, and forgeries do not count."""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from redis.asyncio import Redis

from service.draws import Draw
from service.errors import StateLost
from service.gather import Line, Order, alike, gather_samples
from service.ledger import Ledger
from service.mailroom import Mailroom
from workers.metrics import WorkerMetrics
from workers.run_job import JobRun
from workers.wire.connection import blocking_client, close, command_client
from workers.wire.dispatch import Dispatcher, Inbox
from workers.wire.keys import Keys
from workers.wire.leases import Leases
from workers.wire.messages import ConfidenceCut, Job, Message, Reply, Sample, Sampling

PROMPT = (Message(role="user", content="Why?"),)
GATEWAY = "gate-1"


@dataclass
class Ends:
    """A gateway's line and a worker's leases on one queue."""

    redis: Redis
    keys: Keys
    line: Line
    leases: Leases

    async def accepted(self) -> str:
        """The id of an answer that the ledger knows."""
        answer_id = f"ans_{secrets.token_hex(12)}"
        await self.redis.hset(self.keys.answer(answer_id), mapping={"gateway": GATEWAY})  # type: ignore[misc]
        return answer_id

    def order(self, answer_id: str, seconds: float = 5.0, n: int = 2) -> Order:
        """An order of n samples."""
        return Order(
            answer_id=answer_id,
            batch="samples",
            n=n,
            deadline=time.monotonic() + seconds,
            draws=alike(Draw("fake", PROMPT, Sampling())),
        )

    def job(self, answer_id: str) -> Job:
        """A job of two samples."""
        return Job(
            job_id=f"{answer_id}:samples:0",
            answer_id=answer_id,
            model="fake",
            messages=PROMPT,
            sampling=Sampling(),
            first=0,
            last=2,
        )

    async def forget_jobs(self) -> None:
        """Deletes all job hashes."""
        async for name in self.redis.scan_iter(f"{self.keys.prefix}:*:job:*", count=1000):
            await self.redis.delete(name)

    async def states(self) -> list[bytes | None]:
        """The states of all job hashes."""
        names = [name async for name in self.redis.scan_iter(f"{self.keys.prefix}:*:job:*", count=1000)]
        return [await self.redis.hget(name, "state") for name in names]  # type: ignore[misc]

    async def queued(self, model: str) -> list[Job]:
        """The jobs in a model's stream."""
        entries = await self.redis.xrange(self.keys.stream(0, model))
        return [Job.model_validate_json(fields[b"job"]) for _, fields in entries]


@pytest.fixture
async def ends(redis_url: str) -> AsyncIterator[Ends]:
    """Both ends of a queue of its own."""
    client, blocking = command_client(redis_url), blocking_client(redis_url, 4)
    keys = Keys(f"gather-{secrets.token_hex(4)}")
    mailroom = Mailroom(Inbox(blocking, keys, GATEWAY), 1, lambda notice: None)
    mailroom.start()
    leases = Leases(client, blocking, keys, model="fake", worker="w1", samples_ttl_ms=60_000)
    await leases.join(0)
    stored = Ledger(client, keys, GATEWAY, 60).samples
    yield Ends(client, keys, Line(Dispatcher(client, keys), mailroom, 16, stored), leases)
    await mailroom.close()
    names = [name async for name in client.scan_iter(f"{keys.prefix}:*", count=1000)]
    await client.delete(*names)
    await close(client)
    await close(blocking)


async def cancelled(task: "asyncio.Task[Any]", steps: int) -> str:
    """Lets a task run for so many steps of the loop and cancels it once; what became of it."""
    for _ in range(steps):
        await asyncio.sleep(0)
    if not task.cancel():
        return "was done"
    await asyncio.wait({task}, timeout=0.5)
    if task.done():
        return "cancelled" if task.cancelled() else "ended as if it had not been"
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=0.05)
    return "went on"


async def test_a_cancelled_order_leaves_no_job_queued(ends: Ends) -> None:
    """Also where the cancellation comes while the jobs are being queued: it is not lost, and neither are the jobs."""
    outcomes = {}
    for steps in range(40):
        answer_id = await ends.accepted()
        outcomes[steps] = await cancelled(asyncio.create_task(gather_samples(ends.line, ends.order(answer_id))), steps)
        await asyncio.sleep(0.02)  # what was on its way to the server has arrived
        if b"queued" in await ends.states():
            outcomes[steps] += ", its job is queued"
        await ends.forget_jobs()
    assert {steps: outcome for steps, outcome in outcomes.items() if outcome != "cancelled"} == {}


class OneThenNever:
    """A backend whose second sample never comes."""

    name, provides, capacity_samples = "fake", frozenset(), 1

    def __init__(self) -> None:
        self.running = False

    async def sample(self, job: Job, indices: tuple[int, ...]) -> AsyncGenerator[Sample, None]:
        """One sample, then nothing."""
        self.running = True
        try:
            yield Sample(index=indices[0], text="42")
            await asyncio.Event().wait()
        finally:
            self.running = False


async def test_a_cancelled_run_stops_its_backend(ends: Ends) -> None:
    """Also where the cancellation comes while a sample is being stored: the backend is closed at once."""
    outcomes = {}
    for steps in range(1, 40):
        answer_id, backend = await ends.accepted(), OneThenNever()
        await ends.line.dispatcher.submit([ends.job(answer_id)], 30_000)
        (entry,) = await ends.leases.take(0, 1)
        lease = await ends.leases.lease(entry)
        assert lease is not None
        run = JobRun(lease, backend, ends.leases, WorkerMetrics("fake", "fake"), flush_s=0.0)  # type: ignore[arg-type]
        outcomes[steps] = await cancelled(asyncio.create_task(run.run()), steps)
        if backend.running:
            outcomes[steps] += ", its backend runs"
    assert {steps: outcome for steps, outcome in outcomes.items() if outcome != "cancelled"} == {}


async def test_an_order_takes_only_what_it_asked_for(ends: Ends) -> None:
    """Indices beyond the order, indices twice and other jobs' ids, however well formed, do not count."""
    answer_id = await ends.accepted()
    order = ends.order(answer_id)
    gathering = asyncio.create_task(gather_samples(ends.line, order))
    inbox = ends.keys.inbox(0, GATEWAY)

    def reply(
        job_id: str, *samples: tuple[int, str], answer: str = answer_id, batch: str = "samples"
    ) -> dict[str, str]:
        drawn = tuple(Sample(index=i, text=text) for i, text in samples)
        made = Reply(job_id=job_id, answer_id=answer, batch=batch, worker="w9", samples=drawn)
        return {"reply": made.model_dump_json()}

    mine = f"{answer_id}:samples:0"
    await asyncio.sleep(0.05)
    for forged in (
        reply(mine, (2, "beyond"), (99, "beyond")),
        reply("another job", (0, "forged")),
        reply(mine, (0, "forged"), answer="ans_other"),
        reply(mine, (0, "forged"), batch="call1"),
        reply(mine, (0, "first"), (0, "twice")),
        reply(mine, (0, "thrice"), (1, "second")),
    ):
        await ends.redis.xadd(inbox, forged)  # type: ignore[arg-type]
    gathered = await gathering
    assert {i: s.text for i, s in gathered.samples.items()} == {0: "first", 1: "second"}
    assert not gathered.timed_out


@pytest.mark.parametrize(("left_ms", "began_s"), [(4_700, 0.3), (9_999_999, 0.0), (-5, 0.5), (None, 0.5)])
async def test_when_a_worker_began_is_told_by_what_was_left(ends: Ends, left_ms: int | None, began_s: float) -> None:
    """An order of 5 s whose reply comes after 0.5 s: 4.7 s were left, so 0.3 s had passed. Nothing can have begun
    before the order or after the reply, whatever a worker says; one that says nothing began at the latest then."""
    answer_id = await ends.accepted()
    gathering = asyncio.create_task(gather_samples(ends.line, ends.order(answer_id, seconds=5.0)))
    await asyncio.sleep(0.5)
    drawn = (Sample(index=0, text="a"), Sample(index=1, text="b"))
    job_id = f"{answer_id}:samples:0"
    reply = Reply(
        job_id=job_id, answer_id=answer_id, batch="samples", worker="w9", left_ms=left_ms, samples=drawn
    ).model_dump_json()
    await ends.redis.xadd(ends.keys.inbox(0, GATEWAY), {"reply": reply})
    gathered = await gathering
    assert gathered.began_s == pytest.approx(began_s, abs=0.1)
    assert gathered.began_s <= gathered.total_s


async def test_an_order_ends_at_its_deadline_and_cancels_the_rest(ends: Ends) -> None:
    """No worker, no sample: it ends in time, says so, and leaves no job queued."""
    answer_id = await ends.accepted()
    started = time.monotonic()
    gathered = await gather_samples(ends.line, ends.order(answer_id, seconds=0.2))
    assert gathered.timed_out
    assert 0.2 <= time.monotonic() - started < 2.0  # 0.2 s, and what a busy machine adds
    assert await ends.states() == [b"cancelled"]


async def test_each_run_of_equal_draws_is_a_job_of_its_own_model(ends: Ends) -> None:
    """Three samples of one model, one of another, one of the first with other words: three jobs, in index order."""
    answer_id = await ends.accepted()
    seen: list[tuple[range, list[int]]] = []

    async def draws(wave, earlier) -> list[Draw]:
        seen.append((wave, sorted(earlier)))
        models = ["fake", "fake", "fake", "other", "fake"]
        said = [PROMPT] * 4 + [(Message(role="user", content="Why else?"),)]
        return [Draw(models[i], said[i], Sampling()) for i in wave]

    order = replace(ends.order(answer_id, seconds=0.2, n=5), draws=draws)
    gathered = await gather_samples(ends.line, order)
    assert gathered.timed_out
    assert seen == [(range(5), [])]
    jobs = [*await ends.queued("fake"), *await ends.queued("other")]
    assert sorted((job.first, job.last, job.model, job.messages[0].content) for job in jobs) == [
        (0, 3, "fake", PROMPT[0].content),
        (3, 4, "other", PROMPT[0].content),
        (4, 5, "fake", "Why else?"),
    ]


async def test_a_sample_that_came_in_time_is_kept_when_the_order_is_stopped(ends: Ends) -> None:
    """The predicate is asked after each arrival, and what it returns is how many samples count."""
    answer_id = await ends.accepted()
    order = ends.order(answer_id, n=3)
    seen: list[int] = []

    async def stops(samples, to_come: int) -> range | None:
        seen.append(to_come)
        return range(1) if to_come == 2 else None

    stopping = Order(**{name: getattr(order, name) for name in order.__slots__} | {"stops": stops})
    gathering = asyncio.create_task(gather_samples(ends.line, stopping))
    (entry,) = await ends.leases.take(0, 1)
    lease = await ends.leases.lease(entry)
    assert lease is not None
    await ends.leases.store(lease, [Sample(index=1, text="42")], done=False)
    gathered = await gathering
    assert (gathered.stopped, gathered.kept, sorted(gathered.samples), seen) == (True, range(1), [1], [2])
    assert await ends.states() == [b"cancelled"]


@pytest.mark.parametrize(
    ("blocks", "wave", "launched"),
    [((3, 5), None, [range(0, 3), range(3, 5), range(5, 6)]), ((5,), 4, [range(0, 4), range(4, 5), range(5, 6)])],
)
async def test_blocks_are_launched_one_after_the_other(ends: Ends, blocks, wave, launched) -> None:
    """No wave goes across a block's end, and one that is all there is not launched again."""
    answer_id = await ends.accepted()
    seen: list[range] = []

    async def draws(wave: range, earlier) -> list[Draw]:
        seen.append(wave)
        return [Draw("fake", PROMPT, Sampling())] * len(wave)

    async def recall(answer_id: str, batch: str) -> dict[int, Sample]:
        return {i: Sample(index=i, text="42") for i in range(there)}

    line = replace(ends.line, stored=recall, takes_over=True)
    for at, there in enumerate((0, *(wave.stop for wave in launched[:-1]))):  # noqa: B007  # `recall` reads it
        order = replace(ends.order(answer_id, seconds=0.1, n=6), draws=draws, ends=(*blocks, 6), wave=wave)
        assert (await gather_samples(line, order)).timed_out
        assert seen[-1] == launched[at]


async def test_the_predicate_is_asked_at_its_time_though_nothing_comes(ends: Ends) -> None:
    """And then no more until something does: the deadline ends the order all the same."""
    asked: list[int] = []

    async def stops(samples, to_come: int) -> range | None:
        asked.append(to_come)
        return range(2) if ends_it else None

    for ends_it, calls in ((False, [2]), (True, [2])):
        order = ends.order(await ends.accepted(), seconds=0.4)
        asked.clear()
        gathered = await gather_samples(ends.line, replace(order, stops=stops, ask_at=time.monotonic() + 0.1))
        assert (gathered.timed_out, gathered.stopped, asked) == (not ends_it, ends_it, calls)


@pytest.mark.parametrize(
    ("cut", "jobs"),
    [(None, [16, 16, 8]), (ConfidenceCut(bar=3.0), [16, 16, 8]), (ConfidenceCut(warmup=16), [40])],
    ids=["no cut", "a bar that is known", "a bar that the first samples set"],
)
async def test_samples_that_share_a_bar_are_one_job(ends: Ends, cut: ConfidenceCut | None, jobs: list[int]) -> None:
    """A job's bar is set by its own first samples: in several jobs each would draw a warm-up of its own."""
    draw = Draw("fake", PROMPT, Sampling(cut=cut))
    order = replace(ends.order(await ends.accepted(), n=40), draws=alike(draw))
    gathering = asyncio.create_task(gather_samples(ends.line, order))
    queued: list[Job] = []
    while sum(job.last - job.first for job in queued) < 40:
        for entry in await ends.leases.take(0, 16):
            lease = await ends.leases.lease(entry)
            assert lease is not None
            queued.append(lease.job)
    gathering.cancel()
    await asyncio.wait({gathering})
    assert sorted((job.last - job.first for job in queued), reverse=True) == jobs
    assert all(job.sampling.cut == cut for job in queued)


async def test_an_order_whose_answer_is_gone_says_so_at_once(ends: Ends) -> None:
    """A server that was flushed will never bring what is awaited: long before the deadline that is an error."""
    answer_id = await ends.accepted()
    started = time.monotonic()
    gathering = asyncio.create_task(gather_samples(ends.line, ends.order(answer_id, seconds=30.0)))
    await asyncio.sleep(0.1)
    await ends.redis.delete(ends.keys.answer(answer_id))
    with pytest.raises(StateLost):
        await gathering
    assert time.monotonic() - started < 10


async def test_a_job_that_was_lost_is_queued_again(ends: Ends) -> None:
    """Its entry was trimmed away: it is delivered anew, and each index counts once."""
    answer_id = await ends.accepted()
    gathering = asyncio.create_task(gather_samples(ends.line, ends.order(answer_id, seconds=30.0)))
    await asyncio.sleep(0.1)
    await ends.redis.xtrim(ends.keys.stream(0, "fake"), maxlen=0)
    entries = await ends.leases.take(0, 1) or await ends.leases.take(0, 1)
    lease = await ends.leases.lease(entries[0])
    assert lease is not None
    await ends.leases.store(lease, [Sample(index=i, text="42") for i in range(2)], done=True)
    gathered = await gathering
    assert (sorted(gathered.samples), gathered.timed_out) == ([0, 1], False)
    assert await ends.states() == []


async def test_what_was_stored_counts_though_its_reply_was_lost(ends: Ends) -> None:
    """The ledger has the samples and nobody says so: they are found, and the job is not drawn again."""
    answer_id = await ends.accepted()
    gathering = asyncio.create_task(gather_samples(ends.line, ends.order(answer_id, seconds=30.0)))
    await asyncio.sleep(0.1)
    for index in range(2):
        body = Sample(index=index, text="42").sent()
        await ends.redis.hset(ends.keys.samples(answer_id), f"samples:{index}", body)  # type: ignore[misc]
    await ends.redis.xtrim(ends.keys.stream(0, "fake"), maxlen=0)
    await ends.forget_jobs()
    gathered = await gathering
    assert (sorted(gathered.samples), gathered.timed_out) == ([0, 1], False)
    assert await ends.redis.xlen(ends.keys.stream(0, "fake")) == 0
