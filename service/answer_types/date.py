"""`date`: the answer is a calendar date, a month of a year, or a year."""

import re
from collections import deque
from collections.abc import Iterator
from datetime import date

from pydantic import BaseModel

from service.answer_types import reading
from service.answer_types.base import Options
from service.candidates import Extraction, Task

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\b"
)
_ABBREVIATED = re.compile(r"\b(jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\.", re.IGNORECASE)
_DAY = r"[0-9]{1,2}(?:st|nd|rd|th)?"
_DATE = re.compile(
    r"(?<![\w/.-])(?:"
    r"(?P<iso>(?P<iso_y>[0-9]{4})(?P<iso_s>[-/.])(?P<iso_m>[0-9]{1,2})(?P=iso_s)(?P<iso_d>[0-9]{1,2})(?![0-9/-]))"
    r"|(?P<figures>(?P<one>[0-9]{1,2})(?P<mark>[-/.])(?P<two>[0-9]{1,2})(?P=mark)(?P<figures_y>[0-9]{4})(?![\w/-]))"
    rf"|(?P<dmy>(?:the )?(?P<dmy_d>{_DAY})[ -](?:day )?(?:of )?(?P<dmy_m>{_MONTH})[,]?[ -](?P<dmy_y>[0-9]{{4}})\b)"
    rf"|(?P<mdy>(?P<mdy_m>{_MONTH})[ ](?:the )?(?P<mdy_d>{_DAY})(?:,[ ]?|[ ])(?P<mdy_y>[0-9]{{4}})\b)"
    rf"|(?P<my>(?P<my_m>{_MONTH})(?:[ ]of)?(?:,[ ]|[ -])(?P<my_y>[0-9]{{4}})\b)"
    r"|(?P<ym>(?P<ym_y>[0-9]{4})-(?P<ym_m>[0-9]{2})(?![\w/-]))"
    r")",
    re.IGNORECASE,
)
_DAY_FIRST = re.compile(r"\bDD?[/.-]MM?\b", re.IGNORECASE)
_YEAR = re.compile(r"(?:in |the year )?([0-9]{4})", re.IGNORECASE)
_SPACES = re.compile(r"[ \t\u00a0\u202f]+")


class DateOptions(Options):
    """`day_first`: 3/5/2024 is 3 May. By default it is what the question says ("DD/MM/YYYY"), else March 5."""

    day_first: bool | None = None


class Date:
    """One date, compared as a date; a month or a year is another answer than a day in it.

    Evidence, in this order: `boxed`, `hashes` (####), `json`, `whole` (nothing but a date), `phrase` ("the answer is",
    the last one that has a date), `last_date` (in the last 4,000 characters). What is marked and holds an impossible
    date, several dates or none settles that there is no answer.

    Read are ISO dates (a time after them is passed over), 5 March 2024, March 5th, 2024, 05.03.2024, 3/5/2024, March
    2024, 2024-03, and a year that stands alone. With points the day always comes first; an order that is impossible
    (13/5 with the month first) yields to the other. Years have four digits: 3/5/24 is no date.

    Canonical form: ISO 8601, YYYY-MM-DD, YYYY-MM or YYYY.
    """

    name: str = "date"
    Options: type[BaseModel] = DateOptions
    exact: bool = True

    def __init__(self, options: DateOptions | None = None) -> None:
        self.options = options or DateOptions()

    def extract(self, text: str, task: Task) -> Extraction | None:
        """The date that the completion answers with, or None."""
        text = reading.window(text)
        day_first = self._day_first(task)
        for evidence, segment in reading.marked(text):
            return _lone(segment, evidence, day_first)
        if whole := _whole(text, "whole", day_first):
            return whole
        for line in reading.phrases(text):
            sentence = reading.first_sentence(_plain(line))
            if found := _whole(sentence, "phrase", day_first) or next(_dates(sentence, "phrase", day_first), None):
                return found
        last = deque(_DATE.finditer(_plain(text[-reading.TAIL_CHARS :])), 1)
        return _read(last[0], "last_date", day_first) if last else None

    def same(self, left: Extraction, right: Extraction) -> bool:
        """True if the ISO forms are equal."""
        return left.identity == right.identity

    def lone(self, segment: str, evidence: str, task: Task) -> Extraction | None:
        """The date that a short text holds; None if it holds several, or an impossible one, or none."""
        return _lone(segment, evidence, self._day_first(task))

    def _day_first(self, task: Task) -> bool:
        if self.options.day_first is not None:
            return self.options.day_first
        return _DAY_FIRST.search(task.question[-reading.WINDOW_CHARS :]) is not None


def _whole(segment: str, evidence: str, day_first: bool) -> Extraction | None:
    bare = reading.unwrap(_plain(reading.unwrap(segment)))
    if (year := _YEAR.fullmatch(bare)) and int(year[1]):
        return Extraction(year[1], bare, evidence)
    found = _DATE.fullmatch(bare)
    return _read(found, evidence, day_first) if found else None


def _lone(segment: str, evidence: str, day_first: bool) -> Extraction | None:
    if whole := _whole(segment, evidence, day_first):
        return whole
    matches = list(_DATE.finditer(_plain(segment)))
    found = [_read(match, evidence, day_first) for match in matches]
    return found[0] if found and len({e.answer if e else None for e in found}) == 1 else None


def _dates(segment: str, evidence: str, day_first: bool) -> Iterator[Extraction]:
    for match in _DATE.finditer(segment):
        if found := _read(match, evidence, day_first):
            yield found


def _read(match: re.Match[str], evidence: str, day_first: bool) -> Extraction | None:
    kind = next(k for k in ("iso", "figures", "dmy", "mdy", "my", "ym") if match[k])
    if kind == "figures":
        answer = _figures(match, day_first)
    else:
        day = match[f"{kind}_d"] if kind in ("iso", "dmy", "mdy") else None
        month = match[f"{kind}_m"]
        number = int(month) if month.isdigit() else _MONTHS.index(month[:3].lower()) + 1
        answer = _iso(int(match[f"{kind}_y"]), number, int(day.rstrip("stndrhSTNDRH")) if day else None)
    return Extraction(answer, match[0], evidence) if answer else None


def _figures(match: re.Match[str], day_first: bool) -> str | None:
    year, one, two = int(match["figures_y"]), int(match["one"]), int(match["two"])
    if day_first or match["mark"] == ".":
        return _iso(year, two, one) or _iso(year, one, two)
    return _iso(year, one, two) or _iso(year, two, one)


def _plain(text: str) -> str:
    """Without what stands between the parts of a date: emphasis, the point of "Mar.", spaces of other widths."""
    return _SPACES.sub(" ", _ABBREVIATED.sub(r"\1", text.replace("*", "").replace("_", "")))


def _iso(year: int, month: int, day: int | None) -> str | None:
    """The ISO form; None for a date that no calendar has."""
    try:
        known = date(year, month, day or 1)
    except ValueError:
        return None
    if day is None:
        return f"{known.year:04d}-{known.month:02d}"
    return known.isoformat() if day else None
