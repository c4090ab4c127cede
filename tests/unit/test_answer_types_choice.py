"""The answer type `choice`."""

from dataclasses import replace

import pytest

from service.answer_types.choice import Choice
from service.candidates import Task
from service.reading import Reader
from service.stopping.base import Options
from service.stopping.none import NoStop
from tests.at_once import at_once

LETTERS = Task("Which?", ("A", "B", "C", "D"))
LISTED = Task("Capital of France?\n(A) Lyon\n(B) Paris\n(C) Nice")
CLOSED = Task("Is it so?", ("True", "False", "Uncertain"))
CITIES = Task("Which?", ("Lyon", "Paris", "Saint-Denis"))


@pytest.mark.parametrize(
    "text",
    [
        "B",
        "b",
        "(B)",
        "B.",
        "**B**",
        "**(B)**",
        "answer: b",
        "Answer: B",
        "The answer is (B).",
        "the correct answer is option B",
        "Option B",
        r"\boxed{B}",
        r"\boxed{\text{B}}",
        r"\boxed{\textbf{(B)}}",
        '{"answer": "B"}',
        "The answer is B because the others are wrong.",
        "The answer is not (A) but (B).",
        "(A) is wrong and so is (C).\nB. as shown",
        "Weighing all this, (B) is right",
        "I am torn, but **B** it is",
        "So the correct statement is B.",
        r"\[ \text{The answer is } B \]",
        "The answer is (B, C).",
        "The answer is (B) and (C).",
        "The answer is (B).\n\nNow, let's summarize all the answers:\nThe answer is (A).",
        "<b>\n#### B",
    ],
)
def test_a_letter_is_known_in_every_dress(text: str) -> None:
    """All usual dresses of the letter are one answer."""
    found = Choice().extract(text, LETTERS)
    assert found is not None
    assert found.answer == "B"


@pytest.mark.parametrize(
    "text",
    ["Paris", "The answer is Paris.", "The answer is (B) Paris.", "Clearly it is the city of Paris", "\\boxed{paris}"],
)
@pytest.mark.parametrize(
    ("task", "answer"),
    [(LISTED, "B"), (CITIES, "Paris"), (Task("Which?", ("(A) Lyon", "(B) Paris", "(C) Nice")), "B")],
)
def test_an_options_own_text_counts_as_its_letter_or_itself(text: str, task: Task, answer: str) -> None:
    """Lettered options answer with the letter, plain ones with the request's own text."""
    found = Choice().extract(text, task)
    assert found is not None
    assert found.answer == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("ANSWER:\tFalse", "False"),
        ("so the statement is true.\nANSWER: Uncertain due to missing premises", "Uncertain"),
        ("The answer is (C)", "Uncertain"),
        ("It is uncertain whether it holds", "Uncertain"),
        ("the answer is no banana", None),
    ],
)
def test_a_closed_set_is_read_by_text_and_by_place(text: str, answer: str | None) -> None:
    """A letter names the choice at its place."""
    found = Choice().extract(text, CLOSED)
    assert (found.answer if found else None) == answer


def test_a_closed_set_named_in_the_question_needs_no_choices() -> None:
    """The question's own words are the options."""
    found = Choice().extract("ANSWER:\tuncertain", Task("Is the conclusion True, False or Uncertain?"))
    assert found is not None
    assert found.answer == "Uncertain"


@pytest.mark.parametrize(
    "text", ["", "no idea at all", "The answer is E", "A dog barks.", "I think so", "True or False?"]
)
def test_what_names_no_option_or_several_gives_none(text: str) -> None:
    """Articles are no letters, letters beyond the options are none, two options are no choice."""
    assert Choice().extract(text, LETTERS if "True" not in text else CLOSED) is None


def test_choices_that_are_numbers_compare_by_value() -> None:
    """ "21.0" is the choice "21"."""
    found = Choice().extract("The answer is 21.0", Task("?", ("20", "21")))
    assert found is not None
    assert found.answer == "21"


def test_lists_that_begin_lines_are_the_options() -> None:
    """Letters within a question's formulas do not break its list."""
    task = Task("Which is P(A, B)?\n(A) P(A) * P(B | C)\n(B) P(A | B) * P(B)\n(C) P(C | A)\n(D) none")
    found = Choice().extract("The answer is (D).", task)
    assert found is not None
    assert found.answer == "D"


@pytest.mark.parametrize(
    ("task", "answers"),
    [
        (CITIES, {"(A)": "Saint-Denis", "B": "Lyon", "The answer is (C).": "Paris", "Lyon": "Lyon"}),
        (LISTED, {"(A)": "C", "B": "A", "The answer is (C).": "B", "The answer is Lyon.": "A"}),
        (Task("Which?", ("A", "B", "C")), {"A": "C", "(B)": "A", r"\boxed{C}": "B"}),
        (Task("Which?", ("(A) x1", "(B) x2", "(C) x3")), {"A": "C", "b.": "A", "x2": "B"}),
    ],
)
def test_shuffled_options_are_read_in_the_order_in_which_they_were_shown(task: Task, answers: dict[str, str]) -> None:
    """A letter means the option that stood there, an option's text means itself."""
    choice, shuffled = Choice(), replace(task, shown=(2, 0, 1))
    found = {text: choice.extract(text, shuffled) for text in answers}
    assert {text: one.answer if one else None for text, one in found.items()} == answers
    plain = choice.extract("(A)", task)
    assert plain is not None
    assert plain.answer == (task.choices[0] if task is CITIES and task.choices else "A")


def test_an_order_that_is_none_of_the_options_is_passed_over() -> None:
    """A list of another length says nothing about these options."""
    found = Choice().extract("(A)", replace(CITIES, shown=(1, 0)))
    assert found is not None
    assert found.answer == "Lyon"


def test_letters_are_read_as_each_sample_was_shown_the_options(sample_of) -> None:
    """Sample 1 saw the options in the order c, a, b: its (A) is the caller's third option, sample 0's the first."""
    task = Task("Which?", ("red", "green", "blue"))
    reader = Reader(task, Choice(), NoStop(Options()), 2, shown=lambda index: (2, 0, 1) if index else None)
    reading = at_once(reader.read({i: sample_of(i, "The answer is (A).") for i in range(2)}))
    assert [candidate.extraction.answer for candidate in reading.candidates] == ["red", "blue"]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("The answer is (C).", "C"),
        ("(A)", "A"),
        ("The answer is c.", "D"),
        ("The answer is C", "C"),
        ("The answer is A and B.", "A"),
        ("The answer is (A) and (B).", "A"),
        ("The answer is A or D", "A"),
        ("The answer is a banana", None),
        ("The answer is A banana", None),
    ],
)
def test_a_letter_in_brackets_is_a_letter_and_one_before_another_is_no_article(text: str, answer: str | None) -> None:
    """Also where an option's own text is a letter; of two letters the first counts, in brackets or not."""
    found = Choice().extract(text, Task("Which?\n(A) ab\n(B) abc\n(C) a b\n(D) c"))
    assert (found.answer if found else None) == answer
