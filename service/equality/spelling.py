"""The canonical spelling of an answer, as LaTeX that a parser reads the right way."""

import re

_OPENS_SET = re.compile(r"(?:^|[=,(\[|<>:{]|\\(?:cup|cap|setminus|in|backslash|subset|subseteq))$")
_WORD = re.compile(r"(?<![\\a-zA-Z])[a-zA-Z]{3,}")
_FUNCTIONS = re.compile(r"(?:a|arc)?(?:sin|cos|tan|cot|sec|csc)h?|log|exp|max|min|mod|gcd|lcm|sqrt", re.IGNORECASE)
_VARIABLES = frozenset("abcxyz")
_ENVIRONMENT = re.compile(r"\\(?:begin|end)\{[a-z]{1,12}\*?\}")
_DEGREES = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,12})?|(?<![a-zA-Z\\])[a-zA-Z])\^\\circ ?")
_LIST = re.compile(r"[(\[{].*,.*[)\]}]", re.DOTALL)


def as_latex(answer: str) -> str:
    """The answer with the braces of its sets escaped: the canonical spelling writes `{1,2}`. Degrees become radians."""
    answer = _DEGREES.sub(r"(\1*\\frac{\\pi}{180})", answer)
    written: list[str] = []
    closers: list[str] = []
    for place, letter in enumerate(answer):
        if letter == "{":
            is_set = _OPENS_SET.search(answer[max(0, place - 12) : place]) is not None
            closers.append("\\}" if is_set else "}")
            letter = "\\{" if is_set else "{"
        elif letter == "}" and closers:
            letter = closers.pop()
        written.append(letter)
    return "".join(written)


def is_words(answer: str) -> bool:
    """True for words, which a parser takes for products of variables: `east` would equal `seat`."""
    bare = _ENVIRONMENT.sub("", answer)
    words = (word[0] for word in _WORD.finditer(bare))
    return any(not _FUNCTIONS.fullmatch(word) and not _VARIABLES.issuperset(word) for word in words)


def brackets(answer: str) -> str:
    """What a list of values opens with, `{` for a set, `(` or `[`; empty for anything else."""
    return answer[0] if _LIST.fullmatch(answer) and "\\cup" not in answer else ""
