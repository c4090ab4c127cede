"""Hostile texts: whatever a completion repeats, every answer type reads it in linear and little time."""

import time

import pytest

from service.answer_types import ANSWER_TYPES
from service.candidates import Task
from service.classing import make_candidate
from tests.fragments import FRAGMENTS
from tests.load.fuzz_answer_types import TASKS, fuzz
from workers.wire.messages import Sample

MEGABYTE = 1_000_000
DIGITS = MEGABYTE - 100
REPEATED = sorted(
    {
        *(fragment for fragment in FRAGMENTS if fragment),
        *(
            "9",
            "1,",
            "1 ",
            "1/",
            "1.",
            "\\frac{",
            "\\frac12",
            "answer to ",
            "answers for of ",
            "#### 1\n",
            "A. ",
            "(A) ",
        ),
        *(
            '"answer": "',
            "'answer': '",
            '"answer": [1,',
            "<think></think>",
            "<think>a</think>",
            "a ",
            "twenty ",
            "True, ",
        ),
        *(
            "\\text{",
            "a.",
            "= ",
            "\nQuestion: ",
            "\nNow, ",
            "A:\n",
            "```\n",
            "$5 ",
            "one hundred ",
            "option A ",
            "**B** ",
        ),
        *(
            "\u2009",
            "1'000",
            "e",
            "\\times 10",
            "is is ",
            "\u00e9",
            "1 cm ",
            "{}",
            "()",
            "[(",
            "\\",
            "x^",
            "^^",
            "!",
            "**",
            "10^",
        ),
        *("the answer is A. ", "the answer is therefore ", "not but ", "May 1, 2021 ", "J. K. ", "\u0301", "\u200b"),
    }
)
LONG = {
    "a million digits": "7" * DIGITS,
    "a fraction of a million digits": "1." + "3" * DIGITS,
    "a million digits in a box": "\\boxed{" + "7" * DIGITS + "}",
    "a million digits after a phrase": "The answer is " + "7" * DIGITS,
    "a huge exponent": "The answer is 1e" + "9" * DIGITS,
    "a deep box": "\\boxed{" * 90_000 + "}" * 90_000,
    "a deep list": "[" * 500_000 + "]" * 500_000,
    "a deep object": '{"answer":' * 90_000 + "}" * 90_000,
    "one long word": "a" * MEGABYTE,
    "a long question after it": "The answer is 4.\n" + "Question: why?\n" * 60_000,
}


@pytest.fixture(params=sorted(ANSWER_TYPES))
def name(request: pytest.FixtureRequest) -> str:
    """Each registered type."""
    return str(request.param)


def milliseconds(name: str, text: str, task: Task) -> float:
    """The CPU time of reading one completion, best of a few tries: other programs may hold the machine."""
    answer_type, best = ANSWER_TYPES[name](), float("inf")
    sample = Sample(index=0, text=text)
    for _ in range(5):
        start = time.process_time()
        make_candidate(sample, answer_type, task)
        best = min(best, 1000 * (time.process_time() - start))
        if best < 25:
            break
    return best


def test_a_megabyte_of_any_fragment_is_read_in_50_ms(name: str) -> None:
    """Whatever is repeated; the slow ones are named."""
    texts = {fragment: fragment * (MEGABYTE // len(fragment)) for fragment in REPEATED} | LONG
    slow = {what: spent for what, text in texts.items() if (spent := milliseconds(name, text, TASKS[0])) > 50}
    assert slow == {}


@pytest.mark.parametrize("task", TASKS[1:], ids=lambda task: task.question[:12])
def test_so_it_is_for_other_questions(name: str, task: Task) -> None:
    """Options and dates add readers of their own."""
    fragments = ("A", "(A) ", "Paris ", "True, ", "**B** ", "05/01/2021 ", "is ", "option A ", "\n")
    slow = {f: ms for f in fragments if (ms := milliseconds(name, f * (MEGABYTE // len(f)), task)) > 50}
    assert slow == {}


def test_reading_takes_linear_time(name: str) -> None:
    """Within the part that is read for answers, four times the text takes well under twelve times as long."""
    for fragment in REPEATED:
        short, long = (milliseconds(name, fragment * (size // len(fragment)), TASKS[2]) for size in (20_000, 80_000))
        assert long < 12 * short + 10, fragment


def test_random_texts_raise_nothing(name: str) -> None:
    """A part of what `make fuzz` puts to every type."""
    assert fuzz(name, 2_000, seed=1) > 0
