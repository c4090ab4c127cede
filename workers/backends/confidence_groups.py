"""What a completion's logprobs and token confidences say together: pure numbers, alike for every backend that has them.

Everything is over every drawn token, the end token included.
"""

import math
from collections.abc import Sequence
from itertools import accumulate

from workers.wire.messages import SampleStatistics

TOP = 20
"""Likeliest tokens in DeepConf's token confidence (arXiv 2508.15260)."""

_SHORTEST_WINDOW, _LONGEST_WINDOW, _WINDOW_SHARE = 32, 2_048, 8
"""A group is an eighth of the completion, within these bounds (in tokens)."""

_TAIL = 2_048
"""Tokens in DeepConf's tail."""

_LOWEST_SHARE = 0.1
"""The share of the groups in DeepConf's bottom-10 % confidence."""


def token_statistics(logprobs: Sequence[float], confidences: Sequence[float]) -> SampleStatistics:
    """All statistics that follow from the drawn tokens' logprobs and confidences, two numbers a token.

    A number that is not finite is None, and so is every one of no tokens.
    """
    if not logprobs:
        return SampleStatistics()
    total = math.fsum(logprobs)
    groups = group_confidences(confidences, group_window(len(confidences)))
    lowest = sorted(groups)[: max(1, math.ceil(_LOWEST_SHARE * len(groups)))]
    return SampleStatistics(
        mean_logprob=finite(total / len(logprobs)),
        sum_logprob=finite(total),
        mean_confidence=finite(mean(confidences)),
        lowest_group_confidence=finite(lowest[0]),
        bottom_group_confidence=finite(mean(lowest)),
        tail_confidence=finite(mean(confidences[-_TAIL:])),
    )


def group_window(length: int) -> int:
    """Tokens in a group for a completion of `length` tokens: clip(length // 8, 32, 2048), or all of a shorter one."""
    return min(max(length // _WINDOW_SHARE, _SHORTEST_WINDOW), _LONGEST_WINDOW, length)


def group_confidences(confidences: Sequence[float], window: int) -> list[float]:
    """The means of all sliding windows of `window` numbers, at most as many as there are numbers."""
    if not all(map(math.isfinite, confidences)):
        return [math.nan]
    sums = [0.0, *accumulate(confidences)]
    return [(end - start) / window for start, end in zip(sums, sums[window:], strict=False)]


def mean(values: Sequence[float]) -> float:
    """The mean of at least one number, NaN where one is not finite."""
    return math.fsum(values) / len(values) if all(map(math.isfinite, values)) else math.nan


def finite(value: float) -> float | None:
    """The number, or None in place of one that is not finite."""
    return value if math.isfinite(value) else None
