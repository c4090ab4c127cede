"""Reading what a model says when it is asked about samples: from its end, and never more than is there."""

import math
import re
from collections.abc import Sequence

from service.answer_types.jsontext import Json, Numeral, values
from service.answer_types.reading import strip_thinking
from workers.wire.messages import FinishReason, Sample

_NUMBER = re.compile(r"\D{0,12}(\d{1,6})")


def unusable(reply: Sample, *, whole: bool = True) -> str | None:
    """Why a reply cannot be used (a closed set); None if it can. `whole`: one that was cut off cannot."""
    if reply.failure is not None:
        return f"call_failed:{reply.failure.kind.value}"
    if whole and reply.finish_reason is not FinishReason.STOP:
        return "reply_truncated"
    return None if said(reply) else "reply_empty"


def said(reply: Sample) -> str:
    """What the reply says after its thinking; empty if the thinking never ended."""
    visible, unclosed = strip_thinking(reply.text)
    return "" if unclosed else visible.strip()


def last_number(text: str, phrase: str) -> int | None:
    """The whole number that follows the last occurrence of `phrase`, in whatever case; None if there is none."""
    _, found, after = text.lower().rpartition(phrase.lower())
    number = _NUMBER.match(after) if found else None
    return int(number[1]) if number else None


def last_word(text: str, words: tuple[str, ...], phrase: str) -> str | None:
    """Which of `words` is the first to stand after the last occurrence of `phrase`; None if none does nearby."""
    _, found, after = text.lower().rpartition(phrase.lower())
    near = after[:40] if found else ""
    places = {word: place.start() for word in words if (place := re.search(rf"\b{re.escape(word.lower())}\b", near))}
    return min(places, key=lambda word: places[word], default=None)


def last_numbers(text: str, field: str) -> list[float] | None:
    """The numbers of the list `field` in the last JSON object of the text that has such a field; None if there is none.

    None also if anything in the list is no number, or too large for one.
    """
    for found in values(text):
        if isinstance(found.value, dict) and field in found.value:
            listed = found.value[field]
            return _numbers(listed) if isinstance(listed, list) else None
    return None


def _numbers(listed: Sequence[Json]) -> list[float] | None:
    read = [float(each.text) for each in listed if isinstance(each, Numeral)]
    return read if len(read) == len(listed) and all(map(math.isfinite, read)) else None
