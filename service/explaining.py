"""Where samples agree and where not, told by one call to a model after the answer was chosen."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from service.aggregators.base import Ask, AskingOptions, Panel
from service.aggregators.picking import READABLE
from service.aggregators.prompt import ask_about
from service.aggregators.replies import said, unusable
from service.answer_types.jsontext import Json, Numeral, values
from service.candidates import Candidate
from service.disagreement_reply import Contradiction, Disagreement, Stance, UniquePoint
from workers.wire.messages import Sampling

MOST_CALLS = 2
"""One, and one more where the samples do not fit into the model's context."""
MAX_TOKENS = 1_024
MAX_ITEMS = 16
MAX_CHARS = 500
T = TypeVar("T")
FIELDS = ("consensus", "contradictions", "unique_points", "blind_spots")


async def explain_disagreement(panel: Panel, ask: Ask) -> Disagreement:
    """What the panel's readable samples share and what not; marked where there are too few or the reply is unusable."""
    shown = [c for c in panel.candidates if c.excluded in READABLE and c.sample.text.strip()]
    if len(shown) < 2:
        return Disagreement(failed="too_few_samples")
    sampling = Sampling(temperature=0.0, max_tokens=MAX_TOKENS)
    asked = await ask_about(panel, ask, "disagreement", shown, "disagreement", sampling, AskingOptions())
    if reason := unusable(asked.reply):
        return Disagreement(failed=reason)
    for found in values(said(asked.reply)):
        if isinstance(found.value, dict) and any(isinstance(found.value.get(field), list) for field in FIELDS):
            return read(found.value, asked.exhibit.order)
    return Disagreement(failed="reply_off_format")


def read(told: dict[str, Json], order: Sequence[Candidate]) -> Disagreement:
    """The object as the model told it, less all that is malformed or names a response that it was not shown."""

    def index(number: Json) -> int | None:
        """The sample that was shown under a number."""
        place = (
            int(number.text) if isinstance(number, Numeral) and number.text.isdigit() and len(number.text) < 4 else 0
        )
        return order[place - 1].sample.index if 1 <= place <= len(order) else None

    return Disagreement(
        consensus=_each(told.get("consensus"), _text),
        contradictions=_each(told.get("contradictions"), lambda item: _contradiction(item, index)),
        unique_points=_each(told.get("unique_points"), lambda item: _unique(item, index)),
        blind_spots=_each(told.get("blind_spots"), _text),
    )


def _each(listed: Json, one: Callable[[Json], T | None]) -> list[T]:
    found = [one(item) for item in listed[:MAX_ITEMS]] if isinstance(listed, list) else []
    return [item for item in found if item is not None]


def _text(item: Json) -> str | None:
    return item.strip()[:MAX_CHARS] if isinstance(item, str) and item.strip() else None


def _contradiction(item: Json, index: Callable[[Json], int | None]) -> Contradiction | None:
    if not isinstance(item, dict) or (topic := _text(item.get("topic"))) is None:
        return None
    stances = _each(item.get("stances"), lambda each: _stance(each, index))
    return Contradiction(topic=topic, stances=stances) if len(stances) > 1 else None


def _stance(item: Json, index: Callable[[Json], int | None]) -> Stance | None:
    if not isinstance(item, dict) or (claim := _text(item.get("claim"))) is None:
        return None
    samples = sorted(set(_each(item.get("responses"), index)))
    return Stance(claim=claim, samples=samples) if samples else None


def _unique(item: Json, index: Callable[[Json], int | None]) -> UniquePoint | None:
    if not isinstance(item, dict):
        return None
    point, sample = _text(item.get("point")), index(item.get("response"))
    return None if point is None or sample is None else UniquePoint(point=point, sample=sample)
