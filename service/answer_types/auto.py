"""`auto`: decides the answer type from the question, the choices and the completions."""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from pydantic import BaseModel

from service.answer_types import reading
from service.answer_types.base import AnswerType, Options
from service.answer_types.boxes import Boxes
from service.answer_types.choice import Choice
from service.answer_types.date import Date
from service.answer_types.enumeration import List
from service.answer_types.evident import askable, asked_for, evident, said
from service.answer_types.json_value import JsonValue
from service.answer_types.mathematics import Math, looks_like_math
from service.answer_types.nonanswers import gives_none
from service.answer_types.number import Number
from service.answer_types.numerals import find_quantities, plain_fractions, read_quantity
from service.answer_types.options import Offered, offered, yes_or_no
from service.answer_types.restating import amount_of, concludes
from service.answer_types.source_code import Code
from service.answer_types.text import Text
from service.answer_types.tool_call import ToolCall
from service.answer_types.trailing import without_reasons
from service.candidates import Extraction, Task

FOR_GOOD = 10**9
"""More completions than any request draws: the decision rests on the question alone."""

_AMOUNT = re.compile(
    r"\bhow (?:many|much|long|old|far|tall|high|deep|fast|heavy|big|large|wide)\b"
    r"|\b(?:what|find|calculate|compute|determine)\b[^.?!]{0,40}\b(?:number|total|sum|product|value|difference|average|price|cost"
    r"|percent(?:age)?|probability|area|volume|ratio|remainder|distance|speed|length)\b",
    re.IGNORECASE,
)
_STATED_CHARS = 80
_MOST_NUMBERS = 20
_JOINT = re.compile(r",[ ]?(?:and[ ]|or[ ])?|[ ](?:and|or)[ ]")
_TYPES: dict[str, type[AnswerType]] = {"number": Number, "choice": Choice, "text": Text, "math": Math}
_EVIDENT: dict[str, type[AnswerType]] = {
    "tool_call": ToolCall,
    "boxes": Boxes,
    "list": List,
    "json": JsonValue,
    "code": Code,
    "date": Date,
}

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
    question has options within a line ((A) … (B) …, "True, False or Uncertain") or asks for yes or no, and at least
    half of the completions answer with one. Then a type of which there is no doubt in more than half of the
    completions: `tool_call` (tags, or nothing but a call in JSON) and `json` (nothing but JSON that marks no
    "answer"; unasked for only objects, without reasons in them); and where the question asks for it `boxes` (tags,
    or JSON keys such as "bbox_2d"), `list` (a JSON array, or short bullets at the end), `code` (Python) and `date`
    (one day that can be read in one way only). Else the shape of the completions' answers decides: `number` or
    `math` if at least half are numbers or formulas (`math` if more than one in five of these is a formula),
    otherwise `text`. An unmarked short sentence that says one number ("It is 1/2") is a number. Completions that
    give no answer ("I don't know", a refusal: the closed list of nonanswers.py) decide nothing and do not vote.
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
        return {**_TYPES, **_EVIDENT}[decision.name](), decision

    def foreseen(self, task: Task) -> tuple[str, ...]:
        """The names of the types that the question leaves open, whatever comes.

        Without `tool_call`, and without `json` where nothing asks for it: these are decided on by what comes alone.
        """
        closed = _options(task) is None
        plain = tuple(name for name in _TYPES if not (closed and name == "choice"))
        return (*plain, *(name for name in _EVIDENT if name in asked_for(task.question)))

    def alternatives(self, task: Task, texts: Iterable[str], to_come: int) -> tuple[AnswerType, ...]:
        """Every type that `resolve` may decide on for this task once so many more completions are there."""
        closed = _options(task) is None
        plain = [kind() for name, kind in _TYPES.items() if not (closed and name == "choice")]
        usable = _usable_of(texts, self._memo)
        names = askable(task.question)
        found = _evident(usable, task, names, self._memo)
        near = [_EVIDENT[name]() for name in names if 2 * (found[name] + to_come) > len(usable) + to_come]
        return (*plain, *near)

    def extract(self, text: str, task: Task) -> Extraction | None:
        """The answer in one completion, by the type that this completion alone decides on."""
        return self.resolve(task, (text,))[0].extract(text, task)

    def same(self, left: Extraction, right: Extraction) -> bool:
        """True if the identities are equal."""
        return left.identity == right.identity


def decide(task: Task, texts: Iterable[str], memo: Memo | None = None) -> Decision:
    """The answer type for a question and the completions so far; what is no answer of any type counts for nothing.

    `memo` keeps what was seen in each text between calls for one task, so that asking after every arrival costs no more
    than asking once.
    """
    options = _options(task)
    if options and options.certain:
        return Decision("choice", options.why, FOR_GOOD)
    memo = {} if memo is None else memo
    usable = _usable_of(texts, memo)
    settled = FOR_GOOD
    if options:
        chosen = sum(bool(_once(memo, "chooses", text, lambda seen: _chooses(seen, task))) for text in usable)
        if 2 * chosen >= len(usable):
            return Decision("choice", options.why, 2 * chosen - len(usable))
        settled = len(usable) - 2 * chosen - 1
    names = askable(task.question)
    found = _evident(usable, task, names, memo)
    for name in names:
        if (ahead := 2 * found[name] - len(usable)) > 0:
            why = f"{found[name]} of {len(usable)} completions {said(name)}"
            return Decision(name, why, min(settled, ahead - 1))
        settled = min(settled, -ahead)
    asks_amount = _AMOUNT.search(task.question[-reading.WINDOW_CHARS :]) is not None
    asks_list = "list" in names
    counts = Counter(_once(memo, "shape", text, lambda seen: _shape(seen, asks_amount, asks_list)) for text in usable)
    return _decision(counts["number"], counts["math"], counts["text"], settled)


def _options(task: Task) -> Offered | None:
    return offered(task) or yes_or_no(task.question)


def _usable_of(texts: Iterable[str], memo: Memo) -> list[str]:
    return [text for text in texts if _once(memo, "usable", text, _usable)]


def _evident(usable: Iterable[str], task: Task, names: tuple[str, ...], memo: Memo) -> Counter[str | bool]:
    """How many completions are evidently of each type."""

    def look(text: str) -> str:
        visible = reading.strip_thinking(text)[0]
        return evident(visible, _marked(reading.window(visible)), task, names)

    return Counter(_once(memo, "evident", text, look) for text in usable)


def _once(memo: Memo, what: str, text: str, look: Callable[[str], str | bool]) -> str | bool:
    if (what, text) not in memo:
        memo[what, text] = look(text)
    return memo[what, text]


def _usable(text: str) -> bool:
    """False for what is no answer of any type: empty, unclosed thinking, "I don't know", a placeholder."""
    visible, unclosed = reading.strip_thinking(text)
    if unclosed or not visible.strip():
        return False
    visible = reading.window(visible)
    return not gives_none(visible.strip()) and not gives_none(_marked(visible)) and not reading.leaves_blank(visible)


def _visible(text: str) -> str:
    return reading.window(reading.strip_thinking(text)[0])


def _chooses(text: str, task: Task) -> bool:
    """True if the best-marked answer of the completion, or else its last line, names an option, or it chooses one."""
    text = _visible(text)
    choice = Choice()
    if offered(task) is None:
        found = choice.extract(text, task)
        return found is not None and found.answer in ("Yes", "No") and found.evidence != "last_mention"
    if choice.extract(_marked(text) or reading.last_line(text), task) is not None:
        return True
    found = choice.extract(text, task)
    return found is not None and found.evidence in ("concluded", "first_line", "first_word")


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


def _shape(text: str, asks_amount: bool, asks_list: bool) -> Shape:
    """What the best-marked answer of a completion looks like; of an unmarked one, its short last sentence."""
    visible = reading.strip_thinking(text)[0]
    window = without_reasons(reading.window(visible))
    marked = _marked(window) or _tagged(visible, window)
    segment = marked or reading.last_line(window)
    bare = reading.unwrap(plain_fractions(segment))
    value = reading.unwrap(bare.rpartition("=")[2])
    if read_quantity(bare) or (value and read_quantity(value)) or (not marked and _states_amount(segment, window)):
        return "number"
    if (marked or bare == reading.unwrap(window)) and _several(bare) and not asks_list:
        return "math"
    if marked and looks_like_math(segment):
        return "math"
    if asks_amount and next(find_quantities(segment), None):
        return "number"
    if bare.startswith("{") and '"' in bare:
        return "text"
    return "math" if len(segment) <= reading.MAX_ANSWER_CHARS and looks_like_math(segment) else "text"


def _tagged(visible: str, window: str) -> str:
    """The one line that stands between answer tags; empty where there are none."""
    closed = reading.within_tags(visible)[1]
    return window.strip() if closed and "\n" not in window.strip() else ""


def _states_amount(line: str, text: str) -> bool:
    """True if a short last sentence says one number and no more: "It is 1/2", "We get 0.5", "I think 3".

    Behind other sentences it must also draw a conclusion: "So it is 7".
    """
    sentence = reading.last_sentence(line)
    if len(sentence) > _STATED_CHARS or (len(text.strip()) > len(sentence) + 8 and not concludes(sentence)):
        return False
    said = reading.unwrap(plain_fractions(amount_of(sentence)))
    return said != sentence and read_quantity(said) is not None


def _several(bare: str) -> bool:
    """True for several numbers in a row or a set, such as "1, 2" or "\\{1, 2\\}"."""
    parts = _JOINT.split(bare.removeprefix("\\{").removesuffix("\\}").strip("{}()[] "), _MOST_NUMBERS)
    return 1 < len(parts) <= _MOST_NUMBERS and all(read_quantity(reading.unwrap(part)) for part in parts)


@lru_cache(maxsize=4)  # asked in turn by what looks at one completion
def _marked(text: str) -> str:
    """The answer that the completion marks as such; empty if it marks none."""
    if box := reading.boxed(text):
        return box
    for found in (reading.hashes(text), reading.json_answers(text)):
        if first := next(found, ""):
            return first
    return reading.first_sentence(reading.without_adverb(next(reading.phrases(text), "")))
