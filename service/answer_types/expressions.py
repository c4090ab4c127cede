"""Expressions in one spelling: what LaTeX, Unicode and plain keyboards write differently, without any algebra.

Every pattern is bounded and every text at most `reading.MAX_ANSWER_CHARS` long.
"""

import math
import re
from collections.abc import Sequence

from service.answer_types import reading
from service.answer_types.numerals import plain_fractions, print_number, read_quantity
from service.answer_types.plain_math import as_commands
from service.answer_types.solutions import one_list
from service.answer_types.units import unit_after

MAX_FACTORIAL = 200
"""A factorial of at most this is its value; what has more digits than a number may have stays as it is written."""
_FACTORIAL_MARK = "\x02"
_FACTORIAL = re.compile(r"(?<=[0-9)}\x02])!|(?<=(?<![a-zA-Z])[a-zA-Z])!")
_BARE_FACTORIAL = re.compile(r"(?<![0-9a-zA-Z)])([0-9]{1,400})(!{1,2})\Z")
_WHOLE_FACTORIAL = re.compile(r"\(?([0-9]{1,9})\)?\x02")
_DROPPED = re.compile(
    r"\\(?:left|right|[bB]igg?[lrm]?|displaystyle|textstyle|limits|quad|qquad|thinspace|mathrm|mathbf|textbf)(?![a-zA-Z])\.?"
    r"|\\hspace\*?\{[^{}]{0,20}\}|(?<!\\)\\[!,;: ]|\\(?:\$|%)|\$"
)
_STYLED = re.compile(
    r"\\(?:mathrm|mathbf|mathit|mathsf|boldsymbol|bm|textbf|textit|operatorname\*?)\s?\{([^{}]{0,200})\}"
)
_DEGREES = re.compile(r"\^\{?\\circ\}?|\\degree(?![a-zA-Z])|\u00b0")
_TRIGONOMETRY = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)(?![a-z])")
_SPACE = re.compile(r"(\\[a-zA-Z]+)[\s~]+(?=[a-zA-Z])|[\s~]+")
_SQUARE = r"(?:\^\{?[23]\}?)?"
_UNITS = re.compile(
    rf"(?:\\(?:text|mbox|textrm|mathrm)\s?\{{(?P<text>[^{{}}]{{0,60}})\}}{_SQUARE}"
    r"|(?<=[a-z}0-9)])[\s~]{1,3}(?P<plain>(?:(?:square|sq\.?|cubic)[ ])?"
    rf"(?:[mck]m|ft|kg|mg|inch(?:es)?|feet|foot|miles?|yards?|(?:centi|kilo|milli)?met(?:er|re)s?|units?|degrees?|radians?)){_SQUARE})$"
)
_NO_UNITS = frozenset("ie")
_HALF_OF_DAY = re.compile(
    r"(?:(?<=:[0-9]{2})(?:[ ~]|\\[ ,;]){0,3}|(?<=[0-9])(?:[ ~]|\\[ ,;]){0,3}(?=\\))"
    r"(?:\\(?:text|mathrm|textrm|mbox)\s?\{\s?)?([ap])\.?\s?m\.?\s?\}?\.?\Z",
    re.IGNORECASE,
)
"""The half of the day that a time is in, kept as a unit is."""
_MODULUS = re.compile(
    r"\\pmod\s{0,2}(?:\{\s?([0-9a-zA-Z]{1,20})\s?\}|([0-9a-zA-Z]))|\(\s?\\?b?mod\s{0,2}([0-9a-zA-Z]{1,20})\s?\)"
)
_SET_OF_TUPLES = re.compile(r"\{(\([^{}()]{1,200}\)(?:,\([^{}()]{1,200}\)){1,40})\}")
_WORDS = re.compile(r"\\(?:text|mbox|textrm)\s?\{([^{}]{0,200})\}")
_IN_WORDS = re.compile(r"[^\W\d_]{2,}(?:[ '\u2019-]{1,3}[^\W\d_]+)*", re.UNICODE)
_ONE = r"([0-9a-zA-Z]|\\[a-z]{2,7})"
_GROUPED = r"\{((?:[^{}]|\{[^{}]{0,100}\}){1,200})\}"
_SHORT_FRACTIONS = (
    (
        re.compile(rf"\\frac\s*([0-9a-zA-Z]|\\[a-z]{{2,7}}(?![a-zA-Z{{])[ ]?)\s*{_ONE}(?![a-zA-Z]*\{{)"),
        r"\\frac{\1}{\2}",
    ),
    (re.compile(rf"\\frac\s*([0-9a-zA-Z]|\\pi)\s*{_GROUPED}"), r"\\frac{\1}{\2}"),
    (re.compile(rf"\\frac\s*{_GROUPED}\s*([0-9a-zA-Z])"), r"\\frac{\1}{\2}"),
)
_SHORT_ROOT = re.compile(r"\\sqrt(\[[0-9a-z]{1,3}\])?([0-9a-zA-Z])")
_ODD_ROOT = re.compile(r"\\sqrt\[([1-9]?[13579])\]\{([a-zA-Z])\^\{?([0-9]{1,3})\}?\}")
_LONE_SCRIPT = re.compile(r"([\^_])\{([0-9a-zA-Z])\}")
_SLASH = re.compile(r"(?<![0-9a-zA-Z)}^_])(-?)([0-9]{1,50})/([0-9]{1,50})(?![0-9a-zA-Z({/])")
_SHARE = re.compile(r"(?<![0-9a-zA-Z)}^_./])([0-9]{1,50})/([0-9]{1,50})[\s~*]{1,3}(?=[a-zA-Z\\(])")
_DECIMAL = re.compile(r"(?<![0-9.])0?(\.[0-9]+)")
_PLUS = re.compile(r"(^|[,(\[{=])\+(?=[0-9a-z\\.])")
_MATRIX = re.compile(r"\\(begin|end)\{[bp]?(?:small)?matrix\}")
_ARRAY = re.compile(r"[(\[]\\begin\{array\}\{[clr|]{0,20}\}(.{0,1000}?)\\end\{array\}[)\]]", re.DOTALL)
_ROW_END = re.compile(r"\\\\(?:\[[0-9.a-z]{1,8}\])?(\\end\{)?")
_CHOOSE = re.compile(r"\{([^{}]{1,40}?)\\choose(?![a-zA-Z])\s?([^{}]{1,40})\}")
_CASES = re.compile(r"\\begin\{cases\}([^&]{1,1000})\\end\{cases\}")
_BASE = re.compile(r"[0-9A-Za-z]{1,100}_\{?([0-9]{1,2})\}?")
_SPELLED: tuple[tuple[str, str], ...] = (
    *(("\\dfrac", "\\frac"), ("\\tfrac", "\\frac"), ("\\cfrac", "\\frac"), ("\\cdot", "*"), ("\\times", "*")),
    *(("\\varnothing", "\\emptyset"), ("\\{", "{"), ("\\}", "}"), ("\\lbrace", "{"), ("\\rbrace", "}")),
    *(("\\lbrack", "["), ("\\rbrack", "]"), ("\\lvert", "|"), ("\\rvert", "|"), ("\\langle", "("), ("\\rangle", ")")),
    *(("\\lt ", "<"), ("\\gt ", ">"), ("\\mathbb R", "\\mathbb{R}"), ("\\Bbb", "\\mathbb"), ("\\infin ", "\\infty ")),
)
_LONGER = re.compile(r"\\(leq|geq|neq)(?:slant)?(?![a-zA-Z])|\\(l|g)eqslant(?![a-zA-Z])")


def canonical(expression: str) -> str:
    """The one spelling of an expression; a number's is that of `print_number`. Empty if nothing is left."""
    for _ in range(8):
        again = _rewritten(expression)
        if again == expression:
            return again
        expression = again
    return expression


def unit_of(expression: str) -> str | None:
    """The known unit that the whole expression carries, or the base in which a number is written; None without one."""
    bare = reading.unwrap(expression)
    name, equals, value = bare.partition("=")
    bare = value.strip() if equals and len(name) <= 24 else bare
    if half := _HALF_OF_DAY.search(bare[-40:]):
        return f"{half[1].lower()}m"
    if quantity := read_quantity(plain_fractions(bare)):
        return "%" if quantity.percent else quantity.unit
    if base := _BASE.fullmatch(as_commands(bare)):
        return f"base {base[1]}"
    if degrees := re.search(rf"(?<=[0-9}}])(?:{_DEGREES.pattern})\Z", bare):
        return "deg" if degrees and not _TRIGONOMETRY.search(bare) else None
    unit = _UNITS.search(bare)
    known = unit_after(bare, unit.start()) if unit and unit.start() > 0 else None
    return known[0] if known else None


def unwrap(text: str) -> str:
    """`reading.unwrap`, but of a factorial at the end the mark stays."""
    marked = _FACTORIAL.sub(_FACTORIAL_MARK, _FACTORIAL.sub(_FACTORIAL_MARK, text)) if "!" in text else text
    return reading.unwrap(marked).replace(_FACTORIAL_MARK, "!")


def _rewritten(expression: str) -> str:
    expression = _HALF_OF_DAY.sub("", unwrap(expression))
    if not expression.endswith("!") and (quantity := read_quantity(plain_fractions(expression))):
        return print_number(quantity.value)
    expression = plain_fractions(expression)
    expression = _without_unit(expression)
    if words := _IN_WORDS.fullmatch(_WORDS.sub(r" \1 ", expression).strip()):
        return as_commands(" ".join(words[0].split())).strip()
    expression = _WORDS.sub(r" \1 ", expression)
    expression = _STYLED.sub(r" \1 ", as_commands(expression))
    for spelled, one in _SPELLED:
        expression = expression.replace(spelled, one)
    expression = _MODULUS.sub(lambda found: f"\\pmod{{{found[1] or found[2] or found[3]}}}", expression)
    expression = _CHOOSE.sub(r"\\binom{\1}{\2}", expression)
    expression = _LONGER.sub(lambda sign: f"\\{(sign[1] or sign[2])[0]}e", expression)
    expression = _DROPPED.sub("", expression)
    expression = _DEGREES.sub("^\\\\circ " if _TRIGONOMETRY.search(expression) else "", expression)
    expression = _SHARE.sub(r"\\frac{\1}{\2}", one_list(expression))
    expression = _SPACE.sub(lambda space: f"{space[1]} " if space[1] else "", expression)
    expression = _without_layout(expression)
    for pattern, whole in _SHORT_FRACTIONS:
        expression = pattern.sub(whole, expression)
    expression = _SHORT_ROOT.sub(lambda root: f"\\sqrt{root[1] or ''}{{{root[2]}}}", expression)
    expression = _ODD_ROOT.sub(r"\2^{\\frac{\3}{\1}}", expression)
    expression = _LONE_SCRIPT.sub(r"\1\2", expression)
    expression = _SLASH.sub(r"\1\\frac{\2}{\3}", expression)
    expression = _PLUS.sub(r"\1", _DECIMAL.sub(r"0\1", expression))
    expression = expression.rstrip(".,;:").rstrip("\\")
    if tuples := _SET_OF_TUPLES.fullmatch(expression):
        expression = tuples[1]
    return "\\emptyset" if expression == "{}" else _factorial(expression)


def _without_unit(expression: str) -> str:
    unit = _UNITS.search(expression)
    if unit is None or (unit["text"] or "").strip() in _NO_UNITS:
        return expression
    return expression[: unit.start()].rstrip() or expression


def _without_layout(expression: str) -> str:
    expression = _ARRAY.sub(r"\\begin{pmatrix}\1\\end{pmatrix}", expression)
    expression = _MATRIX.sub(r"\\\1{pmatrix}", expression)
    expression = _ROW_END.sub(lambda end: end[1] or "\\\\", expression)
    if (cases := _CASES.fullmatch(expression)) and all("=" in row for row in _rows(cases[1])):
        return ",".join(_rows(cases[1]))
    return expression


def _rows(body: str) -> Sequence[str]:
    return [row.strip(",;.") for row in body.split("\\\\") if row.strip(",;.")]


def _factorial(expression: str) -> str:
    """The value of a factorial that is the whole; in brackets, so that its mark is no full stop, where it is large."""
    found = _WHOLE_FACTORIAL.fullmatch(_FACTORIAL.sub(_FACTORIAL_MARK, expression)) if "!" in expression else None
    if found is None:
        bare = "=" in expression or expression.endswith("!!")
        return _BARE_FACTORIAL.sub(r"(\1)\2", expression) if bare else expression
    if int(found[1]) <= MAX_FACTORIAL:
        return str(math.factorial(int(found[1])))
    return f"({found[1]})!"
