"""The whole flow on one page: plan -> samples -> candidates -> verdict -> answer."""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from redis.exceptions import RedisError

from service.aggregators import AGGREGATORS
from service.aggregators.auto import Auto
from service.aggregators.base import Aggregator, Panel, Verdict
from service.aggregators.counting import fall_back
from service.aggregators.verdicts import beside_the_vote
from service.answer_types.base import Judge, meaning_of
from service.asking import Budgeted, QueueAsk
from service.classing import Classifier
from service.contract import Answer, Choice
from service.draws import Draw
from service.endless import Endless, endable
from service.equality.meaning import MeaningJudge
from service.errors import ConclaveError
from service.explaining import MOST_CALLS as EXPLAINING_CALLS
from service.explaining import explain_disagreement
from service.gather import Gathered, Line, Order, gather_samples
from service.plan import Plan, build
from service.quorum import check_quorum, reaches_quorum
from service.reading import Reader, Reading
from service.reply import Spent, make_answer
from service.rewarding import reward_model_of, with_rewards
from service.scoring import Scores, Texts, score
from service.stated import told
from service.stopping.base import is_shadow, seconds_of
from workers.wire.messages import SAMPLES, Failure, Sample

log = logging.getLogger(__name__)

SAMPLING_SHARE = 0.75
"""What asks a model after the samples are drawn, an aggregator or a judge of meanings, keeps the rest of the time."""
COMPARING_SHARE = 0.9
"""Where both ask, the judge is done by then."""
LATE_S = 0.5
"""How long after an answer's time its aggregator may still choose among what came."""
EMBEDDING_SHARE = 0.2
"""The most of the time for the vectors that a sampler compares."""


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
    judge = _judge_of(plan, line, started) or judge
    if drawn is None:
        plan = await _with_vectors(plan, line, plan.budget_s - elapsed_s)
    reader = _reader(plan, judge, started)
    gathered = drawn or await _draw(plan, line, reader, started)
    decided = time.monotonic()
    reading = await reader.read(gathered.samples, gathered.kept)
    check_quorum(plan, gathered, reading)
    ask = QueueAsk(
        plan,
        line,
        deadline=started + plan.budget_s,
        most_calls=plan.aggregator.max_calls(plan.n) + (EXPLAINING_CALLS if plan.explain else 0),
        tokens_left=_tokens_left(plan, {} if drawn else gathered.samples),
    )
    reading, lost = await with_rewards(plan, line, reading, started + plan.budget_s)
    chosen = await choose(plan, reading, ask, judge) if reaches_quorum(plan, reading) else _below_quorum(plan)
    explained = await explain_disagreement(_panel(plan, reading, judge), ask) if plan.explain else None
    now = time.monotonic()
    spent = Spent(now - started, now - decided, ask.waited_s, ask.calls)
    answer = make_answer(
        plan,
        gathered,
        reading,
        replace(chosen.verdict, warnings=(*lost, *chosen.verdict.warnings)),
        chosen.aggregator,
        chosen.route,
        spent,
        created,
        reader.shadow,
    )
    return answer.model_copy(update={"disagreement": explained})


def _reader(plan: Plan, judge: Judge | None, started: float) -> Reader:
    return Reader(
        plan.task,
        plan.answer_type,
        plan.stop,
        plan.n,
        plan.quorum,
        judge,
        plan.shown,
        lead=plan.lead,
        ahead=plan.ahead,
        mix=plan.mix,
        told=told if plan.state_confidence else None,
        elapsed=lambda: time.monotonic() - started,
    )


def _tokens_left(plan: Plan, samples: Mapping[int, Sample]) -> int | None:
    """What the samples leave of the budget of tokens; None where there is none."""
    if plan.budget_tokens is None:
        return None
    return plan.budget_tokens - sum(sample.completion_tokens for sample in samples.values())


def _judge_of(plan: Plan, line: Line, started: float) -> Judge | None:
    """The judge of what texts mean, where the answer type has a pool of workers say that."""
    meaning = meaning_of(plan.answer_type)
    if meaning is None:
        return None
    share = COMPARING_SHARE if plan.aggregator.max_calls(plan.n) else 1.0
    scores = Scores(line, plan.answer_id, meaning.model, started + plan.budget_s * share)
    return MeaningJudge(meaning, plan.task.question, scores)


def _below_quorum(plan: Plan) -> Chosen:
    """Samples came, but too few hold an answer: none is given."""
    return Chosen(Verdict(answer=None, text=None, ranking=(), reason="below_quorum"), plan.aggregator)


async def _with_vectors(plan: Plan, line: Line, left_s: float) -> Plan:
    """The plan with the vectors that its sampler compares; with a warning where they did not come."""
    texts = plan.sampler.embeds(plan.task, plan.shelf)
    if not texts or plan.sampler.embedder is None:
        return plan
    deadline = time.monotonic() + left_s * EMBEDDING_SHARE
    found = await score(line, Texts(plan.answer_id, "sampler", plan.sampler.embedder, "embed", texts, deadline))
    vectors = tuple(one for one in found if not isinstance(one, Failure))
    if len(vectors) == len(texts):
        return replace(plan, vectors=vectors)
    kinds = sorted({one.kind.value for one in found if isinstance(one, Failure)})
    said = f"sampler: {plan.sampler.embedder} embedded {len(vectors)} of {len(texts)} texts: {', '.join(kinds)}"
    return replace(plan, warnings=(*plan.warnings, f"{said}; {plan.sampler.name} goes by words alone"))


async def _draw(plan: Plan, line: Line, reader: Reader, started: float) -> Gathered:
    asks_later = (
        plan.aggregator.max_calls(plan.n)
        or meaning_of(plan.answer_type)
        or reward_model_of(plan.aggregator) is not None
        or plan.explain
    )
    share = SAMPLING_SHARE if asks_later else 1.0

    async def draws(wave: range, earlier: Mapping[int, Sample]) -> Sequence[Draw]:
        seen = reader.candidates(earlier) if plan.sampler.looks_back and earlier else ()
        return plan.draws(wave, seen)

    order = Order(
        answer_id=plan.answer_id,
        batch=SAMPLES,
        n=plan.n,
        deadline=started + plan.budget_s * share,
        draws=draws,
        stops=reader.stops,
        ask_at=_ask_at(plan, started),
        wave=plan.wave,
        ends=() if is_shadow(plan.stop) else plan.mix.blocks,
        question_id=plan.question_id,
    )
    return await gather_samples(line, order)


def _ask_at(plan: Plan, started: float) -> float | None:
    """When the stopping rule is asked though nothing came; a moment late, so that its time is surely over."""
    seconds = seconds_of(plan.stop)
    return None if seconds is None else started + seconds + 0.001


async def choose(plan: Plan, reading: Reading, ask: Budgeted, judge: Judge | None = None) -> Chosen:
    """Lets the plan's aggregator choose among the candidates; `auto` picks one by the candidates first."""
    panel, aggregator, route = _panel(plan, reading, judge), plan.aggregator, None
    if isinstance(aggregator, Auto):
        taken = aggregator.route(panel, ask.left())
        aggregator, route = build(AGGREGATORS, Choice(name=taken.name, **taken.options), "aggregator"), taken.why
    verdict = await _verdict(aggregator, panel, ask)
    if aggregator.max_calls(plan.n):
        verdict = beside_the_vote(panel, verdict, aggregator.name)
    return Chosen(verdict, aggregator, route)


def _panel(plan: Plan, reading: Reading, judge: Judge | None) -> Panel:
    """What an aggregator is given."""
    return Panel(
        task=plan.task,
        candidates=reading.candidates,
        classes=reading.classes,
        classify=Classifier(reading.candidates, reading.answer_type, plan.task, reading.judgement, judge, plan.shown),
        seed=plan.seed,
        templates=plan.templates,
        draws=lambda index: plan.draws(range(index, index + 1))[0],
        member_weights=plan.mix.weights if plan.mix.weighted else {},
        answer_type=reading.answer_type.name,
        provides=plan.provides,
    )


async def _verdict(aggregator: Aggregator, panel: Panel, ask: Budgeted) -> Verdict:
    """The aggregator's verdict; the plain vote's where the aggregator breaks, as the samples are there all the same.

    So it is where the aggregator still waits for something `LATE_S` after the answer's time, when its calls have ended,
    and where it computes on and never waits.
    """
    left = ask.left()
    try:
        async with asyncio.timeout(None if left is None else left.seconds + LATE_S) as limit:
            with endable():
                return await aggregator.aggregate(panel, ask)
    except Endless:
        log.error("the aggregator %s computed on and on, and nothing else was served meanwhile", aggregator.name)
        return fall_back(panel, aggregator.name, "timeout")
    except (ConclaveError, RedisError, OSError):
        if limit.expired():
            log.warning("the aggregator %s did not end in time", aggregator.name)
            return fall_back(panel, aggregator.name, "timeout")
        raise
    except Exception as error:
        log.exception("the aggregator %s broke", aggregator.name)
        return fall_back(panel, aggregator.name, f"broken: {type(error).__name__}")
