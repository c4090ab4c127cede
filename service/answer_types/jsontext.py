"""JSON values within text: found by matched brackets in linear time, read with limits, printed in one canonical way.

Objects and arrays that are no JSON are read once more as models write them (`lenient`).

Numbers stay decimal text (`Numeral`), so that no exponent costs more than its length. A value nested deeper than
`MAX_DEPTH`, a number longer than `MAX_DIGITS` digits, NaN and Infinity are no JSON here.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from service.answer_types.fences import fenced
from service.answer_types.lenient import mended

WINDOW_CHARS = 40_000
MAX_MARKS = 7_000
"""Most brackets and quotation marks of the text that is searched for values: JSON has one in every few characters."""
MAX_DEPTH = 64
MAX_PARTS = 10_000
"""Most values within one value, at any depth."""
MAX_MENDED_CHARS = 12_000
"""Longest text that is read once more as models write JSON: it takes several times as long."""
MAX_DIGITS = 400
MAX_EXPONENT = 9_999
MAX_TRIES = 64
_PLAIN_PLACES = 30

# A quotation mark behind a backslash opens no string: so a string that never ends is looked for once a line.
_STRING = r'(?<!\\)"(?:[^"\\\n]|\\.)*+"'
# One in single quotes stands where JSON has strings: an apostrophe in prose opens none.
_QUOTED = r"(?<![\w\\])'(?:[^'\\\n]|\\.)*+'(?=\s{0,8}[,:}\]])"
_COMMENT = r"//|/\*|\#"
_TOKEN = re.compile(
    rf"\{{(?=\s{{0,80}}(?:[\"'}}]|{_COMMENT}))|(?<![\w}}\\])\{{(?=\s{{0,80}}[A-Za-z_$][\w$-]{{0,60}}\s{{0,8}}:)"
    rf"|\[(?=\s{{0,80}}(?:[\"'\[\]{{0-9tfnTFN-]|{_COMMENT}))|[}}\]]|{_STRING}|{_QUOTED}"
)
_OPENER = {"}": "{", "]": "["}
_OPENS_JSON = re.compile(r"""\{\s{0,40}["']|\[\s{0,40}[\[{"]""")
_NUMBER = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([-+]?[0-9]+))?")
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Numeral:
    """A JSON number by its value: equal values have equal `text`, which is JSON again."""

    text: str

    @property
    def is_integer(self) -> bool:
        """True if nothing stands after the decimal point, written out."""
        return "e-" not in self.text if "e" in self.text else "." not in self.text


Json = None | bool | str | Numeral | list["Json"] | dict[str, "Json"]


@dataclass(frozen=True, slots=True)
class Found:
    """A value and how the text had it."""

    value: Json
    spelling: str


def read(text: str) -> Found | None:
    """The whole text as one JSON value, or as an object or array almost in JSON; None if beyond the limits."""
    text = text.strip()
    if not text or len(text) > WINDOW_CHARS or text.count(",") > MAX_PARTS:
        return None
    found = _loaded(text, text)
    if found is None and text[0] in "{[" and text[-1] in "}]" and len(text) <= MAX_MENDED_CHARS:
        return _loaded(mended(text), text)
    return found


def in_blocks(text: str, languages: frozenset[str]) -> Iterator[Found]:
    """What the code blocks of these languages hold that are nothing but one value, last first."""
    return (held for block in fenced(text, languages) if (held := read(block)))


def values(text: str) -> Iterator[Found]:
    """The objects and arrays in the text, last first, an outer one before those within it.

    What stands within an object or array that never closes is no value: it is the beginning of one that was cut off.
    Only the last `WINDOW_CHARS` characters are read, or the last half of them, a quarter and so on while there are more
    than `MAX_MARKS` brackets and quotation marks. At most `MAX_TRIES` places are tried, four times the text's length.
    """
    whole = len(text)
    text = text[-WINDOW_CHARS:]
    while sum(map(text.count, '{}[]"')) > MAX_MARKS:
        text = text[len(text) // 2 :]
    cut_before = len(text) < whole
    budget, reached = 4 * len(text), len(text) + 1
    for start, end in _pairs(text, cut_before)[:MAX_TRIES]:
        budget -= end - start
        if budget < 0:
            return
        if end <= reached and (found := read(text[start:end])) is not None:
            reached = start
            yield found


def canonical(value: Json) -> str:
    """The value as compact JSON: keys sorted, numbers by value (1.0 and 1e0 print as 1)."""
    if isinstance(value, Numeral):
        return value.text
    if isinstance(value, list):
        return f"[{','.join(canonical(item) for item in value)}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{canonical(key)}:{canonical(value[key])}' for key in sorted(value))}}}"
    text = json.dumps(paired(value) if isinstance(value, str) else value, ensure_ascii=False)
    return _SURROGATE.sub(lambda lone: f"\\u{ord(lone[0]):04x}", text)


def paired(text: str) -> str:
    """The text with two surrogates that make a pair as the one character that JSON reads them as."""
    if not _SURROGATE.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def numeral(text: str) -> Numeral:
    """The number that a JSON literal spells; ValueError beyond the limits."""
    if len(text) <= _PLAIN_PLACES and text.isascii() and text.isdigit() and text[0] != "0":
        return Numeral(text)
    parts = _NUMBER.fullmatch(text)
    if parts is None:
        raise ValueError("no number")
    sign, whole, decimals, power = parts[1], parts[2], parts[3] or "", int(parts[4] or 0)
    digits = (whole + decimals).lstrip("0")
    stripped = digits.rstrip("0")
    point = len(digits) - len(decimals) + power
    if len(stripped) > MAX_DIGITS or abs(point) > MAX_EXPONENT:
        raise ValueError("a number beyond the limits")
    return Numeral(sign + _written(stripped, point) if stripped else "0")


def _written(digits: str, point: int) -> str:
    """The digits with the decimal point after so many of them, in plain or scientific notation."""
    if len(digits) <= point <= len(digits) + _PLAIN_PLACES:
        return digits.ljust(point, "0")
    if 0 < point < len(digits):
        return f"{digits[:point]}.{digits[point:]}"
    if -_PLAIN_PLACES < point <= 0:
        return f"0.{'0' * -point}{digits}"
    mantissa = f"{digits[0]}.{digits[1:]}" if digits[1:] else digits
    return f"{mantissa}e{point - 1}"


def _pairs(text: str, cut_before: bool) -> list[tuple[int, int]]:
    """Where brackets that could be JSON's open and close, last first; none behind an unclosed beginning of JSON.

    Of a text whose beginning is missing, what an unmatched closing bracket follows is part of something larger.
    """
    pairs: list[tuple[int, int]] = []
    opened: list[tuple[str, int]] = []
    waiting = {"{": 0, "[": 0}
    at = 0
    while token := _TOKEN.search(text, at):
        mark, at = token[0], token.end()
        if mark in waiting:
            opened.append((mark, token.start()))
            waiting[mark] += 1
        elif mark not in _OPENER:
            at = at if opened else token.start() + 1  # a quotation mark in prose opens no string
        else:
            start = _close(_OPENER[mark], opened, waiting)
            if start is not None:
                pairs.append((start, at))
            elif cut_before:
                pairs.clear()
    cut = next((start for _, start in opened if _OPENS_JSON.match(text, start)), len(text))
    return [pair for pair in reversed(pairs) if pair[0] < cut]


def _close(opener: str, opened: list[tuple[str, int]], waiting: dict[str, int]) -> int | None:
    """Takes the last opener of the kind off the stack, with what stayed open after it."""
    while waiting[opener]:
        mark, start = opened.pop()
        waiting[mark] -= 1
        if mark == opener:
            return start
    return None


def _loaded(written: str, spelling: str) -> Found | None:
    try:
        value: Json = json.loads(written, parse_int=numeral, parse_float=numeral, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return Found(value, spelling) if _within_limits(value) else None


def _within_limits(value: Json) -> bool:
    """True if nothing nests deeper than `MAX_DEPTH` and there are at most `MAX_PARTS` values within."""
    level: list[Json] = [value]
    parts = depth = 0
    while level := [held for held in level if isinstance(held, list | dict)]:
        depth += 1
        level = [part for held in level for part in (held.values() if isinstance(held, dict) else held)]
        parts += len(level)
        if depth > MAX_DEPTH or parts > MAX_PARTS:
            return False
    return True


def _refuse(constant: str) -> Json:
    raise ValueError(f"{constant} is no JSON")
