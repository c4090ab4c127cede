"""Candidates from samples, and classes of equal answers from candidates."""

import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from service.answer_types.base import AnswerType, Judge, Judgement, is_judged
from service.answer_types.reading import CUED, SELF_CLOSING, closed_part, strip_thinking, within_tags
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


def unfit(sample: Sample) -> Exclusion | None:
    """Why a sample never votes, whatever its text says; None if that depends on the text."""
    if sample.failure is not None or sample.finish_reason is FinishReason.CANCELLED:
        return Exclusion.FAILED
    return UNFIT.get(sample.finish_reason) if sample.finish_reason else None


def make_candidate(sample: Sample, answer_type: AnswerType, task: Task) -> Candidate:
    """The sample with its answer, or with the reason why it does not vote.

    An answer between tags (`<answer>…</answer>`) is what any type reads, with the evidence `tag`. A completion that was
    cut off votes only with a complete answer: closed tags, a closed box or JSON value, or a cue such as "the answer is"
    whose sentence is over. A number or line that merely comes last is none.
    """
    if (never := unfit(sample)) is not None:
        return Candidate(sample, None, never)
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
    extraction = _extract(visible, answer_type, task)
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
    groups = _grouped(candidates, answer_type, judgement)
    return tuple(_published(group, answer_type, judgement) for group in groups)


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
        self.classes = tuple(_published(group, answer_type, judgement) for group in self._groups)
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
        return None if unclosed else _extract(visible, self._type, task)

    async def find(self, extraction: Extraction) -> AnswerClass | None:
        """The class among the candidates' to which the answer belongs; None if it is new."""
        alike = [one for one in self._known.get(extraction.identity, ()) if not one[0].clashes(extraction)]
        alike.sort(key=lambda one: one[0].apart != extraction.apart)
        if alike or self._type.exact:
            return alike[0][1] if alike else None
        pairs = [*zip(self._groups[:MAX_COMPARED], self.classes, strict=False)]
        if self._judge is not None:
            pairs = [(group, found) for group, found in pairs if not group.speaker.clashes(extraction)]
            place = await self._judge.place(extraction.answer, [list(_forms(group.members)) for group, _ in pairs])
            return None if place is None else pairs[place][1]
        return next((published for group, published in pairs if self._type.same(group.speaker, extraction)), None)


def _extract(visible: str, answer_type: AnswerType, task: Task) -> Extraction | None:
    """The answer that the type finds, between the answer tags where there are closed ones."""
    held, closed = within_tags(visible)
    extraction = answer_type.extract(held, task)
    return replace(extraction, evidence="tag") if extraction and closed else extraction


def _complete(visible: str, answer_type: AnswerType, task: Task) -> Extraction | None:
    extraction = _extract(visible, answer_type, task)
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


def _forms(members: Iterable[Candidate]) -> dict[str, list[int]]:
    """The answers of a class, one for each identity, each with the samples that have it; the class's own first."""
    known: dict[Hashable, str] = {}
    forms: dict[str, list[int]] = {}
    for member in members:
        if (found := member.extraction) is not None:
            forms.setdefault(known.setdefault(found.identity, found.answer), []).append(member.sample.index)
    return forms


def _published(group: _Group, answer_type: AnswerType, judgement: Judgement | None) -> AnswerClass:
    """A judged class is represented by its medoid, any other by its first member."""
    members = sorted(group.members, key=lambda member: member.sample.index)
    indices = tuple(member.sample.index for member in members)
    found = [member.extraction for member in members if member.extraction is not None]
    spellings = tuple(dict.fromkeys(extraction.spelling for extraction in found))
    if not is_judged(answer_type):
        return AnswerClass(found[0].answer, indices, spellings)
    answer, spoken = _medoid(_forms(group.members), judgement)
    return AnswerClass(answer, indices, spellings, min(spoken))


def _medoid(forms: Mapping[str, list[int]], judgement: Judgement | None) -> tuple[str, list[int]]:
    """The form nearest to all members of its class, with its samples; of equally near ones the most frequent one.

    A form that more than half of the members have is it without further measure: so it is for any distance that obeys
    the triangle inequality, and so it stays when rarer forms join later. Where nothing is known of the distances all
    forms are equally far apart, and the most frequent one is the medoid.
    """
    distances = judgement.distances if judgement else {}
    total = sum(map(len, forms.values()))

    def far(form: str) -> tuple[bool, float, int]:
        apart = [
            distances.get(frozenset((form, other)), 1.0) * len(members)
            for other, members in forms.items()
            if other != form
        ]
        return 2 * len(forms[form]) <= total, math.fsum(apart), -len(forms[form])

    answer = min(forms, key=far)
    return answer, forms[answer]
