"""The answer type `auto`."""

from collections.abc import Callable

import pytest

from service.answer_types.auto import FOR_GOOD, Auto, decide
from service.candidates import Task
from service.reading import Reader
from service.stopping.base import Options
from service.stopping.none import NoStop
from tests.at_once import at_once
from workers.wire.messages import Sample

NUMBERS = ["The answer is 42.", "so \\boxed{41}", "#### 42", "Final Answer: 42 apples"]
FORMULAS = ["so \\boxed{2\\sqrt{3}}", "\\boxed{x^2+1}", "The answer is $(1, 2)$."]
TEXTS = ["The answer is Paris.", "A: Lyon", "A: 05/01/2021", "Answer: the Seine"]


@pytest.mark.parametrize(
    ("task", "texts", "name"),
    [
        (Task("Which?", ("red", "blue")), NUMBERS, "choice"),
        (Task("Which?\n(A) red\n(B) blue"), NUMBERS, "choice"),
        (Task("Is it True, False or Uncertain?"), ["ANSWER:\tFalse", "so it is true.\nANSWER:\tUncertain"], "choice"),
        (Task("How many ways to fill in a true/false test?"), NUMBERS, "number"),
        (Task("?"), NUMBERS, "number"),
        (Task("?"), NUMBERS + TEXTS, "number"),
        (Task("?"), NUMBERS + FORMULAS, "math"),
        (Task("?"), FORMULAS, "math"),
        (Task("?"), TEXTS, "text"),
        (Task("What is the date?"), ["A: 05/01/2021", "05/01/2021"], "text"),
        (Task("How many apples are left?"), ["First 3.\nSo she has 42 apples left."], "number"),
        (Task("?"), [], "text"),
        (Task("?"), ["", "<think>12"], "text"),
    ],
)
def test_question_and_completions_decide(task: Task, texts: list[str], name: str) -> None:
    """Choices first, then the shape of the answers."""
    decision = decide(task, texts)
    assert decision.name == name
    assert decision == decide(task, texts[::-1])


def test_a_decision_on_choices_is_for_good() -> None:
    """No completion changes what the request itself settles."""
    assert decide(Task("?", ("a", "b")), []).settled_for == FOR_GOOD


@pytest.mark.parametrize(
    ("task", "texts"),
    [
        (Task("?"), NUMBERS * 3 + TEXTS),
        (Task("?"), TEXTS * 3 + NUMBERS),
        (Task("?"), FORMULAS * 3 + TEXTS),
        (Task("Is it true or false?"), ["ANSWER: true"] * 3 + NUMBERS[:1]),
        (Task("Is it true or false?"), ["ANSWER: true"] + NUMBERS * 2),
    ],
)
def test_settled_for_bounds_what_further_completions_can_do(task: Task, texts: list[str]) -> None:
    """That many further completions of any one shape leave the decision as it is."""
    decision = decide(task, texts)
    assert decision.settled_for > 0
    for more in (NUMBERS[0], FORMULAS[0], TEXTS[0], "ANSWER: true"):
        assert decide(task, texts + [more] * decision.settled_for).name == decision.name


def test_the_reason_is_a_short_sentence() -> None:
    """The reply can print why."""
    assert decide(Task("?"), NUMBERS).why == "4 of 4 completions answer with a number"


@pytest.mark.parametrize("finish", ["cut", "content_filter", "cancelled"])
def test_samples_that_never_vote_have_no_say_in_the_type(finish: str, sample_of: Callable[..., Sample]) -> None:
    """Two votes for a number are read as numbers beside four samples that were ended in the middle of a formula."""
    texts = ["The answer is 33.", "So 12 + 21 = 33."]
    samples = {i: sample_of(i, text) for i, text in enumerate(texts)}
    samples |= {i: sample_of(i, "First 12 + 21 =", finish) for i in range(2, 6)}
    reader = Reader(Task("What is 12 + 21?"), Auto(), NoStop(Options()), 6)
    reading = at_once(reader.read(samples))
    assert (reading.answer_type.name, reading.why) == ("number", "2 of 2 completions answer with a number")
    assert [(found.answer, found.members) for found in reading.classes] == [("33", (0, 1))]
    assert at_once(reader.read({0: sample_of(0, None), **{i: samples[i] for i in range(2, 6)}})).settled_for == 0


def test_what_a_completion_of_full_length_says_counts(sample_of: Callable[..., Sample]) -> None:
    """It may hold a complete answer and vote."""
    samples = {0: sample_of(0, "So \\boxed{x^2+1} and then", "length")}
    reading = at_once(Reader(Task("?"), Auto(), NoStop(Options()), 1).read(samples))
    assert (reading.answer_type.name, reading.voters) == ("math", 1)
