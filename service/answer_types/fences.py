"""Code blocks between fences, as Markdown has them."""

import re
from collections import deque
from collections.abc import Iterator

WINDOW_CHARS = 40_000
MAX_BLOCKS = 16

_FENCE = re.compile(r"^[ \t]{0,8}(```+|~~~+)[ \t]{0,4}([^\s`{]{0,40})[^\n`]{0,80}$", re.MULTILINE)


def fenced(text: str, languages: frozenset[str]) -> Iterator[str]:
    """What the closed blocks of these languages hold ("" is a block that names none), last first."""
    text = text[-WINDOW_CHARS:]
    blocks: deque[tuple[int, int]] = deque(maxlen=MAX_BLOCKS)
    opened: re.Match[str] | None = None
    for fence in _FENCE.finditer(text):
        if opened is None:
            opened = fence
        elif fence[1][0] == opened[1][0] and len(fence[1]) >= len(opened[1]) and not fence[2]:
            if opened[2].lower() in languages:
                blocks.append((opened.end() + 1, fence.start()))
            opened = None
    for start, end in reversed(blocks):
        yield text[start:end]


def unclosed(text: str, languages: frozenset[str]) -> str | None:
    """What the only fence of the text opens, if that is a block of these languages which never closes."""
    fences = [*_FENCE.finditer(text[-WINDOW_CHARS:])]
    if len(fences) != 1 or fences[0][2].lower() not in languages:
        return None
    return fences[0].string[fences[0].end() + 1 :]
