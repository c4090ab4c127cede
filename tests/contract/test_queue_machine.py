"""The queue and the ledger against a model: any order of steps, kills, stops and losses, on a real Redis server.

`make test` draws the same few dozen runs each time; `make machine` draws a thousand new ones.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule, run_state_machine_as_test

from service.embedded_redis import EmbeddedRedis
from tests.contract.queue_gateways import PICK, Hand, picked
from tests.contract.queue_workers import LEASE_MS, Workers
from workers.wire.connection import close, stream_entries
from workers.wire.keys import GROUP, PRIORITIES, Priority
from workers.wire.lease import LeaseState, Stored
from workers.wire.messages import Reply

FEW = 60
STEPS = 40

ENDLESS = """
local found = {}
for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
  if redis.call('PTTL', key) == -1 then found[#found + 1] = key end
end
return found
"""
"""The keys without a time to live."""


class Queue(Workers):
    """All rules, what holds after each, and a good end."""

    @rule(what=st.integers(0, 14), pick=PICK)
    def mishap(self, what: int, pick: int) -> None:
        """Now and then something dies or is lost; mostly there is only more to do."""
        if what in (0, 14):
            self.trim(PRIORITIES[pick % 2])
        elif what == 1:
            self.flush(scripts=pick % 2 == 0)
        elif what == 2 and self.going:
            self.run_out(pick)
        elif what in (3, 4):
            self.kill_gateway(pick)
        elif what in (5, 6):
            self.kill_worker(pick)
        else:
            self.submit(pick, [1 + pick % 3], PRIORITIES[pick // 3 % 2])

    def run_out(self, pick: int) -> None:
        """An answer's time is up: its jobs are still given out, to be failed."""
        for job in picked(self.going, pick).jobs:
            if job.state is not None:
                self.run(self.raw.hset(self.keys.job(job.answer.answer_id, job.job.job_id), "deadline", 1))
                job.expired = True

    def trim(self, priority: Priority) -> None:
        """Somebody cuts a stream off."""
        self.run(self.raw.xtrim(self.streams[priority], maxlen=0, approximate=False))
        for entry in self.model.entries:
            entry.there = entry.there and entry.priority != priority

    def flush(self, *, scripts: bool) -> None:
        """Redis loses everything, perhaps also the scripts; what is queued from then on is as good as ever."""
        self._hear()
        self.run(self.raw.flushall())
        if scripts:
            self.run(self.raw.script_flush())
        self.told.clear()
        self.model.flushed()
        for answer in self.model.answers.values():
            assert self.run(self.dispatcher.lost(answer.answer_id, [job.job for job in answer.jobs])) is None
        for hand in self.hands:
            self.run(hand.leases.join(0))

    def _hear(self) -> None:
        """Counts what gateways were told; each sample once."""
        for ledger in [*self.gateways, *self.former]:
            key = self.keys.inbox(0, ledger.gateway)
            for _, fields in stream_entries(self.run(self.raw.xread({key: "0"}, count=10_000))):
                reply = Reply.model_validate_json(fields[b"reply"])
                self.told.update((reply.answer_id, sample.index) for sample in reply.samples)
            self.run(self.raw.delete(key))
        assert all(count == 1 for count in self.told.values())

    # -- what holds always ----------------------------------------------------------------------------------------

    @invariant()
    def each_key_ends_by_itself(self) -> None:
        """Nothing is left for ever, whatever happens."""
        assert self.run(self.raw.eval(ENDLESS, 0, f"{self.keys.prefix}:*")) == []

    @invariant()
    def each_stream_holds_what_the_model_holds(self) -> None:
        """No entry is lost and none is there twice."""
        for priority, stream in self.streams.items():
            there = {name.decode() for name, _ in self.run(self.raw.xrange(stream))}
            assert there == {entry.name for entry in self.model.entries if entry.there and entry.priority == priority}
            pending = self.run(self.raw.xpending_range(stream, GROUP, "-", "+", 1_000))
            known = [(entry.name, entry.owner) for entry in self.model.pending(priority)]
            assert [(each["message_id"].decode(), each["consumer"].decode()) for each in pending] == known

    @invariant()
    def each_index_has_the_first_sample(self) -> None:
        """One effect for each index, whoever stored later."""
        for answer in self.model.answers.values():
            if answer.samples or not answer.known:
                stored = self.run(self.raw.hgetall(self.keys.samples(answer.answer_id)))
                texts = {int(name.split(b":")[1]): json.loads(body)["text"] for name, body in stored.items()}
                assert texts == answer.samples

    def teardown(self) -> None:
        """Nothing more goes wrong: every answer gets all its samples, or was cancelled, and nothing is left."""
        try:
            self._end_well()
        finally:
            self.run(self.raw.flushall())
            self.run(close(self.redis))
            self.run(close(self.blocking))
            self._loop.close()

    def _end_well(self) -> None:
        last = self._hand()
        for answer in self.going:
            self._mend(answer)
        self._age()
        for priority in PRIORITIES:
            self._work_off(last, priority)
        self._hear()
        for answer in self.going:
            if not answer.cancelled:
                all_of_it = set(range(answer.n))
                assert set(answer.samples) == all_of_it, "no sample is lost"
                assert {index for name, index in self.told if name == answer.answer_id} == all_of_it
            self._finish(answer, next(each for each in self.gateways if each.gateway == answer.gateway))
        self._nothing_is_left()

    def _work_off(self, last: Hand, priority: Priority) -> None:
        while taken := self.run(last.leases.reclaim(0, LEASE_MS, 100, 0, priority)):
            self._given(last, taken, self.model.reclaimed(last.name, 100, priority))
            self._work(last)
        self.model.reclaimed(last.name, 100, priority)
        while waiting := self.model.waiting(priority):
            self._given(last, self.run(last.leases.take(0, 100, priority)), waiting)
            for entry in waiting:
                self.model.delivered(entry, last.name)
            self._work(last)

    def _nothing_is_left(self) -> None:
        for stream in self.streams.values():
            assert self.run(self.raw.xlen(stream)) == 0
            assert self.run(self.raw.xpending(stream, GROUP))["pending"] == 0
        assert self._left("open:") == []
        jobs = [job for answer in self.model.answers.values() for job in answer.jobs]
        known = [self.keys.job(job.answer.answer_id, job.job.job_id) for job in jobs if job.state is not None]
        assert self._left("job:") == sorted(known)
        self.each_key_ends_by_itself()

    def _left(self, what: str) -> list[str]:
        return sorted(name.decode() for name in self.run(self.raw.keys(f"{self.keys.prefix}:*{what}*")))

    def _work(self, hand: Hand) -> None:
        while hand.entries:
            if (found := self._lease(hand, *hand.entries.pop())) is not None:
                assert found[0].state in (LeaseState.LEASED, LeaseState.EXPIRED, LeaseState.POISON)
                assert self._store(hand, *found, list(found[0].missing), done=True) is Stored.STORED


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """A server of its own, which is flushed again and again."""
    with EmbeddedRedis(tmp_path, extra=("--appendonly", "no")) as started:
        yield started


@pytest.mark.timeout(3600)
def test_the_queue_and_the_ledger_do_as_the_model_says(server: EmbeddedRedis) -> None:
    """At every step of every run, and at the end of it."""
    Queue.server = server
    given = settings()
    settled = settings(
        max_examples=FEW if given.derandomize else given.max_examples,
        stateful_step_count=STEPS,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Queue, settings=settled)
