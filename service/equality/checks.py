"""Math-Verify behind two functions of strings. Only the processes of the pool import this module: it loads sympy."""

import logging
import math
import zlib
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import sympy
import sympy.physics.units  # simplify loads it late, and it reads its names as text
from math_verify import LatexExtractionConfig, parse, verify

from service.equality.spelling import as_latex, is_words

logging.disable(logging.CRITICAL)  # Math-Verify warns that its own deadlines are off: the pool keeps them

_NORMAL = replace(LatexExtractionConfig().normalization_config, units=False)  # the a and b of `2ab` are letters
_CONFIG = (LatexExtractionConfig(boxed_match_priority=0, normalization_config=_NORMAL),)
_POINTS = {"i": sympy.I, "e": sympy.E, "pi": sympy.pi}
_WARM = (
    *(r"\frac{\sqrt{3}}{2}+\pi", "x^2-3x+1", r"\{1,2\}", "(1,2)", r"[0,\infty)", r"(-\infty,2]\cup[3,4)", "y=2x+3"),
    *(r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", "x=3", "1<x\\le 3", r"2\sin x\cos x", r"\sin(2x)", r"50\%", "3+4i"),
    *(r"\frac{x^2+1}{x-1}", "10!", r"\binom{5}{2}", r"e^{i\pi}", r"\log_2 8", "f(x)=x^2", r"\pm\sqrt{2}", r"\emptyset"),
    *("x,y,z", "(1,2,3)", "-(a+b)(c-d)", r"x\in[0,1]", r"|x|", "x>3", r"\sqrt[3]{2}", r"1.5\cdot 10^3", r"6\pi r"),
)
_WARM_PAIRS = (
    *(("x^2-1", "(x-1)(x+1)"), (r"2\sin x\cos x", r"\sin(2x)"), ("x>3", r"(3,\infty)"), ("y=2x+3", "2x-y+3=0")),
    *((r"\{1,2\}", r"\{2,x\}"), ("(1,2)", "(1,x)"), (r"\ln(x^2)", r"2\ln x"), ("x>3", "x<3"), ("x=3", "3")),
    *((r"\tan x", r"\frac{\sin x}{\cos x}"), (r"\sqrt{x^2+2x+1}", "|x+1|"), (r"\frac{x^3-1}{x-1}", "x^2+x+1")),
    *((r"\sqrt{5+2\sqrt{6}}", r"\sqrt{2}+\sqrt{3}"), (r"\frac{1}{\sqrt{2}-1}", r"\sqrt{2}+1"), ("x^2=4", "x=2")),
)


def warm_up() -> None:
    """Loads what the library loads late, and fills its parser's tables; forks start with both."""
    for answer in _WARM:
        sketch(answer)
    for left, right in _WARM_PAIRS:
        same(left, right)


def same(left: str, right: str) -> bool:
    """True if Math-Verify finds the two equal with either of them as the reference.

    Also where one is an equation and the other what it says of one of its letters: `2x-y+3=0` and the `2x+3` that
    is left of `y=2x+3`.
    """
    one, other = _read(left), _read(right)
    return _verified(one, other) or _verified(other, one) or _solves(one, other) or _solves(other, one)


def plain(gold: str, text: str) -> bool:
    """Math-Verify as its own documentation uses it, to be measured against."""
    return bool(verify(_plainly(f"${gold}$"), _plainly(text), timeout_seconds=None))


def sketch(answer: str) -> list[list[float]] | bool:
    """A few numbers that equal answers share: an expression's value at a fixed point, in order those of a collection.

    True where there are none and only a comparison tells; False where the answer cannot be read as mathematics.
    """
    found = _read(answer)
    if not found:
        return False
    if len(found) > 1 or "%" in answer:
        return True
    values = [_value(part) for part in _parts(found[0])]
    known = [value for value in values if value is not None]
    return sorted(known) if values and len(known) == len(values) else True


@lru_cache(maxsize=512)
def _read(answer: str) -> tuple[Any, ...]:
    if is_words(answer):
        return ()
    text = f"\\boxed{{{as_latex(answer)}}}"
    found: list[Any] = parse(
        text,
        extraction_config=_CONFIG,
        fallback_mode="no_fallback",
        extraction_mode="first_match",  # of an unreadable answer no part is taken for the whole
        parsing_timeout=None,
    )
    return tuple(_complex(each) for each in found if not isinstance(each, str))


@lru_cache(maxsize=8)
def _plainly(text: str) -> Any:
    return parse(text, parsing_timeout=None)


def _complex(found: Any) -> Any:
    """With `i` the imaginary unit, where it is the only letter."""
    letters: set[Any] = getattr(found, "free_symbols", set())
    return found.subs(dict.fromkeys(letters, sympy.I)) if [str(letter) for letter in letters] == ["i"] else found


def _verified(gold: tuple[Any, ...], target: tuple[Any, ...]) -> bool:
    return bool(verify(list(gold), list(target), timeout_seconds=None))


def _solves(equations: tuple[Any, ...], values: tuple[Any, ...]) -> bool:
    """True if the equation has one letter more than the value, is linear in it, and holds with the value for it."""
    if len(equations) != 1 or len(values) != 1 or not isinstance(equations[0], sympy.Equality):
        return False
    equation, value = equations[0], values[0]
    if not isinstance(value, sympy.Expr) or not all(isinstance(side, sympy.Expr) for side in equation.args):
        return False
    letters = equation.free_symbols - value.free_symbols
    if len(letters) != 1 or not value.free_symbols <= equation.free_symbols:
        return False
    (letter,) = letters
    whole = sympy.expand(equation.lhs - equation.rhs)
    slope = whole.coeff(letter, 1)
    linear = slope != 0 and letter not in sympy.expand(whole - slope * letter).free_symbols
    return linear and letter not in slope.free_symbols and sympy.simplify(whole.subs(letter, value)) == 0


def _parts(found: Any) -> Iterable[Any]:
    if isinstance(found, sympy.MatrixBase):
        return list(found)
    if isinstance(found, sympy.FiniteSet | sympy.Tuple) or type(found).__name__ == "FiniteSet":
        return list(found.args)
    if isinstance(found, sympy.Interval):
        return [found.start, found.end]
    return [found]


def _value(part: Any) -> list[float] | None:
    """The value with every variable at a point that its name fixes; None if there is none that is surely finite."""
    if part in (sympy.oo, -sympy.oo):
        return [math.inf if part == sympy.oo else -math.inf, 0.0]
    if not isinstance(part, sympy.Expr):
        return None
    points = {symbol: _point(str(symbol)) for symbol in part.free_symbols}
    value = sympy.N(part.subs(points).doit(), 15)
    if not value.is_number:
        return None
    number = complex(value)
    return [number.real, number.imag] if math.isfinite(number.real) and math.isfinite(number.imag) else None


def _point(name: str) -> Any:
    return _POINTS.get(name, sympy.Rational(2_000 + zlib.crc32(name.encode()) % 5_003, 3_001))
