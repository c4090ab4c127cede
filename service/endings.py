"""What an answer comes to that has no verdict: failed, cancelled, or lost."""

import time

from service.contract import AggregatorReply, Answer, Problem, SampleCounts, Status, StopReply, Timing, Usage
from service.errors import ConclaveError, Recorded
from service.plan import Plan
from service.reply import sampler_of


def problem(error: ConclaveError) -> Problem:
    """The error as the contract shows it."""
    failures = error.extra.get("failures")
    return Problem(
        title=error.title,
        status=error.status,
        code=error.code,
        detail=error.detail,
        field=error.field,
        failures=failures if isinstance(failures, dict) else None,
    )


def recorded(shown: Problem) -> Recorded:
    """The error that was shown, to be raised again."""
    return Recorded(
        shown.detail,
        status=shown.status,
        code=shown.code,
        title=shown.title,
        field=shown.field,
        failures=shown.failures,
    )


def counts(plan: Plan, error: ConclaveError) -> SampleCounts:
    """What became of the samples of an answer that failed; those of which nothing is known were cancelled."""
    finished, failed = (int(str(error.extra.get(what, 0))) for what in ("finished", "failed"))
    return SampleCounts(requested=plan.n, finished=finished, failed=failed, cancelled=plan.n - finished - failed)


def ended(
    plan: Plan,
    created: int,
    status: Status,
    reason: str,
    counts: SampleCounts,
    started: float,
    error: Problem | None = None,
) -> Answer:
    """The reply in place of a verdict. `started` is on the monotonic clock."""
    return Answer(
        id=plan.answer_id,
        created=created,
        model=plan.model,
        status=status,
        reason=reason,
        aggregator=AggregatorReply(name=plan.aggregator.name),
        stop=StopReply(name=plan.stop.name),
        sampler=sampler_of(plan.sampler, plan.task),
        usage=Usage(samples=counts),
        timing=Timing(total_ms=round((time.monotonic() - started) * 1000, 3)),
        warnings=list(plan.warnings),
        error=error,
    )
