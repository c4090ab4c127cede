"""Partial failure: when too few samples can be used, and what is then said."""

from collections import Counter

from service.candidates import Candidate, Exclusion
from service.errors import BadRequest, ContextOverflow, DeadlineExceeded, NotServed, SamplesFailed
from service.gather import Gathered
from service.plan import Plan
from service.reading import Reading
from workers.wire.messages import FailureKind

MAX_DETAIL = 300

_REFUSALS: dict[FailureKind, type[BadRequest]] = {
    FailureKind.UNSUPPORTED: NotServed,
    FailureKind.CONTEXT_OVERFLOW: ContextOverflow,
}
"""Failures that lie in the request: where every sample has the same of these, no later attempt can do better."""

_FIELDS: dict[type[BadRequest], str | None] = {NotServed: None, ContextOverflow: "messages"}


def usable(candidate: Candidate, extractable: bool) -> bool:
    """True if a sample votes, or is a readable text where the whole text may be the answer."""
    return candidate.excluded is None or (not extractable and candidate.excluded is Exclusion.NO_ANSWER)


def failures(gathered: Gathered) -> Counter[FailureKind]:
    """How many samples failed for which reason."""
    return Counter(s.failure.kind for s in gathered.samples.values() if s.failure is not None)


def _usable(reading: Reading) -> int:
    return sum(usable(c, reading.answer_type.name != "text") for c in reading.candidates)


def reaches_quorum(plan: Plan, reading: Reading) -> bool:
    """True if enough samples are usable; a quorum of one is left to the aggregator, which says why it abstains."""
    return plan.quorum == 1 or _usable(reading) >= plan.quorum


def check_quorum(plan: Plan, gathered: Gathered, reading: Reading) -> None:
    """Raises if fewer samples than the quorum are usable and the cause is failure or time.

    Samples that came but hold no answer are not a failure: then the answer abstains.
    """
    failed = failures(gathered)
    good = _usable(reading)
    if good >= plan.quorum:
        return
    counts = {kind.value: count for kind, count in sorted(failed.items())}
    extra = {"failures": counts, "finished": len(gathered.samples) - failed.total(), "failed": failed.total()}
    if gathered.timed_out or failed.get(FailureKind.EXPIRED):
        raise DeadlineExceeded(
            f"{good} of {plan.n} samples were usable after {gathered.total_s:.1f} s of sampling "
            f"(budget.seconds {plan.budget_s:g}); the quorum is {plan.quorum}",
            extra=extra,
        )
    if failed:
        reasons = ", ".join(f"{kind} x {count}" for kind, count in counts.items())
        said = _first_detail(gathered)
        if (
            len(failed) == 1
            and failed.total() == len(gathered.samples)
            and (refusal := _REFUSALS.get(next(iter(failed))))
        ):
            raise refusal(said or reasons, field=_FIELDS[refusal], extra=extra)
        raise SamplesFailed(
            f"{good} of {plan.n} samples were usable, the quorum is {plan.quorum}: {reasons}"
            + (f"; the first: {said}" if said else ""),
            extra=extra,
        )


def _refusal(failed: Counter[FailureKind]) -> type[BadRequest] | None:
    """The error of a request that no worker can serve as it stands; None if the failures do not lie in it alone."""
    return _REFUSALS.get(next(iter(failed))) if len(failed) == 1 else None


def _first_detail(gathered: Gathered) -> str:
    """What the failed sample of the smallest index says of itself, cut short: it may be an upstream's own words."""
    told = (gathered.samples[index].failure for index in sorted(gathered.samples))
    return next((failure.detail[:MAX_DETAIL] for failure in told if failure is not None and failure.detail), "")
