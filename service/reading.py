"""Reading the samples of one answer: which type its answers have, who votes, which answers are equal, when to stop."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from service.answer_types.auto import Auto
from service.answer_types.base import AnswerType, Judge, Judgement, is_judged
from service.candidates import AnswerClass, Candidate, Exclusion, Task
from service.classing import judged, make_candidate, make_classes
from service.pace import Pace
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
        return sum(candidate.excluded is None for candidate in self.candidates)


Shown = Callable[[int], tuple[int, ...] | None]


def as_given(index: int) -> tuple[int, ...] | None:
    """The options stand in every prompt as the caller gave them."""
    return None


class Reader:
    """Reads the samples of one request; each completion is read once per answer type, however often it is asked.

    However many completions come at once, others have the event loop after every few milliseconds of reading.
    """

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
        self._met: set[int] = set()
        self._checked = 0
        self._kinds: tuple[AnswerType, ...] | None = None

    async def read(self, samples: Mapping[int, Sample], kept: int | None = None) -> Reading:
        """The reading of all samples, in index order; those from `kept` on are left out of the vote."""
        await self._meet(samples)
        answer_type, why, settled, candidates = self._look(samples, kept)
        judgement = await judged(candidates, answer_type, self._judge)
        classes = make_classes(candidates, answer_type, judgement)
        return Reading(answer_type, why, settled, candidates, classes, judgement)

    async def _meet(self, samples: Mapping[int, Sample]) -> None:
        """Reads the new samples in slices: what comes after finds them read, and does not hold the event loop."""
        met = [samples[i] for i in sorted(samples)]
        pace = Pace()
        for sample in met:
            if sample.index not in self._met:
                self._met.add(sample.index)
                self._decide([sample])  # what it finds out of each sample is remembered for deciding on all
                await pace.pause()
        await self._read_all(self._decide(met)[0], met)

    async def _meet_again(self, samples: Mapping[int, Sample], to_come: int) -> None:
        """Reads the samples in slices by every type that there might be, where `_surely_leads` is going to."""
        answer_type, _, settled_for, candidates = self._look(samples)
        if settled_for is None or settled_for >= to_come or self._leader(answer_type, candidates, to_come) is None:
            return
        for kind in self._alternatives():
            await self._read_all(kind, [candidate.sample for candidate in candidates])

    async def _read_all(self, kind: AnswerType, samples: Sequence[Sample]) -> None:
        pace = Pace()
        for sample in samples:
            self._candidate(kind, sample)
            await pace.pause()

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
        await self._meet(samples)
        if not self._stop.in_order:
            await self._meet_again(samples, to_come)
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
        reading = await self.read(prefix)
        tally = Tally(counts=tuple(len(c.members) for c in reading.classes), to_come=to_come)
        return reading.voters >= self._quorum and self._stop.stops(tally)

    def _surely_leads(self, samples: Mapping[int, Sample], to_come: int) -> bool:
        """True if the rest can change neither the type nor which answer leads.

        Where it could still change the type, the same answer must lead by enough under every type that there might be.
        """
        answer_type, _, settled_for, candidates = self._look(samples)
        if sum(candidate.excluded is None for candidate in candidates) < self._quorum:
            return False
        leader = self._leader(answer_type, candidates, to_come)
        if leader is None or settled_for is None or settled_for >= to_come:
            return leader is not None
        return all(self._leads_alike(kind, samples, to_come, leader) for kind in self._alternatives())

    def _leads_alike(self, kind: AnswerType, samples: Mapping[int, Sample], to_come: int, leader: AnswerClass) -> bool:
        found = self._leader(kind, [self._candidate(kind, samples[i]) for i in sorted(samples)], to_come)
        return found is not None and (found.answer, found.members) == (leader.answer, leader.members)

    def _leader(self, kind: AnswerType, candidates: Sequence[Candidate], to_come: int) -> AnswerClass | None:
        """The class that leads by enough; None if there is none.

        Answers that a judge compares count as their canonical forms: of these the first must lead even if all others
        prove to be one answer, so that the judge need not be asked.
        """
        classes = make_classes(candidates, kind)
        counts = [len(found.members) for found in classes]
        if is_judged(kind):
            counts = [*counts[:1], sum(counts[1:])]
        elif not kind.exact:
            return None
        return classes[0] if classes and self._stop.stops(Tally(counts=tuple(counts), to_come=to_come)) else None

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
            shown = self._shown(sample.index)
            task = self._task if shown is None else replace(self._task, shown=shown)
            self._read[at] = make_candidate(sample, answer_type, task)
        return self._read[at]
