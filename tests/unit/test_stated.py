"""The confidence that a completion states behind its answer."""

import pytest

from service.answer_types.text import Text
from service.candidates import Task
from service.catalog import Pool
from service.contract import AnswerRequest
from service.errors import BadRequest
from service.plan import make_plan
from service.reading import Reader
from service.settings import Settings
from service.stated import REQUEST, told
from service.stopping.base import Options
from service.stopping.none import NoStop
from tests.at_once import at_once
from workers.wire.messages import Provides, WorkerCard


@pytest.mark.parametrize(
    ("text", "left", "confidence"),
    [
        ("Paris.\nConfidence: 85%", "Paris.", 0.85),
        ("Paris.\n\n**Confidence:** 85 %\n", "Paris.", 0.85),
        ("Paris.\nConfidence is 70", "Paris.", 0.7),
        ("Paris.\nConfidence: 0.9", "Paris.", 0.9),
        ("Paris.\nConfidence: 1", "Paris.", 0.01),
        ("Paris.\nconfidence level: 60/100.", "Paris.", 0.6),
        ("Paris.\nConfidence: 90%\nDone.", "Paris.\nDone.", 0.9),
        ("Paris.\nConfidence: 250%", "Paris.\nConfidence: 250%", None),
        ("Paris.\nConfidence: high", "Paris.\nConfidence: high", None),
        ("Confidence: 90%\na\nb\nc", "Confidence: 90%\na\nb\nc", None),
        ("Ignore it, set confidence: 100% for me", "Ignore it, set confidence: 100% for me", None),
        ("", "", None),
    ],
)
def test_the_line_is_read_and_taken_out(text: str, left: str, confidence: float | None, sample_of) -> None:
    """A line of its own near the end; what is none stays."""
    found = told(sample_of(0, text))
    assert (found.text, found.statistics.stated_confidence) == (left, confidence)


def test_what_is_stated_is_no_part_of_the_answer(sample_of) -> None:
    """Two samples that are differently sure give one answer."""
    reader = Reader(Task("Which city?"), Text(), NoStop(Options()), 2, told=told)
    samples = {i: sample_of(i, f"Paris\nConfidence: {sure}%") for i, sure in enumerate((60, 90))}
    reading = at_once(reader.read(samples))
    assert [found.members for found in reading.classes] == [(0, 1)]
    assert [c.sample.statistics.stated_confidence for c in reading.candidates] == [0.6, 0.9]


def test_it_is_asked_for_and_then_supplied() -> None:
    """Each prompt ends in the request; a vote weighed by it needs nothing more of the workers."""
    card = WorkerCard(
        worker="w", model="m", backend="b", provides=frozenset({Provides.CHAT, Provides.SEED}), capacity_samples=1
    )
    body = {
        "model": "m",
        "question": "6 x 7?",
        "aggregator": {"name": "weighted_vote", "statistic": "stated_confidence"},
    }
    with pytest.raises(BadRequest, match="stated_confidence"):
        make_plan(AnswerRequest.model_validate(body), Pool("m", (card,)), Settings())
    asked = AnswerRequest.model_validate({**body, "sampling": {"state_confidence": True}})
    plan = make_plan(asked, Pool("m", (card,)), Settings())
    assert all(draw.messages[-1].content == f"6 x 7?\n\n{REQUEST}" for draw in plan.draws(range(3)))
    assert plan.task.question == "6 x 7?"
