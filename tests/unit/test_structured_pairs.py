"""Which structured answers are equal: tables of our own making, as models write them: lists, JSON, tool calls, code."""

import pytest

from service.answer_types.base import AnswerType
from service.answer_types.boxes import Boxes
from service.answer_types.enumeration import List
from service.answer_types.json_value import JsonValue
from service.answer_types.source_code import Code
from service.answer_types.tool_call import ToolCall
from service.candidates import Task
from tests.pairs import Groups, count, wrong

LIST_EQUAL: Groups = [
    (
        *("red, green and blue", "blue, red, green", '["red", "green", "blue"]', "The answer is red, green, and blue."),
        *(
            "- red\n- green\n- blue",
            "1. Red\n2. Green\n3. Blue",
            "The colours are:\n\n* **blue**\n* **green**\n* **red**",
        ),
        *('```json\n["Blue", "Red", "Green"]\n```', '{"answer": ["red", "green", "blue"]}', "Answer: red; green; blue"),
        *(
            r"\boxed{\text{red, green, blue}}",
            "Final answer: [red, green, blue]",
            "a) red\nb) green\nc) blue",
            "#### blue, green, red",
        ),
        *(
            "Let me think step by step.\n\nThe answer is:\n- red\n- green\n- blue\n",
            "(red, green, blue)",
            "{red, green, blue}",
        ),
    ),
    (
        "[1, 2, 3]",
        "3, 2 and 1",
        r"\{1, 2, 3\}",
        r"\boxed{\{3,2,1\}}",
        "[3.0, 1, 2, 2]",
        "1; 2; 3",
        "The answer is {1, 2, 3}.",
    ),
    ("1,000 and 2,500", "[1000, 2500]", "2,500; 1,000"),
    ('["Paris"]', "The answer is Paris.", "- Paris", r"\boxed{\text{Paris}}"),
    ("[]", '{"items": []}', r"\boxed{[]}"),
]
LIST_UNEQUAL: Groups = [
    ("a\nb", "a\nb\nc", "- a\n  - b\n- c", "x = 1 or x = 2", "x = 1 or y = 2", "$1, 2$ and $3$", "$1 and $2"),
    ("red, green", "red, green, blue", "red, greenish", "red and grey", '["red, green"]'),
    ("[1, 2]", "[1, 2, 3]", '["1a", "2"]', "[[1, 2]]", "[]"),
    ("New York, NY; Boston, MA", "New York, NY, Boston, MA", "New York; Boston"),
]

JSON_EQUAL: Groups = [
    (
        *(
            '{"name": "Ada", "age": 36}',
            '{"age": 36, "name": "Ada"}',
            '{"name":"Ada","age":36.0}',
            '{"age": 3.6e1, "name": "Ada"}',
        ),
        *(
            '```json\n{\n  "name": "Ada",\n  "age": 36\n}\n```',
            'Here is the JSON:\n\n{"name": "Ada", "age": 36}\n\nHope this helps!',
        ),
        *(
            'Sure! ```{"name": "x"}``` is a start, but\n```json\n{"name": "Ada", "age": 36}\n```',
            '{"name": "\\u0041da", "age": 36}',
        ),
        *(
            'First {"name": "Bob", "age": 1}.\nCorrected: {"name": "Ada", "age": 36}',
            '~~~json\n{"age": 36, "name": "Ada"}\n~~~',
        ),
        *(
            'I set {age} as asked: {"name": "Ada", "age": 36}',
            '{"name": "Bob", "name": "Ada", "age": 36}',
            '\ufeff{"name": "Ada", "age": 36}',
        ),
    ),
    ("[1, 2, 3]", "[1.0, 2.0, 3]", "The list is [1,2,3].", "```json\n[1, 2, 3]\n```", "[\n  1,\n  2,\n  3\n]"),
    (
        '{"a": null, "b": [true, {"c": ""}]}',
        '{"b":[true,{"c":""}],"a":null}',
        '```json\n{"b": [true, {"c": ""}], "a": null}\n```',
    ),
    ("0", "-0", "0.0", "0e5"),
    (
        *('{"ok": true, "x": null, "why": "a\\nb"}', "{'ok': True, 'x': None, 'why': 'a\\nb',}"),
        *('{ok: true, x: null, why: "a\nb"}', '{"ok": true, // yes\n "x": null, /* no */ "why": "a\\nb"}'),
        "```python\n{'x': None, 'ok': True, 'why': \"a\\nb\"}  # as asked\n```",
    ),
]
JSON_UNEQUAL: Groups = [
    ('{"a": 1}', '{"a": "1"}', '{"a": true}', '{"a": [1]}', '{"b": 1}', '{"a": 1, "b": null}', '{"A": 1}', "{}"),
    ("[1, 2]", "[2, 1]", "[1, 2, 2]", "[[1, 2]]"),
    ('{"a": "x"}', '{"a": "X"}', '{"a": "x "}', '{"a": null}'),
    (
        "{'a': True}",
        "{'a': 'True'}",
        "{'a': 1}",
        "{'a': None}",
        "{'a': 'None'}",
        '{"a": "//"}',
        "{'a': '#'}",
        "{a: 0.5}",
    ),
]

CALL = '{"name": "get_weather", "arguments": {"city": "Oslo", "days": 3}}'
TOOL_EQUAL: Groups = [
    (
        *(
            CALL,
            f"<tool_call>\n{CALL}\n</tool_call>",
            f"I'll look it up.\n\n<tool_call>{CALL}</tool_call>",
            f"```json\n{CALL}\n```",
        ),
        *('get_weather(city="Oslo", days=3)', "get_weather(days=3, city='Oslo')", '[get_weather(city="Oslo", days=3)]'),
        *(
            '```python\nget_weather(city="Oslo", days=3)\n```',
            '<function=get_weather>{"city": "Oslo", "days": 3}</function>',
            "<function=get_weather>\n<parameter=city>\nOslo\n</parameter>\n<parameter=days>3</parameter>\n</function>",
            'Thought: it may rain.\nAction: get_weather\nAction Input: {"city": "Oslo", "days": 3}\nObservation: rain',
            'get_weather(city="Oslo", days=3);',
            '{"name": "get_weather", "parameters": {"days": 3.0, "city": "Oslo"}}',
        ),
        *('{"function": {"name": "get_weather", "arguments": "{\\"city\\": \\"Oslo\\", \\"days\\": 3}"}, "id": "c1"}',),
        *(
            f'{{"tool_calls": [{CALL}]}}',
            f"[{CALL}]",
            'Action follows.\n{"action": "get_weather", "action_input": {"city": "Oslo", "days": 3}}',
        ),
        *(f"<|tool_call|>[{CALL}]", "```tool_code\nget_weather(city='Oslo', days=3)\n```", f"[TOOL_CALLS] [{CALL}]"),
    ),
    (
        "f()",
        '{"name": "f", "arguments": null}',
        "<function=f>{}</function>",
        '{"name": "f", "arguments": {}}',
        '{"name": "f", "arguments": "{}"}',
        '<tool_call>{"name": "f", "arguments": {}}</tool_call>',
    ),
    ("a()\nb()", "b()\na()", "[a(), b()]", '[{"name": "b", "arguments": {}}, {"name": "a", "arguments": {}}]'),
]
TOOL_UNEQUAL: Groups = [
    ("f(a=1)", "f(a=2)", "f(a='1')", "f(b=1)", "g(a=1)", "f()", "f(a=1, b=2)", "f(a=[1])", "f(a=True)", "f(a=None)"),
    ("f()", "f()\nf()", "f()\ng()"),
    (
        "<|python_tag|>f(x=1)",
        '<invoke name="f"><parameter name="x">2</parameter></invoke>',
        '[TOOL_CALLS]f[ARGS]{"x": "1"}',
        '[TOOL_CALLS]g[ARGS]{"x": 1}',
        "<tool_call>f\n<arg_key>y</arg_key>\n<arg_value>1</arg_value>\n</tool_call>",
        "Action: f[1]",
        "f(x=1)\nf(x=1)",
        "f(x=true)",
        "f(x='true')",
    ),
]

LOOP = "def total(xs):\n    s = 0\n    for x in xs:\n        s += x\n    return s"
CODE_EQUAL: Groups = [
    (
        *(
            LOOP,
            f"```python\n{LOOP}\n```",
            f"Here is the function:\n\n```python\n{LOOP}\n```\n\nIt adds up all items.",
            f"```py\n{LOOP}\n```",
        ),
        *(
            "def total(values):\n  acc = 0\n  for v in values:\n    acc += v\n  return acc\n",
            LOOP.replace("    ", "\t"),
        ),
        *('def total(xs):\n    """Adds up."""\n    s = 0  # so far\n    for x in xs:\n        s += x\n    return (s)',),
        *(
            "def total(xs: list[int]) -> int:\n    s: int = 0\n    for x in xs: s += x\n    return s",
            f"```\n{LOOP}\n```",
        ),
        *(
            f"```python\nprint('first try')\n```\nBetter:\n```python\n{LOOP}\n```\n```bash\npython total.py\n```",
            LOOP.replace("\n", "\r\n"),
        ),
    ),
    (
        "x = 1",
        "  ```python\n  x = 1\n  ```",
        "1. Like this:\n   ```python\n   x=1\n   ```",
        "```python\nx = 1",
        "So:\n```python\nx = 1",
    ),
    ("f = lambda x: x + 1", "f=lambda y:(y+1)", "```python\nf = lambda n: n + 1\n```"),
    ("print('a', \"b\")", "print(\"a\", 'b')", "print(\n    'a',\n    'b',\n)"),
]
CODE_UNEQUAL: Groups = [
    (
        LOOP,
        LOOP.replace("s = 0", "s = 1"),
        LOOP.replace("total", "add"),
        LOOP.replace("+=", "-="),
        "def total(xs):\n    return sum(xs)",
    ),
    ("x = 1", "x = 2", "y = 1", "x == 1", "x = '1'", "x: int"),
    ("f(a, b)", "f(b, a)", "f(a, b=b)", "f(a)"),
    ("```python\nprint 1\n```", "```python\nprint 2\n```", "print(1)"),
    (
        f"```python\n{LOOP}\n```\nUsage:\n```python\nprint(total([1]))\n```",
        f"```python\n{LOOP.replace('= 0', '= 1')}\n```\nUsage:\n```python\nprint(total([1]))\n```",
        f"As text:\n{LOOP.replace('return s', 'return -s')}\n\nThat is all.",
        "```python\nprint(total([1]))\n```",
    ),
]

BOXES_EQUAL: Groups = [
    (
        *(
            "[10, 20, 110, 220]",
            '{"bbox_2d": [10, 20, 110, 220]}',
            "<box>(10,20),(110,220)</box>",
            "The answer is [10, 20, 110, 220].",
        ),
        *(
            r"\boxed{[10, 20, 110, 220]}",
            '```json\n[{"bbox_2d": [10.0, 20, 110, 220], "label": "button"}]\n```',
            "[110, 220, 10, 20]",
        ),
        *("<|box_start|>(10,20),(110,220)<|box_end|>", "The button is at (10, 20), (110, 220)", "[12, 22, 110, 221]"),
    ),
    (
        "(60, 120)",
        '{"point_2d": [60, 120]}',
        "click(x=60, y=120)",
        "<point>60 120</point>",
        "[61, 119]",
        "The answer is (60, 120).",
    ),
]
BOXES_UNEQUAL: Groups = [
    ("[0, 0, 10, 10]", "[20, 20, 30, 30]", "[0, 0, 100, 100]", "[0, 0, 10, 4]"),
    ("(5, 5)", "(500, 5)", "(5, 500)"),
    ("(0.1, 0.1)", "(0.9, 0.9)", "(0.1, 0.9)", "(0.5, 0.5)", "(500, 500)"),
    ("10, 20, 30, 40", "x=10, y=20, w=30, h=40", "(10, 20)", "<loc_30><loc_40><loc_50><loc_60>", "left: 90, top: 90"),
]

TABLES = [
    (List(), LIST_EQUAL, LIST_UNEQUAL),
    (JsonValue(), JSON_EQUAL, JSON_UNEQUAL),
    (ToolCall(), TOOL_EQUAL, TOOL_UNEQUAL),
    (Code(), CODE_EQUAL, CODE_UNEQUAL),
    (Boxes(), BOXES_EQUAL, BOXES_UNEQUAL),
]


@pytest.mark.parametrize(("kind", "equal", "unequal"), TABLES, ids=[kind.name for kind, *_ in TABLES])
def test_every_pair_is_right(kind: AnswerType, equal: Groups, unequal: Groups) -> None:
    """At least 60 pairs a type, in both directions."""
    assert count(equal, unequal) >= 60
    assert wrong(kind, Task("Which?"), equal, unequal) == []
