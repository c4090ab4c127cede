"""The forms in which models call tools: in JSON, by a name in a tag with its arguments behind it, or as in Python.

Formats of Hermes, Qwen, Llama 3, Mistral, DeepSeek, Kimi, GLM, gpt-oss, Functionary, Claude and ReAct prompts, as their
chat templates have them. Nothing is evaluated.
"""

import ast
import json
import re
from collections import deque
from itertools import pairwise

from service.answer_types.fences import fenced
from service.answer_types.jsontext import Json, paired, read
from service.answer_types.syntax import parse

MAX_CALLS = 64
MAX_NAME_CHARS = 200
Call = tuple[str, dict[str, Json]]

_NAME = r"([\w.-]{1,200})"
_BAR, _JOIN = r"[|\uff5c]", r"[\u2581_]"
_OPENERS: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...] = (
    (re.compile(rf"<function={_NAME}>"), ("</function>",)),
    (
        re.compile(
            rf"<(?:invoke|function|tool|tool_call|function_call|tool_use)[ ]name[ ]?=[ ]?"
            rf"[\"']?{_NAME}[\"']?[^<>]{{0,99}}>"
        ),
        ("</invoke>", "</function>", "</tool>", "</tool_call>", "</function_call>", "</tool_use>"),
    ),
    (re.compile(rf"\[TOOL_CALLS\][ ]?{_NAME}(?:\[CALL_ID\][\w-]{{1,60}})?(?:\[ARGS\])?[ ]?(?=\{{)"), ("</s>",)),
    (
        re.compile(
            rf"<{_BAR}tool{_JOIN}call{_JOIN}begin{_BAR}>(?:function<{_BAR}tool{_JOIN}sep{_BAR}>)?\s{{0,4}}{_NAME}(?::\d{{1,4}})?"
            rf"\s{{0,4}}(?:<{_BAR}tool{_JOIN}(?:sep|call{_JOIN}argument{_JOIN}begin){_BAR}>)?"
        ),
        ("<\uff5ctool\u2581call\u2581end\uff5c>", "<|tool_call_end|>"),
    ),
    (re.compile(rf"\bto={_NAME}[^{{}}\n]{{0,80}}<\|message\|>"), ("<|call|>", "<|end|>")),
    (re.compile(rf"^>>>[ ]?{_NAME}\n(?=\s{{0,8}}\{{)", re.MULTILINE), ()),
    (re.compile(rf"\u273fFUNCTION\u273f:[ ]{{0,4}}{_NAME}\s{{0,4}}\u273fARGS\u273f:"), ("\u273f",)),
    (re.compile(r"<invoke>|<tool_use>"), ("</invoke>", "</tool_use>")),
)
"""What a call opens with, its name in the first group, and what may close it."""
_PARAMETER = re.compile(
    rf"<parameter(?:=|[ ]name[ ]?=[ ]?[\"']?){_NAME}[\"']?[^<>]{{0,40}}>((?:(?!</?parameter).){{0,8000}}?)</parameter>",
    re.DOTALL,
)
_PAIR = re.compile(
    r"<arg_key>([^<]{1,200})</arg_key>\s{0,8}<arg_value>((?:(?!</?arg_).){0,8000}?)</arg_value>", re.DOTALL
)
_ELEMENT = re.compile(r"<([\w.-]{1,200})>((?:(?!</?\1>).){0,8000}?)</\1>", re.DOTALL)
_ACTION = re.compile(
    rf"^Action:[ \t]{{0,4}}`?{_NAME}`?[ \t]{{0,4}}\n\s{{0,4}}Action Input:[ \t]{{0,4}}(.{{0,8000}})",
    re.DOTALL | re.MULTILINE,
)
_ACTION_ENDS = re.compile(r"\n(?:Observation|Thought|Action|Final Answer)\b")
_SEARCH = re.compile(rf"^Action(?:[ ]\d{{1,3}})?:[ \t]{{0,4}}{_NAME}\[([^\n]{{0,400}})\][ \t.]{{0,4}}$", re.MULTILINE)

_ARGUMENTS = (
    *("arguments", "parameters", "args", "input", "kwargs", "action_input", "tool_input", "tool_args", "params"),
    *("tool_parameters", "tool_arguments", "function_args", "function_arguments", "inputs"),
)
_NAMES = (
    *("name", "tool", "tool_name", "toolName", "function_name", "recipient_name", "action", "function", "func"),
    *("api_name", "tool_use"),
)
_HOLDERS = (
    *("function", "function_call", "functionCall", "tool_call", "toolCall", "toolUse", "tool_use", "tool", "call"),
    "action",
)
_SEVERAL = ("tool_calls", "tool_uses", "function_calls", "toolCalls", "calls")
_SPACES = ("functions.", "default_api.", "tools.")
_CALL = re.compile(r"[A-Za-z_][\w.]{0,199}\(.{0,4000}\)", re.DOTALL)
_LITERALS = {"true": True, "false": False, "null": None}


def of_json(value: Json, bare: bool = False) -> list[Call]:
    """The calls that a JSON value makes; none unless it is calls throughout. `bare`: a name alone is one, too."""
    if isinstance(value, dict):
        several = next((held for key in _SEVERAL if isinstance(held := value.get(key), list)), None)
        value = value if several is None else several
    items = value if isinstance(value, list) else [value]
    calls: list[Call] = []
    for item in items[: MAX_CALLS + 1]:
        call = _of_object(item, bare)
        if call is None:
            return []
        parallel = call[1].get("tool_uses") if call[0].endswith("parallel") else None
        calls += (of_json(parallel) if isinstance(parallel, list) else []) or [call]
    return calls


def _of_object(value: Json, bare: bool) -> Call | None:
    if not isinstance(value, dict):
        return None
    for holder in _HOLDERS:
        inner = value.get(holder)
        if isinstance(inner, dict):
            return _of_object({key: part for key, part in inner.items() if key != holder}, bare)
    name = next((value[key] for key in _NAMES if key in value), None)
    arguments = next((value[key] for key in _ARGUMENTS if key in value), None)
    if arguments is None and (any(key in value for key in _ARGUMENTS) or (bare and len(value) == 1)):
        arguments = {}
    if isinstance(arguments, str):
        held = read(arguments or "{}")
        arguments = held.value if held else None
    return _call(name, arguments)


def _call(name: Json, arguments: Json) -> Call | None:
    """A call of this name, without the name space that all tools of a prompt share."""
    if not isinstance(name, str) or not isinstance(arguments, dict):
        return None
    name = name.strip()
    while space := next((space for space in _SPACES if name.startswith(space)), ""):
        name = name[len(space) :].lstrip()
    return (name, arguments) if 0 < len(name) <= MAX_NAME_CHARS else None


def named(text: str) -> list[tuple[str, Call | None]]:
    """The calls whose names open them, each with how it is spelled; None for one that cannot be read.

    Of ReAct's actions only the last one: the others were answered.
    """
    for opener, closers in _OPENERS:
        marks = list(deque(opener.finditer(text), MAX_CALLS + 1))
        if marks:
            ends = [mark.start() for mark in marks[1:]] + [len(text)]
            return [_opened(text, mark, end, closers) for mark, end in zip(marks, ends, strict=True)]
    actions = deque(_ACTION.finditer(text), 1)
    searches = deque(_SEARCH.finditer(text), 1)
    if searches and (not actions or actions[0].start() < searches[0].start()):
        return [(found[0], _call(found[1], {"0": paired(found[2].strip())})) for found in searches]
    return [(found[0], _acted(found[1], _ACTION_ENDS.split(found[2], maxsplit=1)[0].strip())) for found in actions]


def _opened(text: str, mark: re.Match[str], end: int, closers: tuple[str, ...]) -> tuple[str, Call | None]:
    """The call that one mark opens; one that nothing closes must have its arguments in JSON, whose end is known."""
    closing = min((at for closer in closers if (at := text.find(closer, mark.end(), end)) >= 0), default=-1)
    body = text[mark.end() : closing if closing >= 0 else end].strip()
    if mark[0].endswith("/>"):
        return mark[0], _call(mark[1], {})
    call = _with_arguments(mark[1], body, closing >= 0) if mark.re.groups else _of_elements(body)
    return text[mark.start() : mark.end() + len(body)][:200], call


def _with_arguments(name: str, written: str, closed: bool) -> Call | None:
    """The call of a name with its arguments in JSON, or each in a tag of its own."""
    held = read(written) or next((held for block in fenced(written, _JSON) if (held := read(block))), None)
    if held is None and not closed:  # what follows the arguments is no part of them
        held = next((held for stop in ("<|", "<\uff5c", "</", "\n\n") if (held := read(written.split(stop)[0]))), None)
    if held is not None:
        return _of_object({"name": name, "arguments": held.value}, bare=False)
    return _call(name, _tagged_values(written)) if closed else None


_JSON = frozenset({"", "json"})


def _tagged_values(written: str) -> dict[str, Json] | None:
    """Arguments that stand each in a tag of their own; a value that is JSON is read as such. None for anything else."""
    for form in (_PARAMETER, _PAIR):
        if not form.sub("", written).strip():
            values_of = {found[1].strip(): found[2].strip() for found in form.finditer(written)}
            parts = {key: (read(part), part) for key, part in values_of.items()}
            return {key: held.value if held else paired(part) for key, (held, part) in parts.items()}
    return None


def keyed(part: str) -> Call | None:
    """A name with its arguments in pairs of tags, as GLM has it."""
    name, opening, pairs = part.strip().partition("<arg_key>")
    arguments = _tagged_values(opening + pairs) if re.fullmatch(_NAME, name.strip()) else None
    return _call(name, arguments) if arguments else None


def _of_elements(body: str) -> Call | None:
    """A call whose name and arguments are elements: <name>f</name><input>{"x": 1}</input>."""
    held = read(body)
    if held is not None:
        return _of_object(held.value, bare=True)
    parts = {found[1]: found[2].strip() for found in _ELEMENT.finditer(body)}
    name = next((parts[key] for key in _NAMES if key in parts), None)
    written = next((parts[key] for key in _ARGUMENTS if key in parts), "{}")
    arguments = read(written)
    if arguments is not None:
        return _call(name, arguments.value)
    elements = {found[1]: found[2].strip() for found in _ELEMENT.finditer(written)}
    parsed = {key: (read(part), part) for key, part in elements.items()}
    return _call(name, {k: held.value if held else paired(part) for k, (held, part) in parsed.items()} or None)


def _acted(name: str, written: str) -> Call | None:
    """ReAct's call: its input is JSON, or the one argument itself."""
    held = read(written)
    if held is not None and isinstance(held.value, dict):
        return _call(name, held.value)
    if held is None and (not written or written[0] in "{[" or "\n" in written):
        return None
    return _call(name, {"0": held.value if held else paired(written)})


def written(text: str) -> list[Call]:
    """The calls of a text that is nothing but calls in Python's way, or a list of them."""
    text = text.strip().strip("`").rstrip(";").strip()
    if not _CALL.fullmatch(text.strip("[] \n")):
        return []
    tree = parse(text)
    nodes: list[ast.expr] = []
    for statement in tree.body if tree else []:
        if not isinstance(statement, ast.Expr):
            return []
        nodes.extend(statement.value.elts if isinstance(statement.value, ast.List) else [statement.value])
    calls = [_of_node(node) for node in nodes[: MAX_CALLS + 1]]
    made = [call for call in calls if call is not None]
    return made if len(made) == len(calls) else []


def _of_node(node: ast.expr) -> Call | None:
    if not isinstance(node, ast.Call):
        return None
    name = ast.unparse(node.func) if isinstance(node.func, ast.Name | ast.Attribute) else ""
    if name == "print" and len(node.args) == 1 and not node.keywords and isinstance(node.args[0], ast.Call):
        return _of_node(node.args[0])  # Gemini prints what a call returns
    if not name.replace(".", "").replace("_", "").isalnum():
        return None
    parts = [(str(place), part) for place, part in enumerate(node.args)]
    parts += [(keyword.arg, keyword.value) for keyword in node.keywords if keyword.arg]
    if len(parts) < len(node.args) + len(node.keywords):
        return None
    try:
        # literal_eval reads constants and containers of them off the tree; it calls nothing.
        literals = {key: ast.literal_eval(_Literal().visit(part)) for key, part in parts}
        held = read(json.dumps(literals, allow_nan=False))
    except (ValueError, TypeError, RecursionError, MemoryError):
        return None
    return _call(name, held.value if held else None)


class _Literal(ast.NodeTransformer):
    """JSON's true, false and null as Python's."""

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.Constant(_LITERALS[node.id]) if node.id in _LITERALS else node


def tagged(text: str, tag: re.Pattern[str]) -> tuple[list[str], bool]:
    """What the tags hold, in order, and whether the last one is closed; the first group of `tag` is "/" in a closing
    one."""
    tags = deque(tag.finditer(text), 2 * MAX_CALLS + 2)
    parts = [text[a.end() : b.start()] for a, b in pairwise(tags) if not a[1] and b[1]]
    is_open = bool(tags) and not tags[-1][1]
    return ([*parts, text[tags[-1].end() :]] if is_open else parts), not is_open
