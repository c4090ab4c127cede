"""`date`: the answer is a calendar date, a month of a year, or a year."""

import re
from collections import deque
from collections.abc import Iterator
from datetime import date

from pydantic import BaseModel

from service.answer_types import reading
from service.answer_types.base import Options
from service.answer_types.day_words import DAY, MONTH, month_number, plain
from service.candidates import Extraction, Task

_DATE = re.compile(
    r"(?<![\w/.-])(?:"
    r"(?P<iso>(?P<iso_y>[0-9]{4})(?P<iso_s>[-/.])(?P<iso_m>[0-9]{1,2})(?P=iso_s)(?P<iso_d>[0-9]{1,2})(?![0-9/-]))"
    r"|(?P<figures>(?P<one>[0-9]{1,2})(?P<mark>[-/.])(?P<two>[0-9]{1,2})(?P=mark)(?P<figures_y>[0-9]{4})(?![\w/-]))"
    rf"|(?P<dmy>(?:the )?(?P<dmy_d>{DAY})[.]?[ -](?:day )?(?:(?:of|de) )?(?P<dmy_m>{MONTH})"
    rf"(?:[ ]?,[ ]?|[ -])(?:(?:in|of|de|del) )?(?:the year )?(?P<dmy_y>[0-9]{{4}})\b)"
    rf"|(?P<mdy>(?P<mdy_m>{MONTH})[ ](?:the )?(?P<mdy_d>{DAY})"
    rf"(?:[ ]?,[ ]?|[ ])(?:(?:in|of) )?(?:the year )?(?P<mdy_y>[0-9]{{4}})\b)"
    rf"|(?P<my>(?P<my_m>{MONTH})(?:[ ](?:of|de|in))?(?:[ ]the year)?(?:[ ]?,[ ]|[ -])(?P<my_y>[0-9]{{4}})\b)"
    rf"|(?P<ymd>(?P<ymd_y>[0-9]{{4}})[, -][ ]?(?P<ymd_m>{MONTH})[ -](?P<ymd_d>{DAY})\b)"
    r"|(?P<cjk>(?P<cjk_y>[0-9]{4})[ ]?[\u5e74\ub144][ ]?(?P<cjk_m>[0-9]{1,2})[ ]?[\u6708\uc6d4]"
    r"(?:[ ]?(?P<cjk_d>[0-9]{1,2})[ ]?[\u65e5\uc77c\u53f7])?)"
    r"|(?P<ym>(?P<ym_y>[0-9]{4})-(?P<ym_m>[0-9]{2})(?![\w/-]))"
    r"|(?P<mfy>(?P<mfy_m>[0-9]{1,2})/(?P<mfy_y>[0-9]{4})(?![\w/-]))"
    r")",
    re.IGNORECASE,
)
_KINDS = ("iso", "figures", "dmy", "mdy", "my", "ymd", "cjk", "ym", "mfy")
_DAY_FIRST = re.compile(r"\bDD?[/.-]MM?\b", re.IGNORECASE)
_YEAR = re.compile(
    r"(?:in |since |circa |around |ca?[.] ?)?(?:the year |year |AD )?([0-9]{4})(?: ?(?:AD|CE|\u5e74|\ub144))?",
    re.IGNORECASE,
)
_YEAR_SAID = re.compile(
    r"(?:\b(?:in|since|the year|year (?:is|was)|it (?:is|was)|until|of|dates? (?:to|from|back to)|back to)"
    r"|\b[Ii]t['\u2019]s)[ ](?:the year )?"
    r"([12][0-9]{3})(?: ?(?:AD|CE)\b)?"
    r"(?=[.,;:!?)\n]|[ ](?:and|when|at|by|with|after|as|for|because|during|on)\b|[ ]\(|\Z)",
    re.IGNORECASE,
)


class DateOptions(Options):
    """`day_first`: 3/5/2024 is 3 May. By default it is what the question says ("DD/MM/YYYY"), else March 5."""

    day_first: bool | None = None


class Date:
    """One date, compared as a date; a month or a year is another answer than a day in it.

    Evidence, in this order: `boxed`, `hashes` (####), `json`, `whole` (nothing but a date), `phrase` ("the answer is",
    the last one that has a date), `last_date` (in the last 4,000 characters), `last_year` (there, in words such as "in
    1945", where there is no date). What is marked and holds an impossible date, several dates or none settles that
    there is no answer.

    Read are ISO dates (a time after them is passed over), 5 March 2024, March 5th, 2024, the fifth of March 2024,
    05.03.2024, 3/5/2024, March 2024, 2024-03, 03/2024, and a year that stands alone; months also in German, French,
    Spanish, Italian, Portuguese and Dutch, and the year, month and day signs of Chinese, Japanese and Korean. With
    points the day always comes first; an order that is impossible (13/5 with the month first) yields to the other.
    Years have four digits: 3/5/24 is no date.

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
        if reading.leaves_blank(text):
            return None
        for evidence, segment in reading.marked(text):
            return _lone(segment, evidence, day_first)
        if whole := _whole(text, "whole", day_first):
            return whole
        for line in reading.phrases(text):
            sentence = reading.first_sentence(plain(line))
            if found := _whole(sentence, "phrase", day_first) or next(_dates(sentence, "phrase", day_first), None):
                return found
            if year := next(_YEAR_SAID.finditer(sentence), None):
                return Extraction(year[1], sentence, "phrase")
        tail = plain(text[-reading.TAIL_CHARS :])
        last = deque(_DATE.finditer(tail), 1)
        if last:
            return _read(last[0], "last_date", day_first)
        years = deque(_YEAR_SAID.finditer(tail), 1)
        return Extraction(years[0][1], years[0][0], "last_year") if years else None

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
    bare = reading.unwrap(plain(reading.unwrap(segment)))
    bare = bare[1:-1].strip() if bare.startswith("(") and bare.endswith(")") else bare
    if (year := _YEAR.fullmatch(bare)) and int(year[1]):
        return Extraction(year[1], bare, evidence)
    found = _DATE.fullmatch(bare)
    return _read(found, evidence, day_first) if found else None


def _lone(segment: str, evidence: str, day_first: bool) -> Extraction | None:
    if whole := _whole(segment, evidence, day_first):
        return whole
    matches = list(_DATE.finditer(plain(segment)))
    found = [_read(match, evidence, day_first) for match in matches]
    return found[0] if found and len({e.answer if e else None for e in found}) == 1 else None


def _dates(segment: str, evidence: str, day_first: bool) -> Iterator[Extraction]:
    for match in _DATE.finditer(segment):
        if found := _read(match, evidence, day_first):
            yield found


def _read(match: re.Match[str], evidence: str, day_first: bool) -> Extraction | None:
    kind = next(kind for kind in _KINDS if match[kind])
    if kind == "figures":
        answer = _figures(match, day_first)
    else:
        day = match.groupdict().get(f"{kind}_d")
        month = match[f"{kind}_m"]
        number = int(month) if month.isdigit() else month_number(month)
        answer = _iso(int(match[f"{kind}_y"]), number, int(day.rstrip("stndrhSTNDRH")) if day else None)
    return Extraction(answer, match[0], evidence) if answer else None


def _figures(match: re.Match[str], day_first: bool) -> str | None:
    year, one, two = int(match["figures_y"]), int(match["one"]), int(match["two"])
    if day_first or match["mark"] == ".":
        return _iso(year, two, one) or _iso(year, one, two)
    return _iso(year, one, two) or _iso(year, two, one)


def _iso(year: int, month: int, day: int | None) -> str | None:
    """The ISO form; None for a date that no calendar has."""
    try:
        known = date(year, month, day or 1)
    except ValueError:
        return None
    if day is None:
        return f"{known.year:04d}-{known.month:02d}"
    return known.isoformat() if day else None
