"""Reading the last field of what a judge says: one value that is there, or none."""

import pytest

from service.aggregators.genrm import MEANINGS as VERDICTS
from service.aggregators.genrm import PHRASE, Genrm, GenrmOptions
from service.aggregators.replies import last_number, last_rating, last_word
from service.aggregators.self_check import MEANINGS as CHECKS

BEST = "The best solution is Solution"


@pytest.mark.parametrize(
    ("said", "number"),
    [
        (" 3", 3),
        ("** 3**.", 3),
        (": #3", 3),
        (" [3], since most of them agree", 3),
        (" Solution 3", 3),
        (" 12", 12),
        (" -1", None),
        (" 1.5", None),
        (" 1,5", None),
        (" 2 or 3", None),
        (" X (of 8)", None),
        (" 3? No: 2", None),
        (" three", None),
        (" 3\nSolution 4 is worse", 3),
        ("", None),
    ],
)
def test_a_number_is_the_only_one_on_its_line(said: str, number: int | None) -> None:
    """Signs, fractions and a second number name no one candidate."""
    assert last_number(f"{BEST} 9.\nNo.\n{BEST.upper()}{said}", BEST) == number


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        (" Yes", True),
        ("** **No**.", False),
        ("\nyes, it is", True),
        (" Yes/No", None),
        (" Neither. Yes or No", None),
        (" Yes or no", None),
        (" Yesterday", None),
        ("", None),
    ],
)
def test_a_verdict_is_one_word(said: str, verdict: bool | None) -> None:
    """The first word after the field, unless the line goes on to its opposite."""
    assert last_word(f"Step 1 holds.\nVerification: {PHRASE}{said}", VERDICTS, PHRASE) == verdict


@pytest.mark.parametrize(
    ("said", "correct"),
    [("correct", True), ("not correct.", False), ("incorrect", False), ("*wrong*", False), ("not wrong", None)],
)
def test_a_check_that_says_no_in_other_words_is_understood(said: str, correct: bool | None) -> None:
    """ "Not correct" is no "correct"."""
    assert last_word(f"Hm. The solution is {said}", CHECKS, "the solution is") == correct


@pytest.mark.parametrize(
    ("said", "rating"),
    [
        ("7", 7),
        ("**7**", 7),
        ("7/9", 7),
        ("7 out of 9.", 7),
        ("Rating: 7", 7),
        ("Rating (0-9): 7", 7),
        ("From 0 to 9: 8", 8),
        ("-3", None),
        ("42", None),
        ("7 or 8", None),
        ("good", None),
        ("", None),
    ],
)
def test_a_rating_is_the_digit_of_the_last_line(said: str, rating: int | None) -> None:
    """Not the first digit that stands anywhere."""
    assert last_rating(said) == rating


@pytest.mark.parametrize("likelihood", [False, True])
def test_genrm_never_wants_more_calls_than_it_said(likelihood: bool) -> None:
    """Whatever number of samples came and of classes they fall into: `total` bounds both together."""
    for total in (2, 3, 10, 64, 200, 4096):
        for n in (1, 2, 8, 64):
            method = Genrm(GenrmOptions(total=total, classes=3, likelihood=likelihood))
            most = method.max_calls(n)
            for came in range(2, n + 1):
                for classes in range(2, min(3, came) + 1):
                    calls = classes * method._verifications(came, classes) * (2 if likelihood else 1)
                    assert calls <= most, (total, n, came, classes)


def test_a_total_is_split_by_the_exponents_of_the_paper() -> None:
    """64 completions, 3 classes: 64^.67 = 16.2 and 3 x 64^.38 = 14.6, 64 x 16.2 / 30.8 = 34 samples, 10 each."""
    method = Genrm(GenrmOptions(total=64))
    assert method.samples_wanted() == 34
    assert method._verifications(34, 3) == 10
    assert Genrm(GenrmOptions()).samples_wanted() is None
