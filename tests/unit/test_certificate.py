"""The certificate's tests: their errors counted exactly, their controls, their laws and their power."""

import itertools
import math
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.confidence.certificate import LabelTest, LeaderTest, MajorityTest
from service.confidence.soft import STAKES, SoftTest
from service.confidence.stakes import share_won
from service.confidence.support import support_lower
from tests.load import certificate as simulated

ALPHAS = (0.2, 0.1, 0.05, 0.01)
DRAWS, ANSWERS = 9, 4
TENTHS = [p for p in itertools.product(range(11), repeat=ANSWERS) if sum(p) == 10 and list(p) == sorted(p)[::-1]]
"""Every distribution over four answers in steps of a tenth, ties and zeros included."""


def fed(test: LabelTest, labels) -> LabelTest:
    """The test after these draws."""
    for label in labels:
        test.see(label)
    return test


def patterns(length: int) -> Iterator[tuple[int, ...]]:
    """Every sequence up to the names of the labels: 0 is the first seen, 1 the second, ..."""

    def longer(found: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        if len(found) == length:
            yield found
            return
        for label in range(min(max(found, default=-1) + 2, ANSWERS)):
            yield from longer((*found, label))

    return longer(())


def outcomes(kind: type[LabelTest]) -> Counter[tuple[tuple[int, ...], tuple[float, ...], float]]:
    """How many sequences have these counts, these chances left to the labels in order, and to one not seen."""
    found: Counter[tuple[tuple[int, ...], tuple[float, ...], float]] = Counter()
    for pattern in patterns(DRAWS):
        test = fed(kind(), pattern)
        seen = range(max(pattern) + 1)
        counts = tuple(pattern.count(label) for label in seen)
        rest = test.chance_of_none if isinstance(test, MajorityTest) else test.chance("never seen")
        found[counts, tuple(test.chance(label) for label in seen), rest] += 1
    return found


def chances(kind: type[LabelTest], p: tuple[float, ...]) -> Iterator[tuple[float, dict[int, float], float]]:
    """Every outcome of nine draws from p (in tenths): its probability, the chances left by label, and to the rest."""
    for (counts, left, rest), times in OUTCOMES[kind].items():
        for named in itertools.permutations(range(ANSWERS), len(counts)):
            weight = times * math.prod((p[label] / 10) ** count for label, count in zip(named, counts, strict=True))
            if weight:
                yield weight, dict(zip(named, left, strict=True)), rest


OUTCOMES = {kind: outcomes(kind) for kind in (LeaderTest, MajorityTest)}


@pytest.mark.parametrize("p", TENTHS, ids=str)
def test_a_most_frequent_answer_is_excluded_no_more_often_than_alpha(p) -> None:
    """Exactly, over all sequences of nine draws. Chances never rise, so what was excluded on the way is so at nine."""
    modes = [label for label in range(ANSWERS) if p[label] == max(p)]
    found = list(chances(LeaderTest, p))
    assert math.fsum(weight for weight, _, _ in found) == pytest.approx(1)
    for alpha, mode in itertools.product(ALPHAS, modes):
        assert math.fsum(weight for weight, left, rest in found if left.get(mode, rest) <= alpha) <= alpha


@pytest.mark.parametrize("p", TENTHS, ids=str)
def test_what_is_true_of_a_majority_is_excluded_no_more_often_than_alpha(p) -> None:
    """Of the hypotheses "label b has more than half" and "none has" the true one, exactly."""
    found = list(chances(MajorityTest, p))
    for alpha in ALPHAS:
        if max(p) > 5:
            wrong = math.fsum(weight for weight, left, _ in found if left.get(0, 1.0) <= alpha)
        else:
            wrong = math.fsum(weight for weight, _, rest in found if rest <= alpha)
        assert wrong <= alpha


@pytest.mark.parametrize(
    ("p", "at_a_tenth", "at_a_fifth"),
    [((4, 4, 2), 0.016, 0.071), ((3.4, 3.3, 3.3), 0.018, 0.089), ((5, 5), 0.020, 0.086)],
    ids=str,
)
def test_the_enumeration_sees_errors(p, at_a_tenth, at_a_fifth) -> None:
    """How often exactly the first answer is excluded: below alpha, and far from never."""
    found = list(chances(LeaderTest, (*p, 0, 0)[:ANSWERS]))
    for alpha, expected in ((0.1, at_a_tenth), (0.2, at_a_fifth)):
        wrong = math.fsum(weight for weight, left, rest in found if left.get(0, rest) <= alpha)
        assert wrong == pytest.approx(expected, abs=6e-4)


@pytest.mark.parametrize("name", list(simulated.lines()))
def test_many_runs_err_no_more_often_than_alpha(name) -> None:
    """2,000 runs of 120 draws that stop at the first crossing (100,000 of 200: python -m tests.load.certificate)."""
    rates = simulated.error_rates(simulated.lines()[name], 2_000, 120, seed=1)
    for rate, alpha in zip(rates, simulated.ALPHAS, strict=True):
        assert rate <= simulated.bound(alpha, 2_000)


@pytest.mark.parametrize("name", list(simulated.CONTROLS))
def test_what_has_no_bound_shows_it(name) -> None:
    """Counting as samples finish, merging afterwards and a posterior of 0.95 err far more often than 0.05."""
    rates = simulated.error_rates(simulated.CONTROLS[name], 2_000, 120, seed=1)
    assert rates[1] > 2 * simulated.bound(0.05, 2_000)


def test_answers_merged_afterwards_are_certified_no_more_often_than_alpha_by_majority() -> None:
    """The control's answers, .45 against .3 and .25 that are merged: that none has more than half is seldom missed."""

    def run(rng, runs, draws):
        return simulated.against_majority(simulated.labels(np.array([0.45, 0.3, 0.25]), rng, runs, draws), None)

    rates = simulated.error_rates(run, 2_000, 120, seed=1)
    assert all(rate <= simulated.bound(alpha, 2_000) for rate, alpha in zip(rates, simulated.ALPHAS, strict=True))


sequences = st.lists(st.integers(0, 5), min_size=1, max_size=40)


@given(drawn=sequences)
@settings(max_examples=200)
def test_the_simulation_computes_what_the_tests_compute(drawn) -> None:
    """The wealth against label 0 is that of the shipped tests, to rounding."""
    rows = np.array([drawn])
    assert math.exp(-simulated.against_leader(rows, 0)[0]) == pytest.approx(fed(LeaderTest(), drawn).chance(0))
    majority = fed(MajorityTest(), drawn)
    if 0 in drawn:
        assert math.exp(-simulated.against_majority(rows, 0)[0]) == pytest.approx(majority.chance(0))
    assert math.exp(-simulated.against_majority(rows, None)[0]) == pytest.approx(majority.chance_of_none)


@given(drawn=st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=1, max_size=20))
def test_the_simulation_computes_what_the_soft_test_computes(drawn) -> None:
    """The p-value of an answer is the largest chance that is left to the others."""
    test = SoftTest(3)
    for shares in drawn:
        test.see(shares)
    rows = np.array([drawn])
    left = [math.exp(-simulated.against_soft(rows, mode)[0]) for mode in range(3)]
    for answer in range(3):
        assert test.p(answer) == pytest.approx(max(left[:answer] + left[answer + 1 :]))


@pytest.mark.parametrize("kind", [LeaderTest, MajorityTest])
@given(drawn=sequences, order=st.permutations(range(6)))
def test_laws_of_the_p_value(kind, drawn, order) -> None:
    """It never rises, also when an answer comes that was never seen; names of labels do not matter; it is in (0, 1]."""
    last = {label: 1.0 for label in range(6)}
    test, renamed = kind(), kind()
    for label in drawn:
        test.see(label)
        renamed.see(f"label {order[label]}")
        for known in range(6):
            p = test.p([known])
            assert 0 < p <= last[known]
            assert p == renamed.p([f"label {order[known]}"])
            last[known] = p
    before = {label: test.p([label]) for label in set(drawn)}
    test.see("never seen before")
    assert all(test.p([label]) <= p for label, p in before.items())


@given(drawn=sequences)
def test_at_most_one_of_several_answers_has_a_small_p(drawn) -> None:
    """Below 1 only one answer's p can be small: all others are excluded by it."""
    test = fed(LeaderTest(), drawn)
    assert sum(test.p([label]) <= 0.2 for label in set(drawn)) <= 1
    assert test.p(["not drawn"]) == 1


def test_equal_answers_are_certified_after_six_seven_and_nine() -> None:
    """p after n equal answers is E(1, 0) / E(n, 0): .0569 for 6, .0306 for 7, .0163 for 8, .0086 for 9."""
    assert [simulated.unanimous(alpha) for alpha in (0.1, 0.05, 0.01)] == [6, 7, 9]
    for kind in (LeaderTest, MajorityTest):
        found = [fed(kind(), ["a"] * n).p(["a"]) for n in (1, 2, 6, 7, 8, 9)]
        assert found == pytest.approx([1.0, 0.590147, 0.056861, 0.030566, 0.016289, 0.008620], abs=1e-6)


def test_a_stake_known_by_hand() -> None:
    """Before any draw the mean of q over Beta(1/2, 1/2) cut to (1/2, 1) is 1/2 + 1/pi, by q = sin^2."""
    assert share_won(0, 0) == pytest.approx(0.5 + 1 / math.pi)
    # One win: E(q^2) / E(q) with E(sin^4) = 3/8 + 1/pi over (pi/4, pi/2).
    assert share_won(1, 0) == pytest.approx((3 / 8 + 1 / math.pi) / (0.5 + 1 / math.pi))
    assert share_won(0, 1) == pytest.approx((1 / 8) / (0.5 - 1 / math.pi))


def test_votes_needed_by_an_answer_named_beforehand() -> None:
    """The power of the prior: smallest n1 with E(n1, n2) >= 1/alpha for n2 = 0..8."""
    assert [simulated.needed(0.05, rival) for rival in range(9)] == [6, 10, 12, 15, 17, 19, 21, 23, 25]
    assert [simulated.needed(0.1, rival) for rival in range(9)] == [5, 8, 11, 13, 15, 17, 19, 21, 23]


@pytest.mark.parametrize(("wins", "losses"), [(0, 0), (3, 9), (40, 2), (10, 200), (500, 480), (5000, 3)])
def test_stakes_are_the_posterior_mean(wins, losses) -> None:
    """Against the integrals by the midpoint rule in the angle whose squared sine is q; for any counts in [1/2, 1)."""
    angles = math.pi / 4 + (np.arange(200_000) + 0.5) * (math.pi / 4 / 200_000)
    q = np.sin(angles) ** 2
    logs = wins * np.log(2 * q) + losses * np.log(2 * (1 - q))
    weights = np.exp(logs - logs.max())
    assert share_won(wins, losses) == pytest.approx(float((weights * q).sum() / weights.sum()), rel=1e-7)
    assert 0.5 <= share_won(wins, losses) < 1


def test_soft_votes_of_one_answer() -> None:
    """Draws that give all to one answer: (1 + lambda)^(n - 1) averaged over the fifteen stakes."""
    test = SoftTest(3)
    for _ in range(7):
        test.see((0.0, 1.0, 0.0))
    expected = len(STAKES) / math.fsum((1 + stake) ** 6 for stake in STAKES)
    assert (test.leader, test.p(1)) == (1, pytest.approx(expected))
    assert test.p(1) < 0.05 < test.p(0)
    with pytest.raises(ValueError, match="between 0 and 1"):
        test.see((0.5, 1.5, 0.0))


def test_the_lower_bound_of_a_share() -> None:
    """Eight equal answers: the first names the label, seven follow, at alpha/2 = 1/40: B(7.5, .5) / (pi p^7) = 40."""
    root = (math.gamma(7.5) * math.gamma(0.5) / math.gamma(8) / (40 * math.pi)) ** (1 / 7)
    assert support_lower(["a"] * 8, {"a"}) == pytest.approx(root)
    assert support_lower(["a"] * 8, {"b"}) == 0
    assert support_lower([], {"a"}) == support_lower(["a"], {"a"}) == 0


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_the_lower_bound_is_seldom_above_the_share(share) -> None:
    """Looked at after every draw in 400 runs of 60, it is too high in at most 5 % and three standard errors."""
    rng = np.random.default_rng(3)
    wrong = 0
    for _ in range(400):
        drawn = (rng.random(60) > share).astype(int).tolist()
        wrong += any(support_lower(drawn[:length], {0}) > share for length in range(1, 61))
    assert wrong / 400 <= simulated.bound(0.05, 400)
