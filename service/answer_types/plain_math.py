"""Mathematics as keyboards and Unicode write it, put into LaTeX: `sqrt(2)`, `√2`, `2pi`, `sin(x)`, `x**2`, `x²`."""

import re

FUNCTIONS = frozenset(
    (
        *("sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh", "arcsin", "arccos", "arctan"),
        *("asin", "acos", "atan", "ln", "log", "lg", "exp", "sqrt", "cbrt", "abs", "max", "min", "gcd", "lcm", "mod"),
        *("det", "lim", "floor", "ceil", "pi", "theta", "alpha", "beta", "gamma", "delta", "lambda", "omega", "sigma"),
        *("infinity", "inf", "infty", "oo"),
    )
)
"""Words that belong to expressions and make no prose."""
_COMMANDS = "arcsin|arccos|arctan|sinh|cosh|tanh|sin|cos|tan|cot|sec|csc|ln|log|exp|gcd|max|min|det"
_FUNCTION = re.compile(
    rf"(?<![\\a-zA-Z])({_COMMANDS})(?:(?=\s{{0,2}}[(\[^_\\0-9{{|]|[ ][a-z](?![a-zA-Z]))|(?=[xyzt](?![a-zA-Z])))"
)
_SHORTENED = re.compile(r"(?<![\\a-zA-Z])a(sin|cos|tan)(?=\s?\()")
_LOGARITHM = re.compile(r"(?<![\\a-zA-Z])(log|\\log)[ ]?(2|10)(?=[ ]?\()")
_SIGNED = re.compile(r"\b(?:(negative|minus)|positive|plus)[ ](?=(?:infinity|\\infty)(?![a-z]))")
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
    "\u2261": "\\equiv ",
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
    **{"\u03b1": "\\alpha ", "\u03b2": "\\beta ", "\u03b3": "\\gamma ", "\u03b4": "\\delta ", "\u03b5": "\\epsilon "},
    **{"\u03b8": "\\theta ", "\u03bb": "\\lambda ", "\u03bc": "\\mu ", "\u03c0": "\\pi ", "\u03c1": "\\rho "},
    **{"\u03c3": "\\sigma ", "\u03c4": "\\tau ", "\u03c6": "\\phi ", "\u03c9": "\\omega "},
    **{"\u0394": "\\Delta ", "\u03a9": "\\Omega "},
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
    expression = _SIGNED.sub(lambda sign: "-" if sign[1] else "", expression)
    expression = _LOGARITHM.sub(r"\\log_{\2}", expression)
    expression = _SHORTENED.sub(r"\\arc\1", expression)
    expression = _FUNCTION.sub(r"\\\1 ", expression)
    return _CONSTANT.sub(lambda name: f"\\{_CONSTANTS.get(name[1], name[1])} ", expression)


def _rooted(expression: str) -> str:
    """The roots in LaTeX: of what is in brackets, of a number, or of a letter. One pass, however deep they nest."""
    closing: dict[int, int] | None = None
    edits: dict[int, tuple[int, str]] = {}
    for root in _ROOT.finditer(expression):
        command = f"\\sqrt{_ROOTS.get(root[1] or root[2] or '', '')}"
        closing = _closing(expression) if closing is None else closing
        if found := _RADICAND.match(expression, root.end()):
            edits[root.start()] = (found.end(), f"{command}{{{found[0]}}}")
        elif root.end() in closing:
            edits[root.start()] = (root.end() + 1, f"{command}{{")
            edits[closing[root.end()]] = (closing[root.end()] + 1, "}")
        elif root[1] or expression.startswith("{", root.end()):
            edits[root.start()] = (root.end(), command)
    written: list[str] = []
    start = 0
    for place, (end, text) in sorted(edits.items()):
        written += [expression[start:place], text]
        start = end
    return "".join([*written, expression[start:]])


def _closing(expression: str) -> dict[int, int]:
    """Where each round bracket closes that does."""
    opened: list[int] = []
    closing: dict[int, int] = {}
    for place, letter in enumerate(expression):
        if letter == "(":
            opened.append(place)
        elif letter == ")" and opened:
            closing[opened.pop()] = place
    return closing


def _script(found: re.Match[str]) -> str:
    sign, digits = ("^", found[1]) if found[1] else ("_", found[2])
    plain = digits.translate(_SCRIPTS)
    return f"{sign}{plain}" if len(plain) == 1 else f"{sign}{{{plain}}}"
