"""The certificate of a weighted vote: its errors counted exactly and by simulation, and its laws."""

import itertools
import math
from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.confidence.certificate import LabelTest
from service.confidence.weighted import WeightedLeaderTest, WeightedMajorityTest
from tests.load import certificate as simulated
from tests.load.weighted_wealth import (
    WEIGHED_CONTROLS,
    WEIGHED_NULLS,
    against_weighted_leader,
    against_weighted_majority,
)

ALPHAS = (0.3, 0.2, 0.1)
DRAWS, ANSWERS, WEIGHTS = 6, 3, (1.0, 0.25)

Weighted = WeightedLeaderTest | WeightedMajorityTest
Law = tuple[tuple[float, float], ...]
"""For each label: how often it is drawn, and how often it then weighs 1 and not a quarter."""

TIED: dict[str, Law] = {
    "alike": ((0.5, 0.5), (0.5, 0.5), (0.0, 0.0)),
    "rare and sure, frequent and unsure": ((0.2, 1.0), (0.8, 0.0), (0.0, 0.0)),
    "the same, with a third": ((0.16, 1.0), (0.64, 0.0), (0.2, 0.2)),
    "three": ((0.2, 1.0), (0.4, 1 / 3), (0.4, 1 / 3)),
}
"""Laws of which the first two labels, at least, have the largest expected vote."""

HALF: dict[str, Law] = {
    "two halves": ((0.2, 1.0), (0.8, 0.0), (0.0, 0.0)),
    "half against two": ((0.5, 0.5), (0.25, 0.5), (0.25, 0.5)),
    "none near it": ((0.2, 0.6), (0.4, 0.1), (0.4, 0.1)),
}


def expected(law: Law) -> list[float]:
    """The expected vote of each label."""
    return [share * (sure * WEIGHTS[0] + (1 - sure) * WEIGHTS[1]) for share, sure in law]


def fed(test: Weighted, drawn) -> Weighted:
    """The test after these draws."""
    for label, weight in drawn:
        test.see(label, weight)
    return test


@cache
def left(kind: type[Weighted]) -> list[tuple[tuple[tuple[int, float], ...], tuple[float, ...], float]]:
    """All sequences of draws of three labels with two weights: the chances left by label, and to "none"."""
    found = []
    for labels in itertools.product(range(ANSWERS), repeat=DRAWS):
        known = list(dict.fromkeys(labels))
        if known != sorted(known) or known[0] != 0 or len(known) != max(known) + 1:
            continue  # the same sequence but for the names of its labels
        for weights in itertools.product(WEIGHTS, repeat=DRAWS):
            test = fed(kind(), zip(labels, weights, strict=True))
            none = test.chance_of_none if isinstance(test, WeightedMajorityTest) else 1.0
            chances = [test.chance(label) for label in range(ANSWERS)]
            for named in itertools.permutations(range(ANSWERS), len(known)):
                whose = dict(zip(named, chances, strict=False))
                drawn = tuple((named[label], weight) for label, weight in zip(labels, weights, strict=True))
                found.append((drawn, tuple(whose.get(label, chances[-1]) for label in range(ANSWERS)), none))
    return found


def outcomes(kind: type[Weighted], law: Law) -> Iterator[tuple[float, tuple[float, ...], float]]:
    """The probability of every sequence under the law, with what it leaves."""
    chance = {
        (label, weight): share * (sure if weight == WEIGHTS[0] else 1 - sure)
        for label, (share, sure) in enumerate(law)
        for weight in WEIGHTS
    }
    for drawn, labels, none in left(kind):
        probability = math.prod(chance[each] for each in drawn)
        if probability:
            yield probability, labels, none


@pytest.mark.parametrize("law", TIED.values(), ids=TIED)
def test_a_label_of_the_largest_expected_vote_is_excluded_no_more_often_than_alpha(law) -> None:
    """Exactly, over all sequences of six draws; and it is excluded at times, so that the enumeration sees errors."""
    votes = expected(law)
    modes = [label for label, vote in enumerate(votes) if vote == pytest.approx(max(votes))]
    assert modes[:2] == [0, 1]
    found = list(outcomes(WeightedLeaderTest, law))
    assert math.fsum(probability for probability, _, _ in found) == pytest.approx(1)
    wrong = {
        (alpha, mode): math.fsum(probability for probability, labels, _ in found if labels[mode] <= alpha)
        for alpha, mode in itertools.product(ALPHAS, modes)
    }
    assert all(rate <= alpha for (alpha, _), rate in wrong.items())
    assert max(wrong.values()) > 0.005


@pytest.mark.parametrize("law", HALF.values(), ids=HALF)
def test_that_none_has_more_than_half_is_excluded_no_more_often_than_alpha(law) -> None:
    """Nor, on the boundary, that one has half."""
    votes = expected(law)
    assert max(votes) <= 0.5 * sum(votes) * (1 + 1e-9)
    found = list(outcomes(WeightedMajorityTest, law))
    for alpha in ALPHAS:
        assert math.fsum(probability for probability, _, none in found if none <= alpha) <= alpha
        if max(votes) == pytest.approx(0.5 * sum(votes)):
            assert math.fsum(probability for probability, labels, _ in found if labels[0] <= alpha) <= alpha


@pytest.mark.parametrize("name", list(WEIGHED_NULLS))
def test_many_runs_err_no_more_often_than_alpha(name) -> None:
    """1,000 runs of 80 draws that stop at the first crossing (100,000 of 200: python -m tests.load.certificate)."""
    rates = simulated.error_rates(WEIGHED_NULLS[name], 1_000, 80, seed=1)
    assert all(rate <= simulated.bound(alpha, 1_000) for rate, alpha in zip(rates, simulated.ALPHAS, strict=True))


@pytest.mark.parametrize("name", list(WEIGHED_CONTROLS))
def test_what_has_no_bound_shows_it(name) -> None:
    """Weights that follow the other draws, and a claim about frequency, err far more often than 0.05."""
    assert simulated.error_rates(WEIGHED_CONTROLS[name], 1_000, 80, seed=1)[1] > 2 * simulated.bound(0.05, 1_000)


draws = st.lists(st.tuples(st.integers(0, 4), st.floats(0, 1)), min_size=1, max_size=30)


@given(drawn=draws)
def test_the_simulation_computes_what_the_tests_compute(drawn) -> None:
    """The wealth against label 0, and against "none has more than half", to rounding."""
    rows, weights = np.array([[label for label, _ in drawn]]), np.array([[weight for _, weight in drawn]])
    leader, majority = fed(WeightedLeaderTest(), drawn), fed(WeightedMajorityTest(), drawn)
    assert math.exp(-against_weighted_leader(rows, weights, 0)[0]) == pytest.approx(leader.chance(0))
    assert math.exp(-against_weighted_majority(rows, weights, 0)[0]) == pytest.approx(majority.chance(0))
    assert isinstance(majority, WeightedMajorityTest)
    assert math.exp(-against_weighted_majority(rows, weights, None)[0]) == pytest.approx(majority.chance_of_none)


@pytest.mark.parametrize("kind", [WeightedLeaderTest, WeightedMajorityTest])
@given(drawn=draws, order=st.permutations(range(5)), weight=st.floats(0, 1))
def test_laws_of_the_p_value(kind, drawn, order, weight) -> None:
    """It never rises, also when an answer comes that was never seen; names of labels do not matter; it is in (0, 1]."""
    last = dict.fromkeys(range(5), 1.0)
    test, renamed = kind(), kind()
    for label, own in drawn:
        test.see(label, own)
        renamed.see(f"label {order[label]}", own)
        for known in range(5):
            p = test.p([known])
            assert 0 < p <= last[known]
            assert p == renamed.p([f"label {order[known]}"])
            last[known] = p
    test.see("never seen before", weight)
    assert all(test.p([label]) <= p for label, p in last.items() if label in {label for label, _ in drawn})
    assert sum(test.p([label]) <= 0.2 for label in range(5)) <= 1


@pytest.mark.parametrize("kind", [WeightedLeaderTest, WeightedMajorityTest])
def test_equal_answers_are_certified_the_later_the_less_they_weigh(kind) -> None:
    """n draws of weight w: one over the mean over the stakes of (1 + stake w)^(n - 1). Weight 0 says nothing."""
    for weight, needed in ((1.0, 7), (0.8, 8), (0.5, 11), (0.25, 19)):
        test: LabelTest = kind()
        while test.p(["a"]) > 0.05:
            test.see("a", weight)
        assert test.seen == needed
        stakes = [2.0**-i for i in range(1, 9)] + [1 - 2.0**-i for i in range(2, 9)]
        assert test.p(["a"]) == pytest.approx(15 / math.fsum((1 + s * weight) ** (needed - 1) for s in stakes))
    assert fed(kind(), [("a", 0.0)] * 50).p(["a"]) == 1.0


@pytest.mark.parametrize("kind", [WeightedLeaderTest, WeightedMajorityTest])
@pytest.mark.parametrize("weight", [-0.1, 1.1, math.nan, math.inf])
def test_a_weight_beyond_its_bounds_is_refused(kind, weight) -> None:
    """The wealth could fall below 0, and there would be no bound."""
    with pytest.raises(ValueError, match="between 0 and 1"):
        kind().see("a", weight)
