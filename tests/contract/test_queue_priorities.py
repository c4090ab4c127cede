"""Two streams of one model on a real Redis server: what is true of one is true of both."""

import secrets

import pytest

from tests.contract.wire import GATEWAY, MODEL, Wire, drawn
from workers.wire.keys import GROUP, PRIORITIES, Priority
from workers.wire.lease import Stored
from workers.wire.messages import Job, Message


async def queued(wire: Wire, priority: Priority, answer: str | None = None) -> Job:
    """A job of an accepted answer, queued with a priority."""
    answer_id = answer or f"ans_{secrets.token_hex(12)}"
    await wire.raw.hset(wire.keys.answer(answer_id), mapping={"gateway": GATEWAY, "status": "in_progress"})
    await wire.raw.pexpire(wire.keys.answer(answer_id), 60_000)
    prompt = (Message(role="user", content="Why?"),)
    job = Job(job_id=f"{answer_id}:samples:0", answer_id=answer_id, model=MODEL, messages=prompt, first=0, last=2)
    await wire.dispatcher.submit([job], 30_000, priority)
    return job


async def entries(wire: Wire, shard: int) -> dict[Priority, int]:
    """How many entries are in each stream of a shard."""
    return {each: int(await wire.raw.xlen(wire.keys.stream(shard, MODEL, each))) for each in PRIORITIES}


async def test_each_priority_has_a_stream_and_its_jobs_come_from_there(wire: Wire) -> None:
    """A worker that reads one sees nothing of the other."""
    leases = await wire.worker("w1")
    jobs = {priority: await queued(wire, priority, "ans_same") for priority in PRIORITIES[:1]}
    shard = wire.keys.shard_of("ans_same")
    jobs["background"] = await queued(wire, "background", _on(wire, shard))
    assert await entries(wire, shard) == {"interactive": 1, "background": 1}
    for priority in PRIORITIES:
        (entry,) = await leases.take(shard, 4, priority)
        assert (entry.job, entry.priority) == (jobs[priority], priority)
        lease = await leases.lease(entry)
        assert lease is not None
        assert await leases.store(lease, drawn(0, 1), done=True) == (Stored.STORED, 2)
    assert await entries(wire, shard) == {"interactive": 0, "background": 0}


def _on(wire: Wire, shard: int) -> str:
    """An answer's id on that shard."""
    while wire.keys.shard_of(answer_id := f"ans_{secrets.token_hex(12)}") != shard:
        pass
    return answer_id


@pytest.mark.parametrize("how", ["given back", "reclaimed", "left", "pending"])
async def test_what_was_not_finished_comes_back_in_its_stream(wire: Wire, how: str) -> None:
    """By a drain, by a lease that ran out, by a worker that leaves, by one that comes back after a lost reply."""
    first, second = await wire.worker("w1"), await wire.worker("w2")
    job = await queued(wire, "background")
    shard = wire.keys.shard_of(job.answer_id)
    (entry,) = await first.take(shard, 1, "background")
    lease = await first.lease(entry)
    assert lease is not None
    if how == "reclaimed":
        assert await second.reclaim(shard, 0, 4) == ()
        found = await second.reclaim(shard, 0, 4, priority="background")
    elif how == "pending":
        found = await first.own_pending(shard, "background")
    else:
        assert await first.release(entry) if how == "given back" else await first.leave() is None
        found = await second.take(shard, 4, "background")
    assert [(each.job, each.priority) for each in found] == [(job, "background")]
    assert await wire.dispatcher.lost(job.answer_id, [job]) == ()
    assert (await wire.dispatcher.queue_state(MODEL, "background")).depth == 1


async def test_a_trimmed_background_job_is_found_lost_and_queued_again(wire: Wire) -> None:
    """In its own stream, whatever is in the other."""
    await wire.worker("w1")
    job = await queued(wire, "background")
    shard = wire.keys.shard_of(job.answer_id)
    await wire.raw.xtrim(wire.keys.stream(shard, MODEL), maxlen=0)
    assert await wire.dispatcher.lost(job.answer_id, [job]) == ()
    await wire.raw.xtrim(wire.keys.stream(shard, MODEL, "background"), maxlen=0, approximate=False)
    assert await wire.dispatcher.lost(job.answer_id, [job]) == (job,)
    await wire.dispatcher.submit([job], 30_000, "background")
    assert await wire.dispatcher.lost(job.answer_id, [job]) == ()
    assert await entries(wire, shard) == {"interactive": 0, "background": 1}


async def test_where_no_worker_knows_priorities_jobs_are_interactive(wire: Wire) -> None:
    """Workers one version older make and read only the one stream; so they get all."""
    job = await queued(wire, "background")
    shard = wire.keys.shard_of(job.answer_id)
    assert await entries(wire, shard) == {"interactive": 1, "background": 0}
    assert await wire.dispatcher.lost(job.answer_id, [job]) == ()
    leases = await wire.worker("w1")
    (entry,) = await leases.take(shard, 1)
    assert entry.job == job


async def test_a_lost_stream_is_made_again_by_joining(wire: Wire) -> None:
    """Each of the two, with its group; workers that are gone are struck off both."""
    leases, gone = await wire.worker("w1"), await wire.worker("w2")
    for priority in PRIORITIES:
        await wire.raw.delete(wire.keys.stream(0, MODEL, priority))
    await leases.join(0)
    for priority in PRIORITIES:
        stream = wire.keys.stream(0, MODEL, priority)
        for each in (leases, gone):
            assert await each.own_pending(0, priority) == ()
            await wire.raw.xgroup_createconsumer(stream, GROUP, "w2" if each is gone else "w1")
        assert await leases.sweep(0, -1, priority) == 1
        assert [each["name"] for each in await wire.raw.xinfo_consumers(stream, GROUP)] == [b"w1"]
        assert await wire.raw.pttl(stream) > 0
