"""`math`: LaTeX and plain expressions, equal by canonical form or by what a judge of expressions says."""

import re
from collections.abc import Iterator
from functools import lru_cache

from pydantic import BaseModel

from service.answer_types import reading
from service.answer_types.base import Options
from service.answer_types.expressions import canonical, unit_of, unwrap
from service.answer_types.items import side_by_side
from service.answer_types.nonanswers import gives_none
from service.answer_types.numerals import read_quantity
from service.answer_types.plain_math import as_commands
from service.answer_types.prose import has_words
from service.answer_types.restating import amount_of
from service.answer_types.unanswered import ends_on_cue, is_junk
from service.candidates import Extraction, Task

_MARKS = (("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"))
_PLAIN_WORD = re.compile(r"[a-zA-Z]{2,}[.,;:]?|[aAI]|[a-zA-Z]{1,10}['\u2019](?:s|re|d|ll|ve|m)")
_MONTH = re.compile(r"(?:jan|feb|mar|apr|may|june?|july?|aug|sept?|oct|nov|dec)[a-z]{0,6}[.,]?", re.IGNORECASE)
_WORDS = re.compile(r"\\(?:text|mbox|textrm)\{([^{}]{0,200})\}")
_LINKED_BOX = re.compile(
    r"\}[\s$]{0,4}(?:,|;|and\b|or\b|\\text\{\s?(?:and|or)\s?\})[\s$]{0,4}(?:and[ ]\$?)?\\f?box(?:ed)?\b"
)
_LINKED = re.compile(r"(?:\$|\\\))(?P<link>\s{0,3},?\s{0,3}(?:and|or)\s{0,3}|\s{0,3},\s{0,3})\Z")
_MARKS_OF_MATH = re.compile(
    r"\\[a-zA-Z]+|[\^=<>+*\u221a\u03c0\u2264\u2265\u221e\u00b1\u222a\u2208\u2205\u00b2\u00b3]|^[(\[{].*,.*[)\]}]$"
    r"|[0-9)][a-z]\b|[0-9]\s?(?:pi\b|sqrt)|\bsqrt\(|\bpi/|(?:[0-9)]|(?<![a-z])[a-z])!$"
)
_SIDE_BY_SIDE = re.compile(r"(?<![\\a-zA-Z])[a-zA-Z]{2,}[ ,;]+[a-zA-Z]{2,}")
_NAME_AND_EQUALS = re.compile(r"\s*[A-Za-z]{2,20}\s*=")
_LED = re.compile(r"\s*[A-Za-z]{2,20}[*_]{0,2}\s*:")
_SAID = re.compile(r"[^\W_]|\\[a-zA-Z]|[\u221e\u2205\u211d\u221a\u03c0]")
_LAST_KEY = re.compile(r"[\"']\s{0,8}:\s{0,8}(?:null|None|[\"'][\s_.?-]{0,40}[\"']|[_.?-]{1,40})?[\s}\]]{0,80}")
_REMEMBERED = 512
"""Samples of one question answer alike: a spelling is put into its canonical form once."""
_IS_WORDS = re.compile(r"[^\W\d_]{2,}(?:[ '\u2019-][^\W\d_]+){0,30}")
_NUMBERS = re.compile(r"-?[0-9][0-9./]{0,40}(?:,?[ ](?:and[ ]|or[ ])?-?[0-9][0-9./]{0,40}){1,20}")
_FEW_WORDS = 3
_NOTHING = frozenset(("", "null", "n/a"))
_EXCLAIMED = re.compile(
    r"(?:(?:^|[a-zA-Z:] )-?\$?[0-9][0-9.,]{0,80}|=[^=]{0,80}[0-9]|[a-zA-Z]{2}|[a-zA-Z,] [a-zA-Z])\Z"
)


class MathOptions(Options):
    """None yet."""


class Math:
    """An expression. A number is compared by exact value, anything else by a canonical spelling of its LaTeX.

    The canonical spelling drops white space, sizes (`\\left`), a trailing unit, `x =` before a value, and unifies
    fractions, roots, scripts, Unicode and what a keyboard has: `\\dfrac12`, `\\frac{1}{2}` and `1/2` are one, `√2` and
    `sqrt(2)` too. It does no algebra: that `x+1` and `1+x` are one answer is for the judge to say (Math-Verify,
    service/equality). A class prints its most frequent form. Two known units, bases or halves of the day keep answers
    apart; "5 cm" equals "5". Words are compared without regard to case. Different boxes that a comma or "and" links are
    one list.

    Evidence, in this order: `boxed`, `json`, `hashes`, `whole` (short, and no more than one expression), `phrase` (the
    last one), `last_formula` (the last `$...$` of the last 4,000 characters, or what ends the last line after its last
    word), `last_line` (up to 160 characters).
    """

    name: str = "math"
    Options: type[BaseModel] = MathOptions
    exact: bool = False
    judged: bool = True

    def __init__(self, options: MathOptions | None = None) -> None:
        self.options = options or MathOptions()

    def extract(self, text: str, task: Task) -> Extraction | None:
        """The expression that the completion answers with, or None."""
        text = reading.window(text)
        if gives_none(text.strip()):
            return None
        for evidence, spelling in _found(text):
            spelling = spelling.strip()
            if len(spelling) <= reading.MAX_ANSWER_CHARS and (answer := _settled(spelling)):
                key = answer.casefold() if _IS_WORDS.fullmatch(answer) else None
                return Extraction(answer, spelling[:200], evidence, key=key, apart=unit_of(spelling))
        return None

    def same(self, left: Extraction, right: Extraction) -> bool:
        """True if the canonical spellings are equal and the units do not differ; a judge finds more."""
        return left.identity == right.identity and not left.clashes(right)


@lru_cache(maxsize=_REMEMBERED)
def _settled(spelling: str) -> str:
    """The canonical spelling that is also what reading it as a completion gives; empty if there is none."""
    answer = canonical(spelling)
    for _ in range(8):
        again = next((form for _, found in _found(reading.window(answer)) if (form := canonical(found))), "")
        if again == answer:
            return answer
        answer = again
    return ""


def looks_like_math(text: str) -> bool:
    """True for an expression and false for prose: formula marks, and no words of a language outside `\\text`."""
    bare = _WORDS.sub("", unwrap(text))
    if _SIDE_BY_SIDE.search(as_commands(bare)) and has_words(bare):
        return False
    if (" " in bare or ":" in bare) and (_LED.match(bare) or has_words(_NAME_AND_EQUALS.sub("", bare, count=1))):
        return False
    return _MARKS_OF_MATH.search(bare) is not None


def _found(text: str) -> Iterator[tuple[str, str]]:
    if (box := reading.boxed(text)) is not None:
        yield "boxed", _several_boxes(text) or box
    for value in reading.json_answers(text):
        if value.lower() not in _NOTHING and _SAID.search(value):
            yield "json", value
    if not reading.leaves_blank(text) and not _left_open(text):
        yield from _unmarked(text)


def _unmarked(text: str) -> Iterator[tuple[str, str]]:
    for line in reading.hashes(text):  # after JSON: a heading of Markdown has the same mark
        yield "hashes", line
    whole = text.strip()
    if 0 < len(whole) <= 300 and "\n" not in whole and not is_junk(whole) and _is_expression(whole):
        yield "whole", _calm(whole)
    for line in reading.phrases(text):
        sentence = reading.first_sentence(reading.without_adverb(_without_bullet(line, text)))
        yield "phrase", _formula(sentence) or _calm(sentence)
    if not ends_on_cue(text):
        yield from _last(text)


def _several_boxes(text: str) -> str:
    """Different answers in boxes that a comma, "and" or "or" links, as one list; empty where there are none."""
    links = len(_LINKED_BOX.findall(text[-reading.TAIL_CHARS :]))
    boxes = side_by_side(text) if links else []
    return ", ".join(boxes) if 1 < len(boxes) <= links + 1 and len({*boxes}) == len(boxes) else ""


def _last(text: str) -> Iterator[tuple[str, str]]:
    line = reading.last_line(text)
    for formula in (_formula(text[-reading.TAIL_CHARS :]), _unmarked_formula(_calm(line))):
        if formula:
            yield "last_formula", formula
    if 0 < len(line) <= 160 and _SAID.search(line):
        yield "last_line", _bare_of(_calm(line))


def _bare_of(line: str) -> str:
    """The line; of "It's Friday" the few words behind."""
    said = amount_of(line)
    return said if len(said.split()) <= _FEW_WORDS else line


def _left_open(text: str) -> bool:
    """True if the text ends with JSON whose "answer" is empty or null: what else it holds is no answer."""
    key = text.rfind("answer", -reading.TAIL_CHARS)
    return key >= 0 and _LAST_KEY.fullmatch(text, key + len("answer"), len(text.rstrip())) is not None


def _calm(text: str) -> str:
    """The text without an exclamation mark that ends a sentence and is no factorial."""
    bare = text.rstrip(" *_!")
    return bare if "!" in text[len(bare) :] and _EXCLAIMED.search(bare[-100:]) else text


def _without_bullet(line: str, text: str) -> str:
    return line[2:] if line.startswith(("- ", "* ")) and f"\n{line}" in text else line


def _unmarked_formula(line: str) -> str:
    """What follows the line's last word, if it is a number or an expression and prose stands before it."""
    pieces = line.split(" ")
    start = len(pieces)
    while start > 0 and (pieces[start - 1] in ("and", "or") or not _PLAIN_WORD.fullmatch(pieces[start - 1])):
        start -= 1
    while start < len(pieces) and pieces[start] in ("and", "or"):
        start += 1
    if start and start == len(pieces) - 1 and _MONTH.fullmatch(pieces[start - 1]):
        return ""  # of "June 20" the figure is no answer
    tail = unwrap(" ".join(pieces[start:]))
    return tail if 0 < start < len(pieces) and len(tail) <= 160 and _is_expression(tail) else ""


def _is_expression(text: str) -> bool:
    bare = reading.unwrap(text)
    return looks_like_math(text) or read_quantity(bare) is not None or _NUMBERS.fullmatch(bare) is not None


def _formula(text: str) -> str:
    """The last formula between dollars or brackets in the text, with those that "and" and "or" link to it."""
    body, formula = _last_formula(text)
    linked = formula
    for _ in range(8):
        link = _LINKED.search(body[-24:])
        if not formula or link is None:
            return formula
        words = link["link"].strip(" ,\n")
        body, before = _last_formula(body[: len(body) - len(link["link"])])
        if not before or before.partition("=")[1] != formula.partition("=")[1] or not _alike(before, formula):
            return formula
        linked = f"{before} {words or ','} {linked}"
        formula = linked if words else formula
    return formula


def _alike(one: str, other: str) -> bool:
    """True for two values, or values of one name."""
    names = [each.partition("=")[0].strip() if "=" in each else "" for each in (one, other)]
    return names[0] == names[1]


def _last_formula(text: str) -> tuple[str, str]:
    """What stands before the last formula, and the formula; empty if there is none."""
    left, right = max(_MARKS, key=lambda pair: text.rfind(pair[1]))
    body, mark, _ = text.rpartition(right)
    body = body.rstrip("$") if right == "$" else body
    before, opened, formula = body.rpartition(left)
    return (before.rstrip("$") if left == "$" else before, formula) if mark and opened else ("", "")
