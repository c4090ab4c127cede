"""Calls of an aggregator to a model: through the same queue as sampling, counted, bounded, recorded."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

from service.draws import Draw
from service.gather import Line, Order, alike, gather_samples
from service.plan import Plan
from workers.wire.messages import Failure, FailureKind, Message, Sample, Sampling


@dataclass(frozen=True, slots=True)
class Call:
    """One recorded call."""

    batch: str
    messages: tuple[Message, ...]
    sample: Sample


@dataclass(slots=True)
class QueueAsk:
    """Asks the plan's model. `most_calls` bounds the calls; `deadline` is the answer's, on the monotonic clock."""

    plan: Plan
    line: Line
    deadline: float
    most_calls: int
    calls: list[Call] = field(default_factory=list)
    waited_s: float = 0.0
    _numbers: "count[int]" = field(default_factory=lambda: count(1))

    async def __call__(self, messages: Sequence[Message], sampling: Sampling, n: int = 1) -> tuple[Sample, ...]:
        """Draws `n` samples of `messages`; what does not come in time carries the failure `timeout`."""
        if len(self.calls) + n > self.most_calls:
            raise RuntimeError(f"{self.plan.aggregator.name} asks more often than max_calls says")
        prompt, batch = tuple(messages), f"call{next(self._numbers)}"
        order = Order(
            answer_id=self.plan.answer_id,
            batch=batch,
            n=n,
            deadline=self.deadline,
            draws=alike(Draw(self.plan.model, prompt, sampling)),
        )
        gathered = await gather_samples(self.line, order)
        self.waited_s += gathered.total_s
        late = Failure(kind=FailureKind.TIMEOUT, detail="no reply within the answer's budget")
        samples = tuple(gathered.samples.get(i) or Sample(index=i, failure=late) for i in range(n))
        self.calls += [Call(batch, prompt, sample) for sample in samples]
        return samples


class NoAsk:
    """Stands where no model can be asked: every call fails with `unsupported`, so asking methods fall back."""

    async def __call__(self, messages: Sequence[Message], sampling: Sampling, n: int = 1) -> tuple[Sample, ...]:
        """Fails every sample."""
        await asyncio.sleep(0)
        failure = Failure(kind=FailureKind.UNSUPPORTED, detail="no model can be asked here")
        return tuple(Sample(index=i, failure=failure) for i in range(n))
