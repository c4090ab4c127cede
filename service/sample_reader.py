"""Reading samples: which type their answers have, who votes, which answers are equal."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from service.answer_types.auto import FOR_GOOD, Auto
from service.answer_types.base import AnswerType, Judge, Judgement
from service.candidates import AnswerClass, Candidate, Exclusion, Task
from service.classing import judged, make_candidate, make_classes, unfit
from service.pace import Pace
from workers.wire.messages import Sample


@dataclass(frozen=True, slots=True)
class Reading:
    """What a set of samples says. `why` tells how the type was decided; `settled_for` how many more samples cannot
    change that decision; `kinds` among how many types the completions decide, None where they decided on one that the
    question does not ask for."""

    answer_type: AnswerType
    why: str | None
    settled_for: int | None
    candidates: tuple[Candidate, ...]
    classes: tuple[AnswerClass, ...]
    judgement: Judgement | None = None
    kinds: int | None = 1

    @property
    def voters(self) -> int:
        """How many samples vote."""
        return count_voters(self.candidates)


def texts_of(samples: Iterable[Sample]) -> list[str]:
    """What decides how the votes are read: what never votes, whatever it says, has no say in it."""
    return [sample.text for sample in samples if unfit(sample) is None]


def count_voters(candidates: Sequence[Candidate]) -> int:
    """How many of them vote."""
    return sum(candidate.excluded is None for candidate in candidates)


Shown = Callable[[int], tuple[int, ...] | None]


def as_given(index: int) -> tuple[int, ...] | None:
    """The options stand in every prompt as the caller gave them."""
    return None


Source = Callable[[int], str | None]


def alone(index: int) -> str | None:
    """There is one model, which needs no name."""
    return None


class SampleReader:
    """Reads the samples of one request; each completion is read once per answer type, however often it is asked.

    However many completions come at once, others have the event loop after every few milliseconds of reading. `shown`
    tells how each sample was shown the options, so that its letters are read so; `source` of which model it is. `told`:
    what is read of a sample before anything else, if something is.
    """

    def __init__(
        self,
        task: Task,
        answer_type: AnswerType,
        judge: Judge | None = None,
        shown: Shown = as_given,
        source: Source = alone,
        told: Callable[[Sample], Sample] | None = None,
    ) -> None:
        self._task = task
        self._type = answer_type
        self._judge = judge
        self._shown = shown
        self._source = source
        self._read: dict[tuple[str, int], Candidate] = {}
        self._met: set[int] = set()
        self._told = told
        self._plain: dict[int, Sample] = {}

    async def read(self, samples: Mapping[int, Sample], kept: range | None = None) -> Reading:
        """The reading of all samples, in index order; those outside `kept` are left out of the vote."""
        await self._meet(samples)
        answer_type, why, settled, candidates = self._look(samples, kept)
        judgement = await judged(candidates, answer_type, self._judge)
        classes = make_classes(candidates, answer_type, judgement)
        return Reading(answer_type, why, settled, candidates, classes, judgement, self._kinds(answer_type, settled))

    def _kinds(self, decided: AnswerType, settled: int | None) -> int | None:
        if settled is None or settled >= FOR_GOOD or not isinstance(self._type, Auto):
            return 1
        foreseen = self._type.foreseen(self._task)
        return len(foreseen) if decided.name in foreseen else None

    def candidates(self, samples: Mapping[int, Sample]) -> tuple[Candidate, ...]:
        """The samples with their answers, in index order; nobody is asked which of these are equal."""
        return self._look(samples)[3]

    def _seen(self, samples: Mapping[int, Sample]) -> Mapping[int, Sample]:
        """The samples as they are read."""
        if self._told is None:
            return samples
        for index, sample in samples.items():
            if index not in self._plain:
                self._plain[index] = self._told(sample)
        return {index: self._plain[index] for index in samples}

    async def _meet(self, samples: Mapping[int, Sample]) -> None:
        """Reads the new samples in slices: what comes after finds them read, and does not hold the event loop."""
        samples = self._seen(samples)
        met = [samples[i] for i in sorted(samples)]
        pace = Pace()
        for sample in met:
            if sample.index not in self._met:
                self._met.add(sample.index)
                self._decide([sample])  # what it finds out of each sample is remembered for deciding on all
                await pace.pause()
        await self._read_all(self._decide(met)[0], met)

    async def _read_all(self, kind: AnswerType, samples: Sequence[Sample]) -> None:
        pace = Pace()
        for sample in samples:
            self._candidate(kind, sample)
            await pace.pause()

    def _look(
        self, samples: Mapping[int, Sample], kept: range | None = None
    ) -> tuple[AnswerType, str | None, int | None, tuple[Candidate, ...]]:
        samples = self._seen(samples)
        ordered = [samples[i] for i in sorted(samples)]
        # A window decides nothing alone: which answers agree in it was found by the type of all samples before its end.
        deciding = ordered if kept is None else [s for s in ordered if s.index < kept.stop]
        answer_type, why, settled = self._decide(deciding)
        candidates = [self._candidate(answer_type, sample) for sample in ordered]
        return answer_type, why, settled, tuple(candidates if kept is None else _kept(candidates, kept))

    def _alternatives(self, samples: Mapping[int, Sample], to_come: int) -> tuple[AnswerType, ...]:
        if not isinstance(self._type, Auto):
            return ()
        return self._type.alternatives(self._task, texts_of(self._seen(samples).values()), to_come)

    def _decide(self, samples: Sequence[Sample]) -> tuple[AnswerType, str | None, int | None]:
        if not isinstance(self._type, Auto):
            return self._type, None, None
        answer_type, decision = self._type.resolve(self._task, texts_of(samples))
        return answer_type, decision.why, decision.settled_for

    def _candidate(self, answer_type: AnswerType, sample: Sample) -> Candidate:
        at = (answer_type.name, sample.index)
        if at not in self._read:
            shown = self._shown(sample.index)
            task = self._task if shown is None else replace(self._task, shown=shown)
            self._read[at] = replace(make_candidate(sample, answer_type, task), source=self._source(sample.index))
        return self._read[at]


def _kept(candidates: Sequence[Candidate], kept: range) -> list[Candidate]:
    """The candidates, with all before and after the ones that count left out of the vote, whatever they say."""
    return [c if c.sample.index in kept else replace(c, excluded=_outside(c.sample.index, kept)) for c in candidates]


def _outside(index: int, kept: range) -> Exclusion:
    return Exclusion.AFTER_STOP if index >= kept.stop else Exclusion.OUTSIDE_WINDOW
