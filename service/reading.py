"""Reading the samples of one answer: which type its answers have, who votes, which answers are equal, when to stop."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from service.answer_types.auto import Auto
from service.answer_types.base import AnswerType
from service.candidates import AnswerClass, Candidate, Exclusion, Task
from service.classing import make_candidate, make_classes
from service.stopping.base import StoppingRule, Tally
from service.stopping.none import NoStop
from workers.wire.messages import Sample


@dataclass(frozen=True, slots=True)
class Reading:
    """What a set of samples says. `why` tells how the type was decided; `settled_for` how many more samples cannot
    change that decision."""

    answer_type: AnswerType
    why: str | None
    settled_for: int | None
    candidates: tuple[Candidate, ...]
    classes: tuple[AnswerClass, ...]

    @property
    def voters(self) -> int:
        """How many samples vote."""
        return sum(candidate.excluded is None for candidate in self.candidates)


class Reader:
    """Reads the samples of one request; each completion is read once per answer type, however often it is asked."""

    def __init__(self, task: Task, answer_type: AnswerType, stop: StoppingRule, n: int, quorum: int = 1) -> None:
        self._task = task
        self._type = answer_type
        self._stop = stop
        self._n = n
        self._quorum = quorum
        self._read: dict[tuple[str, int], Candidate] = {}
        self._checked = 0
        self._kinds: tuple[AnswerType, ...] | None = None

    def read(self, samples: Mapping[int, Sample], kept: int | None = None) -> Reading:
        """The reading of all samples, in index order; those from `kept` on are left out of the vote."""
        ordered = [samples[i] for i in sorted(samples)]
        voting = ordered if kept is None else [s for s in ordered if s.index < kept]
        answer_type, why, settled = self._decide(voting)
        candidates = [self._candidate(answer_type, sample) for sample in ordered]
        if kept is not None:
            candidates = [c if c.sample.index < kept else replace(c, excluded=Exclusion.AFTER_STOP) for c in candidates]
        kept_candidates = tuple(candidates)
        return Reading(answer_type, why, settled, kept_candidates, make_classes(kept_candidates, answer_type))

    def stops(self, samples: Mapping[int, Sample], to_come: int) -> int | None:
        """How many leading samples count if the rule stops here; None to go on.

        A rule that looks in order is asked once for each longer contiguous prefix, so that which samples count does not
        depend on which came first.
        """
        if isinstance(self._stop, NoStop):
            return None
        if not self._stop.in_order:
            return self._n if self._stops_on(samples, to_come) else None
        length = self._checked
        while length in samples:
            length += 1
            prefix = {i: samples[i] for i in range(length)}
            if self._stops_on(prefix, self._n - length):
                return length
        self._checked = length
        return None

    def _stops_on(self, samples: Mapping[int, Sample], to_come: int) -> bool:
        reading = self.read(samples)
        if reading.voters < self._quorum:
            return False
        tally = Tally(counts=tuple(len(c.members) for c in reading.classes), to_come=to_come)
        if self._stop.in_order:
            return self._stop.stops(tally)
        # `lead` loses nothing only if the rest can change neither the type nor which answers are equal: where it could
        # still change the type, the same answer must lead by enough under every type that there might be.
        if not (reading.answer_type.exact and self._stop.stops(tally)):
            return False
        if reading.settled_for is None or reading.settled_for >= to_come:
            return True
        return all(self._leads_alike(kind, samples, to_come, reading.classes[0]) for kind in self._alternatives())

    def _leads_alike(self, kind: AnswerType, samples: Mapping[int, Sample], to_come: int, leader: AnswerClass) -> bool:
        classes = make_classes([self._candidate(kind, samples[i]) for i in sorted(samples)], kind)
        tally = Tally(counts=tuple(len(c.members) for c in classes), to_come=to_come)
        alike = bool(classes) and (classes[0].answer, classes[0].members) == (leader.answer, leader.members)
        return alike and kind.exact and self._stop.stops(tally)

    def _alternatives(self) -> tuple[AnswerType, ...]:
        if self._kinds is None:
            self._kinds = self._type.alternatives(self._task) if isinstance(self._type, Auto) else ()
        return self._kinds

    def _decide(self, samples: Sequence[Sample]) -> tuple[AnswerType, str | None, int | None]:
        if not isinstance(self._type, Auto):
            return self._type, None, None
        answer_type, decision = self._type.resolve(self._task, [s.text for s in samples if s.failure is None])
        return answer_type, decision.why, decision.settled_for

    def _candidate(self, answer_type: AnswerType, sample: Sample) -> Candidate:
        at = (answer_type.name, sample.index)
        if at not in self._read:
            self._read[at] = make_candidate(sample, answer_type, self._task)
        return self._read[at]
