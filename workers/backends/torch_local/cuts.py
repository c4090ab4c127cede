"""Ending a completion before its time: below a bar of confidence, or as soon as it has stated its answer."""

import math
import statistics
from collections.abc import Sequence

from workers.wire.messages import ConfidenceCut

_EQUAL = 1e-4
"""Confidences (nats) that differ by less are equal: rounding in batches of other sizes cuts nobody."""


class Watch:
    """The running confidence of one completion: the mean token confidence of its last `window` tokens."""

    __slots__ = ("_sum", "_window", "current", "lowest")

    def __init__(self, cut: ConfidenceCut) -> None:
        self._window = cut.window
        self._sum = 0.0
        self.current: float | None = None
        self.lowest: float | None = None

    def copy(self) -> "Watch":
        """The same state, to go on with independently."""
        other = Watch.__new__(Watch)
        other._window, other._sum, other.current, other.lowest = self._window, self._sum, self.current, self.lowest
        return other

    def add(self, confidences: Sequence[float]) -> None:
        """Takes the newest of all confidences so far."""
        count = len(confidences)
        self._sum += confidences[-1]
        if count > self._window:
            self._sum -= confidences[-1 - self._window]
        if count >= self._window:
            self.current = self._sum / self._window
            self.lowest = self.current if self.lowest is None else min(self.lowest, self.current)

    def overall(self, confidences: Sequence[float]) -> float:
        """The lowest running confidence; the plain mean of a completion shorter than the window."""
        return self.lowest if self.lowest is not None else math.fsum(confidences) / len(confidences)


class Bar:
    """The bar of one job: given, or set by the first samples, which are drawn in full."""

    def __init__(self, cut: ConfidenceCut) -> None:
        self._cut = cut
        self._seen: list[float] = []
        self._lengths: list[int] = []
        self._value = cut.bar

    @property
    def known(self) -> bool:
        """True once completions are cut."""
        return self._value is not None

    @property
    def missing(self) -> int:
        """Samples to come before the bar is known."""
        return 0 if self.known else self._cut.warmup - len(self._seen)

    def note(self, watch: Watch, confidences: Sequence[float]) -> None:
        """Takes a completion that was drawn in full (or failed: without confidences)."""
        self._lengths.append(len(confidences))
        if self.known:
            return
        self._seen.append(watch.overall(confidences) if confidences else math.inf)
        if len(self._seen) >= self._cut.warmup:
            self._value = percentile(self._seen, 100.0 - self._cut.percentile)

    def cuts(self, watch: Watch) -> bool:
        """True if a completion is below the bar now."""
        return self._value is not None and watch.current is not None and watch.current < self._value - _EQUAL

    def saved(self, length: int, longest: int) -> int:
        """Tokens that cutting at `length` saved: up to the median of the full completions, or else of `longest`."""
        usual = statistics.median(self._lengths) if self._lengths else longest
        return max(0, int(usual) - length)


def percentile(values: Sequence[float], percent: float) -> float:
    """The linearly interpolated percentile, as numpy's default."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    if ordered[high] == math.inf:
        return ordered[low]
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


_CUE = "answer is"


def has_answered(tail: str) -> bool:
    """True if the end of a completion holds a closed `\\boxed{...}`, or a stated answer whose line or sentence is over.

    A full stop ends it only behind a number, a bracket or a sign of emphasis: "St. Gallen" goes on, and so may "3.".
    """
    start = tail.rfind("\\boxed{")
    if start >= 0 and _closes(tail[start + len("\\boxed") :]):
        return True
    cue = tail.lower().rfind(_CUE)
    if cue < 0:
        return False
    stated = tail[cue + len(_CUE) :].lstrip(" :*")
    stop = stated.find(". ")
    return "\n" in stated[1:] or (stop > 0 and (stated[stop - 1].isdigit() or stated[stop - 1] in ")}]$*%"))


def _closes(text: str) -> bool:
    """True if the brace that opens the text is closed in it."""
    depth = 0
    for character in text:
        depth += (character == "{") - (character == "}")
        if depth == 0:
            return True
    return False
