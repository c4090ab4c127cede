"""Laws that every registered aggregator keeps, with samples that have statistics and without a model to ask.

What a method may do is in three tables. COUNTING: the verdict is the plain vote's. ASKING: it asks a model, and
without one falls back to the plain vote. All others weigh or rank samples. TOP: a vote more is only safe for the winner
if it is at least as confident as every other; each of these names the paradox in its docstring, with an example that
tests/unit/test_voting_paradoxes.py replays.
"""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.aggregators import AGGREGATORS
from service.aggregators.counting import plurality
from service.asking import NoAsk
from service.candidates import Exclusion
from service.contract import Choice
from service.evidence import Claims
from service.evidence_reply import Certificate, Void
from service.plan import build
from service.reply import confidence
from tests.ballots import of_models
from tests.examples import examples
from workers.wire.messages import SampleStatistics

COUNTING = ("auto", "vote")
ALWAYS_ASKING = ("gsa", "moa", "rsa", "self_agreement", "usc", "genselect")
JUDGING = ("checklist", "genrm", "judge", "p_true", "pairwise_fusion", "personas", "rubric", "self_check", "tournament")
UNSETTLED = ("fobar", "prefix_consistency", "self_prm")  # these ask where the vote is close, and then of what they can
ASKING = (*ALWAYS_ASKING, *JUDGING, *UNSETTLED)
PLAIN = (*COUNTING, *ASKING, "region", "model_switch")  # no regions and one model here; the units' tests have others
TOP = ("borda", "deepconf", "majority_of_bests", "maxmin")
SUMS = ("weighted_vote", "borda", "deepconf", "majority_of_bests", "map")
WITHOUT_STATISTICS = (*PLAIN, "ranked_vote", "median", "map")
NO_WEIGHT_ORDER = ("median",)  # the middle answer is first, however few votes it has

SCORES = {"statistic": "reward_score", "right": {"mean": 1, "sd": 1}, "wrong": {"mean": 0, "sd": 1.5}}
MORE = {
    "weighted_vote": [{"statistic": "entropy"}, {"statistic": "reward_score", "temperature": 0.3}],
    "borda": [{"p": 1.7}, {"statistic": "p_true", "p": 0.0}],
    "best_of_n": [{"statistic": "answer_logprob"}],
    "deepconf": [{"score": "bottom", "keep": 0.3}],
    "majority_of_bests": [{"statistic": "stated_confidence", "m": 5}],
    "kemeny": [{"statistics": ["p_true", "entropy", "reward_score"], "vote": False}],
    "maxmin": [{"statistics": ["p_true", "reward_score"], "welfare": welfare} for welfare in ("maximin", "nash")],
    "ranked_vote": [{"rule": "reciprocal"}, {"rule": "run_off"}],
    "map": [{"answers": 4, "scores": SCORES | {"wrong": {"mean": 0, "sd": 0.9}}}],
}
"""Options beside the default ones under which the laws hold as well."""

EVERY = sorted(AGGREGATORS)
CASES = [(name, options) for name in EVERY for options in [{}, *MORE.get(name, [])]]
VOTES = ["The answer is 41.", "The answer is 42.", "\\boxed{42.0}", "The answer is 1/2.", "It is 0.5"]
RANKED = [
    "The answer is 41.\nRanking: 41 > 0.5 > 42",
    "The answer is 42.\nRanking: 42 > 7 > 41",
    "Ranking: 7 > 41 > 42",
]
NO_VOTES = [None, "", "no idea", ("The answer might", "length"), "<think>The answer is 41."]

level = st.integers(0, 4)
vote = st.tuples(st.sampled_from([*VOTES, *RANKED]), level, level)
votes = st.lists(vote, min_size=1, max_size=9)
mixed = st.lists(st.one_of(vote, st.tuples(st.sampled_from(NO_VOTES), level, level)), max_size=9)
few = examples(20, 80)  # there are many cases, and the laws' shapes are small
every_case = pytest.mark.parametrize(("name", "options"), CASES, ids=lambda value: str(value) or "-")


def statistics(a, b):
    """Statistics that all say the same of level a (0 to 4, and 9 above all), but a reward score and P(True) for b."""
    named = {name: float(a) for name in SampleStatistics.model_fields if "confidence" in name or "certainty" in name}
    logprobs = dict.fromkeys(("mean_logprob", "sum_logprob", "answer_logprob"), (a - 10) / 10)
    stated = {"stated_confidence": a / 10, "p_true": b / 10, "reward_score": b - 1.5, "entropy": (10 - a) / 10}
    return SampleStatistics(**named | logprobs | stated)


@pytest.fixture(scope="session")
def drawn(sample_of):
    """Samples numbered in order, from texts with their two levels."""

    def make(given):
        made = [sample_of(i, *(t if isinstance(t, tuple) else (t,))) for i, (t, _, _) in enumerate(given)]
        pairs = zip(made, given, strict=True)
        return [sample.model_copy(update={"statistics": statistics(a, b)}) for sample, (_, a, b) in pairs]

    return make


def aggregate(name, panel, options=None):
    """The verdict of an aggregator for which every call fails."""
    made = build(AGGREGATORS, Choice(name=name, **(options or {})), "aggregator")
    return asyncio.run(made.aggregate(panel, NoAsk()))


def shown(verdict):
    """What of a ranking does not depend on how samples are numbered."""
    return [(s.answer_class.answer, s.votes, s.weight, s.share) for s in verdict.ranking]


@every_case
@few
@given(given=mixed, random=st.randoms(use_true_random=False))
def test_any_order_of_the_same_samples_gives_the_same_verdict(name, options, given, random, panel_of, drawn) -> None:
    """Order of arrival changes nothing: not the answer, not the ranking, not a share's last bit."""
    samples = drawn(given)
    shuffled = random.sample(samples, len(samples))
    assert aggregate(name, panel_of(shuffled), options) == aggregate(name, panel_of(samples), options)


@every_case
@few
@given(
    given=votes,
    sources=st.lists(st.sampled_from("xyz"), min_size=9, max_size=9),
    random=st.randoms(use_true_random=False),
)
def test_members_of_unequal_weight_are_heeded_or_the_verdict_says_not(
    name, options, given, sources, random, panel_of, drawn
) -> None:
    """Order of arrival changes nothing; where all weigh the same, the answer is that without weights."""
    samples, weights = drawn(given), {"x": 0.1, "y": 3.0, "z": 1.0}
    shuffled = random.sample(samples, len(samples))
    mine = sources[: len(samples)]
    here, there = (aggregate(name, of_models(panel_of(each), mine, weights), options) for each in (samples, shuffled))
    assert here == there
    unheeded = f"{name} does not heed the members' weights" in here.warnings
    assert unheeded == (name in ("best_of_n", "maxmin") and len(set(mine)) > 1)
    alike = of_models(panel_of(samples), "x" * len(samples), weights)
    assert aggregate(name, alike, options).answer == aggregate(name, panel_of(samples), options).answer


@every_case
@few
@given(
    text=st.sampled_from(VOTES),
    levels=st.lists(st.tuples(level, level), min_size=1, max_size=9),
    rest=st.lists(st.sampled_from(NO_VOTES), max_size=4),
)
def test_unanimity_wins(name, options, text, levels, rest, panel_of, drawn) -> None:
    """Where every vote is for one answer it is given with full support, however many samples do not vote."""
    samples = drawn([*((none, 4, 4) for none in rest), *((text, a, b) for a, b in levels)])
    verdict = aggregate(name, panel_of(samples), options)
    assert verdict.answer == aggregate("vote", panel_of([text])).answer
    assert verdict.support == 1.0
    assert len(verdict.ranking) == 1


@every_case
@few
@given(given=votes, a=level, b=level)
def test_one_more_vote_for_the_winner_never_unseats_it(name, options, given, a, b, panel_of, drawn) -> None:
    """Monotone: support for the answer cannot hurt it; under the methods of TOP, confident support."""
    before = aggregate(name, panel_of(drawn(given)), options)
    levels = (9, 9) if name in TOP else (a, b)
    after = aggregate(name, panel_of(drawn([*given, (f"The answer is {before.answer}.", *levels)])), options)
    assert after.answer == before.answer
    assert after.support >= before.support


@pytest.mark.parametrize("name", COUNTING)
@given(given=votes, again=st.data())
def test_a_duplicate_never_hurts_its_class_under_counting_votes(name, given, again, panel_of, drawn) -> None:
    """Any sample drawn twice: its class stands no lower than before."""

    def rank(samples):
        ranking = aggregate(name, panel_of(drawn(samples))).ranking
        return next(place for place, s in enumerate(ranking) if at in s.answer_class.members)

    at = again.draw(st.integers(0, len(given) - 1))
    assert rank([*given, given[at]]) <= rank(given)


@every_case
@few
@given(given=votes, rest=st.lists(st.sampled_from(NO_VOTES), max_size=5), random=st.randoms(use_true_random=False))
def test_samples_that_do_not_vote_change_nothing(name, options, given, rest, random, panel_of, drawn) -> None:
    """Failed, empty, truncated and unparsable samples, wherever they stand and however confident, change no verdict."""
    places = sorted(random.sample(range(len(given) + len(rest)), len(given)))
    woven = [(text, 9, 9) for text in rest]
    for place, one in zip(places, given, strict=True):
        woven.insert(place, one)
    here = aggregate(name, panel_of(drawn(given)), options)
    there = aggregate(name, panel_of(drawn(woven)), options)
    assert (there.answer, there.support, there.warnings, there.flips) == (
        here.answer,
        here.support,
        here.warnings,
        here.flips,
    )
    assert shown(there) == shown(here)


@every_case
@few
@given(given=votes, random=st.randoms(use_true_random=False))
def test_a_repeated_sample_counts_once_and_an_excluded_one_never(name, options, given, random, panel_of, drawn) -> None:
    """A panel that holds a candidate twice, and others after the stop, gives the verdict of the clean one."""
    panel = panel_of(drawn(given))
    late = replace(panel.candidates[0], excluded=Exclusion.AFTER_STOP)
    late = replace(late, sample=late.sample.model_copy(update={"index": 99}))
    dirty = replace(panel, candidates=(*panel.candidates, random.choice(panel.candidates), late))
    assert aggregate(name, dirty, options) == aggregate(name, panel, options)


@every_case
@few
@given(given=mixed)
def test_shares_are_of_all_votes_and_nothing_outranks_the_first(name, options, given, panel_of, drawn) -> None:
    """Votes add up to the voters, shares to 1, weights descend, and the reply's signals are within their ranges."""
    panel = panel_of(drawn(given))
    verdict = aggregate(name, panel, options)
    if not verdict.ranking:
        assert (verdict.answer, verdict.reason) == (None, "no_usable_answer")
        return
    weights = [s.weight for s in verdict.ranking]
    assert sum(s.votes for s in verdict.ranking) == len(panel.voters)
    assert sum(s.share for s in verdict.ranking) == pytest.approx(1.0)
    assert name in NO_WEIGHT_ORDER or weights == sorted(weights, reverse=True)
    assert verdict.answer == verdict.ranking[0].answer_class.answer
    found = confidence(verdict, Claims(Certificate(void=Void.NOT_COUNTED)), panel.candidates)
    assert found.vote_share == verdict.ranking[0].votes / len(panel.voters)
    assert -1 <= found.margin <= found.vote_share <= 1
    assert found.distinct == len(panel.classes)


@pytest.mark.parametrize("name", PLAIN)
@given(given=votes)
def test_ties_go_to_the_smallest_index_and_are_said(name, given, panel_of, drawn) -> None:
    """Among classes with most votes the one with the earliest sample wins; the verdict says so."""
    panel = panel_of(drawn(given))
    verdict = aggregate(name, panel)
    most = max(len(c.members) for c in panel.classes)
    tied = [c for c in panel.classes if len(c.members) == most]
    assert verdict.answer == min(tied, key=lambda c: c.members[0]).answer
    assert any("tie" in warning for warning in verdict.warnings) == (len(tied) > 1)


@pytest.mark.parametrize("name", SUMS)
@given(given=votes)
def test_ties_by_weight_go_to_the_smallest_index_and_are_said(name, given, panel_of, drawn) -> None:
    """Of the classes with the most weight the one with the earliest sample wins; the verdict says so."""
    verdict = aggregate(name, panel_of(drawn(given)))
    tied = [s.answer_class for s in verdict.ranking if s.weight == verdict.ranking[0].weight]
    assert verdict.answer == min(tied, key=lambda c: c.members[0]).answer
    assert any("tie" in warning for warning in verdict.warnings) == (len(tied) > 1)


@pytest.mark.parametrize("name", [*SUMS, "kemeny"])
@given(texts=st.lists(st.sampled_from(VOTES), min_size=1, max_size=9), a=level)
def test_samples_of_equal_confidence_vote_plainly(name, texts, a, panel_of, drawn) -> None:
    """Where no sample is more confident than another, nothing but the count is left."""
    panel = panel_of(drawn([(text, a, a) for text in texts]))
    assert aggregate(name, panel).answer == plurality(panel).answer


@pytest.mark.parametrize("name", sorted(set(EVERY) - set(WITHOUT_STATISTICS) - {"kemeny"}))
@given(texts=st.lists(st.sampled_from(VOTES), min_size=1, max_size=9))
def test_without_any_statistics_the_plain_vote_stands_in_and_says_so(name, texts, panel_of) -> None:
    """A weighing method with nothing to weigh by never makes up weights."""
    panel = panel_of(texts)
    verdict = aggregate(name, panel)
    assert verdict.fallback_from == name
    assert verdict.fallback_reason.startswith("no_sample_has:")
    assert replace(verdict, fallback_from=None, fallback_reason=None) == plurality(panel)


@pytest.mark.parametrize("name", ASKING)
@few
@given(given=votes)
def test_a_method_that_asks_falls_back_to_the_plain_vote_and_says_why(name, given, panel_of, drawn) -> None:
    """Beside the fields that name the fallback, the verdict is the plain vote; unmarked only where none was asked."""
    panel = panel_of(drawn(given))
    verdict = aggregate(name, panel)
    marked = (name, "no_usable_reply" if name in ("moa", "rsa") else "call_failed:unsupported")
    asks = name in ALWAYS_ASKING or (name in JUDGING and len(panel.classes) > 1)
    assert (verdict.fallback_from, verdict.fallback_reason) in ([marked] if asks else [marked, (None, None)])
    assert replace(verdict, fallback_from=None, fallback_reason=None) == plurality(panel)


def test_the_tables_name_what_the_methods_are() -> None:
    """Only what counts is said to count, only what asks may ask, and no name in the tables is out of date."""
    assert {name for name in EVERY if AGGREGATORS[name].counts_votes} == set(COUNTING)
    asking = {name for name in EVERY if build(AGGREGATORS, name, "aggregator").max_calls(8) > 0}
    assert asking == {*ASKING, "auto"}
    assert set(EVERY) >= {*PLAIN, *TOP, *SUMS, *WITHOUT_STATISTICS, *MORE}
    for name in TOP:
        assert "vote more" in " ".join((AGGREGATORS[name].__doc__ or "").split())
