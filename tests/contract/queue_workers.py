"""The state machine's workers: they take, lease, store, give back and take over, are killed and stopped."""

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.contract.queue_gateways import PICK, PRIORITY, Gateways, Hand, picked
from tests.contract.queue_model import ModelEntry, ModelLease
from workers.wire.keys import GROUP, PRIORITIES, Priority
from workers.wire.lease import Entry, Lease, Renewal, Stored
from workers.wire.messages import Sample

LEASE_MS = 30_000
AGE_MS = 60_000


class Workers(Gateways):
    """The workers' rules, and the time that their leases take."""

    @precondition(lambda self: self.awake and self.waiting)
    @rule(pick=PICK, count=st.integers(1, 3), at_once=st.integers(0, 3))
    def deliver(self, pick: int, count: int, at_once: int) -> None:
        """New entries come in their order, and mostly are leased at once."""
        hand = picked(self.awake, pick)
        priority = picked(self.waiting, pick)
        wanted = self.model.waiting(priority)[:count]
        self._given(hand, self.run(hand.leases.take(0, count, priority)), wanted)
        for entry in wanted:
            self.model.delivered(entry, hand.name)
        if at_once:
            self._lease_all(hand)

    def _lease_all(self, hand: Hand) -> None:
        while hand.entries:
            self._lease(hand, *hand.entries.pop())

    def _given(self, hand: Hand, found: tuple[Entry, ...], wanted: list[ModelEntry]) -> None:
        assert [entry.entry_id for entry in found] == [entry.name for entry in wanted]
        assert [entry.job for entry in found] == [entry.job.job for entry in wanted]
        assert [entry.priority for entry in found] == [entry.priority for entry in wanted]
        hand.entries += zip(found, wanted, strict=True)

    @precondition(lambda self: self.holding_entries)
    @rule(pick=PICK)
    def lease(self, pick: int) -> None:
        """A worker leases what was delivered to it."""
        hand, at = picked(self.holding_entries, pick)
        self._lease(hand, *hand.entries.pop(at))

    def _lease(self, hand: Hand, entry: Entry, known: ModelEntry) -> tuple[Lease, ModelLease] | None:
        cancelled, missing = known.job.refused or known.job.state is None, known.job.missing
        state, expected = self.model.lease(known, hand.name)
        lease = self.run(hand.leases.lease(entry))
        if state is None:
            assert lease is None
            return None
        assert lease is not None
        assert not cancelled, "cancelled work is never given out"
        assert (lease.state, lease.fence, lease.missing) == (state, expected.fence, missing)
        hand.held.append((lease, expected))
        if lease.suspect:
            assert self.run(hand.leases.begin(lease)) is self.model.begin(expected)
        return lease, expected

    @precondition(lambda self: self.holding)
    @rule(pick=PICK, indices=st.sets(st.integers(0, 8), max_size=4))
    def store_part(self, pick: int, indices: set[int]) -> None:
        """Some samples, perhaps again, perhaps another job's, perhaps under a lease that is lost."""
        hand, at = picked(self.holding, pick)
        self._store(hand, *hand.held[at], sorted(indices), done=False)

    @precondition(lambda self: self.holding)
    @rule(pick=PICK)
    def complete(self, pick: int) -> None:
        """The rest, and the acknowledgement with it."""
        hand, at = picked(self.holding, pick)
        lease, expected = hand.held.pop(at)
        self._store(hand, lease, expected, list(lease.missing), done=True)

    def _store(self, hand: Hand, lease: Lease, known: ModelLease, indices: list[int], *, done: bool) -> Stored:
        text = self._named("text")
        samples = [Sample(index=i, text=text) for i in indices]
        state, fresh = self.model.store(known, dict.fromkeys(indices, text), done=done)
        assert self.run(hand.leases.store(lease, samples, done=done)) == (state, fresh)
        return state

    @precondition(lambda self: self.holding_entries)
    @rule(pick=PICK)
    def give_back(self, pick: int) -> None:
        """A draining worker's entry is there for others at once."""
        hand, at = picked(self.holding_entries, pick)
        entry, known = hand.entries.pop(at)
        outcome = self.model.release(known, hand.name)
        assert self.run(hand.leases.release(entry)) is (outcome is not False)
        if outcome:
            job = known.job
            name = self.run(self.raw.hget(self.keys.job(job.answer.answer_id, job.job.job_id), "entry"))
            job.entry = ModelEntry(name.decode(), job)
            self.model.entries.append(job.entry)

    @precondition(lambda self: self.awake)
    @rule(pick=PICK, count=st.integers(1, 4), priority=PRIORITY)
    def reclaim(self, pick: int, count: int, priority: Priority) -> None:
        """Whose lease has run out loses the entry, and nobody else."""
        self._reclaim(picked(self.awake, pick), count, priority)

    def _reclaim(self, hand: Hand, count: int, priority: Priority) -> None:
        found = self.run(hand.leases.reclaim(0, LEASE_MS, count, 0, priority))
        self._given(hand, found, self.model.reclaimed(hand.name, count, priority))

    def kill_worker(self, pick: int) -> None:
        """What it held stays pending until another takes it over."""
        self.hands.pop(pick % len(self.hands))
        self.hands.append(self._hand())

    @rule(pick=PICK)
    def stop_or_go_on(self, pick: int) -> None:
        """A stopped worker renews nothing."""
        hand = picked(self.hands, pick)
        hand.stopped = not hand.stopped

    @precondition(lambda self: len(self.awake) > 1 and self.holding)
    @rule(pick=PICK, other=PICK, wakes=st.integers(0, 2))
    def stall(self, pick: int, other: int, wakes: int) -> None:
        """A worker stops for longer than a lease, and another goes on with what it held; the first may store late."""
        hand, _ = picked(self.holding, pick)
        hand.stopped = True
        self.tick()
        heir = picked(self.awake, other)
        for priority in PRIORITIES:
            self._reclaim(heir, 4, priority)
        self._lease_all(heir)
        if wakes and hand.held:
            self._wake(hand, whole=wakes == 2)

    @precondition(lambda self: any(hand.stopped and hand.held for hand in self.hands))
    @rule(pick=PICK, whole=st.booleans())
    def late(self, pick: int, whole: bool) -> None:
        """A stopped worker goes on and stores what it had, whoever else has it by now."""
        self._wake(picked([hand for hand in self.hands if hand.stopped and hand.held], pick), whole=whole)

    def _wake(self, hand: Hand, *, whole: bool) -> None:
        hand.stopped = False
        for lease, known in list(hand.held):
            self._store(hand, lease, known, list(lease.missing), done=whole)
        if whole:
            hand.held.clear()

    @rule()
    def tick(self) -> None:
        """A lease's time goes by, in which the workers that are not stopped renew theirs."""
        self._age()
        for hand in self.awake:
            for lease, known in list(hand.held):
                renewal = self.model.renew(known)
                assert self.run(hand.leases.renew(lease)) is renewal
                if renewal is not Renewal.HELD:
                    hand.held.remove((lease, known))

    def _age(self) -> None:
        """Makes every pending entry look untouched for longer than a lease."""
        for stream in self.streams.values():
            for each in self.run(self.raw.xpending_range(stream, GROUP, "-", "+", 1_000)):
                claimed = (stream, GROUP, each["consumer"], 0, [each["message_id"]])
                self.run(self.raw.xclaim(*claimed, idle=AGE_MS, justid=True))
        self.model.age()
