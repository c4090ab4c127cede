"""The answer type `json`, the JSON text and the schemas it reads."""

import json

import pytest
from pydantic import ValidationError

from service.answer_types import jsontext, schema
from service.answer_types.json_value import JsonOptions, JsonValue
from service.candidates import Candidate, Exclusion, Task
from service.classing import make_candidate
from workers.wire.messages import FinishReason, Sample

TASK = Task("Which?")


def answer(text: str, **options: object) -> str | None:
    """The JSON found in a text."""
    found = JsonValue(JsonOptions.model_validate(options)).extract(text, TASK)
    return found.answer if found else None


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ('{"b": 1, "a": 2}', '{"a":2,"b":1}'),
        ('{ "a" : [ 1.0 , 2e0, 0.50, -0 ] }', '{"a":[1,2,0.5,0]}'),
        ('```json\n{"a": 1}\n```', '{"a":1}'),
        ('Sure:\n```json\n{"a": 1}\n```\nor, if you like, {"a": 2}', '{"a":1}'),
        ('```json\n{"a": 1}\n```\nNo:\n```json\n{"a": 2}\n```', '{"a":2}'),
        ('~~~json\n{"a": 1}\n~~~', '{"a":1}'),
        ('First {"a": 1}, then {"a": 2}.', '{"a":2}'),
        ('The set {1, 2} gives {"a": {"b": [1]}} [see 3]', '{"a":{"b":[1]}}'),
        ('He said "hm {x" and then {"a": "}{"}', '{"a":"}{"}'),
        ('As in [1], the list is ["x", "y"].', '["x","y"]'),
        ('As in [1], it is {"a": 1} [2].', '{"a":1}'),
        ('{"a": "\\u00e9"}', '{"a":"\u00e9"}'),
        ('{"a": 1, "a": 2}', '{"a":2}'),
        ('{"a": "\\ud800"}', '{"a":"\\ud800"}'),
        ("42.0", "42"),
        ('"x"', '"x"'),
        ("null", "null"),
        ("true", "true"),
        ("[]", "[]"),
        ("{}", "{}"),
        ('{"a": 1e400}', '{"a":1e400}'),
        ('{"a": 12e399}', '{"a":1.2e400}'),
        ('{"a": 1e-40}', '{"a":1e-40}'),
        ('{"a": 1e20}', '{"a":100000000000000000000}'),
        ('\\boxed{{"a": 1}}', '{"a":1}'),
        ("no JSON", None),
        ("", None),
        ('{"a": NaN}', None),
        ('{"a": 1', None),
        ('{"a": {"b": 1}, "c": ', None),
        ('[{"a": 1}, {"b": ', None),
        ('{"a": 1e99999}', None),
        ("[" * 100 + "]" * 100, None),
        ('{"a": ' + "9" * 401 + "}", None),
    ],
)
def test_the_last_complete_value_has_one_canonical_form(text: str, canonical: str | None) -> None:
    """Keys sorted, numbers by value, no white space; what was cut off or is no JSON gives none."""
    assert answer(text) == canonical


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ('{"a": 1,}', '{"a":1}'),
        ("{'a': 1}", '{"a":1}'),
        ('{"a": True, "b": None, "c": False}', '{"a":true,"b":null,"c":false}'),
        ('{\n  "a": 1 // one\n}', '{"a":1}'),
        ('{\n  "a": 1, // one, two\n}', '{"a":1}'),
        ('{ /* why */ "a": 1}', '{"a":1}'),
        ('{\n  # why\n  "a": [1, 2,], # as asked\n}', '{"a":[1,2]}'),
        ('{"a": "x\ny\tz"}', '{"a":"x\\ny\\tz"}'),
        ("{'a': 'it\\'s', 'b': 'it's', 'c': '\"q\"'}", '{"a":"it\'s","b":"it\'s","c":"\\"q\\""}'),
        ("{'a': '\\x41\\u0042'}", '{"a":"AB"}'),
        ("{a: 1, b_c: [.5, 2., +3]}", '{"a":1,"b_c":[0.5,2,3]}'),
        ('{"a": "\\sqrt{2}", "b": "C:\\dir"}', '{"a":"\\\\sqrt{2}","b":"C:\\\\dir"}'),
        ("I say don't: {'a': [1, 'x']} it's that", '{"a":[1,"x"]}'),
        ("```python\n{'a': True}\n```", '{"a":true}'),
        ("```\n{'a': 1}\n```", '{"a":1}'),
        ("json\n{'a': 1}", '{"a":1}'),
        ("The answer is {'a': {'b': 1},}.", '{"a":{"b":1}}'),
        (
            '{"a": "http://x.y/#z", "b": "/* no */", "c": "True", "d": ",}",}',
            '{"a":"http://x.y/#z","b":"/* no */","c":"True","d":",}"}',
        ),
        ("['a', 'b']", '["a","b"]'),
        ("[True, None]", "[true,null]"),
        ("{'a', 'b'}", None),
        ("{'a': x}", None),
        ("{x}", None),
        ("\\text{Answer: 5}", None),
        ("{'a': (1, 2)}", None),
        ("{'a': __import__('os')}", None),
        ('{"a": undefined}', None),
        ('{"a": 1; "b": 2}', None),
        ("{'a': 1, 'b': [2, ", None),
        ("[{'a': 1}, {'b': ", None),
        ("{'a': 'b}", None),
        ('{"a": /* 1}', None),
        ("True", None),
    ],
)
def test_what_models_write_for_json_is_read(text: str, canonical: str | None) -> None:
    """Python's and JavaScript's spellings, comments, trailing commas, raw line breaks; what is JSON stays as it is."""
    assert answer(text) == canonical


@pytest.mark.parametrize(
    ("left", "right", "fields", "same"),
    [
        ('{"a": 1, "b": 2}', '{"b": 2.0, "a": 1.0}', None, True),
        ('{"a": 1}', '{"a": "1"}', None, False),
        ('{"a": true}', '{"a": 1}', None, False),
        ("[1, 2]", "[2, 1]", None, False),
        ('{"a": 1, "why": "x"}', '{"a": 1, "why": "y"}', ["a"], True),
        ('{"a": 1}', '{"a": 2}', ["a"], False),
        ('{"a": {"b": [5, 6]}}', '{"a": {"b": [7, 6]}}', ["a.b.1"], True),
        ('{"a": 1}', '{"a": 2}', ["c"], True),
        ('{"a": null}', '{"b": 1}', ["a"], False),
        ('{"a": "absent"}', '{"b": 1}', ["a"], False),
        ("[1]", "[1, 2]", ["99999999"], True),
    ],
)
def test_fields_pick_what_is_compared(left: str, right: str, fields: list[str] | None, same: bool) -> None:
    """Without fields all of the value is compared."""
    kind = JsonValue(JsonOptions.model_validate({"fields": fields}))
    a, b = kind.extract(left, TASK), kind.extract(right, TASK)
    assert a is not None
    assert b is not None
    assert kind.same(a, b) is same
    assert (a.identity == b.identity) is same


OBJECT = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}, "required": ["a"]}


@pytest.mark.parametrize(
    ("given", "value", "fits"),
    [
        (OBJECT, {"a": 1}, True),
        (OBJECT, {"a": 1.0}, True),
        (OBJECT, {"a": 1.5}, False),
        (OBJECT, {"a": 0}, False),
        (OBJECT, {"b": 1}, False),
        (OBJECT, [1], False),
        ({**OBJECT, "additionalProperties": False}, {"a": 1, "b": 2}, False),
        ({**OBJECT, "additionalProperties": {"type": "string"}}, {"a": 1, "b": "x"}, True),
        ({"type": ["string", "null"]}, None, True),
        ({"type": ["string", "null"]}, 1, False),
        ({"type": "boolean"}, True, True),
        ({"type": "number"}, True, False),
        ({"enum": ["x", 1]}, 1.0, True),
        ({"enum": ["x", 1]}, "y", False),
        ({"const": {"a": [1]}}, {"a": [1.0]}, True),
        ({"items": {"type": "number"}, "minItems": 2}, [1, 2], True),
        ({"items": {"type": "number"}, "minItems": 2}, [1], False),
        ({"items": {"type": "number"}}, [1, "2"], False),
        ({"maxLength": 2}, "abc", False),
        ({"maxLength": 2}, [1, 2, 3], True),
        ({"exclusiveMaximum": 3}, 3, False),
        ({"maximum": 0.3}, 0.3, True),
        ({"maxProperties": 0}, {"a": 1}, False),
        ({"anyOf": [{"type": "string"}, {"type": "array", "maxItems": 0}]}, [], True),
        ({"anyOf": [{"type": "string"}, {"type": "array", "maxItems": 0}]}, [1], False),
        ({"allOf": [{"minimum": 1}, {"maximum": 2}]}, 3, False),
        ({"properties": {"a": False}}, {"a": 1}, False),
        ({"title": "anything", "default": 3}, {}, True),
    ],
)
def test_a_schema_says_what_is_an_answer(given: dict[str, object], value: object, fits: bool) -> None:
    """A value that does not satisfy it is none."""
    assert (answer(json.dumps(value), schema=given) is not None) is fits


def test_the_last_value_that_satisfies_the_schema_counts() -> None:
    """Others are passed over."""
    assert answer('{"a": 1} or {"a": 2}, see {"x": 1} and [3]', schema=OBJECT) == '{"a":2}'


def nested(depth: int) -> dict[str, object]:
    """A schema nested so deep."""
    made: dict[str, object] = {}
    for _ in range(depth):
        made = {"items": made}
    return made


@pytest.mark.parametrize(
    "given",
    [
        {"pattern": "^(a+)+$"},
        {"properties": {"a": {"format": "email"}}},
        {"patternProperties": {"x": {}}},
        {"$ref": "https://example.org/schema.json"},
        {"items": {"$ref": "#"}},
        {"not": {}},
        {"type": "text"},
        {"type": []},
        {"type": 3},
        {"minimum": "1"},
        {"minItems": -1},
        {"minItems": True},
        {"required": "a"},
        {"properties": []},
        {"properties": {"a": 3}},
        {"anyOf": []},
        {"enum": []},
        nested(40),
        nested(2000),
        {"title": "x" * 30_000},
        {"maximum": float("inf")},
    ],
)
def test_a_schema_beyond_the_subset_is_refused(given: dict[str, object]) -> None:
    """No regular expression, no reference, nothing unknown, nothing endless."""
    with pytest.raises(ValidationError):
        JsonOptions.model_validate({"schema": given})


def test_checking_ends_after_a_number_of_steps() -> None:
    """Nested alternatives over a long list cannot multiply."""
    given: dict[str, object] = {"type": "string"}
    for _ in range(5):
        given = {"anyOf": [given] * 4}
    checker = schema.Checker({"items": given})
    found = jsontext.read(json.dumps([1] * 5_000))
    assert found is not None
    assert not checker.accepts(found.value)
    assert not schema.Checker({"items": True}).accepts([None] * (schema.MAX_STEPS + 1))


@pytest.mark.parametrize(("text", "excluded"), [('{"a": 1} and', None), ('{"a": {"b": 1}', Exclusion.TRUNCATED)])
def test_a_cut_completion_votes_only_with_a_closed_value(text: str, excluded: Exclusion | None) -> None:
    """The brackets say whether it is whole."""
    sample = Sample(index=0, text=text, finish_reason=FinishReason.LENGTH)
    made: Candidate = make_candidate(sample, JsonValue(), TASK)
    assert made.excluded is excluded
