"""Whose turn it is in a worker: interactive jobs before background jobs.

Interactive entries are taken as soon as there is room, so none waits while there is. A background job is taken where
the backend would begin with it at once, and so keeps nobody from beginning; and one after each `PATIENCE` interactive
jobs in any case, so that background answers come under whatever load.
"""

import asyncio

from workers.backends.base import Backend, TellsTurns
from workers.wire.keys import Priority

PATIENCE = 16
"""So many interactive jobs may be taken before a background job."""


class Turns:
    """When this worker may take a background job: `background` is set."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._passed = 0
        self._idle = True
        self.background = asyncio.Event()
        self.background.set()

    def running(self, jobs: int, samples: int) -> None:
        """So many jobs run, with so many samples to come."""
        if isinstance(self._backend, TellsTurns):
            self._idle = self._backend.begins_at_once(jobs, samples)
        else:
            self._idle = samples < self._backend.capacity_samples
        self._decide()

    def taken(self, priority: Priority, jobs: int) -> None:
        """So many jobs were taken from the queue."""
        if priority == "interactive":
            self._passed += jobs
        elif jobs:
            self._passed = 0
        self._decide()

    def _decide(self) -> None:
        (self.background.set if self._idle or self._passed >= PATIENCE else self.background.clear)()
