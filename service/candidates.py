"""Samples with their answers: the stage between drawing and choosing."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from enum import StrEnum

from workers.wire.messages import Sample


class Exclusion(StrEnum):
    """Why a sample does not vote; the closed set of `samples[].excluded`."""

    FAILED = "failed"
    EMPTY = "empty"
    TRUNCATED = "truncated"
    FILTERED = "filtered"
    CUT = "cut"
    UNCLOSED_THINKING = "unclosed_thinking"
    NO_ANSWER = "no_answer"
    AFTER_STOP = "after_stop"
    OUTSIDE_WINDOW = "outside_window"


@dataclass(frozen=True, slots=True)
class Task:
    """What the caller wants answered, as far as finding answers depends on it.

    `shown` is how one sample's prompt ordered the options, where it did so on its own: its k-th option, lettered k, was
    the caller's option `shown[k]`. Letters are then read so, and the answer is the caller's: the shuffling is undone.
    """

    question: str
    choices: tuple[str, ...] | None = None
    shown: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Extraction:
    """An answer found in one completion.

    `answer` is the canonical form that the reply prints; `key` decides equality (defaults to `answer`); `spelling` is
    how the completion had it; `evidence` names the rule that found it (a closed set per answer type). `apart`, such as
    a unit, sets it apart from answers of the same identity that have another one; None agrees with all.
    """

    answer: str
    spelling: str
    evidence: str
    key: Hashable = None
    apart: Hashable = None

    @property
    def identity(self) -> Hashable:
        """What two extractions must share to be the same answer."""
        return self.answer if self.key is None else self.key

    def clashes(self, other: "Extraction") -> bool:
        """True if both are set apart, and not by the same."""
        return self.apart is not None and other.apart is not None and self.apart != other.apart


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sample with its answer, or with the reason why it has none. `source`: the model, where a plan has several."""

    sample: Sample
    extraction: Extraction | None
    excluded: Exclusion | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class AnswerClass:
    """Candidates whose answers are equal. `members` are sample indices, ascending.

    `medoid` is the member whose answer is the class's where that need not be the first.
    """

    answer: str
    members: tuple[int, ...]
    spellings: tuple[str, ...] = field(default=())
    medoid: int | None = None

    @property
    def representative(self) -> int:
        """The sample that represents the class."""
        return self.members[0] if self.medoid is None else self.medoid
