"""Where a completion says its answer."""

import pytest

from service.answer_types import reading


@pytest.mark.parametrize(
    ("text", "visible", "unclosed"),
    [
        ("<think>5?</think>The answer is 4", "The answer is 4", False),
        ("<thinking>5?</thinking> 4", " 4", False),
        ("a<think>b<think>c</think>d</think>e", "ae", False),
        ("the prompt opened it: 5</think>4", "4", False),
        ("so far <think>5 or 6", "so far ", True),
        ("<think>a</think>x<THINK>b", "x", True),
        ("no tags", "no tags", False),
        ("[THINK]5?[/THINK]4", "4", False),
        ("[THINK]so 5", "", True),
        ("<thought>5</thought>4", "4", False),
        ("<reasoning>a <think> tag</reasoning>4", "4", False),
        ("<|channel|>analysis<|message|>5<|end|><|start|>assistant<|channel|>final<|message|>4<|return|>", "4", False),
        ("<|channel|>analysis<|message|>so 5", "", True),
        ("analysisWe add.assistantfinal4", "4", False),
        ("analysisWe add", "", True),
        ("analysis of the case", "analysis of the case", False),
    ],
)
def test_thinking_is_stripped_and_an_unclosed_block_is_told(text: str, visible: str, unclosed: bool) -> None:
    """Whatever the nesting, only what stands outside the blocks is kept."""
    assert reading.strip_thinking(text) == (visible, unclosed)


@pytest.mark.parametrize(
    ("text", "held"),
    [
        (r"so \boxed{42}", "42"),
        (r"\boxed{1} then \boxed{\frac{1}{2}}.", r"\frac{1}{2}"),
        (r"\boxed{5} and then \boxed{6", "5"),
        (r"\boxed{\boxed{7}}", "7"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"\fbox{3}", "3"),
        (r"fill in \boxed{4} for \boxed{\phantom{2}}", "4"),
        (r'{"reasoning": "so \\boxed{\\frac{1}{2}}"}', r"\frac{1}{2}"),
        (r"\boxed{}", None),
        (r"\boxed", None),
    ],
)
def test_the_last_closed_box_counts_with_its_braces_matched(text: str, held: str | None) -> None:
    """Unclosed and empty boxes are passed over."""
    assert reading.boxed(text) == held


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("The answer is 42.", ["42."]),
        ("The answer is 1. No, the answer is 2", ["2", "1. No, the answer is 2"]),
        ("**Final Answer:** 42", ["42"]),
        ("ANSWER:\tFalse", ["False"]),
        ("Explain: it is.\nA: 05/01/2021", ["05/01/2021"]),
        ("Final Answer:\n\n$$\n42\n$$", ["42"]),
        ("So the answer to the question is: Paris", ["Paris"]),
        ("The correct answer would be 7", ["7"]),
        ("answer = 3", ["3"]),
        ("Answer:", []),
        ("no cue", []),
    ],
)
def test_phrases_give_what_follows_them_last_first(text: str, lines: list[str]) -> None:
    """The usual cues are known in any case and dress; an empty one gives the next line or nothing."""
    assert list(reading.phrases(text)) == lines


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ('{"answer": "42"}', ["42"]),
        ('{"reasoning": "...", "answer": 42}', ["42"]),
        ("{'final_answer': 'B'}", ["B"]),
        (r'{"answer": "\frac{1}{2}"}', [r"\frac{1}{2}"]),
        (r'{"answer": "\\frac{1}{2}"}', [r"\frac{1}{2}"]),
        (r'{"answer": "say \"hi\" caf\u00e9"}', ['say "hi" caf\u00e9']),
        ('{"answer": [1, 2]}', ["[1, 2]"]),
        ('{"answer": 4', []),
        ('{"answer": "4', []),
    ],
)
def test_json_answers_are_read_even_where_latex_breaks_the_json(text: str, values: list[str]) -> None:
    """Backslashes are kept for LaTeX; a value that is cut off is none."""
    assert list(reading.json_answers(text)) == values


def test_code_fences_are_no_part_of_the_answer() -> None:
    """The lines that open and close a fence are dropped."""
    assert reading.last_line(reading.window("```json\n42\n```")) == "42"


def test_an_invented_next_question_is_not_read() -> None:
    """What follows a first answer and a line "Question:" belongs to another question."""
    assert (
        reading.window("Q: mine?\nThe answer is 4.\nQuestion: next?\nThe answer is 9.")
        == "Q: mine?\nThe answer is 4.\n"
    )


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ("**42**", "42"),
        ("$42$", "42"),
        ("$$x$$", "x"),
        (r"\(x\)", "x"),
        (r"\text{Paris}.", "Paris"),
        ('"Paris."', "Paris"),
        ("$5", "$5"),
        ("$1$ and $2$", "$1$ and $2$"),
        (r"\text{a} b \text{c}", r"\text{a} b \text{c}"),
    ],
)
def test_only_wrappers_around_the_whole_are_taken_off(text: str, bare: str) -> None:
    """Markdown, quotes, dollars, text commands and a full stop go; marks inside stay."""
    assert reading.unwrap(text) == bare
