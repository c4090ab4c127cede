"""Answers of which a completion leaves no doubt what type they are, where the question asks for such a one."""

import re
from collections.abc import Callable
from functools import lru_cache

from service.answer_types import reading
from service.answer_types.boxes import Boxes
from service.answer_types.date import Date
from service.answer_types.enumeration import List
from service.answer_types.fences import fenced
from service.answer_types.json_value import JsonValue
from service.answer_types.jsontext import Json, read
from service.answer_types.named import read_day
from service.answer_types.source_code import Code
from service.answer_types.tool_call import ToolCall
from service.answer_types.written import normal_form
from service.candidates import Task

_ASKS = {
    "boxes": re.compile(
        r"\b(?:click|tap|bounding box(?:es)?|bbox|coordinates?|pixels?|screen(?:shot)?|image|locate|where)\b",
        re.IGNORECASE,
    ),
    "list": re.compile(
        r"\b(?:list|name|enumerate|give|return|output|what are)[ ](?:me[ ])?"
        r"(?:all|the|every|each|at least|any|some|a list|[0-9]{1,3}|two|three|four|five|six|seven|eight|nine|ten)\b"
        r"|\b(?:as|in|return|output|give|write|make)[ ](?:an?[ ])?(?:[a-z-]{1,20}[ ]){0,2}(?:list|array|set)\b",
        re.IGNORECASE,
    ),
    "json": re.compile(r"\bJSON\b", re.IGNORECASE),
    "code": re.compile(
        r"\b(?:write|implement|complete|define|create|fix|refactor|translate)\b[^.?!\n]{0,80}"
        r"\b(?:function|program|script|code|class|method|python)\b|^(?:async[ ])?def[ ]\w{1,100}\(",
        re.IGNORECASE | re.MULTILINE,
    ),
    "date": re.compile(
        r"\b(?:what|which|give|state|find|tell|provide|determine)\b[^.?!]{0,60}\bdates?\b|\bYYYY\b"
        r"|\bwhen (?:is|was|were|did|does|do|will|are|has|had)\b|\bon (?:what|which) day\b",
        re.IGNORECASE,
    ),
}
_POINTS = re.compile(r"\b(?:click|tap|bounding box(?:es)?|bbox|pixels?|screen(?:shot)?)\b", re.IGNORECASE)
"""Questions about a screen: there a bare (10, 20) is a place and no vector."""
_SAID = {
    "tool_call": "call a tool",
    "boxes": "mark a place as the question asks",
    "list": "give a list as the question asks",
    "json": "are JSON and nothing else",
    "code": "are Python as the question asks",
    "date": "answer with a day as the question asks",
}
_UNASKED = frozenset(("tool_call", "json"))
"""Types that completions may be of whatever the question says."""
_REASONED = re.compile(
    r"answer|reason|explanation|thought|thinking|rationale|analysis|steps|justification", re.IGNORECASE
)
"""Keys of an object that tells how it came to its answer, beside that answer."""
_TAGGED = re.compile(r"<(?:tool_call|function_call|tool_use)>")
_CALLS = re.compile(r'"(?:arguments|tool_calls|function_call)"\s{0,4}:')
_STATEMENT = re.compile(r"^[ \t]{0,40}(?:def|class|return|for|while|if|import|from|with|try)\b", re.MULTILINE)
_BULLET = re.compile(r"[ \t]{0,12}(?:[-*\u2022]|[0-9]{1,3}[.)])[ \t]")
_MAX_ITEM_CHARS = 100


@lru_cache(maxsize=64)  # asked after every arrival, of the few questions that are in progress
def askable(question: str) -> tuple[str, ...]:
    """The types that `evident` may find in completions to this question; some whatever it asks."""
    asked = asked_for(question)
    return tuple(name for name in EVIDENT if name in _UNASKED or name in asked)


def asked_for(question: str) -> frozenset[str]:
    """The types that the question itself asks for."""
    asked = question[-reading.WINDOW_CHARS :]
    return frozenset(name for name, form in _ASKS.items() if form.search(asked))


def evident(text: str, marked: str, task: Task, names: tuple[str, ...]) -> str:
    """The first of the types that a completion surely answers with; empty if it is none.

    `text` is without thinking; `marked` is what it marks as its answer. Only a date is asked for in a marked answer:
    any other type is one that the completion is as a whole.
    """
    return next((name for name in names if (name == "date" or not marked) and EVIDENT[name](text, marked, task)), "")


def said(name: str) -> str:
    """What completions of this type do, for the reason of a decision."""
    return _SAID[name]


def _calls_a_tool(text: str, marked: str, task: Task) -> bool:
    tagged = _TAGGED.search(text[-reading.WINDOW_CHARS :])
    if not tagged and not (_CALLS.search(text[-reading.WINDOW_CHARS :]) and _whole(text) is not None):
        return False
    found = ToolCall().extract(text, task)
    return found is not None and found.evidence == "json"


def _marks_a_place(text: str, marked: str, task: Task) -> bool:
    found = Boxes().extract(text, task)
    if found is None or found.evidence in ("json", "tag"):
        return found is not None
    return len(text.strip()) <= _MAX_ITEM_CHARS and _POINTS.search(task.question[-reading.WINDOW_CHARS :]) is not None


def _lists(text: str, marked: str, task: Task) -> bool:
    """True for an array of plain values, and for several short bullets with which the text ends."""
    held = _whole(text)
    if held is not None:
        return isinstance(held, list) and not any(isinstance(item, list | dict) for item in held)
    lines = [line for line in text[-reading.TAIL_CHARS :].splitlines() if line.strip()]
    bullets = [line for line in lines[-2:] if _BULLET.match(line)]
    if len(bullets) < 2:
        return _enumerates_numbers(text, task)
    found = List().extract(text, task)
    items = read(found.answer) if found and found.evidence == "bullets" else None
    return items is not None and isinstance(items.value, list) and all(_is_item(item) for item in items.value)


def _enumerates_numbers(text: str, task: Task) -> bool:
    """True for a short text that is nothing but several numbers: "7 and 8"."""
    found = List().extract(text, task) if len(text) <= _MAX_ITEM_CHARS else None
    items = read(found.answer) if found and found.evidence == "enumeration" else None
    held = items.value if items else None
    return isinstance(held, list) and len(held) > 1 and not any(isinstance(item, str) for item in held)


def _is_item(item: Json) -> bool:
    """True for what may be an item of a list, and false for a step of a calculation or an argument."""
    return not isinstance(item, str) or (len(item) <= _MAX_ITEM_CHARS and "=" not in item and ". " not in item)


def _is_json(text: str, marked: str, task: Task) -> bool:
    """True for JSON that is asked for; where it is not, for an object, or several, without reasons and an "answer"."""
    held = _whole(text)
    if not isinstance(held, dict | list) or JsonValue().extract(text, task) is None:
        return False
    if _ASKS["json"].search(task.question[-reading.WINDOW_CHARS :]):
        return True
    objects = held if isinstance(held, list) else [held]
    return bool(objects) and all(isinstance(each, dict) and not any(map(_REASONED.search, each)) for each in objects)


def _is_code(text: str, marked: str, task: Task) -> bool:
    found = Code().extract(text, task)
    if found is None:
        return False
    if found.evidence == "whole":
        return _STATEMENT.search(text) is not None
    return any(block.strip() for block in fenced(text, frozenset({"python", "py", "python3"})))


def _is_a_day(text: str, marked: str, task: Task) -> bool:
    """True if the answer holds one date, a day that can be read in one way only."""
    window = reading.window(text)
    segment = marked or reading.last_sentence(reading.last_line(window))
    found = Date().lone(segment, "marked", task)
    day = read_day(normal_form(found.spelling), task.question) if found else None
    return found is not None and day is not None and day.isoformat() == found.answer


def _whole(text: str) -> Json:
    """The JSON value that a completion is, in a code block or not; None if it is no array and no object."""
    block = next(fenced(text, frozenset({"", "json"})), "")
    held = read(text) or (read(block) if block else None)
    return held.value if held and isinstance(held.value, dict | list) else None


EVIDENT: dict[str, Callable[[str, str, Task], bool]] = {
    "tool_call": _calls_a_tool,
    "boxes": _marks_a_place,
    "list": _lists,
    "json": _is_json,
    "code": _is_code,
    "date": _is_a_day,
}
"""Whether a completion, with the answer that it marks, is surely of the type; the first type that is one counts."""
