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
DAY = "It is on May 1, 2021."
CALL = '{"name": "weather", "arguments": {"city": "%s"}}'
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
        (Task("What is the date in MM/DD/YYYY?"), ["A: 05/01/2021", "so it is 05/30/2021."], "date"),
        (Task("When was it signed?"), ["It was signed on May 1, 2021.", "The answer is 2021-05-01."], "date"),
        (Task("Who signed it?"), ["It was signed on May 1, 2021.", "The answer is 2021-05-01."], "text"),
        (Task("When was it signed?"), ["The answer is May 2021.", "The answer is in May."], "text"),
        (Task("When was it?"), ["The answer is May 1, 2021.", "Between May 1, 2021 and May 3, 2021."], "text"),
        (
            Task("List all primes below 6."),
            ["[2, 3, 5]", "```json\n[2, 5, 3]\n```", "They are:\n- 2\n- 3\n- 5"],
            "list",
        ),
        (Task("List all primes below 6."), ["The answer is 2, 3 and 5.", "\\boxed{2, 3, 5}"], "text"),
        (Task("What are the steps?"), ["[2, 3, 5]", "1. Add 1 + 2 = 3\n2. Add 2 + 3 = 5"], "math"),
        (Task("Give the user as JSON."), ['{"name": "Ann"}', 'Here:\n```json\n{"name": "Bo"}\n```'], "json"),
        (Task("Who? Answer in JSON."), ['{"why": "?", "answer": "Ann"}', '{"answer": "Bo"}'], "text"),
        (Task("How many? Answer in JSON."), ['{"why": "?", "answer": 4}', '{"answer": "5"}'], "number"),
        (Task("Who is it?"), ['{"name": "Ann"}', '{"name": "Bo"}'], "json"),
        (Task("Who is it?"), ['{"name": "Ann", "why": "?"}', "Ann", "Bo"], "text"),
        (Task("How many?"), ['{"reasoning": "3 and 4", "total": 7}'] * 2, "number"),
        (Task("What are the two numbers?"), ["7 and 8", "$7$ and $8$", "7, 8"], "list"),
        (Task("Which two?"), ["7 and 8", "$7$ and $8$", "7, 8"], "math"),
        (Task("Write a function."), ["```python\ndef f(a):\n    return a\n```", "def f(b):\n  return b"], "code"),
        (Task('def f(a):\n    "Doubles."'), ["    return 2 * a\n", "    b = a + a\n    return b\n"], "code"),
        (Task("What does it print?"), ["```python\nprint(4)\n```\nThe answer is 4.", "It is 4."], "number"),
        (Task("Write a function."), ["I cannot do that.", "The answer is no."], "text"),
        (
            Task("Weather in Rome?"),
            [f"<tool_call>{CALL % 'Rome'}</tool_call>", CALL % "Rome", f"```json\n{CALL % 'Roma'}\n```"],
            "tool_call",
        ),
        (Task("Weather in Rome?"), [f"I would call {CALL % 'Rome'}", "weather(city='Rome')"], "math"),
        (Task("Click on OK."), ['{"point_2d": [10, 20]}', "<box>(0,0),(9,9)</box>"], "boxes"),
        (Task("Which point is it?"), ["The answer is (10, 20).", "\\boxed{(10, 20)}"], "math"),
        (Task("How many apples are left?"), ["First 3.\nSo she has 42 apples left."], "number"),
        (Task("How many apples?"), ["no idea"] * 5 + ["The answer is 42."] * 3, "number"),
        (Task("?"), ["I don't know."] * 5 + ["\\boxed{x+1}"], "math"),
        (Task("?"), ["It is 1/2", "It's 0.5.", "We get \\frac{1}{2}", "so $1/2$"] + ["I think 3"] * 3, "number"),
        (Task("Explain."), ["It is a force. It has value 9.8.", "Two bodies pull. There are 2 bodies."], "text"),
        (Task("Find all roots."), ["\\boxed{\\{1,2\\}}", "\\boxed{1,2}"], "math"),
        (Task("Pick one:\na) cat\nb) dog"), ["b", "b) dog", "dog"], "choice"),
        (Task("Find\na) x\nb) y"), ["x = 1, y = 2"], "number"),
        (Task("Where should I click?"), ["(10, 20)", "[10, 20]"], "boxes"),
        (Task("Extract."), ['{"name": "Ann", "age": 3}', '{"age": 3, "name": "Ann"}'], "json"),
        (Task("How many?"), ["<answer>3</answer>", "<answer>\n4\n</answer>"], "number"),
        (Task("?"), ["<answer>\nParis\n</answer>"] * 2, "text"),
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
        (Task("When is it?"), [DAY] * 5 + TEXTS[:2]),
        (Task("When is it?"), [DAY] * 2 + TEXTS * 2),
        (Task("When is it?"), [DAY] * 2 + NUMBERS * 2),
        (Task("When is it, true or false?"), [DAY] * 6 + NUMBERS[:1]),
        (Task("Weather?"), [CALL] * 3 + TEXTS[:1]),
        (Task("Weather?"), [CALL] * 3 + TEXTS * 2),
    ],
)
def test_settled_for_bounds_what_further_completions_can_do(task: Task, texts: list[str]) -> None:
    """That many further completions of any one shape leave the decision as it is."""
    decision = decide(task, texts)
    assert decision.settled_for > 0
    for more in (NUMBERS[0], FORMULAS[0], TEXTS[0], "ANSWER: true", DAY, CALL):
        assert decide(task, texts + [more] * decision.settled_for).name == decision.name


def test_what_gives_no_answer_decides_nothing_and_does_not_vote(sample_of: Callable[..., Sample]) -> None:
    """Probe E4 at the default type: five that do not know lose to three votes for 42, and the type is for those."""
    texts = ["no idea"] * 3 + ["I'm not sure.", "I can't help with that."] + ["The answer is 42."] * 3
    samples = {i: sample_of(i, text) for i, text in enumerate(texts)}
    reading = at_once(Reader(Task("?"), Auto(), NoStop(Options()), 8).read(samples))
    assert (reading.answer_type.name, reading.voters) == ("number", 3)
    assert [(found.answer, found.members) for found in reading.classes] == [("42", (5, 6, 7))]


def test_the_reason_is_a_short_sentence() -> None:
    """The reply can print why."""
    assert decide(Task("?"), NUMBERS).why == "4 of 4 completions answer with a number"
    found = decide(Task("When?"), [DAY] * 3 + NUMBERS[:1])
    assert (found.name, found.why) == ("text", "3 of 4 completions answer in words")
    found = decide(Task("When was it?"), [DAY] * 3 + NUMBERS[:1])
    assert (found.name, found.settled_for) == ("date", 1)
    assert found.why == "3 of 4 completions answer with a day as the question asks"


def test_more_than_half_must_be_evident() -> None:
    """Half is not enough, and one more such completion then tips it."""
    half = decide(Task("When was it?"), [DAY, DAY, *TEXTS[:2]])
    assert (half.name, half.settled_for) == ("text", 0)
    assert decide(Task("When was it?"), [DAY, DAY, DAY, *TEXTS[:2]]).name == "date"


def test_alternatives_are_the_types_still_in_reach() -> None:
    """With two of five a day, two more completions tip the vote of seven; one leaves it at three of six."""

    def names(task: Task, texts: list[str], to_come: int) -> set[str]:
        return {kind.name for kind in Auto().alternatives(task, texts, to_come)}

    plain = {"number", "math", "text"}
    asked, texts = Task("When was it?"), [DAY, DAY, *TEXTS[:3]]
    assert [names(asked, texts, to_come) for to_come in (0, 1, 2)] == [plain, plain, plain | {"date"}]
    assert names(Task("Who?"), texts, 5) == plain
    assert names(Task("Who?"), texts, 6) == plain | {"tool_call", "json"}
    assert names(Task("Is it true or false?"), [], 0) == plain | {"choice"}


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
