"""`math`: LaTeX and plain expressions, equal by canonical form or by what a judge of expressions says."""

import re
from collections.abc import Iterator

from pydantic import BaseModel

from service.answer_types import reading
from service.answer_types.base import Options
from service.answer_types.numerals import plain_fractions, print_number, read_quantity
from service.candidates import Extraction, Task

_MARKS = (("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"))
_DROPPED = re.compile(
    r"\\(?:left|right|bigl?|bigr?|Bigl?|Bigr?|displaystyle|limits|mathrm|mathbf|textbf|operatorname|quad|qquad)(?![a-zA-Z])"
    r"|(?<!\\)\\[!,;: ]|\^\{?\\circ\}?|\\(?:degree|\$|%)|[$\u00b0]"
)
_SPACE = re.compile(r"(\\[a-zA-Z]+)[\s~]+(?=[a-zA-Z])|[\s~]+")
_UNITS = re.compile(r"\\(?:text|mbox)\{[^{}]{0,60}\}(?:\^\{?[23]\}?)?$")
_WORDS = re.compile(r"\\(?:text|mbox|textrm)\{([^{}]{0,200})\}")
_SHORT_FRACTION = re.compile(r"\\frac(?:([0-9])([0-9])|([0-9a-z])\{|\{([0-9a-z]+)\}([0-9a-z])(?![0-9]))")
_SHORT_ROOT = re.compile(r"\\sqrt([0-9a-z])")
_NAMED = re.compile(r"(?:[a-zA-Z]|[a-zA-Z]\([a-z]\))=(?=[^=]{1,2000}$)")
_PLAIN_WORD = re.compile(r"[a-zA-Z]{2,}[.,;:]?|[aAI]")
_LONE_SCRIPT = re.compile(r"([\^_])\{([0-9a-zA-Z])\}")
_SLASH = re.compile(r"(?<![0-9a-zA-Z)}])(-?)([0-9]{1,50})/([0-9]{1,50})(?![0-9a-zA-Z({/])")
_DECIMAL = re.compile(r"(?<![0-9.])0?(\.[0-9]+)")
_SPELLED: tuple[tuple[str, str], ...] = (
    ("\\dfrac", "\\frac"),
    ("\\tfrac", "\\frac"),
    ("\\cfrac", "\\frac"),
    ("\\cdot", "*"),
    ("\\times", "*"),
)
_SPELLED += (
    ("\\leq", "\\le"),
    ("\\varnothing", "\\emptyset"),
    ("\\geq", "\\ge"),
    ("\\{", "{"),
    ("\\}", "}"),
    ("\u2212", "-"),
    ("\u03c0", "\\pi"),
)
_SPELLED += (("\u221a", "\\sqrt"), ("\u221e", "\\infty"), ("\\lbrace", "{"), ("\\rbrace", "}"), ("\u222a", "\\cup"))


class MathOptions(Options):
    """None yet."""


class Math:
    """An expression. A number is compared by exact value, anything else by a canonical spelling of its LaTeX.

    The canonical spelling drops white space, sizes (`\\left`), a trailing unit, `x =` before a value, and unifies
    fractions, roots and scripts: `\\dfrac12`, `\\frac{1}{2}` and `1/2` are one. It does no algebra: that `x+1` and
    `1+x` are one answer is for the judge to say (Math-Verify, service/equality). A class prints its most frequent form.

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
        for evidence, spelling in _found(reading.window(text)):
            if answer := _settled(spelling):
                return Extraction(answer, spelling[:200], evidence)
        return None

    def same(self, left: Extraction, right: Extraction) -> bool:
        """True if the canonical spellings are equal; a judge finds more."""
        return left.identity == right.identity


def canonical(expression: str) -> str:
    """The one spelling of an expression; a number's is that of `print_number`. Empty if nothing is left."""
    for _ in range(8):
        again = _rewritten(expression)
        if again == expression:
            return again
        expression = again
    return expression


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
    """True for an expression and false for prose: formula marks, and no two words side by side outside `\\text`."""
    bare = _WORDS.sub("", reading.unwrap(text))
    if re.search(r"(?<![\\a-zA-Z])[a-zA-Z]{2,}[ ,;]+[a-zA-Z]{2,}", bare):
        return False
    return bool(
        re.search(r"\\[a-zA-Z]+|[\^=<>+*\u221a\u03c0\u2264\u2265\u221e]|^[(\[{].*,.*[)\]}]$|[0-9)][a-z]\b", bare)
    )


def _rewritten(expression: str) -> str:
    expression = reading.unwrap(expression)
    if quantity := read_quantity(plain_fractions(expression)):
        return print_number(quantity.value)
    expression = _UNITS.sub("", expression) or expression
    expression = _WORDS.sub(r" \1 ", expression)
    for spelled, one in _SPELLED:
        expression = expression.replace(spelled, one)
    expression = _DROPPED.sub("", expression)
    expression = _SPACE.sub(lambda space: f"{space[1]} " if space[1] else "", expression)
    expression = _SHORT_FRACTION.sub(_whole_fraction, expression)
    expression = _SHORT_ROOT.sub(r"\\sqrt{\1}", expression)
    expression = _LONE_SCRIPT.sub(r"\1\2", expression)
    expression = _SLASH.sub(r"\1\\frac{\2}{\3}", expression)
    expression = _DECIMAL.sub(r"0\1", expression)
    expression = _NAMED.sub("", expression, count=1) if _NAMED.match(expression) else expression
    return expression.rstrip(".,;:")


def _whole_fraction(short: re.Match[str]) -> str:
    if short[1]:
        return f"\\frac{{{short[1]}}}{{{short[2]}}}"
    if short[3]:
        return f"\\frac{{{short[3]}}}{{"
    return f"\\frac{{{short[4]}}}{{{short[5]}}}"


def _found(text: str) -> Iterator[tuple[str, str]]:
    if (box := reading.boxed(text)) is not None:
        yield "boxed", box
    for value in reading.json_answers(text):
        yield "json", value
    for line in reading.hashes(text):  # after JSON: a heading of Markdown has the same mark
        yield "hashes", line
    whole = text.strip()
    if 0 < len(whole) <= 300 and "\n" not in whole and (looks_like_math(whole) or read_quantity(reading.unwrap(whole))):
        yield "whole", whole
    for line in reading.phrases(text):
        sentence = reading.first_sentence(reading.without_adverb(line))
        yield "phrase", _formula(sentence) or sentence
    yield from _last(text)


def _last(text: str) -> Iterator[tuple[str, str]]:
    line = reading.last_line(text)
    for formula in (_formula(text[-reading.TAIL_CHARS :]), _unmarked_formula(line)):
        if formula:
            yield "last_formula", formula
    if 0 < len(line) <= 160:
        yield "last_line", line


def _unmarked_formula(line: str) -> str:
    """What follows the line's last word, if it is a number or an expression and prose stands before it."""
    pieces = line.split(" ")
    start = len(pieces)
    while start > 0 and not _PLAIN_WORD.fullmatch(pieces[start - 1]):
        start -= 1
    tail = reading.unwrap(" ".join(pieces[start:]))
    fits = 0 < start < len(pieces) and len(tail) <= 160
    return tail if fits and (read_quantity(tail) or looks_like_math(tail)) else ""


def _formula(text: str) -> str:
    """The last formula between dollars or brackets in the text; empty if there is none."""
    left, right = max(_MARKS, key=lambda pair: text.rfind(pair[1]))
    body, mark, _ = text.rpartition(right)
    body = body.rstrip("$") if right == "$" else body
    _, opened, formula = body.rpartition(left)
    return formula if mark and opened else ""
