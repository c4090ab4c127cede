"""One cell of an evaluation, the request that it means for a question, and what comes of it."""

import json
from dataclasses import asdict, dataclass

from service.answer_types import ANSWER_TYPES
from service.contract import Choice, Named
from service.evaluation.datasets import Record
from service.plan import build
from service.stopping import STOPPING_RULES
from service.stopping.base import StoppingRule

AS_RECORDED = "as-recorded"
"""In place of an answer type: the one that each record states."""


@dataclass(frozen=True, slots=True)
class Part:
    """One member of a mixed ensemble: each of its `n` samples is of the model that a recording calls `model`."""

    model: str
    weight: float = 1.0
    n: int = 1


@dataclass(frozen=True, slots=True)
class Cell:
    """How every question of a data set is answered once. `aggregator`, `stop`, `answer_type`: see `named`; the last may
    be AS_RECORDED. With `members` these are asked, and `n` says nothing."""

    aggregator: str
    n: int
    stop: str
    answer_type: str
    members: tuple[Part, ...] = ()


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
    """The answer type, for `named`; a recorded one that there is not here becomes `auto`."""
    if answer_type != AS_RECORDED:
        return answer_type
    return record.answer_type if record.answer_type and record.answer_type in ANSWER_TYPES else "auto"


def named(written: str) -> str | dict[str, object]:
    """A plug-in as a request names it, from NAME or NAME:OPTION=VALUE:OPTION=VALUE.

    A value is JSON, else a text; A+B is a list of the two, and A+ of one. A JSON object of a name and options is taken
    as it is. Raises ValueError where it is none.
    """
    if written.startswith("{"):
        return Choice.model_validate_json(written).model_dump()
    name, *options = written.split(":")
    if not options:
        return name
    return {"name": name, **{key: _value(value) for key, _, value in (option.partition("=") for option in options)}}


def choice(written: str) -> Named:
    """The same as the contract has it."""
    found = named(written)
    return found if isinstance(found, str) else Choice.model_validate(found)


def rule_of(cell: Cell) -> StoppingRule:
    """The stopping rule of a cell, made with its options."""
    return build(STOPPING_RULES, choice(cell.stop), "stop")


def _value(written: str) -> object:
    try:
        return json.loads(written)
    except ValueError:
        return [part for part in written.split("+") if part] if "+" in written else written


def body_of(record: Record, cell: Cell, model: str) -> dict[str, object]:
    """The body of POST /v1/answers; n is at most the number of recorded samples, or what the members draw."""
    asked = {"model": model, "n": min(cell.n, len(record.samples))}
    return {
        **({"members": [asdict(part) for part in cell.members]} if cell.members else asked),
        "question": record.question,
        "question_id": record.id if len(record.id) <= 200 else None,
        "aggregator": named(cell.aggregator),
        "stop": named(cell.stop),
        # The samples were recorded before: each from the question as it stands.
        "sampler": "iid",
        "answer_type": named(type_for(record, cell.answer_type)),
        "choices": record.choices if record.choices and len(record.choices) > 1 else None,
        # Methods that draw at random (the order in which samples are shown) do so from this seed.
        "sampling": {"seed": 0},
    }


def unanswerable(record: Record) -> Outcome:
    """What comes of a question without samples."""
    return Outcome(record.id, None, None, (), 0, 0, "failed")
