"""What crosses the process boundary, and nothing else: frozen, versioned, JSON.

A message is read strictly (unknown fields are refused), so that a worker of another wire version is refused with a
clear error and never half understood. Failures are data, from a closed set. No exception object ever crosses.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

WIRE_VERSION = 1


def encodable(text: str) -> str:
    """The text as it is; a ValueError if it has lone surrogates, which JSON can carry and UTF-8 cannot."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueError("holds a lone surrogate, which is no text") from None
    return text


MAX_COMPLETION_CHARS = 1_000_000
"""A longer text in a reply is refused at the boundary: no honest completion of a capped `max_tokens` is that long."""

SAMPLES = "samples"
"""The batch of an answer's own prompt; every other batch is a call of its aggregator."""

Text = Annotated[str, AfterValidator(encodable)]

Finite = Annotated[float, Field(allow_inf_nan=False)]


class Frozen(BaseModel):
    """Base of every message: immutable, and strict about unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Provides(StrEnum):
    """What a backend can attach to a sample; an aggregator's `needs` are matched against it when the plan is made."""

    MEAN_LOGPROB = "mean_logprob"
    SELF_CERTAINTY = "self_certainty"
    ENTROPY = "entropy"
    LOWEST_GROUP_CONFIDENCE = "lowest_group_confidence"
    SEED = "seed"
    CHAT = "chat"


class FinishReason(StrEnum):
    """Why a completion ended."""

    STOP = "stop"
    LENGTH = "length"
    FILTERED = "content_filter"
    CANCELLED = "cancelled"


class FailureKind(StrEnum):
    """Every way in which samples can fail to come; the closed set that both processes know."""

    UPSTREAM_UNREACHABLE = "upstream_unreachable"
    UPSTREAM_ERROR = "upstream_error"
    UPSTREAM_REJECTED = "upstream_rejected"
    TIMEOUT = "timeout"
    CONTEXT_OVERFLOW = "context_overflow"
    OUT_OF_MEMORY = "out_of_memory"
    INVALID_LOGITS = "invalid_logits"
    UNKNOWN_QUESTION = "unknown_question"
    NO_MORE_SAMPLES = "no_more_samples"
    UNSUPPORTED = "unsupported"
    EXPIRED = "expired"
    POISON = "poison"
    INTERNAL = "internal"


class Message(Frozen):
    """One turn of the prompt."""

    role: Literal["system", "user", "assistant"]
    content: Text


class Sampling(Frozen):
    """How completions are drawn. `temperature` 0 is greedy. Sample i draws with the seed `seed + i`."""

    temperature: float = Field(default=0.8, ge=0.0, le=5.0)
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    top_k: int | None = Field(default=None, ge=1)
    min_p: float | None = Field(default=None, ge=0.0, le=1.0)
    max_tokens: int = Field(default=256, ge=1)
    stop: tuple[str, ...] = ()
    seed: int | None = Field(default=None, ge=0, lt=2**63)


class Job(Frozen):
    """One queue entry: draw the samples `first <= index < last` of one prompt.

    `batch` names the prompt within the answer: "samples", or one of its aggregation calls. `question_id` names
    a recorded question for the replay backend. The deadline is not part of it: it is Redis time, set when it is queued.
    """

    v: Literal[1] = 1
    job_id: str
    answer_id: str
    model: str
    messages: tuple[Message, ...] = Field(min_length=1)
    sampling: Sampling
    first: int = Field(ge=0)
    last: int = Field(ge=1)
    batch: str = SAMPLES
    question_id: str | None = None
    use: Literal["sampling", "aggregation"] = "sampling"


class SampleStatistics(Frozen):
    """Reduced over one completion's tokens, where the logits are, from the unprocessed distribution (temperature 1).

    `mean_logprob`: natural log, mean over tokens. `self_certainty`: mean over tokens of KL(uniform || p), nats, >= 0
    (arXiv 2502.18581). `entropy`: mean over tokens, nats. `lowest_group_confidence`: smallest sliding mean of the token
    confidence -mean(log p of the 20 likeliest tokens) (arXiv 2508.15260). None: the backend cannot give it.
    """

    mean_logprob: Finite | None = None
    self_certainty: Finite | None = None
    entropy: Finite | None = None
    lowest_group_confidence: Finite | None = None


class Failure(Frozen):
    """Why samples did not come. `detail` is for people; it never carries a prompt, a completion or a key."""

    kind: FailureKind
    detail: str = Field(default="", max_length=2_000)


class Sample(Frozen):
    """One independently drawn completion, or the reason why there is none."""

    index: int = Field(ge=0)
    text: str = Field(default="", max_length=MAX_COMPLETION_CHARS)
    finish_reason: FinishReason = FinishReason.STOP
    seed: int | None = None
    prompt_tokens: int = Field(default=0, ge=0)
    completion_tokens: int = Field(default=0, ge=0)
    statistics: SampleStatistics = SampleStatistics()
    failure: Failure | None = None


class Reply(Frozen):
    """Samples of one job on their way back; several samples are coalesced into one reply."""

    v: Literal[1] = 1
    job_id: str
    answer_id: str
    batch: str
    worker: str
    samples: tuple[Sample, ...]


class WorkerCard(Frozen):
    """What a live worker says of itself, renewed with its heartbeat; `GET /v1/models` is made from these."""

    v: Literal[1] = 1
    worker: str
    model: str
    backend: str
    provides: frozenset[Provides] = frozenset()
    capacity_samples: int = Field(ge=1)
    draining: bool = False
    started_ms: int = 0
