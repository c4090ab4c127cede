"""Turning what happened into the reply."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from service.aggregators.base import Aggregator, Verdict
from service.asking import Call
from service.candidates import AnswerClass, Candidate, Exclusion, Task
from service.confidence.signals import certified_flips, entropy_ratio, margin, posterior_lead
from service.contract import (
    AggregatorReply,
    Answer,
    CallReply,
    CandidateReply,
    SampleCounts,
    SampleReply,
    SamplerReply,
    Status,
    StopReply,
    Timing,
    Usage,
)
from service.evidence import Claims, claims, shadow_of
from service.evidence_reply import Confidence
from service.gather import Gathered
from service.member_reply import member_replies, silent
from service.plan import Plan
from service.quorum import failures
from service.reading import Reading, Shadowed
from service.samplers.base import Sampler
from service.stopping.base import is_shadow
from workers.wire.messages import FailureKind, Sample, SampleStatistics


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds in all, in choosing and in waiting for the calls that choosing made."""

    total_s: float
    choosing_s: float
    waited_s: float = 0.0
    calls: tuple[Call, ...] = ()


def make_answer(
    plan: Plan,
    gathered: Gathered,
    reading: Reading,
    verdict: Verdict,
    aggregator: Aggregator,
    route: str | None,
    spent: Spent,
    created: int,
    shadowed: Shadowed | None = None,
) -> Answer:
    """The reply, with all samples and calls; the HTTP layer leaves out what was not asked for."""
    status, reason = _status(gathered, verdict)
    members = member_replies(plan.mix, plan.n, gathered.samples)
    return Answer(
        id=plan.answer_id,
        created=created,
        model=plan.model,
        status=status,
        reason=reason,
        answer=verdict.answer,
        answer_type=reading.answer_type.name,
        answer_type_reason=reading.why,
        text=verdict.text,
        aggregator=AggregatorReply(
            name=aggregator.name,
            options=options_of(aggregator),
            fallback_from=verdict.fallback_from,
            fallback_reason=verdict.fallback_reason,
            route=route,
            notes=list(verdict.notes),
            facts=dict(verdict.facts),
        ),
        stop=StopReply(
            name=plan.stop.name,
            options=options_of(plan.stop),
            stopped=gathered.stopped,
            lead=plan.lead,
            shadow=shadow_of(plan, gathered, shadowed, verdict) if is_shadow(plan.stop) else None,
        ),
        sampler=sampler_of(plan.sampler, plan.task),
        confidence=confidence(verdict, claims(plan, reading, verdict, aggregator), reading.candidates),
        candidates=[
            CandidateReply(
                answer=s.answer_class.answer,
                votes=s.votes,
                weight=s.weight,
                share=s.share,
                spellings=list(s.answer_class.spellings),
                samples=list(s.answer_class.members),
            )
            for s in verdict.ranking
        ],
        members=members,
        samples=[
            sample_reply(candidate, gathered.variants.get(candidate.sample.index), plan.shown(candidate.sample.index))
            for candidate in reading.candidates
        ],
        calls=[_call(call) for call in spent.calls],
        usage=_usage(plan, gathered, reading, spent),
        timing=_timing(gathered, spent),
        warnings=[
            *plan.warnings,
            *(silent(members) if members and not gathered.stopped else ()),
            *_left_out(reading),
            *_unjudged(reading),
            *verdict.warnings,
        ],
    )


def confidence(verdict: Verdict, claimed: Claims, candidates: Sequence[Candidate] = ()) -> Confidence:
    """The raw signals of a verdict's ranking, whose first is the winner, and of the samples that gave its answer."""
    votes = [standing.votes for standing in verdict.ranking]
    if not votes:
        return Confidence(novel=verdict.novel, certificate=claimed.certificate)
    leader, runner_up, total = votes[0], max(votes[1:], default=0), sum(votes)
    return Confidence(
        vote_share=leader / total,
        margin=margin(leader, runner_up, total),
        entropy=entropy_ratio(votes),
        posterior=posterior_lead(leader, runner_up),
        certified_flips=certified_flips(leader, runner_up) if verdict.flips is None else verdict.flips,
        support=verdict.support,
        support_lower_95=claimed.support_lower_95,
        ppr=claimed.ppr,
        expected_draws=claimed.expected_draws,
        novel=verdict.novel,
        distinct=sum(count > 0 for count in votes),
        statistics=_statistics(verdict, candidates),
        certificate=claimed.certificate,
    )


def _statistics(verdict: Verdict, candidates: Sequence[Candidate]) -> SampleStatistics | None:
    """The mean statistics of the class of the answer given; None where no sample gave it."""
    members = next((s.answer_class.members for s in verdict.ranking if _holds(s.answer_class, verdict)), ())
    voting = [c.sample.statistics for c in candidates if c.sample.index in members and c.excluded is None]
    if not voting:
        return None
    means: dict[str, float] = {}
    for name in SampleStatistics.model_fields:
        found = [value for each in voting if (value := getattr(each, name)) is not None]
        if found:
            means[name] = math.fsum(found) / len(found)
    return SampleStatistics(**means)


def _holds(answer_class: AnswerClass, verdict: Verdict) -> bool:
    if verdict.sample_index is None:
        return not verdict.novel and answer_class.answer == verdict.answer
    return verdict.sample_index in answer_class.members


def _status(gathered: Gathered, verdict: Verdict) -> tuple[Status, str | None]:
    if verdict.answer is None:
        return Status.ABSTAINED, verdict.reason
    failed = failures(gathered)
    if gathered.timed_out or failed[FailureKind.EXPIRED]:  # the worker's clock may be first by a moment
        return Status.DEGRADED, "deadline"
    if failed:
        return Status.DEGRADED, "samples_failed"
    return Status.ANSWERED, None


def options_of(plugin: object) -> dict[str, object]:
    """The options that a plug-in was made with, defaults filled in."""
    options = getattr(plugin, "options", None)
    return options.model_dump(mode="json") if isinstance(options, BaseModel) else {}


def sampler_of(sampler: Sampler, task: Task) -> SamplerReply:
    """The sampler in force, and what it says of this task."""
    return SamplerReply(
        name=sampler.name, options=options_of(sampler), independent=sampler.independent, remark=sampler.remark(task)
    )


def sample_reply(candidate: Candidate, variant: str | None = None, shown: tuple[int, ...] | None = None) -> SampleReply:
    """One sample as the reply shows it."""
    sample, found = candidate.sample, candidate.extraction
    return SampleReply(
        index=sample.index,
        text=sample.text,
        answer=found.answer if found else None,
        spelling=found.spelling if found else None,
        evidence=found.evidence if found else None,
        finish_reason=sample.finish_reason if sample.failure is None else None,
        excluded=candidate.excluded,
        failure=sample.failure,
        seed=sample.seed,
        prompt_tokens=sample.prompt_tokens,
        completion_tokens=sample.completion_tokens,
        statistics=sample.statistics,
        variant=variant or None,
        shown=list(shown) if shown else None,
        model=candidate.source,
    )


def _call(call: Call) -> CallReply:
    return CallReply(
        batch=call.batch,
        model=call.model,
        prefix=call.prefix,
        messages=list(call.messages),
        text=call.sample.text,
        finish_reason=call.sample.finish_reason if call.sample.failure is None else None,
        failure=call.sample.failure,
        prompt_tokens=call.sample.prompt_tokens,
        completion_tokens=call.sample.completion_tokens,
    )


def _usage(plan: Plan, gathered: Gathered, reading: Reading, spent: Spent) -> Usage:
    drawn: list[Sample] = [*gathered.samples.values(), *(call.sample for call in spent.calls)]
    failed = failures(gathered).total()
    excluded = [c.excluded for c in reading.candidates]
    saved = plan.n - len(gathered.samples) if gathered.stopped else 0
    lengths = [s.completion_tokens for s in gathered.samples.values() if s.failure is None]
    return Usage(
        samples=SampleCounts(
            requested=plan.n,
            finished=len(gathered.samples) - failed,
            failed=failed,
            cancelled=plan.n - len(gathered.samples),
            saved=saved,
            unparsable=sum(e in (Exclusion.NO_ANSWER, Exclusion.EMPTY, Exclusion.UNCLOSED_THINKING) for e in excluded),
            truncated=excluded.count(Exclusion.TRUNCATED),
            cut=excluded.count(Exclusion.CUT),
        ),
        prompt_tokens=sum(s.prompt_tokens for s in drawn),
        completion_tokens=sum(s.completion_tokens for s in drawn),
        aggregation_calls=len(spent.calls),
        requested_tokens=plan.n * plan.sampling.max_tokens,
        stop_saved_tokens=round(saved * sum(lengths) / len(lengths)) if lengths else 0,
        saved_tokens=sum(s.saved_tokens for s in gathered.samples.values()),
    )


def _timing(gathered: Gathered, spent: Spent) -> Timing:
    """Whatever came before the samples were ordered counts as waiting, so that the parts add up to the total."""
    began_s = gathered.total_s if gathered.began_s is None else min(gathered.began_s, gathered.total_s)
    sampling_s = gathered.total_s - began_s
    return Timing(
        queue_ms=round((spent.total_s - spent.choosing_s - sampling_s) * 1000, 3),
        sampling_ms=round(sampling_s * 1000, 3),
        aggregation_ms=round(spent.choosing_s * 1000, 3),
        calls_ms=round(spent.waited_s * 1000, 3),
        total_ms=round(spent.total_s * 1000, 3),
    )


def _left_out(reading: Reading) -> list[str]:
    """One line for each reason for which samples do not vote."""
    reasons = sorted(c.excluded.value for c in reading.candidates if c.excluded is not None)
    return [f"{reasons.count(reason)} samples do not vote: {reason}" for reason in dict.fromkeys(reasons)]


def _unjudged(reading: Reading) -> list[str]:
    """What kept answers from being compared in full."""
    found, warnings = reading.judgement, []
    if found and found.overruns:
        warnings.append(f"{found.overruns} comparisons of answers ran into their deadline and count as not equal")
    if found and found.uncompared:
        warnings.append(f"{found.uncompared} answers or pairs are compared by their canonical form alone")
    return [*warnings, *(found.warnings if found else ())]
