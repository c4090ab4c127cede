"""`text`: the answer is a short free text, equal by normalised form."""

import re
from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel

from service.answer_types import reading
from service.answer_types.base import Options
from service.answer_types.named import key_of
from service.answer_types.written import normal_form
from service.candidates import Extraction, Task

SHORT_CHARS = 160
"""A text without any mark of an answer is one itself only up to this length."""
_REASON = re.compile(r",?\s(?:because|since)\s")
_DATE = re.compile(r"(?<![\w/.-])\d{1,4}([/.-])\d{1,2}\1\d{1,4}(?![\w/]|[.-]\d)")
_ASKS_DATE = re.compile(r"\bdate\b|\bMM/DD|\bDD/MM|\bYYYY\b", re.IGNORECASE)
_IS = re.compile(r"\b(?:is|was|are|were|be)\s((?:[^\s.!?]\S{0,60}\s?){1,3})$")
_LONG_CHARS = 60
_MAX_ROUNDS = 8


class TextOptions(Options):
    """`equivalence`: what makes two texts the same answer; so far only their normalised forms."""

    equivalence: Literal["normalised"] = "normalised"


class Text:
    """Short free text: names, days and quantities. Numbers without a unit compare as written.

    Evidence, in this order: `boxed`, `json`, `phrase` ("the answer is", "Answer:", "A:", the last one; up to the end of
    its sentence or a "because"), `hashes`; then of the last sentence `date` (the only date in figures, if the question
    asks for a date) and `is` (up to three words after the last "is", in completions over 60 characters); then
    `last_line` and `whole` (each only up to 160 characters).

    Canonical form: the answer as spelled, without markdown, quotes and the final full stop. Compared without regard to
    width and case of letters, white space, outer punctuation, a leading article or title, accents on Latin letters and
    the dots of initials. Quantities with a unit compare by value ("5 km", "five kilometers"), days by the calendar:
    "May 1, 2021" is 2021-05-01, and 05/01/2021 where the question asks for MM/DD/YYYY; a date in figures that could be
    two days equals itself alone, with or without leading zeros.
    """

    name: str = "text"
    Options: type[BaseModel] = TextOptions
    exact: bool = True

    def __init__(self, options: TextOptions | None = None) -> None:
        self.options = options or TextOptions()

    def extract(self, text: str, task: Task) -> Extraction | None:
        """The short answer in the completion, or None."""
        for evidence, spelling in _found(reading.window(text), task):
            if answer := _settled(spelling, task):
                return Extraction(answer, spelling[:200], evidence, key=key_of(answer, task.question))
        return None

    def same(self, left: Extraction, right: Extraction) -> bool:
        """True if the normalised forms are equal."""
        return left.identity == right.identity


def _settled(answer: str, task: Task) -> str | None:
    """The canonical spelling: what reading it as a completion gives back."""
    answer = _cleaned(answer)
    for _ in range(_MAX_ROUNDS):
        again = next((cleaned for _, spelling in _found(answer, task) if (cleaned := _cleaned(spelling))), "")
        if again == answer:
            return answer if normal_form(answer) else None
        answer = again
    return None


def _cleaned(spelling: str) -> str:
    return " ".join(reading.unwrap(spelling).split())


def _found(text: str, task: Task) -> Iterator[tuple[str, str]]:
    if (box := reading.boxed(text)) is not None:
        yield "boxed", box
    for value in reading.json_answers(text):
        yield "json", value
    for line in reading.phrases(text):
        yield "phrase", _REASON.split(reading.first_sentence(reading.without_adverb(line)), maxsplit=1)[0]
    for line in reading.hashes(text):
        yield "hashes", line
    line = reading.last_line(text)
    yield from _in_sentence(text, reading.last_sentence(line), task)
    if len(line) <= SHORT_CHARS:
        yield "last_line", line
    elif len(whole := text.strip()) <= SHORT_CHARS:
        yield "whole", whole


def _in_sentence(text: str, sentence: str, task: Task) -> Iterator[tuple[str, str]]:
    dates = [found[0] for found in _DATE.finditer(sentence)]
    if len(dates) == 1 and _ASKS_DATE.search(task.question[-reading.WINDOW_CHARS :]):
        yield "date", dates[0]
    if len(text.strip()) > _LONG_CHARS and (found := _IS.search(sentence[-SHORT_CHARS:])):
        yield "is", found[1]
