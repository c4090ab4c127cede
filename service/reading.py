"""Asking the stopping rule of one answer about its samples while they come."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from service.answer_types.base import AnswerType, Judge, is_judged, meaning_of
from service.answer_types.options import offered
from service.candidates import AnswerClass, Candidate, Task
from service.certifying import Evidence, divided, evidence_for
from service.classing import make_classes
from service.mixing import ALONE, Mix
from service.sample_reader import Reading as Reading
from service.sample_reader import SampleReader, Shown, as_given, count_voters
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


class Reader(SampleReader):
    """Reads the samples of one request and asks its stopping rule about them."""

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
        ahead: float = 0.0,
        mix: Mix = ALONE,
        elapsed: Callable[[], float] = lambda: 0.0,
        told: Callable[[Sample], Sample] | None = None,
    ) -> None:
        """`lead`: sampling ends also where the rest cannot change the winner. `ahead`: it must then lead by this
        share of all samples more. `mix`: which model each sample is of. `elapsed`: seconds since the answer was begun.
        `told`: see `SampleReader`.
        """
        super().__init__(task, answer_type, judge, shown, mix.model, told)
        self._stop = stop
        self._n = n
        self._quorum = quorum
        self._lead = Lead(Options(), ahead * n) if lead or isinstance(stop, Lead) else None
        self._ahead = ahead
        self._mix = mix
        self._elapsed = elapsed
        self._evidence: dict[str, Evidence] = {}
        self._checked = 0
        self.shadow: Shadowed | None = None

    async def _meet_again(self, samples: Mapping[int, Sample], to_come: int) -> None:
        """Reads the samples in slices by every type that there might be, where `_surely_leads` is going to."""
        answer_type, _, settled_for, candidates = self._look(samples)
        if settled_for is None or settled_for >= to_come or self._leader(answer_type, candidates, to_come) is None:
            return
        for kind in self._alternatives(samples, to_come):
            await self._read_all(kind, [candidate.sample for candidate in candidates])

    async def stops(self, samples: Mapping[int, Sample], to_come: int) -> range | None:
        """Which samples count if sampling ends here; None to go on.

        A rule that looks in order is asked once for each longer contiguous prefix, so that which samples count does not
        depend on which came first. A rule that is only measured never ends sampling: `shadow` holds what it found.
        """
        if isinstance(self._stop, NoStop) or self.shadow is not None:
            return None
        await self._meet(samples)
        found = await self._ends(samples, to_come)
        if found is None or not is_shadow(self._stop):
            return found
        self.shadow = Shadowed(frozenset(samples), found, await self._so_far(dict(samples), found))
        return None

    async def _ends(self, samples: Mapping[int, Sample], to_come: int) -> range | None:
        if not self._stop.in_order:
            await self._meet_again(samples, to_come)
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

    async def _so_far(self, samples: Mapping[int, Sample], kept: range | None = None) -> Reading:
        """The reading while samples are drawn. A pool that says what texts mean is asked once, at the end: until then
        only equal forms are one answer."""
        if meaning_of(self._type) is None:
            return await self.read(samples, kept)
        answer_type, why, settled, candidates = self._look(samples, kept)
        return Reading(answer_type, why, settled, candidates, make_classes(candidates, answer_type))

    async def _stops_on(self, prefix: Mapping[int, Sample], to_come: int) -> range | None:
        reading = await self._so_far(prefix)
        if reading.voters < self._quorum:
            return None
        tally = self._tally(reading, to_come)
        if self._stop.stops(tally):
            return counted(self._stop, tally)
        # Merged classes lead by no less than the answers that they are merged from, which are looked at with more care.
        counts = self._mix.weighted or (self._lead is not None and self._lead.stops(tally))
        leads = counts and self._surely_leads(prefix, to_come)
        return range(len(prefix)) if leads else None

    def _tally(self, reading: Reading, to_come: int) -> Tally:
        votes = {index: place for place, found in enumerate(reading.classes) for index in found.members}
        indices = [candidate.sample.index for candidate in reading.candidates]
        closed = is_closed(self._stop)
        return Tally(
            counts=tuple(self._counts(reading)),
            to_come=to_come,
            votes=tuple(votes.get(index) for index in indices),
            option_logprobs=tuple(self._likelihoods(c.sample) for c in reading.candidates) if closed else (),
            leading_option=self._option(reading) if closed else None,
            answers=len(self._task.choices) if self._task.choices else None,
            p=self._p(reading) if is_certifying(self._stop) else None,
            blocks=self._mix.blocks,
            elapsed_s=self._elapsed(),
        )

    def _counts(self, reading: Reading) -> list[int]:
        if meaning_of(self._type) is not None:
            return _cautious(reading.answer_type, reading.classes)
        return [len(found.members) for found in reading.classes]

    def _likelihoods(self, sample: Sample) -> tuple[float, ...]:
        """The likelihoods of the choices in the caller's order; the sample's are in that of its prompt."""
        shown, found = self._shown(sample.index), sample.option_logprobs
        if shown is None or len(shown) != len(found):
            return found
        return tuple(found[shown.index(choice)] for choice in range(len(shown)))

    def _option(self, reading: Reading) -> int | None:
        """Which of the choices the leader's first sample says, where samples are drawn from the choices."""
        if not reading.classes:
            return None
        leader, choices = reading.classes[0], self._task.choices or ()
        if self._shown(leader.members[0]) is not None:
            options = offered(self._task)
            choices, said = options.answers if options else (), leader.answer
        else:
            said = next(c.sample.text for c in reading.candidates if c.sample.index == leader.members[0])
        return choices.index(said) if said in choices else None

    def _p(self, reading: Reading) -> float | None:
        """The certificate's p-value for the leader of a prefix; each sample is looked at once per answer type."""
        kind = reading.answer_type
        if reading.kinds is None:
            return None
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
        if count_voters(candidates) < self._quorum:
            return False
        leader = self._leader(answer_type, candidates, to_come)
        if leader is None or settled_for is None or settled_for >= to_come:
            return leader is not None
        return all(self._leads_alike(kind, samples, to_come, leader) for kind in self._alternatives(samples, to_come))

    def _leads_alike(self, kind: AnswerType, samples: Mapping[int, Sample], to_come: int, leader: AnswerClass) -> bool:
        seen = self._seen(samples)
        found = self._leader(kind, [self._candidate(kind, seen[i]) for i in sorted(seen)], to_come)
        return found is not None and (found.answer, found.members) == (leader.answer, leader.members)

    def _leader(self, kind: AnswerType, candidates: Sequence[Candidate], to_come: int) -> AnswerClass | None:
        """The class that leads by enough; None if there is none. Answers that a judge compares count cautiously."""
        if not kind.exact and not is_judged(kind):
            return None
        classes = make_classes(candidates, kind)
        if self._mix.weighted:
            return self._outweighing(classes, candidates, together=is_judged(kind))
        counts = _cautious(kind, classes)
        leads = self._lead is not None and self._lead.stops(Tally(counts=tuple(counts), to_come=to_come))
        return classes[0] if classes and leads else None

    def _outweighing(
        self, classes: Sequence[AnswerClass], candidates: Sequence[Candidate], *, together: bool
    ) -> AnswerClass | None:
        here = {candidate.sample.index for candidate in candidates}
        outstanding = [index for index in range(self._n) if index not in here]
        place = self._mix.surely_leads([found.members for found in classes], outstanding, together, self._ahead)
        return classes[place] if outstanding and place is not None else None
