"""The whole flow on one page: plan -> samples -> candidates -> verdict -> answer."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service.aggregators import AGGREGATORS
from service.aggregators.auto import Auto
from service.aggregators.base import Aggregator, Ask, Panel, Verdict
from service.answer_types.base import Judge
from service.asking import QueueAsk
from service.classing import Classifier
from service.contract import Answer
from service.draws import Draw
from service.gather import Gathered, Line, Order, gather_samples
from service.plan import Plan
from service.quorum import check_quorum, reaches_quorum
from service.reading import Reader, Reading
from service.reply import Spent, make_answer
from workers.wire.messages import SAMPLES, Sample

SAMPLING_SHARE = 0.75
"""An aggregator that asks a model again keeps the rest of the time for itself."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A verdict, the aggregator that gave it, and why `auto` took that one."""

    verdict: Verdict
    aggregator: Aggregator
    route: str | None = None


async def solve(
    plan: Plan,
    line: Line,
    created: int,
    judge: Judge | None = None,
    *,
    elapsed_s: float = 0.0,
    drawn: Gathered | None = None,
) -> Answer:
    """Answers a planned request. Raises SamplesFailed or DeadlineExceeded where too few samples could be used.

    `elapsed_s`: how much of its budget the answer had used before, where another gateway began with it. `drawn`: the
    samples to choose among, where they are there already.
    """
    started = time.monotonic() - elapsed_s
    reader = Reader(plan.task, plan.answer_type, plan.stop, plan.n, plan.quorum, judge, plan.shown)
    gathered = drawn or await _draw(plan, line, reader, started)
    reading = await reader.read(gathered.samples, gathered.kept)
    check_quorum(plan, gathered, reading)
    ask = QueueAsk(plan, line, deadline=started + plan.budget_s, most_calls=plan.aggregator.max_calls(plan.n))
    decided = time.monotonic()
    chosen = await choose(plan, reading, ask, judge) if reaches_quorum(plan, reading) else _below_quorum(plan)
    now = time.monotonic()
    spent = Spent(now - started, now - decided, ask.waited_s, ask.calls)
    return make_answer(plan, gathered, reading, chosen.verdict, chosen.aggregator, chosen.route, spent, created)


def _below_quorum(plan: Plan) -> Chosen:
    """Samples came, but too few hold an answer: none is given."""
    return Chosen(Verdict(answer=None, text=None, ranking=(), reason="below_quorum"), plan.aggregator)


async def _draw(plan: Plan, line: Line, reader: Reader, started: float) -> Gathered:
    share = SAMPLING_SHARE if plan.aggregator.max_calls(plan.n) else 1.0

    async def draws(wave: range, earlier: Mapping[int, Sample]) -> Sequence[Draw]:
        seen = (await reader.read(earlier)).candidates if plan.sampler.looks_back and earlier else ()
        return plan.draws(wave, seen)

    order = Order(
        answer_id=plan.answer_id,
        batch=SAMPLES,
        n=plan.n,
        deadline=started + plan.budget_s * share,
        draws=draws,
        stops=reader.stops,
        wave=plan.wave,
        question_id=plan.question_id,
    )
    return await gather_samples(line, order)


async def choose(plan: Plan, reading: Reading, ask: Ask, judge: Judge | None = None) -> Chosen:
    """Lets the plan's aggregator choose among the candidates; `auto` picks one by the candidates first."""
    panel = Panel(
        task=plan.task,
        candidates=reading.candidates,
        classes=reading.classes,
        classify=Classifier(reading.candidates, reading.answer_type, plan.task, reading.judgement, judge, plan.shown),
        seed=plan.seed,
        templates=plan.templates,
        draws=lambda index: plan.draws(range(index, index + 1))[0],
    )
    aggregator, route = plan.aggregator, None
    if isinstance(aggregator, Auto):
        name, route = aggregator.route(panel)
        aggregator = AGGREGATORS.make(name, AGGREGATORS[name].Options())
    return Chosen(await aggregator.aggregate(panel, ask), aggregator, route)
