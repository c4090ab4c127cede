"""Keeps sympy from running text as Python: the two places where it would on the way of a comparison."""

import re
from collections.abc import Callable
from typing import Any

import sympy
from sympy.parsing import sympy_parser
from sympy.polys.monomials import MonomialOps

_INTEGER = re.compile(r"[-+]?[0-9]{1,400}", re.ASCII)
_DECIMAL = re.compile(r"[-+]?(?:[0-9]{1,400}\.[0-9]{0,400}|\.[0-9]{1,400})(?:[eE][-+]?[0-9]{1,4})?", re.ASCII)
_MOST_VARIABLES = 12
_OPERATIONS = ("mul", "pow", "mulpow", "ldiv", "div", "lcm", "gcd")

Operation = Callable[..., Any]


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
