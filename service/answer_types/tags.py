"""The answer between tags, as prompts ask for it and some models give it by themselves: `<answer>…</answer>`.

The tags are `<answer>`, `<final_answer>`, `<response>`, `<solution>`, `<|begin_of_box|>`, `<|begin_of_solution|>` and
`[BEGIN FINAL RESPONSE]`, each with its closing one. One right behind a quotation mark is mentioned, not used.
"""

import re
from bisect import bisect_left
from collections import deque

MAX_TAGS = 32
MAX_CHARS = 100_000
"""Tags are looked for in so many last characters."""

_OPEN = re.compile(
    r"[<\[](?<![\"'`][<\[])"
    r"(?:(?:(?:final[_ -]?)?answer|response|solution)>|\|begin_of_(?:box|solution)\|>|BEGIN FINAL RESPONSE\])",
    re.IGNORECASE,
)
_CLOSE = re.compile(
    r"[<\[](?:/(?:(?:final[_ -]?)?answer|response|solution)>|\|end_of_(?:box|solution)\|>|END FINAL RESPONSE\])",
    re.IGNORECASE,
)
_ENDS = ("nswer>", "NSWER>", "esponse>", "olution>", "OLUTION>", "RESPONSE>", "RESPONSE]", "_box|>", "_solution|>")
_PLACEHOLDER = re.compile(
    r"[\s._*\[\](){}\u2026?-]{0,40}"
    r"(?:(?:(?:your|the|final|insert|put|here|goes|is)\s{1,4}){0,6}answer(?:\s{1,4}(?:goes\s|is\s)?here)?)?"
    r"[\s._*\[\](){}\u2026?-]{0,40}",
    re.IGNORECASE,
)


def within_tags(text: str) -> tuple[str, bool]:
    """What stands between the last answer tags, and True if they are closed; the text itself if there are none.

    Empty tags and placeholders ("your answer here") are passed over, as prompts repeat them. What an unclosed tag opens
    at the end of the text is the answer: a stop sequence often takes the closing one. A closing tag alone ends the
    answer: what comes after it is no part of it.
    """
    tail = text[-MAX_CHARS:]
    if not any(end in tail for end in _ENDS):
        return text, False
    closed = [tag.start() for tag in _CLOSE.finditer(tail)]
    opened = deque(_OPEN.finditer(tail), MAX_TAGS)
    for tag in reversed(opened):
        place = bisect_left(closed, tag.end())
        if place < len(closed) and not _PLACEHOLDER.fullmatch(held := tail[tag.end() : closed[place]]):
            return held, True
    if opened:
        rest = tail[opened[-1].end() :]
        return (text, False) if closed or _PLACEHOLDER.fullmatch(rest) else (rest, False)
    return (tail[: closed[0]], False) if closed and tail[: closed[0]].strip() else (text, False)
