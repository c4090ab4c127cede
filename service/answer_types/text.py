"""`text`: the answer is a short free text, equal by normalised form."""

import re
from collections.abc import Iterator
from typing import Literal, Self

from pydantic import BaseModel, Field, ValidationInfo, field_validator, model_validator

from service.answer_types import reading
from service.answer_types.base import Meaning, Options
from service.answer_types.named import key_of
from service.answer_types.nonanswers import gives_none
from service.answer_types.restating import answer_in
from service.answer_types.trailing import without_reasons
from service.answer_types.unanswered import ends_on_cue
from service.answer_types.written import normal_form
from service.candidates import Extraction, Task
from service.contract import ModelName
from service.sampling_request import refusal

SHORT_CHARS = 160
"""A text without any mark of an answer is one itself only up to this length."""
_REASON = re.compile(r",?\s(?:because|since)\s|,\s(?:and\s)?not\s(?!to\s)|,?\sin\s(?:the\s)?(?:MM|DD|YYYY)\b")
_BULLET = re.compile(r"\A\s{0,4}[-*\u2022]\s(?=[^\W\d_])")
_DATE = re.compile(r"(?<![\w/.-])\d{1,4}([/.-])\d{1,2}\1\d{1,4}(?![\w/]|[.-]\d)")
_ASKS_DATE = re.compile(r"\bdate\b|\bMM/DD|\bDD/MM|\bYYYY\b", re.IGNORECASE)
_IS = re.compile(r"\b(?:is|was|are|were|be)\s((?:[^\s.!?]\S{0,60}\s?){1,3})$")
_LONG_CHARS = 60
_MAX_ROUNDS = 8


_DEFAULT_COSINE = 0.9
_DEFAULT_PROBABILITY = 0.5


class TextOptions(Options):
    """`equivalence`: what makes two texts the same answer: their normalised forms, or also what they mean.

    By meaning, `model` is the pool of workers that is asked, and `by` says how: `embeddings` (the default) asks an
    `embed` pool, `entailment` an `entail` pool. `threshold`: the least cosine of two vectors (0.9 by default; fit it to
    the model: many put unlike texts above 0.8), or the least probability that each text, as an answer to the question,
    entails the other (0.5). `strict` (entailment): false asks only that neither contradicts the other and that not both
    leave it open; it takes no threshold.
    """

    equivalence: Literal["normalised", "semantic"] = "normalised"
    by: Literal["embeddings", "entailment"] | None = None
    model: ModelName | None = Field(default=None, validate_default=True)
    strict: bool | None = None
    threshold: float | None = Field(default=None, gt=0.0, le=1.0)

    @field_validator("by", "model", "strict", "threshold")
    @classmethod
    def _of_meaning(cls, value: object, info: ValidationInfo) -> object:
        semantic = info.data.get("equivalence") == "semantic"
        if value is not None and not semantic:
            raise ValueError('only where equivalence is "semantic"')
        return value

    @field_validator("strict", "threshold")
    @classmethod
    def _of_entailment(cls, value: object, info: ValidationInfo) -> object:
        if info.field_name == "strict" and value is not None and info.data.get("by") != "entailment":
            raise ValueError('only where by is "entailment"')
        if info.field_name == "threshold" and value is not None and info.data.get("strict") is False:
            raise ValueError("not where strict is false: the likeliest label counts")
        return value

    @model_validator(mode="after")
    def _by_some_pool(self) -> Self:
        if self.equivalence == "semantic" and self.model is None:
            raise refusal("required: the pool of workers that compares what texts mean", "model")
        return self

    @property
    def meaning(self) -> Meaning | None:
        """How a pool of workers compares the texts; None where it is not asked."""
        if self.equivalence != "semantic" or self.model is None:
            return None
        by = self.by or "embeddings"
        default = _DEFAULT_COSINE if by == "embeddings" else _DEFAULT_PROBABILITY
        return Meaning(by, self.model, default if self.threshold is None else self.threshold, self.strict is not False)


class Text:
    """Short free text: names, days and quantities. Numbers without a unit compare as written.

    Evidence, in this order: `boxed`, `json`, `phrase` ("the answer is", "Answer:", "A:", the last one; up to the end of
    its sentence or a "because"), `hashes`; then of the last sentence `date` (the only date in figures, if the question
    asks for a date), `restated` (what it adds to "it is" or to the question's own words) and `is` (up to three words
    after the last "is", in completions over 60 characters); then `last_line` and `whole` (each only up to 160
    characters). What follows a short answer as "Explanation:", and courtesies and "Confidence: 0.9" at the end, are not
    read. Texts that give no answer ("I don't know", a refusal: the closed list of nonanswers.py) are none.

    Canonical form: the answer as spelled, without markdown, quotes and the final full stop. Compared without regard to
    width and case of letters, white space, outer punctuation, a leading article or title, accents on Latin letters and
    the dots of initials. Quantities with a unit compare by value ("5 km", "five kilometers"), days by the calendar:
    "May 1, 2021" is 2021-05-01, and 05/01/2021 where the question asks for MM/DD/YYYY; a date in figures that could be
    two days equals itself alone, with or without leading zeros.

    With `equivalence: "semantic"` texts whose compared forms differ are one answer where a pool of workers finds that
    they mean the same (service/equality/meaning.py): by complete linkage, so that any two of a class do, and only the
    64 most frequent forms. Days, quantities, numbers, verdicts ("yes") and names are compared as such all the same: no
    model makes 1912 and 1913, or Marie and Pierre Curie, one answer. A class prints its medoid: the form that more than
    half of it spells, else the one nearest to all others. Where the pool fails or is late the normalised forms hold,
    with a warning. No pool is asked before the samples are drawn: stopping rules count the forms, and what is not the
    leader's form as one answer against it.
    """

    name: str = "text"
    Options: type[BaseModel] = TextOptions

    def __init__(self, options: TextOptions | None = None) -> None:
        self.options = options or TextOptions()
        self.meaning = self.options.meaning
        self.judged = self.meaning is not None
        self.exact = self.meaning is None

    def extract(self, text: str, task: Task) -> Extraction | None:
        """The short answer in the completion, or None."""
        text = reading.window(text)
        if gives_none(text.strip()):
            return None
        for evidence, spelling in _found(text, task):
            if answer := _settled(spelling, task):
                return Extraction(answer, spelling[:200], evidence, key=key_of(answer, task.question))
        return None

    def same(self, left: Extraction, right: Extraction) -> bool:
        """True if the normalised forms are equal; a judge of meanings finds more."""
        return left.identity == right.identity


def _settled(answer: str, task: Task) -> str | None:
    """The canonical spelling: what reading it as a completion gives back."""
    answer = _cleaned(answer)
    for _ in range(_MAX_ROUNDS):
        again = next(
            (cleaned for _, spelling in _found(reading.window(answer), task) if (cleaned := _cleaned(spelling))), ""
        )
        if again == answer:
            return answer if normal_form(answer) and not gives_none(answer) else None
        answer = again
    return None


def _cleaned(spelling: str) -> str:
    return " ".join(reading.unwrap(_BULLET.sub("", spelling, count=1)).split())


def _found(text: str, task: Task) -> Iterator[tuple[str, str]]:
    if (box := reading.boxed(text)) is not None:
        yield "boxed", box
    for value in reading.json_answers(text):
        yield "json", value
    if not reading.leaves_blank(text):
        yield from _unmarked(text, task)


def _unmarked(text: str, task: Task) -> Iterator[tuple[str, str]]:
    for line in reading.phrases(text):
        yield "phrase", _clause(reading.first_sentence(reading.without_adverb(line)))
    for line in reading.hashes(text):
        yield "hashes", line
    if ends_on_cue(text):
        return
    text = without_reasons(text)
    line = reading.last_line(text)
    yield from _in_sentence(text, reading.last_sentence(line), task)
    if len(line) <= SHORT_CHARS:
        yield "last_line", line
    elif len(whole := text.strip()) <= SHORT_CHARS:
        yield "whole", whole


def _clause(sentence: str) -> str:
    """The answer that a phrase's sentence goes on with: of "not Paris but Lyon" Lyon, and no reason."""
    if sentence.lower().startswith("not "):
        sentence = sentence.partition(" but ")[2] or sentence
    return _REASON.split(sentence, maxsplit=1)[0]


def _in_sentence(text: str, sentence: str, task: Task) -> Iterator[tuple[str, str]]:
    dates = [found[0] for found in _DATE.finditer(sentence)]
    if len(dates) == 1 and _ASKS_DATE.search(task.question[-reading.WINDOW_CHARS :]):
        yield "date", dates[0]
    if added := answer_in(sentence, task.question):
        yield "restated", added
    if len(text.strip()) > _LONG_CHARS and (found := _IS.search(sentence[-SHORT_CHARS:])):
        yield "is", found[1]
