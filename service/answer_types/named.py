"""What a short text names: a day, a measured quantity, or a person or thing, whatever way it is written."""

import re
import unicodedata
from datetime import date

from service.answer_types.numerals import Quantity, plain_fractions, print_number, read_quantity
from service.answer_types.reading import WINDOW_CHARS, unwrap
from service.answer_types.units import unit_after
from service.answer_types.written import normal_form

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\.?"
)
_DAY = r"(?P<day>[0-9]{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>[0-9]{4})"
_WEEKDAY = r"(?:(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?\.?,?[ ])?(?:the[ ])?"
_WORDED = (
    re.compile(rf"{_WEEKDAY}{_MONTH}[ ]{_DAY},?[ ]{_YEAR}"),
    re.compile(rf"{_WEEKDAY}{_DAY}(?:[ ]of)?[ ]{_MONTH},?[ ]{_YEAR}"),
)
_YEAR_FIRST = re.compile(r"(?P<year>[0-9]{4})([-/.])(?P<month>[0-9]{1,2})\2(?P<day>[0-9]{1,2})")
_FIGURES = re.compile(r"([0-9]{1,2})([-/.])([0-9]{1,2})\2([0-9]{4})")
_ORDER = re.compile(r"\b(?:(MM/DD)|DD/MM)", re.IGNORECASE)
_ZEROS = re.compile(r"(?<!\d)0+(?=\d)")
_DATE = re.compile(r"\d{1,4}([/.-])\d{1,2}\1\d{1,4}")
_TITLE = re.compile(r"(?:mr|mrs|ms|dr|prof|professor|sir|dame|president)\.?[ ](?=\S+[ ]\S)")
_INITIALS = re.compile(r"\b[^\W\d_](?:\.[ ]?[^\W\d_]\b){0,8}\.?(?=[ ]|$)")

_SINGLE = re.compile(r"(?<!\S)[^\W\d_](?:[ ][^\W\d_]){1,4}(?=[ ][^\W\d_]{3})")
"""Initials without dots before a longer name: "J R R Tolkien"."""
_SHORT = re.compile(r"\b(st|mt|ft|jr|sr|inc|ltd|co|corp|vs)\.(?=[ ]|$)")
_JOINED = re.compile(r"(?<![\w.])([^\W\d_])\.(?=[^\W\d_]{3})")
"""An initial that stands close to its name: "E.coli"."""


def key_of(answer: str, question: str) -> str:
    """What two short texts share if they name the same: day, quantity with a unit, or name.

    Days are the same in words and in figures; 1/2/2021 is a day only where the question says whether the month or the
    day comes first ("MM/DD/YYYY"). Names lose accents, a leading title and the dots of initials.
    """
    form = normal_form(answer)
    if day := read_day(form, question):
        return f"day {day.isoformat()}"
    if quantity := _measured(plain_fractions(unwrap(answer)).strip()):
        return f"quantity {print_number(quantity.value)} {'%' if quantity.percent else quantity.unit}"
    return _ZEROS.sub("", form) if _DATE.fullmatch(form) else _name(form)


def is_measured(answer: str) -> bool:
    """True if the text is a quantity with a known unit and nothing more."""
    return _measured(plain_fractions(unwrap(answer)).strip()) is not None


def read_day(form: str, question: str = "") -> date | None:
    """The day, with its year, that a text in normal form is; None if it is anything else or could be two days."""
    for pattern in _WORDED:
        if found := pattern.fullmatch(form):
            return _day(int(found["year"]), _MONTHS.index(found["month"][:3]) + 1, int(found["day"]))
    if found := _YEAR_FIRST.fullmatch(form):
        return _day(int(found["year"]), int(found["month"]), int(found["day"]))
    if found := _FIGURES.fullmatch(form):
        first, second, year = int(found[1]), int(found[3]), int(found[4])
        month_first = _month_first(first, second, found[2], question)
        if month_first is not None:
            return _day(year, first, second) if month_first else _day(year, second, first)
    return None


def _month_first(first: int, second: int, mark: str, question: str) -> bool | None:
    if first == second or max(first, second) > 12:
        return first <= 12
    asked = _ORDER.search(question[-WINDOW_CHARS:])
    if asked:
        return asked[1] is not None
    return False if mark == "." else None


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _measured(bare: str) -> Quantity | None:
    """The quantity that a text is and nothing more, if it has a known unit."""
    quantity = read_quantity(bare)
    if quantity is None or not (quantity.unit or quantity.percent):
        return None
    unit = unit_after(bare, quantity.end)
    return quantity if len(bare) == (unit[1] if unit else quantity.end) else None


def _name(form: str) -> str:
    form = _SINGLE.sub(lambda found: found[0].replace(" ", ""), form)
    if "." in form:
        form = _SHORT.sub(r"\1", _JOINED.sub(r"\1 ", form))
        form = _INITIALS.sub(lambda found: found[0].replace(".", "").replace(" ", ""), form)
    form = _TITLE.sub("", form, count=1) if _TITLE.match(form) else form
    return form if form.isascii() else _without_accents(form)


def _without_accents(form: str) -> str:
    """The text with the marks on Latin letters dropped; other scripts are left alone."""
    kept: list[str] = []
    for letter in unicodedata.normalize("NFD", form):
        if not (unicodedata.combining(letter) and kept and kept[-1].isascii()):
            kept.append(letter)
    return unicodedata.normalize("NFC", "".join(kept))
