"""`list`: the answer is several items, as a set or in order."""

import re
from collections.abc import Iterator

from pydantic import BaseModel

from service.answer_types import reading
from service.answer_types.base import Options
from service.answer_types.fences import fenced
from service.answer_types.items import BULLET, below_a_colon, bullets, held, in_boxes, lines_of, only_lines, parted, run
from service.answer_types.jsontext import WINDOW_CHARS, Json, canonical, in_blocks, numeral, paired, read, values
from service.answer_types.written import normal_form
from service.candidates import Extraction, Task

MAX_ITEMS = 1_000
_MAX_ROUNDS = 8
_SHORT_CHARS = 400
_LANGUAGES = frozenset({"", "json", "python"})
_PLAIN = frozenset({"", "text", "txt", "plaintext", "plain", "list", "csv"})

_VERB = re.compile(r"[^,;.:\n]{1,80}:\s{1,4}|[^,;.]{1,80}?\s(?:are|were|include|includes)\b\s{1,4}", re.IGNORECASE)
_LAST_SET = re.compile(r"\S\s{1,4}(\{[^{}]{1,300}\}|\[[^\[\]]{1,300}\])[.*]{0,3}\Z")
_HEAD = re.compile(r"\*\*(?:([^*]{1,200}?):?\*\*(?:\s{0,4}[-\u2013\u2014:]\s.*)?|([^*]{1,200}?):\*\*\s.*)", re.DOTALL)
_LEAD = re.compile(r"(?:the following|as follows|the (?:set|list))\b[^:\n]{0,40}:?\s{0,4}", re.IGNORECASE)
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
    "answer", "items" or the like, or as its only array), `boxed` (with the boxes beside it), `hashes` (####), `phrase`
    ("the answer is", the last one, with the bullets or the array after it), `fenced` (a plain code block of items),
    `bullets` (the last run of bullets, numbered lines or rows of one cell, without those below them), `json` again (the
    last array within the text), `lines` (an item a line, or an enumeration, below a line that ends with a colon),
    `enumeration` (a short text that is nothing but items). Enumerations part at semicolons, else at commas and "and";
    one item is a list of one.

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
    text = paired((head[1] or head[2]) if head else text)
    for _ in range(_MAX_ROUNDS):
        again = " ".join(reading.unwrap(text).split())
        if again == text:
            return text
        text = again
    return ""


def _found(text: str) -> Iterator[tuple[str, list[Json] | None, str]]:
    yield from _in_json(text)
    blocks = list(fenced(text, _PLAIN))
    text = reading.window(text)
    yield from _marked(text)
    for line in reading.phrases(text):
        yield "phrase", *_after_cue(text, line)
    for block in blocks:
        yield "fenced", [*(run(block) or only_lines(block))] or _several(block), block
    if listed := bullets(text[-reading.TAIL_CHARS :]):
        yield "bullets", [*listed], listed[0]
    for found in values(text):
        yield "json", held(found.value), found.spelling
    if items := below_a_colon(text[-reading.TAIL_CHARS :]):
        yield "lines", items, str(items[0])
    yield "enumeration", [*only_lines(text)] or _several(text), text


def _in_json(text: str) -> Iterator[tuple[str, list[Json] | None, str]]:
    """What is JSON as a whole, or holds its items under a name that says so."""
    whole = read(text)
    candidates = [*((whole,) if whole else ()), *in_blocks(text, _LANGUAGES)]
    for found in candidates or [each for each in values(text) if isinstance(each.value, dict)]:
        items = held(found.value)
        if items is not None:
            yield "json", items, found.spelling


def _marked(text: str) -> Iterator[tuple[str, list[Json] | None, str]]:
    if (box := reading.boxed(text)) is not None:
        several = in_boxes(text)
        yield "boxed", several if len(several) > 1 else parted(box), box
    for line in reading.hashes(text):
        yield "hashes", parted(line), line


def _after_cue(text: str, line: str) -> tuple[list[Json] | None, str]:
    """The items of a cue's sentence; of the bullets or lines that begin there, or right under it after a colon."""
    start = max(text.rfind(f"{line}\n"), 0) or text.rfind(line)
    opening = text.rfind("\n", 0, start) + 1
    if line.startswith("[") and (arrays := list(values(text[start : start + reading.TAIL_CHARS]))):
        return held(arrays[-1].value), arrays[-1].spelling
    bullet = BULLET.match(text, opening)
    if bullet and bullet.start() <= start <= bullet.end():
        return [*run(text[opening : opening + reading.TAIL_CHARS])], line
    if line.endswith(":") and (below := run(text[start + len(line) : start + len(line) + reading.TAIL_CHARS].lstrip())):
        return [*below], below[0]
    if text[:start].rstrip(" *_").endswith(":\n") and len(lines := lines_of(text[start:])) > 1:
        return [*lines], lines[0]
    sentence = reading.first_sentence(reading.without_adverb(line))
    return parted(_LEAD.sub("", sentence, count=1)), sentence


def _several(text: str) -> list[Json] | None:
    """The items of a short text that is nothing but an enumeration, or ends with a set; none if it is a single one."""
    whole = text.strip()
    if len(whole) > _SHORT_CHARS or "\n" in whole:
        return None
    if value := read(whole):
        return held(value.value)
    last = _LAST_SET.search(whole)
    items = parted(last[1] if last else _VERB.sub("", whole, count=1)) or []
    return items if len(items) > 1 else None
