"""Drawing: prompts become jobs, jobs become samples.

Knows no aggregator; early stop is a predicate that it is handed.
"""

import itertools
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from redis.exceptions import RedisError

from service.draws import Draw
from service.errors import StateLost
from service.lasting import lasting
from service.mailroom import Box, Mailroom, next_reply
from workers.wire.connection import unbroken
from workers.wire.dispatch import Dispatcher
from workers.wire.keys import Priority
from workers.wire.messages import SAMPLES, Job, JobKind, Reply, Sample

log = logging.getLogger(__name__)

CHECK_S = 1.0
"""How often an answer that waits for its samples asks whether they can still come."""

Draws = Callable[[range, Mapping[int, Sample]], Awaitable[Sequence[Draw]]]
"""What each sample of a wave is drawn from, in index order, given the samples of the waves before."""

Recall = Callable[[str, str], Awaitable[Mapping[int, Sample]]]
"""The samples that are stored of an answer (its id) and a batch."""


@dataclass(frozen=True, slots=True)
class Line:
    """The way to the workers: the queue's end and the mailroom. `job_samples`: most samples of one queue entry.
    `stored` gives what the ledger holds of an answer's batch. `takes_over`: another gateway began with the answer."""

    dispatcher: Dispatcher
    mailroom: Mailroom
    job_samples: int
    stored: Recall
    takes_over: bool = False
    priority: Priority = "interactive"


Wanted = tuple[Job, set[int]]
"""A job, and which of its indices are still to come."""
Open = dict[str, Wanted]
"""The jobs that were launched, by their ids."""


def alike(draw: Draw) -> Draws:
    """Every sample from the same."""

    async def draws(wave: range, earlier: Mapping[int, Sample]) -> Sequence[Draw]:
        return [draw] * len(wave)

    return draws


async def _never(samples: Mapping[int, Sample], to_come: int) -> range | None:
    return None


@dataclass(frozen=True, slots=True)
class Order:
    """What to draw: samples 0..n, each from what `draws` gives for it. `deadline` is on the monotonic clock.

    `stops` is asked after every arrival with the samples so far, and at `ask_at` (same clock) though nothing came; it
    returns which samples count (the rest is left out of the vote), or None to go on. `wave`: samples launched at a
    time; None launches all at once. `ends`: where a wave ends in any case, ascending. An order of another `kind` draws
    nothing: its sample i holds the values of `texts[i]`, for `entail` with `pairs[i]`.
    """

    answer_id: str
    batch: str
    n: int
    deadline: float
    draws: Draws
    stops: Callable[[Mapping[int, Sample], int], Awaitable[range | None]] = _never
    ask_at: float | None = None
    wave: int | None = None
    ends: tuple[int, ...] = ()
    question_id: str | None = None
    kind: JobKind = "sample"
    texts: tuple[str, ...] = ()
    pairs: tuple[str, ...] = ()


@dataclass(slots=True)
class Gathered:
    """What came. `variants`: in what each sample's draw differed from others. `kept`: which samples count (all if
    None). Times are seconds since the order began; `began_s`: when a worker first took one of its jobs, to a
    millisecond or two (None: no word of it)."""

    samples: dict[int, Sample] = field(default_factory=dict)
    variants: dict[int, str] = field(default_factory=dict)
    kept: range | None = None
    stopped: bool = False
    timed_out: bool = False
    began_s: float | None = None
    total_s: float = 0.0


async def gather_samples(line: Line, order: Order) -> Gathered:
    """Draws an order's samples, wave by wave, until all are there, the predicate stops it, or the deadline comes.

    Whatever ends it, jobs still open are cancelled in the workers; also when the caller is cancelled.
    """
    gathered = Gathered()
    started = time.monotonic()
    open_jobs: Open = {}
    with line.mailroom.box(order.answer_id, order.batch) as box:
        try:
            await _recall(line, order, gathered)  # after the box is there: what is stored from now on comes by itself
            for wave in _waves(order):
                if gathered.stopped:
                    break
                draws = await order.draws(wave, gathered.samples)
                gathered.variants |= {index: draw.variant for index, draw in zip(wave, draws, strict=True)}
                if all(index in gathered.samples for index in wave):
                    continue
                await _launch(line, order, _jobs(order, wave, draws, line.job_samples, gathered.samples), open_jobs)
                await _collect(line, box, order, gathered, open_jobs, started)
                if gathered.timed_out:
                    break
        finally:
            gathered.total_s = time.monotonic() - started
            unfinished = [job_id for job_id, (_, indices) in open_jobs.items() if indices]
            if unfinished:
                await _cancel(line, order.answer_id, unfinished)
    return gathered


async def _recall(line: Line, order: Order, gathered: Gathered) -> None:
    """Starts from what the ledger holds, as if it had just arrived."""
    if not line.takes_over:
        return
    stored = await lasting(order.deadline, lambda: line.stored(order.answer_id, order.batch))
    gathered.samples.update((index, stored[index]) for index in sorted(stored) if 0 <= index < order.n)
    if gathered.samples:
        gathered.began_s = 0.0
        await _stops(order, gathered)


async def _cancel(line: Line, answer_id: str, job_ids: list[str]) -> None:
    """Cancels jobs as well as it can: their deadline frees the workers too, and what was drawn is not thrown away."""
    try:
        await unbroken(line.dispatcher.cancel(answer_id, job_ids))
    except (RedisError, OSError) as error:
        log.warning("answer %s: its jobs could not be cancelled: %s", answer_id, type(error).__name__)


def _waves(order: Order) -> list[range]:
    size = order.wave or order.n
    ends = [end for end in order.ends if end < order.n]
    parts = itertools.pairwise([0, *ends, order.n])
    return [range(at, min(at + size, end)) for start, end in parts for at in range(start, end, size)]


async def _launch(line: Line, order: Order, jobs: Sequence[Wanted], open_jobs: Open) -> None:
    """Queues the jobs of one wave and notes in `open_jobs` which indices each is to bring.

    A caller that is cancelled here has its jobs queued first, so that they can be cancelled: a command that is already
    on its way to the server cannot be called back.
    """
    open_jobs |= {job.job_id: (job, indices) for job, indices in jobs}
    for model in dict.fromkeys(job.model for job, _ in jobs):
        alike = [job for job, _ in jobs if job.model == model]
        await lasting(order.deadline, partial(_submit, line, order, alike))


async def _submit(line: Line, order: Order, jobs: Sequence[Job]) -> None:
    await line.dispatcher.submit(jobs, max(1, int((order.deadline - time.monotonic()) * 1000)), line.priority)


def _jobs(order: Order, wave: range, draws: Sequence[Draw], longest: int, there: Mapping[int, Sample]) -> list[Wanted]:
    """One job for each run of equal draws, at most `longest` samples long, with the indices that are not `there` yet.

    A job of which all is there is left out. The others are the same whatever is there, so that one which a gateway
    before has queued is known again by its id.

    A run that is cut by a bar of its own is one job, however long: the first samples of a job set its bar.
    """
    jobs: list[Wanted] = []
    for draw, group in itertools.groupby(zip(draws, wave, strict=True), key=lambda pair: pair[0]):
        indices = [index for _, index in group]
        cut = draw.sampling.cut
        most = order.n if cut is not None and cut.bar is None else longest
        for at in range(0, len(indices), most):
            run = indices[at : at + most]
            if missing := {index for index in run if index not in there}:
                jobs.append((_job(order, draw, run), missing))
    return jobs


def _job(order: Order, draw: Draw, run: Sequence[int]) -> Job:
    return Job(
        job_id=f"{order.answer_id}:{order.batch}:{run[0]}",
        answer_id=order.answer_id,
        batch=order.batch,
        model=draw.model,
        kind=order.kind,
        messages=draw.messages,
        prefix=draw.prefix,
        texts=_of_run(order.texts, run),
        pairs=_of_run(order.pairs, run),
        sampling=draw.sampling,
        first=run[0],
        last=run[-1] + 1,
        skipped=draw.skipped,
        question_id=order.question_id,
        use="sampling" if order.batch == SAMPLES else "aggregation",
    )


def _of_run(texts: tuple[str, ...], run: Sequence[int]) -> tuple[str, ...]:
    """The texts of one job in their places; those of the jobs before it are sent empty, so that each is sent once."""
    return ("",) * run[0] + texts[run[0] : run[-1] + 1] if texts else ()


async def _collect(line: Line, box: Box, order: Order, gathered: Gathered, open_jobs: Open, started: float) -> None:
    """Takes replies until the launched jobs are done, the predicate stops it, or time is up."""
    check = time.monotonic() + CHECK_S
    while any(indices for _, indices in open_jobs.values()):
        until = min(_due(order), check)
        reply = await next_reply(box, until)
        if reply is not None:
            _take(reply.samples, reply.job_id, gathered, open_jobs)
            _note_begin(reply, order, gathered, started)
        elif until == order.deadline:
            gathered.timed_out = True
            return
        elif until == check:
            check = time.monotonic() + CHECK_S
            if not await _mend(line, order, gathered, open_jobs):
                continue
        elif time.monotonic() < until:  # a timer may ring a moment early
            continue
        if await _stops(order, gathered):
            return


async def _stops(order: Order, gathered: Gathered) -> bool:
    gathered.kept = await order.stops(gathered.samples, order.n - len(gathered.samples))
    gathered.stopped = gathered.kept is not None
    return gathered.stopped


async def _mend(line: Line, order: Order, gathered: Gathered, open_jobs: Open) -> bool:
    """Queues again what no worker will bring any more, and takes what was stored though no reply came; True if any.

    Raises StateLost where Redis knows nothing of the answer any more.
    """
    jobs = [job for job, indices in open_jobs.values() if indices]
    try:
        lost = await line.dispatcher.lost(order.answer_id, jobs)
        if lost is None:
            raise StateLost("Redis has lost what it knew of this answer while it was in progress")
        if not lost:
            return False
        before = len(gathered.samples)
        stored = await line.stored(order.answer_id, order.batch)
        for job in lost:
            _take([stored[i] for i in range(job.first, job.last) if i in stored], job.job_id, gathered, open_jobs)
        for job in (job for job in lost if open_jobs[job.job_id][1]):
            log.warning("job %s: was lost and is queued again", job.job_id)
            await unbroken(_submit(line, order, [job]))
    except (RedisError, OSError) as error:
        log.warning("answer %s: Redis does not answer: %s", order.answer_id, type(error).__name__)
        return False
    return len(gathered.samples) > before


def _due(order: Order) -> float:
    """Until when to wait for the next reply: `ask_at` if that is still to come, else the deadline."""
    ahead = order.ask_at is not None and time.monotonic() < order.ask_at < order.deadline
    return order.ask_at if ahead and order.ask_at is not None else order.deadline


def _note_begin(reply: Reply, order: Order, gathered: Gathered, started: float) -> None:
    """A job's time ends with the order's, so what was left of it when it was leased tells when that was: two machines'
    clocks are never compared. A worker that does not say so began at the latest when its first reply came."""
    now = time.monotonic()
    leased = now if reply.left_ms is None else order.deadline - reply.left_ms / 1000
    began_s = min(max(leased, started), now) - started
    gathered.began_s = began_s if gathered.began_s is None else min(began_s, gathered.began_s)


def _take(samples: Sequence[Sample], job_id: str, gathered: Gathered, open_jobs: Open) -> None:
    """A sample counts once, and only if this answer asked for it in the job that brings it."""
    wanted = open_jobs[job_id][1] if job_id in open_jobs else set()
    for sample in samples:
        if sample.index in wanted:
            wanted.discard(sample.index)
            gathered.samples[sample.index] = sample
