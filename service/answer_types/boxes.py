"""`boxes`: the answer is a point or a box on a screen or an image."""

import re
from collections import deque
from collections.abc import Iterator

from pydantic import BaseModel, Field

from service.answer_types import reading
from service.answer_types.base import Options
from service.answer_types.regions import POINT_SIDE, Box, overlap
from service.candidates import Extraction, Task

_N = r"[-+]?[0-9]{1,9}(?:\.[0-9]{1,20})?"
_SEP = r"[ ]?(?:,\s{0,4}|[ ])"
_FOUR = rf"(?P<x1>{_N}){_SEP}(?P<y1>{_N}){_SEP}(?P<x2>{_N}){_SEP}(?P<y2>{_N})"
_OPEN, _CLOSE = r"[\[(]\s{0,4}", r"\s{0,4}[\])]"


def _named(name: str, group: str, last: bool = False) -> str:
    """A coordinate with its name, such as `"x1": 10, `."""
    following = "" if last else r"(?:,\s{0,4}|\s{1,4})"
    return rf"[\"']?\b{name}[\"']?\s?[=:]\s?[\"']?(?P<{group}>{_N})[\"']?{following}"


_REGION = re.compile(
    rf"{_OPEN}{_FOUR}{_CLOSE}"
    rf"|{_OPEN}(?P<ax>{_N}),\s{{0,4}}(?P<ay>{_N}){_CLOSE}\s{{0,4}},?\s{{0,4}}"
    rf"{_OPEN}(?P<bx>{_N}),\s{{0,4}}(?P<by>{_N}){_CLOSE}"
    rf"|{_OPEN}(?P<px>{_N}),\s{{0,4}}(?P<py>{_N}){_CLOSE}"
    rf"|{_named('x1', 'cx')}{_named('y1', 'cy')}{_named('x2', 'dx')}{_named('y2', 'dy', last=True)}"
    rf"|\bx\d?[\"']?\s?[=:]\s?[\"']?(?P<nx>{_N})[\"']?(?:,\s{{0,4}}|\s{{1,4}})[\"']?y\d?[\"']?\s?[=:]\s?[\"']?(?P<ny>{_N})"
)
_BARE = re.compile(rf"{_FOUR}|(?P<px>{_N}){_SEP}(?P<py>{_N})")
_KEY = re.compile(
    r"[\"'](?:bbox(?:_2d)?|box(?:_2d)?|bounding_box|point(?:_2d)?|coordinates?|click_point|position)[\"']\s{0,4}:\s{0,4}",
    re.IGNORECASE,
)
_TAG = re.compile(
    r"<\|?(?:box|point|bbox|click|loc)(?:_start|_begin)?\|?>([^<>]{1,200})<[/|](?:box|point|bbox|click|loc)(?:_end)?\|?>"
)
_MAX_REGION_CHARS = 200
_PLACES = 6
_GROUPS = (("x1", "y1", "x2", "y2"), ("ax", "ay", "bx", "by"), ("px", "py"), ("cx", "cy", "dx", "dy"), ("nx", "ny"))


class BoxesOptions(Options):
    """`overlap`: boxes with at least this intersection over union are equal.

    `point_side`: a point counts as a square of this side around it, in the unit of the coordinates.
    `tolerance`: if given, two answers of one kind are equal if no coordinate differs by more; overlap is not asked.
    """

    overlap: float = Field(default=0.5, gt=0.0, le=1.0)
    point_side: float = Field(default=POINT_SIDE, gt=0.0, allow_inf_nan=False)
    tolerance: float | None = Field(default=None, ge=0.0, allow_inf_nan=False)


class Boxes:
    """One point (x, y) or box (x1, y1, x2, y2), equal if they overlap enough; the last one that the completion gives.

    Evidence, in this order: `json` (after a key such as "bbox_2d", "point_2d" or "coordinate"), `tag` (<box>, <point>,
    <|box_start|> and the like), `boxed`, `phrase` ("the answer is", the last one that has a region), `last` (in the
    last 4,000 characters). Two points side by side, (x1, y1), (x2, y2), are a box; `x=10, y=20` is a point. Coordinates
    are rounded to 6 decimals.

    Equality need not be transitive: classes form around the most frequent spelling. `regions.consensus` finds the place
    on which the most answers agree.

    Canonical form: [x, y] or [x1, y1, x2, y2] with x1 <= x2 and y1 <= y2.
    """

    name: str = "boxes"
    Options: type[BaseModel] = BoxesOptions
    exact: bool = False

    def __init__(self, options: BoxesOptions | None = None) -> None:
        self.options = options or BoxesOptions()

    def extract(self, text: str, task: Task) -> Extraction | None:
        """The region that the completion answers with, or None."""
        for evidence, found in _found(reading.window(text)):
            numbers = _numbers(found)
            return Extraction(printed(numbers), found[0][:200], evidence, key=numbers)
        return None

    def same(self, left: Extraction, right: Extraction) -> bool:
        """True if the two overlap enough, or are within the tolerance."""
        a, b = left.key, right.key
        if not (isinstance(a, tuple) and isinstance(b, tuple)) or a == b:
            return a == b
        if self.options.tolerance is not None:
            return len(a) == len(b) and all(abs(p - q) <= self.options.tolerance for p, q in zip(a, b, strict=True))
        side = self.options.point_side
        return overlap(region(a).spread(side), region(b).spread(side)) >= self.options.overlap


def region(numbers: tuple[float, ...]) -> Box:
    """The box of an answer's key: two numbers are a point, four a box."""
    x, y = numbers[:2]
    return Box(x, y, *(numbers[2:] or (x, y)))


def _found(text: str) -> Iterator[tuple[str, re.Match[str]]]:
    for key in reversed(deque(_KEY.finditer(text), reading.MAX_CUES)):
        if found := _REGION.match(text, key.end()):
            yield "json", found
    for tag in reversed(deque(_TAG.finditer(text), reading.MAX_CUES)):
        if found := _REGION.search(tag[1]) or _BARE.fullmatch(tag[1].strip()):
            yield "tag", found
    if (box := reading.boxed(text)) is not None and (found := _REGION.search(box) or _BARE.fullmatch(box)):
        yield "boxed", found
    for line in reading.phrases(text):
        if found := _REGION.search(line[:_MAX_REGION_CHARS]):
            yield "phrase", found
    tail = text[-reading.TAIL_CHARS :]
    yield from (("last", found) for found in deque(_REGION.finditer(tail), 1))


def _numbers(found: re.Match[str]) -> tuple[float, ...]:
    """The coordinates, corners in order."""
    names = next(names for names in _GROUPS if found.groupdict().get(names[0]))
    numbers = tuple(round(float(found[name]), _PLACES) + 0.0 for name in names)  # -0.0 becomes 0.0
    if len(numbers) == 2:
        return numbers
    x1, y1, x2, y2 = numbers
    return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)


def printed(numbers: tuple[float, ...]) -> str:
    """The canonical form of a point's two or a box's four coordinates."""
    # Rounding may leave -0.0, which becomes 0.0.
    parts = (f"{round(number, _PLACES) + 0.0:.{_PLACES}f}".rstrip("0").rstrip(".") for number in numbers)
    return f"[{', '.join(parts)}]"
