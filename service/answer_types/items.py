"""How models write several items: bullets, lines, tables of one column, enumerations, boxes side by side."""

import re
from collections.abc import Iterable

from service.answer_types import reading
from service.answer_types.jsontext import Json, read

MAX_LINES = 100
_ENDS_ITEM = r"[ \t]{1,8}(?:\[[ xX]?\][ \t]{1,4})?(?=\S)"
BULLET = re.compile(
    r"(?P<indent>[ \t]{0,12})(?:[-*\u2022\u2013+\u2014\u25cf\u25e6\u25aa\u25b8\u2023\u00b7\u2043]|\(?[0-9]{1,3}[.)]"
    rf"|\(?(?:[a-zA-Z]|[ivxIVX]{{2,5}})[.)]|[0-9]{{1,3}}(?::|[ ][-\u2013\u2014])(?=[ \t]{{1,8}}[^\W\d])){_ENDS_ITEM}"
)
_ROW = re.compile(r"[ \t]{0,8}\|([^|\n]{0,300})\|[ \t]{0,8}")
_RULE = re.compile(r"[\s:-]{1,100}")
_SEMICOLON = re.compile(r";\s{0,4}(?:(?:and|or)\s{1,4})?")
_COMMA = re.compile(r",(?![0-9]{3}(?![0-9]))\s{0,4}(?:(?:and|or|&)\s{1,4})?|\s(?:and|&)\s")
_COMMA_OR = re.compile(rf"{_COMMA.pattern}|\sor\s")
_TEXT_AND = re.compile(r"\\text\{\s{0,4},?\s{0,4}(and|or)\s{0,4}\}")
# Two currency signs have a space before the second one, or a figure behind it.
_DOLLARS = re.compile(r"\$([^$\s](?:[^$\n]{0,200}[^$\s])?)\$(?![0-9A-Za-z])")
_VARIABLE = re.compile(r"[a-zA-Z]\w{0,40}\s?(?:=|\\in\b|\u2208)\s?(?=[^=]*\Z)")
_SAME = re.compile(r"\s{0,4}([a-zA-Z](?:_[0-9])?)\s{0,4}=\s{0,4}")
_NUMBERS = re.compile(r"-?[0-9]{1,20}(?:\.[0-9]{1,20})?(?:[ ]{1,4}-?[0-9]{1,20}(?:\.[0-9]{1,20})?){1,400}")
_GROUPED = re.compile(r"-?[0-9]{1,3}(?:[ ][0-9]{3})+")
_NO_ITEM = re.compile(r"[,;|]|[.!?:]\s{0,9}\Z|.{100}")
_SETS = (("\\left\\{", "\\right\\}"), ("\\{", "\\}"), ("{", "}"), ("[", "]"), ("(", ")"))
_BOX = re.compile(r"\\f?box(?:ed)?[ ]?\{")
_BETWEEN = re.compile(r"(?:[\s,;$]|\\[()]|\\quad|\\text\{\s{0,4}(?:and|or)\s{0,4}\}|and\b|or\b){0,12}")
HOLDERS = ("answer", "final_answer", "answers", "items", "list", "result")


def held(value: Json) -> list[Json] | None:
    """The items of an array, of what an object holds as its answer, or of the one array that it holds."""
    if isinstance(value, dict):
        arrays = [part for part in value.values() if isinstance(part, list)]
        value = next((value[name] for name in HOLDERS if name in value), arrays[0] if len(arrays) == 1 else None)
        if isinstance(value, str):
            return parted(value[: reading.MAX_ANSWER_CHARS])
    return value if isinstance(value, list) else None


def parted(segment: str) -> list[Json] | None:
    """The items of one line, without what encloses the whole of them; None if there is none."""
    if whole := read(segment):
        items = held(whole.value)
        return [whole.value] if items is None else items
    bare = _DOLLARS.sub(r"\1", reading.unwrap(_TEXT_AND.sub(r" \1 ", segment)))
    bare = _inner(_VARIABLE.sub("", bare, count=1) if _VARIABLE.match(bare) else bare)
    mark = _SEMICOLON if ";" in bare else _COMMA_OR if "=" in bare else _COMMA
    parts = [part for part in mark.split(bare) if part.strip()]
    if len(parts) == 1 and _NUMBERS.fullmatch(bare) and not _GROUPED.fullmatch(bare):
        return [*bare.split()]
    return [*_without_variable(parts)] or None


def _inner(bare: str) -> str:
    """What stands within the brackets that enclose all of it."""
    for left, right in _SETS:
        inner = bare[len(left) : -len(right)]
        if len(bare) > len(left) + len(right) and bare.startswith(left) and bare.endswith(right) and left not in inner:
            return inner
    return bare


def _without_variable(parts: list[str]) -> list[str]:
    """x = 1, x = 2 without the variable, where all have the same one."""
    named = [_SAME.match(part) for part in parts]
    if len({name[1] if name else "" for name in named}) == 1 and len(parts) > 1:
        return [part[name.end() :] if name else part for part, name in zip(parts, named, strict=True)]
    return parts


def in_boxes(text: str) -> list[Json]:
    """The items of the last boxes that stand side by side; none if there is only one."""
    return [item for held in side_by_side(text) for item in parted(held) or ()]


def side_by_side(text: str) -> list[str]:
    """What the last boxes hold that stand side by side, parted by commas, "and" and the like."""
    boxes: list[str] = []
    after = len(text)
    for box in reversed([*_BOX.finditer(text[-reading.TAIL_CHARS :])][-MAX_LINES:]):
        start = box.end() + max(0, len(text) - reading.TAIL_CHARS)
        end = reading.closing_brace(text, start)
        if end is None or (boxes and not _BETWEEN.fullmatch(text[end + 1 : after])):
            break
        boxes.insert(0, text[start:end])
        after = start - len(box[0])
    return boxes


def lines_of(text: str) -> list[str]:
    """The lines up to the first blank one; none if one is a sentence or an enumeration, or there are too many."""
    lines: list[str] = []
    for line in text[: reading.TAIL_CHARS].splitlines():
        if not line.strip():
            break
        lines.append(line)
    return _items_only(lines)


def only_lines(text: str) -> list[str]:
    """The lines of a text that has an item on each, two at least, blank ones between them or not."""
    lines = [line for line in text[: reading.TAIL_CHARS + 1].splitlines() if line.strip()]
    return _items_only(lines) if len(lines) > 1 and len(text) <= reading.TAIL_CHARS else []


def below_a_colon(text: str) -> list[Json] | None:
    """The lines, or the enumeration on the one line, right below the last line that ends with a colon."""
    opening = text.rfind(":\n")
    below = text[opening + 2 :].lstrip() if opening >= 0 else ""
    if lines := lines_of(below):
        return [*lines] if len(lines) > 1 else parted(lines[0])
    first, _, after = below.partition("\n")
    items = parted(first) if len(first) <= reading.MAX_ANSWER_CHARS and not after.split("\n")[0].strip() else None
    return items if items and len(items) > 1 else None


def _items_only(lines: list[str]) -> list[str]:
    return [] if len(lines) > MAX_LINES or any(_NO_ITEM.search(line) for line in lines) else lines


def run(text: str) -> list[str]:
    """The bulleted lines that a text begins with."""
    items: list[tuple[int, str]] = []
    for line in text.splitlines():
        bullet = BULLET.match(line)
        if bullet:
            items.append((len(bullet["indent"].expandtabs(4)), line[bullet.end() :]))
        elif line.strip():
            break
    return _outer(items)


def bullets(text: str) -> list[str]:
    """The last run of bulleted lines, or of rows of a table with one column; blank lines do not end it."""
    runs: list[list[tuple[int, str]]] = [[]]
    for line in text.splitlines():
        bullet = BULLET.match(line)
        if bullet:
            runs[-1].append((len(bullet["indent"].expandtabs(4)), line[bullet.end() :]))
        elif line.strip() and runs[-1]:
            runs.append([])
    return _outer(next((run for run in reversed(runs) if run), [])) or _column(text.splitlines())


def _outer(items: list[tuple[int, str]]) -> list[str]:
    """The items that are indented least, without what explains them below; those below, where one has them all."""
    least = min((indent for indent, _ in items), default=0)
    outer = [item for indent, item in items if indent == least]
    if len(outer) == 1 and len(items) > 1 and outer[0].rstrip(" *").endswith(":"):
        return [item for indent, item in items if indent > least]
    return outer if len(outer) > 1 else [item for _, item in items]


def _column(lines: Iterable[str]) -> list[str]:
    """The cells of the last table, if it has one column; without its head."""
    cells: list[str] = []
    for line in lines:
        row = _ROW.fullmatch(line)
        if row and _RULE.fullmatch(row[1]):
            cells = []
        elif row:
            cells.append(row[1])
    return cells if len(cells) > 1 else []
