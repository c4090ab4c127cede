"""One cell of an evaluation, the request that it means for a question, and what comes of it."""

import json
from dataclasses import dataclass

from service.answer_types import ANSWER_TYPES
from service.evaluation.datasets import Record

AS_RECORDED = "as-recorded"
"""In place of an answer type: the one that each record states."""


@dataclass(frozen=True, slots=True)
class Cell:
    """How every question of a data set is answered once. `aggregator`: see `method`; `answer_type`: or AS_RECORDED."""

    aggregator: str
    n: int
    stop: str
    answer_type: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """One question's verdict. `votes`: every class's answer and votes, most first. `samples`: how many were drawn."""

    id: str
    answer: str | None
    answer_type: str | None
    votes: tuple[tuple[str, int], ...]
    samples: int
    calls: int
    status: str
    right: bool = False


def type_for(record: Record, answer_type: str) -> str:
    """The answer type's name; a recorded one that there is not here becomes `auto`."""
    if answer_type != AS_RECORDED:
        return answer_type
    return record.answer_type if record.answer_type and record.answer_type in ANSWER_TYPES else "auto"


def method(written: str) -> str | dict[str, object]:
    """A plug-in as a request names it, from NAME or NAME:OPTION=VALUE:OPTION=VALUE.

    A value is JSON, else a text; A+B is a list of the two, and A+ of one.
    """
    name, *options = written.split(":")
    if not options:
        return name
    return {"name": name, **{key: _value(value) for key, _, value in (option.partition("=") for option in options)}}


def _value(written: str) -> object:
    try:
        return json.loads(written)
    except ValueError:
        return [part for part in written.split("+") if part] if "+" in written else written


def body_of(record: Record, cell: Cell, model: str) -> dict[str, object]:
    """The body of POST /v1/answers; n is at most the number of recorded samples."""
    return {
        "model": model,
        "question": record.question,
        "question_id": record.id if len(record.id) <= 200 else None,
        "n": min(cell.n, len(record.samples)),
        "aggregator": method(cell.aggregator),
        "stop": cell.stop,
        "answer_type": type_for(record, cell.answer_type),
        "choices": record.choices if record.choices and len(record.choices) > 1 else None,
        # Methods that draw at random (the order in which samples are shown) do so from this seed.
        "sampling": {"seed": 0},
    }


def unanswerable(record: Record) -> Outcome:
    """What comes of a question without samples."""
    return Outcome(record.id, None, None, (), 0, 0, "failed")
