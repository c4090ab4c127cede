"""FOBAR: which numbers of a question are hidden, what is shown with it, and how the hidden one is read."""

import asyncio
from fractions import Fraction
from itertools import pairwise

import pytest

from service.aggregators.fobar import Fobar, FobarOptions, _found, hideable
from service.answer_types.choice import Choice, ChoiceOptions
from service.candidates import Task
from tests.scripted import Told
from workers.wire.messages import Sample


@pytest.mark.parametrize(
    ("question", "numbers"),
    [
        ("A box holds 12 eggs. How many are in six boxes, less thirty-one?", [12, 6, 31]),
        ("He has one thousand two hundred coins.", [1200]),
        ("Which one is it? One of them has two.", [2]),
        ("It costs 1,200.50 and 3x more.", [Fraction(2401, 2)]),
        ("What is 7 times 8?\n(A) 54\n(B) 56", [7, 8]),
        ("Why?", []),
    ],
)
def test_numbers_in_figures_and_in_words_can_be_hidden(question: str, numbers: list) -> None:
    """Not the pronoun "one", and none of a list of options."""
    found = hideable(question)
    assert [hidden.value for hidden in found] == numbers
    assert all(left.end <= right.start for left, right in pairwise(found))


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("So it goes. The value of x is 12.", 12),
        ("The value of x is **twelve**.", 12),
        ("The value of x is: thirty-one eggs", 31),
        ("The value of x is 5. No: the value of x is -3.5", Fraction(-7, 2)),
        ("The value of x is 12 or 13.", None),
        ("The value of x is six or seven.", None),
        ("The value of x is 12 or so.", 12),
        ("The value of x is unknown to me, but maybe six.", None),
        ("x = 12", None),
        ("", None),
    ],
)
def test_the_value_is_read_in_figures_and_in_words(said: str, value: object) -> None:
    """The last one named; two are none."""
    assert _found(Sample(index=0, text=said)) == value


def asked(question: str, choices: tuple[str, ...], texts: list[str], panel_of) -> str:
    """The first backward question."""
    told = Told(("The value of x is 7.",))
    task = Task(question, choices)
    given = panel_of(texts, Choice(ChoiceOptions()), task=task)
    verdict = asyncio.run(Fobar(FobarOptions(masks=1)).aggregate(given, told))
    assert verdict.fallback_from is None
    return told.asked[0][-1].content


def test_the_options_of_a_choice_question_are_shown_with_it(panel_of) -> None:
    """Once: a question that lists them itself is left as it is."""
    texts = ["The answer is (A).", "The answer is (B).", "The answer is (B)."]
    shown = asked("What is 7 times eight?", ("fifty-four", "fifty-six"), texts, panel_of)
    assert "\n\n(A) fifty-four\n(B) fifty-six\n" in shown
    assert shown.count("fifty-six") >= 1
    listed = "What is 7 times 8?\n(A) 54\n(B) 56"
    shown = asked(listed, ("(A) 54", "(B) 56"), texts, panel_of)
    assert shown.count("(A) 54") == 1
