"""`number`: the answer is one number, equal by exact value."""

import re
from fractions import Fraction
from itertools import islice
from typing import Literal

from pydantic import BaseModel, Field

from service.answer_types import reading
from service.answer_types.base import Options
from service.answer_types.numerals import (
    Quantity,
    find_figures,
    find_word_number,
    last_figures,
    plain_fractions,
    print_number,
    read_quantity,
)
from service.candidates import Extraction, Task

_REASONS = frozenset(
    [
        "because",
        "since",
        "as",
        "so",
        "where",
        "which",
        "when",
        "if",
        "given",
        "with",
        "from",
        "for",
        "and",
        "or",
        "after",
    ]
)
_EXPRESSION = frozenset("\\^+*=<>(){}[]|/")


_SHARE = re.compile(
    r"(?:an?[ ](?=[a-z])|(?=half))(half|third|quarter|fifth|tenth)(?:[ ]of[ ][a-z ]{1,60})?", re.IGNORECASE
)
_OPERATION = re.compile(r"[ ]?[+*\u00d7\u00f7\u22c5][ ]?[$\\(]{0,2}[0-9]|[ ][-\u2212\u2013][ ]\$?[0-9]")
_CHECK = re.compile(r"(?<=[^\W\d_] )\((?=[^()]{0,80}[-+*/\u00d7\u00f7=\u2212])[^()]{1,80}\)[\s.!*]{0,8}\Z")
"""The calculation in brackets behind a result: "36 cookies (12 x 3)."."""
_NOTE = re.compile(r"\n[\s*_>#\-]{0,8}(?:note|p\.?s\.?|sources?|references?)[\s*_]{0,4}:", re.IGNORECASE)
_FACTORIAL = re.compile(r"[0-9)}]!+[\s$.)\\]{0,8}\Z")


class NumberOptions(Options):
    """`tolerance`: numbers this close are equal, as a difference (absolute) or as a share of the larger (relative).

    `percent_as_fraction`: "50%" equals 0.5. By default percent is a unit: "50%" equals "50" and not "$50".
    """

    tolerance: float | None = Field(default=None, gt=0.0, allow_inf_nan=False)
    tolerance_kind: Literal["absolute", "relative"] = "absolute"
    percent_as_fraction: bool = False


class Number:
    """One number, compared by exact value and, where both have a known unit, by unit; the spelling shows it.

    "5 cm" equals "5" and not "5 m"; of two units a bare number goes with the more frequent one. Units are not converted
    into each other, and other words after a number ("12 apples") are not compared.

    Evidence, in this order: `boxed`, `hashes` (####), `json`, `whole` (nothing but a number), `phrase` ("the answer
    is", the last one that has a number), `last_number` (in figures, in the last 4,000 characters).

    A power with figures alone is a number (2^10), and so are "$1.5M" and "1.234,5". Figures of a date, a time, a ratio
    (3:1), a list, a range, a root or a formula (3x, 2^n, 5 ± 1) are none: where such come last, there is no answer.

    In a phrase the first number of its sentence counts, but the one after the last "=" where that ends a calculation,
    and in "not 5 but 7" the 7. A box or a JSON value that holds an expression other than a number is an answer that is
    no number: the completion then has none.

    Canonical form: an integer, a terminating decimal, or p/q.
    """

    name: str = "number"
    Options: type[BaseModel] = NumberOptions
    exact: bool = True

    def __init__(self, options: NumberOptions | None = None) -> None:
        self.options = options or NumberOptions()
        self.exact = self.options.tolerance is None

    def extract(self, text: str, task: Task) -> Extraction | None:
        """The number that the completion answers with, or None."""
        text = plain_fractions(reading.window(text))
        for evidence, segment in reading.marked(text):
            found, settled = (None, True) if _is_factorial(segment, evidence) else _in_marked(segment)
            if found or settled:
                return self._extraction(found, evidence)
        if reading.leaves_blank(text):
            return None
        if share := _SHARE.fullmatch(reading.unwrap(text)):
            text = f"one {share[1]}"
        if whole := read_quantity(reading.unwrap(text)):
            return self._extraction(whole, "whole")
        for line in reading.phrases(text):
            found, settled = _in_phrase(_without_bullet(line, text))
            if found or settled:
                return self._extraction(found, "phrase")
        return self._extraction(_last_number(text[-reading.TAIL_CHARS :]), "last_number")

    def same(self, left: Extraction, right: Extraction) -> bool:
        """True if the values are equal, or within the tolerance of each other, and the units do not differ."""
        if left.clashes(right):
            return False
        if left.identity == right.identity or self.options.tolerance is None:
            return left.identity == right.identity
        a, b = left.key, right.key
        if not (isinstance(a, Fraction) and isinstance(b, Fraction)):
            return False
        scale = max(abs(a), abs(b)) if self.options.tolerance_kind == "relative" else 1
        return abs(a - b) <= Fraction(self.options.tolerance) * scale

    def _extraction(self, found: Quantity | None, evidence: str) -> Extraction | None:
        if found is None:
            return None
        fraction = found.percent and self.options.percent_as_fraction
        value = found.value / 100 if fraction else found.value
        unit = "%" if found.percent and not fraction else found.unit
        return Extraction(print_number(value), found.spelling[:200], evidence, key=value, apart=unit)


def _is_factorial(segment: str, evidence: str) -> bool:
    """True for "10!" in a box, where the mark is no full stop."""
    return evidence == "boxed" and _FACTORIAL.search(segment) is not None


def _in_marked(segment: str) -> tuple[Quantity | None, bool]:
    """The number of a marked answer; and True if the mark settles that there is none."""
    bare = reading.unwrap(segment)
    value = reading.unwrap(bare.rpartition("=")[2])
    if whole := read_quantity(bare) or read_quantity(value):
        return whole, True
    figures = [*islice(find_figures(bare), 2)]
    if not figures:
        return None, False
    end, number = figures[0]
    lone = len(figures) == 1 and not bare[end : end + 1].isalpha() and not _EXPRESSION.intersection(bare)
    return (number if lone else None), True


def _in_phrase(line: str) -> tuple[Quantity | None, bool]:
    """The number that a phrase answers with; and True if its figures are part of something that is none."""
    sentence = reading.without_adverb(reading.first_sentence(line))
    if sentence.lower().startswith("not "):
        sentence = sentence.partition(" but ")[2] or sentence.partition(" rather ")[2]
    if whole := read_quantity(reading.unwrap(sentence)):
        return whole, True
    if sentence.lower().startswith("between "):
        return None, True
    if share := _SHARE.fullmatch(reading.unwrap(sentence)):
        return read_quantity(f"one {share[1]}"), True
    first = next(find_figures(sentence), None)
    if first is None:
        return find_word_number(sentence), False
    end, number = first
    if result := _result(sentence[end:]):
        return result, True
    return (None if _OPERATION.match(sentence, end) else number), True


def _last_number(tail: str) -> Quantity | None:
    """The number in the last figures; of a note, or a calculation in brackets, that ends the text the one before it."""
    note = _NOTE.search(tail)
    tail = tail[: note.start()] if note and last_figures(tail[: note.start()]) else tail
    check = _CHECK.search(tail[-120:])
    before = last_figures(tail[: check.start() - min(len(tail), 120)]) if check else None
    return before or last_figures(tail)


def _without_bullet(line: str, text: str) -> str:
    """The line without the bullet of a list that stands on it alone: of "Answer:\\n- 42" the dash is no minus."""
    return line[2:] if line.startswith(("- ", "* ")) and f"\n{line}" in text else line


def _result(sentence: str) -> Quantity | None:
    """The number after the last "=" of the calculation that the sentence goes on with."""
    calculation, equals, after = sentence.rpartition("=")
    if not equals or _REASONS.intersection(calculation.lower().split()):
        return None
    return next((number for _, number in find_figures(after)), None)
