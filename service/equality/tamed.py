"""Keeps sympy from running text as Python, in the two places where it would, and hastens the parser of LaTeX."""

import contextlib
import re
from collections.abc import Callable
from typing import Any

import sympy
from antlr4.atn.PredictionMode import PredictionMode
from latex2sympy2_extended import latex2sympy2
from sympy.parsing import sympy_parser
from sympy.polys.monomials import MonomialOps

_INTEGER = re.compile(r"[-+]?[0-9]{1,400}", re.ASCII)
_DECIMAL = re.compile(r"[-+]?(?:[0-9]{1,400}\.[0-9]{0,400}|\.[0-9]{1,400})(?:[eE][-+]?[0-9]{1,4})?", re.ASCII)
_MOST_VARIABLES = 12
_OPERATIONS = ("mul", "pow", "mulpow", "ldiv", "div", "lcm", "gcd")

Operation = Callable[..., Any]


def hasten() -> None:
    """Has the LaTeX parser predict by SLL, several times as fast, and by LL what SLL cannot parse.

    What SLL parses it parses as LL does. The second try is made at once, within the library's own: told of a failure it
    would look for a smaller expression in the text, and take `x^{\\frac{1}{2}}` for a half.
    """
    make, parse = latex2sympy2.PSParser.__init__, latex2sympy2._Latex2Sympy.parse
    modes = [PredictionMode.SLL]

    def made(self: Any, *arguments: Any, **named: Any) -> None:
        make(self, *arguments, **named)
        self._interp.predictionMode = modes[-1]

    def parsed(self: Any, text: str) -> Any:
        with contextlib.suppress(Exception):
            return parse(self, text)
        modes.append(PredictionMode.LL)
        try:
            return parse(self, text)
        finally:
            modes.pop()

    latex2sympy2.PSParser.__init__ = made
    latex2sympy2._Latex2Sympy.parse = parsed


def tame() -> None:
    """Has sympy read number literals by a pattern, and makes its generated polynomial arithmetic once, from no input.

    Polynomials of more than 12 variables then cannot be built: a comparison that needs one says "not equal".
    """
    made: dict[str, Operation] = {}
    build = MonomialOps._build

    def remember(self: Any, code: str, name: str) -> Operation:
        made[code] = build(self, code, name)
        return made[code]

    def recall(self: Any, code: str, name: str) -> Operation:
        return made[code]

    MonomialOps._build = remember
    for variables in range(1, _MOST_VARIABLES + 1):
        for operation in _OPERATIONS:
            getattr(MonomialOps(variables), operation)()
    MonomialOps._build = recall
    sympy_parser.parse_expr = _literal


def _literal(text: str, *_: object, **__: object) -> Any:
    if _INTEGER.fullmatch(text):
        return sympy.Integer(int(text))
    if _DECIMAL.fullmatch(text):
        return sympy.Float(text)
    raise ValueError("no number")
