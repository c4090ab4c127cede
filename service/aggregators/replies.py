"""Reading what a model says when it is asked about samples: from its end, and never more than is there."""

import math
import re
from collections.abc import Mapping, Sequence

from service.answer_types.jsontext import Json, Numeral, values
from service.answer_types.reading import strip_thinking
from workers.wire.messages import FinishReason, Sample

_OPEN, _CLOSE = r"[\s:=*_#`'\"(\[]{0,16}", r"[\s*_`'\")\].!,;]{0,16}"
_NUMBER = re.compile(rf"{_OPEN}(?:(?:solution|number|no\.)\s{{0,3}})?{_OPEN}([0-9]{{1,6}})(?![0-9]|[.,/][0-9])([^\n]*)")
_RATING = re.compile(rf"{_OPEN}([0-9])(?:\s{{0,3}}(?:/|out of)\s{{0,3}}9)?{_CLOSE}", re.IGNORECASE)


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
    """The one whole number that follows the last occurrence of `phrase` on its line, in whatever case; else None.

    A line with a second number ("2 or 3", "3? No: 2"), a sign or a fraction says no one number.
    """
    _, found, after = text.lower().rpartition(phrase.lower())
    number = _NUMBER.match(after) if found else None
    return int(number[1]) if number and not any(map(str.isdigit, number[2])) else None


def last_word(text: str, meanings: Mapping[str, bool], phrase: str) -> bool | None:
    """What the words that follow the last occurrence of `phrase` mean; None if they are none of `meanings`.

    Also None where the line goes on to something that means the opposite ("Yes or No").
    """
    _, found, after = text.lower().rpartition(phrase.lower())
    line = re.sub(r"[\s*_`'\":]+", " ", after.lstrip(" \t\r\n:*_`'\"").split("\n", 1)[0]) if found else ""
    for words in sorted(meanings, key=len, reverse=True):
        if head := re.match(rf"[\s(\[]*{re.escape(words.lower())}\b", line):
            rest = line[head.end() :]
            other = any(
                re.search(rf"\b{re.escape(w.lower())}\b", rest) for w in meanings if meanings[w] != meanings[words]
            )
            return None if other else meanings[words]
    return None


def last_rating(text: str) -> int | None:
    """The digit from 0 to 9 that the last line holds, alone or after a colon ("Rating: 7", "7/9"); else None."""
    line = text.strip().rpartition("\n")[2]
    rating = _RATING.fullmatch(line.rpartition(":")[2] if ":" in line else line)
    return int(rating[1]) if rating else None


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
