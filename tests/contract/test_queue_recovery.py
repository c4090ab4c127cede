"""The queue on a real Redis server: what is given back, taken over, lost, given up, or of another version."""

import asyncio
import json
import secrets
from types import SimpleNamespace
from typing import Any

import pytest

from tests.contract.wire import GATEWAY, MODEL, Wire, drawn
from workers.metrics import WorkerMetrics
from workers.run_job import JobRun
from workers.wire.dispatch import Inbox
from workers.wire.keys import GROUP
from workers.wire.lease import MAX_DELIVERIES, SHUT_OUT_REPLIES, LeaseState, Renewal, Stored
from workers.wire.messages import Job, Message, Reply, WorkerCard


async def test_a_job_that_was_leased_three_times_in_vain_is_poison(wire: Wire) -> None:
    """The fourth lease is for failing its samples, not for drawing them; the third is a suspect's."""
    job = await wire.submit()
    leases = await wire.worker("w1")
    entry = await wire.taken(leases, job)
    found = [await leases.lease(entry) for _ in range(MAX_DELIVERIES)]
    assert [(lease.state, lease.suspect) for lease in found if lease] == [
        (LeaseState.LEASED, False),
        (LeaseState.LEASED, False),
        (LeaseState.LEASED, True),
    ]
    waiting = await leases.lease(entry)
    assert waiting is not None
    assert waiting.suspect, "a suspect that has not begun to run has not ended its worker"
    assert found[-1] is not None
    assert not await leases.begin(found[-1]), "the older lease counts nothing"
    assert await leases.begin(waiting)
    poison = await leases.lease(entry)
    assert poison is not None
    assert (poison.state, poison.deliveries, poison.owner) == (LeaseState.POISON, MAX_DELIVERIES, "w1")


async def test_poison_is_noted_once_with_its_reason(wire: Wire) -> None:
    """In a stream that ends by itself, with a digest of what was asked for and not with the prompt."""
    job = await wire.submit()
    leases = await wire.worker("w1")
    lease = await wire.leased(leases, job)
    for _ in range(2):
        await leases.quarantine(lease, "three workers died of it")
    key = wire.keys.quarantine(wire.keys.shard_of(job.answer_id))
    ((_, fields),) = await wire.raw.xrange(key)
    assert (fields[b"job"].decode(), fields[b"reason"]) == (job.job_id, b"three workers died of it")
    assert len(fields[b"sha256"]) == 64
    assert "Why?" not in str(fields)
    assert await wire.raw.pttl(key) > 0


async def test_what_a_worker_gives_back_is_there_for_others_at_once(wire: Wire) -> None:
    """However often: a delivery that is taken back counts for nothing, and the one who gave it back stores no more."""
    job = await wire.submit()
    shard = wire.keys.shard_of(job.answer_id)
    for turn in range(2 * MAX_DELIVERIES):
        leases = await wire.worker(f"w{turn}")
        lease = await wire.leased(leases, job)
        assert (lease.state, lease.suspect) == (LeaseState.LEASED, False)
        assert await leases.release(lease.entry, uncounted=1)
        assert not await leases.release(lease.entry, uncounted=1)
        assert await leases.store(lease, drawn(0), done=True) == (Stored.FENCED, 0)
        assert await wire.left(shard) == (1, 0)
    assert await wire.dispatcher.lost(job.answer_id, [job]) == ()


async def test_a_job_that_was_taken_over_while_it_waited_is_not_leased(wire: Wire) -> None:
    """Its new owner is not disturbed."""
    job = await wire.submit()
    first, second = await wire.worker("w1"), await wire.worker("w2")
    entry = await wire.taken(first, job)
    await asyncio.sleep(0.03)
    (taken,) = await second.reclaim(wire.keys.shard_of(job.answer_id), 20, 8)
    lease = await second.lease(taken)
    assert lease is not None
    assert await first.lease(entry) is None
    assert await second.store(lease, drawn(0, 1), done=True) == (Stored.STORED, 2)


async def test_only_the_jobs_own_indices_are_stored(wire: Wire) -> None:
    """A worker that stores another job's sample would keep its owner's from counting."""
    job = await wire.submit(n=2)
    leases = await wire.worker("w1")
    lease = await wire.leased(leases, job)
    assert await leases.store(lease, drawn(1, 2, 7), done=False) == (Stored.STORED, 1)
    assert set(await wire.raw.hkeys(wire.keys.samples(job.answer_id))) == {b"samples:1"}


async def test_a_job_whose_entry_or_hash_is_gone_is_lost_and_can_be_queued_again(wire: Wire) -> None:
    """And a server that knows nothing of the answer says so."""
    job = await wire.submit()
    shard = wire.keys.shard_of(job.answer_id)
    assert await wire.dispatcher.lost(job.answer_id, [job]) == ()
    await wire.raw.xtrim(wire.keys.stream(shard, MODEL), maxlen=0)
    assert await wire.dispatcher.lost(job.answer_id, [job]) == (job,)
    await wire.dispatcher.submit([job], 30_000)
    assert await wire.dispatcher.lost(job.answer_id, [job]) == ()
    await wire.raw.delete(wire.keys.job(job.answer_id, job.job_id))
    assert await wire.dispatcher.lost(job.answer_id, [job]) == (job,)
    await wire.raw.delete(wire.keys.answer(job.answer_id))
    assert await wire.dispatcher.lost(job.answer_id, [job]) is None


async def test_a_trimmed_entry_does_not_stay_pending(wire: Wire) -> None:
    """It is acknowledged and counted; the others are taken over all the same."""
    lost, kept = await wire.submit(), None
    shard = wire.keys.shard_of(lost.answer_id)
    first, second = await wire.worker("w1"), await wire.worker("w2")
    await wire.leased(first, lost)
    await wire.raw.xtrim(wire.keys.stream(shard, MODEL), maxlen=0)
    while kept is None or wire.keys.shard_of(kept.answer_id) != shard:
        kept = await wire.submit()
    await wire.leased(first, kept)
    await asyncio.sleep(0.03)
    (entry,) = await second.reclaim(shard, 20, 8)
    assert entry.job == kept
    assert await wire.pending(shard) == 1
    assert (second.take_trimmed(), second.take_trimmed()) == (1, 0)


async def test_a_lease_is_looked_at_twice_before_it_is_taken_over(wire: Wire) -> None:
    """After Redis itself was silent every lease has run out: who renews it in the time of grace keeps it."""
    job = await wire.submit()
    first, second = await wire.worker("w1"), await wire.worker("w2")
    lease = await wire.leased(first, job)
    await asyncio.sleep(0.12)
    reclaiming = asyncio.create_task(second.reclaim(wire.keys.shard_of(job.answer_id), 100, 8, grace_ms=60))
    await asyncio.sleep(0.03)
    assert await first.renew(lease) is Renewal.HELD
    assert await reclaiming == ()


async def test_all_own_pending_entries_are_read_however_many(wire: Wire) -> None:
    """More than one page of them."""
    leases = await wire.worker("w1")
    count = 150
    for _ in range(count):
        await wire.submit()
    found = 0
    for shard in leases.shards:
        stream = wire.keys.stream(shard, MODEL)
        await wire.raw.xreadgroup(GROUP, "w1", {stream: ">"}, count=count)
        found += len(await leases.own_pending(shard))
    assert found == count


async def test_only_workers_that_are_gone_and_hold_nothing_are_swept(wire: Wire) -> None:
    """Who shows a card, who holds an entry, and who sweeps stays."""
    job = await wire.submit()
    shard = wire.keys.shard_of(job.answer_id)
    stream = wire.keys.stream(shard, MODEL)
    sweeper, holds, lives, _ = [await wire.worker(name) for name in ("w1", "w2", "w3", "w4")]
    for name in ("w1", "w3", "w4"):
        await wire.raw.xgroup_createconsumer(stream, GROUP, name)
    await wire.taken(holds, job)
    await lives.show(WorkerCard(worker="w3", model=MODEL, backend="fake", capacity_samples=1), 5_000)
    await asyncio.sleep(0.03)
    assert await sweeper.sweep(shard, 20) == 1
    left = {each["name"] for each in await wire.raw.xinfo_consumers(stream, GROUP)}
    assert left == {b"w1", b"w2", b"w3"}


@pytest.mark.parametrize(
    ("changed", "read"),
    [({"v": 2}, True), ({"v": 0}, True), ({"v": 3}, False), ({"v": 2, "novel": 1}, False)],
    ids=["a version newer", "a version older", "two versions newer", "what only a newer one knows"],
)
async def test_a_job_of_another_wire_version_is_read_or_refused_with_the_reason(
    wire: Wire, changed: dict[str, int], read: bool
) -> None:
    """One version apart is read as long as it says nothing that is not known here; what is not read still ends."""
    job = await wire.submit()
    shard = wire.keys.shard_of(job.answer_id)
    stream = wire.keys.stream(shard, MODEL)
    ((name, fields),) = await wire.raw.xrange(stream)
    await wire.raw.xdel(stream, name)
    fields[b"job"] = json.dumps(json.loads(fields[b"job"]) | changed)
    fields[b"v"] = str(changed["v"])
    await wire.raw.xadd(stream, fields)
    leases = await wire.worker("w1")
    (entry,) = await leases.take(shard, 1)
    assert (entry.refused is None) is read
    lease = await leases.lease(entry)
    assert lease is not None
    if not read:
        assert f"version {changed['v']}" in str(entry.refused)
        run = JobRun(lease, None, leases, WorkerMetrics(MODEL, "fake"), 0.0)  # type: ignore[arg-type]
        assert await run.run() == "refused"
        (reply,) = await wire.messages(shard, 1)
        assert isinstance(reply, Reply)
        assert [(s.index, s.failure and s.failure.kind.value) for s in reply.samples] == [
            (0, "wire_version"),
            (1, "wire_version"),
        ]
        assert await wire.left(shard) == (0, 0)


def test_what_stands_at_its_default_is_not_sent() -> None:
    """So that an older process reads what a newer one sends, as long as nothing new is asked for."""
    job = Job(job_id="j", answer_id="a", model="m", messages=(Message(role="user", content="Why?"),), first=0, last=1)
    assert set(json.loads(job.sent())) == {"v", "job_id", "answer_id", "model", "messages", "first", "last"}
    assert Job.model_validate_json(job.sent()) == job


async def test_a_worker_whose_replies_nobody_can_read_is_given_no_more_jobs(wire: Wire) -> None:
    """Its lease says whose they are. What comes to it goes on to another at no cost; in time it may try again."""
    broken, good = await wire.worker("w1"), await wire.worker("w2")
    ids = (f"ans_{secrets.token_hex(12)}" for _ in range(200))
    names = [answer_id for answer_id in ids if wire.keys.shard_of(answer_id) == 0]
    inbox = Inbox(wire.blocking, wire.keys, GATEWAY).read(0)
    unreadable: Any = SimpleNamespace(index=0, sent=lambda: '{"index":-1}')
    for count in range(1, SHUT_OUT_REPLIES + 1):
        assert not broken.shut_out
        lease = await wire.leased(broken, await wire.submit(answer=names.pop()))
        assert await broken.store(lease, [unreadable], done=True) == (Stored.STORED, 1)
        bystander = await wire.leased(good, await wire.submit(answer=names.pop()))
        await good.store(bystander, drawn(0, 1), done=True)
        async with asyncio.timeout(5):
            assert (await anext(inbox)).answer_id == bystander.job.answer_id
        assert int(await wire.raw.get(wire.keys.refused(0, "w1"))) == count
    job = await wire.submit(answer=names.pop())
    assert await broken.lease(await wire.taken(broken, job)) is None
    assert broken.shut_out
    lease = await wire.leased(good, job)
    assert (lease.state, lease.deliveries, lease.missing) == (LeaseState.LEASED, 0, (0, 1))
    assert not good.shut_out
    await good.store(lease, drawn(0, 1), done=True)
    assert await wire.left(0) == (0, 0)
    assert await wire.raw.pttl(wire.keys.refused(0, "w1")) > 0
    await wire.raw.delete(wire.keys.refused(0, "w1"))
    assert (await wire.leased(broken, await wire.submit(answer=names.pop()))).state is LeaseState.LEASED


async def test_a_copy_of_an_entry_is_dropped_and_takes_no_lease_away(wire: Wire) -> None:
    """Whether the job's own entry is leased or waits; where that is gone, the copy is the job's from then on."""
    first, second = await wire.worker("w1"), await wire.worker("w2")
    job = await wire.submit()
    shard = wire.keys.shard_of(job.answer_id)
    stream = wire.keys.stream(shard, MODEL)
    ((_, fields),) = await wire.raw.xrange(stream)
    lease = await wire.leased(first, job)
    for _ in range(3):
        await wire.raw.xadd(stream, fields)
    assert await second.lease(await wire.taken(second, job)) is None
    assert await second.release(await wire.taken(second, job))
    assert await wire.left(shard) == (2, 1)
    assert await first.renew(lease) is Renewal.HELD
    assert await first.release(lease.entry)
    assert await second.lease(await wire.taken(second, job)) is None, "the one given back waits behind it"
    given_back = await wire.leased(second, job)
    assert (given_back.fence, given_back.deliveries) == (lease.fence + 2, 1)
    await wire.raw.xadd(stream, fields)
    await wire.raw.xdel(stream, given_back.entry.entry_id)
    own_now = await wire.leased(first, job)
    assert (own_now.state, own_now.fence) == (LeaseState.LEASED, given_back.fence + 1)
    await first.store(own_now, drawn(0, 1), done=True)
    assert not await wire.raw.exists(wire.keys.job(job.answer_id, job.job_id))
