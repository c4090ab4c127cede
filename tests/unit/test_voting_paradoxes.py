"""The examples by which the docstrings name their paradoxes: more support, and another winner."""

import pytest

from service.aggregators.preference import Ballot, run_off
from service.answer_types.choice import Choice
from tests.ballots import of_models, samples, verdict, weights


@pytest.fixture(scope="session")
def lettered(panel_of):
    """A panel of lettered answers."""
    return lambda answers, **statistics: panel_of(samples(answers, **statistics), Choice())


def test_borda_one_more_vote_of_little_confidence(lettered) -> None:
    """A 10 against B 4 + 3 + 2 + 1; with one more A, the least confident, A 11 + 1 against B 5 + 4 + 3 + 2."""
    before = lettered("ACDEFGBBBB", self_certainty=range(10, 0, -1))
    assert weights(verdict("borda", before, p=1)) | {"A": 10, "B": 10} == weights(verdict("borda", before, p=1))
    assert verdict("borda", before, p=1).answer == "A"
    after = verdict("borda", lettered("ACDEFGBBBBA", self_certainty=range(10, -1, -1)), p=1)
    assert (after.answer, weights(after)["B"], weights(after)["A"]) == ("B", 14, 12)


def test_deepconf_one_more_vote_lets_another_in(lettered) -> None:
    """Half of three and of four is two: A 5, B 4. Half of five is three: A 5, B 4 + 3."""
    assert verdict("deepconf", lettered("ABB", tail_confidence=[5, 4, 3]), keep=0.5).answer == "A"
    assert verdict("deepconf", lettered("ABBA", tail_confidence=[5, 4, 3, 1]), keep=0.5).answer == "A"
    assert verdict("deepconf", lettered("ABBAA", tail_confidence=[5, 4, 3, 1, 1]), keep=0.5).answer == "B"


def test_majority_of_bests_worse_votes_lift_those_above_them(lettered) -> None:
    """m = 2: A 11 of 36, B 5 + 3 + 1 = 9; with three A below all, A 17 + 5 + 3 + 1 = 26 of 81, B 11 + 9 + 7 = 27."""
    before = verdict("majority_of_bests", lettered("ACDBBB", self_certainty=range(9, 3, -1)), m=2)
    assert (before.answer, weights(before)["A"] * 36) == ("A", pytest.approx(11))
    after = verdict("majority_of_bests", lettered("ACDBBBAAA", self_certainty=range(9, 0, -1)), m=2)
    assert (after.answer, weights(after)["B"] * 81, weights(after)["A"] * 81) == (
        "B",
        pytest.approx(27),
        pytest.approx(26),
    )


def test_model_switch_one_more_vote_makes_another_model_trusted(lettered) -> None:
    """x: B and C seven times each, 7/14 each; y: A, 1. With x's A beside, B 7 x 0.242 = 1.70 and A 1.24."""
    before = verdict("model_switch", of_models(lettered("B" * 7 + "C" * 7 + "A"), "x" * 14 + "y"))
    assert before.answer == "A"
    assert weights(before) == pytest.approx({"A": 1.0, "B": 0.5, "C": 0.5})
    after = verdict("model_switch", of_models(lettered("B" * 7 + "C" * 7 + "AA"), "x" * 14 + "yx"))
    assert after.answer == "B"
    assert weights(after) == pytest.approx({"A": 1.242, "B": 1.696, "C": 1.696}, abs=1e-3)


@pytest.mark.parametrize("welfare", ["maximin", "leximin", "nash", "utilitarian"])
def test_maxmin_one_more_sample_between_two(lettered, welfare: str) -> None:
    """(0, 1) and (1, 0) are level; with A's (0.5, -0.5) the ranks are (0, 1), (1, 0.5), (0.5, 0)."""
    options = {"statistics": ["mean_logprob", "self_certainty"], "welfare": welfare}
    before = lettered("AB", mean_logprob=[0, 1], self_certainty=[1, 0])
    assert verdict("maxmin", before, **options).answer == "A"
    after = lettered("ABA", mean_logprob=[0, 1, 0.5], self_certainty=[1, 0, -0.5])
    assert verdict("maxmin", after, **options).answer == "B"


def test_run_off_ballots_that_change_for_the_winner() -> None:
    """6 A>B>C, 5 C>A>B, 4 B>C>A, 2 B>A>C: C (5) goes, A has 11, B 6. Should the two say A>B>C, B (4) goes, C has 9."""
    a, b, c = range(3)
    others = [Ballot((a, b, c))] * 6 + [Ballot((c, a, b))] * 5 + [Ballot((b, c, a))] * 4
    before, after = run_off([*others, *[Ballot((b, a, c))] * 2], 3), run_off([*others, *[Ballot((a, b, c))] * 2], 3)
    assert (before.order, before.weights) == ((2, 1, 0), (17, 6, 5))
    assert (after.order, after.weights) == ((1, 0, 2), (8, 4, 17))
