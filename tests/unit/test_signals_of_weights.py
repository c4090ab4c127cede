"""What the reply says of weighed votes: shares, margin, switched votes, statistics; and what a pool must supply."""

from dataclasses import replace
from itertools import combinations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.aggregators.ballot import elect, voters
from service.answer_types.choice import Choice
from service.candidates import AnswerClass
from service.catalog import Pool
from service.contract import AnswerRequest
from service.errors import BadRequest
from service.evidence import Claims
from service.evidence_reply import Certificate, Void
from service.plan import make_plan
from service.reply import confidence
from service.settings import Settings
from tests.ballots import of_models, samples, verdict
from workers.wire.messages import Provides, WorkerCard


@pytest.fixture(scope="session")
def lettered(panel_of):
    """A panel of lettered answers."""
    return lambda answers, **statistics: panel_of(samples(answers, **statistics), Choice())


def signals_of(found, candidates):
    """The signals of a verdict of which nothing is claimed."""
    return confidence(found, Claims(Certificate(void=Void.NOT_COUNTED)), candidates)


def test_shares_are_of_votes_also_where_weights_overrule_the_count(lettered) -> None:
    """B wins with one vote of four: share 1/4, margin (1 - 3) / 4; of weight it has 0.9 of 1.2."""
    panel = lettered("AAAB", p_true=[0.1, 0.1, 0.1, 0.9])
    found = verdict("weighted_vote", panel, statistic="p_true")
    signals = signals_of(found, panel.candidates)
    assert (found.answer, signals.vote_share, signals.margin, signals.support) == ("B", 0.25, -0.5, 0.25)
    assert found.ranking[0].share == pytest.approx(0.75)
    assert signals.posterior == pytest.approx(6 / 32)  # of 5 tosses fewer than 2 fall one way: 1 + 5
    assert signals.distinct == 2


def test_statistics_are_the_means_over_the_answer_s_samples(lettered) -> None:
    """Of A's two one has an entropy; B's are not A's."""
    panel = lettered("ABA", p_true=[0.2, 0.9, 0.6], entropy=[None, 3.0, 1.0])
    found = signals_of(verdict("vote", panel), panel.candidates).statistics
    assert found is not None
    assert found.p_true == pytest.approx(0.4)
    assert found.entropy == 1.0
    assert found.mean_logprob is None


def test_an_answer_that_nobody_gave_has_no_statistics(lettered) -> None:
    panel = lettered("ABA", p_true=[0.2, 0.9, 0.6])
    new = replace(verdict("vote", panel), answer="D", sample_index=None, novel=True, support=0.0)
    assert signals_of(new, panel.candidates).statistics is None


def test_switched_votes_are_certified_by_weight(lettered) -> None:
    """A leads by 4 * 1 against 0.5; two votes of A move it by 2 each: 3.5 - 2 > 0, 3.5 - 4 < 0: one."""
    panel = of_models(lettered("AAAAB"), "xxxxy", {"y": 0.5})
    assert signals_of(verdict("vote", panel), panel.candidates).certified_flips == 1
    plain = lettered("AAAAB")
    assert signals_of(verdict("vote", plain), plain.candidates).certified_flips == 1  # (4 - 1 - 1) // 2
    best = lettered("AAAB", p_true=[0.9, 0.8, 0.7, 0.1])
    assert signals_of(verdict("best_of_n", best, statistic="p_true"), best.candidates).certified_flips == 0


@given(st.lists(st.tuples(st.sampled_from("ABC"), st.integers(-3, 9)), min_size=1, max_size=6))
def test_no_switch_of_so_many_votes_changes_the_winner(lettered, given) -> None:
    """All ways to give that many votes to any other answer, a new one included."""
    panel = lettered([letter for letter, _ in given])
    weights = [weight / 3 for _, weight in given]
    voting = voters(panel)
    found = elect(panel, voting, weights)
    flips = found.flips or 0
    extended = replace(panel, classes=(*panel.classes, AnswerClass("new", (99,))))
    for switched in combinations(range(len(voting)), flips):
        for places in product(range(len(extended.classes)), repeat=flips):
            to = dict(zip(switched, places, strict=True))
            moved = [replace(voter, place=to.get(i, voter.place)) for i, voter in enumerate(voting)]
            sums = [0.0] * len(extended.classes)
            for voter, weight in zip(moved, weights, strict=True):
                sums[voter.place] += weight
            winner = max(range(len(sums)), key=lambda place: sums[place])
            if flips:
                assert extended.classes[winner].answer == found.answer


@pytest.mark.parametrize(
    ("aggregator", "needed"),
    [
        ({"name": "weighted_vote", "statistic": "p_true"}, {Provides.P_TRUE}),
        ({"name": "weighted_vote"}, {Provides.MEAN_LOGPROB}),
        ("borda", {Provides.SELF_CERTAINTY}),
        ({"name": "best_of_n", "statistic": "reward_score"}, {Provides.REWARD_SCORE}),
        ({"name": "deepconf", "score": "lowest"}, {Provides.LOWEST_GROUP_CONFIDENCE}),
        ("deepconf", {Provides.GROUP_CONFIDENCES}),
        ({"name": "kemeny", "statistics": ["entropy", "p_true"]}, {Provides.ENTROPY, Provides.P_TRUE}),
        ({"name": "maxmin", "statistics": [], "scores": {"safe": [1, 2]}}, set()),
        ("map", set()),
        ("median", set()),
    ],
)
def test_what_the_options_need_must_be_supplied(aggregator, needed) -> None:
    """A pool without it is refused by the field `aggregator`; one with it and nothing else will do."""

    def plan(provides):
        card = WorkerCard(worker="w", model="m", backend="b", provides=frozenset(provides), capacity_samples=1)
        request = AnswerRequest.model_validate({"model": "m", "question": "Why?", "aggregator": aggregator})
        return make_plan(request, Pool("m", (card,)), Settings())

    assert plan(needed).stop.name == "none"
    for lacking in needed:
        with pytest.raises(BadRequest) as caught:
            plan(needed - {lacking})
        assert caught.value.field == "aggregator"
        assert lacking.value in caught.value.detail
