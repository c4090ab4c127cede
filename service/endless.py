"""Ends what computes on and on in the one thread in which everything runs: nothing there can be cancelled from outside.

A timer's signal looks several times a second at what is running, also in the midst of it. A step of a task that was
declared `endable` and does not come back to the event loop is ended by an exception raised in its midst. Python sees a
signal between two of its own instructions: a call into C that never returns is out of reach.
"""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from types import FrameType, TracebackType
from typing import Any, Self

LOOKS = 4
"""So often within the time that a step may take it is looked at."""

_ENDABLE = ContextVar("_ENDABLE", default=False)


class Endless(BaseException):
    """A step took too long. No Exception, so that a loop which goes on after every error does not go on after this."""


@contextmanager
def endable() -> Iterator[None]:
    """What is run within, also in tasks that are begun there, may be ended by `Endless` where a guard is set."""
    token = _ENDABLE.set(True)
    try:
        yield
    except BaseExceptionGroup as group:  # of a task group, one of whose tasks was ended
        if group.subgroup(Endless) is None:
            raise
        raise Endless from group
    finally:
        _ENDABLE.reset(token)


class StepGuard:
    """Set as long as its context lasts, in the main thread, with the event loop running. Takes the process' SIGALRM.

    A step is ended after `most_s` to 1.5 x `most_s` seconds, and again where it catches that and goes on.
    """

    def __init__(self, most_s: float) -> None:
        self._period_s = most_s / LOOKS
        self._turns = 0
        self._seen: tuple[asyncio.Task[Any] | None, int] = (None, 0)
        self._looks = 0

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGALRM, self._look)
        signal.setitimer(signal.ITIMER_REAL, self._period_s, self._period_s)
        self._turning = asyncio.get_running_loop().create_task(self._turn())
        return self

    async def _turn(self) -> None:
        """Counts as long as the event loop comes round."""
        while True:
            self._turns += 1
            await asyncio.sleep(self._period_s / 2)

    def _look(self, number: int, frame: FrameType | None) -> None:
        if not _ENDABLE.get():
            self._looks = 0
            return
        running = None
        with suppress(RuntimeError):  # no event loop runs
            running = asyncio.current_task()
        seen = (running, self._turns)
        self._looks = self._looks + 1 if seen == self._seen else 0
        self._seen = seen
        if self._looks >= LOOKS:
            raise Endless

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._before)
        self._turning.cancel()
