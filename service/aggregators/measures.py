"""The statistics of a sample by which voting methods weigh and rank: what each needs, which way is better, its weight.

One table for all methods. A weight is not negative, and larger for a more confident sample:

- mean_logprob, sum_logprob, answer_logprob: e^x, the (geometric mean) probability in (0, 1]. `sum_logprob` is there for
  ranking and for a softmax; as a weight it is the raw likelihood, which favours short samples, and the weighted sums of
  arXiv 2203.11171 that are not normalised by length lose to the plain vote.
- entropy: e^-x in (0, 1], the same scale as mean_logprob, whose expectation is -entropy; the only one of which less is
  better.
- self_certainty and the confidences of DeepConf: x itself, nats, at least 0.
- p_true, stated_confidence: x itself, within 0 and 1.
- reward_score: the logistic function of x in (0, 1), as outcome reward models are trained to be read (arXiv
  2110.14168).
"""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from service.aggregators.ballot import Voter, clipped
from service.aggregators.base import Options
from workers.wire.messages import Provides, Sample

Statistic = Literal[
    "mean_logprob",
    "sum_logprob",
    "self_certainty",
    "entropy",
    "mean_confidence",
    "lowest_group_confidence",
    "bottom_group_confidence",
    "tail_confidence",
    "answer_logprob",
    "p_true",
    "stated_confidence",
    "reward_score",
]


def logistic(x: float) -> float:
    """1 / (1 + e^-x), without overflow."""
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def _probability(x: float) -> float:
    return math.exp(min(x, 0.0))


def _within_one(x: float) -> float:
    return min(max(x, 0.0), 1.0)


@dataclass(frozen=True, slots=True)
class Measure:
    """What the workers must supply, the weight of a value turned so that more is better, and that turn (+1 or -1).

    `within_one`: no weight is above 1; nats have no such bound.
    """

    needs: Provides
    weight: Callable[[float], float]
    turn: float = 1.0
    within_one: bool = True


MEASURES: dict[Statistic, Measure] = {
    "mean_logprob": Measure(Provides.MEAN_LOGPROB, _probability),
    "sum_logprob": Measure(Provides.MEAN_LOGPROB, _probability),
    "self_certainty": Measure(Provides.SELF_CERTAINTY, clipped, within_one=False),
    "entropy": Measure(Provides.ENTROPY, _probability, turn=-1.0),
    "mean_confidence": Measure(Provides.GROUP_CONFIDENCES, clipped, within_one=False),
    "lowest_group_confidence": Measure(Provides.LOWEST_GROUP_CONFIDENCE, clipped, within_one=False),
    "bottom_group_confidence": Measure(Provides.GROUP_CONFIDENCES, clipped, within_one=False),
    "tail_confidence": Measure(Provides.GROUP_CONFIDENCES, clipped, within_one=False),
    "answer_logprob": Measure(Provides.ANSWER_LOGPROB, _probability),
    "p_true": Measure(Provides.P_TRUE, _within_one),
    "stated_confidence": Measure(Provides.STATED_CONFIDENCE, _within_one),
    "reward_score": Measure(Provides.REWARD_SCORE, logistic),
}


@dataclass(frozen=True, slots=True)
class Scored:
    """The voters that have a statistic, each with its value turned so that more is better; and a warning of the rest.

    A voter without the statistic casts no weight: the plan refuses workers that cannot supply it, so this is a stray
    sample, and any weight made up for it would be a guess about the very thing that decides. It keeps its place among
    the votes.
    """

    voters: tuple[Voter, ...]
    values: tuple[float, ...]
    warnings: tuple[str, ...]


class MeasuredOptions(Options):
    """`reward_model`: the pool whose reward model scores each voting sample as an answer to the question; `statistic`
    is then `reward_score`.
    """

    reward_model: str | None = Field(default=None, min_length=1, max_length=200)

    @model_validator(mode="before")
    @classmethod
    def _scored_by_it(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("reward_model") is not None:
            return {"statistic": "reward_score", **given}
        return given

    @model_validator(mode="after")
    def _nothing_else(self) -> Self:
        if self.reward_model is not None and getattr(self, "statistic", None) != "reward_score":
            raise ValueError("reward_model gives the statistic reward_score, and another is asked for")
        return self


def needs_of_options(options: MeasuredOptions, statistic: Statistic) -> frozenset[Provides]:
    """What the workers that draw samples must supply: not the score that another pool gives."""
    return frozenset() if options.reward_model is not None else needs_of([statistic])


def needs_of(statistics: Collection[Statistic]) -> frozenset[Provides]:
    """What the workers must supply for these statistics."""
    return frozenset(MEASURES[statistic].needs for statistic in statistics)


def value_of(sample: Sample, statistic: Statistic) -> float | None:
    """The sample's statistic, turned so that more is better; None where it has none that is a finite number."""
    value: float | None = getattr(sample.statistics, statistic)
    return None if value is None or not math.isfinite(value) else value * MEASURES[statistic].turn


def scored(voting: Sequence[Voter], statistic: Statistic) -> Scored:
    """The voters with their values."""
    found = [(voter, value_of(voter.candidate.sample, statistic)) for voter in voting]
    having = [(voter, value) for voter, value in found if value is not None]
    lacking = len(found) - len(having)
    said = (f"{lacking} votes weigh nothing: their samples have no {statistic}",) if lacking else ()
    return Scored(tuple(voter for voter, _ in having), tuple(value for _, value in having), said)


def weights_of(values: Sequence[float], statistic: Statistic, temperature: float | None = None) -> list[float]:
    """The weights of turned values: the table's, or e^(x / temperature) as a share of the greatest, in (0, 1].

    The latter is a softmax but for its denominator, which is common to all and so chooses nothing.
    """
    if temperature is None:
        return [clipped(MEASURES[statistic].weight(value)) for value in values]
    most = max(values, default=0.0)
    return [math.exp((value - most) / temperature) for value in values]
