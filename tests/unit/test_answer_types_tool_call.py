"""The answer type `tool_call`."""

import pytest

from service.answer_types.tool_call import ToolCall, ToolCallOptions
from service.candidates import Extraction, Task

TASK = Task("Which tool?")
F = '{"arguments":{"a":1,"b":"x"},"name":"f"}'
G = '{"arguments":{},"name":"g"}'


def found(text: str, **options: object) -> Extraction | None:
    """The calls found in a text."""
    return ToolCall(ToolCallOptions.model_validate(options)).extract(text, TASK)


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "f", "arguments": {"b": "x", "a": 1.0}}',
        '{"name": "f", "arguments": "{\\"b\\": \\"x\\", \\"a\\": 1}"}',
        '{"name": " f ", "parameters": {"a": 1, "b": "x"}}',
        '{"tool": "f", "args": {"a": 1, "b": "x"}}',
        '{"action": "f", "action_input": {"a": 1, "b": "x"}}',
        '{"type": "tool_use", "id": "1", "name": "f", "input": {"a": 1, "b": "x"}}',
        '{"type": "function", "function": {"name": "f", "arguments": {"a": 1, "b": "x"}}}',
        '{"function_call": {"name": "f", "arguments": "{\\"a\\": 1, \\"b\\": \\"x\\"}"}}',
        '{"tool_calls": [{"id": "c1", "function": {"name": "f", "arguments": "{\\"a\\": 1, \\"b\\": \\"x\\"}"}}]}',
        '[{"name": "f", "arguments": {"a": 1, "b": "x"}}]',
        'I use f.\n<tool_call>\n{"name": "f", "arguments": {"a": 1, "b": "x"}}\n</tool_call>',
        '<function_call>f(a=1, b="x")</function_call>',
        'So:\n```json\n{"name": "f", "arguments": {"a": 1, "b": "x"}}\n```\nThat is {"a": 2}.',
        'I call {"name": "f", "arguments": {"a": 1, "b": "x"}} now',
        "f(a=1, b='x')",
        'f(b="x", a=1.0)',
        '`f(a=1, b="x")`',
        '[f(a=1, b="x")]',
        'I use f:\nf(a=1, b="x")',
        'I use f:\n```python\nf(\n    a=1,\n    b="x",  # why\n)\n```\nDone.',
    ],
)
def test_a_call_is_known_in_every_dress(text: str) -> None:
    """Name and arguments by value, whatever the wrapping."""
    made = found(text)
    assert made is not None
    assert made.answer == F


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("g()", G),
        ("a.b.g(1, [2, (3,)], None, k=True)", '{"arguments":{"0":1,"1":[2,[3]],"2":null,"k":true},"name":"a.b.g"}'),
        ("f(a=-1)", '{"arguments":{"a":-1},"name":"f"}'),
        (f"{G}\n{F}", f"[{F},{G}]"),
        (f"{F}; {G}", f"[{F},{G}]"),
        (f"Not {G} but {F}", F),
        (f"<tool_call>{F}</tool_call>\n<tool_call>{G}</tool_call>", f"[{F},{G}]"),
        (f"[{G}, {F}]", f"[{F},{G}]"),
        ('g()\nf(a=1, b="x")', f"[{F},{G}]"),
        (
            '{"name": "f", "arguments": {"a": "<tool_call>g()</tool_call>"}}',
            '{"arguments":{"a":"<tool_call>g()</tool_call>"},"name":"f"}',
        ),
    ],
)
def test_arguments_and_several_calls(text: str, answer: str) -> None:
    """Arguments without a name have their place's; calls made at once have no order."""
    made = found(text)
    assert made is not None
    assert made.answer == answer


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no call",
        "42",
        '{"name": "f"}',
        '{"arguments": {}}',
        '{"name": "", "arguments": {}}',
        '{"name": "f", "arguments": [1]}',
        '{"name": "f", "arguments": "a=1"}',
        '{"name": "f", "arguments": {"a": 1}',
        '<tool_call>{"name": "f"',
        "f(a)",
        "f(g(1))",
        "f(**{'a': 1})",
        "f(*[1])",
        "f(a=open('x'))",
        "f(a=__import__('os').system('true'))",
        "x = f(a=1)",
        "f(a={1, 2})",
        "f(a=1)(b=2)",
        "f(a=9**9**9)",
        "f(a=" + "(" * 5000 + ")" * 5000 + ")",
        "[" + ",".join(["g()"] * 65) + "]",
    ],
)
def test_what_is_no_call_with_literals_gives_none(text: str) -> None:
    """Nothing is evaluated to find out."""
    assert found(text) is None


@pytest.mark.parametrize(
    ("left", "right", "options", "same"),
    [
        ("f(a=1)", "f(a=2)", {}, False),
        ("f(a=1)", "g(a=1)", {}, False),
        ("f(a=1, note='x')", "f(a=1, note='y')", {"exclude": ["note"]}, True),
        ("f(a=1, note='x')", "f(a=1)", {"exclude": ["note"]}, True),
        ("f(a=1, note='x')", "f(a=2, note='x')", {"exclude": ["note"]}, False),
        ("f(a=1)", "f(a=2)", {"name_only": True}, True),
        ("f(a=1)", "g(a=1)", {"name_only": True}, False),
        ("f()\ng()", "g()\nf()", {}, True),
        ("f()\nf()", "f()", {}, False),
        ("f(a=1)", "f(a='1')", {}, False),
        ("f(a=True)", "f(a=1)", {}, False),
    ],
)
def test_options_say_what_is_compared(left: str, right: str, options: dict[str, object], same: bool) -> None:
    """All of the call by default."""
    a, b = found(left, **options), found(right, **options)
    assert a is not None
    assert b is not None
    assert ToolCall(ToolCallOptions.model_validate(options)).same(a, b) is same
