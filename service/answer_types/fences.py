"""Code blocks between fences, as Markdown has them."""

import re
from collections import deque
from collections.abc import Iterator

WINDOW_CHARS = 40_000
MAX_BLOCKS = 16

# A fence may stand behind the mark of a list or a quotation, or right behind a tag such as <answer>.
_FENCE = re.compile(
    r"^[ \t]{0,8}(?:(?:[-*+>]|[0-9]{1,2}[.)])[ ]{1,3}|<[a-z_]{1,20}>[ ]?)?"
    r"(```+|~~~+)[ \t]{0,4}([^\s`{]{0,40})[^\n`]{0,80}$",
    re.MULTILINE,
)


def fenced(text: str, languages: frozenset[str]) -> Iterator[str]:
    """What the closed blocks of these languages hold ("" is a block that names none), last first."""
    text = text[-WINDOW_CHARS:]
    for opened, end in reversed(_blocks(text)):
        if end is not None and opened[2].lower() in languages:
            yield text[opened.end() + 1 : end]


def left_open(text: str, languages: frozenset[str]) -> bool:
    """True if the last block never closes and is one of these languages."""
    blocks = _blocks(text[-WINDOW_CHARS:])
    return bool(blocks) and blocks[-1][1] is None and blocks[-1][0][2].lower() in languages


def unclosed(text: str, languages: frozenset[str]) -> str | None:
    """What the only fence of the text opens, if that is a block of these languages which never closes."""
    fences = [*_FENCE.finditer(text[-WINDOW_CHARS:])]
    if len(fences) != 1 or fences[0][2].lower() not in languages:
        return None
    held = fences[0].string[fences[0].end() + 1 :]
    mark = fences[0][1]
    return held.rstrip().removesuffix(mark) if held.rstrip().endswith(mark) else held  # closed behind the last line


def _blocks(text: str) -> deque[tuple[re.Match[str], int | None]]:
    """The last blocks in order: the fence that opens each, and where it closes, if it does."""
    blocks: deque[tuple[re.Match[str], int | None]] = deque(maxlen=MAX_BLOCKS)
    opened: re.Match[str] | None = None
    for fence in _FENCE.finditer(text):
        if opened is None:
            opened = fence
        elif fence[1][0] == opened[1][0] and len(fence[1]) >= len(opened[1]) and fence[2][:2] in ("", "</"):
            blocks.append((opened, fence.start()))
            opened = None
    if opened is not None:
        blocks.append((opened, None))
    return blocks
