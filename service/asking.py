"""Calls of an aggregator to a model: through the same queue as sampling, counted, bounded, recorded."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from service.aggregators.base import Ask, Left
from service.draws import Draw
from service.gather import Line, Order, alike, gather_samples
from service.plan import Plan
from workers.wire.messages import Failure, FailureKind, Message, Sample, Sampling


class Budgeted(Ask, Protocol):
    """An `ask` that can say what is left to spend; None where nobody can be asked."""

    def left(self) -> Left | None:
        """What may still be spent."""
        ...


@dataclass(frozen=True, slots=True)
class Call:
    """One recorded call. `model`: the pool that was asked."""

    batch: str
    model: str
    messages: tuple[Message, ...]
    prefix: str
    sample: Sample


@dataclass(slots=True)
class QueueAsk:
    """Asks the plan's model, or another.

    `most_calls` bounds the calls; `deadline` is the answer's, on the monotonic clock. `tokens_left`: how many tokens
    the calls may draw in all, where the answer has a budget of them; one that might draw more fails with `budget`, and
    is not counted. `waited_s`: for how long at least one call was on its way.
    """

    plan: Plan
    line: Line
    deadline: float
    most_calls: int
    tokens_left: int | None = None
    waited_s: float = 0.0
    _calls: dict[int, list[Call]] = field(default_factory=dict)
    _begun: int = 0
    _waiting: int = 0
    _since: float = 0.0

    def left(self) -> Left:
        """What may still be spent."""
        return Left(max(0.0, self.deadline - time.monotonic()), self.tokens_left)

    @property
    def calls(self) -> tuple[Call, ...]:
        """All calls, in the order in which they were begun."""
        return tuple(call for number in sorted(self._calls) for call in self._calls[number])

    async def __call__(
        self,
        messages: Sequence[Message],
        sampling: Sampling,
        n: int = 1,
        *,
        prefix: str = "",
        model: str | None = None,
    ) -> tuple[Sample, ...]:
        """Draws `n` samples of `messages`; what does not come in time carries the failure `timeout`."""
        if self._begun + n > self.most_calls:
            raise RuntimeError(f"{self.plan.aggregator.name} asks more often than max_calls says")
        reserved = n * (0 if sampling.options else sampling.max_tokens)
        if self.tokens_left is not None and reserved > self.tokens_left:
            spent = Failure(kind=FailureKind.BUDGET, detail=f"{reserved} tokens, and {self.tokens_left} are left")
            return tuple(Sample(index=i, failure=spent) for i in range(n))
        self._begun += n
        self._spend(reserved)
        number = len(self._calls) + 1
        recorded = self._calls[number] = []
        draw = Draw(model or self.plan.model, tuple(messages), sampling, prefix=prefix)
        order = Order(
            answer_id=self.plan.answer_id,
            batch=f"call{number}",
            n=n,
            deadline=self.deadline,
            draws=alike(draw),
        )
        with self._waited():
            gathered = await gather_samples(self.line, order)
        late = Failure(kind=FailureKind.TIMEOUT, detail="no reply within the answer's budget")
        samples = tuple(gathered.samples.get(i) or Sample(index=i, failure=late) for i in range(n))
        recorded += [Call(order.batch, draw.model, draw.messages, prefix, sample) for sample in samples]
        self._spend(sum(sample.completion_tokens for sample in samples) - reserved)
        return samples

    def _spend(self, tokens: int) -> None:
        if self.tokens_left is not None:
            self.tokens_left -= tokens

    @contextmanager
    def _waited(self) -> Iterator[None]:
        """Counts the time in which one call or several wait, once."""
        if not self._waiting:
            self._since = time.monotonic()
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1
            if not self._waiting:
                self.waited_s += time.monotonic() - self._since


class NoAsk:
    """Stands where no model can be asked: every call fails with `unsupported`, so asking methods fall back."""

    def left(self) -> None:
        """Nothing: nobody is there to ask."""

    async def __call__(
        self,
        messages: Sequence[Message],
        sampling: Sampling,
        n: int = 1,
        *,
        prefix: str = "",
        model: str | None = None,
    ) -> tuple[Sample, ...]:
        """Fails every sample."""
        await asyncio.sleep(0)
        failure = Failure(kind=FailureKind.UNSUPPORTED, detail="no model can be asked here")
        return tuple(Sample(index=i, failure=failure) for i in range(n))
