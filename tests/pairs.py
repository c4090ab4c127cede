"""Tables of answers that are equal or not, put to an answer type as pairs."""

from collections.abc import Iterable, Sequence
from itertools import combinations

from service.answer_types.base import AnswerType
from service.candidates import Extraction, Task

Groups = Sequence[tuple[str, ...]]


def count(equal: Groups, unequal: Groups) -> int:
    """How many pairs the groups make."""
    return sum(len(group) * (len(group) - 1) // 2 for group in (*equal, *unequal))


def wrong(kind: AnswerType, task: Task, equal: Groups, unequal: Groups) -> list[str]:
    """What comes out otherwise than the groups say: an equal group is one answer, in an unequal one all differ.

    Also what gives no answer at all, and pairs whose equality depends on which comes first.
    """
    return [*_wrong(kind, task, equal, same=True), *_wrong(kind, task, unequal, same=False)]


def _wrong(kind: AnswerType, task: Task, groups: Groups, same: bool) -> Iterable[str]:
    for group in groups:
        found = [(text, kind.extract(text, task)) for text in group]
        yield from (f"no answer: {text!r}" for text, answer in found if answer is None)
        answered: list[tuple[str, Extraction]] = [(text, answer) for text, answer in found if answer is not None]
        for (text, one), (other_text, other) in combinations(answered, 2):
            if not kind.same(one, other) == kind.same(other, one) == same:
                yield f"{one.answer!r} and {other.answer!r} of {text!r} and {other_text!r}"
