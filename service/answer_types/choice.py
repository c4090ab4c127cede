"""`choice`: the answer is one of a few options, by its letter in any dress or by its own text."""

import re
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain

from pydantic import BaseModel

from service.answer_types import reading
from service.answer_types.base import Options
from service.answer_types.concluding import (
    AGAINST,
    chosen_letters,
    corrected_letters,
    is_rejected,
    lone_verdict,
    praised_letters,
    turned,
)
from service.answer_types.nonanswers import gives_none
from service.answer_types.numerals import read_quantity
from service.answer_types.options import LETTERS, Offered, is_label, offered
from service.answer_types.trailing import without_reasons
from service.answer_types.written import normal_form
from service.candidates import Extraction, Task

_LEAD = re.compile(
    r"(?:(?:the|la|le|el|o|a|die|der|das|het|de)\s|l['\u2019])?(?:correct\s|right\s|best\s)?"
    r"(?:option|choice|answer|ans|letter|statement|correct|solution|opci[\u00f3o]n|lettre|letra|lettera|opzione"
    r"|op\u00e7\u00e3o|buchstabe|antwort|optie|\u9009\u9879)"
    r"\b(?:\sis)?[\s:.*]{0,4}|(?:la|le|el|il|die|a|o)\s(?=(?-i:[A-Z]\b|\())",
    re.IGNORECASE,
)
_LETTER = re.compile(
    r"[\s*_\"'`$\\\u201c\u201e\u00ab]{0,6}"
    r"(?:\\?[(\[{][*_ ]{0,3}(?:(?P<held>[A-Za-z])[*_ ]{0,3}\\?[)\]}]|(?P<first>[A-Z])(?=,[ ]?[A-Z]\b))"
    r"|(?P<bare>[A-Za-z]))"
    r"(?P<after>[*_]{0,3}[).:,;]|[*_]{1,3}|\s|$"
    r"|(?=[\"'`$\\\u201c\u201d\u00bb\u3000-\u9fff\uac00-\ud7af\uff00-\uffef]))"
)
_ALONE = re.compile(r"[(\[{]\s?([A-Z])\s?[)\]}]")
_LISTED = re.compile(r"(?:and|or|&)[ ][(\[]?[A-Z]\b")
_INSIDE = re.compile(
    r"[(\[]([A-Z])[)\]]|\b(?:[Oo]ption|[Cc]hoice|[Aa]nswer)[ ]\**\(?([A-Z])\b|\*\*\(?([A-Z])[).]?\*\*"
    r"|\bis[ ]([A-Z])\.?\s{0,9}\Z"
)
_FIRST_WORD = re.compile(
    r"[\s*_\"'`]{0,6}([^\s,.:;!*\"'\u2014-][^,.:;!*\n\u2014]{0,60})[*_\"'`]{0,3}(?:[,.:;!*]|\s\u2014|\u2014)"
)
_SURELY = re.compile(
    r"\A[\s*_]{0,6}(?:[-\u2022]\s{0,3}(?=[(A-Z])|(?:definitely|probably|clearly|obviously|surely|certainly|likely|okay|ok"
    r"|sure|well|of course|only|simply|yes)[,!:.]?[ ]{1,3}(?=(?-i:[A-Z](?![a-z]))|[(*]))",
    re.IGNORECASE,
)
"""What stands before a letter that is the whole of a short answer: a bullet, or how sure it is."""
_ARROW = re.compile(
    r"\A\s{0,4}(?:#{1,6}[ ]|[=-]{1,2}>|[\u2192\u21d2\u2234\u2705\u2713\u2714\u27a1\u25b6]\ufe0f?)[ ]{0,4}"
)
_OPEN_FORMS = ("uncertain", "unknown", "undetermined")
_OPEN_WORDS: tuple[str, ...] = (
    *_OPEN_FORMS,
    "cannot be determined",
    "can't be determined",
    "cannot be inferred",
    "cannot determine",
)
_OPEN_WORDS += ("indeterminate", "not enough information", "insufficient information", "neither true nor false")
_DEFAULT_LETTERS = tuple(LETTERS[:10])
_DEFAULT_LABELS = ("Yes", "No", "True", "False", "Uncertain", "Unknown")
_FREE = Offered(
    answers=_DEFAULT_LETTERS + _DEFAULT_LABELS,
    letters=_DEFAULT_LETTERS + ("",) * len(_DEFAULT_LABELS),
    texts=("",) * len(_DEFAULT_LETTERS) + _DEFAULT_LABELS,
    why="no options are given",
)


class ChoiceOptions(Options):
    """None: the options to choose from are the request's `choices`, or in the question."""


class Choice:
    """One of the options that the request's `choices` give, or the question lists ((A) …) or names (True or False).

    Canonical form: the letter where options are lettered ("A", "(A) Paris", or a list in the question); the choice's
    own text, as the request or the question spells it, where they are plain texts: "(B)" is then the second choice.
    Without any options: A to J, yes, no, true, false, uncertain, unknown.

    Evidence, in this order: `boxed`, `json` (also after the keys "choice", "option" and the like), `whole` (the
    completion is an option), `phrase` (but `concluded` where "Actually, …" puts another letter in its place), `hashes`,
    `concluded` (a late sentence chooses a letter: "I'd go with B.", or a list of the options says "yes" to one),
    `first_line` (nothing but an option, and then the reasons), `concluded` (one of the last three sentences calls a
    letter right), `last_line` (it begins with a letter or is an option), `last_letter` (a dressed letter in the last
    4,000 characters that is not rejected there), `first_word` (an option's text before the first comma or full stop),
    `last_mention` (the only option's text that the last line mentions).
    """

    name: str = "choice"
    Options: type[BaseModel] = ChoiceOptions
    exact: bool = True
    reads_shown = True

    def __init__(self, options: ChoiceOptions | None = None) -> None:
        self.options = options or ChoiceOptions()
        self._made: dict[Task, Choosing] = {}

    def extract(self, text: str, task: Task) -> Extraction | None:
        """The option that the completion chooses, or None."""
        choosing = self._made.get(task)
        if choosing is None:
            choosing = self._made[task] = Choosing(offered(task) or _FREE, task.shown)
        text = reading.window(text)
        unmarked = () if gives_none(text.strip()) or reading.leaves_blank(text) else choosing.places(text)
        for evidence, place, spelling in chain(choosing.marked(text), unmarked):
            if place is not None:
                return Extraction(choosing.of.answers[place], spelling[:200], evidence)
        return None

    def same(self, left: Extraction, right: Extraction) -> bool:
        """True if both are the same option."""
        return left.identity == right.identity


class Choosing:
    """Recognises the options of one task; `shown` is the order in which a prompt lettered them, if it is another."""

    def __init__(self, of: Offered, shown: tuple[int, ...] | None = None) -> None:
        self.of = of
        order = shown if shown and sorted(shown) == list(range(len(of.answers))) else range(len(of.answers))
        self._letters = {letter: order[place] for place, letter in enumerate(of.letters) if letter}
        self._texts: dict[str, int] = {}
        for place, option in enumerate(of.texts):
            if form := normal_form(option):
                self._texts.setdefault(form, place)
        self._labels = all(map(is_label, of.texts))
        still_open = [place for form, place in self._texts.items() if form in _OPEN_FORMS]
        for form in _OPEN_WORDS if len(still_open) == 1 else ():
            self._texts.setdefault(form, still_open[0])
        exact = {answer: place for place, answer in reversed(list(enumerate(of.answers)))}
        self._exact = {answer: self._letters.get(answer, place) for answer, place in exact.items()}
        self._values: dict[tuple[Fraction, bool], int] = {}
        for place, option in enumerate(of.texts):
            if quantity := read_quantity(reading.unwrap(option)):
                self._values.setdefault((quantity.value, quantity.percent), place)
        forms = sorted((form for form in self._texts if len(form) > 1), key=len, reverse=True)
        self._mention = re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, forms)) + r")(?!\w)") if forms else None

    def marked(self, text: str) -> Iterator[tuple[str, int | None, str]]:
        """Evidence, option and spelling, best evidence first; the option is None where the evidence names none."""
        if text in self._exact:
            yield "whole", self._exact[text], text
        if (box := reading.boxed(text)) is not None:
            yield "boxed", self.segment(box), box
        for value in reading.json_answers(text, chosen=True):
            yield "json", self.segment(_only_item(value)), value
        yield "whole", self.whole(text) if len(text) <= reading.MAX_ANSWER_CHARS else None, text
        cued = False
        for line in reading.phrases(text):
            for letter, sentence in () if cued else corrected_letters(text[text.rfind(line) :]):
                yield "concluded", self._letters.get(letter), sentence
            cued = True
            yield "phrase", self.phrase(line), line
        yield "whole", self._alone(text), text
        for line in reading.hashes(text):
            yield "hashes", self.segment(line), line

    def places(self, text: str) -> Iterator[tuple[str, int | None, str]]:
        """What an answer that is not marked as one rests on, likewise."""
        tail = text[-reading.TAIL_CHARS :]
        for letter, sentence in chosen_letters(tail):
            yield "concluded", self._letters.get(letter), sentence
        if (right := lone_verdict(tail, plain=not any(map(is_label, self.of.texts)))) is not None:
            yield "concluded", self._letters.get(right), right
        first = text.lstrip()[: reading.MAX_ANSWER_CHARS].partition("\n")
        yield "first_line", self.first_line(first[0], first[2]), first[0]
        for letter, sentence in praised_letters(tail):
            yield "concluded", self._letters.get(letter), sentence
        line = _ARROW.sub("", reading.last_line(text), count=1)
        yield "last_line", None if AGAINST.match(line.lstrip("*_([ ")[1:]) else self.opening(line), line
        yield "last_line", self._alone(line), line
        for found in reversed(list(_INSIDE.finditer(tail))[-reading.MAX_CUES :]):
            if not is_rejected(found):
                yield "last_letter", self._letters.get(_letter(found)), found[0]
        yield from self._in_words(without_reasons(text))

    def _in_words(self, said: str) -> Iterator[tuple[str, int | None, str]]:
        yield "first_word", self.first_word(said), said
        line = reading.last_line(said)
        for part in (line, reading.last_sentence(line))[: 2 if self._labels else 1]:
            yield "last_mention", self.only_mention(part), part

    def first_line(self, line: str, rest: str) -> int | None:
        """The option that the first line is, where more follows than a list of the options."""
        place = self._alone(line) if rest.strip() else None
        return None if place is None or self._alone(rest.strip().partition("\n")[0]) is not None else place

    def _alone(self, line: str) -> int | None:
        """The option that a line is nothing but: its letter, its text, or both."""
        if len(line) > reading.MAX_ANSWER_CHARS or (place := self.whole(line)) is not None:
            return self.whole(line)
        bare = reading.unwrap(_SURELY.sub("", line, count=1))
        bare = _LEAD.sub("", bare, count=1) if _LEAD.match(bare) else bare
        if (place := self.whole(bare)) is not None:
            return place
        found = _LETTER.match(bare)
        if found is None:
            return None
        letter = (found["held"] or found["first"] or found["bare"]).upper()
        place, rest = self._letters.get(letter), bare[found.end() :].strip()
        return place if not rest or self._texts.get(normal_form(rest)) == place else None

    def first_word(self, text: str) -> int | None:
        """The option whose text the completion opens with, ended by a mark: "Yes, since …"."""
        word = _FIRST_WORD.match(text)
        return self._texts.get(normal_form(word[1])) if word else None

    def whole(self, text: str) -> int | None:
        """The option that the text is nothing but."""
        bare = reading.unwrap(text)
        if bare in self._exact:
            return self._exact[bare]
        # "(C)" is the third option also where another one's text is "c".
        if (dressed := _ALONE.fullmatch(bare)) and dressed[1] in self._letters:
            return self._letters[dressed[1]]
        if (place := self._texts.get(normal_form(bare))) is not None:
            return place
        quantity = read_quantity(bare) if self._values else None
        bare = bare.strip("()[]{}*. ")
        if len(bare) == 1 and bare.upper() in self._letters:
            return self._letters[bare.upper()]
        quantity = quantity or (read_quantity(bare) if self._values else None)
        return self._values.get((quantity.value, quantity.percent)) if quantity else None

    def segment(self, segment: str) -> int | None:
        """The option that a marked answer names: it is it, opens with its letter, or mentions its text first."""
        segment = reading.unwrap(segment)
        if (place := self.whole(segment)) is not None:
            return place
        lead = _LEAD.match(segment)
        bare = segment[lead.end() :] if lead else segment
        for candidate in (self.opening(bare), self._inside(bare)):
            if candidate is not None:
                return candidate
        return self._first_mention(bare)

    def phrase(self, line: str) -> int | None:
        """The option that follows a phrase such as "the answer is"; of "not A but B" it is B."""
        if (place := self.whole(line)) is not None:
            return place
        line = reading.without_adverb(reading.first_sentence(line)).removeprefix("}")
        if line.lower().startswith("not "):
            line = line.partition(" but ")[2] or line.partition(" rather ")[2]
        return self.segment(line)

    def opening(self, line: str) -> int | None:
        """The option whose letter opens the line: "(B) …", "B. …", "B, because …"; "A dog" opens with an article."""
        found = _LETTER.match(line)
        if found is None:
            return self._texts.get(normal_form(line))
        held = found["held"] or found["first"]
        letter = held or found["bare"]
        spaced = not held and found["after"].isspace()
        if letter.islower() and (spaced or not (held or line[found.end() :].strip())):
            return None
        following = line[found.end() : found.end() + 8]
        if spaced and letter in "AI" and following[:1].islower() and not _LISTED.match(following):
            return None
        return self._letters.get(letter.upper())

    def only_mention(self, line: str) -> int | None:
        """The option that the line mentions, where it mentions no other; "not true" mentions "false"."""
        mentioned = {self._texts[found] for found in self._mentions(turned(line))}
        return mentioned.pop() if len(mentioned) == 1 else None

    def _inside(self, segment: str) -> int | None:
        found = _INSIDE.search(segment)
        return self._letters.get(_letter(found)) if found else None

    def _first_mention(self, segment: str) -> int | None:
        mentions = self._mentions(segment)
        return self._texts[mentions[0]] if mentions else None

    def _mentions(self, segment: str) -> list[str]:
        return self._mention.findall(normal_form(segment)) if self._mention else []


def _only_item(value: str) -> str:
    """The one item of a JSON array."""
    return value[1:-1].strip(" \"'") if value.startswith("[") and value.endswith("]") and "," not in value else value


def _letter(found: re.Match[str]) -> str:
    return next(letter for letter in found.groups() if letter)
