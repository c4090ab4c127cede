"""Numbers written in words: "forty-two", "two hundred and five", "three and a half", "two thirds"."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

_ONES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
_ONES += ["thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_VALUES = {word: value for value, word in enumerate(_ONES)} | {word: 10 * at for at, word in enumerate(_TENS, 2)}
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_PARTS = {"half": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "eighth": 8, "tenth": 10}
_PLURALS = {"halves": 2} | {f"{part}s": value for part, value in _PARTS.items() if part != "half"}
_WORD = "|".join(sorted([*_VALUES, "hundred", *_SCALES], key=len, reverse=True))
_PART = "|".join([*_PLURALS, *_PARTS])
_NUMBER = re.compile(
    rf"\b(?:(?P<sign>minus|negative)[ ])?(?P<a>an?[ ](?=(?:hundred|thousand|million)\b))?"
    rf"(?P<words>(?:{_WORD})(?:(?:-|[ ]and[ ]|[ ])(?:{_WORD})){{0,15}})\b"
    rf"(?:[ ]and[ ](?:an?|one)[ ](?P<more>half|quarter|third)\b|[ -](?P<part>{_PART})\b)?(?![-/]\w)",
    re.IGNORECASE,
)
_JOINT = re.compile(r"-|[ ]and[ ]|[ ]")


@dataclass(frozen=True, slots=True)
class Worded:
    """A number in words and where it stands."""

    value: Fraction
    start: int
    end: int


def find_words(text: str) -> Iterator[Worded]:
    """The numbers in words in a text, in order; what is no one number, such as "two three", is passed over."""
    for found in _NUMBER.finditer(text):
        value = _value(found)
        if value is not None:
            yield Worded(-value if found["sign"] else value, found.start(), found.end())


def _value(found: re.Match[str]) -> Fraction | None:
    words = _JOINT.split(found["words"].lower())
    count = _count(["one", *words] if found["a"] else words)
    if count is None:
        return None
    if found["more"]:
        return count + Fraction(1, _PARTS[found["more"].lower()])
    part = (found["part"] or "").lower()
    if not part:
        return Fraction(count)
    # "one third" and "two thirds" are shares; "twenty third" is a place in a row.
    share = _PARTS.get(part) if count == 1 else _PLURALS.get(part)
    return Fraction(count, share) if share else None


def _count(words: list[str]) -> int | None:
    """The whole number that the words spell; None if they do not make one."""
    total, group, room, ceiling = 0, 0, 1000, 10**15
    for word in words:
        if word in _SCALES:
            if not group or _SCALES[word] >= ceiling:
                return None
            ceiling = _SCALES[word]
            total, group, room = total + group * ceiling, 0, 1000
        elif word == "hundred":
            if not 0 < group < 100:
                return None
            group, room = 100 * group, 100
        elif _VALUES[word] >= room:
            return None
        else:
            group, room = group + _VALUES[word], 10 if _VALUES[word] >= 20 else 0
    return total + group
