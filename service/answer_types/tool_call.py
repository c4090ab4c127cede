"""`tool_call`: the answer is a call of a tool, or several calls at once."""

import ast
import json
import re
from collections import deque
from collections.abc import Iterator
from itertools import chain

from pydantic import BaseModel

from service.answer_types.base import Options
from service.answer_types.fences import fenced
from service.answer_types.jsontext import WINDOW_CHARS, Json, canonical, in_blocks, read, values
from service.answer_types.syntax import parse
from service.candidates import Extraction, Task

MAX_CALLS = 64
MAX_NAME_CHARS = 200
_LANGUAGES = frozenset({"", "json", "python", "py", "tool_call", "tool_code"})
_ARGUMENTS = ("arguments", "parameters", "args", "input", "kwargs", "action_input")
_NAMES = ("name", "tool", "tool_name", "function_name", "recipient_name", "action")
_ACTION_ENDS = re.compile(r"\n(?:Observation|Thought|Action)\b")
_NAMED_TAG = re.compile(r"<function=([\w.-]{1,200})>((?:(?!<function=).){0,8000}?)</function>", re.DOTALL)
_PARAMETER = re.compile(r"<parameter=([\w.-]{1,200})>((?:(?!</?parameter).){0,8000}?)</parameter>", re.DOTALL)
_ACTION = re.compile(
    r"^Action:[ \t]{0,4}`?([\w.-]{1,200})`?[ \t]{0,4}\n\s{0,4}Action Input:[ \t]{0,4}(.{0,8000})",
    re.DOTALL | re.MULTILINE,
)
_TAG = re.compile(r"<(/?)(?:tool_call|function_call|tool_use)>")
_CALL = re.compile(r"[A-Za-z_][\w.]{0,199}\(.{0,4000}\)", re.DOTALL)


class ToolCallOptions(Options):
    """`exclude`: arguments of these names are not compared. `name_only`: no argument is."""

    exclude: tuple[str, ...] = ()
    name_only: bool = False


class ToolCall:
    """The tools that the completion calls, by name and arguments.

    Evidence, in this order: `json` (a call in JSON that is the whole text; what stands in `<tool_call>` tags, all of
    them), `named` (what stands in tags such as `<function=f>`, all of them, or the last `Action:` with its input),
    `json` again (the last code block; the last call in JSON within the text), `call` (one written as in Python,
    `f(a=1)`, with literals as arguments, that is the whole text, the last code block or the last line).

    In JSON a call is {"name", "arguments"}, alone, as "function" or "function_call", or in an array or "tool_calls";
    arguments are an object, the JSON of one as a string, or null for none. An argument without a name is named by its
    place: "0", "1".

    Canonical form: {"arguments": {...}, "name": "..."} with sorted keys; several calls are an array, sorted, since they
    are made at the same time.
    """

    name: str = "tool_call"
    Options: type[BaseModel] = ToolCallOptions
    exact: bool = True

    def __init__(self, options: ToolCallOptions | None = None) -> None:
        self.options = options or ToolCallOptions()

    def extract(self, text: str, task: Task) -> Extraction | None:
        """The calls that the completion makes, or None."""
        text = text[-WINDOW_CHARS:]
        for evidence, calls, spelling in _found(text):
            if calls and len(calls) <= MAX_CALLS:
                made: list[Json] = [{"name": name, "arguments": arguments} for name, arguments in calls]
                made.sort(key=canonical)
                answer = canonical(made[0] if len(made) == 1 else made)
                if len(answer) > WINDOW_CHARS:
                    return None
                compared = tuple(sorted(self._compared(name, arguments) for name, arguments in calls))
                return Extraction(answer, spelling.strip()[:200], evidence, key=compared)
        return None

    def same(self, left: Extraction, right: Extraction) -> bool:
        """True if names and compared arguments are equal."""
        return left.identity == right.identity

    def _compared(self, name: str, arguments: dict[str, Json]) -> str:
        if self.options.name_only:
            return canonical([name])
        return canonical([name, {k: v for k, v in arguments.items() if k not in self.options.exclude}])


Call = tuple[str, dict[str, Json]]


def _found(text: str) -> Iterator[tuple[str, list[Call], str]]:
    whole = read(text)
    if whole is not None:
        yield "json", _calls(whole.value), whole.spelling
        return
    if tagged := _tagged(text):
        yield "json", [call for part in tagged for call in _in_text(part)], tagged[0]
    if named := _named(text):
        made = [call for _, call in named if call]
        yield "named", made if len(made) == len(named) else [], named[0][0]
    for found in chain(in_blocks(text, _LANGUAGES), values(text)):
        yield "json", _calls(found.value), found.spelling
    lines = text.rstrip()[-4_000:].splitlines()
    for written in (text, *fenced(text, _LANGUAGES), *lines[-1:]):
        yield "call", _written(written), written


def _tagged(text: str) -> list[str]:
    """What the closed tags hold, in order."""
    tags = deque(_TAG.finditer(text), 2 * MAX_CALLS)
    pairs = zip(tags, list(tags)[1:], strict=False)
    return [text[a.end() : b.start()] for a, b in pairs if not a[1] and b[1]]


def _named(text: str) -> list[tuple[str, Call | None]]:
    """The calls whose names stand in a tag or behind `Action:`, with how they are spelled; of actions the last."""
    tags = deque(_NAMED_TAG.finditer(text), MAX_CALLS)
    if tags:
        return [(tag[0], _with_arguments(tag[1], tag[2])) for tag in tags]
    actions = deque(_ACTION.finditer(text), 1)
    return [(found[0], _with_arguments(found[1], _ACTION_ENDS.split(found[2], maxsplit=1)[0])) for found in actions]


def _with_arguments(name: str, written: str) -> Call | None:
    """The call of a name with its arguments in JSON, or each in a tag of its own."""
    held = read(written)
    if held is not None:
        return _call({"name": name, "arguments": held.value})
    parameters = list(_PARAMETER.finditer(written))
    if not parameters or _PARAMETER.sub("", written).strip():
        return None
    values_of = {found[1]: found[2].strip() for found in parameters}
    parts = {key: (read(part), part) for key, part in values_of.items()}
    return name, {key: held.value if held else part for key, (held, part) in parts.items()}


def _in_text(part: str) -> list[Call]:
    held = read(part)
    return _calls(held.value) if held else _written(part)


def _calls(value: Json) -> list[Call]:
    """The calls that a JSON value makes; none unless it is calls throughout."""
    if isinstance(value, dict) and isinstance(value.get("tool_calls"), list):
        value = value["tool_calls"]
    items = value if isinstance(value, list) else [value]
    calls = [_call(item) for item in items[: MAX_CALLS + 1]]
    made = [call for call in calls if call is not None]
    return made if len(made) == len(calls) else []


def _call(value: Json) -> Call | None:
    if not isinstance(value, dict):
        return None
    for holder in ("function", "function_call", "tool_call"):
        inner = value.get(holder)
        if isinstance(inner, dict):
            return _call({key: part for key, part in inner.items() if key != holder})
    name = next((value[key] for key in _NAMES if key in value), None)
    arguments = next((value[key] for key in _ARGUMENTS if key in value), None)
    if arguments is None and any(key in value for key in _ARGUMENTS):
        arguments = {}
    if isinstance(arguments, str):
        held = read(arguments or "{}")
        arguments = held.value if held else None
    if isinstance(name, str) and 0 < len(name.strip()) <= MAX_NAME_CHARS and isinstance(arguments, dict):
        return name.strip(), arguments
    return None


def _written(text: str) -> list[Call]:
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
    calls = [_call_of(node) for node in nodes[: MAX_CALLS + 1]]
    made = [call for call in calls if call is not None]
    return made if len(made) == len(calls) else []


def _call_of(node: ast.expr) -> Call | None:
    if not isinstance(node, ast.Call):
        return None
    name = ast.unparse(node.func) if isinstance(node.func, ast.Name | ast.Attribute) else ""
    if not name.replace(".", "").replace("_", "").isalnum():
        return None
    named = [(str(place), part) for place, part in enumerate(node.args)]
    named += [(keyword.arg, keyword.value) for keyword in node.keywords if keyword.arg]
    if len(named) < len(node.args) + len(node.keywords):
        return None
    try:
        # literal_eval reads constants and containers of them off the tree; it calls nothing.
        literals = {key: ast.literal_eval(part) for key, part in named}
        held = read(json.dumps(literals, allow_nan=False))
    except (ValueError, TypeError, RecursionError, MemoryError):
        return None
    return (name, held.value) if held and isinstance(held.value, dict) and len(name) <= MAX_NAME_CHARS else None
