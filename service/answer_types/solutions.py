"""Solutions as one list: `x = 3 or x = 4` is `3,4`, `x < 1 or x > 3` a union, and `x =` before a value goes."""

import re
from collections.abc import Sequence

from service.answer_types.prose import has_words

_JOINT = re.compile(r"[\s,;]{0,4}(?<![\\a-zA-Z])(and|or)(?![a-zA-Z])\s{0,4}")
_GREEK = r"\\(?:alpha|beta|gamma|theta|lambda|phi|omega|(?:angle|triangle)[ ]?[A-Z]{1,3})"
_CALLED = (
    rf"(?:[a-zA-Z]|[A-Z]{{2,4}}|{_GREEK}|[a-zA-Z][a-z]{{2,19}}(?:\s{{1,2}}[a-z]{{2,20}}){{0,4}})'?"
    r"(?:\s?_(?:[0-9a-zA-Z]|\{[^{}=]{1,12}\}))?(?:\^\{-1\})?(?:\s?\([a-zA-Z0-9,]{1,8}\))?"
)
_NAMED = re.compile(rf"\s*({_CALLED})\s*=\s*(?=[^=]{{1,2000}}\Z)")
_POINT_NAME = re.compile(r"\A\s*\([a-z](?:\s?,\s?[a-z]){1,5}\)\s*=(?=\s*\()")
_ALPHABET = "abcdefghijklmnopqrstuvwxyz"
_LETTER = re.compile(r"\s*([a-zA-Z])\s*")
_COMMAND = re.compile(r"\\[a-zA-Z]+")
_ORDER = re.compile(r"(<|>|\\le(?![a-z])|\\ge(?![a-z]))")
_INTERVAL = re.compile(r"\s*[(\[][^,()\[\]]{1,200},[^,()\[\]]{1,200}[)\]]\s*")
_FLIPPED = {"<": ">", ">": "<", "\\le": "\\ge", "\\ge": "\\le"}
_OPENING, _CLOSING = "([{", ")]}"


def one_list(expression: str) -> str:
    """The expression with "or" and "and" as commas, without the name before a value, or one name before all."""
    joints = {found[1] for found in _JOINT.finditer(expression)}
    if joints and not has_words(_JOINT.sub(" ", expression)):
        expression = _JOINT.sub(",", expression)
        parts = _parts(expression)
        if joints == {"or"} and (union := _union(parts)):
            return union
        if joints == {"and"} and (between := _between(parts)):
            return between
    if "=" not in expression:
        return expression
    parts = _parts(expression)
    return _values(parts) if len(parts) > 1 else _value(expression)


def _value(equation: str) -> str:
    """What a name stands for; of two letters the equation, in one order."""
    left, _, right = equation.rpartition("=")
    one, other = _LETTER.fullmatch(left), _LETTER.fullmatch(right)
    if one and other:
        return "=".join(sorted((one[1], other[1])))
    if other and "=" not in left and not _holds(left, other[1]):
        return left
    equation = _POINT_NAME.sub("", equation, count=1)
    named = _NAMED.match(equation)
    return equation if named is None or _holds(equation[named.end() :], named[1]) else equation[named.end() :]


def _values(parts: Sequence[str]) -> str:
    """The values of several solutions for one and the same name; else the parts as they are."""
    named = [_NAMED.match(part) for part in parts]
    names = {re.sub(r"\s", "", found[1]) for found in named if found}
    first = named[0]
    if first and len(names) == 1 and all(found or "=" not in part for found, part in zip(named, parts, strict=True)):
        values = [part[found.end() :] if found else part for found, part in zip(named, parts, strict=True)]
        return ",".join(value.strip() for value in values)
    if all(named) and (point := _point(parts)):
        return point
    return ",".join(part.strip() for part in parts)


def _point(parts: Sequence[str]) -> str:
    """`y = 2, x = 1` as the point (1,2), where the letters follow each other in the alphabet."""
    sides = (part.replace(" ", "").partition("=") for part in parts)
    values = {name: value for name, _, value in sides}
    names = "".join(sorted(values))
    if len(values) != len(parts) or len(names) != len(parts) or names not in _ALPHABET:
        return ""
    if any(_holds(value, name) for value in values.values() for name in names):
        return ""
    return f"({','.join(values[name] for name in names)})"


def _holds(value: str, name: str) -> bool:
    return len(name) == 1 and name in _COMMAND.sub("", value)


def _parts(expression: str) -> list[str]:
    """What the commas outside all brackets separate."""
    parts, depth, start = [], 0, 0
    for place, letter in enumerate(expression):
        if letter in _OPENING:
            depth += 1
        elif letter in _CLOSING:
            depth -= 1
        elif letter in ",;" and depth == 0 and expression[place - 1 : place] != "\\":
            parts.append(expression[start:place])
            start = place + 1
    return [part for part in (*parts, expression[start:]) if part.strip()]


def _union(parts: Sequence[str]) -> str:
    if len(parts) > 1 and all(_INTERVAL.fullmatch(part) for part in parts) and any("\\infty" in part for part in parts):
        return "\\cup ".join(part.strip() for part in parts)
    found = [_interval(part) for part in parts]
    variables = {each[0] for each in found if each}
    if len(parts) < 2 or len(variables) != 1 or not all(found):
        return ""
    return "\\cup ".join(each[1] for each in found if each)


def _between(parts: Sequence[str]) -> str:
    """`x > 1 and x < 3` as one interval."""
    found = [each for part in parts if (each := _interval(part))]
    if len(parts) != 2 or len(found) != 2 or found[0][0] != found[1][0]:
        return ""
    below = [each[1] for each in found if each[1].startswith("(-\\infty,")]
    above = [each[1] for each in found if each[1].endswith(",\\infty)")]
    if len(below) != 1 or len(above) != 1:
        return ""
    return above[0].removesuffix("\\infty)") + below[0].removeprefix("(-\\infty,")


def _interval(inequality: str) -> tuple[str, str] | None:
    """The letter that an inequality bounds, and the interval; None for anything else."""
    pieces = [piece.strip() for piece in _ORDER.split(inequality)]
    if len(pieces) == 3:
        left, sign, right = pieces
        if _LETTER.fullmatch(right):
            left, sign, right = right, _FLIPPED[sign], left
        if not _LETTER.fullmatch(left) or not right or _holds(right, left):
            return None
        closed = sign in ("\\le", "\\ge")
        if sign in ("<", "\\le"):
            return left, f"(-\\infty,{right}{']' if closed else ')'}"
        return left, f"{'[' if closed else '('}{right},\\infty)"
    if len(pieces) == 5 and _LETTER.fullmatch(pieces[2]) and pieces[0] and pieces[4]:
        low, first, letter, second, high = pieces
        if first in (">", "\\ge") and second in (">", "\\ge"):
            low, first, second, high = high, _FLIPPED[second], _FLIPPED[first], low
        if first in ("<", "\\le") and second in ("<", "\\le"):
            return letter, f"{'(' if first == '<' else '['}{low},{high}{')' if second == '<' else ']'}"
    return None
