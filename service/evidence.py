"""What of an answer is certain: its certificate and bounds, or which of their assumptions is broken."""

from collections import Counter
from collections.abc import Collection, Hashable
from dataclasses import dataclass
from typing import Literal

from service.aggregators.base import Aggregator, Verdict, Weigh, weigh_of, weighs
from service.candidates import AnswerClass
from service.certifying import Evidence, divided, evidence_for
from service.confidence.signals import expected_draws, ppr
from service.contract import Shadow
from service.evidence_reply import Certificate, Void
from service.gather import Gathered
from service.plan import Plan
from service.reading import Reading, Shadowed
from service.stopping.base import cut_of
from workers.wire.messages import FinishReason


@dataclass(frozen=True, slots=True)
class Claims:
    """What a reply's `confidence` says beside the raw signals of the ranking."""

    certificate: Certificate
    support_lower_95: float | None = None
    ppr: float | None = None
    expected_draws: float | None = None


def claims(plan: Plan, reading: Reading, verdict: Verdict, aggregator: Aggregator) -> Claims:
    """The certificate of the verdict's answer with its bounds; void where an assumption of theirs is broken."""
    chosen = chosen_class(verdict)
    weigh = weigh_of(aggregator) if verdict.fallback_from is None else None
    evidence = evidence_for(reading.answer_type, weigh)
    evidence.see(reading.candidates)
    void = _void(plan, reading, verdict, aggregator)
    if void is None and not evidence.looked:
        void = Void.FIRST_SAMPLE_MISSING
    if void is not None or chosen is None:
        return Claims(Certificate(void=void or Void.NOT_COUNTED))
    if evidence.exact and divided(reading.candidates):
        return Claims(Certificate(void=Void.UNITS_DIFFER))
    if reading.kinds is None:
        return Claims(Certificate(void=Void.TYPE_UNFORESEEN))
    held = evidence.held(reading.candidates, chosen)
    return Claims(
        _certificate(evidence, held, reading.kinds, weigh),
        evidence.support(held, reading.kinds),
        _ppr(plan, reading, evidence, held),
        _expected_draws(evidence, held, reading.kinds) if weigh is None else None,
    )


def _certificate(evidence: Evidence, held: Collection[Hashable], kinds: int, weigh: Weigh | None) -> Certificate:
    p, draws = evidence.p(held, kinds), evidence.test.seen
    if weigh is None:
        return Certificate(p=p, draws=draws, test="leader" if evidence.exact else "majority")
    test: Literal["soft", "soft_majority"] = "soft" if evidence.exact else "soft_majority"
    return Certificate(claim="largest_expected_vote", p=p, draws=draws, test=test)


def chosen_class(verdict: Verdict) -> AnswerClass | None:
    """The class that the verdict chose; None where its answer is in none."""
    classes = [standing.answer_class for standing in verdict.ranking]
    if verdict.sample_index is not None:
        return next((found for found in classes if verdict.sample_index in found.members), None)
    return None if verdict.novel else next((found for found in classes if found.answer == verdict.answer), None)


def _void(plan: Plan, reading: Reading, verdict: Verdict, aggregator: Aggregator) -> Void | None:
    """Which assumption does not hold; None if all do. Who chooses again among stored samples plans no cut of theirs."""
    fell_back = verdict.fallback_from is not None
    counted = aggregator.counts_votes or fell_back or weighs(aggregator)
    relative = weighs(aggregator) and weigh_of(aggregator) is None and not fell_back
    cut = any(candidate.sample.finish_reason is FinishReason.CUT for candidate in reading.candidates)
    broken = {
        Void.NO_ANSWER: verdict.answer is None,
        Void.NOT_COUNTED: plan.mix.weighted or not counted,
        Void.WEIGHTS_RELATIVE: relative,
        Void.DEPENDENT_SAMPLES: not plan.sampler.independent,
        Void.SEVERAL_MODELS: not plan.mix.independent,
        Void.SAMPLES_CUT: cut or cut_of(plan.stop) is not None,
    }
    return next((reason for reason, holds in broken.items() if holds), None)


def _ppr(plan: Plan, reading: Reading, evidence: Evidence, held: Collection[Hashable]) -> float | None:
    """PPR-1v1 of the draws that the certificate has seen, for the class with the labels `held`; None if K is unknown.

    K is known where every answer is one of the request's choices, which the type `choice` alone sees to.
    """
    choices = plan.task.choices
    if not choices or reading.answer_type.name != "choice":
        return None
    counts = Counter(evidence.labels)
    mine = sum(counts[label] for label in held)
    rival = max((count for label, count in counts.items() if label not in held), default=0)
    # The density at 1/2 is the same whichever of the two leads, and it speaks for the one that does.
    return min(1.0, (reading.kinds or 1) * ppr(mine, rival, len(choices))) if mine > rival else 1.0


def _expected_draws(evidence: Evidence, held: Collection[Hashable], kinds: int) -> float | None:
    """What the shares so far let one expect at 0.05; where more than half is certified, all others are one rival."""
    counts = Counter(evidence.labels)
    mine = max((counts[label] for label in held), default=0)
    rivals = [count for label, count in counts.items() if label not in held]
    total = counts.total()
    return expected_draws(mine, max(rivals, default=0) if evidence.exact else total - mine, total, 0.05 / kinds)


def shadow_of(plan: Plan, gathered: Gathered, found: Shadowed | None, verdict: Verdict) -> Shadow:
    """What the rule that was only measured would have done, seen from the end."""
    if found is None:
        return Shadow(drawn=len(gathered.samples))
    begun = _begun(plan, found)
    later = [sample for index, sample in gathered.samples.items() if index not in begun]
    leader = found.reading.classes[0] if found.reading.classes else None
    chosen = chosen_class(verdict)
    return Shadow(
        stops=True,
        drawn=len(begun),
        counted=found.reading.voters,
        saved_samples=plan.n - len(begun),
        saved_tokens=sum(sample.completion_tokens for sample in later),
        answer=leader.answer if leader else None,
        same=leader.members[0] in chosen.members if leader and chosen else None,
    )


def _begun(plan: Plan, found: Shadowed) -> frozenset[int]:
    """The samples that would have been begun: whole waves up to the stop, or what had come where all are launched."""
    if not plan.stop.in_order:
        return found.came
    wave = plan.stop.wave or plan.n
    ends = next((end for end in plan.mix.blocks if end >= found.counted.stop), -(-found.counted.stop // wave) * wave)
    return frozenset(range(min(plan.n, ends)))
