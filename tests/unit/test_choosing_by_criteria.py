"""Kemeny, MaxMin, the median and the consensus region: known answers with their arithmetic."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.aggregators.kemeny import MAX_EXACT, _by_points, _exact, _wins
from service.answer_types.boxes import Boxes
from service.answer_types.choice import Choice
from service.answer_types.text import Text
from tests.ballots import of_models, samples, verdict, weights
from workers.wire.messages import Sample


@pytest.fixture(scope="session")
def lettered(panel_of):
    """A panel of lettered answers."""
    return lambda answers, **statistics: panel_of(samples(answers, **statistics), Choice())


@given(st.lists(st.lists(st.integers(0, 3), min_size=4, max_size=4), min_size=1, max_size=5))
def test_kemeny_is_the_best_of_all_rankings(criteria) -> None:
    """Against all 24 rankings of four: none agrees with more pairs, and of equal ones it is the first by place."""
    wins = _wins(criteria, 4)
    agreed = {
        order: sum(wins[a][b] for i, a in enumerate(order) for b in order[i + 1 :]) for order in permutations(range(4))
    }
    best = [order for order, pairs in agreed.items() if pairs == max(agreed.values())]
    order, tied = _exact(wins)
    assert order == min(best)
    assert tied == (len({order[0] for order in best}) > 1)


def test_kemeny_fuses_rankings_without_scales(lettered) -> None:
    """Vote B A C, P(True) A B C, reward A C B. A before B in 2 of 3, A before C in 3, B before C in 2: A B C.

    The means of the scores would say C, whose reward is in the hundreds.
    """
    panel = lettered("BBACBA", p_true=[0.5, 0.4, 0.9, 0.2, 0.1, 0.6], reward_score=[1, 2, 900, 800, 3, 4])
    found = verdict("kemeny", panel, statistics=["p_true", "reward_score"])
    assert weights(found) == {"A": 3, "B": 2, "C": 1}
    assert (found.warnings, found.notes) == ((), ())


def test_beyond_eight_answers_kemeny_gives_borda_s_order(lettered) -> None:
    """Nine answers, all by the same two criteria; points are wins less losses."""
    values = [3, 9, 1, 2, 8, 7, 4, 6, 5]
    found = verdict(
        "kemeny", lettered("ABCDEFGHI", p_true=values, entropy=[-v for v in values]), statistics=["p_true", "entropy"]
    )
    assert [s.answer_class.answer for s in found.ranking] == list("BEFHIGADC")
    assert found.notes == (f"more than {MAX_EXACT} answers: Borda's points",)
    assert _by_points(_wins([[1, 2, 3], [2, 3, 1], [3, 1, 2]], 3)) == ((0, 1, 2), True)


def test_an_answer_without_the_statistic_is_last_by_it(lettered) -> None:
    found = verdict("kemeny", lettered("AAB", p_true=[None, None, 0.1]), statistics=["p_true"], vote=False)
    assert found.answer == "B"
    assert found.warnings == ("answers without p_true are last by it",)


CRITERIA = {"helpful": [9, 5, 1], "safe": [1, 2, 3], "short": [2, 2, 2]}


@pytest.mark.parametrize(
    ("welfare", "scores", "answer"),
    [
        # Ranks: helpful 1 .5 0, safe 0 .5 1, short .5 each. The worst: 0, .5, 0.
        ("maximin", CRITERIA, "B"),
        ("leximin", CRITERIA, "B"),
        # Means all .5: the earliest. Logs: B's 3 log .501 against log 1.001 + log .001 + log .501.
        ("utilitarian", CRITERIA, "A"),
        ("nash", CRITERIA, "B"),
        # Ranks (0, 1, 1), (0, .5, .5), (1, 0, 0): worst 0 all three; next-worst 1, .5, 0.
        ("maximin", {"u": [1, 1, 3], "v": [3, 2, 1], "w": [3, 2, 1]}, "A"),
        ("leximin", {"u": [1, 1, 3], "v": [2, 3, 1], "w": [2, 3, 1]}, "B"),
    ],
)
def test_maxmin_by_given_scores(lettered, welfare: str, scores, answer: str) -> None:
    found = verdict("maxmin", lettered("ABC"), statistics=[], scores=scores, welfare=welfare)
    assert found.answer == answer


def test_maxmin_names_the_criterion_by_which_its_choice_is_worst(lettered) -> None:
    """B is better than one of two by every criterion but P(True), by which it is the worst."""
    panel = lettered("ABC", p_true=[0.9, 0.1, 0.5])
    found = verdict("maxmin", panel, statistics=["p_true"], scores={"safe": [1, 2, 0]}, welfare="utilitarian")
    assert found.answer == "A"
    assert found.notes == ("worst by safe: better than 50% of the other samples",)
    assert weights(found) == pytest.approx({"A": 0.75, "B": 0.5, "C": 0.25})


def test_a_sample_beyond_the_scores_is_not_chosen(lettered) -> None:
    found = verdict("maxmin", lettered("AB"), statistics=[], scores={"safe": [1]})
    assert (found.answer, found.warnings) == ("A", ("1 samples lack a criterion and are not chosen",))


@pytest.mark.parametrize(
    ("answers", "middle"),
    [
        (["1", "2", "100"], "2"),
        (["1", "2", "3", "100"], "2"),  # the lower of two
        (["5", "1/2", "0.5", "7"], "0.5"),
        (["-3"], "-3"),
        (["3 cm", "4", "9 cm"], "4"),
    ],
)
def test_the_median_is_the_lower_middle(panel_of, answers: list[str], middle: str) -> None:
    found = verdict("median", panel_of(samples(answers)))
    assert (found.answer, found.fallback_from) == (middle, None)
    assert found.answer == found.ranking[0].answer_class.answer


@given(st.lists(st.integers(-20, 20), min_size=1, max_size=9), st.integers(-(10**12), 10**12))
def test_one_wild_voice_moves_the_median_by_one_place_at_most(panel_of, numbers, wild) -> None:
    """And the answer is one that somebody gave."""
    before = int(verdict("median", panel_of(samples([str(n) for n in numbers]))).answer or "")
    after = int(verdict("median", panel_of(samples([str(n) for n in [*numbers, wild]]))).answer or "")
    given_now = sorted([*numbers, wild])
    assert after in given_now
    between = sum(min(before, after) < n < max(before, after) for n in given_now)
    assert between == 0


def test_the_median_heeds_weights(panel_of) -> None:
    """Weights 1, 1, 1 and 5: half of 8 is reached at the last. With 3, half of 6 at the third."""
    panel = panel_of(samples(["1", "2", "3", "9"]))
    assert verdict("median", of_models(panel, "xxxy", {"y": 5.0})).answer == "9"
    assert verdict("median", of_models(panel, "xxxy", {"y": 3.0})).answer == "3"
    assert verdict("median", of_models(panel, "xxxy", {"x": 0.0})).answer == "9"
    alike = verdict("median", of_models(panel, "xxxx", {"x": 0.0}))
    assert (alike.answer, alike.fallback_reason) == ("2", None)


def test_what_has_no_middle_is_voted_on_and_that_is_said(panel_of) -> None:
    words = verdict("median", panel_of(["oak", "elm", "elm"], Text()))
    assert (words.answer, words.fallback_from, words.fallback_reason) == ("elm", "median", "an_answer_is_no_number")
    units = verdict("median", panel_of(samples(["1 cm", "3 m", "3 m"])))
    assert (units.answer, units.fallback_reason) == ("3", "units_differ")


def boxes(panel_of, *texts: str):
    """A panel of regions."""
    return panel_of([Sample(index=i, text=text) for i, text in enumerate(texts)], Boxes())


def test_the_region_is_where_most_boxes_overlap(panel_of) -> None:
    """[0 0 10 10], [5 0 15 10] and [6 0 16 10] share 6 to 10; the fourth box is elsewhere: 3 of 4."""
    panel = boxes(panel_of, "[0, 0, 10, 10]", "[5, 0, 15, 10]", "[6, 0, 16, 10]", "[90, 90, 99, 99]")
    found = verdict("region", panel)
    assert (found.answer, found.support, found.novel) == ("[6, 0, 10, 10]", 0.75, True)
    assert found.notes == ("3 of 4 boxes cover the consensus [6, 0, 10, 10]",)
    # Mean votes within themselves: (5*1 + 1*2 + 4*3) / 10 = 1.9, (1*2 + 4*3 + 5*2) / 10 = 2.4, (12 + 10 + 1) / 10 = 2.3
    assert found.sample_index == 1
    assert verdict("region", panel, answer="point").answer == "[8, 5]"


def test_points_vote_as_squares_and_are_answered_by_a_point(panel_of) -> None:
    """Squares of side 50 around x 100 and 110 share 85 to 125: the middle is 105. Around 400 there is one."""
    found = verdict("region", boxes(panel_of, "(100, 100)", "(110, 100)", "(400, 400)"))
    assert (found.answer, found.support) == ("[105, 100]", pytest.approx(2 / 3))
    assert verdict("region", boxes(panel_of, "(100, 100)", "(110, 100)"), point_side=5).answer == "[100, 100]"
    share = verdict("region", boxes(panel_of, "(0.1, 0.1)", "(0.11, 0.1)", "(0.9, 0.9)"))  # 0.085 to 0.125
    assert (share.answer, share.support) == ("[0.105, 0.1]", pytest.approx(2 / 3))
    same = verdict("region", boxes(panel_of, "(7, 9)", "(7, 9)"))
    assert (same.answer, same.support, same.novel, len(same.ranking)) == ("[7, 9]", 1.0, False, 1)


@given(
    st.lists(st.tuples(*[st.integers(0, 9)] * 4), min_size=1, max_size=6),
    st.randoms(use_true_random=False),
)
def test_regions_keep_the_laws(panel_of, corners, random) -> None:
    """Order changes nothing; a box more for what was answered never unseats it."""
    texts = [f"[{min(a, c)}, {min(b, d)}, {max(a, c) + 1}, {max(b, d) + 1}]" for a, b, c, d in corners]
    panel = boxes(panel_of, *texts)
    found = verdict("region", panel, answer="box")
    drawn = [candidate.sample for candidate in panel.candidates]
    assert verdict("region", panel_of(random.sample(drawn, len(drawn)), Boxes()), answer="box") == found
    more = verdict("region", boxes(panel_of, *texts, str(found.answer)), answer="box")
    assert more.answer == found.answer
    assert more.support >= found.support


def test_what_is_no_region_is_voted_on(panel_of) -> None:
    found = verdict("region", panel_of(samples(["1", "2", "2"])))
    assert (found.answer, found.fallback_reason) == ("2", "an_answer_is_no_region")
    many = verdict("region", boxes(panel_of, *[f"[{i}, 0, {i + 1}, 1]" for i in range(257)]))
    assert many.fallback_reason == "more_than_256_boxes"
