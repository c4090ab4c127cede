"""`make soak-engine`: thousands of jobs through one engine, a third cancelled on the way, and what memory is left.

python -m tests.load.soak_engine [--jobs 10000 --concurrency 32 --seed 0]
"""

import argparse
import asyncio
import gc
import resource
import sys
import tempfile
import time
import warnings
from contextlib import aclosing
from pathlib import Path
from random import Random

import torch

from tests.tiny_model import make_tiny_model
from workers.backends.torch_local.backend import TorchBackend
from workers.wire.messages import Job, Message, Sampling

_CANCELLED = 1 / 3


def _job(rng: Random) -> Job:
    words = " ".join(str(rng.randrange(100)) for _ in range(rng.choice((2, 10, 40, 150))))
    sampling = Sampling(temperature=1.0, max_tokens=rng.randint(1, 40), seed=rng.randrange(2**31))
    messages = (Message(role="user", content=words),)
    return Job(
        job_id=f"j{rng.randrange(2**60)}",
        answer_id="a",
        model="m",
        messages=messages,
        sampling=sampling,
        first=0,
        last=rng.choice((1, 2, 4, 8)),
    )


async def _one(backend: TorchBackend, rng: Random) -> tuple[int, bool]:
    """Draws one job, or leaves after a while; how many samples came, and whether it left."""
    job, came = _job(rng), 0
    stay = job.last if rng.random() > _CANCELLED else rng.randrange(job.last)
    async with aclosing(backend.sample(job, tuple(range(job.last)))) as samples:
        if stay == 0:
            reading = asyncio.ensure_future(anext(samples))
            await asyncio.sleep(rng.random() * 0.02)
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            return 0, True
        async for _ in samples:
            came += 1
            if came == stay:
                break
    return came, stay < job.last


def _tensors() -> int:
    """Bytes of all tensors alive."""
    gc.collect()
    warnings.simplefilter("ignore")  # asking some of torch's own objects for their type warns
    return sum(each.nbytes for each in gc.get_objects() if isinstance(each, torch.Tensor))


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


async def _soak(options: argparse.Namespace, folder: Path) -> str:
    backend = TorchBackend(
        str(make_tiny_model(folder, hidden=64, layers=2, likely_end=1.0)), "cpu", threads=1, cache_mb=128
    )
    await backend.start()
    rng, left, came, most = Random(options.seed), options.jobs, 0, 0
    cancelled = 0

    async def client() -> None:
        nonlocal left, came, cancelled, most
        while left > 0:
            left -= 1
            samples, gone = await _one(backend, rng)
            came, cancelled = came + samples, cancelled + gone
            most = max(most, backend.facts.cache_bytes)

    await asyncio.gather(*(_one(backend, rng) for _ in range(200)))
    await asyncio.sleep(0.2)
    tensors, resident, started = _tensors() - backend.facts.cache_bytes, _resident_mb(), time.monotonic()
    await asyncio.gather(*(client() for _ in range(options.concurrency)))
    await asyncio.sleep(0.2)
    facts = backend.facts
    line = (
        f"{options.jobs} jobs in {time.monotonic() - started:.0f} s, {cancelled} of them cancelled, {came} samples; "
        f"rows left {facts.rows}, waiting {facts.waiting_samples}; keys and values {most / 2**20:.1f} MiB at most, "
        f"{facts.cache_bytes / 2**20:.2f} MiB left (prompts kept for reuse); other tensors {tensors / 2**20:.2f} MiB "
        f"before, {(_tensors() - facts.cache_bytes) / 2**20:.2f} MiB after; resident {resident:.0f} MiB before, "
        f"{_resident_mb():.0f} MiB after"
    )
    await backend.close()
    return line


def main() -> int:
    """Runs it and prints one line."""
    parser = argparse.ArgumentParser(description="Thousands of jobs through one engine.")
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sys.stdout.write(asyncio.run(_soak(options, Path(folder))) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
