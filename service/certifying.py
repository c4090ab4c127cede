"""From candidates to the certificate: which test an answer type allows, and the label that each completion has."""

from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass, field

from service.aggregators.base import Weigh
from service.answer_types.base import AnswerType
from service.candidates import AnswerClass, Candidate
from service.confidence.certificate import LabelTest, LeaderTest, MajorityTest
from service.confidence.support import support_lower
from service.confidence.weighted import WeightedLeaderTest, WeightedMajorityTest
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
            if candidate.sample.index > self.looked or self._unknown(candidate):
                self.ended = True
                continue
            self.looked += 1
            self._take(candidate)

    def _unknown(self, candidate: Candidate) -> bool:
        """True if what the sample says is not known, whatever else keeps it from voting: there is no completion."""
        return candidate.sample.failure is not None or candidate.sample.finish_reason is FinishReason.CANCELLED

    def _take(self, candidate: Candidate) -> None:
        if candidate.extraction is None:
            return
        label = self._label(candidate)
        self.labels.append(label)
        self._see(label, candidate.sample)

    def _see(self, label: Hashable, sample: Sample) -> None:
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


@dataclass(slots=True)
class WeighedEvidence(Evidence):
    """Evidence of a weighted vote, whose weights depend each on its sample alone; the first unknown one ends it."""

    test: WeightedLeaderTest | WeightedMajorityTest
    weigh: Weigh = field(kw_only=True)

    def _unknown(self, candidate: Candidate) -> bool:
        return Evidence._unknown(self, candidate) or (
            candidate.extraction is not None and self.weigh(candidate.sample) is None
        )

    def _see(self, label: Hashable, sample: Sample) -> None:
        self.test.see(label, self.weigh(sample) or 0.0)


def divided(candidates: Iterable[Candidate]) -> bool:
    """True if something, such as a unit, sets answers of one identity apart."""
    aparts: dict[Hashable, Hashable] = {}
    found = [c.extraction for c in candidates if c.extraction is not None and c.extraction.apart is not None]
    return any(aparts.setdefault(one.identity, one.apart) != one.apart for one in found)


def evidence_for(answer_type: AnswerType, weigh: Weigh | None = None) -> Evidence:
    """No draw yet, with the test that the answer type allows. `weigh`: of a weighted vote, what each sample weighs."""
    if weigh is not None:
        weighted = WeightedLeaderTest() if answer_type.exact else WeightedMajorityTest()
        return WeighedEvidence(answer_type.exact, weighted, weigh=weigh)
    test: Callable[[], LabelTest] = LeaderTest if answer_type.exact else MajorityTest
    return Evidence(answer_type.exact, test())
