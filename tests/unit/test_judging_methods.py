"""The judging aggregators with a scripted model, and the rules of social choice that they stand on."""

import asyncio
import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.aggregators import AGGREGATORS, games
from service.aggregators.checklist import MAX_KEPT, Checklist
from service.aggregators.rank_statistics import agreement, ranks, spearman
from service.answer_types.text import Text
from service.candidates import Task
from workers.wire.messages import Failure, FailureKind, Sample

TEXTS = ["One way. The answer is 41.", "6 x 7 = 42. The answer is 42.", "The answer is 42.", "Seven. The answer is 43."]


@pytest.fixture(autouse=True)
def _no_checklist_is_kept() -> None:
    """Each test begins with no checklist."""
    Checklist._kept.clear()


def aggregate(name: str, panel, ask, **options):
    """The verdict of a method with options."""
    aggregator = AGGREGATORS.make(name, AGGREGATORS[name].Options(**options))
    return asyncio.run(aggregator.aggregate(panel, ask))


class Scoring:
    """A model that judges by what is written in a text: `worth` gives each text's worth, by a part of it."""

    def __init__(self, worth: dict[str, int], form: str, bias: int = 0) -> None:
        self.worth, self.form, self.bias = worth, form, bias
        self.calls = 0

    async def __call__(self, messages, sampling, n=1, *, prefix="", model=None):
        """Finds the texts in the order shown and writes their worths."""
        self.calls += 1
        shown = re.findall(r"\] Solution \d+:\n((?:.|\n)*?)\n(?=\[)", messages[0].content)
        found = [next(w for part, w in self.worth.items() if part in text) for text in shown]
        found[0] += self.bias
        if self.form == "pair":
            return (Sample(index=0, text=f"Hm.\nScore 1: {found[0]}\nScore 2: {found[1]}"),)
        return (Sample(index=0, text='Principles. {"scores": [' + ", ".join(map(str, found)) + "]}"),)


def digits(*likely: float) -> Sample:
    """A reply in which the ten digits have these likelihoods, not normalised."""
    return Sample(index=0, text="9", option_logprobs=tuple(math.log(p) for p in likely))


def sure(digit: int) -> Sample:
    """Nearly all on one digit."""
    return digits(*(1.0 if d == digit else 1e-9 for d in range(10)))


def test_a_judges_rating_is_the_expected_digit(panel_of, asks) -> None:
    """42 (two votes): (8 x .5 + 2 x .5) = 5, weight 10; 41: 9; 43: 7."""
    ask = asks(digits(*(0.05 if d in (2, 8) else 1e-12 for d in range(10))), sure(9), sure(7))
    verdict = aggregate("judge", panel_of(TEXTS), ask)
    assert verdict.answer == "42"
    assert [round(s.weight, 4) for s in verdict.ranking] == [10.0, 9.0, 7.0]
    alone = asks(sure(5), sure(9), sure(7))
    assert aggregate("judge", panel_of(TEXTS), alone, combine="score").answer == "41"
    assert all(s.options == tuple("0123456789") for s in ask.samplings)


def test_a_judge_may_abstain_and_may_write_its_digit(panel_of, sample_of, asks) -> None:
    """Below the bar there is no answer; without likelihoods the first lone digit counts, and none falls back."""
    verdict = aggregate("judge", panel_of(TEXTS), asks(sure(3), sure(3), sure(3)), abstain_below=5.0)
    assert (verdict.answer, verdict.reason) == (None, "low_score")
    written = asks(*(sample_of(0, word) for word in ("7", "Rating: 9/10?", "10")))
    assert aggregate("judge", panel_of(TEXTS), written, likelihood=False).fallback_reason == "reply_off_format"
    written = asks(*(sample_of(0, word) for word in ("2", "Rating: 9", "1")))
    assert aggregate("judge", panel_of(TEXTS), written, likelihood=False).answer == "41"


def test_a_rubric_sums_shuffled_judgements(panel_of) -> None:
    """Whatever the order shown, each score goes to its response; scores beyond the scale are pulled back."""
    ask = Scoring({"One way": 15, "6 x 7": 4, "Seven": -3}, "list")
    verdict = aggregate("rubric", panel_of(TEXTS), ask, judgements=3)
    assert (verdict.answer, ask.calls) == ("41", 3)
    assert {s.answer_class.answer: s.weight for s in verdict.ranking} == {"41": 30.0, "42": 12.0, "43": 3.0}
    assert verdict.facts["judge_agreement"] == pytest.approx(1.0)
    assert aggregate("rubric", panel_of(TEXTS), ask, combine="votes", judgements=1).answer == "41"


def test_a_rubric_keeps_the_judgements_that_agree(panel_of, sample_of, asks) -> None:
    """Of three, one contradicts the others: with two thirds kept it is left out; unreadable ones never count."""
    panel = panel_of(["The answer is 41.", "The answer is 42.", "The answer is 43."])

    class Three(Scoring):
        async def __call__(self, messages, sampling, n=1, *, prefix="", model=None):
            if self.calls == 0:
                self.worth = {"41": 10, "42": 1, "43": 5}
            else:
                self.worth = {"41": 1, "42": 3, "43": 2}
            return await super().__call__(messages, sampling, n)

    assert aggregate("rubric", panel, Three({}, "list"), judgements=3).answer == "41"
    assert aggregate("rubric", panel, Three({}, "list"), judgements=3, keep=0.6).answer == "42"
    broken = asks(sample_of(0, '{"scores": [1, 2]}'), sample_of(0, '{"scores": [1, "9", 2]}'), sample_of(0, "all good"))
    verdict = aggregate("rubric", panel, broken, judgements=3)
    assert (verdict.answer, verdict.fallback_reason) == ("41", "reply_off_format")


def test_a_checklist_is_made_once_a_question(panel_of, sample_of, asks) -> None:
    """Two items: 42 meets one, 41 both, 43 none that is answered; asked again, the list is there already."""
    grades = [sample_of(0, text) for text in ("1: YES\n2: NO", "So.\n1. yes\n**2**: YES", "no idea")]
    ask = asks(sample_of(0, "- Is it a number?\nchatter\n2. Is it right?"), *grades)
    verdict = aggregate("checklist", panel_of(TEXTS), ask)
    assert verdict.answer == "41"
    assert [s.weight for s in verdict.ranking] == [1.0, 0.5, 0.0]
    assert "1. Is it a number?\n2. Is it right?" in ask.prompts[1][0].content
    again = asks(*grades)
    assert aggregate("checklist", panel_of(TEXTS), again).answer == "41"
    assert len(again.prompts) == 3
    other = asks(sample_of(0, "nothing to check"))
    verdict = aggregate("checklist", panel_of(TEXTS, task=Task("Another?")), other)
    assert (verdict.answer, verdict.fallback_reason) == ("42", "reply_without_checklist")


def test_only_so_many_checklists_are_kept(panel_of, sample_of, asks) -> None:
    """The oldest goes."""
    for i in range(MAX_KEPT + 3):
        ask = asks(sample_of(0, "- Is it?"), *(sample_of(0, "1: YES") for _ in range(3)))
        aggregate("checklist", panel_of(TEXTS, task=Task(f"Question {i}?")), ask)
    assert len(Checklist._kept) == MAX_KEPT


def test_a_tournament_is_played_in_both_orders(panel_of) -> None:
    """The best text wins, whatever its votes; a judge that prefers what it sees first only makes ties."""
    ask = Scoring({"One way": 9, "6 x 7": 4, "Seven": 2}, "pair")
    verdict = aggregate("tournament", panel_of(TEXTS), ask)
    assert (verdict.answer, ask.calls) == ("41", 6)
    assert verdict.facts["condorcet"] == verdict.facts["transitivity"] == verdict.facts["read"] == 1.0
    assert verdict.facts["order_flip"] == 0.0
    biased = Scoring({"One way": 5, "6 x 7": 5, "Seven": 5}, "pair", bias=3)
    verdict = aggregate("tournament", panel_of(TEXTS), biased)
    assert (verdict.answer, verdict.facts["order_flip"], verdict.facts["condorcet"]) == ("42", 1.0, 0.0)


@pytest.mark.parametrize("rule", ["copeland", "win_rate", "maximin", "minimax"])
def test_every_rule_elects_who_beats_all(rule: str, panel_of) -> None:
    """A Condorcet winner wins by each rule."""
    ask = Scoring({"One way": 2, "6 x 7": 4, "Seven": 9}, "pair")
    assert aggregate("tournament", panel_of(TEXTS), ask, rule=rule).answer == "43"


def test_many_contenders_play_a_swiss_tournament(panel_of) -> None:
    """Ten answers: three games each and not ninety; the best one wins; the order of arrival changes nothing."""
    texts = [f"Way {i}. The answer is {100 + i}." for i in range(10)]
    worth = {f"Way {i}.": i + 1 for i in range(10)}
    ask = Scoring(worth, "pair")
    verdict = aggregate("tournament", panel_of(texts), ask)
    assert (verdict.answer, ask.calls) == ("109", 30)
    assert AGGREGATORS.make("tournament", AGGREGATORS["tournament"].Options()).max_calls(10) == 30


def test_a_tournament_that_nobody_judges_is_the_vote(panel_of, sample_of, asks) -> None:
    """Failed calls, and replies without both scores."""
    verdict = aggregate("tournament", panel_of(TEXTS), asks())
    assert (verdict.answer, verdict.fallback_reason) == ("42", "call_failed:upstream_error")
    off = asks(*(sample_of(0, "Score 1: 10") for _ in range(6)))
    assert aggregate("tournament", panel_of(TEXTS), off).fallback_reason == "reply_off_format"


def test_free_texts_are_judged_each_for_itself(panel_of) -> None:
    """Without short answers every readable sample takes part, and the winner's text is the answer."""
    tales = [f"Once there was a {who}, and so it went on. " + "La la. " * 40 for who in ("fox", "hen", "cat")]
    verdict = aggregate("tournament", panel_of(tales, Text()), Scoring({"fox": 3, "hen": 8, "cat": 5}, "pair"))
    assert verdict.text is not None
    assert "hen" in verdict.text


def test_fusion_adds_comparisons_to_votes(panel_of) -> None:
    """Votes 1/4, 2/4, 1/4; 41 wins both its pairs: + beta; 42 wins one, loses one: + 0; 43 loses both: - beta."""
    ask = Scoring({"One way": 9, "6 x 7": 4, "Seven": 2}, "pair")
    verdict = aggregate("pairwise_fusion", panel_of(TEXTS), ask, beta=0.5)
    assert {s.answer_class.answer: round(s.weight, 9) for s in verdict.ranking} == {"41": 0.75, "42": 0.5, "43": -0.25}
    assert verdict.answer == "41"
    assert aggregate("pairwise_fusion", panel_of(TEXTS), ask, beta=0.2).answer == "42"
    assert aggregate("pairwise_fusion", panel_of(TEXTS), ask, beta=0.0).answer == "42"


def test_personas_choose_whose_worst_criterion_is_best(panel_of) -> None:
    """By truth 41 > 42 > 43, by brevity 43 > 42 > 41: 42 is never last. Each judge is asked twice."""

    class Two(Scoring):
        async def __call__(self, messages, sampling, n=1, *, prefix="", model=None):
            by_truth = "one thing alone: truth." in messages[0].content
            self.worth = {"One way": 9, "6 x 7": 5, "Seven": 1} if by_truth else {"One way": 1, "6 x 7": 5, "Seven": 9}
            return await super().__call__(messages, sampling, n)

    ask = Two({}, "list")
    verdict = aggregate("personas", panel_of(TEXTS), ask, criteria=("truth", "brevity"))
    assert (verdict.answer, ask.calls) == ("42", 4)
    assert verdict.facts["judge_agreement"] == pytest.approx(-1.0)
    assert verdict.notes == ("worst by 'brevity': better than 50% of the other responses",)
    assert aggregate("personas", panel_of(TEXTS), ask, criteria=("truth",), times=1).answer == "41"


def test_a_criterion_that_nobody_judges_is_left_out(panel_of, sample_of, asks) -> None:
    """The first judge's two replies cannot be read; the second's decide, with a warning."""
    read = sample_of(0, '{"scores": [5, 5, 5]}')
    ask = asks(sample_of(0, "no"), sample_of(0, "no"), read, read)
    verdict = aggregate("personas", panel_of(TEXTS), ask, criteria=("truth", "brevity"))
    assert (verdict.answer, verdict.fallback_from) == ("42", None)
    assert verdict.warnings == ("1 criteria could not be judged",)


def test_one_answer_needs_no_judge(panel_of, asks) -> None:
    """Where all agree no call is made."""
    for name in ("judge", "rubric", "checklist", "tournament", "pairwise_fusion", "personas"):
        ask = asks()
        assert aggregate(name, panel_of(["The answer is 42."] * 3), ask).answer == "42"
        assert ask.prompts == []


def test_failed_judges_are_named(panel_of, asks) -> None:
    """The failure's kind is the reason."""
    lost = [Sample(index=0, failure=Failure(kind=FailureKind.TIMEOUT)) for _ in range(12)]
    for name in ("judge", "rubric", "checklist", "tournament", "pairwise_fusion", "personas"):
        verdict = aggregate(name, panel_of(TEXTS), asks(*lost))
        assert (verdict.answer, verdict.fallback_from, verdict.fallback_reason) == ("42", name, "call_failed:timeout")


def beats(*pairs: tuple[int, int]) -> dict[tuple[int, int], float]:
    """Preferences in which the first of each pair beats the second."""
    return {pair: 1.0 for pair in pairs} | {(j, i): 0.0 for i, j in pairs}


def test_rock_paper_scissors_has_no_best_player() -> None:
    """0 beats 1 beats 2 beats 0: a cycle; each rule gives all the same, the optimal strategy is a third each."""
    cycle = beats((0, 1), (1, 2), (2, 0))
    assert games.minimax_winner(cycle, 3) == [1 / 3] * 3
    assert games.win_rates(cycle, 3) == games.copeland(cycle, 3) == [0.5] * 3
    assert games.maximin(cycle, 3) == [0.0] * 3
    assert games.shape(cycle, 3) == {"condorcet": 0.0, "transitivity": 0.0}


def test_the_minimax_winner_leaves_out_who_loses_to_the_cycle() -> None:
    """The same cycle, and 3 loses to all three: it plays no part."""
    found = games.minimax_winner(beats((0, 1), (1, 2), (2, 0), (0, 3), (1, 3), (2, 3)), 4)
    assert found == [1 / 3, 1 / 3, 1 / 3, 0.0]
    assert games.shape(beats((0, 1), (0, 2), (1, 2)), 3) == {"condorcet": 1.0, "transitivity": 1.0}


levels = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])


@given(k=st.integers(2, 5), values=st.lists(levels, min_size=10, max_size=10), random=st.randoms())
@settings(deadline=None, max_examples=60)
def test_rules_do_not_depend_on_the_players_names(k, values, random) -> None:
    """Renaming the players renames the outcome; the minimax strategy is one, and loses to nobody."""
    pairs = [(i, j) for i in range(k) for j in range(i + 1, k)]
    preferences = {}
    for (i, j), value in zip(pairs, values, strict=False):
        preferences[i, j], preferences[j, i] = value, 1.0 - value
    names = random.sample(range(k), k)
    renamed = {(names[i], names[j]): value for (i, j), value in preferences.items()}
    for rule in (games.copeland, games.maximin, games.minimax_winner):
        here, there = rule(preferences, k), rule(renamed, k)
        assert [there[names[i]] for i in range(k)] == pytest.approx(here)
    strategy = games.minimax_winner(preferences, k)
    assert sum(strategy) == pytest.approx(1.0)
    assert min(strategy) >= 0.0
    for j in range(k):
        assert sum(strategy[i] * (preferences[i, j] - 0.5) for i in range(k) if i != j) >= -1e-9


@given(st.lists(st.integers(0, 5), min_size=2, max_size=8))
def test_rank_correlation_is_a_correlation(values: list[int]) -> None:
    """1 with itself, -1 with its reverse, none without spread; ranks of equals are shared and add up."""
    numbers = [float(v) for v in values]
    assert sum(ranks(numbers)) == len(numbers) * (len(numbers) + 1) / 2
    rho = spearman(numbers, numbers)
    assert (rho is None) == (len(set(values)) == 1)
    if rho is not None:
        assert rho == pytest.approx(1.0)
        assert spearman(numbers, [-v for v in numbers]) == pytest.approx(-1.0)


def test_agreement_is_the_mean_over_pairs() -> None:
    """(1 - 1 - 1) / 3."""
    assert agreement([[1, 2, 3], [1, 2, 3], [3, 2, 1]]) == pytest.approx(-1 / 3)
    assert agreement([[1, 2, 3]]) is None


def test_a_swiss_round_pairs_nobody_twice() -> None:
    """Over all rounds no pair meets twice, and in a round each plays at most once."""
    table, met = games.Table(7), set()
    while pairs := table.next_pairs(10):
        players = [player for pair in pairs for player in pair]
        assert len(players) == len(set(players))
        assert not met & set(pairs)
        met |= set(pairs)
        for i, j in pairs:
            table.count((i, j), float(i < j), 1.0)
    assert len(met) == 21
    assert sorted(table.rates, reverse=True) == table.rates
