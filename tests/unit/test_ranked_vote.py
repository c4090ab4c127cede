"""Rankings in completions, and the rules that count them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.aggregators.preference import Ballot, borda, reciprocal, run_off, written_ranking
from service.answer_types.choice import Choice
from service.candidates import Task
from service.classing import Classifier
from service.reading import Reader
from service.stopping.base import Options
from service.stopping.none import NoStop
from tests.at_once import at_once
from tests.ballots import of_models, verdict, weights

TASK = Task("Which?", choices=("(A) oak", "(B) elm", "(C) ash", "(D) yew"))


@pytest.fixture(scope="session")
def ranked(panel_of):
    """A panel of choices from whole completions."""
    return lambda *texts: panel_of(texts, Choice(), task=TASK)


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("So the answer is (A). The ranking of options by likelihood is: A > D > C.", ("A", "D", "C")),
        ("Ranking: **42** > 41 > 7", ("42", "41", "7")),
        ("x\nOrder: (B) \\succ (A)\nThank you.", ("(B)", "(A)")),
        ("1/2>0.25 > 3", ("1/2", "0.25", "3")),
        ("> quoted\nThe answer is A.", ()),
        ("a > > b", ()),
        ("<think>A > B</think>The ranking is B > A", ("B", "A")),
        ("<think>A > B", ()),
        ("B > C\nno more", ("B", "C")),
        ("", ()),
    ],
)
def test_a_ranking_is_read_from_the_last_line_that_has_one(text: str, items: tuple[str, ...]) -> None:
    assert written_ranking(text) == items


def test_reading_is_linear() -> None:
    """A megabyte of signs or of none; the test's own time limit is the bar."""
    assert written_ranking("> " * 500_000) == ()
    assert written_ranking("a" * 1_000_000) == ()
    assert written_ranking(("a" * 500_000) + " > " + "b" * 500_000) == ()


def test_borda_counts_places() -> None:
    """Of 3: two ballots 0 > 1 > 2 and one 2 > 1: 3 + 3 + 1, 2 + 2 + 2, 1 + 1 + 3."""
    assert borda([Ballot((0, 1, 2))] * 2 + [Ballot((2, 1))], 3).weights == (7, 6, 5)


def test_what_a_ballot_does_not_list_shares_what_is_left() -> None:
    """Of 4, a ballot of one: 4 points, and 3 + 2 + 1 over three."""
    assert borda([Ballot((2,))], 4).weights == (2, 2, 4, 2)


def test_reciprocal_counts_one_over_the_place() -> None:
    """0: 1 + 1/3; 1: 1/2 + 1; 2: 1/3 + 1/2."""
    assert reciprocal([Ballot((0, 1, 2)), Ballot((1, 2, 0))], 3).weights == pytest.approx((4 / 3, 3 / 2, 5 / 6))


def test_the_run_off_really_transfers() -> None:
    """4 A, 3 B > C, 2 C > B: C drops out, B has 5. Without transfer A would win by 4."""
    ballots = [Ballot((0,))] * 4 + [Ballot((1, 2))] * 3 + [Ballot((2, 1))] * 2
    result = run_off(ballots, 3)
    assert result.order == (1, 2, 0)
    assert result.weights == (4, 5, 2)


def test_of_equally_few_firsts_the_last_place_drops_out_and_a_tie_is_said() -> None:
    assert run_off([Ballot((0,)), Ballot((1,))], 2) == run_off([Ballot((1,)), Ballot((0,))], 2)
    assert run_off([Ballot((0,)), Ballot((1,))], 2).order == (1, 0)
    assert run_off([Ballot((0,)), Ballot((1,))], 2).tied


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12))
def test_ballots_of_one_are_the_plain_vote(firsts) -> None:
    """Under every rule the order of the counts is the order of the points."""
    ballots = [Ballot((first,)) for first in firsts]
    counts = [firsts.count(place) for place in range(4)]
    for rule in (borda, reciprocal):
        points = rule(ballots, 4).weights
        assert all((points[a] > points[b]) == (counts[a] > counts[b]) for a in range(4) for b in range(4))
    order = run_off(ballots, 4).order
    assert order.index(max(order)) == counts.index(max(counts))


def test_the_rules_disagree_as_they_must(ranked) -> None:
    """2 A > B > C, 2 C > B > A, 1 B > C > A. Firsts: A 2, C 2, B 1, so B drops out and C has 3: C wins the run-off.

    Of 4 choices, D never listed, K is 3: Borda A 2*3 + 3*1 = 9, B 4*2 + 3 = 11, C 2*1 + 2*3 + 2 = 10: B wins.
    """
    texts = ["The answer is A.\nRanking: A > B > C"] * 2 + ["The answer is C.\nRanking: C > B > A"] * 2
    panel = ranked(*texts, "The answer is B.\nRanking: B > C > A")
    assert weights(verdict("ranked_vote", panel, rule="borda")) == {"B": 11, "C": 10, "A": 9}
    assert verdict("ranked_vote", panel, rule="run_off").answer == "C"
    assert verdict("ranked_vote", panel).notes == ("5 of 5 samples rank answers",)
    found = verdict("ranked_vote", panel, rule="borda")
    assert (found.support, found.sample_index) == (0.2, 4)


def test_an_answer_that_is_nobody_s_own_can_win_by_points(ranked) -> None:
    """A > D, B > D, C > D. Of 4: A 4 + 1.5 + 1.5 = 7, as B and C; D 3 * 3 = 9."""
    texts = [f"The answer is {letter}.\nRanking: {letter} > D" for letter in "ABC"]
    found = verdict("ranked_vote", ranked(*texts))
    assert (found.answer, found.text, found.sample_index, found.novel, found.support) == ("D", None, None, True, 0.0)
    assert weights(found) == {"D": 9, "A": 7, "B": 7, "C": 7}
    assert [standing.votes for standing in found.ranking] == [0, 1, 1, 1]
    assert verdict("ranked_vote", ranked(*texts), rule="run_off").answer == "A"


def test_a_line_without_the_sample_s_own_answer_is_no_ranking(ranked) -> None:
    """B > C on the way to the answer A is an argument and no ballot; what is listed twice counts once."""
    found = verdict("ranked_vote", ranked("Clearly B > C here. The answer is A.", "The answer is A.\nA > B > A > C"))
    assert found.notes == ("1 of 2 samples rank answers",)
    assert weights(found) == {"A": 6, "B": 3.5, "C": 2.5}  # of 3: 3 + 3, 1.5 + 2, 1.5 + 1


def test_a_ballot_weighs_what_its_model_does(ranked) -> None:
    panel = of_models(ranked("The answer is A.", "The answer is B.", "The answer is B."), "xyy", {"y": 0.25})
    assert verdict("ranked_vote", panel, rule="run_off").answer == "A"
    assert weights(verdict("ranked_vote", panel, rule="reciprocal")) == {"A": 1.0, "B": 0.5}


def test_letters_are_ranked_as_each_sample_was_shown_the_options(ranked, sample_of) -> None:
    """Sample 1 saw elm as (A) and oak as (B): its "B > A" ranks oak before elm, as sample 0's "A > B" does."""
    orders = {0: None, 1: (1, 0, 2, 3)}
    texts = ["The answer is A.\nRanking: A > B", "The answer is B.\nRanking: B > A"]
    reader = Reader(TASK, Choice(), NoStop(Options()), 2, shown=orders.get)
    reading = at_once(reader.read({i: sample_of(i, text) for i, text in enumerate(texts)}))
    classify = Classifier(reading.candidates, Choice(), TASK, shown=orders.get)
    panel = replace(ranked(*texts), candidates=reading.candidates, classes=reading.classes, classify=classify)
    found = verdict("ranked_vote", panel)
    assert [len(c.members) for c in reading.classes] == [2]
    (first, most), (_, less) = weights(found).items()
    assert first == reading.classes[0].answer
    assert most > less
