"""The forms in which models call tools, as their chat templates have them, all read as the same call."""

import pytest

from service.answer_types.tool_call import ToolCall
from service.candidates import Exclusion, Task
from service.classing import make_candidate
from workers.wire.messages import FinishReason, Sample

TASK = Task("Which tool?")
F = '{"arguments":{"x":1},"name":"f"}'
G = '{"arguments":{},"name":"g"}'


def answer(text: str) -> str | None:
    """The call found in a text."""
    found = ToolCall().extract(text, TASK)
    return found.answer if found else None


@pytest.mark.parametrize(
    "text",
    [
        "<|python_tag|>f(x=1)",
        "<|python_tag|>f(x=1)<|eom_id|>",
        '<|python_tag|>{"name":"f","parameters":{"x":1}}<|eot_id|>',
        "<|python_tag|>f.call(x=1)",
        '{"function":"f","args":{"x":1}}',
        '{"function":"f","arguments":{"x":1}}',
        "{'name': 'f', 'arguments': {'x': 1}}",
        '{"name": "f", "arguments": {"x": 1,},}',
        '[TOOL_CALLS]f[ARGS]{"x": 1}',
        '[TOOL_CALLS]f[CALL_ID]9aB3[ARGS]{"x": 1}</s>',
        '[TOOL_CALLS]f{"x": 1}',
        '[TOOL_CALLS] [{"name": "f", "arguments": {"x": 1}}]</s>',
        '<function_calls>\n<invoke name="f">\n<parameter name="x">1</parameter>\n</invoke>\n</function_calls>',
        '<invoke name="f"><parameter name="x">1</parameter></invoke>',
        "<function_calls><invoke><tool_name>f</tool_name><parameters><x>1</x></parameters></invoke></function_calls>",
        '<tool_use><name>f</name><input>{"x":1}</input></tool_use>',
        '<tool_use>\n<name>f</name>\n<arguments>{"x": 1}</arguments>\n</tool_use>',
        (
            "<\uff5ctool\u2581calls\u2581begin\uff5c><\uff5ctool\u2581call\u2581begin\uff5c>function<\uff5ctool\u2581sep\uff5c>f"
            '\n```json\n{"x": 1}\n```<\uff5ctool\u2581call\u2581end\uff5c><\uff5ctool\u2581calls\u2581end\uff5c>'
        ),
        (
            '<\uff5ctool\u2581call\u2581begin\uff5c>f<\uff5ctool\u2581sep\uff5c>{"x":1}<\uff5ctool\u2581call\u2581end\uff5c>'
        ),
        (
            "<|tool_calls_section_begin|><|tool_call_begin|>functions.f:0"
            '<|tool_call_argument_begin|>{"x": 1}<|tool_call_end|><|tool_'
            "calls_section_end|>"
        ),
        "<tool_call>f\n<arg_key>x</arg_key>\n<arg_value>1</arg_value>\n</tool_call>",
        '<|channel|>commentary to=functions.f <|constrain|>json<|message|>{"x": 1}<|call|>',
        '>>>f\n{"x": 1}',
        '\u273fFUNCTION\u273f: f\n\u273fARGS\u273f: {"x": 1}',
        "<tool_call>\n<function=f>\n<parameter=x>\n1\n</parameter>\n</function>\n</tool_call>",
        '<function=f>{"x": 1}</function><|eom_id|>',
        '<function=f>{"x": 1}<|eom_id|>',
        '<tool_call>\n{"name": "f", "arguments": {"x": 1}}',
        '<functioncall> {"name": "f", "arguments": \'{"x": 1}\'} </functioncall>',
        '<functioncall> {"name": "f", "arguments": \'{"x": 1}\'}',
        "```tool_code\nprint(default_api.f(x=1))\n```",
        "<tool_code>\nprint(f(x=1))\n</tool_code>",
        '{"functionCall": {"name": "f", "args": {"x": 1}}}',
        '{"toolUse": {"toolUseId": "t", "name": "f", "input": {"x": 1}}}',
        '{"recipient_name": "functions.f", "parameters": {"x": 1}}',
        '{"tool_uses": [{"recipient_name": "functions.f", "parameters": {"x": 1}}]}',
        (
            '{"recipient_name": "multi_tool_use.parallel", "parameters": '
            '{"tool_uses": [{"recipient_name": "functions.f", "parameters'
            '": {"x": 1}}]}}'
        ),
        'Action: f\nAction Input: {"x": 1}\nObservation',
        "Action: f(x=1)",
        'Action:\n```json\n{"action": "f", "action_input": {"x": 1}}\n```',
        'Action: ```json\n[\n {"tool_name": "f", "parameters": {"x": 1}}\n]\n```',
        "Call: f(x=1)<bot_end>",
        "I will call `f(x=1)`.",
        "The best call is `f(x=1)` as x is 1.",
        '{"tool": "f", "tool_input": {"x": 1}}',
        '{"thought": "hm", "tool_name": "f", "tool_args": {"x": 1}}',
        '{"type": "function", "name": "f", "parameters": {"x": 1}}',
        '<|tool_call|>[{"name": "f", "arguments": {"x": 1}}]<|/tool_call|>',
        '<tool_call>[{"name": "f", "arguments": {"x": 1}}]</tool_call>',
        'Sure.\n\n```json\n{\n  "name": "f", // the tool\n  "arguments": {"x": 1}\n}\n```',
        '```xml\n<tool_call>{"name": "f", "arguments": {"x": 1}}</tool_call>\n```',
        '<tool_call name="f">{"x": 1}</tool_call>',
        '{"action": {"name": "f", "arguments": {"x": 1}}}',
        "f(x=1)",
        "- f(x=1)",
        "<|tool_call|>[f(x=1)]<|/tool_call|>",
        "<|tool_call|>[f(x=1)]",
        "[f(x=1)]",
        "<tool_response></tool_response>\nf(x=1)",
        '{"name":"f","arguments":{"x":1}}<|im_end|>',
        '[{"type": "function", "function": {"name": "f", "arguments": "{\\"x\\": 1}"}}]',
        '{"function_call": {"name": "f", "arguments": "{\\n  \\"x\\": 1\\n}"}}',
    ],
)
def test_one_call_is_known_in_every_form(text: str) -> None:
    """Hermes, Qwen, Llama 3, Mistral, DeepSeek, Kimi, GLM, gpt-oss, Functionary, Claude, Gemini and ReAct prompts."""
    assert answer(text) == F


@pytest.mark.parametrize(
    "text",
    [
        '{"name":"f","parameters":{"x":1}}; {"name":"g","parameters":{}}',
        '{"name":"f","arguments":{"x":1}}\n{"name":"g","arguments":{}}',
        '<tool_call>{"name":"f","arguments":{"x":1}}</tool_call>\n<tool_call>{"name":"g","arguments":{}}</tool_call>',
        '<tool_call>{"name":"f","arguments":{"x":1}}</tool_call>\n<tool_call>{"name":"g","arguments":{}}',
        "[f(x=1), g()]",
        "I call both:\nf(x=1)\ng()",
        (
            '<function_calls><invoke name="f"><parameter name="x">1</para'
            'meter></invoke><invoke name="g"></invoke></function_calls>'
        ),
        '<tool_call>{"name":"g"}</tool_call><tool_call>{"name":"f","arguments":{"x":1}}</tool_call>',
        '[TOOL_CALLS]f[ARGS]{"x": 1}[TOOL_CALLS]g[ARGS]{}',
        "```tool_code\nprint(f(x=1))\nprint(g())\n```",
        '<tool_call>\n{"name":"f","arguments":{"x":1}}\n{"name":"g","arguments":{}}\n</tool_call>',
        '[TOOL_CALLS] [{"name":"f","arguments":{"x":1}},{"name":"g","arguments":{}}]',
        '<function=f>{"x": 1}</function>\n<function=g>{}</function>',
        '{"tool_calls":[{"name":"f","arguments":{"x":1}},{"name":"g","arguments":{}}]}',
    ],
)
def test_calls_made_at_once_are_all_read(text: str) -> None:
    """In whatever order."""
    assert answer(text) == f"[{F},{G}]"


@pytest.mark.parametrize(
    "text",
    [
        '<tool_call>{"name":"f","arguments":{"x":1}}</tool_call><tool_call>{"name":"g","argu',
        '<invoke name="f"><parameter name="x">1</parameter>',
        "<function=f>\n<parameter=x>1</parameter>\n",
        '[TOOL_CALLS]f[ARGS]{"x": 1',
        "<|python_tag|>f(x=",
        "<tool_call>f\n<arg_key>x</arg_key>\n<arg_value>1",
        "Action: f\nAction Input: {x",
        "I would call f.",
        "`f`",
        '{"name": "f"}',
        "<tool_call></tool_call>",
    ],
)
def test_what_was_cut_off_or_calls_nothing_gives_none(text: str) -> None:
    """A call without the end of its arguments is another call, and so are some of several calls."""
    assert answer(text) is None


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("f(flag=true, x=null, y=[false])", '{"arguments":{"flag":true,"x":null,"y":[false]},"name":"f"}'),
        ("Action: Search[Paris, France]", '{"arguments":{"0":"Paris, France"},"name":"Search"}'),
        ("Action 1: Search[a]\nObservation 1: b\nAction 2: Search[c]\n", '{"arguments":{"0":"c"},"name":"Search"}'),
        ("Action: ask\nAction Input: who?\nObservation: x", '{"arguments":{"0":"who?"},"name":"ask"}'),
        (
            (
                '<invoke name="f"><parameter name="a">two words</parameter><p'
                'arameter name="b">[1, "x"]</parameter></invoke>'
            ),
            '{"arguments":{"a":"two words","b":[1,"x"]},"name":"f"}',
        ),
        ('{"name": "functions.tools.f", "arguments": {}}', '{"arguments":{},"name":"f"}'),
        ('{"name": "f", "arguments": {"tool_uses": [1]}}', '{"arguments":{"tool_uses":[1]},"name":"f"}'),
        (
            '{"name": "x.parallel", "arguments": {"tool_uses": [1]}}',
            '{"arguments":{"tool_uses":[1]},"name":"x.parallel"}',
        ),
        ("true(x=1)", '{"arguments":{"x":1},"name":"true"}'),
    ],
)
def test_arguments_are_read_by_value(text: str, canonical: str) -> None:
    """What has no name of its own is named by its place; the canonical form reads back."""
    assert answer(text) == canonical
    assert answer(canonical) == canonical


def test_a_completion_cut_off_behind_a_closed_call_votes_and_one_within_a_call_does_not() -> None:
    """The closing tag says that the call is whole."""
    whole = '<tool_call>{"name": "f", "arguments": {"x": 1}}</tool_call>'
    for text, excluded in ((whole + "\nThen", None), (whole + '\n<tool_call>{"na', Exclusion.TRUNCATED)):
        sample = Sample(index=0, text=text, finish_reason=FinishReason.LENGTH)
        assert make_candidate(sample, ToolCall(), TASK).excluded is excluded
