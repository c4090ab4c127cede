"""Aggregates recorded samples with the very code that the service runs, without queue and workers."""

from collections.abc import Callable
from dataclasses import replace

from service.answer_types.base import AnswerType, Judge
from service.asking import NoAsk
from service.catalog import Pool
from service.contract import AnswerRequest
from service.ensemble import choose
from service.evaluation.datasets import Dataset, Record
from service.evaluation.outcomes import Cell, Outcome, body_of, unanswerable
from service.evaluation.score import Grader
from service.plan import Plan, make_plan
from service.reading import Reader
from service.settings import Settings
from workers.wire.messages import Sample, WorkerCard

_NO_CAP = 10**9


class Offline:
    """Answers the questions of one data set. Aggregators that ask a model fall back to the vote: there is none."""

    def __init__(
        self,
        dataset: Dataset,
        settings: Settings,
        judge: Judge | None = None,
        reads: Callable[[AnswerType], AnswerType] = lambda answer_type: answer_type,
    ) -> None:
        """`reads` may put another reader of answers that gives the same in the place of a request's answer type."""
        self._judge = judge
        self._reads = reads
        # The caps protect a service; a file on this disk may hold more samples than a request may ask for.
        self._settings = settings.model_copy(update={"max_n": _NO_CAP, "max_total_tokens": _NO_CAP})
        card = WorkerCard(
            worker="offline",
            model=dataset.name,
            backend="recorded",
            provides=dataset.provides,
            capacity_samples=1,
        )
        self._pool = Pool(dataset.name, (card,))

    async def answer(self, record: Record, cell: Cell) -> Outcome:
        """The verdict over the first n recorded samples, less those that the stopping rule saves."""
        if not record.samples:
            return unanswerable(record)
        request = AnswerRequest.model_validate(body_of(record, cell, "recorded"))
        plan = make_plan(request, self._pool, self._settings, members=(self._pool,) * len(cell.members))
        reader = Reader(
            plan.task,
            self._reads(plan.answer_type),
            plan.stop,
            plan.n,
            judge=self._judge,
            shown=plan.shown,
            lead=plan.lead,
            mix=plan.mix,
        )
        samples, kept = await _arrive(plan, _drawn(plan, record), reader)
        if not samples:
            return unanswerable(record)
        reading = await reader.read(samples, kept)
        verdict = (await choose(plan, reading, NoAsk(), self._judge)).verdict
        outcome = Outcome(
            id=record.id,
            answer=verdict.answer,
            answer_type=reading.answer_type.name,
            votes=tuple((s.answer_class.answer, s.votes) for s in verdict.ranking),
            samples=len(samples),
            calls=0,
            status="abstained" if verdict.answer is None else "answered",
        )
        return replace(outcome, right=await Grader(record, self._judge).answer(outcome.answer, outcome.answer_type))


def _drawn(plan: Plan, record: Record) -> dict[int, Sample]:
    """The recorded samples that the plan's are; a member's are taken in their order, and those beyond them miss."""
    if not plan.mix.models:
        return {sample.index: sample for sample in record.samples[: plan.n]}
    own: dict[str | None, list[Sample]] = {}
    for sample, source in zip(record.samples, record.sources, strict=True):
        own.setdefault(source, []).append(sample)
    numbers = ((i, own.get(model, []), i - plan.mix.skipped(i)) for i, model in enumerate(plan.mix.models))
    return {i: found[k].model_copy(update={"index": i}) for i, found, k in numbers if k < len(found)}


async def _arrive(plan: Plan, recorded: dict[int, Sample], reader: Reader) -> tuple[dict[int, Sample], range | None]:
    """Lets samples arrive as the service draws them: a wave at a time, or one by one where all are launched at once."""
    step = plan.n if plan.stop.name == "none" else plan.wave or 1
    samples: dict[int, Sample] = {}
    for first in range(0, plan.n, step):
        samples |= {i: recorded[i] for i in range(first, min(first + step, plan.n)) if i in recorded}
        kept = None if plan.stop.name == "none" else await reader.stops(samples, plan.n - len(samples))
        if kept is not None:
            return samples, kept
    return samples, None
