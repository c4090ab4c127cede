"""Which of several pieces of code is the program: not the example of its use, its tests or what it prints."""

import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from textwrap import dedent

MAX_PIECES = 16
_QUESTION_CHARS = 20_000

_PYTHON = re.compile(r"^(?:async[ ]+)?(?:def|class)[ ]+(\w{1,100})|^(\w{1,100})[ ]?=[ ]?lambda\b", re.MULTILINE)
_MODIFIERS = r"(?:(?:export|default|public|private|protected|static|final|abstract|async|pub|inline|const)[ ]+){0,4}"
_OTHER = re.compile(
    rf"^[ \t]{{0,8}}{_MODIFIERS}"
    r"(?:function\*?|class|interface|struct|enum|trait|impl|fn|func|fun|sub|module|def|defn|object)[ ]+(\w{1,100})"
    r"|^[ \t]{0,8}(?:export[ ]+)?(?:const|let|var)[ ]+(\w{1,100})[ ]?=[ ]?"
    r"(?:async[ ]?)?(?:function\b|\([^)\n]{0,200}\)[ ]?=>|\w{1,100}[ ]?=>)"
    rf"|^[ \t]{{0,8}}{_MODIFIERS}(?!(?:else|return|new|throw)\b)"
    r"[A-Za-z_][\w:<>\[\],]{0,60}[*&]?[ ]+[*&]?(\w{1,60})"
    r"\([^;{}\n]{0,200}\)[ ]?\n?[ ]?\{"
    r"|^(create|insert|select|with|update|delete|alter)\b",
    re.IGNORECASE | re.MULTILINE,
)
_DEFINING = ("def ", "class ", "lambda")
_TEST = re.compile(r"test", re.IGNORECASE)
_CODE_NAME = re.compile(
    r"\b([A-Za-z_]\w{0,99})[ ]?\(|`([A-Za-z_]\w{0,99})`|\b(?:def|class|named|called)[ ]([A-Za-z_]\w{0,99})"
)

_STARTS = re.compile(r"(?:async[ ]+)?def[ ]+\w{1,100}[ ]?\(|class[ ]+\w{1,100}[ ]?[(:]|@\w")
_GOES_ON = re.compile(
    r"[ \t]|\Z|[)\]}#]|import[ ]\w|from[ ][\w.]{1,100}[ ]import[ ]|if[ ]__name__\b"
    r"|[A-Za-z_]\w{0,99}(?:\[[^\n=]{0,99}\])?[ ]?[-+*/|&]?=[ ]?\S"
)


def the_program(pieces: Sequence[str], question: str, python: bool) -> str | None:
    """Of pieces of code, last first: one that defines what the question names, else one that defines anything but
    tests, else the last; None of none."""
    if len(pieces) < 2:
        return pieces[0] if pieces else None
    defined = [_defined(piece, python) for piece in pieces]
    asked = {name for found in _CODE_NAME.findall(question[-_QUESTION_CHARS:]) for name in found if name}
    for wanted in (lambda names: names & asked, lambda names: [n for n in names if not _TEST.match(n)]):
        for piece, names in zip(pieces, defined, strict=True):
            if wanted(names):
                return piece
    return pieces[0]


def pieces_in_prose(text: str) -> list[str]:
    """The stretches of a text that look like Python with a definition in it, last first."""
    if not any(word in text for word in _DEFINING):
        return []
    for begins in (_unindented, _indented):
        pieces: deque[str] = deque(maxlen=MAX_PIECES)
        for piece in _stretches(text.splitlines(), begins):
            if _PYTHON.search(dedent(piece)):
                pieces.append(piece)
        if pieces:
            return list(pieces)[::-1]
    return []


def _unindented(line: str) -> bool:
    """True for a line that only code has, and for what is indented under one."""
    return bool(_STARTS.match(line) or _GOES_ON.match(line))


def _indented(line: str) -> bool:
    """True for a line of a code block as Markdown has it without fences."""
    return line.startswith(("    ", "\t")) or not line.strip()


def _stretches(lines: list[str], begins: Callable[[str], bool]) -> Iterator[str]:
    """Neighbouring lines that look like code."""
    held: list[str] = []
    for line in lines:
        if not line or begins(line):
            held.append(line)
        elif held:
            yield "\n".join(held)
            held = []
    if held:
        yield "\n".join(held)


def _defined(piece: str, python: bool) -> set[str]:
    """The names that a piece defines."""
    form = _PYTHON if python else _OTHER
    return {name for found in form.findall(dedent(piece)) for name in found if name}
