"""Laws that every registered aggregator keeps when it can ask no model: then each of them is the plain vote."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.aggregators import AGGREGATORS
from service.aggregators.counting import plurality
from service.asking import NoAsk
from service.plan import build

EVERY = sorted(AGGREGATORS)
ASKING = [name for name in EVERY if not AGGREGATORS[name].counts_votes]
VOTES = ["The answer is 41.", "The answer is 42.", "\\boxed{42.0}", "The answer is 1/2.", "It is 0.5"]
NO_VOTES = [None, "", "no idea", ("The answer might", "length"), "<think>The answer is 41."]

votes = st.lists(st.sampled_from(VOTES), min_size=1, max_size=12)
mixed = st.lists(st.sampled_from([*VOTES, *NO_VOTES]), max_size=12)


def aggregate(name, panel):
    """The verdict of an aggregator for which every call fails."""
    return asyncio.run(build(AGGREGATORS, name, "aggregator").aggregate(panel, NoAsk()))


def samples(sample_of, texts):
    """Samples numbered in order."""
    return [sample_of(i, *(text if isinstance(text, tuple) else (text,))) for i, text in enumerate(texts)]


@pytest.mark.parametrize("name", EVERY)
@given(texts=mixed, random=st.randoms(use_true_random=False))
def test_any_order_of_the_same_samples_gives_the_same_verdict(name, texts, random, panel_of, sample_of) -> None:
    """Order of arrival changes nothing: not the answer, not the ranking, not a share's last bit."""
    drawn = samples(sample_of, texts)
    shuffled = random.sample(drawn, len(drawn))
    assert aggregate(name, panel_of(shuffled)) == aggregate(name, panel_of(drawn))


@pytest.mark.parametrize("name", EVERY)
@given(text=st.sampled_from(VOTES), n=st.integers(1, 12), rest=st.lists(st.sampled_from(NO_VOTES), max_size=6))
def test_unanimity_wins(name, text, n, rest, panel_of, sample_of) -> None:
    """Where every vote is for one answer, that answer is given with full support, however many samples do not vote."""
    verdict = aggregate(name, panel_of(samples(sample_of, [*rest, *[text] * n])))
    assert verdict.answer == aggregate("vote", panel_of([text])).answer
    assert verdict.support == 1.0
    assert len(verdict.ranking) == 1


@pytest.mark.parametrize("name", EVERY)
@given(texts=votes)
def test_one_more_vote_for_the_winner_never_unseats_it(name, texts, panel_of, sample_of) -> None:
    """Monotone: support for the answer cannot hurt it."""
    before = aggregate(name, panel_of(texts))
    after = aggregate(name, panel_of([*texts, before.text]))
    assert after.answer == before.answer
    assert after.support >= before.support


@pytest.mark.parametrize("name", EVERY)
@given(texts=votes, rest=st.lists(st.sampled_from(NO_VOTES), max_size=6), random=st.randoms(use_true_random=False))
def test_samples_that_do_not_vote_change_nothing(name, texts, rest, random, panel_of, sample_of) -> None:
    """Failed, empty, truncated and unparsable samples, wherever they stand, leave answer, votes and shares alone."""
    places = sorted(random.sample(range(len(texts) + len(rest)), len(texts)))
    woven = list(rest)
    for place, text in zip(places, texts, strict=True):
        woven.insert(place, text)
    here = aggregate(name, panel_of(samples(sample_of, texts)))
    there = aggregate(name, panel_of(samples(sample_of, woven)))
    assert there.answer == here.answer
    assert [(s.answer_class.answer, s.votes, s.share) for s in there.ranking] == [
        (s.answer_class.answer, s.votes, s.share) for s in here.ranking
    ]


@pytest.mark.parametrize("name", EVERY)
@given(texts=mixed)
def test_shares_are_of_all_votes_and_the_winner_has_most(name, texts, panel_of, sample_of) -> None:
    """Votes add up to the voters, shares to 1, and nothing outranks the first."""
    panel = panel_of(samples(sample_of, texts))
    verdict = aggregate(name, panel)
    assert sum(s.votes for s in verdict.ranking) == len(panel.voters)
    assert [s.votes for s in verdict.ranking] == sorted((s.votes for s in verdict.ranking), reverse=True)
    if verdict.ranking:
        assert sum(s.share for s in verdict.ranking) == pytest.approx(1.0)
        assert verdict.answer == verdict.ranking[0].answer_class.answer
    else:
        assert (verdict.answer, verdict.reason) == (None, "no_usable_answer")


@pytest.mark.parametrize("name", EVERY)
@given(texts=votes)
def test_ties_go_to_the_smallest_index_and_are_said(name, texts, panel_of, sample_of) -> None:
    """Among classes with most votes the one with the earliest sample wins; the verdict says so."""
    panel = panel_of(samples(sample_of, texts))
    verdict = aggregate(name, panel)
    most = max(len(c.members) for c in panel.classes)
    tied = [c for c in panel.classes if len(c.members) == most]
    assert verdict.answer == min(tied, key=lambda c: c.members[0]).answer
    assert any("tie" in warning for warning in verdict.warnings) == (len(tied) > 1)


@pytest.mark.parametrize("name", ASKING)
@given(texts=votes)
def test_a_method_that_asks_falls_back_to_the_plain_vote_and_says_why(name, texts, panel_of, sample_of) -> None:
    """Beside the two fields that name the fallback, the verdict is the plain vote's."""
    panel = panel_of(samples(sample_of, texts))
    verdict = aggregate(name, panel)
    assert (verdict.fallback_from, verdict.fallback_reason) == (name, "call_failed:unsupported")
    assert replace(verdict, fallback_from=None, fallback_reason=None) == plurality(panel)
    assert build(AGGREGATORS, name, "aggregator").max_calls(8) > 0
