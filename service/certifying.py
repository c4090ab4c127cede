"""From candidates to the certificate: which test an answer type allows, and the label that each completion has."""

from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass, field

from service.answer_types.base import AnswerType
from service.candidates import AnswerClass, Candidate
from service.confidence.certificate import LabelTest, LeaderTest, MajorityTest
from service.confidence.support import support_lower
from workers.wire.messages import FinishReason, Sample


@dataclass(slots=True)
class Evidence:
    """The labels of the contiguous finished prefix, in the order of launch, and the test that has seen them.

    The label of a completion is its answer's identity where that decides which answers are equal, and with whatever
    sets it apart (a unit) where answers are merged afterwards. Completions without an answer have none.
    """

    exact: bool
    test: LabelTest
    labels: list[Hashable] = field(default_factory=list)
    looked: int = 0
    ended: bool = False

    def see(self, candidates: Iterable[Candidate]) -> None:
        """Goes on with the candidates, in index order, up to the first index that is missing or failed."""
        for candidate in candidates:
            if self.ended or candidate.sample.index < self.looked:
                continue
            if candidate.sample.index > self.looked or _failed(candidate.sample):
                self.ended = True
                continue
            self.looked += 1
            self._take(candidate)

    def _take(self, candidate: Candidate) -> None:
        found = candidate.extraction
        if found is None:
            return
        label = self._label(candidate)
        self.labels.append(label)
        self.test.see(label)

    def _label(self, candidate: Candidate) -> Hashable:
        found = candidate.extraction
        if found is None or self.exact:
            return found and found.identity
        return found.identity, found.apart

    def held(self, candidates: Sequence[Candidate], chosen: AnswerClass) -> Collection[Hashable]:
        """The labels of a class."""
        members = set(chosen.members)
        return {self._label(c) for c in candidates if c.sample.index in members and c.extraction is not None}

    def p(self, held: Collection[Hashable], kinds: int = 1) -> float:
        """The p-value that the class with these labels leads, corrected for so many answer types.

        Where the type is exact and its answers are `divided`, classes are no fixed function of the text, and this is
        no p-value of theirs.
        """
        return min(1.0, kinds * self.test.p(held))

    def support(self, held: Collection[Hashable], kinds: int = 1) -> float:
        """The lower bound of the class's share at 95 %."""
        return support_lower(self.labels, held, 0.05 / kinds)


def _failed(sample: Sample) -> bool:
    """True if there is no completion, whatever else keeps the sample from voting."""
    return sample.failure is not None or sample.finish_reason is FinishReason.CANCELLED


def divided(candidates: Iterable[Candidate]) -> bool:
    """True if something, such as a unit, sets answers of one identity apart."""
    aparts: dict[Hashable, Hashable] = {}
    found = [c.extraction for c in candidates if c.extraction is not None and c.extraction.apart is not None]
    return any(aparts.setdefault(one.identity, one.apart) != one.apart for one in found)


def evidence_for(answer_type: AnswerType) -> Evidence:
    """No draw yet, with the test that the answer type allows."""
    test: Callable[[], LabelTest] = LeaderTest if answer_type.exact else MajorityTest
    return Evidence(answer_type.exact, test())
