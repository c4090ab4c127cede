"""What the queue and the ledger promise, in plain Python: no Redis, no clock. The machine compares at each step.

Time is a flag: an entry is `aged` when its lease has run out, a job is `expired` when its answer's time is up.
"""

from dataclasses import dataclass, field

from workers.wire.keys import Priority
from workers.wire.lease import MAX_DELIVERIES, SUSPECT_DELIVERIES, LeaseState, Renewal, Stored
from workers.wire.messages import Job


@dataclass(eq=False)
class ModelAnswer:
    """One answer. `known`: its record is there; `samples`: what is stored, by index."""

    answer_id: str
    gateway: str
    n: int
    priority: Priority = "interactive"
    known: bool = True
    final: bool = False
    cancelled: bool = False
    jobs: "list[ModelJob]" = field(default_factory=list)
    samples: dict[int, str] = field(default_factory=dict)

    @property
    def in_progress(self) -> bool:
        """True while somebody is to end it."""
        return self.known and not self.final


@dataclass(eq=False)
class ModelJob:
    """One job. `state` None: its hash is gone. `entry`: which entry its hash names."""

    job: Job
    answer: ModelAnswer
    state: str | None = None
    fence: int = 0
    deliveries: int = 0
    expired: bool = False
    entry: "ModelEntry | None" = None

    @property
    def missing(self) -> tuple[int, ...]:
        """The indices that are not stored."""
        return tuple(i for i in range(self.job.first, self.job.last) if i not in self.answer.samples)

    @property
    def refused(self) -> bool:
        """True if nobody may work on it any more, though its hash is there."""
        return self.state == "cancelled" or self.answer.final

    def forget(self) -> None:
        """The hash goes; what comes after starts anew."""
        self.state, self.entry, self.fence, self.deliveries, self.expired = None, None, 0, 0, False


@dataclass(eq=False)
class ModelEntry:
    """One stream entry. `owner` None: not delivered yet; `there`: in the stream; `pending`: not acknowledged."""

    name: str
    job: ModelJob
    owner: str | None = None
    aged: bool = False
    there: bool = True
    pending: bool = False

    @property
    def priority(self) -> Priority:
        """Which stream it is in."""
        return self.job.answer.priority

    @property
    def place(self) -> tuple[int, int]:
        """Its place in the order of its stream."""
        ms, _, number = self.name.partition("-")
        return int(ms), int(number)


@dataclass(eq=False)
class ModelLease:
    """A worker's lease, which may be out of date."""

    entry: ModelEntry
    worker: str
    fence: int


class Model:
    """All answers and entries. `drops_trimmed`: XCLAIM takes a trimmed entry out of the pending ones (Redis 7 on)."""

    def __init__(self, *, drops_trimmed: bool) -> None:
        self._drops_trimmed = drops_trimmed
        self.answers: dict[str, ModelAnswer] = {}
        self.entries: list[ModelEntry] = []

    def waiting(self, priority: Priority) -> list[ModelEntry]:
        """What was not delivered yet, in order."""
        return [entry for entry in self.entries if entry.there and entry.owner is None and entry.priority == priority]

    def pending(self, priority: Priority) -> list[ModelEntry]:
        """What was delivered and not acknowledged, in order."""
        mine = (entry for entry in self.entries if entry.pending and entry.priority == priority)
        return sorted(mine, key=lambda entry: entry.place)

    def queued(self, job: ModelJob, entry: str) -> None:
        """A job was put into the stream under this entry."""
        job.state, job.expired = "queued", False
        job.entry = ModelEntry(entry, job)
        self.entries.append(job.entry)

    def submits(self, job: ModelJob) -> bool:
        """True if submitting the job queues it: one that is open stays as it is."""
        return job.state in (None, "cancelled", "lost")

    def lost(self, answer: ModelAnswer, jobs: list[ModelJob]) -> list[ModelJob] | None:
        """The jobs that nobody will bring; None if the answer's record is gone."""
        if not answer.known:
            return None
        gone = [job for job in jobs if job.entry is None or not job.entry.there]
        for job in gone:
            if job.state is not None:
                job.state = "lost"
        return gone

    def delivered(self, entry: ModelEntry, worker: str) -> None:
        """The entry is this worker's now."""
        entry.owner, entry.pending, entry.aged = worker, entry.there or not self._drops_trimmed, False

    def age(self) -> None:
        """A lease's time goes by; every pending entry is claimed for its owner on the way."""
        for entry in self.entries:
            if entry.pending:
                entry.aged = True
                entry.pending = entry.there or not self._drops_trimmed

    def reclaimed(self, worker: str, count: int, priority: Priority) -> list[ModelEntry]:
        """What a worker takes over; trimmed entries are acknowledged on the way."""
        aged = [entry for entry in self.pending(priority) if entry.aged]
        for entry in aged:
            if not entry.there:
                entry.pending = False
        taken = [entry for entry in aged if entry.there][:count]
        for entry in taken:
            self.delivered(entry, worker)
        return taken

    def lease(self, entry: ModelEntry, worker: str) -> tuple[LeaseState | None, ModelLease]:
        """What comes of leasing a delivered entry; None if there is nothing to work on."""
        job = entry.job
        if job.state is None or job.refused:
            self._end(entry)
            return None, ModelLease(entry, worker, -1)
        if not entry.pending or entry.owner != worker:
            return None, ModelLease(entry, worker, -1)
        job.fence += 1
        job.state, job.entry = "leased", entry
        state = LeaseState.LEASED
        if job.expired:
            state = LeaseState.EXPIRED
        elif job.deliveries >= MAX_DELIVERIES:
            state = LeaseState.POISON
        elif job.deliveries < SUSPECT_DELIVERIES:
            job.deliveries += 1
        return state, ModelLease(entry, worker, job.fence)

    def begin(self, lease: ModelLease) -> bool:
        """A suspect begins to run."""
        job = lease.entry.job
        if not self._current(lease):
            return False
        job.deliveries += 1
        return True

    def renew(self, lease: ModelLease) -> Renewal:
        """What comes of renewing; whoever holds the fence gets an entry back that another has only claimed."""
        job = lease.entry.job
        if job.state == "cancelled" or job.answer.final:
            return Renewal.CANCELLED
        if not self._current(lease):
            return Renewal.LOST
        if lease.entry.pending:
            self.delivered(lease.entry, lease.worker)
        return Renewal.HELD

    def store(self, lease: ModelLease, samples: dict[int, str], *, done: bool) -> tuple[Stored, int]:
        """What comes of storing: each of the job's own indices counts once, and only under the current fence."""
        job = lease.entry.job
        if not self._current(lease):
            return Stored.FENCED, 0
        if job.refused:
            self._end(lease.entry)
            return Stored.CANCELLED, 0
        fresh = [i for i in samples if i in job.missing]
        job.answer.samples |= {i: samples[i] for i in fresh}
        if done:
            self._end(lease.entry)
        return Stored.STORED, len(fresh)

    def release(self, entry: ModelEntry, worker: str) -> bool | None:
        """Giving an entry back: False if it is not this worker's; None if it ends; True if it is queued anew."""
        if not entry.pending or entry.owner != worker:
            return False
        queued = entry.there and entry.job.state is not None
        entry.pending = entry.there = False
        if not queued:
            return None
        job = entry.job
        job.fence += 1
        if job.state == "leased":
            job.state = "queued"
        return True

    def flushed(self) -> None:
        """Everything is gone."""
        for answer in self.answers.values():
            answer.known = False
            answer.final = False
            answer.samples.clear()
            for job in answer.jobs:
                job.forget()
        for entry in self.entries:
            entry.pending = entry.there = False

    def _current(self, lease: ModelLease) -> bool:
        return lease.entry.job.state is not None and lease.entry.job.fence == lease.fence

    def _end(self, entry: ModelEntry) -> None:
        entry.pending = entry.there = False
        entry.job.forget()
