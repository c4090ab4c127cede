"""Reading the samples of one answer: which type its answers have, who votes, which answers are equal, when to stop."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from service.answer_types.auto import Auto
from service.answer_types.base import AnswerType, Judge, Judgement, is_judged, meaning_of
from service.candidates import AnswerClass, Candidate, Exclusion, Task
from service.classing import judged, make_candidate, make_classes, unfit
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
    judgement: Judgement | None = None

    @property
    def voters(self) -> int:
        """How many samples vote."""
        return _voters(self.candidates)


def _texts(samples: Iterable[Sample]) -> list[str]:
    """What decides how the votes are read: what never votes, whatever it says, has no say in it."""
    return [sample.text for sample in samples if unfit(sample) is None]


def _voters(candidates: Sequence[Candidate]) -> int:
    return sum(candidate.excluded is None for candidate in candidates)


def _cautious(kind: AnswerType, classes: Sequence[AnswerClass]) -> list[int]:
    """The votes of classes of which no judge was asked.

    Of judged answers, which count here as their canonical forms, the first must lead even if all others prove to be one
    answer.
    """
    counts = [len(found.members) for found in classes]
    return [*counts[:1], sum(counts[1:])] if is_judged(kind) else counts


Shown = Callable[[int], tuple[int, ...] | None]


def as_given(index: int) -> tuple[int, ...] | None:
    """The options stand in every prompt as the caller gave them."""
    return None


class Reader:
    """Reads the samples of one request; each completion is read once per answer type, however often it is asked."""

    def __init__(
        self,
        task: Task,
        answer_type: AnswerType,
        stop: StoppingRule,
        n: int,
        quorum: int = 1,
        judge: Judge | None = None,
        shown: Shown = as_given,
    ) -> None:
        """`shown` tells how each sample was shown the options, so that its letters are read so."""
        self._task = task
        self._shown = shown
        self._type = answer_type
        self._stop = stop
        self._n = n
        self._quorum = quorum
        self._judge = judge
        self._read: dict[tuple[str, int], Candidate] = {}
        self._checked = 0

    async def read(self, samples: Mapping[int, Sample], kept: int | None = None) -> Reading:
        """The reading of all samples, in index order; those from `kept` on are left out of the vote."""
        answer_type, why, settled, candidates = self._look(samples, kept)
        judgement = await judged(candidates, answer_type, self._judge)
        classes = make_classes(candidates, answer_type, judgement)
        return Reading(answer_type, why, settled, candidates, classes, judgement)

    def candidates(self, samples: Mapping[int, Sample]) -> tuple[Candidate, ...]:
        """The samples with their answers, in index order; nobody is asked which of these are equal."""
        return self._look(samples)[3]

    def _look(
        self, samples: Mapping[int, Sample], kept: int | None = None
    ) -> tuple[AnswerType, str | None, int | None, tuple[Candidate, ...]]:
        ordered = [samples[i] for i in sorted(samples)]
        voting = ordered if kept is None else [s for s in ordered if s.index < kept]
        answer_type, why, settled = self._decide(voting)
        candidates = [self._candidate(answer_type, sample) for sample in ordered]
        if kept is not None:
            candidates = [c if c.sample.index < kept else replace(c, excluded=Exclusion.AFTER_STOP) for c in candidates]
        return answer_type, why, settled, tuple(candidates)

    async def stops(self, samples: Mapping[int, Sample], to_come: int) -> int | None:
        """How many leading samples count if the rule stops here; None to go on.

        A rule that looks in order is asked once for each longer contiguous prefix, so that which samples count does not
        depend on which came first.
        """
        if isinstance(self._stop, NoStop):
            return None
        if not self._stop.in_order:
            return self._n if self._surely_leads(samples, to_come) else None
        length = self._checked
        while length in samples:
            length += 1
            prefix = {i: samples[i] for i in range(length)}
            if await self._stops_on(prefix, self._n - length):
                return length
        self._checked = length
        return None

    async def _stops_on(self, prefix: Mapping[int, Sample], to_come: int) -> bool:
        if meaning_of(self._type) is not None:
            _, _, _, candidates = self._look(prefix)
            voters, counts = _voters(candidates), _cautious(self._type, make_classes(candidates, self._type))
        else:
            reading = await self.read(prefix)
            voters, counts = reading.voters, [len(found.members) for found in reading.classes]
        return voters >= self._quorum and self._stop.stops(Tally(counts=tuple(counts), to_come=to_come))

    def _surely_leads(self, samples: Mapping[int, Sample], to_come: int) -> bool:
        """True if the rest can change neither the type nor which answer leads.

        Where it could still change the type, the same answer must lead by enough under every type that there might be.
        """
        answer_type, _, settled_for, candidates = self._look(samples)
        if _voters(candidates) < self._quorum:
            return False
        leader = self._leader(answer_type, candidates, to_come)
        if leader is None or settled_for is None or settled_for >= to_come:
            return leader is not None
        return all(self._leads_alike(kind, samples, to_come, leader) for kind in self._alternatives(samples, to_come))

    def _leads_alike(self, kind: AnswerType, samples: Mapping[int, Sample], to_come: int, leader: AnswerClass) -> bool:
        found = self._leader(kind, [self._candidate(kind, samples[i]) for i in sorted(samples)], to_come)
        return found is not None and (found.answer, found.members) == (leader.answer, leader.members)

    def _leader(self, kind: AnswerType, candidates: Sequence[Candidate], to_come: int) -> AnswerClass | None:
        """The class that leads by enough; None if there is none. Answers that a judge compares count cautiously."""
        if not kind.exact and not is_judged(kind):
            return None
        classes = make_classes(candidates, kind)
        counts = _cautious(kind, classes)
        return classes[0] if classes and self._stop.stops(Tally(counts=tuple(counts), to_come=to_come)) else None

    def _alternatives(self, samples: Mapping[int, Sample], to_come: int) -> tuple[AnswerType, ...]:
        if not isinstance(self._type, Auto):
            return ()
        return self._type.alternatives(self._task, _texts(samples.values()), to_come)

    def _decide(self, samples: Sequence[Sample]) -> tuple[AnswerType, str | None, int | None]:
        if not isinstance(self._type, Auto):
            return self._type, None, None
        answer_type, decision = self._type.resolve(self._task, _texts(samples))
        return answer_type, decision.why, decision.settled_for

    def _candidate(self, answer_type: AnswerType, sample: Sample) -> Candidate:
        at = (answer_type.name, sample.index)
        if at not in self._read:
            shown = self._shown(sample.index)
            task = self._task if shown is None else replace(self._task, shown=shown)
            self._read[at] = make_candidate(sample, answer_type, task)
        return self._read[at]
