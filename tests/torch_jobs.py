"""Jobs for the torch engine's tests, and their samples in order."""

from typing import Any

from workers.backends.torch_local.backend import TorchBackend
from workers.wire.messages import Job, Message, Sample, Sampling

QUESTION = "What is 12 + 34 * 2?"


def job(n: int, content: str = QUESTION, prefix: str = "", **sampling: Any) -> Job:
    """A job of n samples."""
    settings = Sampling(**{"max_tokens": 80, "seed": 11, "temperature": 0.8} | sampling)
    messages = (Message(role="user", content=content),)
    return Job(
        job_id="j", answer_id="a", model="m", messages=messages, sampling=settings, first=0, last=n, prefix=prefix
    )


async def draw(backend: TorchBackend, asked: Job) -> list[Sample]:
    """The samples by index."""
    samples = [sample async for sample in backend.sample(asked, tuple(range(asked.first, asked.last)))]
    return sorted(samples, key=lambda sample: sample.index)
