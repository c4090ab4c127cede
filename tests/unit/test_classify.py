"""`conclave classify`: what is found in completions and which of them are equal, one JSON line at a time."""

import json

import pytest
from typer.testing import CliRunner

from service.cli import app
from service.errors import BadRequest
from service.evaluation.classify import classify_line
from tests.at_once import at_once


def test_answers_classes_and_evidence_are_by_index() -> None:
    line = json.dumps({"completions": ["The answer is 0.5.", "no idea", "So \\boxed{1/2}", "", "It is 7"]})
    found = at_once(classify_line(line, "number"))
    assert found["answer_type"] == "number"
    assert found["answers"] == ["0.5", None, "0.5", None, "7"]
    assert found["classes"] == [[0, 2], [4]]
    assert found["evidence"] == ["phrase", None, "boxed", None, "last_number"]
    assert found["excluded"] == [None, "no_answer", None, "empty", None]


def test_choices_and_question_decide_the_type() -> None:
    line = json.dumps(
        {"completions": ["(B)", "Lyon", "The answer is A."], "choices": ["Paris", "Lyon"], "question": "?"}
    )
    found = at_once(classify_line(line, "auto"))
    assert found["answer_type"] == "choice"
    assert found["answers"] == ["Lyon", "Lyon", "Paris"]
    assert found["classes"] == [[0, 1], [2]]


@pytest.mark.parametrize("line", ["[1]", "{}", '{"completions": "4"}', "not JSON"])
def test_a_line_that_is_no_such_object_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"completions|JSON|Expecting"):
        at_once(classify_line(line, "number"))


def test_an_unknown_answer_type_names_the_known_ones() -> None:
    with pytest.raises(BadRequest, match="number"):
        at_once(classify_line('{"completions": []}', "numbr"))


def test_answers_that_a_pool_would_compare_are_refused_by_the_field() -> None:
    """There is no pool here; nothing is compared in another way instead. Other options are taken."""
    semantic = '{"name": "text", "equivalence": "semantic", "model": "nli", "by": "entailment"}'
    with pytest.raises(BadRequest, match=r"answer_type.model: .* needs the workers of 'nli'") as caught:
        at_once(classify_line('{"completions": []}', semantic))
    assert caught.value.field == "answer_type.model"
    found = at_once(classify_line('{"completions": ["a, b", "b, a"]}', '{"name": "list", "ordered": true}'))
    assert found["classes"] == [[0], [1]]


def test_the_command_reads_lines_and_names_the_one_it_cannot_read() -> None:
    lines = '{"completions": ["4", "four", "4.0"]}\n\n{"completions": 3}\n'
    done = CliRunner().invoke(app, ["classify", "--answer-type", "number"], input=lines)
    assert done.exit_code == 1
    assert json.loads(done.stdout.splitlines()[0])["classes"] == [[0, 1, 2]]
    assert "line 3" in done.stderr
