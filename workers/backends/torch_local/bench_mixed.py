"""Fifty jobs of different n, lengths and settings that arrive at random, against the same tokens in perfect batches."""

import asyncio
import statistics
import time
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


def _draw_jobs(seed: int) -> list[_Asked]:
    rng = Random(seed)
    return [
        _Asked(
            n=rng.choice((1, 2, 4, 8, 16)),
            prompt=[rng.randint(5, 400) for _ in range(rng.randint(16, 600))],
            sampling=Sampling(
                temperature=rng.choice((0.0, 0.7, 1.0)),
                top_p=rng.choice((1.0, 0.95)),
                top_k=rng.choice((None, 50)),
                max_tokens=rng.randint(32, 160),
            ),
        )
        for _ in range(_JOBS)
    ]


async def _timed(engine: Engine, asked: _Asked, after: float) -> tuple[float, float]:
    """Seconds from the arrival to the last sample, and those of the same job alone would be a share of it."""
    await asyncio.sleep(after)
    started = time.perf_counter()
    await ask(engine, asked.prompt, asked.n, asked.sampling)
    return started, time.perf_counter()


async def mixed_load(name: str, engine: Engine, seed: int) -> str:
    """One line: tokens a second of both, and how long jobs of one sample waited while others ran."""
    jobs = _draw_jobs(seed)
    tokens = sum(job.n * job.sampling.max_tokens for job in jobs)
    perfect = await _perfect(engine, tokens)
    rng = Random(seed)
    # All have come by the time that half of the work is done: the engine is busy throughout.
    spans = await asyncio.gather(*(_timed(engine, job, rng.random() * perfect / 2) for job in jobs))
    mixed = max(end for _, end in spans) - min(start for start, _ in spans)
    took = [end - start for start, end in spans]
    return (
        f"{name}, mixed load: {_JOBS} jobs, {tokens} tokens: {tokens / mixed:.0f} tokens/s, perfect batches of {ROWS}: "
        f"{tokens / perfect:.0f} tokens/s, share {perfect / mixed:.2f}; a job took {statistics.median(took):.2f} s "
        f"(median), {max(took):.2f} s (longest), all together {mixed:.2f} s"
    )


async def _perfect(engine: Engine, tokens: int) -> float:
    """Seconds for as many tokens in full batches: one prompt, one length, no sampling filter."""
    length = 128
    rounds, started = max(1, round(tokens / (ROWS * length))), time.perf_counter()
    for number in range(rounds):
        await ask(engine, [5 + number, *range(6, 6 + 300)], ROWS, Sampling(temperature=1.0, max_tokens=length))
    return (time.perf_counter() - started) * tokens / (rounds * ROWS * length)
