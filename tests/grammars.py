"""Answers as their grammar has them, for tests that put random texts together: one generator an answer type.

What is made is mostly well formed; whoever wants it broken cuts it. A type without a generator of its own has none to
be tested by here, and is tested by fragments alone.
"""

import json
import random
from collections.abc import Callable

Grow = Callable[[random.Random], str]

_WORDS = (
    "Paris",
    "the Seine",
    "yes",
    "G\u00f6del",
    "J. K.",
    "a",
    "none of these",
    "May",
    "\u5df4\u9ece",
    "O'Neil",
    "x1",
    "\u200b",
)
_DEPTH = 4


def grow(name: str, rng: random.Random) -> str:
    """An answer of the type, dressed as a completion has it; empty for a type without a grammar here."""
    grown = _GRAMMARS.get(name, _nothing)(rng)
    return rng.choice(_DRESSES).replace("@", grown) if grown else ""


def broken(text: str, rng: random.Random) -> str:
    """The text with a piece taken out, doubled or turned around somewhere."""
    start = rng.randrange(len(text) + 1)
    end = min(len(text), start + rng.randrange(1, 12))
    piece = rng.choice(
        ("", text[start:end] * 2, text[start:end][::-1], chr(rng.choice((0, 0x200B, 0x202E, 0xD800, 0xFF10))))
    )
    return text[:start] + piece + text[end:]


_DRESSES = (
    *("@", "@", "The answer is @.", "\\boxed{@}", "#### @", '{"answer": "@"}', "Final answer: **@**", "So:\n@\nDone."),
    *(
        "```\n@\n```",
        "```python\n@\n```",
        "```json\n@\n```",
        "<tool_call>@</tool_call>",
        "not @ but @",
        "$@$",
        "@ @",
        "<think>@</think>@",
    ),
)


def _nothing(rng: random.Random) -> str:
    return ""


def _digits(rng: random.Random, most: int = 6) -> str:
    return "".join(rng.choice("0123456789") for _ in range(rng.randrange(1, most + 1)))


def _number(rng: random.Random) -> str:
    sign = rng.choice(("", "", "-", "+", "\u2212", "\u2013", "minus ", "\u00b1"))
    whole = rng.choice(
        (
            _digits(rng),
            f"{rng.randrange(1, 1000)}{rng.choice(',. _')}{rng.randrange(1000):03}",
            f"{rng.randrange(99)}.{_digits(rng)}",
        )
    )
    after = rng.choice(
        (
            "",
            "",
            f"/{_digits(rng, 3)}",
            f"e{rng.randrange(-500, 500)}",
            f"^{{{rng.randrange(-9, 400)}}}",
            f"^{rng.randrange(99)}",
        )
    )
    tail = rng.choice(
        (
            "",
            "",
            "%",
            " km",
            "k",
            "M",
            "bn",
            " million",
            ":1",
            "x",
            "\u00b0C",
            " cm^2",
            "\u00b2",
            ",5",
            " 1/2",
            "\\sqrt{2}",
            " \u00b1 1",
        )
    )
    return f"{rng.choice(('', '', '$', chr(0x20AC), 'about '))}{sign}{whole}{after}{tail}"


def _choice(rng: random.Random) -> str:
    letter = rng.choice("ABCDabIZ")
    dress = rng.choice(
        ("@", "(@)", "@.", "**@**", "option @", "[@]", "\\text{(@)}", "@, because", "@ or (B)", "not @", "@)")
    )
    return dress.replace("@", letter) + rng.choice(("", "", " Paris", " Lyon", ", C"))


def _math(rng: random.Random, depth: int = _DEPTH) -> str:
    if depth == 0 or rng.random() < 0.25:
        return rng.choice(
            ("x", "y", "n", "\\pi", "e", "i", "\\infty", _digits(rng, 3), "0.5", "\\theta", "\\text{cm}", "\\emptyset")
        )
    a, b = _math(rng, depth - 1), _math(rng, depth - 1)
    forms = (
        *(
            "@+#",
            "@-#",
            "@#",
            "\\frac{@}{#}",
            "\\dfrac@#",
            "@^{#}",
            "@^#",
            "\\sqrt{@}",
            "\\sqrt[#]{@}",
            "(@,#)",
            "[@,#)",
            "\\{@,#\\}",
        ),
        *(
            "@=#",
            "@<#",
            "@\\le#",
            "\\left(@\\right)",
            "\\sin(@)",
            "\\log_{#}@",
            "|@|",
            "@!",
            "@_#",
            "\\begin{pmatrix}@&#\\\\#&@\\end{pmatrix}",
        ),
        *("@\\cup#", "\\pm@", "@\\%", "@^\\circ", "\\text{@}", "\\boxed{@}", "@/#", "@\\cdot#"),
    )
    return rng.choice(forms).replace("@", a).replace("#", b)


def _text(rng: random.Random) -> str:
    return rng.choice((" ", ", ", " of ", "-", ". ")).join(rng.choice(_WORDS) for _ in range(rng.randrange(1, 5)))


def _date(rng: random.Random) -> str:
    day, month, year = rng.randrange(0, 33), rng.randrange(0, 14), rng.choice((0, 99, 1999, 2024, 9999, 12345))
    name = rng.choice(("March", "Mar.", "may", "Sept", "December", "Brumaire"))
    forms = (
        f"{year}-{month:02}-{day:02}",
        f"{day}.{month}.{year}",
        f"{month}/{day}/{year}",
        f"{name} {day}, {year}",
        f"the {day}th of {name}, {year}",
        f"{name} {year}",
        f"{year}",
        f"{day}-{name}-{year}",
    )
    return rng.choice(forms) + rng.choice(("", "", "T10:00Z", " BC", " and 2020-01-01"))


def _value(rng: random.Random, depth: int = _DEPTH) -> object:
    if depth == 0 or rng.random() < 0.4:
        return rng.choice(
            (None, True, False, 0, -1, 1.5, 1e300, 10**30, "", "a", "\ud800", 'q"\\', "answer", rng.choice(_WORDS))
        )
    if rng.random() < 0.5:
        return [_value(rng, depth - 1) for _ in range(rng.randrange(4))]
    return {
        rng.choice(("name", "arguments", "answer", "a", "", "items")): _value(rng, depth - 1)
        for _ in range(rng.randrange(4))
    }


def _json(rng: random.Random) -> str:
    return json.dumps(_value(rng), ensure_ascii=rng.random() < 0.5, indent=rng.choice((None, None, 2)))


def _list(rng: random.Random) -> str:
    items = [rng.choice((_text, _number, _date))(rng) for _ in range(rng.randrange(1, 6))]
    forms = (
        ", ".join(items),
        "; ".join(items),
        " and ".join(items),
        json.dumps(items),
        f"{{{', '.join(items)}}}",
        f"({', '.join(items)})",
    )
    lines = (
        "".join(f"- {item}\n" for item in items),
        "".join(f"{n}. **{item}** - why\n" for n, item in enumerate(items)),
        "\n".join(items),
    )
    return rng.choice(forms + lines)


def _call(rng: random.Random) -> str:
    name = rng.choice(("f", "a.b", "get_weather", "__import__", "", "functions.f", "\u00e9"))
    arguments = {rng.choice("abc"): _value(rng, 2) for _ in range(rng.randrange(3))}
    held = json.dumps(arguments)
    forms = (
        *(
            f'{{"name": "{name}", "arguments": {held}}}',
            f"{name}({', '.join(f'{k}={v!r}' for k, v in arguments.items())})",
        ),
        *(
            f"<function={name}>{held}</function>",
            f"Action: {name}\nAction Input: {held}",
            f"{name}({held})",
            f"[{name}(), f(a=1)]",
        ),
        *(f'{{"tool_calls": [{{"function": {{"name": "{name}", "arguments": {json.dumps(held)}}}}}]}}',),
        *(
            "".join(f"<parameter={k}>{v}</parameter>" for k, v in arguments.items()).join(
                (f"<function={name}>", "</function>")
            ),
        ),
    )
    return rng.choice(forms)


def _code(rng: random.Random, depth: int = _DEPTH) -> str:
    name, other = rng.choice(("x", "y", "v0", "v1", "f", "print", "_")), rng.choice(("a", "b", "v0", "self", "x"))
    if depth == 0:
        return rng.choice(
            (
                f"{name} = {other}",
                f"{name}({other}={name})",
                "pass",
                f"return {other}",
                f'"{other}"',
                f"{name}: {other} = 1",
                f"global {name}",
                "# c",
            )
        )
    body = _code(rng, depth - 1).replace("\n", "\n    ")
    forms = (
        *(
            f"def {name}({other}, *{name}_, k=1) -> {other}:\n    {body}",
            f"class {name}:\n    {body}",
            f"for {name} in {other}:\n    {body}",
            f"{body}\n{body}",
        ),
        *(
            f"if {name}:\n    {body}\nelse:\n    {body}",
            f"try:\n    {body}\nexcept {name} as {other}:\n    {body}",
            f"with {name} as {other}:\n    {body}",
        ),
        *(
            f"{name} = [{other} for {other} in {name} if ({name} := {other})]",
            f"{name} = lambda {other}: {name}({other})",
            f"match {name}:\n    case [{other}, *_]:\n        {body}",
        ),
        *(
            f"import {name} as {other}\n{body}",
            f"{name} = f'{{{other}!r:>{{{name}}}}}'",
            f"def {name}():\n    '''{other}'''\n    nonlocal {other}\n    {body}",
            f"@{other}\nasync def {name}(): {body if chr(10) not in body else '...'}",
        ),
    )
    return rng.choice(forms)


def _boxes(rng: random.Random) -> str:
    four = [rng.choice((str(rng.randrange(2000)), f"{rng.random():.3f}", "-1", _digits(rng, 12))) for _ in range(4)]
    a, b, c, d = four
    forms = (
        *(
            f"[{a}, {b}, {c}, {d}]",
            f"({a},{b}),({c},{d})",
            f"({a}, {b})",
            f"<box>{a} {b} {c} {d}</box>",
            f'{{"bbox_2d": [{a}, {b}, {c}, {d}]}}',
        ),
        *(
            f"click(x={a}, y={b})",
            f'{{"x1": {a}, "y1": {b}, "x2": {c}, "y2": {d}}}',
            f"<|box_start|>({a},{b}),({c},{d})<|box_end|>",
            f'"point_2d": [{a}, {b}]',
        ),
    )
    return rng.choice(forms)


_GRAMMARS: dict[str, Grow] = {
    "number": _number,
    "choice": _choice,
    "math": _math,
    "text": _text,
    "date": _date,
    "json": _json,
    "list": _list,
    "tool_call": _call,
    "code": lambda rng: rng.choice(("@", "```python\n@\n```", "```\n@")).replace("@", _code(rng)),
    "boxes": _boxes,
}
_GRAMMARS["auto"] = lambda rng: rng.choice([grower for name, grower in _GRAMMARS.items() if name != "auto"])(rng)
