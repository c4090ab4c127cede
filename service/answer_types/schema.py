"""A subset of JSON Schema (draft 2020-12), checked within a fixed number of steps.

Only the keywords below are known; a schema with any other is refused, so that nothing is silently unchecked. There is
no `$ref` (it could recurse or name a URL), and no `pattern`, `patternProperties` or `format` (no regular expression
from outside is run). Why not the library `jsonschema`: it runs all of these, and bounds neither time nor depth.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal

from service.answer_types import jsontext
from service.answer_types.jsontext import Json, Numeral, canonical

MAX_CHARS = 20_000
MAX_DEPTH = 16
MAX_STEPS = 20_000

Schema = Mapping[str, object]

_ANNOTATIONS = frozenset({"$schema", "$id", "$comment", "title", "description", "default", "examples"})
_TYPES: dict[str, Callable[[Json], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
    "number": lambda value: isinstance(value, Numeral),
    "integer": lambda value: isinstance(value, Numeral) and value.is_integer,
}
_BOUNDS: dict[str, Callable[[Decimal, Decimal], bool]] = {
    "minimum": lambda value, bound: value >= bound,
    "maximum": lambda value, bound: value <= bound,
    "exclusiveMinimum": lambda value, bound: value > bound,
    "exclusiveMaximum": lambda value, bound: value < bound,
}
_LENGTHS: dict[str, tuple[type, Callable[[int, int], bool]]] = {
    "minLength": (str, int.__ge__),
    "maxLength": (str, int.__le__),
    "minItems": (list, int.__ge__),
    "maxItems": (list, int.__le__),
    "minProperties": (dict, int.__ge__),
    "maxProperties": (dict, int.__le__),
}
_NESTED = frozenset({"properties", "items", "additionalProperties", "anyOf", "allOf"})
KEYWORDS = frozenset({"type", "enum", "const", "required", *_BOUNDS, *_LENGTHS, *_NESTED})


def check(schema: Schema) -> None:
    """ValueError, saying what is wrong, unless the schema is within the subset and the limits."""
    try:
        text = json.dumps(schema, allow_nan=False)
    except RecursionError:
        text = ""
    if not text or len(text) > MAX_CHARS:
        raise ValueError(f"a schema of more than {MAX_CHARS} characters")
    _check(schema, 1)


class Checker:
    """Checks values against one checked schema; after `MAX_STEPS` steps in all, no value fits."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._left = MAX_STEPS
        self._allowed: dict[int, frozenset[str]] = {}

    def accepts(self, value: Json) -> bool:
        """True if the value satisfies the schema."""
        return self._accepts(value, self._schema)

    def _accepts(self, value: Json, schema: object) -> bool:
        waiting: list[tuple[Json, object]] = [(value, schema)]
        while waiting:
            self._left -= 1
            held, rule = waiting.pop()
            if self._left < 0 or rule is False:
                return False
            if isinstance(rule, Mapping):
                if not (_fits(held, rule) and self._is_allowed(held, rule) and self._fits_any(held, rule)):
                    return False
                waiting.extend(_within(held, rule))
        return True

    def _is_allowed(self, value: Json, rule: Schema) -> bool:
        if "enum" not in rule and "const" not in rule:
            return True
        if id(rule) not in self._allowed:
            allowed = [rule["const"]] if "const" in rule else _listed(rule["enum"])
            self._allowed[id(rule)] = frozenset(map(_canonical, allowed))
        return canonical(value) in self._allowed[id(rule)]

    def _fits_any(self, value: Json, rule: Schema) -> bool:
        return "anyOf" not in rule or any(self._accepts(value, part) for part in _listed(rule["anyOf"]))


def _check(schema: object, depth: int) -> None:
    if isinstance(schema, bool):
        return
    if not isinstance(schema, Mapping):
        raise ValueError("a schema is an object, true or false")
    if depth > MAX_DEPTH:
        raise ValueError(f"a schema nested deeper than {MAX_DEPTH}")
    if unknown := sorted(set(schema) - KEYWORDS - _ANNOTATIONS):
        raise ValueError(f"{unknown[0]!r} is not supported; known are {', '.join(sorted(KEYWORDS))}")
    for keyword in sorted(KEYWORDS.intersection(schema)):
        if not _well_formed(keyword, schema[keyword]):
            raise ValueError(f"{keyword!r} does not hold what it should")
    for part in _parts(schema):
        _check(part, depth + 1)


def _well_formed(keyword: str, held: object) -> bool:
    if keyword == "type":
        return all(isinstance(name, str) and name in _TYPES for name in _listed(held)) and bool(_listed(held))
    if keyword in _BOUNDS:
        return isinstance(held, int | float) and not isinstance(held, bool)
    if keyword in _LENGTHS:
        return isinstance(held, int) and not isinstance(held, bool) and held >= 0
    if keyword == "required":
        return isinstance(held, list) and all(isinstance(name, str) for name in held)
    if keyword == "properties":
        return isinstance(held, Mapping)
    if keyword in ("anyOf", "allOf", "enum"):
        return isinstance(held, list) and bool(held)
    return True


def _parts(schema: Schema) -> Iterator[object]:
    for keyword in ("items", "additionalProperties"):
        if keyword in schema:
            yield schema[keyword]
    properties = schema.get("properties")
    if isinstance(properties, Mapping):
        yield from properties.values()
    for keyword in ("anyOf", "allOf"):
        yield from _listed(schema.get(keyword, []))


def _listed(held: object) -> list[object]:
    return held if isinstance(held, list) else [held]


def _fits(value: Json, rule: Schema) -> bool:
    """What the rule says of the value itself, not of its parts."""
    if "type" in rule and not any(_TYPES[str(name)](value) for name in _listed(rule["type"])):
        return False
    if isinstance(value, Numeral):
        exact = Decimal(value.text)
        return all(_BOUNDS[k](exact, Decimal(str(rule[k]))) for k in _BOUNDS if k in rule)
    if isinstance(value, dict) and not set(_listed(rule.get("required", []))) <= set(value):
        return False
    return _long_enough(value, rule)


def _long_enough(value: Json, rule: Schema) -> bool:
    if not isinstance(value, str | list | dict):
        return True
    asked = [(compare, rule[k]) for k, (kind, compare) in _LENGTHS.items() if k in rule and isinstance(value, kind)]
    return all(isinstance(bound, int) and compare(len(value), bound) for compare, bound in asked)


def _within(value: Json, rule: Schema) -> Iterator[tuple[Json, object]]:
    """The parts of the value, each with the rule for it."""
    for part in _listed(rule.get("allOf", [])):
        yield value, part
    if isinstance(value, list) and "items" in rule:
        yield from ((item, rule["items"]) for item in value)
    if isinstance(value, dict):
        known = rule.get("properties")
        own = known if isinstance(known, Mapping) else {}
        other = rule.get("additionalProperties", True)
        yield from ((item, own.get(key, other)) for key, item in value.items())


def _canonical(value: object) -> str:
    found = jsontext.read(json.dumps(value))
    return canonical(found.value) if found else ""
