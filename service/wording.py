"""What is wrong with a request, in its caller's words: fields as the caller wrote them, and no name of ours."""

from collections.abc import Mapping, Sequence
from typing import Any

OBJECT, ARRAY = "must be an object", "must be an array"

PLAIN = {
    "model_type": OBJECT,
    "model_attributes_type": OBJECT,
    "dict_type": OBJECT,
    "dataclass_type": OBJECT,
    "list_type": ARRAY,
    "tuple_type": ARRAY,
    "set_type": ARRAY,
    "frozen_set_type": ARRAY,
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "string_type": "must be a string",
    "bool_type": "must be true or false",
    "extra_forbidden": "there is no such field",
    "string_unicode": "holds a lone surrogate, which is no text",
    "missing": "is missing",
    "too_short": "must have at least {min_length} items",
    "too_long": "must have at most {max_length} items",
}
"""By pydantic's kind of error, where its own words speak of Python."""


def explain(error: Mapping[str, Any], given: object) -> tuple[str, str]:
    """The field (empty: the request as a whole) and the reason of one of pydantic's errors about `given`."""
    field = ".".join([*_path(error["loc"], given, error["type"]), *_named(error)])
    plain = PLAIN.get(error["type"])
    reason = plain.format_map(error.get("ctx", {})) if plain else str(error["msg"]).removeprefix("Value error, ")
    return field[:200], reason[:300]


def explain_best(errors: Sequence[Mapping[str, Any]], given: object) -> tuple[str, str]:
    """The one that leads furthest into what was given: where there are alternatives, the one that was meant."""
    return max((explain(error, given) for error in errors), key=lambda found: found[0].count("."))


def _named(error: Mapping[str, Any]) -> tuple[str, ...]:
    """The field that a reason of our own names, where it was found by looking at several."""
    named = (error.get("ctx") or {}).get("field") if error["type"] == "refused" else None
    return (str(named),) if named else ()


def _path(loc: Sequence[int | str], given: object, kind: str) -> list[str]:
    """The parts of the way that lead through what was given, and a missing field's name.

    Pydantic's ways also name the alternatives that it tried and the validators that it passed.
    """
    path = []
    for place, part in enumerate(loc):
        if (isinstance(given, Mapping) and part in given) or (isinstance(part, int) and _has(given, part)):
            given = given[part]  # type: ignore[index]  # one of the two kinds that were asked for
        elif kind != "missing" or place + 1 < len(loc):
            continue
        path.append(str(part))
    return path


def _has(given: object, place: int) -> bool:
    return isinstance(given, list | tuple) and 0 <= place < len(given)
