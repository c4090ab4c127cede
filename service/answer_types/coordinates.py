"""How models write points and boxes: Qwen-VL, UI-TARS, CogAgent, Florence, InternVL, Molmo and plain words."""

import re

_N = r"[-+]?[0-9]{1,9}(?:\.[0-9]{1,20})?"
_GAP = r"\s{0,16}"
_OPEN, _CLOSE = rf"[\[(]{_GAP}", rf"{_GAP}[\])]"
_LIMIT = 1e9
"""Coordinates are below this, as are those that are read."""


def _n(group: str) -> str:
    return rf"(?P<{group}>{_N})(?:[ ]?px)?"


def _pair(one: str, two: str) -> str:
    return rf"{_OPEN}{_n(one)},{_GAP}{_n(two)}{_CLOSE}"


def _row(*groups: str) -> str:
    return rf"[ ]?(?:,{_GAP}|[ ])".join(map(_n, groups))


_NAME = (
    r"(?:[xy](?:[_-]?(?:min|max)|[012]|[ _-]coord(?:inate)?)?|left|top|right|bottom|width|height|w|h|c[xy]"
    r"|cent(?:er|re)_[xy]|[xy]_cent(?:er|re))"
)
_ITEM = rf"[\"'*`]{{0,2}}\b{_NAME}[\"'*`]{{0,2}}[ ]?[=:][ ]?[\"'*`]{{0,2}}{_N}(?:[ ]?px)?[\"'*`]{{0,2}}"
_OTHER = rf"(?:[\"']\w{{1,20}}[\"']:[ ]?(?:[\"'][^\"'\n]{{0,60}}[\"']|[\w.]{{1,20}}),{_GAP})?"
_ITEMS = re.compile(rf"\b({_NAME})[\"'*`]{{0,2}}[ ]?[=:][ ]?[\"'*`]{{0,2}}({_N})", re.IGNORECASE)
_CORNER = r"[^()\[\]]{0,40}?"

REGION = re.compile(
    rf"{_OPEN}{_row('x1', 'y1', 'x2', 'y2')}{_CLOSE}"
    rf"|{_pair('ax', 'ay')}\s{{0,4}}(?:,|;|to|through|->|[-\u2013\u2014\u2192])?{_GAP}{_pair('bx', 'by')}"
    rf"|{_pair('px', 'py')}"
    rf"|(?:top|upper)[- _]?left{_CORNER}{_pair('cx', 'cy')}"
    rf"[^()\[\]]{{0,60}}?(?:bottom|lower)[- _]?right{_CORNER}{_pair('dx', 'dy')}"
    rf"|(?P<named>{_ITEM}(?:[,;]?{_GAP}{_OTHER}{_ITEM}){{1,5}})"
    r"|(?P<tokens>(?:<loc_?[0-9]{1,4}>[ ]?){2,4})",
    re.IGNORECASE,
)
"""A region that something around it tells from other numbers."""
BARE = re.compile(rf"{_row('x1', 'y1', 'x2', 'y2')}(?![\w%]|[.,][0-9])|{_row('px', 'py')}(?![\w%]|[.,]?[ ]?[0-9])")
"""Two or four numbers, where it is known that they are a region."""
_GROUPS = (("x1", "y1", "x2", "y2"), ("ax", "ay", "bx", "by"), ("px", "py"), ("cx", "cy", "dx", "dy"))
_PALIGEMMA = re.compile(r"(?:<loc[0-9]{4}>[ ]?){4}")
_FIRST = ("{}0", "{}1", "{}min", "{side}", "{}")
_PLACES = 6


def coordinates(found: re.Match[str]) -> tuple[float, ...] | None:
    """Two coordinates of a point or four of a box, corners in order; None where the names do not make either."""
    groups = found.groupdict()
    if groups.get("named"):
        numbers = _named(found["named"])
    elif groups.get("tokens"):
        numbers = _tokens(found["tokens"])
    else:
        names = next(names for names in _GROUPS if groups.get(names[0]))
        numbers = tuple(float(found[name]) for name in names)
    if numbers is None or any(abs(number) >= _LIMIT for number in numbers):
        return None
    numbers = tuple(round(number, _PLACES) + 0.0 for number in numbers)  # -0.0 becomes 0.0
    if len(numbers) == 2:
        return numbers
    x1, y1, x2, y2 = numbers
    return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)


def printed(numbers: tuple[float, ...]) -> str:
    """The canonical form of a point's two or a box's four coordinates."""
    # Rounding may leave -0.0, which becomes 0.0.
    parts = (f"{round(number, _PLACES) + 0.0:.{_PLACES}f}".rstrip("0").rstrip(".") for number in numbers)
    return f"[{', '.join(parts)}]"


def _tokens(spelled: str) -> tuple[float, ...] | None:
    """Location tokens; PaliGemma's, of four digits, have y before x."""
    numbers = tuple(map(float, re.findall(r"[0-9]+", spelled)))
    if _PALIGEMMA.fullmatch(spelled):
        y1, x1, y2, x2 = numbers
        return x1, y1, x2, y2
    return numbers if len(numbers) in (2, 4) else None


def _named(spelled: str) -> tuple[float, ...] | None:
    """What coordinates with names make; where a name comes again, another region begins, and the last one counts."""
    runs: list[dict[str, float]] = [{}]
    for name, number in _ITEMS.findall(spelled):
        short = re.sub(r"[_ -]|coord(?:inate)?|cent(?:er|re)|idth|eight", "", name.lower())
        key = f"c{short}" if "cent" in name.lower() else short
        if key in runs[-1]:
            runs.append({})
        runs[-1][key] = float(number)
    return next((made for run in reversed(runs) if (made := _region(run))), None)


def _region(held: dict[str, float]) -> tuple[float, ...] | None:
    first = [_first(held, axis, side) for axis, side in (("x", "left"), ("y", "top"))]
    second = [_second(held, axis, side) for axis, side in (("x", "right"), ("y", "bottom"))]
    x, y = first
    if x is not None and y is not None:
        if second[0] is not None and second[1] is not None:
            return x, y, second[0], second[1]
        return (x, y, x + held["w"], y + held["h"]) if "w" in held and "h" in held else (x, y)
    if "cx" in held and "cy" in held:
        x, y, half_w, half_h = held["cx"], held["cy"], held.get("w", 0.0) / 2, held.get("h", 0.0) / 2
        return (x - half_w, y - half_h, x + half_w, y + half_h) if half_w and half_h else (x, y)
    return None


def _first(held: dict[str, float], axis: str, side: str) -> float | None:
    return next((held[key] for form in _FIRST if (key := form.format(axis, side=side)) in held), None)


def _second(held: dict[str, float], axis: str, side: str) -> float | None:
    last = f"{axis}1" if f"{axis}0" in held else ""  # x0, x1 is another way to say x1, x2
    return next((held[key] for key in (f"{axis}2", f"{axis}max", side, last) if key in held), None)
