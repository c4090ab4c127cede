"""Texts that come to their answer and give none: nothing but marks, or a cue such as "Answer:" with nothing behind."""

import re

_TAIL_CHARS = 400
_JUNK = re.compile(r"[\s{}\[\]()\\,;|*_#]*|(?:\s{0,4}</?[\w-]{1,20}>[\s._\u2026-]{0,20}){1,4}")
_CUE_ALONE = re.compile(
    r"[\s*_#>`-]{0,12}(?:(?:so|thus|hence|therefore)[, ]{1,3})?"
    r"(?:(?:the|my)[ ])?(?:(?:final|correct|best)[ ])?(?:answer|solution|result|ans)"
    r"(?:(?:[ ](?:is|was|would be)|[\s*_]{0,4}[:\uff1a=])[\s*_:.?\u2026$\\-]{0,40}|[*_]{2,4}\s{0,40})",
    re.IGNORECASE,
)


def is_junk(line: str) -> bool:
    """True for a line of nothing but marks, brackets or tags."""
    return _JUNK.fullmatch(line) is not None


def ends_on_cue(text: str) -> bool:
    """True if the last line that says anything only leads up to an answer: "The answer is", "**Answer:** _", "So:"."""
    lines = text[-_TAIL_CHARS:].splitlines() if len(text) > _TAIL_CHARS else text.splitlines()
    last = next((line for line in reversed(lines) if any(map(_says, line))), "")
    return last.rstrip(" \t*_").endswith((":", "\uff1a")) or _CUE_ALONE.fullmatch(last) is not None


def _says(letter: str) -> bool:
    return letter.isalnum() or letter > "\u2100"
