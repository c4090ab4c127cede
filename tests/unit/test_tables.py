"""Completions as models write them, and what each answers: one file a type in tests/tables/, a line a case.

A line is one of these, where ⏎ is a line break (␍⏎ that of Windows), ‖ parts texts and ∅ is no answer:
`? question ‖ choice ‖ choice` and `! finish reason` hold for the lines below; `answer @evidence | completion`;
`= a ‖ b ‖ c` are one answer, `≠ a ‖ b` two; in auto.txt also `type classes | completion ‖ completion`.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from itertools import combinations
from pathlib import Path

import pytest
import pytest_asyncio

from service.answer_types import ANSWER_TYPES
from service.answer_types.auto import Auto
from service.candidates import AnswerClass, Task
from service.classing import judged, make_candidate, make_classes
from service.equality.pool import Pool
from workers.wire.messages import Sample

pytestmark = pytest.mark.asyncio(loop_scope="module")

TABLES = Path(__file__).parents[1] / "tables"
NAMES = sorted(path.stem for path in TABLES.glob("*.txt"))
_BREAKS = str.maketrans("⏎␍", "\n\r")
Line = tuple[str, str, Task, str]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def pool() -> AsyncIterator[Pool]:
    """Two processes that compare."""
    pool = Pool(2, 2_000, 512)
    yield pool
    await pool.aclose()


def lines(name: str) -> Iterator[Line]:
    """The mark of each case, what stands behind it, the task and how the completion ended."""
    task, finish = Task(""), "stop"
    for line in (TABLES / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("?"):
            question, *choices = line[1:].strip().translate(_BREAKS).split(" ‖ ")
            task = Task(question, tuple(choices))
        elif line.startswith("! "):
            finish = line[2:]
        elif line.startswith(("= ", "≠ ")):
            yield line[0], line[2:].translate(_BREAKS), task, finish
        else:
            mark, _, text = line.partition(" | ")
            yield mark, text.translate(_BREAKS), task, finish


@pytest.mark.parametrize("name", NAMES)
async def test_a_completion_answers_what_the_table_says(name: str, sample_of: Callable[..., Sample]) -> None:
    """The answer in its canonical form, and where the table names it the evidence."""
    wrong = []
    for mark, text, task, finish in lines(name):
        if mark in "=≠" or _decided(name, mark):
            continue
        found = make_candidate(sample_of(0, text, finish), ANSWER_TYPES[name](), task).extraction
        answer, _, evidence = mark.partition(" @")
        said = found.answer if found else "∅"
        if said.replace("\n", "⏎") != answer or (evidence and found and found.evidence != evidence):
            wrong.append((text, answer, found and (found.answer, found.evidence)))
    assert wrong == []


@pytest.mark.parametrize("name", [name for name in NAMES if name != "auto"])
async def test_answers_are_one_or_two_as_the_table_says(
    name: str, pool: Pool, sample_of: Callable[..., Sample]
) -> None:
    """Each equal one with the first of its line, each unequal one with all others."""
    wrong = []
    for mark, text, task, _ in lines(name):
        if mark not in "=≠":
            continue
        first, *rest = texts = text.split(" ‖ ")
        for pair in [(first, other) for other in rest] if mark == "=" else combinations(texts, 2):
            kind = ANSWER_TYPES[name]()
            candidates = [make_candidate(sample_of(place, each), kind, task) for place, each in enumerate(pair)]
            classes = make_classes(candidates, kind, await judged(candidates, kind, pool))
            answered = all(candidate.extraction for candidate in candidates)
            if (len(classes) == 1) != (mark == "=") or not answered:
                wrong.append((mark, pair, [each.answer for each in classes]))
    assert wrong == []


async def test_auto_decides_as_the_table_says(sample_of: Callable[..., Sample]) -> None:
    """The type, and how many answers there are by it; the same for the completions the other way about."""
    wrong = []
    for mark, text, task, _ in lines("auto"):
        if not _decided("auto", mark):
            continue
        for texts in (text.split(" ‖ "), text.split(" ‖ ")[::-1]):
            name, classes = _classed(texts, task, sample_of)
            if mark != f"{name} {len(classes)}":
                wrong.append((mark, texts, name, [each.answer for each in classes]))
    assert wrong == []


def _decided(name: str, mark: str) -> bool:
    """True for the mark of a decision of auto: a type, and a number of classes."""
    return name == "auto" and mark.partition(" ")[0] in ANSWER_TYPES and mark[-1].isdigit()


def _classed(texts: list[str], task: Task, sample_of: Callable[..., Sample]) -> tuple[str, tuple[AnswerClass, ...]]:
    kind = Auto().resolve(task, texts)[0]
    return kind.name, make_classes([make_candidate(sample_of(i, t), kind, task) for i, t in enumerate(texts)], kind)
