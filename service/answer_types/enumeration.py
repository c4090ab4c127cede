"""`list`: the answer is several items, as a set or in order."""

import re
from collections.abc import Iterator

from pydantic import BaseModel

from service.answer_types import reading
from service.answer_types.base import Options
from service.answer_types.jsontext import WINDOW_CHARS, Json, canonical, in_blocks, numeral, paired, read, values
from service.answer_types.written import normal_form
from service.candidates import Extraction, Task

MAX_ITEMS = 1_000
_MAX_ROUNDS = 8
_SHORT_CHARS = 400
_LANGUAGES = frozenset({"", "json", "python"})
_HOLDERS = ("answer", "final_answer", "answers", "items", "list", "result")

_BULLET = re.compile(r"[ \t]{0,12}(?:[-*\u2022\u2013+]|\(?[0-9]{1,3}[.)]|\(?[a-zA-Z][.)])[ \t]{1,8}(?=\S)")
_SEMICOLON = re.compile(r";\s{0,4}(?:(?:and|or)\s{1,4})?")
_COMMA = re.compile(r",(?![0-9]{3}(?![0-9]))\s{0,4}(?:(?:and|or|&)\s{1,4})?|\s(?:and|&)\s")
_TEXT_AND = re.compile(r"\\text\{\s{0,4}(and|or)\s{0,4}\}")
_VARIABLE = re.compile(r"[a-zA-Z]\s?=\s?(?=[^=]*\Z)")
_VERB = re.compile(r"[^,;.]{1,80}?\s(?:are|were|include|includes)\b:?\s{1,4}", re.IGNORECASE)
_HEAD = re.compile(r"\*\*([^*]{1,200}?):?\*\*(?:\s{0,4}[-\u2013\u2014:]\s.*)?", re.DOTALL)
_NO_ITEM = re.compile(r"[,;]|[.!?:]\s{0,9}\Z|.{100}")
_MAX_LINES = 100
_LEAD = re.compile(r"(?:the following|as follows|the (?:set|list))\b[^:\n]{0,40}:?\s{0,4}", re.IGNORECASE)
_SETS = (("\\left\\{", "\\right\\}"), ("\\{", "\\}"), ("{", "}"), ("[", "]"), ("(", ")"))
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,2}(?:,[0-9]{3}){1,9}|[1-9][0-9]{0,99})(?:\.[0-9]{1,99})?")


class ListOptions(Options):
    """`ordered`: the order counts. By default the items are a set.

    `repeats`: how often an item occurs counts. By default it does where the order does.
    """

    ordered: bool = False
    repeats: bool | None = None


class List:
    """Several items, as a set unless `ordered`.

    Evidence, in this order: `json` (an array that is the whole text or the last code block, or stands in an object as
    "answer", "items" or the like), `boxed`, `hashes` (####), `phrase` ("the answer is", the last one, with the bullets
    or the array after it), `bullets` (the last run of bullets or numbered lines), `json` again (the last array within
    the text), `enumeration` (a short text that is nothing but items). Enumerations part at semicolons, else at commas
    and "and"; one item is a list of one.

    Items are compared as short texts (case, white space, outer punctuation and a leading article make no difference) or
    as numbers; items of a JSON array that are no text are compared as JSON.

    Canonical form: a JSON array of the items as spelled, numbers by value, sorted unless `ordered`.
    """

    name: str = "list"
    Options: type[BaseModel] = ListOptions
    exact: bool = True

    def __init__(self, options: ListOptions | None = None) -> None:
        self.options = options or ListOptions()

    def extract(self, text: str, task: Task) -> Extraction | None:
        """The items that the completion answers with, or None."""
        for evidence, items, spelling in _found(text):
            kept = self._settled(items)
            if kept or items == []:
                kept = kept or []
                answer = canonical([item for _, item in kept])
                if len(answer) > WINDOW_CHARS:
                    return None
                return Extraction(answer, spelling.strip()[:200], evidence, key=tuple(key for key, _ in kept))
        return None

    def same(self, left: Extraction, right: Extraction) -> bool:
        """True if the items are equal, in any order or in the same one."""
        return left.identity == right.identity

    def _settled(self, items: list[Json] | None) -> list[tuple[str, Json]] | None:
        """The items with what each is compared by, repeats and order settled."""
        if items is None or len(items) > MAX_ITEMS:
            return None
        made = [pair for item in items if (pair := _item(item))[0]]
        repeats = self.options.ordered if self.options.repeats is None else self.options.repeats
        if not repeats:
            first: dict[str, Json] = {}
            for key, item in made:
                first.setdefault(key, item)
            made = list(first.items())
        if not self.options.ordered:
            made.sort(key=lambda pair: pair[0])
        return made


def _item(item: Json) -> tuple[str, Json]:
    """What an item is compared by ("" if it is nothing), and how it is printed."""
    if isinstance(item, str) and len(item) <= reading.MAX_ANSWER_CHARS:
        clean = _cleaned(item)
        if not _NUMBER.fullmatch(clean):
            form = normal_form(clean)
            return f"'{form}" if form else "", clean  # no JSON begins so
        item = numeral(clean.replace(",", ""))
    return canonical(item), item


def _cleaned(text: str) -> str:
    """The item without what wraps it, and without the explanation behind a head in bold."""
    head = _HEAD.fullmatch(text.strip())
    text = paired(head[1] if head else text)
    for _ in range(_MAX_ROUNDS):
        again = " ".join(reading.unwrap(text).split())
        if again == text:
            return text
        text = again
    return ""


def _found(text: str) -> Iterator[tuple[str, list[Json] | None, str]]:
    yield from _in_json(text)
    text = reading.window(text)
    if (box := reading.boxed(text)) is not None:
        yield "boxed", _parted(box), box
    for line in reading.hashes(text):
        yield "hashes", _parted(line), line
    for line in reading.phrases(text):
        yield "phrase", *_after_cue(text, line)
    if bullets := _bullets(text[-reading.TAIL_CHARS :]):
        yield "bullets", list(bullets), bullets[0]
    for found in values(text):
        yield "json", _held(found.value), found.spelling
    whole = text.strip()
    short = _VERB.sub("", whole, count=1) if len(whole) <= _SHORT_CHARS and "\n" not in whole else ""
    if len(parts := _parted(short) or []) > 1:
        yield "enumeration", parts, whole


def _in_json(text: str) -> Iterator[tuple[str, list[Json] | None, str]]:
    """What is JSON as a whole, or holds its items under a name that says so."""
    whole = read(text)
    candidates = [*((whole,) if whole else ()), *in_blocks(text, _LANGUAGES)]
    for found in candidates or [held for held in values(text) if isinstance(held.value, dict)]:
        items = _held(found.value)
        if items is not None:
            yield "json", items, found.spelling


def _held(value: Json) -> list[Json] | None:
    """The items of an array, or of the array that an object holds as its answer."""
    if isinstance(value, dict):
        value = next((value[name] for name in _HOLDERS if name in value), None)
    return value if isinstance(value, list) else None


def _after_cue(text: str, line: str) -> tuple[list[Json] | None, str]:
    """The items of a cue's sentence; of the bullets or lines that begin there, or right under it after a colon."""
    start = max(text.rfind(f"{line}\n"), 0) or text.rfind(line)
    opening = text.rfind("\n", 0, start) + 1
    if line.startswith("[") and (arrays := list(values(text[start : start + reading.TAIL_CHARS]))):
        return _held(arrays[-1].value), arrays[-1].spelling
    bullet = _BULLET.match(text, opening)
    if bullet and bullet.start() <= start <= bullet.end():
        return list(_run(text[opening : opening + reading.TAIL_CHARS])), line
    if line.endswith(":") and (
        below := _run(text[start + len(line) : start + len(line) + reading.TAIL_CHARS].lstrip())
    ):
        return list(below), below[0]
    if text[:start].rstrip(" *_").endswith(":\n") and len(lines := _lines(text[start:])) > 1:
        return [*lines], lines[0]
    sentence = reading.first_sentence(reading.without_adverb(line))
    return _parted(_LEAD.sub("", sentence, count=1)), sentence


def _parted(segment: str) -> list[Json] | None:
    """The items of one line, without what encloses the whole of them; None if there is none."""
    if whole := read(segment):
        held = _held(whole.value)
        return [whole.value] if held is None else held
    bare = _VARIABLE.sub("", reading.unwrap(_TEXT_AND.sub(r" \1 ", segment)), count=1)
    for left, right in _SETS:
        inner = bare[len(left) : -len(right)]
        if len(bare) > len(left) + len(right) and bare.startswith(left) and bare.endswith(right) and left not in inner:
            bare = inner
            break
    mark = _SEMICOLON if ";" in bare else _COMMA
    return [part for part in mark.split(bare) if part.strip()] or None


def _lines(text: str) -> list[str]:
    """The lines up to the first blank one; none if one is a sentence or an enumeration, or there are too many."""
    lines: list[str] = []
    for line in text[: reading.TAIL_CHARS].splitlines():
        if not line.strip():
            break
        lines.append(line)
    return [] if len(lines) > _MAX_LINES or any(_NO_ITEM.search(line) for line in lines) else lines


def _run(text: str) -> list[str]:
    """The bulleted lines that a text begins with."""
    items: list[str] = []
    for line in text.splitlines():
        bullet = _BULLET.match(line)
        if bullet:
            items.append(line[bullet.end() :])
        elif line.strip():
            break
    return items


def _bullets(text: str) -> list[str]:
    """The last run of bulleted lines; blank lines do not end it."""
    runs: list[list[str]] = [[]]
    for line in text.splitlines():
        bullet = _BULLET.match(line)
        if bullet:
            runs[-1].append(line[bullet.end() :])
        elif line.strip() and runs[-1]:
            runs.append([])
    return next((run for run in reversed(runs) if run), [])
