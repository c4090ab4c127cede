"""What models write for JSON, put right in one pass: Python's and JavaScript's spellings, comments, trailing commas.

Read are 'single' quotes, True, False and None, keys without quotes, a comma before a closing bracket, comments (`//`,
`/* */`, `#`), numbers such as +1, .5 and 1., line breaks and tabs within strings, and backslashes that escape nothing
(LaTeX). What it makes is JSON only if the text was nothing else: whoever calls it reads the result as JSON. Nothing is
evaluated.
"""

import re

# What never ends takes the rest of the text with it, so that no place is read twice; it is no JSON then.
_ENDS = r"(?=\s{0,20}(?:[,:}\]/#]|\Z))"
_TOKEN = re.compile(
    r'"(?P<double>(?:[^"\\]|\\.)*+)"'
    rf"|'(?P<single>(?:[^'\\\n]|\\.|'(?!\s{{0,20}}(?:[,:}}\]/#]|\Z)))*+)'{_ENDS}"
    r"|(?P<comma>,(?:\s|//[^\n]*|#[^\n]*|/\*(?:[^*]|\*(?!/))*+\*/)*+(?=[}\]]))"
    r"|(?P<comment>//[^\n]*|#[^\n]*|/\*(?:[^*]|\*(?!/))*+\*/)"
    r"|(?<![\w$.-])(?P<key>[A-Za-z_$][\w$-]{0,99})(?=\s{0,8}:)"
    r"|(?<![\w$.-])(?P<word>True|False|None)(?![\w$.-])"
    r"|(?<![\w.])(?P<point>\.)(?=[0-9])"
    r"|(?P<sign>(?<=[:,\[ ])\+(?=[0-9])|(?<=[0-9])\.(?=\s{0,20}[,}\]]))"
    r"|(?P<endless>[\"'].*|/\*.*)",
    re.DOTALL,
)
_WORDS = {"True": "true", "False": "false", "None": "null"}
_ESCAPE = re.compile(r'\\(?:x([0-9a-fA-F]{2})|(u[0-9a-fA-F]{4}|["\\/bfnrt])|(\'|\n|\Z)|)|(["\n\t\r])', re.DOTALL)
_RAW = {'"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def mended(text: str) -> str:
    """The text with these spellings replaced by JSON's, in linear time."""
    return _TOKEN.sub(_mend, text)


def _mend(token: re.Match[str]) -> str:
    kind, spelled = token.lastgroup, token[token.lastgroup or 0]
    if kind == "double":
        return f'"{_ESCAPE.sub(_escaped, spelled)}"' if "\\" in spelled or not spelled.isprintable() else token[0]
    if kind == "single":
        return f'"{_ESCAPE.sub(_escaped, spelled)}"'
    if kind == "key":
        return f'"{spelled}"'
    if kind in ("point", "sign"):
        return "0." if kind == "point" else ""
    return _WORDS.get(spelled, token[0] if kind == "endless" else " ")


def _escaped(mark: re.Match[str]) -> str:
    """One escape, or one character that needs one, as JSON has it."""
    if mark[4]:
        return _RAW[mark[4]]
    if mark[1]:
        return f"\\u00{mark[1]}"
    if mark[3]:
        return "'" if mark[3] == "'" else ""
    return f"\\{mark[2]}" if mark[2] else "\\\\"
