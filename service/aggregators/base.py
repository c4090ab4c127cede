"""The protocol of an aggregator, and what it is given and gives back."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pydantic import BaseModel

from service.candidates import AnswerClass, Candidate, Extraction, Task
from service.registry import Options as Options
from workers.wire.messages import Message, Provides, Sample, Sampling


@dataclass(frozen=True, slots=True)
class Standing:
    """One class in the verdict's ranking: its votes (a count), its weight and its share of all weight."""

    answer_class: AnswerClass
    votes: int
    weight: float
    share: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """The aggregator's outcome.

    `answer` None means that it abstains, with `reason`. `fallback_from` names the method whose reply could not be
    used and `fallback_reason` says why; the answer is then the plain vote's. `support` is the share of voting samples
    that agree with the answer, `novel` is True if none does. `ranking` begins with the class of the answer, but for
    methods that ask a model, which leave the vote's. `notes`: what the method found on its way, for people. `flips`:
    how many votes could be switched without changing the winner, where votes alone do not tell (None: they do).
    """

    answer: str | None
    text: str | None
    ranking: tuple[Standing, ...]
    sample_index: int | None = None
    reason: str | None = None
    support: float = 0.0
    novel: bool = False
    fallback_from: str | None = None
    fallback_reason: str | None = None
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    flips: int | None = None


class Ask(Protocol):
    """Budgeted, recorded calls to a model through the same queue as sampling."""

    async def __call__(self, messages: Sequence[Message], sampling: Sampling, n: int = 1) -> tuple[Sample, ...]:
        """Draws `n` samples of `messages`; failed ones carry their failure."""
        ...


class Classify(Protocol):
    """Finds and classes answers as the answer type of this request does.

    `extractable`: False for free text, where a completion may be an answer without holding a short one.
    """

    extractable: bool

    def extract(self, text: str) -> Extraction | None:
        """The answer in a text, by this request's answer type; None if there is none."""
        ...

    async def find(self, extraction: Extraction) -> AnswerClass | None:
        """The class among the candidates' to which the answer belongs; None if it is new."""
        ...


@dataclass(frozen=True, slots=True)
class Panel:
    """What an aggregator chooses from. `candidates` are in index order; only those without `excluded` vote.

    `member_weights`: what one vote of each model weighs, by `Candidate.source`; 1 for those that are not named.
    """

    task: Task
    candidates: tuple[Candidate, ...]
    classes: tuple[AnswerClass, ...]
    classify: Classify
    seed: int
    templates: Mapping[str, str] = field(default_factory=dict)
    member_weights: Mapping[str, float] = field(default_factory=dict)

    @property
    def voters(self) -> tuple[Candidate, ...]:
        """The candidates that vote."""
        return tuple(c for c in self.candidates if c.excluded is None)

    def rng(self, purpose: str) -> random.Random:
        """A generator that depends on the request's seed and the purpose alone, not on the order of arrival."""
        return random.Random(f"{self.seed}:{purpose}")


class Aggregator(Protocol):
    """Chooses or synthesises the answer from the candidates. Made once a request from its options.

    `needs`: the statistics without which it cannot work; of the class for its default options, of an instance for its
    own. `counts_votes`: True if, with members of equal weight, the verdict depends on the classes' counts alone, so
    that the stopping rule `lead` loses nothing. `max_calls`: an upper bound of the calls to a model.
    """

    name: str
    Options: type[BaseModel]
    needs: frozenset[Provides]
    counts_votes: bool

    def max_calls(self, n: int) -> int:
        """The most calls to a model that `aggregate` makes for `n` samples."""
        ...

    async def aggregate(self, panel: Panel, ask: Ask) -> Verdict:
        """The verdict over `panel`; the same for any order of arrival of the same samples."""
        ...
