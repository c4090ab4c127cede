"""Values of texts: their rewards, their vectors, or what one entails of another, from a worker that scores.

The same queue and the same way of gathering as for samples: a text is an index of the order.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Literal

from redis.exceptions import RedisError

from service.draws import Draw
from service.gather import Line, Order, alike, gather_samples
from workers.wire.messages import SAMPLES, Failure, FailureKind, Message, Sample, Sampling

ScoringKind = Literal["reward", "embed", "entail"]

_LENGTHS = {"reward": 1, "entail": 3}
"""How many values a text has; a vector has as many as its model's."""


@dataclass(frozen=True, slots=True)
class Texts:
    """What to score. `model` names the pool that scores; `batch` is used once in an answer, and is not "samples".

    `reward`: `texts` are answers to `messages`. `embed`: `texts` alone. `entail`: `texts` are premises and `pairs`,
    as many, their hypotheses. `deadline` is on the monotonic clock.
    """

    answer_id: str
    batch: str
    model: str
    kind: ScoringKind
    texts: tuple[str, ...]
    deadline: float
    messages: tuple[Message, ...] = ()
    pairs: tuple[str, ...] = ()


async def score(line: Line, asked: Texts) -> tuple[tuple[float, ...] | Failure, ...]:
    """The values of each text, in the order of the texts, or why there are none.

    `reward`: one number, higher is better. `embed`: a vector, all of one call as long as the first. `entail`:
    probabilities of entailment, neutral, contradiction. What does not come in time is the failure `timeout`. Raises
    ValueError where `pairs` do not fit `texts` or `batch` is the samples' own, and what the queue raises.
    """
    if asked.batch == SAMPLES:
        raise ValueError("values are no samples of the answer")
    if asked.kind == "entail" and len(asked.pairs) != len(asked.texts):
        raise ValueError("each premise has its hypothesis")
    if not asked.texts:
        return ()
    order = Order(
        answer_id=asked.answer_id,
        batch=asked.batch,
        n=len(asked.texts),
        deadline=asked.deadline,
        draws=alike(Draw(asked.model, asked.messages, Sampling())),
        kind=asked.kind,
        texts=asked.texts,
        pairs=asked.pairs,
    )
    gathered = await gather_samples(line, order)
    samples = [gathered.samples.get(index) for index in range(order.n)]
    length = _LENGTHS.get(asked.kind) or _first_length(samples)
    return tuple(_values(sample, length) for sample in samples)


@dataclass(slots=True)
class Scores:
    """Asks one pool on behalf of one answer, a batch a call. `deadline` is on the monotonic clock."""

    line: Line
    answer_id: str
    model: str
    deadline: float
    _numbers: "count[int]" = field(default_factory=lambda: count(1))

    async def __call__(
        self, kind: ScoringKind, texts: Sequence[str], pairs: Sequence[str] = ()
    ) -> tuple[tuple[float, ...] | Failure, ...]:
        """The values of each text, or why there are none; a queue that cannot be reached is a failure of each."""
        batch = f"{kind}{next(self._numbers)}"
        asked = Texts(self.answer_id, batch, self.model, kind, tuple(texts), self.deadline, pairs=tuple(pairs))
        try:
            return await score(self.line, asked)
        except (RedisError, OSError) as error:
            lost = Failure(kind=FailureKind.UPSTREAM_ERROR, detail=f"the queue: {type(error).__name__}")
            return (lost,) * len(texts)


def _first_length(samples: Sequence[Sample | None]) -> int:
    """How long the first vector is; 0 if none came."""
    return next((len(sample.values) for sample in samples if sample is not None and sample.values), 0)


def _values(sample: Sample | None, length: int) -> tuple[float, ...] | Failure:
    if sample is None:
        return Failure(kind=FailureKind.TIMEOUT, detail="no reply within the answer's budget")
    if sample.failure is not None:
        return sample.failure
    if not sample.values or len(sample.values) != length:
        detail = f"the worker sent {len(sample.values)} values for a text, not {length}"
        return Failure(kind=FailureKind.UPSTREAM_ERROR, detail=detail)
    return sample.values
