"""Numbers as people and models write them, read into exact fractions without evaluating anything.

A number of more than `MAX_DIGITS` digits (or an exponent that would make one) is refused, so that no text costs more
than its length. A point is the decimal point, but in "1.234,5" and "1 234,50" the comma is: there it can be nothing
else. "$3k" is 3000, since money has no other k; what "3k" is without a currency nobody knows.

Figures that are part of something else are no numbers, and not read as one: dates, times, ratios (3:1), ranges with a
dash, versions, plus-minus, a power or a root that is no number, a factor before a letter (3x).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from service.answer_types.figures import AREA, EUROPEAN, FIND, TIMES_TEN, UNIT, WHOLE
from service.answer_types.number_words import Worded, find_words
from service.answer_types.units import is_unit, unit_after, unit_before

MAX_DIGITS = 400
_MAX_PART = 10**MAX_DIGITS
_MAX_BITS = 1_300
_MAX_PLACES = 40

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
_SHORT = {"k": 10**3, "m": 10**6, "mn": 10**6, "mln": 10**6, "b": 10**9, "bn": 10**9, "t": 10**12, "tn": 10**12}
_WIDE = str.maketrans("\uff10\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18\uff19\uff0e\uff05", "0123456789.%")
_IS_WIDE = re.compile("[\uff10-\uff19\uff0e\uff05]")
_E = re.compile("[eE]")
_REPEATING = re.compile(
    r"(?<![0-9.])(?P<whole>[0-9]{0,40})\.(?P<fixed>[0-9]{0,40})"
    r"(?:\\(?:overline|bar)[ ]?(?:\{[ ]?(?P<period>[0-9]{1,40})[ ]?\})|(?P<marked>(?:[0-9]\u0305){1,40}))"
)
_AND_A_PART = re.compile(r"(?<=[0-9])[ ]and[ ](?:an?|one)[ -](half|third|quarter|fifth|tenth)\b(?![ ]of\b)")
_PARTS = {"half": "1/2", "third": "1/3", "quarter": "1/4", "fifth": "1/5", "tenth": "1/10"}
_EURO_CENTS = re.compile(
    r"(?:(?<=\u20ac)|(?<=\u20ac )|(?<![0-9.,])(?<![0-9] )(?=[0-9]{1,9},[0-9]{2}[ ]?\u20ac))"
    r"([0-9]{1,9}),([0-9]{2})(?![0-9,])"
)
_FIRST_WORD = re.compile(r"\s*([^\W\d_]+)")
_FACTORS = frozenset(
    (*("pi", "sin", "cos", "tan", "cot", "csc", "log", "ln", "exp", "sqrt"), *("arcsin", "arccos", "arctan", "theta"))
)
_FUNCTION_OF = re.compile(r"(?:a|arc)?(?:sin|cos|tan|cot|log|ln|exp)h?[xyzt]")
_VARIABLES = frozenset("abcwxyz")
_HOURS = frozenset(("am", "pm"))
_VOWEL = re.compile("[aeiouAEIOU\u0080-\uffff]")


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

    "5x" and "5 x" are no numbers with a unit: a unit of one letter is a known one and stands apart. Neither are
    "2 pi", "3 sin x" and "2ab".
    """
    text = plain_fractions(text).strip()
    found = WHOLE.match(text)
    if found is None:
        return _read_words(text)
    unit = UNIT.fullmatch(text, found.end())
    if unit is None or _is_factor(unit):
        return None
    return _quantity(found, text)


def find_quantities(text: str) -> Iterator[Quantity]:
    """The numbers written in figures in `text`, in order; a minus after a number is an operator."""
    return (quantity for _, quantity in find_figures(text) if quantity)


def find_figures(text: str) -> Iterator[tuple[int, Quantity | None]]:
    """Where figures end in `text`, in order, with the number that they are; None where they are part of no number."""
    return ((found.end(), _in_text(found)) for found in FIND.finditer(text) if not _is_of_unit(found))


def last_figures(text: str) -> Quantity | None:
    """The number that the last figures in `text` are; None where they are part of something else, or there are none."""
    last = next((found for found in reversed([*FIND.finditer(text)]) if not _is_of_unit(found)), None)
    return _in_text(last) if last else None


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
    """The text with "½" and its like written as 1/2, repeating decimals as fractions, and figures of the usual width.

    In "€12,50" and "12,50 €" the comma is the decimal one; "5 and a half" is 5 1/2.
    """
    if " and a " in text or " and one" in text:
        text = _AND_A_PART.sub(lambda part: f" {_PARTS[part[1]]}", text)
    if "\\overline" in text or "\\bar" in text or "\u0305" in text:
        text = _REPEATING.sub(_repeated, text)
    if text.isascii():
        return text
    text = text.translate(_WIDE) if _IS_WIDE.search(text) else text
    for sign, spelled in _VULGAR.items():
        if sign in text:
            text = text.replace(f" {sign}", f" {spelled}").replace(sign, f" {spelled}")
    return _EURO_CENTS.sub(r"\1.\2", text) if "\u20ac" in text else text


def _repeated(found: re.Match[str]) -> str:
    """`0.1\\overline{6}` as a fraction of integers."""
    whole, fixed, period = (
        found["whole"] or "0",
        found["fixed"],
        found["period"] or found["marked"].replace("\u0305", ""),
    )
    scale = 10 ** len(fixed)
    value = Fraction(int(whole + fixed), scale) + Fraction(int(period), scale * (10 ** len(period) - 1))
    return f"{value.numerator}/{value.denominator}"


def _read_words(text: str) -> Quantity | None:
    words = next(find_words(text), None)
    if words is None or words.start > 0:
        return None
    unit = text[words.end :]
    return _word_quantity(words, text) if not unit or (UNIT.fullmatch(unit) and " of " not in unit) else None


def _word_quantity(words: Worded, text: str) -> Quantity:
    unit, end = unit_after(text, words.end) or (None, words.end)
    percent = unit == "%"
    return Quantity(words.value, percent, text[words.start : end], words.start, words.end, None if percent else unit)


def _is_factor(unit: re.Match[str]) -> bool:
    """True where what follows a number is no unit, but what it is multiplied by."""
    words = unit["words"] or unit["styled"] or ""
    first = _FIRST_WORD.match(words)
    if first is None:
        return False
    name, styled = first[1], unit["styled"] is not None
    apart = styled or unit.string[unit.start("words") - 1].isspace()
    alone = len(words.rstrip("$. \u00b2\u00b3")) == len(name)
    if len(name) == 1:
        return alone and (not apart or not (is_unit(name) or name.isupper()))
    if name.lower() in _FACTORS or _FUNCTION_OF.fullmatch(name):
        return True
    if styled or is_unit(name) or not name.islower():
        return False
    if not apart:
        return len(name) < 4 or _VOWEL.search(name) is None
    return alone and (_VARIABLES.issuperset(name) or (len(name) == 2 and name not in _HOURS))


def _is_of_unit(found: re.Match[str]) -> bool:
    """True for the 2 of "15 cm^2"."""
    text, start = found.string, found.start()
    return text.startswith("^", start) and AREA.search(text[max(0, start - 12) : start]) is not None


def _in_text(found: re.Match[str]) -> Quantity | None:
    return None if found["before"] or found["spoilt"] is not None else _quantity(found)


def _quantity(found: re.Match[str], spelling: str = "") -> Quantity | None:
    value = _magnitude(found)
    short = found["short"] or found["shorter"]
    if value is None or (found["short"] and not unit_before(found["currency"], found.string, found.end())):
        return None
    value *= _SCALES.get((found["scale"] or "").lower(), 1) * _SHORT.get((short or "").strip().lower(), 1)
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
    if found["base"]:
        return _power(found["base"], found["braced"] or found["bare"] or found["raised"])
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


def _power(base: str, exponent: str) -> Fraction | None:
    """The power; None for one of more than `MAX_DIGITS` digits, or of nought."""
    value, power = _fraction(base), int(exponent.translate(_SUPERSCRIPTS).replace("\u2212", "-"))
    if not value or (max(abs(value.numerator), value.denominator).bit_length() - 1) * abs(power) > _MAX_BITS:
        return None
    return value**power


def _fraction(text: str) -> Fraction | None:
    if len(text) > 2 * MAX_DIGITS:
        return None
    if european := EUROPEAN.fullmatch(text):
        text = f"{re.sub('[^0-9]', '', european[1])}.{european[2]}"
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
    power = TIMES_TEN.search(text) or _E.search(text)
    return (text[: power.start()], power[0], text[power.end() :]) if power else (text, "", "")
