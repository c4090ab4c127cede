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


_CUES = ("answer is", "answer:", "answer**:", "####")
_OPEN = frozenset({"not", "n't", "never", "either", "neither", "probably", "likely", "perhaps"})
"""Words behind a cue with which no answer is stated yet."""

_CONDITIONS = frozenset({"if", "whether", "unless", "suppose", "assuming", "assume", "when", "until"})
"""Words before a cue in the same sentence with which none is stated."""


def has_answered(tail: str) -> bool:
    """True if the end of a completion holds a closed `\\boxed{...}`, or a stated answer whose line or sentence is over.

    A stated answer follows "answer is", or is short and follows "Answer:", or is a number behind "####". A full stop
    ends it only behind a number, a choice's letter, a bracket or a sign of emphasis: "St. Gallen" goes on, and so may
    "3.". What is denied, guessed or supposed is none.
    """
    start = tail.rfind("\\boxed{")
    if start >= 0 and _closes(tail[start + len("\\boxed") :]):
        return True
    lowered = tail.lower()
    place, cue = max((lowered.rfind(cue), cue) for cue in _CUES)
    if place < 0:
        return False
    stated = tail[place + len(cue) :].lstrip(" :*\n\t")
    line, newline, _ = stated.partition("\n")
    if cue == "answer is":
        return _asserted(lowered[:place], stated.lower()) and (_sentence_over(stated) or bool(newline and _says(line)))
    bare = line.strip(" *$.") if cue != "####" else line.strip(" $")
    return bool(newline) and (_number(bare) or (cue != "####" and _short(bare)))


def _asserted(before: str, stated: str) -> bool:
    sentence = before[max(before.rfind(mark) for mark in ".!?\n;") + 1 :]
    return _OPEN.isdisjoint(stated.split(maxsplit=1)[:1]) and _CONDITIONS.isdisjoint(sentence.replace(",", " ").split())


def _sentence_over(stated: str) -> bool:
    stop = stated.find(". ")
    if stop <= 0:
        return False
    return stated[stop - 1].isdigit() or stated[stop - 1] in ")}]$*%" or (stop == 1 and _letter(stated[0]))


def _says(line: str) -> bool:
    """False for a line that only announces: "as follows:"."""
    return bool(line.strip(" *")) and not line.rstrip(" *").endswith(":")


def _short(text: str) -> bool:
    return _letter(text.strip("()")) or text.lower() in {"yes", "no", "true", "false"}


def _letter(text: str) -> bool:
    """True for the letter of a choice; the later ones of the alphabet are rather somebody's initial."""
    return len(text) == 1 and "A" <= text <= "J"


def _number(text: str) -> bool:
    """True for one number, however it is written, and nothing else."""
    return bool(text) and text.strip("-+$%,./0123456789") == "" and text[-1] in "0123456789%"


def _closes(text: str) -> bool:
    """True if the brace that opens the text is closed in it."""
    depth = 0
    for character in text:
        depth += (character == "{") - (character == "}")
        if depth == 0:
            return True
    return False
