"""`boxes`: the answer is a point or a box on a screen or an image."""

import re
from collections import deque
from collections.abc import Iterator

from pydantic import BaseModel, Field

from service.answer_types import reading
from service.answer_types.base import Options
from service.answer_types.coordinates import BARE, REGION, coordinates, printed
from service.answer_types.regions import Box, overlap, point_side
from service.candidates import Extraction, Task

_KEY = re.compile(
    r"[\"'](?:bbox(?:_2d)?|box(?:_2d)?|bounding_?box|point(?:_2d)?|coord(?:inate)?s?|click_point|position|xy|rect|location)"
    r"[\"']\s{0,4}:\s{0,4}(?:\{|\[(?=\s{0,16}[\[(])|[\"'])?\s{0,16}",
    re.IGNORECASE,
)
_WORDS = r"(?:box|point|bbox|click|loc|det|quad|coordinates?)"
_TAG = re.compile(rf"<\|?{_WORDS}(?:_start|_begin)?\|?>([^<>]{{1,200}})<[/|]/?{_WORDS}(?:_end)?\|?>")
_LABEL = re.compile(
    r"\b(?:coordinates?|point|position|location|bbox|bounding box|box|click)\b[^\n\d()\[\]{}<>:=]{0,20}[:=][ *]{0,4}",
    re.IGNORECASE,
)
_MAX_REGION_CHARS = 200
_TRIES = 8


class BoxesOptions(Options):
    """`overlap`: boxes with at least this intersection over union are equal.

    `point_side`: a point counts as a square of this side around it, in the unit of the coordinates. By default 50, or
    0.05 where both answers are fractions of the screen (all of their coordinates from 0 to 1).
    `tolerance`: if given, two answers of one kind are equal if no coordinate differs by more; overlap is not asked.
    """

    overlap: float = Field(default=0.5, gt=0.0, le=1.0)
    point_side: float | None = Field(default=None, gt=0.0, allow_inf_nan=False)
    tolerance: float | None = Field(default=None, ge=0.0, allow_inf_nan=False)


class Boxes:
    """One point (x, y) or box (x1, y1, x2, y2), equal if they overlap enough; the last one that the completion gives.

    Evidence, in this order: `json` (after a key such as "bbox_2d", "point_2d" or "coordinate"), `tag` (<box>, <point>,
    <|box_start|> and the like), `boxed`, `phrase` ("the answer is", the last one that has a region), `last` (in the
    last 4,000 characters), `whole` (nothing but two or four numbers), `label` ("Coordinates: 10, 20").

    Two points side by side, (x1, y1), (x2, y2), are a box, as are the corners "top-left (x1, y1), bottom-right (x2,
    y2)"; `x=10, y=20` is a point, and with a width and height a box, as with left, top, right and bottom. Of location
    tokens (<loc_10>) four are a box. Coordinates are below 10^9 and rounded to 6 decimals.

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
            if numbers := coordinates(found):
                return Extraction(printed(numbers), found[0][:200], evidence, key=numbers)
        return None

    def same(self, left: Extraction, right: Extraction) -> bool:
        """True if the two overlap enough, or are within the tolerance."""
        a, b = left.key, right.key
        if not (isinstance(a, tuple) and isinstance(b, tuple)) or a == b:
            return a == b
        if self.options.tolerance is not None:
            return len(a) == len(b) and all(abs(p - q) <= self.options.tolerance for p, q in zip(a, b, strict=True))
        side = self.options.point_side or point_side((a, b))
        return overlap(region(a).spread(side), region(b).spread(side)) >= self.options.overlap


def region(numbers: tuple[float, ...]) -> Box:
    """The box of an answer's key: two numbers are a point, four a box."""
    x, y = numbers[:2]
    return Box(x, y, *(numbers[2:] or (x, y)))


def _found(text: str) -> Iterator[tuple[str, re.Match[str]]]:
    yield from _marked(text)
    for line in reading.phrases(text):
        if found := REGION.search(line[:_MAX_REGION_CHARS]) or BARE.fullmatch(_bare(reading.first_sentence(line))):
            yield "phrase", found
    tail = text[-reading.TAIL_CHARS :]
    yield from (("last", found) for found in reversed(deque(REGION.finditer(tail), _TRIES)))
    if found := BARE.fullmatch(_bare(text)):
        yield "whole", found
    labels = reversed(deque(_LABEL.finditer(tail), _TRIES))
    yield from (("label", found) for label in labels if (found := BARE.match(tail, label.end())))


def _marked(text: str) -> Iterator[tuple[str, re.Match[str]]]:
    for key in reversed(deque(_KEY.finditer(text), reading.MAX_CUES)):
        if found := REGION.match(text, key.end()) or (BARE.match(text, key.end()) if key[0][-1] in "\"'" else None):
            yield "json", found
    for tag in reversed(deque(_TAG.finditer(text), reading.MAX_CUES)):
        if found := REGION.search(tag[1]) or BARE.fullmatch(tag[1].strip()):
            yield "tag", found
    if (box := reading.boxed(text)) is not None and (found := REGION.search(box) or BARE.fullmatch(box)):
        yield "boxed", found


def _bare(text: str) -> str:
    """A short text without its emphasis and full stop; empty for any other."""
    return text.strip(" \n\t*_`$.") if len(text) <= _MAX_REGION_CHARS else ""
