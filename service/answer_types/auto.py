"""`auto`: decides the answer type from the question, the choices and the completions."""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel

from service.answer_types import reading
from service.answer_types.base import AnswerType, Options
from service.answer_types.choice import Choice
from service.answer_types.mathematics import Math, looks_like_math
from service.answer_types.number import Number
from service.answer_types.numerals import find_quantities, plain_fractions, read_quantity
from service.answer_types.options import offered
from service.answer_types.text import Text
from service.candidates import Extraction, Task

FOR_GOOD = 10**9
"""More completions than any request draws: the decision rests on the question alone."""

_AMOUNT = re.compile(
    r"\bhow (?:many|much|long|old|far|tall|high|deep|fast|heavy|big|large|wide)\b"
    r"|\b(?:what|find|calculate|compute|determine)\b[^.?!]{0,40}\b(?:number|total|sum|product|value|difference|average|price|cost"
    r"|percent(?:age)?|probability|area|volume|ratio|remainder|distance|speed|length)\b",
    re.IGNORECASE,
)
_TYPES: dict[str, type[AnswerType]] = {"number": Number, "choice": Choice, "text": Text, "math": Math}

Shape = Literal["number", "math", "text"]
Memo = dict[tuple[str, str], str | bool]


class AutoOptions(Options):
    """None: what is decided depends on the question, the choices and the completions alone."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer type that was decided on, why, and how many further completions surely leave it as it is."""

    name: str
    why: str
    settled_for: int


class Auto:
    """Decides which answer type a request has; the same for the same completions in any order.

    `choice` where the request gives `choices` or the question lists options on lines of their own; also where the
    question has options within a line ((A) … (B) …, "True, False or Uncertain") and at least half of the completions
    answer with one. Else the shape of the completions' answers decides: `number` or `math` if at least half are numbers
    or formulas (`math` if more than one in five of these is a formula), otherwise `text`.
    """

    name: str = "auto"
    Options: type[BaseModel] = AutoOptions
    exact: bool = True
    reads_shown = True

    def __init__(self, options: AutoOptions | None = None) -> None:
        self.options = options or AutoOptions()
        self._memo: Memo = {}

    def resolve(self, task: Task, texts: Iterable[str]) -> tuple[AnswerType, Decision]:
        """The answer type to use for these completions, and the decision behind it."""
        decision = decide(task, texts, self._memo)
        return _TYPES[decision.name](), decision

    def alternatives(self, task: Task) -> tuple[AnswerType, ...]:
        """Every type that `resolve` may still decide on for this task."""
        closed = offered(task) is None
        return tuple(kind() for name, kind in _TYPES.items() if not (closed and name == "choice"))

    def extract(self, text: str, task: Task) -> Extraction | None:
        """The answer in one completion, by the type that this completion alone decides on."""
        return self.resolve(task, (text,))[0].extract(text, task)

    def same(self, left: Extraction, right: Extraction) -> bool:
        """True if the identities are equal."""
        return left.identity == right.identity


def decide(task: Task, texts: Iterable[str], memo: Memo | None = None) -> Decision:
    """The answer type for a question and the completions so far; empty ones and unclosed thinking count for nothing.

    `memo` keeps what was seen in each text between calls for one task, so that asking after every arrival costs no more
    than asking once.
    """
    options = offered(task)
    if options and options.certain:
        return Decision("choice", options.why, FOR_GOOD)
    memo = {} if memo is None else memo
    usable = [text for text in texts if _once(memo, "usable", text, _usable)]
    settled = FOR_GOOD
    if options:
        chosen = sum(bool(_once(memo, "chooses", text, lambda seen: _chooses(seen, task))) for text in usable)
        if 2 * chosen >= len(usable):
            return Decision("choice", options.why, 2 * chosen - len(usable))
        settled = len(usable) - 2 * chosen - 1
    asks_amount = _AMOUNT.search(task.question[-reading.WINDOW_CHARS :]) is not None
    counts = Counter(_once(memo, "shape", text, lambda seen: _shape(seen, asks_amount)) for text in usable)
    return _decision(counts["number"], counts["math"], counts["text"], settled)


def _once(memo: Memo, what: str, text: str, look: Callable[[str], str | bool]) -> str | bool:
    if (what, text) not in memo:
        memo[what, text] = look(text)
    return memo[what, text]


def _usable(text: str) -> bool:
    visible, unclosed = reading.strip_thinking(text)
    return bool(visible.strip()) and not unclosed


def _visible(text: str) -> str:
    return reading.window(reading.strip_thinking(text)[0])


def _chooses(text: str, task: Task) -> bool:
    """True if the best-marked answer of the completion, or else its last line, names an option."""
    text = _visible(text)
    return Choice().extract(_marked(text) or reading.last_line(text), task) is not None


def _decision(numbers: int, formulas: int, others: int, settled: int) -> Decision:
    total = numbers + formulas + others
    if total == 0:
        return Decision("text", "there is no completion to decide by", 0)
    lead = numbers + formulas - others
    if lead < 0:
        return Decision("text", f"{others} of {total} completions answer in words", min(settled, -lead - 1))
    if 4 * formulas > numbers:
        settled = min(settled, lead, 4 * formulas - numbers - 1)
        return Decision("math", f"{formulas} of {total} completions answer with a formula", settled)
    settled = min(settled, lead, (numbers - 4 * formulas) // 4)
    return Decision("number", f"{numbers} of {total} completions answer with a number", settled)


def _shape(text: str, asks_amount: bool) -> Shape:
    """What the best-marked answer of a completion looks like."""
    text = _visible(text)
    marked = _marked(text)
    segment = marked or reading.last_line(text)
    bare = reading.unwrap(plain_fractions(segment))
    value = reading.unwrap(bare.rpartition("=")[2])
    if read_quantity(bare) or (value and read_quantity(value)):
        return "number"
    if marked and looks_like_math(segment):
        return "math"
    if asks_amount and next(find_quantities(segment), None):
        return "number"
    return "math" if len(segment) <= reading.MAX_ANSWER_CHARS and looks_like_math(segment) else "text"


def _marked(text: str) -> str:
    """The answer that the completion marks as such; empty if it marks none."""
    if box := reading.boxed(text):
        return box
    for found in (reading.hashes(text), reading.json_answers(text)):
        if first := next(found, ""):
            return first
    return reading.first_sentence(reading.without_adverb(next(reading.phrases(text), "")))
