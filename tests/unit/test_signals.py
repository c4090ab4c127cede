"""The raw signals of a vote."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.confidence.signals import certified_flips, entropy_ratio, margin, posterior_lead


def mass_above_half(a: int, b: int) -> Fraction:
    """Beta(a + 1, b + 1)'s mass above 1/2, by integrating x^a (1 - x)^b term by term."""

    def integral(low: Fraction) -> Fraction:
        terms = (Fraction((-1) ** k * math.comb(b, k)) * (1 - low ** (a + k + 1)) / (a + k + 1) for k in range(b + 1))
        return sum(terms, Fraction(0))

    return integral(Fraction(1, 2)) / integral(Fraction(0))


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 8, 16, 40, 64])
def test_the_posterior_of_n_equal_answers_is_exact(n: int) -> None:
    """Unanimous n: 1 - 2^-(n + 1)."""
    assert posterior_lead(n, 0) == 1 - 2.0 ** -(n + 1)


@given(st.integers(0, 40), st.integers(0, 40))
def test_the_posterior_is_the_beta_integral(first: int, second: int) -> None:
    """The binomial form equals the integral, to the last bit of a float's rounding."""
    leader, runner_up = max(first, second), min(first, second)
    assert posterior_lead(leader, runner_up) == pytest.approx(float(mass_above_half(leader, runner_up)), abs=1e-15)


@given(st.integers(0, 64))
def test_level_votes_leave_the_posterior_at_one_half(votes: int) -> None:
    """v against v says nothing."""
    assert posterior_lead(votes, votes) == 0.5


@given(st.integers(1, 64), st.integers(0, 63))
def test_the_posterior_grows_with_the_leader_and_falls_with_the_runner_up(leader: int, runner_up: int) -> None:
    """One more vote for the leader never lowers it, one more for the runner-up never raises it."""
    here = posterior_lead(leader, runner_up)
    assert posterior_lead(leader + 1, runner_up) >= here
    assert posterior_lead(leader, runner_up + 1) <= here
    assert 0.0 <= here <= 1.0


@pytest.mark.parametrize(
    ("counts", "expected"),
    [([], 0.0), ([1], 0.0), ([8], 0.0), ([1, 1], 1.0), ([1, 1, 1, 1], 1.0), ([2, 2], 0.5), ([3, 0], 0.0)],
)
def test_entropy_runs_from_unanimous_to_all_different(counts: list[int], expected: float) -> None:
    """0 where all agree, 1 where no two do, log-proportional between."""
    assert entropy_ratio(counts) == pytest.approx(expected)


@given(st.lists(st.integers(1, 20), max_size=12))
def test_entropy_is_a_ratio_and_does_not_depend_on_order(counts: list[int]) -> None:
    """In [0, 1], bit for bit the same for any order of the classes."""
    here = entropy_ratio(counts)
    assert 0.0 <= here <= 1.0
    assert entropy_ratio(list(reversed(counts))) == here


@given(st.integers(0, 64), st.integers(0, 64))
def test_that_many_flips_really_leave_the_leader_ahead(first: int, second: int) -> None:
    """After the certified flips the leader still has strictly more; after one more it has not."""
    leader, runner_up = max(first, second), min(first, second)
    flips = certified_flips(leader, runner_up)
    if leader > runner_up:
        assert leader - flips > runner_up + flips
    assert not leader - (flips + 1) > runner_up + flips + 1


def test_the_margin_is_a_share_of_all_votes() -> None:
    """(v1 - v2) / all votes, 0 without votes."""
    assert margin(5, 2, 8) == 0.375
    assert margin(0, 0, 0) == 0.0
