"""`json`: the answer is one JSON value."""

from collections.abc import Hashable, Iterator
from typing import Annotated

from pydantic import BaseModel, Field, field_validator

from service.answer_types import schema
from service.answer_types.base import Options
from service.answer_types.jsontext import WINDOW_CHARS, Found, Json, canonical, in_blocks, read, values
from service.candidates import Extraction, Task

_LANGUAGES = frozenset({"json", "json5", "jsonc", "jsonl"})
_ABSENT = "absent"


class JsonOptions(Options):
    """`fields`: only what these dotted paths lead to is compared, such as "total" or "items.0.name".

    What a path does not lead to is absent, and absent equals absent.

    `schema`: a JSON Schema that the value must satisfy; the last value that does is the answer. Known keywords are
    type, enum, const, properties, required, additionalProperties, items, anyOf, allOf and the bounds of numbers and
    lengths. Any other is refused, `$ref`, `pattern` and `format` among them.
    """

    fields: tuple[Annotated[str, Field(min_length=1, max_length=200)], ...] | None = Field(
        default=None, min_length=1, max_length=64
    )
    json_schema: dict[str, object] | None = Field(default=None, alias="schema")

    @field_validator("json_schema")
    @classmethod
    def _within_the_subset(cls, given: dict[str, object] | None) -> dict[str, object] | None:
        if given is not None:
            schema.check(given)
        return given


class JsonValue:
    """One JSON value: the last complete one of the completion.

    Evidence: `json`, which is, in this order, the whole text, the last code block of JSON, the last object within the
    text, or the last array where there is no object; or `whole`, a text that is nothing but a string, a number, true,
    false or null. What stands within an object or array that never closes is the rest of one that was cut off, and no
    answer.

    Canonical form: compact JSON (RFC 8259) with sorted keys; numbers by value, so that 1, 1.0 and 1e0 are equal. Of a
    repeated key the last value counts.
    """

    name: str = "json"
    Options: type[BaseModel] = JsonOptions
    exact: bool = True

    def __init__(self, options: JsonOptions | None = None) -> None:
        self.options = options or JsonOptions()

    def extract(self, text: str, task: Task) -> Extraction | None:
        """The JSON value that the completion answers with, or None."""
        given = self.options.json_schema
        checker = schema.Checker(given) if given is not None else None
        for evidence, found in _found(text):
            answer = canonical(found.value)
            if len(answer) <= WINDOW_CHARS and (checker is None or checker.accepts(found.value)):
                return Extraction(answer, found.spelling[:200], evidence, key=self._key(found.value))
        return None

    def same(self, left: Extraction, right: Extraction) -> bool:
        """True if the canonical forms are equal, or those of the compared fields."""
        return left.identity == right.identity

    def _key(self, value: Json) -> Hashable:
        if self.options.fields is None:
            return None
        return tuple(_at(value, path.split(".")) for path in self.options.fields)


def _found(text: str) -> Iterator[tuple[str, Found]]:
    if whole := read(text):
        yield "json" if isinstance(whole.value, dict | list) else "whole", whole
        return
    yield from (("json", held) for held in in_blocks(text, _LANGUAGES))
    within = list(values(text))
    yield from (("json", found) for found in within if isinstance(found.value, dict))
    yield from (("json", found) for found in within if isinstance(found.value, list))


def _at(value: Json, path: list[str]) -> str:
    """What the path leads to, in canonical form."""
    for step in path:
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isdecimal() and len(step) < 6 and int(step) < len(value):
            value = value[int(step)]
        else:
            return _ABSENT
    return canonical(value)
