"""What each stopping rule decides, by known answers."""

import math
from fractions import Fraction
from functools import cache

import pytest

from service.answer_types import ANSWER_TYPES
from service.answer_types.number import Number
from service.candidates import Task
from service.confidence.signals import posterior_lead, ppr
from service.contract import Choice
from service.plan import build
from service.reading import Reader
from service.stopping import STOPPING_RULES
from service.stopping.base import Tally, counted
from service.stopping.dirichlet import leads_all
from service.stopping.grey import shares
from tests.at_once import at_once


def rule(name: str, **options):
    """A rule with these options."""
    return build(STOPPING_RULES, Choice.model_validate({"name": name, **options}), "stop")


def build_type(name: str):
    """An answer type by its name."""
    return build(ANSWER_TYPES, name, "answer_type")


def tally(votes: str, to_come: int = 30, **more) -> Tally:
    """The tally of samples in launch order: letters are answers, a dot is a sample without one."""
    named = [vote for vote in votes if vote != "."]
    classes = sorted(dict.fromkeys(named), key=lambda vote: (-named.count(vote), votes.index(vote)))
    places = tuple(None if vote == "." else classes.index(vote) for vote in votes)
    return Tally(tuple(named.count(vote) for vote in classes), to_come, places, **more)


def first_stop(name: str, drawn: str, **options) -> int | None:
    """The length of the first prefix at which a rule stops."""
    chosen = rule(name, **options)
    return next((n for n in range(1, len(drawn) + 1) if chosen.stops(tally(drawn[:n]))), None)


@pytest.mark.parametrize(
    ("votes", "stop", "kept"),
    [
        ("aaaaabbbbb", 5, range(0, 5)),
        ("aaaabaaaaa", 10, range(5, 10)),
        ("aaaabbbbbaaaaaa", 15, range(10, 15)),  # five equal in a row lie across windows at first, and do not count
        ("aaaa.aaaaa", 10, range(5, 10)),
        ("bbbbabbbbaaaaaa", 15, range(10, 15)),  # b has eight votes and a seven: the window's answer is a all the same
        ("aaaab" * 4, None, None),
    ],
)
def test_esc_stops_at_the_end_of_a_window_that_agrees(votes, stop, kept) -> None:
    """Windows of five follow each other; only the one that agrees votes."""
    assert first_stop("esc", votes) == stop
    if stop:
        assert counted(rule("esc"), tally(votes[:stop])) == kept


def test_the_verdict_of_esc_is_its_windows(sample_of) -> None:
    """Ten samples hold b eight times and a twice, the third window is all a: a wins, and the rest is shown with why."""
    texts = [f"The answer is {value}." for value in [2, 2, 2, 2, 1, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1]]
    samples = {i: sample_of(i, text) for i, text in enumerate(texts)}
    reader = Reader(Task("What?"), Number(), rule("esc"), 40)
    kept = at_once(reader.stops(samples, 25))
    reading = at_once(reader.read(samples, kept))
    assert kept == range(10, 15)
    assert [(found.answer, found.members) for found in reading.classes] == [("1", (10, 11, 12, 13, 14))]
    assert {candidate.excluded for candidate in reading.candidates[:10]} == {"outside_window"}


def test_ppr_stops_at_eight_equal_answers_of_two() -> None:
    """(K - 1)(n + 1) / 2^n: 8 / 128 = .0625 for seven, 9 / 256 = .0352 for eight; four rivals need two more."""
    assert [ppr(7, 0, 2), ppr(8, 0, 2)] == [0.0625, 9 / 256]
    assert first_stop("ppr", "a" * 20, answers=2) == 8
    assert first_stop("ppr", "a" * 20, answers=5) == 10
    assert first_stop("ppr", "a" * 20, answers=10) == 12
    assert rule("ppr").stops(tally("a" * 8)) == rule("ppr").stops(tally("a" * 8, answers=2))
    assert not rule("ppr").stops(tally("a" * 8, answers=5))


@pytest.mark.parametrize(("answers", "needed"), [(2, [8, 11, 14, 16, 18]), (5, [10, 14, 16, 19, 21])])
def test_votes_that_ppr_needs_against_a_runner_up(answers, needed) -> None:
    """The smallest v1 with (K - 1) b(1/2) <= .05 against v2 = 0..4."""
    found = [next(v1 for v1 in range(v2, 99) if ppr(v1, v2, answers) <= 0.05) for v2 in range(5)]
    assert found == needed


def test_dirichlet_is_beta_where_one_answer_has_all_votes() -> None:
    """Against nothing but the class of all unseen answers: 1 - 2^-(n + 1), .969 for four."""
    for n in range(1, 9):
        assert leads_all((n, 0)) == pytest.approx(1 - 0.5 ** (n + 1))
    assert first_stop("dirichlet", "aaaaaa") == first_stop("beta", "aaaaaa") == 4


@cache
def race(left: tuple[int, ...]) -> Fraction:
    """The chance that the first of several equally fast racers comes in last, each with so many steps to go.

    Steps of equal rate are the Gammas whose shares are the Dirichlet's: the largest share is the last to arrive.
    """
    going = [place for place, steps in enumerate(left) if steps]
    if going == [0] or 0 not in going:
        return Fraction(int(going == [0]))
    after = [tuple(steps - (place == moved) for place, steps in enumerate(left)) for moved in going]
    return sum((race(one) for one in after), Fraction(0)) / len(going)


@pytest.mark.parametrize("counts", [(0, 0, 0), (2, 1, 1), (5, 1, 1, 0), (7, 3, 2, 1, 0), (12, 5, 1, 0), (1, 4)])
def test_the_dirichlet_posterior_is_exact(counts) -> None:
    """The quadrature gives the rational number of the race; three answers without a vote: 1/3."""
    assert leads_all(counts) == pytest.approx(float(race(tuple(count + 1 for count in counts))), abs=1e-12)


def test_the_dirichlet_posterior_of_many_votes() -> None:
    """Two answers: the Beta posterior, also with thousands of votes."""
    for v1, v2 in ((40, 38), (900, 860), (3000, 2900)):
        assert leads_all((v1, v2)) == pytest.approx(posterior_lead(v1, v2), abs=1e-11)


def test_dirichlet_waits_longer_than_beta_where_votes_are_scattered() -> None:
    """6 votes against 1, 1, 1: beta looks at the runner-up alone (.965), Dirichlet at all of them (.939)."""
    assert posterior_lead(6, 1) == pytest.approx(0.9648, abs=1e-4)
    assert leads_all((6, 1, 1, 1, 0)) < 0.95
    assert rule("beta").stops(tally("aaaaaabcd"))
    assert not rule("dirichlet").stops(tally("aaaaaabcd"))


@pytest.mark.parametrize(
    ("share", "votes", "drawn", "stop"), [(0.75, 4, "aaab", 4), (0.8, 4, "abaaa", 5), (1, 2, "aa", 2)]
)
def test_consensus_needs_a_share_of_enough_votes(share, votes, drawn, stop) -> None:
    """3 of 4 reach .75 and not .8, which 4 of 5 do; fewer votes than asked for are too few."""
    assert first_stop("consensus", drawn, share=share, votes=votes) == stop


@pytest.mark.parametrize(("alpha", "needed"), [(0.1, 6), (0.05, 7), (0.01, 9)])
@pytest.mark.parametrize("kind", ["number", "math"])
def test_certified_stops_at_the_certificates_power(alpha, needed, kind, sample_of) -> None:
    """Equal answers in a row: six, seven, nine, for answers that are compared exactly and that are merged."""
    samples = {i: sample_of(i, "The answer is \\boxed{42}.") for i in range(12)}
    reader = Reader(Task("What?"), build_type(kind), rule("certified", alpha=alpha), 12)
    assert at_once(reader.stops(samples, 0)) == range(needed)


def test_certified_draws_more_where_the_completions_decide_the_type(sample_of) -> None:
    """Of `auto` three types are possible: 3 p <= .05 takes E(1, 0) / E(n, 0) <= .0167, which is 8 and not 7."""
    samples = {i: sample_of(i, "The answer is \\boxed{42}.") for i in range(12)}
    reader = Reader(Task("What?"), build_type("auto"), rule("certified"), 12)
    assert at_once(reader.stops(samples, 0)) == range(8)
    closed = Reader(Task("Which?", ("42", "43")), build_type("auto"), rule("certified"), 12)
    assert at_once(closed.stops(samples, 0)) == range(7)


def test_shares_are_likelihoods_over_the_options() -> None:
    """log 1, log 3 and log 4 are 1/8, 3/8 and 1/2, whatever is added to all."""
    logs = [math.log(1), math.log(3), math.log(4)]
    assert shares(logs) == pytest.approx((0.125, 0.375, 0.5))
    assert shares([log - 1_000 for log in logs]) == pytest.approx((0.125, 0.375, 0.5))


def test_grey_stops_where_votes_and_shares_agree() -> None:
    """Seven sure draws suffice at .05 as seven votes do; unsure ones take more, other leaders end nothing."""
    sure, unsure = (0.0, -60.0, -60.0), (math.log(0.6), math.log(0.2), math.log(0.2))

    def stops(drawn, leading=0) -> bool:
        return rule("grey").stops(Tally((len(drawn),), 30, option_logprobs=tuple(drawn), leading_option=leading))

    assert next(n for n in range(1, 12) if stops([sure] * n)) == 7
    assert next(n for n in range(1, 60) if stops([unsure] * n)) == 13
    assert not stops([sure] * 12, leading=1)
    assert not stops([*[sure] * 7, ()])
    going_on = rule("grey")
    asked = [going_on.stops(Tally((n,), 30, option_logprobs=(sure,) * n, leading_option=0)) for n in range(1, 10)]
    assert asked == [n >= 7 for n in range(1, 10)]


def test_switch_goes_on_where_a_model_disagrees_with_itself() -> None:
    """Blocks of three, three and four: asked at their ends alone, about their own samples alone."""
    blocks = (3, 6, 10)

    def stops(votes: str, **options) -> bool:
        return rule("switch", **options).stops(tally(votes, blocks=blocks))

    assert stops("aaa")
    assert not stops("aab")
    assert not stops("aa.")
    assert not stops("aaaa")
    assert stops("aabccc")
    assert not stops("aabaac")
    assert stops("aab", agreement=0.6)
    assert not rule("switch").stops(tally("aaa"))


def test_deadline_looks_at_the_clock(sample_of) -> None:
    """Nothing before its time; then whatever has come votes, if it is enough for the quorum."""
    clock = [9.0]
    samples = {5: sample_of(5, "The answer is 42."), 2: sample_of(2, "no number")}
    reader = Reader(Task("What?"), Number(), rule("deadline"), 8, elapsed=lambda: clock[0])
    patient = Reader(Task("What?"), Number(), rule("deadline"), 8, quorum=2, elapsed=lambda: clock[0])
    assert at_once(reader.stops(samples, 6)) is None
    clock[0] = 10.0
    assert at_once(reader.stops(samples, 6)) == range(8)
    assert at_once(reader.stops({2: samples[2]}, 7)) is None
    assert at_once(patient.stops(samples, 6)) is None
    assert at_once(patient.stops({**samples, 0: sample_of(0, "It is 41.")}, 5)) == range(8)


def test_a_rule_of_another_package_needs_nothing_of_all_this() -> None:
    """The votes of the whole prefix count where a rule does not say which."""
    assert counted(rule("beta"), tally("aab.")) == range(4)


@pytest.mark.parametrize(
    ("drawn", "warmup", "share", "stop"),
    [
        ("aaaaaaaa", 4, None, None),
        ("aaaaaaaa", 4, 0.95, 4),
        ("ab" + "a" * 30, 4, 0.95, 20),
        ("a.........", 4, 0.95, 4),  # what was cut does not vote, and counts towards the warm-up's number
        ("....aa", 4, 0.95, 5),
        ("abab" * 8, 4, 0.95, None),
    ],
)
def test_deepconf_online_ends_the_sampling_only_by_a_consensus(drawn, warmup, share, stop, sample_of) -> None:
    """Off by default; else in launch order, so that the order of arrival decides nothing."""
    assert first_stop("deepconf_online", drawn, warmup=warmup, consensus=share) == stop
    chosen = rule("deepconf_online", warmup=warmup, consensus=share)
    reader = Reader(Task("What is it?"), Number(), chosen, 40)
    texts = {"a": "The answer is 1.", "b": "The answer is 2.", ".": "no idea"}
    samples = {i: sample_of(i, texts[vote]) for i, vote in enumerate(drawn)}
    late = {i: sample for i, sample in samples.items() if i}
    assert at_once(reader.stops(late, 40 - len(late))) is None
    assert at_once(reader.stops(samples, 40 - len(samples))) == (None if stop is None else range(stop))
