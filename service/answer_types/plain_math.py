"""Mathematics as keyboards and Unicode write it, put into LaTeX: `sqrt(2)`, `√2`, `2pi`, `sin(x)`, `x**2`, `x²`."""

import re

_NAMES = "sin cos tan cot sec csc sinh cosh tanh arcsin arccos arctan asin acos atan ln log lg exp sqrt cbrt abs max min"
_NAMES += " gcd lcm mod det lim floor ceil pi theta alpha beta gamma delta lambda omega sigma infinity inf infty oo"
FUNCTIONS = frozenset(_NAMES.split())
"""Words that belong to expressions and make no prose."""
_COMMANDS = "arcsin|arccos|arctan|sinh|cosh|tanh|sin|cos|tan|cot|sec|csc|ln|log|exp|gcd|max|min|det"
_FUNCTION = re.compile(
    rf"(?<![\\a-zA-Z])({_COMMANDS})(?:(?=\s{{0,2}}[(\[^_\\0-9{{|]|[ ][a-z](?![a-zA-Z]))|(?=[xyzt](?![a-zA-Z])))"
)
_SHORTENED = re.compile(r"(?<![\\a-zA-Z])a(sin|cos|tan)(?=\s?\()")
_CONSTANT = re.compile(r"(?<![\\a-zA-Z])(pi|theta|alpha|beta|gamma|lambda|omega|infinity|infty|inf|oo)(?![a-zA-Z])")
_CONSTANTS = {"infinity": "infty", "inf": "infty", "oo": "infty"}
_ROOT = re.compile(r"(?:([\u221a\u221b\u221c])|(?<![\\a-zA-Z])(sqrt|cbrt)|\\(sqrt)(?=\())[ ]{0,2}")
_ROOTS = {"\u221b": "[3]", "\u221c": "[4]", "cbrt": "[3]"}
_RADICAND = re.compile(r"[0-9]{1,400}(?:\.[0-9]{1,100})?|[^\W\d_]")
_POWER = re.compile(r"\*\*[ ]?(?:\(([^()]{1,100})\))?")
_BRACKETED_POWER = re.compile(r"\^[ ]?\(([^()]{1,100})\)(?!!)")
_LONG_POWER = re.compile(r"\^(-?[0-9]{2,100}|-[0-9a-zA-Z])(?![0-9])")
_RAISED = "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079\u207a\u207b\u207f"
_LOWERED = "\u2080\u2081\u2082\u2083\u2084\u2085\u2086\u2087\u2088\u2089"
_SCRIPTS = str.maketrans(_RAISED + _LOWERED, "0123456789+-n0123456789")
_SCRIPT = re.compile(rf"([{_RAISED}]{{1,40}})|([{_LOWERED}]{{1,40}})")
_SIGNS = {
    "\u2212": "-",
    "\u2013": "-",
    "\u00b7": "*",
    "\u22c5": "*",
    "\u2217": "*",
    "\u00d7": "*",
    "\u00f7": "/",
    "\u2044": "/",
    "\u2264": "\\le ",
    "\u2265": "\\ge ",
    "\u2260": "\\ne ",
    "\u00b1": "\\pm ",
    "\u2213": "\\mp ",
    "\u221e": "\\infty ",
    "\u222a": "\\cup ",
    "\u2229": "\\cap ",
    "\u2208": "\\in ",
    "\u2205": "\\emptyset ",
    "\u211d": "\\mathbb{R}",
    "\u2124": "\\mathbb{Z}",
    "\u2220": "\\angle ",
    "\u2032": "'",
}
_GREEK = {
    letter: f"\\{name} "
    for letter, name in zip(
        "\u03b1\u03b2\u03b3\u03b4\u03b5\u03b8\u03bb\u03bc\u03c0\u03c1\u03c3\u03c4\u03c6\u03c9\u0394\u03a9",
        "alpha beta gamma delta epsilon theta lambda mu pi rho sigma tau phi omega Delta Omega".split(),
        strict=True,
    )
}
_TRANSLATED = str.maketrans(_SIGNS | _GREEK)
_ASCII_SIGNS = (("+/-", "\\pm "), ("+-", "\\pm "), ("<=", "\\le "), (">=", "\\ge "), ("!=", "\\ne "))


def as_commands(expression: str) -> str:
    """The expression with functions, roots, constants, signs and powers as LaTeX writes them."""
    expression = _rooted(expression)
    if not expression.isascii():
        expression = _SCRIPT.sub(_script, expression).translate(_TRANSLATED)
    for sign, command in _ASCII_SIGNS:
        expression = expression.replace(sign, command)
    expression = _POWER.sub(lambda power: f"^{{{power[1]}}}" if power[1] else "^", expression)
    expression = _BRACKETED_POWER.sub(r"^{\1}", expression)
    expression = _SHORTENED.sub(r"\\arc\1", expression)
    expression = _FUNCTION.sub(r"\\\1 ", expression)
    return _CONSTANT.sub(lambda name: f"\\{_CONSTANTS.get(name[1], name[1])} ", expression)


def _rooted(expression: str) -> str:
    """The roots in LaTeX: of what is in brackets, of a number, or of a letter."""
    written: list[str] = []
    start = 0
    for root in _ROOT.finditer(expression):
        if root.start() < start:
            continue
        command = f"\\sqrt{_ROOTS.get(root[1] or root[2] or '', '')}"
        inner, end = _radicand(expression, root.end())
        if end > root.end():
            written += [expression[start : root.start()], command, "{", _rooted(inner), "}"]
            start = end
        elif root[1] or expression.startswith("{", root.end()):
            written += [expression[start : root.start()], command]
            start = root.end()
    return "".join([*written, expression[start:]]) if written else expression


def _radicand(expression: str, start: int) -> tuple[str, int]:
    """What a root stands before, and where it ends; where it began if that is neither bracket, number nor letter."""
    if found := _RADICAND.match(expression, start):
        return found[0], found.end()
    if not expression.startswith("(", start):
        return "", start
    depth = 0
    for place in range(start, len(expression)):
        depth += {"(": 1, ")": -1}.get(expression[place], 0)
        if depth == 0:
            return expression[start + 1 : place], place + 1
    return "", start


def _script(found: re.Match[str]) -> str:
    sign, digits = ("^", found[1]) if found[1] else ("_", found[2])
    plain = digits.translate(_SCRIPTS)
    return f"{sign}{plain}" if len(plain) == 1 else f"{sign}{{{plain}}}"
