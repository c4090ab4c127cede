"""The protocol of an aggregator, and what it is given and gives back."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from pydantic import BaseModel, Field

from service.candidates import AnswerClass, Candidate, Extraction, Task
from service.draws import Draw
from service.registry import Options as Options
from workers.wire.messages import Message, Provides, Sample, Sampling


class AskingOptions(Options):
    """Options of every method that asks a model.

    `judge_model`: the pool that is asked; the answer's own if left out. `max_shown_chars`: of samples shown at once;
    beyond it one of each class is shown, the largest first.
    """

    judge_model: str | None = Field(default=None, min_length=1, max_length=200)
    max_shown_chars: int = Field(default=200_000, ge=1_000, le=2_000_000)


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
    methods that ask a model, which may leave the vote's. `notes`: what the method found on its way, for people.
    `flips`: how many votes could be switched without changing the winner, where votes alone do not tell (None: they
    do). `facts`: what was measured on the way, such as how often judges changed their mind with the order (a closed set
    per method; ratios in [0, 1], correlations in [-1, 1]).
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
    facts: Mapping[str, float] = field(default_factory=dict)


def with_facts(verdict: Verdict, facts: Mapping[str, float]) -> Verdict:
    """The verdict with these facts beside those that it has."""
    return replace(verdict, facts={**verdict.facts, **facts})


@dataclass(frozen=True, slots=True)
class Left:
    """What may still be spent on asking a model: seconds, and tokens (None: as many as there is time for)."""

    seconds: float
    tokens: int | None


class Ask(Protocol):
    """Budgeted, recorded calls to a model through the same queue as sampling.

    Calls may run at the same time (asyncio.gather); they are numbered in the order in which they are begun, so an
    aggregator begins them in an order that depends on the panel alone.
    """

    async def __call__(
        self,
        messages: Sequence[Message],
        sampling: Sampling,
        n: int = 1,
        *,
        prefix: str = "",
        model: str | None = None,
    ) -> tuple[Sample, ...]:
        """Draws `n` samples of `messages`; failed ones carry their failure.

        `prefix`: how the completion begins; only what follows is drawn and returned. `model`: another pool than the
        answer's own.
        """
        ...


class Classify(Protocol):
    """Finds and classes answers as the answer type of this request does.

    `extractable`: False for free text, where a completion may be an answer without holding a short one.
    """

    extractable: bool

    def extract(self, text: str, index: int | None = None) -> Extraction | None:
        """The answer in a text, by this request's answer type; None if there is none.

        `index`: the sample whose prompt the text answers, where its options stood in an order of their own.
        """
        ...

    async def find(self, extraction: Extraction) -> AnswerClass | None:
        """The class among the candidates' to which the answer belongs; None if it is new."""
        ...


@dataclass(frozen=True, slots=True)
class Panel:
    """What an aggregator chooses from. `candidates` are in index order; only those without `excluded` vote.

    `member_weights`: what one vote of each model weighs, by `Candidate.source`; 1 for those that are not named.
    `answer_type`: the name of the type that the answers were read by. `provides`: what the pool that is asked supplies;
    nothing where that is not known.
    """

    task: Task
    candidates: tuple[Candidate, ...]
    classes: tuple[AnswerClass, ...]
    classify: Classify
    seed: int
    templates: Mapping[str, str] = field(default_factory=dict)
    member_weights: Mapping[str, float] = field(default_factory=dict)
    draws: Callable[[int], Draw] | None = None
    answer_type: str = ""
    provides: frozenset[Provides] = frozenset()

    def drawn_from(self, index: int) -> Draw:
        """What a sample was drawn from; the question alone where that is not known."""
        if self.draws is not None:
            return self.draws(index)
        return Draw("", (Message(role="user", content=self.task.question),), Sampling())

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
    that the stopping rule `lead` loses nothing. `calls`: how many calls to a model it makes, in words, for n samples;
    `max_calls` is their upper bound, and `calls_for`, which those have that ask, what the words come to.
    """

    name: str
    Options: type[BaseModel]
    needs: frozenset[Provides]
    counts_votes: bool
    calls: str

    def max_calls(self, n: int) -> int:
        """The most calls to a model that `aggregate` makes for `n` samples."""
        ...

    async def aggregate(self, panel: Panel, ask: Ask) -> Verdict:
        """The verdict over `panel`; the same for any order of arrival of the same samples."""
        ...


def settled_by(aggregator: Aggregator, provides: frozenset[Provides]) -> float:
    """By which share of all samples a counting vote must lead to be settled for the aggregator (`settled_by`): 0, as
    soon as nothing can overtake, unless the aggregator looks further where the vote is close."""
    says = getattr(aggregator, "settled_by", None)
    share: float = says(provides) if says else 0.0
    return share


def calls_for(aggregator: Aggregator, votes: Sequence[int], provides: frozenset[Provides] = frozenset()) -> int | None:
    """How many calls the aggregator makes (`calls_for`) of a pool that provides this, where classes have these votes.

    That holds where every reply keeps to its form and every prompt fits; where a method ends early by what it reads, it
    is the most that it then makes. None if it does not say.
    """
    says = getattr(aggregator, "calls_for", None)
    if says is None:
        return None if aggregator.max_calls(sum(votes)) else 0
    made: int = says(votes, provides)
    return made


def evenly(votes: int, classes: int) -> tuple[int, ...]:
    """So many votes over so many classes, as equal as can be, the largest first."""
    each, more = divmod(votes, classes)
    return tuple(each + (place < more) for place in range(classes))


Weigh = Callable[[Sample], float | None]
"""What a sample that holds an answer adds to it, in [0, 1], whatever the other samples are; None: that is not known."""


def weighs(aggregator: Aggregator) -> bool:
    """True if what it sums up by class is one weight a sample (it has `absolute_weight`), whatever that depends on."""
    return hasattr(aggregator, "absolute_weight")


def weigh_of(aggregator: Aggregator) -> Weigh | None:
    """That weight, where it depends on its sample alone and is in [0, 1] (`absolute_weight`); else None."""
    weigh: Weigh | None = getattr(aggregator, "absolute_weight", None)
    return weigh


def samples_wanted(aggregator: Aggregator) -> int | None:
    """How many samples the aggregator would have drawn (its method `samples_wanted`), where the caller says none."""
    wish = getattr(aggregator, "samples_wanted", None)
    wanted: int | None = wish() if wish else None
    return wanted
