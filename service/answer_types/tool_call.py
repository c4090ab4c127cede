"""`tool_call`: the answer is a call of a tool, or several calls at once."""

import re
from collections.abc import Iterator
from itertools import chain

from pydantic import BaseModel

from service.answer_types.base import Options
from service.answer_types.call_forms import MAX_CALLS, Call, keyed, named, of_json, tagged, written
from service.answer_types.fences import fenced
from service.answer_types.jsontext import WINDOW_CHARS, Json, canonical, in_blocks, read, values
from service.candidates import Extraction, Task

_LANGUAGES = frozenset({"", "json", "python", "py", "tool_call", "tool_code"})
_TAG = re.compile(r"<\|?(/?)(?:tool_calls?|function_calls?|functioncall|tool_use|tool_code)\|?>")
_PYTHON_TAG = "<|python_tag|>"
_ENDS = (
    "<|eot_id|>",
    "<|eom_id|>",
    "<|im_end|>",
    "<|call|>",
    "<|end|>",
    "</s>",
    "<|tool_call_end|>",
    "<bot_end>",
    "[END_TOOL_REQUEST]",
)
_LABEL = re.compile(r"[ \t]{0,8}(?:[A-Za-z][A-Za-z ]{0,30}:|[-*])[ \t]{1,4}(?=[`A-Za-z_\[])")
_SPAN = re.compile(r"`([^`\n]{1,2000})`")
_BETWEEN = frozenset(" \n\t\r;,")
_MAX_LINES = 40


class ToolCallOptions(Options):
    """`exclude`: arguments of these names are not compared. `name_only`: no argument is."""

    exclude: tuple[str, ...] = ()
    name_only: bool = False


class ToolCall:
    """The tools that the completion calls, by name and arguments.

    Evidence, in this order: `json` (a call in JSON that is the whole text; what stands in `<tool_call>` tags, all of
    them; none if the last tag was cut off), `named` (what follows `<|python_tag|>`; what stands in marks such as
    `<function=f>`, `<invoke name="f">` or `[TOOL_CALLS]f[ARGS]`, all of them; the last `Action:` with its input),
    `json` again (a text of nothing but calls in JSON; the last code block; the last call in JSON within the text),
    `call` (written as in Python, `f(a=1)`, with literals as arguments: the whole text, the last code block, the last
    lines, or the last such code between backticks).

    In JSON a call is {"name", "arguments"}, alone, as "function" or "function_call", or in an array or "tool_calls";
    arguments are an object, the JSON of one as a string, or null for none. An argument without a name is named by its
    place: "0", "1". `functions.` and the like before a name are left out.

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
        text = _bare(text[-WINDOW_CHARS:].replace("<|tool_call_start|>", _PYTHON_TAG))
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


def _found(text: str) -> Iterator[tuple[str, list[Call], str]]:
    whole = read(text)
    if whole is not None:
        yield "json", of_json(whole.value), whole.spelling
        return
    parts, closed = tagged(text, _TAG)
    if parts:
        held = [_in_text(part) for part in parts]
        if not closed and not held[-1]:
            return  # the last of them was cut off
        yield "json", [call for calls in held for call in calls], parts[0]
    if _PYTHON_TAG in text:
        part = text.rpartition(_PYTHON_TAG)[2]
        yield "named", [(name.removesuffix(".call"), arguments) for name, arguments in _in_text(part)], part
    if opened := named(text):
        made = [call for _, call in opened if call]
        yield "named", made if len(made) == len(opened) else [], opened[0][0]
    yield "json", _in_sequence(text), text
    for found in chain(in_blocks(text, _LANGUAGES), values(text)):
        yield "json", of_json(found.value), found.spelling
    for part in (text, *fenced(text, _LANGUAGES)):
        yield "call", written(part), part
    yield "call", *_in_lines(text)


def _in_text(part: str) -> list[Call]:
    """The calls of a text that should be nothing else."""
    held = read(part)
    if held is not None:
        return of_json(held.value, bare=True)
    opened = [call for _, call in named(part)]
    made = [call for call in opened if call]
    if made and len(made) == len(opened):
        return made
    call = keyed(part)
    return [call] if call else _in_sequence(part) or written(part)


def _in_sequence(part: str) -> list[Call]:
    """The calls of a text that is nothing but values of JSON, parted by line breaks, commas or semicolons."""
    if part.lstrip()[:1] not in ("{", "["):
        return []
    calls: list[Call] = []
    end = len(part)
    for found in values(part):
        start = part.rfind(found.spelling, 0, end)
        made = of_json(found.value)
        if not made or not _BETWEEN.issuperset(part[start + len(found.spelling) : end]):
            return []
        calls = made + calls
        end = start
    return calls if _BETWEEN.issuperset(part[:end]) else []


def _in_lines(text: str) -> tuple[list[Call], str]:
    """The calls on the last lines, each a line of its own; or the last one that stands between backticks."""
    calls: list[Call] = []
    lines = text.rstrip()[-4_000:].splitlines()
    for line in reversed(lines[-_MAX_LINES:]):
        made = written(line) or written(_LABEL.sub("", line, count=1))
        if not made:
            break
        calls = made + calls
    if calls or not lines:
        return calls, lines[-1] if lines else ""
    spans = reversed(_SPAN.findall("\n".join(lines))[-_MAX_LINES:])
    return next(((made, span) for span in spans if (made := written(span))), ([], ""))


def _bare(text: str) -> str:
    """The text without the tokens that end a message, as far as it ends with them."""
    for _ in range(len(_ENDS)):
        text = text.rstrip()
        end = next((mark for mark in _ENDS if text.endswith(mark)), "")
        if not end:
            break
        text = text[: -len(end)]
    return text
