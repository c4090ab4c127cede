"""What makes a short text prose and no expression: its words."""

import re

from service.answer_types.plain_math import FUNCTIONS
from service.answer_types.units import is_unit

_WORD = re.compile(r"(?<![\\a-zA-Z])[a-zA-Z]{2,}")
_SHORT = frozenset(
    (
        *("so", "is", "it", "we", "by", "of", "at", "if", "in", "as", "to", "be", "he", "no", "on", "up", "us"),
        *("my", "go", "do", "me", "an", "am"),
    )
)
_JOINTS = frozenset(("and", "or", "square", "sq", "cubic", "units", "unit"))


def has_words(text: str) -> bool:
    """True if a plain word of a language stands in the text: no function, unit, name in capitals or product of two."""
    return any(_is_word(word[0]) for word in _WORD.finditer(text))


def _is_word(word: str) -> bool:
    lower = word.lower()
    if lower in FUNCTIONS or lower in _JOINTS or (word.isupper() and len(word) <= 4):
        return False
    return lower in _SHORT if len(word) == 2 else not is_unit(word)
