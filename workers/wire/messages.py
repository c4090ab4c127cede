"""What crosses the process boundary, and nothing else: frozen, versioned, JSON.

A message is read strictly (unknown fields are refused), so that one of another wire version is refused with a clear
error and never half understood. What stands at its default is not sent, so that processes one version apart work
together as long as nothing is asked that only the newer knows. Failures are data, from a closed set. No exception
object ever crosses.
"""

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

WIRE_VERSION = 1
"""Goes up with every change of what a field means, and of what is sent by default."""


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

Version = Annotated[int, Field(ge=WIRE_VERSION - 1, le=WIRE_VERSION + 1)]

Text = Annotated[str, AfterValidator(encodable)]

Finite = Annotated[float, Field(allow_inf_nan=False)]


class Frozen(BaseModel):
    """Base of every message: immutable, and strict about unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def sent(self) -> str:
        """The message as it is sent: without what stands at its default, but with its version."""
        body = self.model_dump_json(exclude_defaults=True, exclude={"v"})
        return body if "v" not in type(self).model_fields else f'{{"v":{WIRE_VERSION},{body[1:]}'


class Provides(StrEnum):
    """What a backend can attach to a sample; an aggregator's `needs` are matched against it when the plan is made."""

    MEAN_LOGPROB = "mean_logprob"
    SELF_CERTAINTY = "self_certainty"
    ENTROPY = "entropy"
    LOWEST_GROUP_CONFIDENCE = "lowest_group_confidence"
    GROUP_CONFIDENCES = "group_confidences"
    SEED = "seed"
    CHAT = "chat"
    LOGIT_BIAS = "logit_bias"
    PREFIX_CONTINUE = "prefix_continue"
    OPTION_LOGPROBS = "option_logprobs"
    END_AT_ANSWER = "end_at_answer"
    CONFIDENCE_CUT = "confidence_cut"
    CAUTIOUS = "cautious"
    PROBE = "probe"
    ANSWER_LOGPROB = "answer_logprob"
    P_TRUE = "p_true"
    STATED_CONFIDENCE = "stated_confidence"
    REWARD_SCORE = "reward_score"
    REWARD = "reward"
    EMBED = "embed"
    ENTAIL = "entail"


class FinishReason(StrEnum):
    """Why a completion ended."""

    STOP = "stop"
    LENGTH = "length"
    FILTERED = "content_filter"
    CANCELLED = "cancelled"
    CUT = "cut"


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
    BUDGET = "budget"
    WIRE_VERSION = "wire_version"
    INTERNAL = "internal"


class Message(Frozen):
    """One turn of the prompt."""

    role: Literal["system", "user", "assistant"]
    content: Text


class ConfidenceCut(Frozen):
    """End a completion whose confidence falls below a bar: DeepConf online (arXiv 2508.15260, section 3.3).

    Confidence is the mean token confidence of the last `window` tokens; nothing is cut before it has so many. The bar
    is `bar`, or else the percentile `100 - percentile` of the lowest such confidences of the job's first `warmup`
    samples, which are drawn in full, before the others.
    """

    bar: Finite | None = None
    warmup: int = Field(default=16, ge=1)
    percentile: float = Field(default=90.0, gt=0.0, lt=100.0)
    window: int = Field(default=2_048, ge=1)


class Caution(Frozen):
    """Try several continuations where the model is unsure: cautious next token prediction (arXiv 2507.03038).

    The higher the entropy (nats) of the next token between `entropy_low` and `entropy_high`, the more continuations (1
    to `trials`) are drawn up to the next punctuation mark; the one of the lowest perplexity is kept.
    """

    trials: int = Field(default=10, ge=1, le=64)
    entropy_low: Finite = Field(default=0.01, ge=0.0)
    entropy_high: Finite = Field(default=1.5, gt=0.0)


class Probe(Frozen):
    """End a completion whose answer has settled: probes in a running chain (Dynasor, arXiv 2412.20993).

    Every `every` tokens a copy of the completion is given `text` to go on from and writes at most `tokens` tokens more,
    greedily. Once `agree` probes in a row say the same, the completion ends as the last of them did.
    """

    every: int = Field(default=64, ge=4)
    text: Text = Field(default="\nThe answer is", min_length=1, max_length=200)
    tokens: int = Field(default=16, ge=1, le=256)
    agree: int = Field(default=3, ge=2, le=16)


class Sampling(Frozen):
    """How completions are drawn. `temperature` 0 is greedy. Sample i draws with the seed `seed + i`.

    `logit_bias`: added to the logits of these token ids before anything else; statistics stay those of the model.
    `options`: the completion is one of these strings, drawn by their likelihood at `temperature` (0: the likeliest).
    `end_at_answer`: a completion ends as soon as it has stated its answer, as far as the backend can tell.
    """

    temperature: float = Field(default=0.8, ge=0.0, le=5.0)
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    top_k: int | None = Field(default=None, ge=1)
    min_p: float | None = Field(default=None, ge=0.0, le=1.0)
    max_tokens: int = Field(default=256, ge=1)
    stop: tuple[str, ...] = ()
    seed: int | None = Field(default=None, ge=0, lt=2**63)
    logit_bias: tuple[tuple[int, Finite], ...] = ()
    options: tuple[Text, ...] = ()
    end_at_answer: bool = False
    cut: ConfidenceCut | None = None
    caution: Caution | None = None
    probe: Probe | None = None


JobKind = Literal["sample", "reward", "embed", "entail"]


class Job(Frozen):
    """One queue entry: draw the samples `first <= index < last` of one prompt.

    `batch` names the prompt within the answer: "samples", or one of its aggregation calls. `question_id` names
    a recorded question for the replay backend. The deadline is not part of it: it is Redis time, set when it is queued.
    `skipped`: how many of the answer's samples before `first` are other models', for a recording that numbers its own.
    `prefix`: how every completion begins; only what follows it is drawn and returned. A job of another `kind` draws
    nothing: its sample i holds the `values` of `texts[i]` (a text of `entail` is a premise, its pair the hypothesis).
    """

    v: Version = WIRE_VERSION
    job_id: str
    answer_id: str
    model: str
    kind: JobKind = "sample"
    messages: tuple[Message, ...] = ()
    prefix: Text = ""
    texts: tuple[Text, ...] = ()
    pairs: tuple[Text, ...] = ()
    sampling: Sampling = Sampling()
    first: int = Field(ge=0)
    last: int = Field(ge=1)
    batch: str = SAMPLES
    skipped: int = Field(default=0, ge=0)
    question_id: str | None = None
    use: Literal["sampling", "aggregation"] = "sampling"

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.kind == "sample" and not self.messages:
            raise ValueError("a job that draws samples has messages")
        if self.kind != "sample" and len(self.texts) < self.last:
            raise ValueError("a job that draws nothing has a text for each index")
        if self.kind == "entail" and len(self.pairs) != len(self.texts):
            raise ValueError("each premise has its hypothesis")
        return self


class SampleStatistics(Frozen):
    """Reduced over one completion's tokens, where the logits are, from the unprocessed distribution (temperature 1).

    `mean_logprob`: natural log, mean over tokens. `self_certainty`: mean over tokens of KL(uniform || p), nats, >= 0
    (arXiv 2502.18581). `entropy`: mean over tokens, nats. `lowest_group_confidence`: smallest sliding mean of the token
    confidence -mean(log p of the 20 likeliest tokens) (arXiv 2508.15260), and of the same token confidence:
    `mean_confidence` over all tokens, `tail_confidence` over the last 2,048, `bottom_group_confidence` over the tenth
    of the groups that is lowest. `sum_logprob`: over tokens. None: the backend cannot give it.

    What a question about the completion found: `answer_logprob`, the sum over the tokens of the final answer alone;
    `p_true`, the probability that the model gives to its answer being right (arXiv 2207.05221); `stated_confidence`,
    the confidence in [0, 1] that it states when asked; `reward_score`, a reward model's, on that model's own scale.
    """

    mean_logprob: Finite | None = None
    sum_logprob: Finite | None = None
    self_certainty: Finite | None = None
    entropy: Finite | None = None
    mean_confidence: Finite | None = None
    lowest_group_confidence: Finite | None = None
    bottom_group_confidence: Finite | None = None
    tail_confidence: Finite | None = None
    answer_logprob: Finite | None = None
    p_true: Finite | None = None
    stated_confidence: Finite | None = None
    reward_score: Finite | None = None


class Failure(Frozen):
    """Why samples did not come. `detail` is for people; it never carries a prompt, a completion or a key."""

    kind: FailureKind
    detail: str = Field(default="", max_length=2_000)


class Sample(Frozen):
    """One independently drawn completion, or the reason why there is none.

    `option_logprobs`: natural log of each of the sampling's options' likelihood after the prompt, whole strings, not
    normalised. `values`: what a reward (one number), an embedding (a vector) or an entailment job (probabilities of
    entailment, neutral, contradiction) found. `saved_tokens`: what a cut completion would have had more, at a guess.
    """

    index: int = Field(ge=0)
    text: str = Field(default="", max_length=MAX_COMPLETION_CHARS)
    finish_reason: FinishReason = FinishReason.STOP
    seed: int | None = None
    prompt_tokens: int = Field(default=0, ge=0)
    completion_tokens: int = Field(default=0, ge=0)
    statistics: SampleStatistics = SampleStatistics()
    option_logprobs: tuple[Finite, ...] = ()
    values: tuple[Finite, ...] = ()
    saved_tokens: int = Field(default=0, ge=0)
    failure: Failure | None = None


class Reply(Frozen):
    """Samples of one job on their way back; several samples are coalesced into one reply.

    `left_ms`: what was left of the job's time when this worker leased it, by the queue's own clock.
    """

    v: Version = WIRE_VERSION
    job_id: str
    answer_id: str
    batch: str
    worker: str
    left_ms: int | None = Field(default=None, gt=-(2**53), lt=2**53)
    samples: tuple[Sample, ...]


class WorkerCard(Frozen):
    """What a live worker says of itself, renewed with its heartbeat; `GET /v1/models` is made from these."""

    v: Version = WIRE_VERSION
    worker: str
    model: str
    backend: str
    provides: frozenset[Provides] = frozenset()
    capacity_samples: int = Field(ge=1)
    draining: bool = False
    started_ms: int = 0
