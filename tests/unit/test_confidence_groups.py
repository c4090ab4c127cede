"""Statistics over a completion's tokens: windows, groups, and what is not a number."""

import math

import pytest

from workers.backends.confidence_groups import group_confidences, group_window, token_statistics
from workers.wire.messages import SampleStatistics


def test_the_group_is_an_eighth_within_bounds() -> None:
    """Windows of DeepConf's groups, and the means over them."""
    assert [group_window(length) for length in (1, 31, 200, 800, 100_000)] == [1, 31, 32, 100, 2_048]
    falling = [float(number) for number in range(64, 0, -1)]
    assert min(group_confidences(falling, group_window(64))) == pytest.approx(16.5)
    assert group_confidences([1.0, 2.0, 6.0], 2) == [1.5, 4.0]


def test_statistics_are_those_of_the_paper() -> None:
    """Means, the lowest group, the lowest tenth of the groups, and the tail."""
    confidences = [float(number % 50) for number in range(4_000)]
    found = token_statistics([-0.5] * 4_000, confidences)
    groups = sorted(math.fsum(confidences[at : at + 500]) / 500 for at in range(3_501))
    assert (found.mean_logprob, found.sum_logprob) == (-0.5, -2_000.0)
    assert found.mean_confidence == pytest.approx(24.5)
    assert found.lowest_group_confidence == pytest.approx(groups[0])
    assert found.bottom_group_confidence == pytest.approx(math.fsum(groups[:351]) / 351)
    assert found.tail_confidence == pytest.approx(math.fsum(confidences[-2_048:]) / 2_048)
    assert (found.self_certainty, found.entropy) == (None, None)


def test_no_tokens_and_no_numbers_are_no_statistics() -> None:
    """One -inf among the logprobs takes the logprobs away, one among the confidences the confidences."""
    assert token_statistics([], []) == SampleStatistics()
    found = token_statistics([-math.inf, -1.0], [1.0, 2.0])
    assert (found.mean_logprob, found.mean_confidence) == (None, 1.5)
    found = token_statistics([-1.0, -1.0], [math.inf, 2.0])
    assert (found.mean_logprob, found.mean_confidence, found.lowest_group_confidence) == (-1.0, None, None)
