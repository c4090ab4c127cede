"""One cell of an evaluation, the request that it means for a question, and what comes of it."""

from dataclasses import dataclass

from service.answer_types import ANSWER_TYPES
from service.contract import Choice, Named
from service.evaluation.datasets import Record

AS_RECORDED = "as-recorded"
"""In place of an answer type: the one that each record states."""


@dataclass(frozen=True, slots=True)
class Cell:
    """How every question of a data set is answered once. `answer_type` is for `named`, or AS_RECORDED."""

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


def named(text: str) -> Named:
    """A plug-in as the command line names it: by its name, or as a JSON object of its name and options.

    Raises ValueError where the object is none.
    """
    return Choice.model_validate_json(text) if text.startswith("{") else text


def type_for(record: Record, answer_type: str) -> str:
    """The answer type, for `named`; a recorded one that there is not here becomes `auto`."""
    if answer_type != AS_RECORDED:
        return answer_type
    return record.answer_type if record.answer_type and record.answer_type in ANSWER_TYPES else "auto"


def body_of(record: Record, cell: Cell, model: str) -> dict[str, object]:
    """The body of POST /v1/answers; n is at most the number of recorded samples."""
    answer_type = named(type_for(record, cell.answer_type))
    return {
        "model": model,
        "question": record.question,
        "question_id": record.id if len(record.id) <= 200 else None,
        "n": min(cell.n, len(record.samples)),
        "aggregator": cell.aggregator,
        "stop": cell.stop,
        "answer_type": answer_type.model_dump() if isinstance(answer_type, Choice) else answer_type,
        "choices": record.choices if record.choices and len(record.choices) > 1 else None,
        # Methods that draw at random (the order in which samples are shown) do so from this seed.
        "sampling": {"seed": 0},
    }


def unanswerable(record: Record) -> Outcome:
    """What comes of a question without samples."""
    return Outcome(record.id, None, None, (), 0, 0, "failed")
