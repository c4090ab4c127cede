"""Reading the samples of one answer: which type its answers have, who votes, which answers are equal, when to stop."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from service.answer_types.auto import FOR_GOOD, Auto
from service.answer_types.base import AnswerType, Judge, Judgement, is_judged, meaning_of
from service.candidates import AnswerClass, Candidate, Exclusion, Task
from service.certifying import Evidence, divided, evidence_for
from service.classing import judged, make_candidate, make_classes, unfit
from service.stopping.base import (
    Options,
    StoppingRule,
    Tally,
    counted,
    is_certifying,
    is_closed,
    is_shadow,
    seconds_of,
)
from service.stopping.lead import Lead
from service.stopping.none import NoStop
from workers.wire.messages import Sample


@dataclass(frozen=True, slots=True)
class Reading:
    """What a set of samples says. `why` tells how the type was decided; `settled_for` how many more samples cannot
    change that decision; `kinds` among how many types the completions decide."""

    answer_type: AnswerType
    why: str | None
    settled_for: int | None
    candidates: tuple[Candidate, ...]
    classes: tuple[AnswerClass, ...]
    judgement: Judgement | None = None
    kinds: int = 1

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


@dataclass(frozen=True, slots=True)
class Shadowed:
    """Where a rule would have ended sampling: after these samples had come, of which `counted` would have voted."""

    came: frozenset[int]
    counted: range
    reading: Reading


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
        *,
        lead: bool = False,
        blocks: tuple[int, ...] = (),
        elapsed: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """`shown` tells how each sample was shown the options, so that its letters are read so.

        `lead`: sampling ends also where the rest cannot change the winner. `blocks`: where the samples of one model
        after the other end. `elapsed`: seconds since the answer was begun.
        """
        self._task = task
        self._shown = shown
        self._type = answer_type
        self._stop = stop
        self._n = n
        self._quorum = quorum
        self._judge = judge
        self._lead = Lead(Options()) if lead or isinstance(stop, Lead) else None
        self._blocks = blocks
        self._elapsed = elapsed
        self._read: dict[tuple[str, int], Candidate] = {}
        self._evidence: dict[str, Evidence] = {}
        self._checked = 0
        self.shadow: Shadowed | None = None

    async def read(self, samples: Mapping[int, Sample], kept: range | None = None) -> Reading:
        """The reading of all samples, in index order; those outside `kept` are left out of the vote."""
        answer_type, why, settled, candidates = self._look(samples, kept)
        judgement = await judged(candidates, answer_type, self._judge)
        classes = make_classes(candidates, answer_type, judgement)
        kinds = 1 if settled is None or settled >= FOR_GOOD else len(self._alternatives({}, self._n))
        return Reading(answer_type, why, settled, candidates, classes, judgement, kinds)

    def candidates(self, samples: Mapping[int, Sample]) -> tuple[Candidate, ...]:
        """The samples with their answers, in index order; nobody is asked which of these are equal."""
        return self._look(samples)[3]

    def _look(
        self, samples: Mapping[int, Sample], kept: range | None = None
    ) -> tuple[AnswerType, str | None, int | None, tuple[Candidate, ...]]:
        ordered = [samples[i] for i in sorted(samples)]
        # A window decides nothing alone: which answers agree in it was found by the type of all samples before its end.
        deciding = ordered if kept is None else [s for s in ordered if s.index < kept.stop]
        answer_type, why, settled = self._decide(deciding)
        candidates = [self._candidate(answer_type, sample) for sample in ordered]
        return answer_type, why, settled, tuple(candidates if kept is None else _kept(candidates, kept))

    async def stops(self, samples: Mapping[int, Sample], to_come: int) -> range | None:
        """Which samples count if sampling ends here; None to go on.

        A rule that looks in order is asked once for each longer contiguous prefix, so that which samples count does not
        depend on which came first. A rule that is only measured never ends sampling: `shadow` holds what it found.
        """
        if isinstance(self._stop, NoStop) or self.shadow is not None:
            return None
        found = await self._ends(samples, to_come)
        if found is None or not is_shadow(self._stop):
            return found
        self.shadow = Shadowed(frozenset(samples), found, await self.read(dict(samples), found))
        return None

    async def _ends(self, samples: Mapping[int, Sample], to_come: int) -> range | None:
        if not self._stop.in_order:
            ends = await self._stops_on_arrival(samples, to_come)
            return range(self._n) if ends or self._surely_leads(samples, to_come) else None
        length = self._checked
        while length in samples:
            length += 1
            prefix = {i: samples[i] for i in range(length)}
            found = await self._stops_on(prefix, self._n - length)
            if found is not None:
                return found
        self._checked = length
        return None

    async def _stops_on_arrival(self, samples: Mapping[int, Sample], to_come: int) -> bool:
        """What a rule says that looks at the clock; one that does not has nothing to say here."""
        if seconds_of(self._stop) is None:
            return False
        reading = await self._so_far(samples)
        return reading.voters >= self._quorum and self._stop.stops(self._tally(reading, to_come))

    async def _so_far(self, samples: Mapping[int, Sample]) -> Reading:
        """The reading while samples are drawn. A pool that says what texts mean is asked once, at the end: until then
        only equal forms are one answer."""
        if meaning_of(self._type) is None:
            return await self.read(samples)
        answer_type, why, settled, candidates = self._look(samples)
        return Reading(answer_type, why, settled, candidates, make_classes(candidates, answer_type))

    async def _stops_on(self, prefix: Mapping[int, Sample], to_come: int) -> range | None:
        reading = await self._so_far(prefix)
        if reading.voters < self._quorum:
            return None
        tally = self._tally(reading, to_come)
        if self._stop.stops(tally):
            return counted(self._stop, tally)
        # Merged classes lead by no less than the answers that they are merged from, which are looked at with more care.
        leads = self._lead is not None and self._lead.stops(tally) and self._surely_leads(prefix, to_come)
        return range(len(prefix)) if leads else None

    def _tally(self, reading: Reading, to_come: int) -> Tally:
        votes = {index: place for place, found in enumerate(reading.classes) for index in found.members}
        indices = [candidate.sample.index for candidate in reading.candidates]
        closed = is_closed(self._stop)
        return Tally(
            counts=tuple(self._counts(reading)),
            to_come=to_come,
            votes=tuple(votes.get(index) for index in indices),
            option_logprobs=tuple(c.sample.option_logprobs for c in reading.candidates) if closed else (),
            leading_option=self._option(reading) if closed else None,
            answers=len(self._task.choices) if self._task.choices else None,
            p=self._p(reading) if is_certifying(self._stop) else None,
            blocks=self._blocks,
            elapsed_s=self._elapsed(),
        )

    def _counts(self, reading: Reading) -> list[int]:
        if meaning_of(self._type) is not None:
            return _cautious(reading.answer_type, reading.classes)
        return [len(found.members) for found in reading.classes]

    def _option(self, reading: Reading) -> int | None:
        """Which of the choices the leader's first sample says, where samples are drawn from the choices."""
        first = reading.classes[0].members[0] if reading.classes else None
        said = next((c.sample.text for c in reading.candidates if c.sample.index == first), None)
        choices = self._task.choices or ()
        return choices.index(said) if said in choices else None

    def _p(self, reading: Reading) -> float | None:
        """The certificate's p-value for the leader of a prefix; each sample is looked at once per answer type."""
        kind = reading.answer_type
        evidence = self._evidence.setdefault(kind.name, evidence_for(kind))
        if evidence.exact and divided(reading.candidates):
            return None
        evidence.see(reading.candidates[evidence.looked :])
        held = evidence.held(reading.candidates, reading.classes[0]) if reading.classes else ()
        return evidence.p(held, reading.kinds)

    def _surely_leads(self, samples: Mapping[int, Sample], to_come: int) -> bool:
        """True if the rest can change neither the type nor which answer leads.

        Where it could still change the type, the same answer must lead by enough under every type that there might be.
        """
        if self._lead is None:
            return False
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
        leads = self._lead is not None and self._lead.stops(Tally(counts=tuple(counts), to_come=to_come))
        return classes[0] if classes and leads else None

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


def _kept(candidates: Sequence[Candidate], kept: range) -> list[Candidate]:
    """The candidates, with those that would vote before and after the ones that count left out."""
    return [
        c if c.excluded is not None or c.sample.index in kept else replace(c, excluded=_outside(c.sample.index, kept))
        for c in candidates
    ]


def _outside(index: int, kept: range) -> Exclusion:
    return Exclusion.AFTER_STOP if index >= kept.stop else Exclusion.OUTSIDE_WINDOW
