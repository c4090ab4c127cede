"""Candidates from samples, and classes of equal answers from candidates."""

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, replace

from service.answer_types.base import AnswerType, Judge, Judgement, is_judged
from service.answer_types.reading import CUED, SELF_CLOSING, closed_part, strip_thinking
from service.candidates import AnswerClass, Candidate, Exclusion, Extraction, Task
from workers.wire.messages import FinishReason, Sample

MAX_COMPARED = 64
"""Answers beyond this many classes are compared by identity alone, so that the cost of classing stays bounded."""

Same = Callable[[Extraction, Extraction], bool]


@dataclass(frozen=True, slots=True)
class _Group:
    """Equal answers while they are collected: the extraction that others are compared with, and the members."""

    speaker: Extraction
    members: tuple[Candidate, ...]

    @property
    def rank(self) -> tuple[int, int]:
        return -len(self.members), min(member.sample.index for member in self.members)


UNFIT = {FinishReason.FILTERED: Exclusion.FILTERED, FinishReason.CUT: Exclusion.CUT}
"""Ends after which a completion never votes, whatever it says."""


def make_candidate(sample: Sample, answer_type: AnswerType, task: Task) -> Candidate:
    """The sample with its answer, or with the reason why it does not vote.

    A completion that was cut off votes only with a complete answer: a closed box or JSON value, or a cue such as "the
    answer is" whose sentence is over. A number or line that merely comes last is none.
    """
    if sample.failure is not None or sample.finish_reason is FinishReason.CANCELLED:
        return Candidate(sample, None, Exclusion.FAILED)
    if sample.finish_reason in UNFIT:
        return Candidate(sample, None, UNFIT[sample.finish_reason])
    if not sample.text.strip():
        return Candidate(sample, None, Exclusion.EMPTY)
    visible, unclosed = strip_thinking(sample.text)
    if unclosed:
        return Candidate(sample, None, Exclusion.UNCLOSED_THINKING)
    if sample.finish_reason is FinishReason.LENGTH:
        extraction = _complete(visible, answer_type, task)
        return Candidate(sample, extraction, None if extraction else Exclusion.TRUNCATED)
    if not visible.strip():
        return Candidate(sample, None, Exclusion.EMPTY)
    extraction = answer_type.extract(visible, task)
    return Candidate(sample, extraction, None if extraction else Exclusion.NO_ANSWER)


async def judged(candidates: Iterable[Candidate], answer_type: AnswerType, judge: Judge | None) -> Judgement | None:
    """What the judge says of the candidates' answers; None where the answer type compares them itself."""
    if judge is None or not is_judged(answer_type):
        return None
    return await judge.judge([group.speaker.answer for group in _equal_forms(candidates)])


def make_classes(
    candidates: Iterable[Candidate], answer_type: AnswerType, judgement: Judgement | None = None
) -> tuple[AnswerClass, ...]:
    """The classes of equal answers, most votes first, then smallest member; the same for any order of arrival."""
    return tuple(_published(group, answer_type) for group in _grouped(candidates, answer_type, judgement))


class Classifier:
    """Finds and classes answers as one request's answer type does, by what the judge said and says."""

    def __init__(
        self,
        candidates: Iterable[Candidate],
        answer_type: AnswerType,
        task: Task,
        judgement: Judgement | None = None,
        judge: Judge | None = None,
        shown: Callable[[int], tuple[int, ...] | None] = lambda index: None,
    ) -> None:
        self._shown = shown
        self.extractable = answer_type.name != "text"
        self._type = answer_type
        self._task = task
        self._judge = judge if is_judged(answer_type) else None
        self._groups = _grouped(candidates, answer_type, judgement)
        self.classes = tuple(_published(group, answer_type) for group in self._groups)
        self._known: dict[Hashable, list[tuple[Extraction, AnswerClass]]] = {}
        for group, published in zip(self._groups, self.classes, strict=True):
            members = (member.extraction for member in group.members if member.extraction is not None)
            for one in {(member.identity, member.apart): member for member in members}.values():
                if one.apart is None and group.speaker.apart is not None:
                    one = replace(one, apart=group.speaker.apart)
                self._known.setdefault(one.identity, []).append((one, published))

    def extract(self, text: str, index: int | None = None) -> Extraction | None:
        """The answer in a text, thinking stripped; None if there is none.

        `index`: the sample whose prompt it answers, where its options stood in an order of their own.
        """
        visible, unclosed = strip_thinking(text)
        shown = None if index is None else self._shown(index)
        task = self._task if shown is None else replace(self._task, shown=shown)
        return None if unclosed else self._type.extract(visible, task)

    async def find(self, extraction: Extraction) -> AnswerClass | None:
        """The class among the candidates' to which the answer belongs; None if it is new."""
        alike = [one for one in self._known.get(extraction.identity, ()) if not one[0].clashes(extraction)]
        alike.sort(key=lambda one: one[0].apart != extraction.apart)
        if alike or self._type.exact:
            return alike[0][1] if alike else None
        same: Same = self._type.same
        if self._judge is not None:
            speakers = [group.speaker.answer for group in self._groups]
            same = (await self._judge.judge([extraction.answer, *speakers])).same
        pairs = zip(self._groups[:MAX_COMPARED], self.classes, strict=False)
        return next((published for group, published in pairs if same(group.speaker, extraction)), None)


def _complete(visible: str, answer_type: AnswerType, task: Task) -> Extraction | None:
    extraction = answer_type.extract(visible, task)
    if extraction and extraction.evidence in SELF_CLOSING:
        return extraction
    extraction = answer_type.extract(closed_part(visible), task)
    return extraction if extraction and extraction.evidence in CUED else None


def _grouped(candidates: Iterable[Candidate], answer_type: AnswerType, judgement: Judgement | None) -> list[_Group]:
    groups = _equal_forms(candidates)
    return groups if answer_type.exact else _merged(groups, judgement.same if judgement else answer_type.same)


def _equal_forms(candidates: Iterable[Candidate]) -> list[_Group]:
    """Candidates whose answers have one identity, most first; the first member speaks for them."""
    equal: dict[Hashable, list[Candidate]] = {}
    for candidate in sorted(candidates, key=lambda c: c.sample.index):
        if candidate.excluded is None and candidate.extraction is not None:
            equal.setdefault(candidate.extraction.identity, []).append(candidate)
    groups = [group for members in equal.values() for group in _apart(members)]
    return sorted(groups, key=lambda group: group.rank)


def _apart(members: list[Candidate]) -> Iterator[_Group]:
    """One group for each thing that sets answers of one identity apart; those without go with the most frequent one."""
    parts: dict[Hashable, list[Candidate]] = {}
    for member in members:
        if member.extraction is not None:
            parts.setdefault(member.extraction.apart, []).append(member)
    speakers = {apart: part[0].extraction for apart, part in parts.items()}
    bare = parts.pop(None, [])
    first = max(parts, key=lambda apart: (len(parts[apart]), -parts[apart][0].sample.index), default=None)
    parts[first] = parts.get(first, []) + bare
    for apart, part in parts.items():
        if speaker := speakers[apart]:
            yield _Group(speaker, tuple(part))


def _merged(groups: list[_Group], same: Same) -> list[_Group]:
    """First fit, most frequent first, to the answer that opened the class; equality need not be transitive."""
    merged: list[_Group] = []
    for group in groups:
        for place, known in enumerate(merged[:MAX_COMPARED]):
            if same(known.speaker, group.speaker):
                merged[place] = _Group(known.speaker, known.members + group.members)
                break
        else:
            merged.append(group)
    return sorted(merged, key=lambda group: group.rank)


def _published(group: _Group, answer_type: AnswerType) -> AnswerClass:
    """A judged class prints its most frequent form: that one stays the same when rarer ones join later."""
    members = sorted(group.members, key=lambda member: member.sample.index)
    found = [member.extraction for member in members if member.extraction is not None]
    spellings = tuple(dict.fromkeys(extraction.spelling for extraction in found))
    answer = group.speaker.answer if is_judged(answer_type) else found[0].answer
    return AnswerClass(answer, tuple(member.sample.index for member in members), spellings)
