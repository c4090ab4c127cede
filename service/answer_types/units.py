"""Units of measurement and money: which unit a number carries, whatever its spelling.

Only units that are surely different are told apart: of "60 miles per hour" the unit is the mile, as in "60 miles", and
what is no unit here ("12 apples", or "5 pounds", which may be money) is none.
"""

import re

_SPELLED = {
    "mm": "millimeter millimeters millimetre millimetres",
    "cm": "centimeter centimeters centimetre centimetres",
    "m": "meter meters metre metres",
    "km": "kilometer kilometers kilometre kilometres kms kph kmh",
    "in": "inch inches",
    "ft": "foot feet",
    "yd": "yard yards yds",
    "mi": "mile miles mph",
    "mg": "milligram milligrams",
    "g": "gram grams",
    "kg": "kilogram kilograms kilo kilos kgs",
    "oz": "ounce ounces",
    "lb": "lbs",
    "ton": "tons tonne tonnes",
    "ml": "milliliter milliliters millilitre millilitres mL",
    "l": "L liter liters litre litres",
    "gal": "gallon gallons",
    "qt": "quart quarts",
    "pt": "pint pints",
    "s": "sec secs second seconds",
    "min": "mins minute minutes",
    "h": "hr hrs hour hours",
    "day": "days",
    "week": "weeks",
    "month": "months",
    "year": "years yr yrs",
    "deg": "degree degrees \u00b0 \\degree ^\\circ ^{\\circ}",
    "rad": "radian radians",
    "%": "percent \\%",
    "cent": "cents \u00a2",
    "$": "dollar dollars buck bucks usd",
    "\u20ac": "euro euros eur",
    "\u00a3": "gbp \\pounds",
    "\u00a5": "yen jpy",
    "\u20b9": "rupee rupees",
}
_SHORT_WORDS = frozenset({"in", "pt"})
"""Spellings that are other words or other things more often than units."""
_UNITS = {name: unit for unit, names in _SPELLED.items() for name in names.split()}
_UNITS |= {unit: unit for unit in _SPELLED if unit not in _SHORT_WORDS}
_TRAILING = re.compile(
    r"(?:(?:\\[ ,;!])|[ ~-]){0,2}(?:\\(?:text|mathrm|mbox|textrm)[ ]?\{[ ]?)?"
    r"(?:(?P<power>square|sq\.?|cubic|cu\.?)[ ])?"
    r"(?P<unit>\^\{?\\circ\}?|\\degree|\\?%|[\u00b0\u00a2\u20ac\u00a3\u00a5\u20b9]|[A-Za-z]{1,20}(?![A-Za-z0-9_']))"
)
_POWER = re.compile(r"[ ]?\}?(?:\^\{?([23])\}?|([\u00b2\u00b3])|[ ](squared|cubed)\b)")
_CUBES = frozenset(("3", "\u00b3", "cubed"))
_WITHOUT_POWERS = frozenset(("%", "deg", "rad", "$", "\u20ac", "\u00a3", "\u00a5", "\u20b9", "cent"))
_LEADING = re.compile(r"US\\?\$|\\?\$|USD|EUR|\\pounds|[\u20ac\u00a3\u00a5\u20b9]")
_MATHS_CHARS = 200


def unit_after(text: str, place: int) -> tuple[str, int] | None:
    """The known unit that follows a number, and where its spelling ends; None if there is none.

    An area or a volume has its power: "15 square feet" and "15 ft^2" are both of "ft^2".
    """
    found = _TRAILING.match(text, place)
    unit = _unit(found["unit"]) if found else None
    if found is None or unit is None:
        return None
    if unit in _WITHOUT_POWERS:
        return unit, found.end()
    if found["power"]:
        return f"{unit}^{2 if found['power'].startswith('s') else 3}", found.end()
    if power := _POWER.match(text, found.end()):
        return f"{unit}^{3 if _CUBES.intersection(power.groups()) else 2}", power.end()
    return unit, found.end()


def is_unit(word: str) -> bool:
    """True for the spelling of a known unit."""
    return _unit(word) is not None or word.lower() in _SHORT_WORDS


def _unit(name: str) -> str | None:
    return _UNITS.get(name) or (_UNITS.get(name.lower()) if len(name) > 1 else None)


def unit_before(sign: str, text: str, end: int) -> str | None:
    """The currency whose sign a number that ends at `end` carries in front.

    A bare `$` with another one after the number may open a formula and is no currency.
    """
    found = _LEADING.match(sign.strip())
    if found is None:
        return None
    name = found[0]
    if name == "$" and "$" in text[end : end + _MATHS_CHARS]:
        return None
    return "$" if name.endswith("$") else _UNITS.get(name, _UNITS.get(name.lower()))
