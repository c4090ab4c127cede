"""What a completion thinks before it answers, told apart by the marks that models put around it.

Each make of model has marks of its own; a block ends with the mark of its own kind. Read are `<think>`, `<thinking>`,
`<thought>`, `<reasoning>`, `<seed:think>`, `[THINK]`, `<|begin_of_thought|>`, `<|START_THINKING|>`, `◁think▷` and
`<|channel>thought`, each with its closing mark, and the channels of gpt-oss: `<|channel|>analysis<|message|>` is
thinking, `final` is the answer; also where the control tokens were dropped and "analysis…assistantfinal…" is left.
"""

import re
from functools import lru_cache
from itertools import islice

MAX_THINK_TAGS = 4_096

_THINK = re.compile(
    r"[<\[\u25c1](?:"  # one set of first letters: a search skips to these
    r"(?P<end1>/?)think(?:ing)?>"
    r"|(?P<end2>/?)thought>"
    r"|(?P<end3>/?)reasoning>"
    r"|(?P<end4>/?)seed:think>"
    r"|(?P<end5>/?)THINK\]"
    r"|\|(?P<end6>begin|end)_of_thought\|>"
    r"|\|(?P<end7>START|END)_THINKING\|>"
    r"|(?P<end8>/?)think\u25b7"
    r"|(?P<end9>\|channel>[ \t]{0,4}thought\b|channel\|>))",
    re.IGNORECASE,
)
_MARKS = ("hink", "HINK", "hought", "HOUGHT", "easoning>", "EASONING>", "channel|>")
"""One of these is in every text with a mark: a look for them is quick."""
_CLOSING = frozenset({"/", "end", "channel|>"})
_CHANNEL = re.compile(
    r"<\|channel\|>\s{0,4}(analysis|commentary|final)\b(?:(?!<\|message\|>)[^\n]){0,120}<\|message\|>"
)
_MESSAGE_END = re.compile(r"<\|(?:return|end|start|call)\|>")
_BARE_CHANNEL = re.compile(r"\s{0,8}(?:analysis(?=[A-Z])|commentary(?=[A-Z]))")
_BARE_FINAL = "assistantfinal"


@lru_cache(maxsize=4)  # `auto` and the type that it decides on ask for the same text in turn
def strip_thinking(text: str) -> tuple[str, bool]:
    """The text without its thinking, and True if that was left unclosed.

    Blocks of one kind may nest. A closing mark without an opening one ends a block that the prompt opened: all before
    it is thinking. After an unclosed mark nothing is kept. More than `MAX_THINK_TAGS` marks are thinking without end.
    """
    if "<|channel|>" in text:
        return _of_channels(text)
    if _BARE_CHANNEL.match(text):
        _, final, answer = text.rpartition(_BARE_FINAL)
        return answer if final else "", not final
    return _of_blocks(text) if any(mark in text for mark in _MARKS) else (text, False)


def _of_blocks(text: str) -> tuple[str, bool]:
    kept: list[str] = []
    opened: str | None = None
    depth = tags = start = 0
    for tag in islice(_THINK.finditer(text), MAX_THINK_TAGS + 1):
        tags += 1
        kind = tag.lastgroup
        if depth and kind != opened:
            continue
        if not depth:
            kept.append(text[start : tag.start()])
        if tag[kind or 0].lower() not in _CLOSING:
            depth, opened = depth + 1, kind
        elif depth:
            depth -= 1
        else:
            kept.clear()
        start = tag.end()
    unclosed = depth > 0 or tags > MAX_THINK_TAGS
    return "".join(kept if unclosed else [*kept, text[start:]]), unclosed


def _of_channels(text: str) -> tuple[str, bool]:
    """The last message of the final channel; where there is none, what is called or said beside the analysis.

    Of a call the channel's head stays, for it names the tool.
    """
    last: dict[str, int] = {}
    for number, channel in enumerate(_CHANNEL.finditer(text)):
        calls = channel[1] == "commentary" and " to=" in channel[0]
        last[channel[1]] = channel.start() if calls else channel.end()
        if number > MAX_THINK_TAGS:
            return "", True
    start = last.get("final", last.get("commentary"))
    if start is None:
        return ("", True) if last else (text, False)
    end = _MESSAGE_END.search(text, start)
    return text[start : end.start() if end else len(text)], False
