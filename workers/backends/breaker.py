"""A circuit breaker: an upstream that fails and fails is left alone for a while.

The libraries for this (pybreaker, purgatory, aiobreaker) wrap a function and count its exceptions, with a pause of one
length. Here a choice among upstreams must know beforehand whether a call would be let through, a failure is also a
status, a cancelled call is neither, and the pause grows with jitter: these lines are fewer than the wrapping would be.
"""

import random
import time
from collections.abc import Callable

LONGEST_PAUSE_S = 60.0


class Breaker:
    """Opens after `failures` failed calls in a row, none of which succeeded in between.

    Open, it admits nothing for a pause of `pause_s` seconds, and then one call, the probe. The probe's success closes
    it; its failure makes the next pause twice as long, at most 60 s. A pause is drawn from its upper half, so that
    workers that lost an upstream together do not come back together. What the calls that began before it opened come
    to is passed over. Once closed, pauses begin at `pause_s` again.
    """

    def __init__(
        self,
        failures: int,
        pause_s: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._limit = failures
        self._first_pause_s = pause_s
        self._clock = clock
        self._jitter = jitter
        self._failed = 0
        self._pauses = 0
        self._probing = False
        self._until: float | None = None

    @property
    def open(self) -> bool:
        """True until a probe succeeds."""
        return self._until is not None

    @property
    def admits(self) -> bool:
        """True if a call may begin now."""
        return self._until is None or (not self._probing and self._clock() >= self._until)

    @property
    def left_s(self) -> float:
        """Seconds until the probe is admitted; 0 where it is, or is running, or the breaker is closed."""
        return 0.0 if self._until is None else max(0.0, self._until - self._clock())

    def begin(self) -> bool:
        """A call begins; true if it is the probe. Only where `admits`."""
        self._probing = self.open
        return self._probing

    def end(self, probe: bool, succeeded: bool | None) -> None:
        """The call ended; None: it was given up, which says nothing of the upstream."""
        if probe:
            self._probing = False
            if succeeded is not None:
                self._close() if succeeded else self._pause()
        elif self._until is None and succeeded is not None:
            self._failed = 0 if succeeded else self._failed + 1
            if self._failed >= self._limit:
                self._pause()

    def _close(self) -> None:
        self._until, self._failed, self._pauses = None, 0, 0

    def _pause(self) -> None:
        longest = min(LONGEST_PAUSE_S, self._first_pause_s * 2**self._pauses)
        self._until = self._clock() + self._jitter(longest / 2, longest)
        self._pauses += 1
