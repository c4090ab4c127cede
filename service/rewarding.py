"""Scores of samples by a reward model: a statistic that another pool of workers gives."""

from dataclasses import replace

from redis.exceptions import RedisError

from service.aggregators.base import Aggregator
from service.gather import Line
from service.plan import Plan
from service.sample_reader import Reading
from service.scoring import Texts, score
from workers.wire.messages import Failure


def reward_model_of(aggregator: Aggregator) -> str | None:
    """The pool that scores samples for the aggregator (its option `reward_model`); None where there is none."""
    named: str | None = getattr(getattr(aggregator, "options", None), "reward_model", None)
    return named


async def with_rewards(plan: Plan, line: Line, reading: Reading, deadline: float) -> tuple[Reading, tuple[str, ...]]:
    """The reading with `reward_score` of each sample that votes; and a warning where scores are missing.

    Each is scored as the answer to the request's own messages, however its sampler worded its prompt. `deadline` is on
    the monotonic clock.
    """
    model = reward_model_of(plan.aggregator)
    voting = [c for c in reading.candidates if c.excluded is None]
    if model is None or not voting:
        return reading, ()
    texts = tuple(candidate.sample.text for candidate in voting)
    try:
        found = await score(line, Texts(plan.answer_id, "reward", model, "reward", texts, deadline, plan.messages))
    except (RedisError, OSError) as error:
        return reading, (f"{model} scored no sample: {type(error).__name__}",)
    rewards = {c.sample.index: s for c, s in zip(voting, found, strict=True) if not isinstance(s, Failure)}
    candidates = []
    for candidate in reading.candidates:
        if (scored := rewards.get(candidate.sample.index)) is not None:
            statistics = candidate.sample.statistics.model_copy(update={"reward_score": scored[0]})
            candidate = replace(candidate, sample=candidate.sample.model_copy(update={"statistics": statistics}))
        candidates.append(candidate)
    kinds = sorted({each.kind.value for each in found if isinstance(each, Failure)})
    lost = f"{model} scored {len(rewards)} of {len(voting)} samples: {', '.join(kinds)}"
    return replace(reading, candidates=tuple(candidates)), (lost,) if kinds else ()
