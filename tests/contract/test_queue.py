"""The queue between the processes, on a real Redis server: every step of a job's life."""

import asyncio
import json

import pytest

from tests.contract.wire import GATEWAY, MODEL, Wire, drawn
from workers.wire.dispatch import Inbox, Notice
from workers.wire.keys import GROUP, Keys
from workers.wire.lease import MAX_DELIVERIES, LeaseState, Renewal, Stored
from workers.wire.messages import Reply, Sample, SampleStatistics, WorkerCard


async def test_a_job_is_delivered_leased_stored_and_gone(wire: Wire) -> None:
    """The whole way: the gateway hears of the samples, and neither entry, pending entry nor job hash remains."""
    job = await wire.submit()
    lease = await wire.leased(await wire.worker("w1"), job)
    assert (lease.state, lease.fence, lease.missing) == (LeaseState.LEASED, 1, (0, 1))
    assert 0 < lease.left_ms <= 30_000
    shard = wire.keys.shard_of(job.answer_id)
    leases = await wire.worker("w1")
    assert await leases.store(lease, drawn(0), done=False) == (Stored.STORED, 1)
    assert await wire.left(shard) == (1, 1)
    assert await leases.store(lease, drawn(1), done=True) == (Stored.STORED, 1)
    assert await wire.left(shard) == (0, 0)
    replies = await wire.messages(shard, 2)
    assert [[s.index for s in r.samples] for r in replies if isinstance(r, Reply)] == [[0], [1]]
    assert not await wire.raw.exists(wire.keys.job(job.answer_id, job.job_id))


async def test_after_all_is_done_every_key_that_is_left_ends_by_itself(wire: Wire) -> None:
    """The streams of jobs are empty."""
    leases = await wire.worker("w1")
    await leases.show(WorkerCard(worker="w1", model=MODEL, backend="fake", capacity_samples=1), 5_000)
    for _ in range(6):
        job = await wire.submit()
        await leases.store(await wire.leased(leases, job), drawn(0, 1), done=True)
        await wire.dispatcher.notify(GATEWAY, Notice(answer_id=job.answer_id, event="cancel"))
    cancelled = await wire.submit()
    await wire.dispatcher.cancel(cancelled.answer_id, [cancelled.job_id])
    assert await leases.lease(await wire.taken(leases, cancelled)) is None
    async for raw in wire.redis.scan_iter(f"{wire.keys.prefix}:*", count=1000):
        name = raw.decode()
        assert ":job:" not in name
        if ":jobs:" in name or ":background:" in name:
            assert await wire.raw.xlen(name) == 0
        assert await wire.raw.pttl(name) > 0, name
    for shard in range(wire.keys.shards):
        assert await wire.left(shard) == (0, 0)


async def test_an_index_counts_once(wire: Wire) -> None:
    """What was stored first stays, and the gateway hears of each index once."""
    job = await wire.submit(n=3)
    leases = await wire.worker("w1")
    lease = await wire.leased(leases, job)
    assert await leases.store(lease, drawn(0, 1), done=False) == (Stored.STORED, 2)
    again = await leases.lease(lease.entry)
    assert again is not None
    assert again.missing == (2,)
    assert await leases.store(again, drawn(0, 1, 2, text="another"), done=True) == (Stored.STORED, 1)
    replies = await wire.messages(wire.keys.shard_of(job.answer_id), 2)
    assert [s.index for r in replies if isinstance(r, Reply) for s in r.samples] == [0, 1, 2]
    stored = await wire.raw.hgetall(wire.keys.samples(job.answer_id))
    texts = {field.decode(): json.loads(body)["text"] for field, body in stored.items()}
    assert texts == {"samples:0": "The answer is 42.", "samples:1": "The answer is 42.", "samples:2": "another"}


async def test_a_stale_fence_is_refused(wire: Wire) -> None:
    """The lease taken last is the one that counts; the older one stores, renews and acknowledges nothing."""
    job = await wire.submit()
    first, second = await wire.worker("w1"), await wire.worker("w2")
    old = await wire.leased(first, job)
    shard = wire.keys.shard_of(job.answer_id)
    await asyncio.sleep(0.03)
    (entry,) = await second.reclaim(shard, 20, 8)
    new = await second.lease(entry)
    assert new is not None
    assert new.fence == old.fence + 1
    assert await first.store(old, drawn(0, 1), done=True) == (Stored.FENCED, 0)
    assert await first.renew(old) is Renewal.LOST
    assert await wire.left(shard) == (1, 1)
    assert await second.renew(new) is Renewal.HELD
    assert await second.store(new, drawn(0, 1), done=True) == (Stored.STORED, 2)
    assert await first.store(old, drawn(0, 1), done=True) == (Stored.FENCED, 0)
    assert await wire.left(shard) == (0, 0)


async def test_a_cancelled_job_is_acknowledged_at_its_lease(wire: Wire) -> None:
    """Cancelled before it was delivered: no lease, and nothing of it remains."""
    job = await wire.submit()
    assert await wire.dispatcher.cancel(job.answer_id, [job.job_id, "no-such-job"]) == 1
    leases = await wire.worker("w1")
    assert await leases.lease(await wire.taken(leases, job)) is None
    assert await wire.left(wire.keys.shard_of(job.answer_id)) == (0, 0)
    assert not await wire.raw.exists(wire.keys.job(job.answer_id, job.job_id))


async def test_a_cancelled_job_is_never_stored(wire: Wire) -> None:
    """Cancelled while it ran: renewal says so, the result is thrown away and the entry is acknowledged."""
    job = await wire.submit()
    leases = await wire.worker("w1")
    lease = await wire.leased(leases, job)
    await wire.dispatcher.cancel(job.answer_id, [job.job_id])
    assert await leases.renew(lease) is Renewal.CANCELLED
    assert await leases.store(lease, drawn(0, 1), done=True) == (Stored.CANCELLED, 0)
    assert not await wire.raw.exists(wire.keys.samples(job.answer_id))
    assert await wire.left(wire.keys.shard_of(job.answer_id)) == (0, 0)
    assert not await wire.raw.exists(wire.keys.job(job.answer_id, job.job_id))


async def test_cancelling_tells_the_workers(wire: Wire) -> None:
    """The job's id is published, so that a worker need not wait for its next renewal."""
    job = await wire.submit()
    async with wire.raw.pubsub() as heard:
        await heard.subscribe(wire.keys.cancel_channel)
        assert (await heard.get_message(timeout=5.0))["type"] == "subscribe"
        await wire.dispatcher.cancel(job.answer_id, [job.job_id])
        message = await heard.get_message(timeout=5.0)
    assert message["data"].decode() == job.job_id


async def test_a_job_whose_time_is_up_is_leased_as_expired(wire: Wire) -> None:
    """The deadline is Redis time: an expired job is failed, not drawn."""
    job = await wire.submit(budget_ms=1)
    await asyncio.sleep(0.01)
    lease = await wire.leased(await wire.worker("w1"), job)
    assert lease.state is LeaseState.EXPIRED
    assert lease.left_ms <= 0


@pytest.mark.parametrize("body", [b"\xff\xfe", b"{}", b'{"v":2}', b"null", b""])
async def test_an_unreadable_entry_is_dropped(wire: Wire, body: bytes) -> None:
    """Garbage in the stream is acknowledged and deleted, so that it is not delivered for ever."""
    leases = await wire.worker("w1")
    await wire.raw.xadd(wire.keys.stream(0, MODEL), {"job": body})
    (entry,) = await leases.take(0, 1)
    assert entry.job is None
    assert await leases.lease(entry) is None
    assert await wire.left(0) == (0, 0)


async def test_an_entry_whose_job_is_gone_is_dropped(wire: Wire) -> None:
    """Without its hash (its time to live is over) a job is not drawn."""
    job = await wire.submit()
    await wire.raw.delete(wire.keys.job(job.answer_id, job.job_id))
    leases = await wire.worker("w1")
    assert await leases.lease(await wire.taken(leases, job)) is None
    assert await wire.left(wire.keys.shard_of(job.answer_id)) == (0, 0)


async def test_an_entry_whose_delivery_was_lost_is_found_as_own_pending(wire: Wire) -> None:
    """What was delivered while the connection broke is read again from the own pending list, and only there."""
    job = await wire.submit()
    leases = await wire.worker("w1")
    stream = wire.keys.stream(shard := wire.keys.shard_of(job.answer_id), MODEL)
    await wire.raw.xreadgroup(GROUP, "w1", {stream: ">"}, count=1)
    (entry,) = await leases.own_pending(shard)
    assert entry.job == job
    assert await (await wire.worker("w2")).own_pending(shard) == ()


async def test_only_an_idle_entry_is_taken_over(wire: Wire) -> None:
    """Renewal keeps an entry with its owner; without it another worker takes over."""
    job = await wire.submit()
    first, second = await wire.worker("w1"), await wire.worker("w2")
    lease = await wire.leased(first, job)
    shard = wire.keys.shard_of(job.answer_id)
    assert await second.reclaim(shard, 10_000, 8) == ()
    await asyncio.sleep(0.12)
    assert await first.renew(lease) is Renewal.HELD
    assert await second.reclaim(shard, 100, 8) == ()
    await asyncio.sleep(0.12)
    (entry,) = await second.reclaim(shard, 100, 8)
    assert entry.job == job


async def test_renewal_is_no_delivery(wire: Wire) -> None:
    """However long a job runs, renewing it does not bring it nearer to quarantine."""
    job = await wire.submit()
    leases = await wire.worker("w1")
    lease = await wire.leased(leases, job)
    for _ in range(2 * MAX_DELIVERIES):
        assert await leases.renew(lease) is Renewal.HELD
    again = await leases.lease(lease.entry)
    assert again is not None
    assert again.state is LeaseState.LEASED


async def test_joining_again_after_the_data_are_gone_finds_what_was_queued(wire: Wire) -> None:
    """The group is made from 0, so that what was queued before it is delivered; joining twice changes nothing."""
    job = await wire.submit()
    leases = await wire.worker("w1")
    await wire.worker("w1")
    assert (await wire.taken(leases, job)).job == job


async def test_a_worker_that_leaves_gives_its_pending_entries_back(wire: Wire) -> None:
    """Deleting its name with entries pending would drop them for ever."""
    job = await wire.submit()
    first, second = await wire.worker("w1"), await wire.worker("w2")
    await wire.taken(first, job)
    await first.leave()
    await second.leave()
    shard = wire.keys.shard_of(job.answer_id)
    assert await wire.left(shard) == (1, 0)
    assert await wire.raw.xinfo_consumers(wire.keys.stream(shard, MODEL), GROUP) == []
    assert (await wire.taken(await wire.worker("w3"), job)).job == job


async def test_cards_show_the_live_workers_and_their_models(wire: Wire) -> None:
    """A card is there until its time is over or its worker leaves; the model stays known."""
    leases = await wire.worker("w1")
    card = WorkerCard(worker="w1", model=MODEL, backend="fake", capacity_samples=4)
    await leases.show(card, 5_000)
    assert await wire.dispatcher.cards() == (card,)
    await wire.raw.set(wire.keys.card("w1"), b"\xff not a card", px=5_000)
    assert await wire.dispatcher.cards() == ()
    await leases.leave()
    assert await wire.dispatcher.cards() == ()
    assert await wire.dispatcher.models_seen() == {MODEL}


async def test_the_queues_state_counts_depth_and_pending(wire: Wire) -> None:
    """Depth counts queued and leased jobs over all shards, pending the leased ones."""
    assert (await wire.dispatcher.queue_state(MODEL)).oldest_ms is None
    jobs = [await wire.submit() for _ in range(5)]
    await wire.leased(await wire.worker("w1"), jobs[0]) if wire.keys.shards == 1 else None
    state = await wire.dispatcher.queue_state(MODEL)
    assert (state.depth, state.pending) == (5, 1 if wire.keys.shards == 1 else 0)
    assert state.oldest_ms is not None


GOOD = Reply(job_id="j", answer_id="a", batch="samples", worker="w", samples=(Sample(index=0, text="good"),))
BAD = {
    "bad UTF-8": b'{"v":1,"text":"\xff\xfe"}',
    "no JSON": b"hello",
    "empty": b"",
    "no object": b"[1,2]",
    "another version": GOOD.model_dump_json().replace('"v":1', '"v":3').encode(),
    "unknown field": GOOD.model_dump_json().replace('"v":1', '"v":1,"weight":1e308').encode(),
    "missing field": GOOD.model_dump_json(exclude={"answer_id"}).encode(),
    "negative index": GOOD.model_dump_json().replace('"index":0', '"index":-1').encode(),
    "negative count": GOOD.model_dump_json().replace('"prompt_tokens":0', '"prompt_tokens":-5').encode(),
    "NaN": GOOD.model_dump_json().replace('"mean_logprob":null', '"mean_logprob":NaN').encode(),
    "infinity": GOOD.model_dump_json().replace('"entropy":null', '"entropy":Infinity').encode(),
    "too long a text": GOOD.model_dump_json().replace("good", "x" * 1_000_001).encode(),
    "deeply nested": b'{"v":' + b"[" * 5_000 + b"]" * 5_000 + b"}",
}


async def test_the_inbox_refuses_garbage_and_goes_on(wire: Wire) -> None:
    """Whatever a broken or malicious worker sends is counted and dropped; the good reply behind it arrives."""
    key = wire.keys.inbox(0, GATEWAY)
    for body in BAD.values():
        assert body != GOOD.model_dump_json().encode()
        await wire.raw.xadd(key, {"reply": body})
    await wire.raw.xadd(key, {"notice": b'{"answer_id": 1}'})
    await wire.raw.xadd(key, {"other": b"field"})
    await wire.raw.xadd(key, {"reply": GOOD.model_dump_json()})
    refused: list[None] = []
    inbox = Inbox(wire.blocking, wire.keys, GATEWAY, lambda: refused.append(None))
    async with asyncio.timeout(5):
        assert await anext(aiter(inbox.read(0))) == GOOD
    assert len(refused) == len(BAD) + 2


def test_no_statistic_can_be_infinite_or_undefined() -> None:
    """A sample with such a number cannot even be made by an honest worker."""
    for value in (float("nan"), float("inf"), float("-inf")):
        with pytest.raises(ValueError, match="finite"):
            SampleStatistics(self_certainty=value)


def test_a_key_of_an_answer_lies_in_its_shard() -> None:
    """All that one script touches carries one hash tag, so that it works on a cluster."""
    keys = Keys("p", 4)
    for answer in (f"ans_{i:024x}" for i in range(32)):
        tag = f"p:{{{keys.shard_of(answer)}}}:"
        named = (
            keys.job(answer, "j"),
            keys.answer(answer),
            keys.samples(answer),
            keys.inbox_prefix(keys.shard_of(answer)),
            keys.refused(keys.shard_of(answer), "w"),
        )
        assert all(name.startswith(tag) for name in named)
