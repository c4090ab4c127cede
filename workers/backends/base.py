"""The one protocol that every backend meets."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from workers.wire.messages import FailureKind, Job, Provides, Sample


class BackendError(Exception):
    """A failure that is known and has a kind; the worker turns it into failed samples (data), never into a crash."""

    def __init__(self, kind: FailureKind, detail: str = "") -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        self.detail = detail


class Backend(Protocol):
    """Turns jobs into samples. It gets only jobs of the kinds that `provides` says it serves.

    `sample` yields each sample of `indices` as it finishes, in any order, each index once. Closing the iterator (or
    cancelling the task that reads it) stops the work within one decode step or upstream call. A failed sample is
    yielded with its `failure`; `BackendError` is raised where every sample still missing fails for one reason.
    """

    name: str
    provides: frozenset[Provides]
    capacity_samples: int

    async def start(self) -> None:
        """Loads the model or opens the connections; raises when the backend cannot serve."""

    def sample(self, job: Job, indices: tuple[int, ...]) -> AsyncGenerator[Sample, None]:
        """Draws the samples `indices` of `job`."""
        ...

    async def healthy(self) -> bool:
        """True if the backend can serve now."""
        ...

    async def close(self) -> None:
        """Frees what `start` took; no sample is running when it is called."""


@runtime_checkable
class CanBreak(Protocol):
    """A backend that can come to a state in which it will never serve again."""

    def broken(self) -> str | None:
        """Why it will not, in a few words; None while it may."""
        ...


@runtime_checkable
class TellsTurns(Protocol):
    """A backend that takes more than it can draw at once; the rest waits in it, in the order in which it came."""

    def begins_at_once(self, jobs: int, samples: int) -> bool:
        """True if it would begin with one more job at once beside so many jobs with so many samples to come."""
        ...


@dataclass(frozen=True, slots=True)
class BackendFacts:
    """What a backend that decodes by itself says for the metrics. Counts since its start; bytes of keys and values."""

    rows: int
    waiting_samples: int
    cache_bytes: int
    cache_limit: int
    counters: Mapping[str, int]
    queue_waits_s: Sequence[float]
    """Each counts once: whoever asks takes them away."""


@runtime_checkable
class TellsFacts(Protocol):
    """A backend with facts for the metrics."""

    def take_facts(self) -> BackendFacts:
        """The facts now."""
        ...
