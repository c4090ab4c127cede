"""Voting by weights and ranks: known answers with their arithmetic."""

import math
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.aggregators.ballot import rank_weights
from service.aggregators.borda import power
from service.aggregators.deepconf import kept_of
from service.aggregators.measures import MEASURES, value_of, weights_of
from service.answer_types.choice import Choice
from service.errors import BadRequest
from tests.ballots import of_models, samples, verdict, weights
from workers.wire.messages import Sample, SampleStatistics


@pytest.fixture(scope="session")
def lettered(panel_of):
    """A panel of lettered answers."""
    return lambda answers, **statistics: panel_of(samples(answers, **statistics), Choice())


def test_the_table_knows_every_statistic() -> None:
    assert set(MEASURES) == set(SampleStatistics.model_fields)


@pytest.mark.parametrize(
    ("statistic", "value", "weight"),
    [
        ("mean_logprob", math.log(0.25), 0.25),
        ("answer_logprob", -800.0, 0.0),  # e^-800 is below the least number
        ("entropy", math.log(2), 0.5),
        ("self_certainty", 3.5, 3.5),
        ("self_certainty", 1e9, 1e6),  # clipped
        ("tail_confidence", -1.0, 0.0),
        ("p_true", 1.2, 1.0),
        ("reward_score", 0.0, 0.5),
        ("reward_score", -1000.0, 0.0),
        ("reward_score", math.log(3), 0.75),  # 1 / (1 + 1/3)
    ],
)
def test_a_statistic_becomes_a_weight(statistic: str, value: float, weight: float) -> None:
    sample = Sample(index=0, statistics=SampleStatistics(**{statistic: value}))
    assert weights_of([value_of(sample, statistic)], statistic) == pytest.approx([weight])


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_finite_number_is_no_statistic(value: float) -> None:
    """The wire refuses these; one that came past it weighs nothing."""
    broken = Sample.model_construct(index=0, statistics=SampleStatistics.model_construct(p_true=value))
    assert value_of(broken, "p_true") is None


def test_the_weighted_vote_sums_and_never_averages(lettered) -> None:
    """A has 0.3 + 0.3 = 0.6 against 0.9; a third A makes it 0.9 + 0.1 = 1.0, though their mean is lower than ever."""
    assert verdict("weighted_vote", lettered("AAB", p_true=[0.3, 0.3, 0.9]), statistic="p_true").answer == "B"
    found = verdict("weighted_vote", lettered("AABA", p_true=[0.3, 0.3, 0.9, 0.4]), statistic="p_true")
    assert found.answer == "A"
    assert weights(found) == pytest.approx({"A": 1.0, "B": 0.9})
    assert found.ranking[0].share == pytest.approx(1.0 / 1.9)
    assert found.support == 0.75


def test_the_softmax_goes_from_the_plain_vote_to_the_best_sample(lettered) -> None:
    """T = 1: A has e^0.2 + e^0.3 = 1.221 + 1.350, B e^0.6 = 1.822. T = 0.1: A e^2 + e^3 = 27.5, B e^6 = 403.4."""
    panel = lettered("AAB", p_true=[0.2, 0.3, 0.6])
    warm, cold = (verdict("weighted_vote", panel, statistic="p_true", temperature=t) for t in (1.0, 0.1))
    assert (warm.answer, cold.answer) == ("A", "B")
    assert weights(warm)["A"] / weights(warm)["B"] == pytest.approx(2.5713 / 1.8221, rel=1e-4)
    assert weights(cold)["A"] / weights(cold)["B"] == pytest.approx(27.475 / 403.43, rel=1e-4)


def test_a_sample_without_the_statistic_weighs_nothing_and_that_is_said(lettered) -> None:
    found = verdict("weighted_vote", lettered("AAB", p_true=[None, None, 0.1]), statistic="p_true")
    assert found.answer == "B"
    assert found.warnings == ("2 votes weigh nothing: their samples have no p_true",)
    assert [s.votes for s in found.ranking] == [1, 2]


def test_where_all_weights_are_zero_the_plain_vote_stands_in(lettered) -> None:
    found = verdict("weighted_vote", lettered("AAB", p_true=[0.0, 0.0, 0.0]), statistic="p_true")
    assert (found.answer, found.fallback_from, found.fallback_reason) == ("A", "weighted_vote", "all_weights_are_zero")


def test_borda_weighs_by_rank(lettered) -> None:
    """Ranked B A A C. p = 1: 4, 3, 2, 1: A 5. p = 0.5: A 1.732 + 1.414, B 2. p = 4: B 256, A 81 + 16."""
    panel = lettered("CABA", self_certainty=[0.1, 2.0, 9.0, 1.0])
    assert weights(verdict("borda", panel, p=1)) == {"A": 5, "B": 4, "C": 1}
    assert weights(verdict("borda", panel, p=0.5)) == pytest.approx({"A": 3.146, "B": 2, "C": 1}, abs=1e-3)
    assert weights(verdict("borda", panel, p=4)) == {"B": 256, "A": 97, "C": 1}
    assert weights(verdict("borda", panel, p=0)) == {"A": 2, "C": 1, "B": 1}


def test_equal_samples_share_the_mean_of_their_ranks(lettered) -> None:
    """Two level at the top of three: (3 + 2) / 2 each."""
    panel = lettered("ABC", entropy=[0.5, 0.5, 0.9])
    assert weights(verdict("borda", panel, p=1, statistic="entropy")) == {"A": 2.5, "B": 2.5, "C": 1}


@pytest.mark.parametrize(("n", "p"), [(1, 0.3), (4, 0.3), (8, 0.5), (16, 0.5 + 0.7 / 3), (64, 1.2), (512, 1.2)])
def test_the_power_grows_with_the_number_of_samples(n: int, p: float) -> None:
    assert power(n) == pytest.approx(p)


def test_no_power_makes_a_weight_too_large(lettered) -> None:
    """40^20 is beyond the bound of a weight; the best of forty still leads by (40 / 39)^20 = 1.66."""
    panel = lettered("A" * 1 + "BCDEFGHIJ" * 4 + "BCD", self_certainty=[99.0, *range(39)])
    found = verdict("borda", panel, p=20)
    assert found.answer == "A"
    assert found.ranking[0].weight == pytest.approx(1e6)


def test_best_of_n_is_the_best_sample_s_text_and_answer(lettered) -> None:
    found = verdict("best_of_n", lettered("AABB", reward_score=[0.0, 1.0, 3.0, -1.0]), statistic="reward_score")
    assert (found.answer, found.sample_index, found.support) == ("B", 2, 0.5)
    assert weights(found) == pytest.approx({"B": 1 / (1 + math.exp(-3)), "A": 1 / (1 + math.exp(-1))})
    tied = verdict("best_of_n", lettered("ABB", reward_score=[0.0, 3.0, 3.0]), statistic="reward_score")
    assert (tied.sample_index, any("tie" in w for w in tied.warnings)) == (1, True)


def test_deepconf_drops_the_least_confident(lettered) -> None:
    """Of five, keep 0.6: three vote. A 9, B 8 + 2 = 10. All: A 9 + 1.5 + 1.2 = 11.7. keep 0.2: A alone."""
    panel = lettered("ABBAA", tail_confidence=[9.0, 8.0, 2.0, 1.5, 1.2])
    assert weights(verdict("deepconf", panel, keep=0.6)) == {"B": 10.0, "A": 9.0}
    assert weights(verdict("deepconf", panel, keep=1.0)) == pytest.approx({"A": 11.7, "B": 10.0})
    assert weights(verdict("deepconf", panel, keep=0.2)) == {"A": 9.0, "B": 0.0}
    assert verdict("deepconf", panel, keep=0.6).notes == ("3 of 5 samples are confident enough to vote",)


def test_samples_that_equal_the_last_one_kept_vote_too(lettered) -> None:
    """keep 0.5 of four is two; the second and the third are level, so three vote: A 5, B 3 + 3."""
    assert weights(verdict("deepconf", lettered("ABBC", tail_confidence=[5, 3, 3, 1]), keep=0.5)) == {
        "B": 6.0,
        "A": 5.0,
        "C": 0.0,
    }


@pytest.mark.parametrize(("n", "keep", "kept"), [(10, 0.9, 9), (10, 0.1, 1), (3, 0.1, 1), (5, 0.5, 3), (10, 0.7, 7)])
def test_how_many_are_kept(n: int, keep: float, kept: int) -> None:
    assert kept_of(n, keep) == kept


@given(st.lists(st.integers(0, 3), min_size=1, max_size=5), st.integers(1, 4))
def test_the_closed_form_is_the_distribution_of_best_of_m(values, m: int) -> None:
    """All N^m draws with replacement: the best of each, its glory shared among those of equal value in the sample."""
    n, wins = len(values), [0.0] * len(values)
    for drawn in product(range(n), repeat=m):
        best = max(values[i] for i in drawn)
        level = [i for i in range(n) if values[i] == best]
        for i in level:
            wins[i] += 1 / len(level) / n**m
    assert rank_weights(values, lambda k: (k**m - (k - 1) ** m) / n**m) == pytest.approx(wins)


def test_the_majority_of_bests_joins_vote_borda_and_best_of_n(lettered) -> None:
    """Ranked B A A, m = 2: (9 - 4) / 9, (4 - 1) / 9, 1 / 9. m 1 is the vote, a large m the best; ceil(sqrt 3) = 2."""
    panel = lettered("ABA", self_certainty=[2.0, 9.0, 1.0])
    assert weights(verdict("majority_of_bests", panel)) == pytest.approx({"B": 5 / 9, "A": 4 / 9})
    assert weights(verdict("majority_of_bests", panel, m=1)) == pytest.approx({"A": 2 / 3, "B": 1 / 3})
    assert weights(verdict("majority_of_bests", panel, m=200)) == pytest.approx({"B": 1.0, "A": 0.0})
    assert verdict("majority_of_bests", panel).notes == ("m = 2 of 3",)


def test_map_weighs_models_by_their_log_odds(lettered) -> None:
    """Of two answers: right in 90 % weighs log 9 = 2.197, right in 60 % log 1.5 = 0.405: five do not reach it."""
    options = {"reliability": 0.6, "reliabilities": {"x": 0.9}}
    five, six = (verdict("map", of_models(lettered("A" + "B" * k), ["x", *"y" * k]), **options) for k in (5, 6))
    assert (five.answer, six.answer) == ("A", "B")
    assert weights(five) == pytest.approx({"A": math.log(9), "B": 5 * math.log(1.5)})


def test_model_switch_trusts_a_model_by_how_far_it_agrees_with_itself(lettered) -> None:
    """x: A A B B, one bit of entropy of one: g = 1/4, A 2/4. y: C C C D, H = 0.811: g = 1/4 + 3/4 x 0.189 = 0.392.

    C 3 x 0.392 = 1.175. z: A, of one mind: A 1/2 + 1. With y's weight 2, C 2.35.
    """
    panel = lettered("AABBCCCDA")
    found = verdict("model_switch", of_models(panel, "xxxxyyyyz"))
    assert found.answer == "A"
    assert weights(found) == pytest.approx({"A": 1.5, "C": 1.175, "B": 0.5, "D": 0.392}, abs=1e-3)
    assert found.notes == ("trust: x 0.250, y 0.392, z 1.000",)
    assert verdict("model_switch", of_models(panel, "xxxxyyyyz", {"x": 1, "y": 2, "z": 1})).answer == "C"


def test_model_switch_of_one_model_is_the_vote(lettered) -> None:
    """There is nobody to be trusted more."""
    panel = of_models(lettered("ABB"), "xxx")
    assert verdict("model_switch", panel) == verdict("vote", panel)


def test_map_adds_the_evidence_of_a_score_within_its_bounds(lettered) -> None:
    """N(1, 1) against N(0, 1) is the evidence s - 1/2; q = 1/2 of two answers is none. 2.5 - 0.5, and -9 becomes -3."""
    scores = {"statistic": "reward_score", "right": {"mean": 1, "sd": 1}, "wrong": {"mean": 0, "sd": 1}}
    panel = lettered("AB", reward_score=[2.5, -8.5])
    found = verdict("map", panel, reliability=0.5, scores=scores)
    assert weights(found) == pytest.approx({"A": 2.0, "B": -3.0})
    assert [s.share for s in found.ranking] == [1.0, 0.0]
    alone = verdict("map", lettered("AB", reward_score=[None, 0.1]), reliability=0.6, scores=scores)
    assert weights(alone) == pytest.approx({"A": math.log(1.5), "B": math.log(1.5) - 0.4})
    assert alone.warnings == ("1 votes weigh by their model alone: their samples have no reward_score",)


def test_map_reads_entropy_on_its_own_scale(lettered) -> None:
    """Right samples at entropy 1, wrong ones at 2: 1.2 is nearer to right: (0.8^2 - 0.2^2) / 2 = 0.3."""
    scores = {"statistic": "entropy", "right": {"mean": 1, "sd": 1}, "wrong": {"mean": 2, "sd": 1}}
    found = verdict("map", lettered("AB", entropy=[1.2, 1.8]), reliability=0.5, scores=scores)
    assert weights(found) == pytest.approx({"A": 0.3, "B": -0.3})


@pytest.mark.parametrize(
    ("name", "options", "field"),
    [
        ("map", {"reliability": 1.0}, "aggregator.reliability"),
        ("map", {"scores": {"statistic": "p_true", "right": {"mean": 1, "sd": 0}}}, "aggregator.scores.right.sd"),
        ("weighted_vote", {"statistic": "luck"}, "aggregator.statistic"),
        ("weighted_vote", {"temperature": 0}, "aggregator.temperature"),
        ("borda", {"p": -1}, "aggregator.p"),
        ("deepconf", {"keep": 0}, "aggregator.keep"),
        ("majority_of_bests", {"m": 0}, "aggregator.m"),
        ("kemeny", {"statistics": ["p_true", "p_true"]}, "aggregator.statistics"),
        ("maxmin", {"statistics": []}, "aggregator"),
        ("maxmin", {"scores": {"p_true": []}}, "aggregator.scores.p_true"),
    ],
)
def test_a_bad_option_is_named(lettered, name: str, options, field: str) -> None:
    with pytest.raises(BadRequest) as caught:
        verdict(name, lettered("A"), **options)
    assert caught.value.field == field


def test_members_weights_weigh_in_every_sum(lettered) -> None:
    """Three votes of 0.2 against one of 1; times the confidences, 3 * 0.2 * 0.9 against 0.1 and against 0.6."""
    panel = of_models(lettered("AAAB", p_true=[0.9, 0.9, 0.9, 0.6]), "xxxy", {"x": 0.2})
    plain = verdict("vote", panel)
    assert (plain.answer, plain.support, plain.warnings) == ("B", 0.25, ())
    assert weights(plain) == pytest.approx({"B": 1.0, "A": 0.6})
    assert plain.ranking[0].share == pytest.approx(1 / 1.6)
    found = verdict("weighted_vote", panel, statistic="p_true")
    assert weights(found) == pytest.approx({"B": 0.6, "A": 0.54})
    assert (
        verdict("best_of_n", panel, statistic="p_true").warnings[-1] == "best_of_n does not heed the members' weights"
    )


@pytest.mark.parametrize(("weight", "winner"), [(math.nan, "B"), (-5.0, "B"), (math.inf, "A"), (1e300, "A")])
def test_a_members_weight_is_finite_and_not_negative(lettered, weight: float, winner: str) -> None:
    found = verdict("vote", of_models(lettered("AB"), "xy", {"x": weight}))
    assert found.answer == winner
    assert all(0 <= standing.weight <= 1e6 for standing in found.ranking)


def test_a_tie_of_unequal_votes_is_by_weight_and_said(lettered) -> None:
    """Two votes of 0.5 are level with one of 1."""
    found = verdict("vote", of_models(lettered("ABB"), "xyy", {"y": 0.5}))
    assert (found.answer, len(found.warnings)) == ("A", 1)
    assert verdict("vote", replace(of_models(lettered("ABB"), "xyy"))).answer == "B"
