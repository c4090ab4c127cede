"""The answer types `text` and `math`."""

import pytest

from service.answer_types.mathematics import Math
from service.answer_types.text import Text
from service.candidates import Task

TASK = Task("Who?")
DATE = Task("What is the date today in MM/DD/YYYY?")


@pytest.mark.parametrize(
    "text",
    [
        "Paris",
        "paris.",
        "**Paris**",
        '"Paris"',
        "The answer is Paris.",
        "Answer: Paris because it is the capital",
        "It is large.\nA: Paris",
        r"\boxed{\text{Paris}}",
        '{"answer": "PARIS"}',
        "\uff30aris",
        "Long ago kings held court by the river Seine, so the capital is Paris.",
    ],
)
def test_spellings_of_one_text_are_one_answer(text: str) -> None:
    """Case, width, markdown, quotes and the full stop make no difference."""
    text_type = Text()
    found, plain = text_type.extract(text, TASK), text_type.extract("Paris", TASK)
    assert found is not None
    assert plain is not None
    assert text_type.same(found, plain)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Explain: Yesterday was April 30, 2021.\nA: 05/01/2021", "05/01/2021"),
        ("If so, then today is Monday and the date is 05/30/2021.", "05/30/2021"),
        ("05/30/2021", "05/30/2021"),
    ],
)
def test_dates_stay_as_written(text: str, answer: str) -> None:
    """A date in figures is a text, not a fraction."""
    found = Text().extract(text, DATE)
    assert found is not None
    assert found.answer == answer


def test_a_date_with_and_without_leading_zeros_is_one() -> None:
    """8/4/1997 is 08/04/1997, and neither is April 8 in words."""
    keys = {e.identity for t in ("8/4/1997", "08/04/1997", "August 4, 1997") if (e := Text().extract(t, DATE))}
    assert len(keys) == 2


@pytest.mark.parametrize("text", ["", "  \n", "...", "**", "word " * 200])
def test_empty_and_endless_texts_give_none(text: str) -> None:
    """A text without a mark of its answer is one itself only where it is short."""
    assert Text().extract(text, TASK) is None


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (r"\boxed{\dfrac{1}{2}}", "0.5"),
        (r"$x = 5$", "5"),
        (r"\boxed{\left( 1, 2 \right)}", "(1,2)"),
        (r"\boxed{2\sqrt3}", r"2\sqrt{3}"),
        (r"The answer is $\frac{\sqrt{2}}{2}$.", r"\dfrac{\sqrt 2}{2}"),
        (r"\boxed{x^{2}}", "x^2"),
        (r"\boxed{10 \text{ cm}}", "10"),
        (r"\boxed{\{1, 2\}}", r"\left\{1,2\right\}"),
        (r'{"answer": "\\frac{a}{b}"}', r"\frac{a}{b}"),
    ],
)
def test_canonical_latex_unifies_spellings(left: str, right: str) -> None:
    """Spacing, sizes, short fractions and roots, units and `x =` make no difference."""
    a, b = Math().extract(left, TASK), Math().extract(right, TASK)
    assert a is not None
    assert b is not None
    assert Math().same(a, b)


@pytest.mark.parametrize(("left", "right"), [("x+1", "x-1"), ("(1,2)", "[1,2]"), ("1/2", "1/3"), (r"\sqrt{2}", "2")])
def test_different_expressions_stay_apart(left: str, right: str) -> None:
    """What normalisation does not prove equal is unequal."""
    a, b = Math().extract(left, TASK), Math().extract(right, TASK)
    assert a is not None
    assert b is not None
    assert not Math().same(a, b)
