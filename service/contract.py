"""The public contract: the shapes of a request and of a reply. What users hold on to; extended freely, broken never."""

from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    StringConstraints,
    model_validator,
)

from service.candidates import Exclusion
from service.cost_reply import SampleCounts as SampleCounts
from service.cost_reply import Timing as Timing
from service.cost_reply import Usage as Usage
from service.disagreement_reply import Disagreement, Explain
from service.evidence_reply import Confidence
from service.members import MemberReply, MixedRequest
from service.members import ModelName as ModelName
from service.naming import Choice as Choice
from service.naming import Named as Named
from service.sampling_request import Flag, Real, SamplingRequest, Strict, Whole, refusal
from workers.wire.messages import Failure, FinishReason, Message, SampleStatistics, Text, encodable

Line = Annotated[str, StringConstraints(min_length=1, max_length=2_000), AfterValidator(encodable)]


def _not_served(given: Any) -> None:
    if given is not None:
        raise refusal("needs a fitted calibrator: not served by this version")


class Budget(Strict):
    """The most one request may spend."""

    seconds: Real = Field(default=60.0, gt=0)
    tokens: Whole | None = Field(default=None, ge=1, lt=2**53, description="completion tokens over all samples")


class AnswerRequest(MixedRequest):
    """A question, and how to answer it."""

    question: Text | None = Field(default=None, min_length=1)
    messages: tuple[Message, ...] | None = Field(default=None, min_length=1)
    question_id: Line | None = Field(default=None, max_length=200, description="names a recorded question (replay)")
    aggregator: Named = "auto"
    answer_type: Named = "auto"
    choices: tuple[Line, ...] | None = Field(default=None, min_length=2, max_length=64)
    sampler: Named | None = Field(default=None, description="choice_shuffle where there are choices, else iid")
    stop: Named | None = Field(default=None, description="lead for counting votes, none otherwise, if left out")
    sampling: SamplingRequest = SamplingRequest()
    budget: Budget = Budget()
    quorum: Whole = Field(default=1, ge=1, lt=2**31)
    min_confidence: Annotated[None, BeforeValidator(_not_served)] = Field(
        default=None, description="needs a fitted calibrator: not served by this version"
    )
    explain: Explain | None = Field(default=None, description="disagreement: one more call tells where samples differ")
    background: Flag = False
    stream: Flag = Field(default=False, description="the answer's events (SSE) in place of the answer")
    include: frozenset[Literal["samples", "calls"]] = frozenset()

    @model_validator(mode="after")
    def _one_question(self) -> Self:
        if self.question is None and self.messages is None:
            raise refusal("give either question or messages", "question")
        if self.question is not None and self.messages is not None:
            raise refusal("give either question or messages, and not both", "messages")
        if self.messages is not None and self.messages[-1].role != "user":
            raise refusal("must end with a user's turn", "messages")
        if not self.asked.strip():
            raise refusal("the question is blank", self.asked_in)
        if self.quorum > self.n:
            raise refusal(f"must not exceed n, which is {self.n}", "quorum")
        if self.choices is not None and len({choice.strip().casefold() for choice in self.choices}) < len(self.choices):
            raise refusal("must differ from each other by more than case and white space", "choices")
        if self.choices is not None and not all(choice.strip() for choice in self.choices):
            raise refusal("must not be blank", "choices")
        return self

    @property
    def prompt(self) -> tuple[Message, ...]:
        """The messages given to the model."""
        return self.messages or (Message(role="user", content=self.question or ""),)

    @property
    def asked_in(self) -> str:
        """The field that holds the question."""
        return "messages" if self.question is None else "question"

    @property
    def asked(self) -> str:
        """The question itself: the last user's turn."""
        return self.prompt[-1].content


class AggregateRequest(Strict):
    """How to choose again among an answer's samples; what is left out stays as the answer had it."""

    aggregator: Named = "auto"
    answer_type: Named = "auto"
    choices: tuple[Line, ...] | None = Field(default=None, min_length=2, max_length=64)
    budget: Budget = Budget()
    explain: Explain | None = None
    include: frozenset[Literal["samples", "calls"]] = frozenset()


class Status(StrEnum):
    """Where an answer stands."""

    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    ANSWERED = "answered"
    ABSTAINED = "abstained"
    DEGRADED = "degraded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """True if the answer will not change any more."""
        return self not in (Status.QUEUED, Status.IN_PROGRESS)


class AggregatorReply(BaseModel):
    """Which aggregator chose, with which options; `route`: why `auto` took it; `notes`, `facts`: what it found and
    measured on its way."""

    name: str
    options: dict[str, object] = {}
    fallback_from: str | None = None
    fallback_reason: str | None = None
    route: str | None = None
    notes: list[str] = []
    facts: dict[str, float] = {}


class Shadow(BaseModel):
    """What a rule that is only measured would have done: all samples were drawn, and nothing here is a guess.

    `stops`: it would have ended sampling. `drawn`: samples begun by then, `counted`: those that would have voted.
    `saved_samples`, `saved_tokens`: what was drawn for nothing but the measurement. `answer`: the most voted one at the
    stop; `same`: it is the reply's answer (null where that is in no class).
    """

    stops: bool = False
    drawn: int = 0
    counted: int = 0
    saved_samples: int = 0
    saved_tokens: int = 0
    answer: str | None = None
    same: bool | None = None


class StopReply(BaseModel):
    """The stopping rule in force, and whether it ended sampling early; `lead`: sampling also ends where the rest cannot
    change the winner. `shadow`: what a rule that is only measured would have done."""

    name: str
    options: dict[str, object] = {}
    stopped: bool = False
    lead: bool = False
    shadow: Shadow | None = None


class SamplerReply(BaseModel):
    """How the samples' prompts differed. `independent`: the draws are independent and from one distribution. `remark`:
    why they differed otherwise than the sampler's name says, if so."""

    name: str
    options: dict[str, object] = {}
    independent: bool
    remark: str | None = None


class CandidateReply(BaseModel):
    """One class of equal answers."""

    answer: str
    votes: int
    weight: float
    share: float
    spellings: list[str]
    samples: list[int]


class SampleReply(BaseModel):
    """One sample with the answer found in it, or why it does not vote.

    `variant`: in what its prompt or settings differed from other samples'. `shown`: the order in which its prompt
    listed the options, where that was its own: its k-th option was the caller's option `shown[k]`, from 0. `model`:
    the member that it was drawn from, where there are several.
    """

    index: int
    text: str
    answer: str | None
    spelling: str | None
    evidence: str | None
    finish_reason: FinishReason | None
    excluded: Exclusion | None
    failure: Failure | None
    seed: int | None
    prompt_tokens: int
    completion_tokens: int
    statistics: SampleStatistics
    variant: str | None = None
    shown: list[int] | None = None
    model: str | None = None


class CallReply(BaseModel):
    """One call of an aggregator to a model. `prefix`: how the completion was made to begin; `text` is what follows."""

    batch: str
    model: str = ""
    prefix: str = ""
    messages: list[Message]
    text: str
    finish_reason: FinishReason | None
    failure: Failure | None
    prompt_tokens: int
    completion_tokens: int


class Problem(BaseModel):
    """RFC 9457. `code` is stable; `field` names what is wrong in the request."""

    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str
    field: str | None = None
    errors: list[dict[str, object]] | None = None
    failures: dict[str, int] | None = None
    request_id: str | None = None


class Answer(BaseModel):
    """The reply: one answer with its evidence."""

    id: str
    object: Literal["answer"] = "answer"
    parent: str | None = Field(default=None, description="the answer whose samples this one chose among again")
    created: int
    model: str
    status: Status
    reason: str | None = None
    answer: str | None = None
    answer_type: str | None = None
    answer_type_reason: str | None = None
    text: str | None = None
    aggregator: AggregatorReply
    stop: StopReply
    sampler: SamplerReply | None = None
    confidence: Confidence = Confidence()
    candidates: list[CandidateReply] = []
    disagreement: Disagreement | None = None
    members: list[MemberReply] | None = None
    samples: list[SampleReply] | None = None
    calls: list[CallReply] | None = None
    usage: Usage = Usage()
    timing: Timing = Timing()
    warnings: list[str] = []
    error: Problem | None = None
