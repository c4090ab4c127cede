"""What a reply claims of a weighted vote, what voids it, and how many draws a certificate is expected to take."""

import math
from dataclasses import replace

import pytest

from service.aggregators import AGGREGATORS
from service.aggregators.base import weigh_of, weighs
from service.aggregators.measures import MEASURES
from service.catalog import Pool
from service.confidence.signals import expected_draws
from service.confidence.weighted import WeightedLeaderTest, WeightedMajorityTest
from service.contract import AnswerRequest
from service.evidence import claims
from service.members import Member
from service.mixing import mix_of
from service.plan import Plan, build, make_plan
from service.reading import Reader
from service.reply import confidence
from service.settings import Settings
from tests.at_once import at_once
from workers.wire.messages import SampleStatistics

RIGHT, WRONG, OTHER = "The answer is 42.", "The answer is 41.", "The answer is 40."
BOUNDED = sorted(set(MEASURES) - {"self_certainty"} - {name for name in MEASURES if name.endswith("_confidence")})


def planned(aggregator, **body) -> Plan:
    """The plan of a request for numbers."""
    given = {"model": "fake", "question": "Why?", "n": 16, "aggregator": aggregator, "answer_type": "number", **body}
    return make_plan(AnswerRequest.model_validate(given), Pool("fake", ()), Settings())


def weighted(statistic="p_true", **options):
    """A weighted vote by its options."""
    return {"name": "weighted_vote", "statistic": statistic, **options}


@pytest.fixture
def claimed(sample_of, panel_of):
    """The claims of a plan whose samples are pairs of a text (None: failed, "-": missing) and a value."""

    def make(plan: Plan, pairs, statistic="p_true", kept=None):
        samples = {
            i: sample_of(i, text).model_copy(update={"statistics": SampleStatistics(**{statistic: value})})
            for i, (text, value) in enumerate(pairs)
            if text != "-"
        }
        reading = at_once(Reader(plan.task, plan.answer_type, plan.stop, plan.n).read(samples, kept))
        panel = replace(panel_of([]), candidates=reading.candidates, classes=reading.classes)
        verdict = at_once(plan.aggregator.aggregate(panel, None))
        found = claims(plan, reading, verdict, plan.aggregator)
        shown = confidence(verdict, found)
        assert (shown.certificate, shown.expected_draws) == (found.certificate, found.expected_draws)
        return verdict.answer, found

    return make


def test_the_answer_of_the_largest_expected_vote_is_certified(claimed) -> None:
    """Ten frequent and unsure answers lose to eight sure ones; p is that of the weighted test on the same draws."""
    pairs = [(WRONG, 0.05), (RIGHT, 0.95)] * 8 + [(WRONG, 0.05)] * 2
    answer, found = claimed(planned(weighted(), n=18), pairs)
    test = WeightedLeaderTest()
    for text, weight in pairs:
        test.see(text, weight)
    assert answer == "42"
    assert (found.certificate.claim, found.certificate.test) == ("largest_expected_vote", "soft")
    assert found.certificate.p == pytest.approx(test.p([RIGHT]))
    assert found.certificate.p < 0.2
    assert (found.certificate.draws, found.certificate.void, found.expected_draws) == (18, None, None)
    assert claimed(planned("vote", n=18), pairs)[1].certificate.p == 1.0


@pytest.mark.parametrize(
    ("statistic", "value", "weight"),
    [
        ("mean_logprob", -0.5, math.exp(-0.5)),
        ("entropy", 0.5, math.exp(-0.5)),
        ("reward_score", 2.0, 1 / (1 + math.exp(-2))),
        ("p_true", 0.7, 0.7),
        ("stated_confidence", 0.7, 0.7),
        ("p_true", None, 0.0),
    ],
)
def test_each_vote_weighs_what_the_aggregator_makes_of_its_statistic(claimed, statistic, value, weight) -> None:
    """Within 0 and 1; one vote more without the statistic weighs nothing."""
    _, found = claimed(planned(weighted(statistic)), [(RIGHT, value or 0.7)] * 6 + [(RIGHT, value)], statistic)
    test = WeightedLeaderTest()
    for each in [weight or 0.7] * 6 + [weight]:
        test.see("a", each)
    assert found.certificate.p == pytest.approx(test.p(["a"]))


def test_of_answers_merged_afterwards_more_than_half_of_the_vote_is_certified(claimed) -> None:
    """Two spellings of one expression are two labels, of which none has more than half."""
    pairs = [("\\boxed{x+1}", 0.9)] * 8
    found = claimed(planned(weighted(), answer_type="math"), pairs)[1].certificate
    test = WeightedMajorityTest()
    for _ in pairs:
        test.see("a", 0.9)
    assert (found.test, found.p) == ("soft_majority", pytest.approx(test.p(["a"])))
    merged = [("\\boxed{x+1}", 0.9), ("\\boxed{1+x}", 0.9)] * 8
    assert claimed(planned(weighted(), answer_type="math"), merged)[1].certificate.p == 1.0


@pytest.mark.parametrize("gap", ["-", None])
def test_what_comes_after_a_gap_is_not_looked_at(claimed, gap) -> None:
    """In the order of launch, as where votes are counted."""
    plan = planned(weighted())
    found = claimed(plan, [(RIGHT, 0.9)] * 5 + [(gap, 0.9)] + [(RIGHT, 0.9)] * 6)
    assert found[1].certificate == claimed(plan, [(RIGHT, 0.9)] * 5)[1].certificate


def test_a_reward_that_did_not_come_ends_the_draws(claimed) -> None:
    """The pool may have been too late for it because it is long; a sample's own missing statistic weighs nothing."""
    rewarded = planned({"name": "weighted_vote", "reward_model": "judge"})
    pairs = [(RIGHT, 3.0)] * 4 + [(RIGHT, None)] + [(RIGHT, 3.0)] * 5
    assert claimed(rewarded, pairs, "reward_score")[1].certificate.draws == 4
    assert claimed(planned(weighted("reward_score")), pairs, "reward_score")[1].certificate.draws == 10
    unscored = claimed(rewarded, [(RIGHT, None)] + [(RIGHT, 3.0)] * 9, "reward_score")[1]
    assert unscored.certificate.void == "first_sample_missing"


def test_each_broken_assumption_is_named(claimed) -> None:
    """And there is no p then; weights that depend on other samples, or have no bound, are one of them."""
    pairs = [(RIGHT, 0.9)] * 9
    plan = planned(weighted())
    uneven = mix_of((Member(model="a", n=8, weight=2.0), Member(model="b", n=8)), "random", 0)
    found = {
        "weights_relative": claimed(planned(weighted(temperature=1.0)), pairs),
        "not_counted": claimed(replace(plan, mix=uneven), pairs),
        "several_models": claimed(
            replace(plan, mix=mix_of((Member(model="a", n=8), Member(model="b", n=8)), None, 0)), pairs
        ),
        "samples_cut": claimed(planned(weighted(), stop="deepconf_online"), pairs),
    }
    assert {name: (one.certificate.void, one.certificate.p) for name, (_, one) in found.items()} == {
        name: (name, None) for name in found
    }


@pytest.mark.parametrize("statistic", list(MEASURES))
def test_weights_are_absolute_where_one_sample_sets_them_within_bounds(statistic, sample_of) -> None:
    """Whatever the statistic says; nats have no bound, and no softmax is absolute."""
    vote = planned(weighted(statistic)).aggregator
    weigh = weigh_of(vote)
    assert weighs(vote)
    assert (weigh is not None) == (statistic in [*BOUNDED, "stated_confidence"])
    assert weigh_of(planned(weighted(statistic, temperature=1.0)).aggregator) is None
    for value in (-1e9, -3.0, 0.0, 0.4, 7.0, 1e9):
        sample = sample_of(0, RIGHT).model_copy(update={"statistics": SampleStatistics(**{statistic: value})})
        assert weigh is None or 0.0 <= weigh(sample) <= 1.0


def test_ranks_judges_and_filters_are_no_weights_of_their_own() -> None:
    """Only the weighted vote has them."""
    assert [name for name in AGGREGATORS if weighs(build(AGGREGATORS, name, "aggregator"))] == ["weighted_vote"]


def test_where_nothing_can_be_weighed_the_vote_is_what_is_certified(claimed) -> None:
    """The verdict fell back, and says which claim it makes."""
    _, found = claimed(planned(weighted()), [(RIGHT, None)] * 7)
    assert (found.certificate.claim, found.certificate.test) == ("most_frequent_answer", "leader")
    assert found.certificate.p == pytest.approx(0.030566, abs=1e-6)


@pytest.mark.parametrize(("p1", "p2", "expected"), [(90, 5, 6.5), (60, 20, 28.6), (50, 30, 118.6)])
def test_the_expected_draws_of_known_shares(p1, p2, expected) -> None:
    """log(20) over the growth of the leader's certificate per draw; by hand, of 100 draws."""
    assert expected_draws(p1, p2, 100, 0.05) == pytest.approx(expected, abs=0.1)


def test_a_close_race_takes_about_four_mean_shares_over_the_squared_gap() -> None:
    """4 p log(1/alpha) / gap^2, p the mean of both shares."""
    assert expected_draws(41, 39, 100, 0.05) == pytest.approx(4 * 0.4 * math.log(20) / 0.02**2, rel=0.01)


@pytest.mark.parametrize("counts", [(7, 0), (5, 5), (0, 0), (3, 4)])
def test_no_draws_are_expected_without_a_rival_behind(counts) -> None:
    """Unanimous draws say nothing of how near another answer is; a tie would take for ever."""
    assert expected_draws(*counts, 20, 0.05) is None


def test_expected_draws_are_of_the_draws_that_the_certificate_saw(claimed) -> None:
    """9 against 3 of 14; where more than half is certified, all others are one rival; more types take more."""
    texts = [RIGHT] * 9 + [WRONG] * 3 + [OTHER] * 2
    pairs = [(text, None) for text in texts]
    later = [("-", None), (WRONG, None)]
    expected = expected_draws(9, 3, 14, 0.05)
    assert claimed(planned("vote"), pairs + later)[1].expected_draws == pytest.approx(expected)
    assert claimed(planned("vote"), pairs[:7])[1].expected_draws is None
    boxed = [("\\boxed{x+1}", None)] * 9 + [("\\boxed{y+1}", None)] * 3 + [("\\boxed{z+1}", None)] * 2
    assert claimed(planned("vote", answer_type="math"), boxed)[1].expected_draws == pytest.approx(
        expected_draws(9, 5, 14, 0.05)
    )
    assert claimed(planned("vote", answer_type="auto"), pairs)[1].expected_draws == pytest.approx(
        expected_draws(9, 3, 14, 0.05 / 3)
    )
    assert claimed(planned("vote"), later + pairs)[1].expected_draws is None  # the certificate is void
