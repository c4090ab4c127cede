"""Fifty jobs of different n, lengths and settings that arrive at random, and what else the same tokens could take."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from random import Random

from workers.backends.torch_local.bench_systems import ROWS, ask
from workers.backends.torch_local.engine import Engine
from workers.wire.messages import Sampling

_JOBS = 50


@dataclass(frozen=True, slots=True)
class _Asked:
    n: int
    prompt: list[int]
    sampling: Sampling


def draw_jobs(seed: int, take: int = 0) -> list[_Asked]:
    """Fifty jobs. Those of another `take` have the same shapes and settings, and prompts that begin differently."""
    rng = Random(seed)
    return [
        _Asked(
            n=rng.choice((1, 2, 4, 8, 16)),
            prompt=[5 + (rng.randint(5, 400) + take) % 396 for _ in range(rng.randint(16, 600))],
            sampling=Sampling(
                temperature=rng.choice((0.0, 0.7, 1.0)),
                top_p=rng.choice((1.0, 0.95)),
                top_k=rng.choice((None, 50)),
                max_tokens=rng.randint(32, 160),
            ),
        )
        for _ in range(_JOBS)
    ]


async def mixed_load(name: str, engine: Engine, bigger: Engine, seed: int, rounds: int) -> str:
    """Tokens a second, and those as a share of two ideals, each the median of interleaved rounds.

    The first ideal is the same jobs, all there at once, in one batch as large as they are together (`bigger`, an engine
    without a limit of rows). The second is equal work: as many prompt tokens read in full chunks, then as many drawn in
    full batches of equal rows that share one prompt. Before each round jobs of the same shapes are drawn unmeasured, as
    kernels are chosen, loaded or made when a shape is met first; no system meets a prompt twice.
    """
    shares: list[tuple[float, float]] = []
    speeds, took = [], []
    for number in range(rounds):
        for each in (bigger, engine):
            await asyncio.gather(*(_ask(each, job) for job in draw_jobs(seed + number, take=1)))
        jobs = draw_jobs(seed + number)
        drawn, read = sum(job.n * job.sampling.max_tokens for job in jobs), sum(len(job.prompt) for job in jobs)
        at_once = await _seconds(asyncio.gather(*(_ask(bigger, job) for job in jobs)))
        equal = await _equal(engine, drawn, read, 97 * number)
        # All have come by the time that half of the work is done: the engine is busy throughout.
        rng = Random(seed + number)
        spans = await asyncio.gather(*(_arriving(engine, job, rng.random() * at_once / 2) for job in jobs))
        mixed = max(end for _, end in spans) - min(start for start, _ in spans)
        shares.append((at_once / mixed, equal / mixed))
        speeds.append(drawn / mixed)
        took += [end - start for start, end in spans]
    first, second = (_summary([share[place] for share in shares]) for place in (0, 1))
    return (
        f"{name}, {_JOBS} mixed jobs arriving at random, {rounds} rounds: {statistics.median(speeds):.0f} tokens/s; as "
        f"a share of the same jobs in one batch {first}, of as many tokens in equal full batches of {ROWS} {second}; "
        f"a job took {statistics.median(took):.2f} s (median), {max(took):.2f} s (longest)"
    )


def _summary(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


async def _ask(engine: Engine, asked: _Asked) -> None:
    await ask(engine, asked.prompt, asked.n, asked.sampling)


async def _arriving(engine: Engine, asked: _Asked, after: float) -> tuple[float, float]:
    """When a job came and when its last sample did."""
    await asyncio.sleep(after)
    started = time.perf_counter()
    await _ask(engine, asked)
    return started, time.perf_counter()


async def _seconds(work: Awaitable[object]) -> float:
    started = time.perf_counter()
    await work
    return time.perf_counter() - started


async def _equal(engine: Engine, drawn: int, read: int, first: int) -> float:
    """Seconds for as many tokens of equal work. Prompts begin with `first` or tokens after it."""
    length, chunk = 128, 512
    batches, chunks = max(1, round(drawn / (ROWS * length))), max(1, round(read / chunk))
    decoding = 0.0
    for number in range(batches):
        sampling = Sampling(temperature=1.0, max_tokens=length)
        decoding += await _seconds(ask(engine, [_token(first + number), *range(6, 306)], ROWS, sampling))
    reading = 0.0
    for number in range(chunks):
        prompt = [_token(first + number), *(7 for _ in range(chunk - 1))]
        reading += await _seconds(ask(engine, prompt, 1, Sampling(temperature=1.0, max_tokens=1)))
    return decoding * drawn / (batches * ROWS * length) + reading * read / (chunks * chunk)


def _token(number: int) -> int:
    return 5 + number % 396
