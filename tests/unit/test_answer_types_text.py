"""The answer types `text` and `math`."""

import pytest
from pydantic import ValidationError

from service.answer_types.mathematics import Math
from service.answer_types.text import Text, TextOptions
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


@pytest.mark.parametrize(
    ("question", "left", "right", "same"),
    [
        ("MM/DD/YYYY?", "8/4/1997", "08/04/1997", True),
        ("MM/DD/YYYY?", "8/4/1997", "August 4, 1997", True),
        ("DD/MM/YYYY?", "8/4/1997", "August 4, 1997", False),
        ("DD/MM/YYYY?", "8/4/1997", "8 April 1997", True),
        ("When?", "8/4/1997", "08/04/1997", True),
        ("When?", "8/4/1997", "August 4, 1997", False),
        ("When?", "8/24/1997", "the 24th of August 1997", True),
        ("When?", "24.8.1997", "1997-08-24", True),
        ("When?", "4.8.1997", "4 Aug. 1997", True),
        ("When?", "Sunday, August 24th, 1997", "24 august, 1997", True),
        ("When?", "August 24, 1997", "August 25, 1997", False),
        ("When?", "2/30/1997", "2/30/1997", True),
        ("When?", "August 24", "August 24, 1997", False),
        ("How far?", "5 km", "five kilometers", True),
        ("How far?", "5 km", "5 m", False),
        ("How far?", "5 km", "5", False),
        ("How far?", "5 km from Paris", "5 km", False),
        ("How much?", "$1,200", "1200 dollars", True),
        ("How much?", "50%", "50 percent", True),
        ("Which?", "1.10", "1.1", False),
        ("Who?", "J. K. Rowling", "J.K. Rowling", True),
        ("Who?", "Kurt G\u00f6del", "Kurt Godel", True),
        ("Who?", "Dr. Marie Curie", "Marie Curie", True),
        ("Who?", "Marie Curie", "Pierre Curie", False),
        ("Who?", "Dr. No", "No", False),
        ("Where?", "the U.S.", "U.S", True),
        ("Where?", "\u0439\u043e\u0434", "\u0438\u043e\u0434", False),
        ("What?", "a cat", "cat", True),
        ("What?", "cats", "cat", False),
    ],
)
def test_days_quantities_and_names_compare_as_such(question: str, left: str, right: str, same: bool) -> None:
    """However they are written; what could be two days is only itself."""
    a, b = Text().extract(left, Task(question)), Text().extract(right, Task(question))
    assert a is not None
    assert b is not None
    assert Text().same(a, b) is same


def test_equivalence_by_meaning_is_refused_until_there_is_one() -> None:
    """Only the normalised forms can be asked for."""
    assert Text(TextOptions(equivalence="normalised")).options.equivalence == "normalised"
    with pytest.raises(ValidationError):
        TextOptions.model_validate({"equivalence": "semantic"})


@pytest.mark.parametrize("text", ["", "  \n", "...", "**", "word " * 200, "The answer is ~~~\n", '"~~~\n'])
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
