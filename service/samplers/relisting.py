"""Where a question's options stand in its text, and the text with the options in another order."""

import re
from dataclasses import dataclass
from functools import cache
from itertools import islice

from service.answer_types.options import LETTERS, Listed, is_label, list_in, offered
from service.answer_types.written import normal_form
from service.candidates import Task

_BULLETS = frozenset(["", "(", "[", "-", "*", "- (", "* (", "**", "**("])
_PINNED = re.compile(
    r"(?:(?:none|all|any|both|neither|either)\b(?: of)?"
    r"(?: (?:the|these|those))?(?: (?:above|others?|options|choices|answers|these|those|them|correct))*"
    r"(?: (?:is|are) (?:true|false|correct|incorrect|right|wrong))?"
    r"|(?:some|one|two|more than one|one or more) of the (?:above|others)|other|something else)",
    re.IGNORECASE,
)
_PLACE = re.compile(
    r"\bthe (?:above|former|latter|preceding|previous|aforementioned)\b"
    r"|\b(?:above|preceding|previous|following|other) (?:options?|choices?|answers?|statements?)\b"
    r"|\b(?:options?|choices?|answers?|statements?) (?:above|below)\b"
    r"|\b(?:of|to|than|from) the others?\b|\b(?:all|none|any|both|neither|either|two|more) of (?:the|these|those)\b",
    re.IGNORECASE,
)
_OTHER_MARK = re.compile(
    r"(?:^|(?<=\s))[*_(\[]{0,4}(?:[A-Za-z]|[0-9]{1,2}|[ivx]{1,4})"
    r"(?:[*_)\].:]{1,5}[ \t]{0,4}|[ \t]{1,4}[-\u2013][ \t]{1,4}|\t[ \t]{0,4})"
)
_MAX_MARKS = 1_000
_JOINED = re.compile(r"(?:[,;.?!]|\b(?:or|and))\Z|[.?!]\s", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Listing:
    """A question's text around its options: `gaps` stand before, between and after the `texts`. The first `free`
    options may change places; the others, such as "none of the above", stay last."""

    gaps: tuple[str, ...]
    texts: tuple[str, ...]
    free: int

    def in_order(self, order: tuple[int, ...]) -> str:
        """The question with option `order[k]` at the k-th place; the letters stay where they are."""
        shown = [gap + self.texts[place] for gap, place in zip(self.gaps, order, strict=False)]
        return "".join([*shown, self.gaps[-1]])

    @property
    def characters(self) -> int:
        """The characters of the question in any order."""
        return sum(map(len, self.gaps)) + sum(map(len, self.texts))


def relisting(task: Task) -> Listing | str:
    """How the options of a task can be shown in another order, or the reason why they stay as they are.

    A list in the question keeps its letters and their dress, and its options change places; that is done where each
    option is one line (or all stand at the question's end within one line, without marks of sentences between them).
    Where the question has no list, the request's choices are appended as lines "(A) ...". Options stay as they are
    where they or the question speak of options by letter or place, where they are labels such as True and False, and
    where the list in the question is not the request's choices.
    """
    options = offered(task)
    if options is None:
        return "there are no options"
    places, on_lines = list_in(task.question)
    if places:
        found = _in_text(task.question, places, on_lines)
        return found if isinstance(found, str) or _same(task, found) else "the question lists other options"
    if not task.choices:
        return "the question names its options within a sentence"
    if reason := _unlistable(task.choices, options.texts, task.question):
        return reason
    gaps = [f"{task.question}\n\n(A) ", *(f"\n({letter}) " for letter in LETTERS[1 : len(task.choices)]), ""]
    return _movable(tuple(gaps), options.texts, task.question)


def _unlistable(choices: tuple[str, ...], texts: tuple[str, ...], question: str) -> str | None:
    """Why the choices cannot be listed below the question, if so."""
    if len(choices) > len(LETTERS):
        return f"there are more than {len(LETTERS)} options"
    if not all(texts):
        return "the options are letters without a text"
    if all(is_label(choice) for choice in choices):
        return "the options are labels"
    starts = tuple(text.casefold() for text in texts)
    marks = islice(_OTHER_MARK.finditer(question), _MAX_MARKS)
    listed = sum(question[mark.end() : mark.end() + 2_000].casefold().startswith(starts) for mark in marks)
    return "the question lists the options in another way" if listed > 1 else None


def _same(task: Task, listing: Listing) -> bool:
    """True if the list in the question is what the request gives as its choices, in the same order."""
    options = offered(task)
    if options is None or not task.choices:
        return options is not None
    return len(options.answers) == len(listing.texts) and all(
        given == text.strip()[:500] or normal_form(given[:500]) == normal_form(text[:500]) != ""
        for given, text in zip(options.texts, listing.texts, strict=True)
    )


def _in_text(question: str, places: tuple[Listed, ...], on_lines: bool) -> Listing | str:
    """The list that stands in the question."""
    gaps, texts, done = [], [], 0
    for one in places:
        text, _, rest = question[one.start : one.end].partition("\n")
        last = one is places[-1]
        if on_lines and not last and rest.strip() not in _BULLETS:
            return "an option has several lines"
        if not on_lines and ((last and rest.strip()) or (not last and _JOINED.search(text.strip()))):
            return "the options stand within a sentence"
        text = text.rstrip()
        if not text:
            return "an option has no text beside its letter"
        gaps.append(question[done : one.start])
        texts.append(text)
        done = one.start + len(text)
    if not on_lines and _JOINED.search(texts[-1]):
        return "the options stand within a sentence"
    rest_of_question = gaps[0] + question[done:]
    return _movable((*gaps, question[done:]), tuple(texts), rest_of_question)


def _movable(gaps: tuple[str, ...], texts: tuple[str, ...], question: str) -> Listing | str:
    """The listing, unless something in it depends on the options' order."""
    pinned = [_PINNED.fullmatch(text.strip(" .*\t")) is not None for text in texts]
    free = len(texts)
    while free and pinned[free - 1]:
        free -= 1
    if any(pinned[:free]):
        return "an option that speaks of the others does not stand last"
    by_letter, named = _by_letter(LETTERS[min(len(texts), len(LETTERS)) - 1])
    if named.search(question) or any(by_letter.search(text) or _PLACE.search(text) for text in texts[:free]):
        return "an option or the question speaks of options by letter or place"
    return Listing(gaps, texts, free) if free > 1 else "there are no two options to change places"


@cache
def _by_letter(last: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """How an option, and how the question, speaks of one of the options A to `last`."""
    letter = f"[A-{last}]"
    in_option = re.compile(
        rf"(?<!\w)[(\[](?-i:{letter})[)\]]"
        rf"|\b(?-i:{letter})(?:,| and| or| nor|, and|, or| &|/) ?[(\[]?(?-i:{letter})\b"
        rf"|\b(?:options?|choices?|answers?|statements?|only|both|neither|either)\b:? [(\[]?(?-i:{letter})\b"
        rf"|\b(?-i:{letter}) only\b",
        re.IGNORECASE,
    )
    return in_option, re.compile(rf"\b(?:[Oo]ption|[Cc]hoice|[Aa]nswer) [(\[]?{letter}(?:[)\]]|\b)(?!['\w])")
