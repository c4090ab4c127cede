"""What the queue hands to a worker: entries, leases, and what becomes of them."""

from dataclasses import dataclass
from enum import StrEnum

from pydantic import ValidationError

from workers.wire.keys import Priority
from workers.wire.messages import WIRE_VERSION, Job

Place = tuple[int, Priority, str]
"""What tells entries apart: two streams may give out the same id."""

MAX_DELIVERIES = 3
"""A job that was leased this often without a result is quarantined: its samples fail with kind `poison`."""

SUSPECT_DELIVERIES = 2
"""A job that was leased this often without a result runs alone from then on: what it breaks is broken by it."""

SHUT_OUT_REPLIES = 3
"""A worker of which a gateway could not read so many replies is given no more jobs."""

SHUT_OUT_MS = 600_000
"""They are forgotten so long after the last of them."""

MOST_REFUSED = 65_536
"""No order has more samples: an entry that says so is no job."""


class LeaseState(StrEnum):
    """What a lease attempt or a lease's life can come to."""

    LEASED = "leased"
    EXPIRED = "expired"
    POISON = "poison"
    CANCELLED = "cancelled"
    GONE = "gone"
    LOST = "lost"
    COPY = "copy"
    SHUT_OUT = "shut_out"


class Stored(StrEnum):
    """What became of a result."""

    STORED = "stored"
    FENCED = "fenced"
    CANCELLED = "cancelled"


class Renewal(StrEnum):
    """What became of a lease's renewal."""

    HELD = "held"
    CANCELLED = "cancelled"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Entry:
    """One delivered stream entry. `job` None: nothing in it could be read.

    `refused`: why its job cannot be read, where the entry at least says whose it is; `job` then names its samples only.
    """

    shard: int
    entry_id: str
    job: Job | None
    refused: str | None = None
    priority: Priority = "interactive"

    @property
    def place(self) -> Place:
        """Its stream and its id there."""
        return self.shard, self.priority, self.entry_id


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to store the samples `missing` of `entry.job`, as long as `fence` is current.

    `deliveries`: how many leases before ended without a result; `owner`: whose the last was ("": nobody's).
    """

    entry: Entry
    job: Job
    state: LeaseState
    fence: int
    left_ms: int
    missing: tuple[int, ...]
    deliveries: int = 0
    owner: str = ""

    @property
    def counted(self) -> bool:
        """True if the lease itself counted as a delivery."""
        return self.state is LeaseState.LEASED and self.deliveries < SUSPECT_DELIVERIES

    @property
    def suspect(self) -> bool:
        """True if it is to be run alone: it may be what ended its workers."""
        return self.state is LeaseState.LEASED and self.deliveries >= SUSPECT_DELIVERIES


def entry_of(shard: int, entry_id: bytes, fields: dict[bytes, bytes], priority: Priority = "interactive") -> Entry:
    """A delivered entry, as far as it can be read."""
    try:
        read = Job.model_validate_json(fields.get(b"job", b""))
        return Entry(shard, entry_id.decode(), read, priority=priority)
    except ValidationError:
        job = _named(fields)
    said = fields.get(b"v", b"?")[:20].decode(errors="replace")
    refused = f"the job is of wire version {said} and does not fit a worker of wire version {WIRE_VERSION}"
    return Entry(shard, entry_id.decode(), job, refused if job else None, priority)


def _named(fields: dict[bytes, bytes]) -> Job | None:
    """A job of which only the fields beside its body are known: enough to say that its samples will not come."""
    try:
        first, last = int(fields[b"first"]), int(fields[b"last"])
        named = [fields[name].decode() for name in (b"id", b"answer", b"batch")]
    except (KeyError, ValueError):
        return None
    if not 0 <= first < last <= MOST_REFUSED:
        return None
    return Job.model_construct(job_id=named[0], answer_id=named[1], batch=named[2], model="", first=first, last=last)
