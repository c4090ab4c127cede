"""The options that a question offers: from the request's `choices`, or read from the question itself."""

import re
from dataclasses import dataclass
from functools import lru_cache

from service.answer_types.reading import unwrap
from service.candidates import Task

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_DRESSED = re.compile(r"\s{0,4}[(\[]?([A-Za-z])(?:[)\]]|[.:][ \t])[ \t]{0,4}(.{0,500})")
_LISTED = re.compile(r"(?:^|[\s,;])[(\[]?([A-J])(?:[)\]]|[.:](?=[ \t]))[ \t]{0,4}")
_SMALL = re.compile(r"^[ \t]{0,8}\(?([a-j])(?:\)|\.(?=[ \t]))[ \t]{0,4}", re.MULTILINE)
_ASKS_CHOICE = re.compile(r"\b(?:choose|select|pick|which|options?|correct answer|choices?)\b", re.IGNORECASE)
_LABELS = (
    "true|false|yes|no|uncertain|unknown|maybe|undetermined|neither|entailment|contradiction|neutral|valid|invalid|correct"
    "|incorrect|plausible|implausible|positive|negative"
)
_CLOSED_SET = re.compile(
    rf"\b(?:{_LABELS})(?:[\"')]?(?:[ ]?[,/|][ ]?(?:or[ ]|and[ ])?|[ ]or[ ])[\"'(]?(?:{_LABELS})\b){{1,8}}",
    re.IGNORECASE,
)
_POLAR = re.compile(
    r"(?:\A|[.!?:]\s{1,4}|\n)\s{0,4}(?:is|are|was|were|do|does|did|can|could|will|would|should|has|have|had|must)\s"
    r"(?:(?!\b(?:or|what|which|who|whom|how|why|where|when|tell|explain|list|give|show)\b)[^?\n]){1,400}\?\s{0,8}\Z",
    re.IGNORECASE,
)
_LABEL = re.compile(rf"\b(?:{_LABELS})\b", re.IGNORECASE)
_BEFORE_LETTER = frozenset(["", "(", "[", "-", "*", "- (", "* (", "**", "**("])
_MAX_QUESTION_CHARS = 50_000
_MAX_LISTED = 1_000
_POLAR_CHARS = 600


@dataclass(frozen=True, slots=True)
class Offered:
    """What can be chosen: the options' canonical answers, letters and texts, and where they come from.

    `certain` is False where a question that is no choice could read the same, such as one about "a true/false test".
    """

    answers: tuple[str, ...]
    letters: tuple[str, ...]
    texts: tuple[str, ...]
    why: str
    certain: bool = True


@lru_cache(maxsize=64)
def offered(task: Task) -> Offered | None:
    """The options of a task: the request's choices, else those that the question lists as (A), (B), … or names."""
    if task.choices:
        return _from_choices(task.choices, task.question)
    return _listed(task.question) or _named(task.question)


def yes_or_no(question: str) -> Offered | None:
    """Yes and no, where the question ends by asking for one of them: "Is 7 prime?"."""
    if not _POLAR.search(question[-_POLAR_CHARS:]):
        return None
    labels = ("Yes", "No")
    return Offered(labels, ("", ""), labels, "the question asks for yes or no", certain=False)


def is_label(form: str) -> bool:
    """True if a text is nothing but a verdict such as "yes", "false" or "neither": one of a closed set of labels."""
    return _LABEL.fullmatch(form.strip()) is not None


def _from_choices(choices: tuple[str, ...], question: str) -> Offered:
    why = f"the request gives {len(choices)} choices"
    bare = [unwrap(choice).strip("()[]") for choice in choices]
    if len(set(bare)) == len(choices) and all(len(b) == 1 and b in LETTERS for b in bare):
        listed = _listed(question)
        texts = dict(zip(listed.letters, listed.texts, strict=True)) if listed else {}
        return Offered(tuple(bare), tuple(bare), tuple(texts.get(b, "") for b in bare), why)
    dressed = [_DRESSED.fullmatch(choice) for choice in choices]
    letters = tuple(d[1].upper() for d in dressed if d)
    if letters == tuple(LETTERS[: len(choices)]):
        return Offered(letters, letters, tuple(d[2].strip() for d in dressed if d), why)
    places = tuple(LETTERS[i] if i < len(LETTERS) else "" for i in range(len(choices)))
    return Offered(choices, places, choices, why)


@dataclass(frozen=True, slots=True)
class Listed:
    """One option of a list in a question: its letter, and where in the question what follows the letter's mark begins
    and ends (before the next mark, or with the question)."""

    letter: str
    start: int
    end: int


def list_in(question: str) -> tuple[tuple[Listed, ...], bool]:
    """The options that a question letters from A on, and True if they begin lines, else they stand within one; of
    several lists the last. Empty if there is none."""
    skipped = max(0, len(question) - _MAX_QUESTION_CHARS)
    question = question[skipped:]
    marks = list(_LISTED.finditer(question))[-_MAX_LISTED:]
    leading = [mark for mark in marks if _line_before(question, mark.start(1)) in _BEFORE_LETTER]
    run = _last_run(leading)
    on_lines = bool(run)
    run = run or _last_run(marks)
    return _places(run, skipped, len(question)), on_lines


def _places(run: list[re.Match[str]], skipped: int, length: int) -> tuple[Listed, ...]:
    ends = [*(mark.start() for mark in run[1:]), length]
    return tuple(Listed(mark[1], skipped + mark.end(), skipped + end) for mark, end in zip(run, ends, strict=False))


def _small(question: str) -> tuple[Listed, ...]:
    """Options with small letters, which begin lines; only where the question speaks of choosing, for a) and b) may be
    its parts as well."""
    skipped = max(0, len(question) - _MAX_QUESTION_CHARS)
    asked = question[skipped:]
    run = _last_run(list(_SMALL.finditer(asked))[-_MAX_LISTED:]) if _ASKS_CHOICE.search(asked) else []
    return _places(run, skipped, len(asked))


def _listed(question: str) -> Offered | None:
    found, on_lines = list_in(question)
    found = found or _small(question)
    if not found:
        return None
    texts = tuple(question[one.start : one.end].partition("\n")[0][:500].strip() for one in found)
    letters = tuple(one.letter.upper() for one in found)
    certain = on_lines  # a small list decides nothing by itself
    return Offered(letters, letters, texts, f"the question lists the options {letters[0]} to {letters[-1]}", certain)


def _last_run(marks: list[re.Match[str]]) -> list[re.Match[str]]:
    """The last list of at least two marks that are lettered A, B, …; empty if there is none."""
    runs: list[list[re.Match[str]]] = []
    for mark in marks:
        if mark[1] in "Aa":
            runs.append([mark])
        elif runs and mark[1].upper() == LETTERS[len(runs[-1]) % len(LETTERS)]:
            runs[-1].append(mark)
    return next((run for run in reversed(runs) if len(run) > 1), [])


def _named(question: str) -> Offered | None:
    """A closed set that the question names, such as "True, False or Uncertain"; of several the last."""
    sets = list(_CLOSED_SET.finditer(question[-_MAX_QUESTION_CHARS:]))
    if not sets:
        return None
    labels = tuple({label.lower(): label for label in _LABEL.findall(sets[-1][0])}.values())
    if len(labels) < 2:
        return None
    places = tuple(LETTERS[i] for i in range(len(labels)))
    return Offered(labels, places, labels, f"the question names the options {', '.join(labels)}", False)


def _line_before(text: str, place: int) -> str:
    return text[max(text.rfind("\n", 0, place) + 1, place - 20) : place].strip()
