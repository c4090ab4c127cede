"""Answers as models write them in mathematics: which spellings are one answer, and which are not."""

import pytest

from service.answer_types.base import Judgement
from service.answer_types.mathematics import Math
from service.candidates import Task
from tests.math_judging import found_in, misjudged, pairs_of

EQUAL: list[tuple[str, ...]] = [
    # Factorials, and what only looks like a number with a unit
    ("5!", "120"),
    ("10!", "3628800", "3,628,800", r"2\cdot\frac{10!}{2}"),
    (r"2\pi", "2pi", "2 pi", "2\u03c0", r"2 \pi"),
    (r"\frac{x}{2}", "1/2 x", r"\frac{1}{2} x", r"\dfrac{x}{2}", r"\frac12 x", "0.5x"),
    (r"3\sin x", "3 sin x", "3 sin(x)", r"3 \sin(x)"),
    ("2x^2", "2x\u00b2", "2x**2", r"2x^{2}", r"2 \cdot x^2"),
    ("2i", r"2\mathrm{i}", r"2\text{i}", r"\sqrt{-4}"),
    # Roots and powers
    (r"9+2\sqrt{10}", "9+2\u221a10", "9 + 2sqrt(10)", "9+2\u221a(10)", r"2\sqrt{10} + 9"),
    (r"2\sqrt{3}", "\u221a12", "2\u221a3", r"\sqrt{12}", "sqrt(12)", r"\frac{6}{\sqrt{3}}", "2*sqrt(3)", "2*3^(1/2)"),
    (r"\sqrt{x+1}", "sqrt(x+1)", "\u221a(x+1)", r"(x+1)^{1/2}", r"(x+1)^{\frac{1}{2}}"),
    (r"\sqrt{x}", "x^{1/2}", "x^(1/2)", r"x^{\frac12}", "x^{0.5}"),
    (r"\sqrt[3]{x^2}", "x^{2/3}", r"x^{\frac{2}{3}}"),
    (r"\sqrt[3]{2}", "\u221b2", "2^{1/3}", "cbrt(2)"),
    ("x^{10}", "x\u00b9\u2070", "x**10"),
    (r"\frac{1}{x}", "x^{-1}", "x\u207b\u00b9", "1/x"),
    # Functions and constants from a keyboard
    (r"\sin x", "sin(x)", "sin x", "sinx", r"\sin(x)", r"\operatorname{sin}(x)"),
    (r"\ln 2", "ln 2", "ln(2)", r"\ln{2}"),
    (r"\log_2 5", "log_2(5)", r"\log_{2}(5)", "log2(5)"),
    (r"\frac{\pi}{2}", "pi/2", "\u03c0/2", r"\pi/2", r"\frac{1}{2}\pi", r"\frac\pi2", r"\frac{\pi}2"),
    (r"-\infty", "-infinity", "negative infinity", "-\u221e"),
    (r"\theta", "\u03b8", "theta"),
    (r"\cos(60^\circ)", r"\frac12", r"\cos 60^{\circ}", r"\sin 30^\circ"),
    # Fractions, mixed numbers, decimals, money, percent, powers of ten
    (r"\frac{3}{4}", r"\dfrac{3}{4}", r"\tfrac34", "3/4", "0.75", r"$\frac{3}{4}$", ".75", r"\left(\frac{3}{4}\right)"),
    (r"-\frac{3}{4}", r"\frac{-3}{4}", r"\frac{3}{-4}", "-3/4", "-0.75", "\u22123/4"),
    (r"2\frac{1}{3}", r"\frac{7}{3}", "7/3", "2 1/3", r"2\,\frac13", r"2.\overline{3}"),
    (r"0.\overline{3}", r"\frac13", "1/3", r"0.\bar{3}"),
    (r"0.1\overline{6}", r"\frac{1}{6}"),
    (r"\$1{,}250", r"\$1250.00", "1250", r"1,\!250\text{ dollars}", "$1,250"),
    (r"37.5\%", "37.5%", r"37.5 \%", r"37.5\text{ percent}"),
    (r"6.02\times10^{23}", r"6.02 \cdot 10^{23}", "6.02e23", "6.02\u00d710^23"),
    ("12345", "12,345", r"12{,}345", r"12\,345", r"12,\!345"),
    (r"\pm 3", r"3,-3", r"\{-3,3\}", "\u00b13", r"x=\pm3", "+/-3", r"-3 \text{ or } 3"),
    # Units and degrees
    (r"3\sqrt{2}\text{ cm}", r"3\sqrt{2}", r"3\sqrt{2}\,\mathrm{cm}", "3\u221a2 cm"),
    (r"4\pi\text{ square units}", r"4\pi", r"4\pi\text{ cm}^2", r"4\pi \text{ units}^2"),
    (r"45^\circ", r"45^{\circ}", "45\u00b0", r"45\text{ degrees}", r"\theta = 45^\circ", r"\angle A = 45^\circ"),
    # Numbers of another base
    ("1010_2", "1010_{2}", "1010\u2082", "1010", r"1010_{\text{2}}"),
    # Names before values; solutions
    ("3", "x=3", "3=x", r"x = 3", r"x_1 = 3", r"\text{Area} = 3", "AB = 3", "f(2)=3", r"x=\frac{6}{2}"),
    ("x^2+1", "f(x)=x^2+1", "y = x^2+1", r"f(x) = 1 + x^2", "x^2+1=y"),
    ("y=x", "x=y"),
    ("2x-y+3=0", "y=2x+3", "y-2x=3", "2x+3=y"),
    ("x+y=1", "y=1-x", "y = -x+1"),
    (r"x=3 \text{ or } x=4", "3,4", "x=4 or x=3", "x=3, x=4", "x = 3,4", r"3\text{ and }4", r"\{3,4\}", "3 or 4"),
    (r"(1,2)\text{ and }(3,4)", "(1,2),(3,4)", "(1,2), (3,4)"),
    (r"\begin{cases}x=1\\y=2\end{cases}", "x=1,y=2", r"x=1\text{ and }y=2", "y=2, x=1", "(1,2)", "(x,y)=(1,2)"),
    # Sets, intervals, inequalities
    (r"x<1\text{ or }x>3", r"(-\infty,1)\cup(3,\infty)", "x < 1 or x > 3", r"(3,\infty)\cup(-\infty,1)"),
    (r"1<x\text{ and }x<3", "1<x<3", "(1,3)", "x>1 and x<3"),
    (r"x\ge 3", "x \u2265 3", "x >= 3", r"x\geqslant 3", r"[3,\infty)", r"[3, +\infty)", r"3\le x"),
    (r"[-2,5]", r"\left[-2, 5\right]", r"-2\le x\le5", r"x\in[-2,5]", "[ -2 , 5 ]", r"-2 \leq x \leq 5"),
    (r"(-2,1]\cup[4,7)", r"\left(-2,1\right]\cup\left[4,7\right)", "(-2,1] \u222a [4,7)"),
    (r"\{1,2,3\}", r"\{3, 2, 1\}", r"\left\{1,2,3\right\}", r"\lbrace 1,2,3 \rbrace", "1, 2, 3"),
    (r"\emptyset", r"\{\}", r"\varnothing", "\u2205"),
    (r"\mathbb{R}", r"\mathbb R", "\u211d", r"(-\infty,\infty)"),
    # Tuples, vectors, matrices
    (r"(2,-3)", r"\left(2,-3\right)", r"(2,\,-3)", r"\left( 2 , -3 \right)", r"\langle 2,-3\rangle", "(x,y)=(2,-3)"),
    (
        r"\begin{pmatrix}1\\-2\end{pmatrix}",
        r"\begin{bmatrix}1\\-2\end{bmatrix}",
        r"\left(\begin{array}{c}1\\-2\end{array}\right)",
        r"\begin{pmatrix} 1 \\ -2 \\ \end{pmatrix}",
    ),
    (r"\begin{pmatrix}1&0\\0&1\end{pmatrix}", r"\left[\begin{array}{cc}1&0\\[4pt]0&1\end{array}\right]"),
    # Polynomials, algebra, complex numbers
    ("x^2-3x+2", "2-3x+x^2", "(x-1)(x-2)", r"x^{2} - 3x + 2", "x\u00b2 - 3x + 2", "x**2 - 3*x + 2"),
    (r"\frac{a+b}{2}", "(a+b)/2", r"\frac{1}{2}(a+b)", r"\frac{a}{2}+\frac{b}{2}", r"\tfrac{a+b}2"),
    ("abc", "cab", r"a\cdot b\cdot c"),
    ("2rs", "2sr", r"2r\cdot s"),
    ("ab", "a*b", "a\u00b7b", r"a\cdot b", r"a \times b", "ba"),
    ("3-4i", "-4i+3", r"3 - 4i", r"3-4\mathrm{i}", r"3 + (-4)i"),
    (r"\frac{1+i\sqrt{3}}{2}", r"\frac12+\frac{\sqrt3}{2}i", r"\frac{1}{2} + \frac{i\sqrt{3}}{2}"),
    (r"e^{i\pi/3}", r"e^{\frac{i\pi}{3}}", r"e^{\frac{\pi i}{3}}"),
    # Words
    (r"\text{Monday}", "monday", "Monday", r"\textbf{Monday}"),
    ("Yes", "yes", r"\text{yes}"),
    ("East", r"\text{east}"),
    (r"\text{no solution}", "No solution", r"\text{No Solution}"),
]
UNEQUAL: list[tuple[str, ...]] = [
    ("10!", "10", "10!!", "9!"),
    ("2pi", "2", r"2\pi^2", "pi", "6.28"),
    (r"\frac12 x", r"\frac12", "1/(2x)", "2x"),
    ("3 sin x", "3", "3 cos x", "3x"),
    ("2x\u00b2", "2", "2x", "2ab", "2xy"),
    ("2i", "2", "i", "-2i"),
    ("\u221a10", "1", r"\sqrt{1}0", "100"),
    ("x^{1/2}", r"\frac12", "x", "x^2", "2x"),
    (r"5\text{ cm}", r"5\text{ m}", r"5\text{ cm}^2", r"\$5", r"5\%", r"5\text{ kg}", r"5\text{ m}^2"),
    ("30\u00b0", "30 rad"),
    (r"3\sqrt{2}\text{ cm}", r"3\sqrt{2}\text{ m}"),
    ("1010_2", "1010_3", "10"),
    ("x=3 or x=4", "3", "4", "3,5", "5,4"),
    ("x<1 or x>3", "(1,3)", "x<1", "x>3", r"(-\infty,1]\cup[3,\infty)"),
    ("2x-y+3=0", "y=2x-3", "2x", "x=2y+3", "y=3x+2"),
    (r"0.\overline{3}", "0.3", "0.33", r"0.\overline{6}", "3"),
    (r"\cos(60^\circ)", r"\cos(60)", r"\sin(60^\circ)", "60"),
    ("[1,3]", "(1,3)", "[1,3)", "(1,3]", r"\{1,3\}"),
    (r"-\infty", r"\infty", "0"),
    ("Monday", "Tuesday", "Sunday"),
    (r"\text{no solution}", r"\text{all real numbers}", "0"),
    ("(2,-3)", "(-3,2)", "(2,3)", "(-2,-3)"),
    ("x=1,y=2", "x=2,y=1", "(1,3)"),
    ("2ab", "2", "2a", "2cd"),
    ("3rs", "3", "3r", "3st"),
    ("abc", "xyz", "ab", "2abc"),
    (r"\pm 3", "3", "-3", r"\pm 9"),
    (r"37.5\%", "0.375", r"3.75\%"),
]
PAIRS = pairs_of(EQUAL, UNEQUAL)


async def test_every_pair_is_judged_right() -> None:
    """At least 500 pairs, equal and unequal, in both directions."""
    assert len(PAIRS) >= 500
    assert await misjudged(PAIRS) == []


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Answer: x^2+1", "x^2+1"),
        ("Thus x=3.", "3"),
        ("So $x=3$.", "3"),
        (r"Therefore $\frac{1}{2}$.", "0.5"),
        ("Result: $x^2$", "x^2"),
        (r"Area = 4\pi", r"4\pi"),
        ("Thus $f(2) = 5$.", "5"),
        ("The solutions are $x=2$ and $x=-3$.", "2,-3"),
        ("where $a=1$ and $b=2$", "2"),
        ("The roots are 2 and 3.", "2,3"),
        ("The answer is 5!", "5"),
        ("So x = 5!", "5"),
        ("The answer is $5!$.", "120"),
        ("2*5!", "2*5!"),
        (r"\boxed{300!}", "(300)!"),
        ("Answer:\n- 42", "42"),
        ('{\n "reasoning": "x",\n "answer": "___"\n}', None),
        ('{"answer": ""}', None),
        ('{"reasoning": "It is 5", "answer": null}', None),
        ("Nothing:\n}\n", None),
        ("\\\n\\\n\\", None),
    ],
)
async def test_an_expression_is_found_in_short_prose_and_junk_is_none(text: str, answer: str | None) -> None:
    """One or two words before a formula are prose; braces and empty JSON values do not vote."""
    found = Math().extract(text, Task("?"))
    assert (found and found.answer) == answer


async def test_answers_of_different_units_share_no_class() -> None:
    """Where the judge finds the values equal too; a bare value goes with either."""
    cm, m, bare = (found_in(answer) for answer in (r"\sqrt{8}\text{ cm}", r"2\sqrt{2}\text{ m}", r"2\sqrt{2}"))
    judgement = Judgement(equal=frozenset({frozenset((cm.answer, m.answer))}))
    assert not judgement.same(cm, m)
    assert judgement.same(cm, bare)
    assert judgement.same(m, bare)
