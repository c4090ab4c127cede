"""What two short texts say as such, whatever they mean: days, quantities, numbers, verdicts and names."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from service.answer_types.named import is_measured, read_day
from service.answer_types.number_words import find_words
from service.answer_types.numerals import find_quantities, plain_fractions
from service.answer_types.options import is_label
from service.answer_types.units import unit_after
from service.answer_types.written import normal_form

_WORD = re.compile(r"[^\W\d_](?:[\w'\u2019-]|\.(?=\w))*")
_SMALL = re.compile(
    r"the|an?|of|and|or|in|on|at|for|to|by|with|from|de|la|les?|du|des|v[ao]n|der|den|d[ia]|della?|el|al|[yei]"
    r"|mrs?|ms|dr|prof|professor|sir|dame|president",
    re.IGNORECASE,
)
"""Words that are written small within names too, "I", and titles."""
_MAX_WORDS = 400


@dataclass(frozen=True, slots=True)
class Facts:
    """What a text says as such.

    `fixed`: it is a day, a quantity with a unit, a figure without a letter or a verdict such as "yes", and nothing
    else. `numbers`: the numbers in it, with their units. `words`: all but the small ones, without case; `names`: those
    of them that are names by their capitals; `whole`: it is nothing but names. `initials`: those of a whole name.
    """

    fixed: bool
    numbers: Mapping[Fraction, str | None]
    words: frozenset[str]
    names: frozenset[str]
    whole: bool
    initials: str


def facts_of(text: str, question: str) -> Facts:
    """What the text says as such; the question says how its dates in figures are read."""
    form = normal_form(text)
    listed = [word for word in _WORD.findall(text)[:_MAX_WORDS] if not _SMALL.fullmatch(word)]
    capital = [word[0].isupper() for word in listed]
    whole = bool(listed) and all(capital)
    named = [word for place, word in enumerate(listed) if capital[place] and (whole or place > 0)]
    bare = bool(form) and not any(letter.isalpha() for letter in form)
    return Facts(
        fixed=bare or is_label(form) or is_measured(text) or read_day(form, question) is not None,
        numbers=_numbers(text),
        words=frozenset(map(_folded, listed)),
        names=frozenset(map(_folded, named)),
        whole=whole,
        initials="".join(word[0] for word in listed).casefold() if whole else "",
    )


def unlike(one: Facts, other: Facts) -> bool:
    """True if two texts of different normalised forms are surely different answers, whatever a model makes of them.

    Both are fixed; or both have numbers and these differ, or are of different units; or each has a name that the other
    lacks; or both are names of several words. A name of one word and a longer one ("Curie", "Marie Curie") may be the
    same, and so may a name and its initials.
    """
    if (one.fixed and other.fixed) or _other_numbers(one.numbers, other.numbers):
        return True
    if _abbreviates(one, other) or _abbreviates(other, one):
        return False
    if one.whole and other.whole and min(len(one.words), len(other.words)) > 1:
        return True
    return bool(one.names - other.words) and bool(other.names - one.words)


def _other_numbers(one: Mapping[Fraction, str | None], other: Mapping[Fraction, str | None]) -> bool:
    if not one or not other:
        return False
    return one.keys() != other.keys() or any(
        unit and other[value] and unit != other[value] for value, unit in one.items()
    )


def _abbreviates(short: Facts, name: Facts) -> bool:
    """True if the first is one word made of the other's initials."""
    return len(short.words) == 1 and len(name.words) > 1 and next(iter(short.words)) == name.initials


def _numbers(text: str) -> dict[Fraction, str | None]:
    found = {
        quantity.value: "%" if quantity.percent else quantity.unit
        for quantity in find_quantities(plain_fractions(text))
    }
    for words in find_words(text):
        unit = unit_after(text, words.end)
        found.setdefault(words.value, unit[0] if unit else None)
    return found


def _folded(word: str) -> str:
    return normal_form(word.replace(".", ""))
