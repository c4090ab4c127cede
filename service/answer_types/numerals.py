"""Numbers as people and models write them, read into exact fractions without evaluating anything.

A number of more than `MAX_DIGITS` digits (or an exponent that would make one) is refused, so that no text costs more
than its length. A point is always the decimal point: "1.234,5" is not read as European notation.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from service.answer_types.number_words import Worded, find_words
from service.answer_types.units import unit_after, unit_before

MAX_DIGITS = 400
_MAX_PART = 10**MAX_DIGITS
_MAX_PLACES = 40

_GROUP = r"(?:,\\!|,|\{,\}|\\,|\\!,|[\u00a0\u2009\u202f'\u2019])"
_SPACED = r"(?:,\\!|,|\{,\}|\\,|\\!,|[ \u00a0\u2009\u202f'\u2019])"
_LAKHS = r"[0-9]{1,2}(?:,[0-9]{2})+,[0-9]{3}(?![0-9])"
_SUPERSCRIPTS = str.maketrans(
    "\u207b\u207a\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079", "-+0123456789"
)
_VULGAR = {
    sign: f"{up}/{down}"
    for sign, up, down in zip(
        "\u00bd\u00bc\u00be\u2153\u2154\u2155\u2156\u2157\u2158\u2159\u215a\u215b\u215c\u215d\u215e",
        "113121234151357",
        "244335555668888",
        strict=True,
    )
}
_SCALES = {"hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_CURRENCY = r"(?:US\\?\$|USD[ ]?|EUR[ ]?|\\?\$|\\pounds[ ]?|[\u20ac\u00a3\u00a5\u20b9])"
_PERCENT = r"(?:[ ]?\\?%|[ ]per[ ]?cent\b)"


def _pattern(group: str) -> str:
    plain = rf"(?:[0-9]{{1,3}}(?:{group}[0-9]{{3}})+(?![0-9])|{_LAKHS}|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+"
    times_ten = r"[ ]?(?:\\times|\\cdot|[\u00d7*x\u00b7])[ ]?10"
    power = (
        rf"[eE][-+\u2212]?[0-9]+|{times_ten}(?:(?:\^|\*\*)(?:\{{[ ]?[-+\u2212]?[0-9]+[ ]?\}}|[-+\u2212]?[0-9]+)"
        r"|[\u207b\u207a]?[\u2070\u00b9\u00b2\u00b3\u2074-\u2079]+)"
    )
    number = rf"(?:{plain})(?:{power})?"
    part = rf"\{{[ ]?([-\u2212]?{number})[ ]?\}}"
    latex = rf"\\[dtc]?frac[ ]?(?:{part}[ ]?{part}|([0-9])[ ]?([0-9])|([0-9])[ ]?\{{([0-9]+)\}})"
    return (
        rf"(?P<currency>{_CURRENCY}[ ]?)?(?P<inner>[-\u2212])?"
        rf"(?:(?P<whole>[0-9]+)?[ ]?(?:\\ )?(?P<latex>{latex})"
        r"|(?P<mixed>[0-9]+)[ ](?:and[ ])?(?P<up>[0-9]+)[/\u2044](?P<down>[0-9]+)(?![0-9]|[ ]?/)"
        rf"|(?P<over>{number})[ ]?[/\u2044][ ]?(?P<under>{number})(?![0-9]|[ ]?/)"
        rf"|(?P<number>{number}))"
        rf"(?P<percent>{_PERCENT})?(?:[ ](?P<scale>hundred|thousand|million|billion|trillion)\b)?"
    )


_TIMES_TEN = re.compile(r"(?:\\times|\\cdot|[\u00d7*x\u00b7])[ ]?10")
_E = re.compile("[eE]")
_FIND = re.compile(
    r"(?<![A-Za-z0-9_])(?<![0-9]/)(?:(?<![)\]}%])(?<![0-9)\]}%] )(?P<sign>[-\u2212]))?" + _pattern(_GROUP)
)
_WHOLE = re.compile(
    r"(?:(?:approximately|approx\.?|about|around|roughly|nearly|only|exactly|a total of|\u2248|~|\\approx|=)[ ]?)?"
    r"(?P<sign>[-\u2212\u2013+]|minus[ ]|negative[ ])?[ ]?" + _pattern(_SPACED),
    re.IGNORECASE,
)
_UNIT = re.compile(
    r"(?:\^\{?\\circ\}?|\u00b0)?[ ~]?(?:\\[ ,;!])?[ ]?"
    r"(?:\\(?:text|mathrm|mbox|textrm)\{[^{}0-9]{0,60}\}(?:\^\{?[23]\}?)?|(?P<words>[^\W\d_][^\d=+*<>\\()\[\]{}|;:$]{0,60}[\u00b2\u00b3]?))?"
    r"[$.]{0,2}"
)


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number found in a text: its exact value, whether a percent sign follows, and how it was spelled.

    `unit` is the known unit of measurement or money that stands with it.
    """

    value: Fraction
    percent: bool
    spelling: str
    start: int = 0
    end: int = 0
    unit: str | None = None


def read_quantity(text: str) -> Quantity | None:
    """The number that the whole of `text` is, with or without a currency and a unit; None if it is anything else.

    "5x" is not a number with a unit: a unit of one letter stands apart.
    """
    text = plain_fractions(text).strip()
    found = _WHOLE.match(text)
    if found is None:
        return _read_words(text)
    unit = _UNIT.fullmatch(text, found.end())
    if unit is None or (unit["words"] and len(unit[0]) == 1):
        return None
    return _quantity(found, text)


def find_quantities(text: str) -> Iterator[Quantity]:
    """The numbers written in figures in `text`, in order; a minus after a number is an operator."""
    for found in _FIND.finditer(text):
        if quantity := _quantity(found):
            yield quantity


def find_word_number(text: str) -> Quantity | None:
    """The first number written in words in `text`."""
    words = next(find_words(text), None)
    return _word_quantity(words, text) if words else None


def print_number(value: Fraction) -> str:
    """The one canonical spelling: an integer, a terminating decimal, or p/q."""
    if value.denominator == 1:
        return str(value.numerator)
    rest, places = value.denominator, 0
    for prime in (2, 5):
        count = 0
        while rest % prime == 0 and count <= _MAX_PLACES:
            rest, count = rest // prime, count + 1
        places = max(places, count)
    if rest != 1 or places > _MAX_PLACES or abs(value.numerator) >= 10**100:
        return f"{value.numerator}/{value.denominator}"
    digits = str(abs(value.numerator) * 10**places // value.denominator).zfill(places + 1)
    return f"{'-' if value < 0 else ''}{digits[:-places]}.{digits[-places:]}"


def plain_fractions(text: str) -> str:
    """The text with "½" and its like written as 1/2."""
    for sign, spelled in _VULGAR.items():
        if sign in text:
            text = text.replace(f" {sign}", f" {spelled}").replace(sign, f" {spelled}")
    return text


def _read_words(text: str) -> Quantity | None:
    words = next(find_words(text), None)
    if words is None or words.start > 0:
        return None
    unit = text[words.end :]
    return _word_quantity(words, text) if not unit or (_UNIT.fullmatch(unit) and " of " not in unit) else None


def _word_quantity(words: Worded, text: str) -> Quantity:
    unit, end = unit_after(text, words.end) or (None, words.end)
    percent = unit == "%"
    return Quantity(words.value, percent, text[words.start : end], words.start, words.end, None if percent else unit)


def _quantity(found: re.Match[str], spelling: str = "") -> Quantity | None:
    value = _magnitude(found)
    if value is None:
        return None
    value *= _SCALES.get((found["scale"] or "").lower(), 1)
    if (found["sign"] or "+") != "+":
        value = -value
    if found["inner"]:
        value = -value
    if abs(value.numerator) >= _MAX_PART or value.denominator >= _MAX_PART:
        return None
    text, percent = found.string, bool(found["percent"])
    unit, end = unit_after(text, found.end()) or (None, found.end())
    unit = unit or (unit_before(found["currency"], text, end) if found["currency"] else None)
    spelling = spelling or text[found.start() : end]
    return Quantity(value, percent, spelling.strip(), found.start(), found.end(), None if percent else unit)


def _magnitude(found: re.Match[str]) -> Fraction | None:
    if found["number"]:
        return _fraction(found["number"])
    if found["over"]:
        return _ratio(found["over"], found["under"])
    if found["mixed"]:
        whole, rest = _fraction(found["mixed"]), _ratio(found["up"], found["down"])
    else:
        start = found.re.groupindex["latex"]
        parts = [part for part in found.groups()[start : start + 6] if part is not None]
        whole, rest = _fraction(found["whole"] or "0"), _ratio(parts[0], parts[1])
    return None if whole is None or rest is None else whole + rest


def _ratio(over: str, under: str) -> Fraction | None:
    top, bottom = _fraction(over), _fraction(under)
    return None if top is None or not bottom else top / bottom


def _fraction(text: str) -> Fraction | None:
    if len(text) > 2 * MAX_DIGITS:
        return None
    text = text.translate(_SUPERSCRIPTS).replace("\u2212", "-")
    mantissa, _, power = _split_power(text)
    mantissa = re.sub(r"[^0-9.-]", "", mantissa)
    power = re.sub(r"[^0-9-]", "", power) or "0"
    digits = mantissa.lstrip("-").replace(".", "")
    if len(power) > 5 or len(digits) + abs(int(power)) > MAX_DIGITS:
        return None
    places = len(mantissa.partition(".")[2])
    value = Fraction(int(digits), 10**places) * Fraction(10) ** int(power)
    return -value if mantissa.startswith("-") else value


def _split_power(text: str) -> tuple[str, str, str]:
    power = _TIMES_TEN.search(text) or _E.search(text)
    return (text[: power.start()], power[0], text[power.end() :]) if power else (text, "", "")
