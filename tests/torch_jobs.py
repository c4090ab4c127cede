"""Jobs for the torch engine's tests, and their samples in order."""

from typing import Any

import torch

from workers.backends.torch_local.backend import TorchBackend
from workers.backends.torch_local.model import LoadedModel
from workers.wire.messages import FinishReason, Job, Message, Sample, Sampling

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


def reread(model: LoadedModel, plain: Any, question: str, sample: Sample) -> tuple[list[int], torch.Tensor]:
    """The tokens of a sample, its end included, and the logits that transformers' own pass has at their places."""
    prompt = model.prompt_ids((Message(role="user", content=question),))
    written = list(model.ids(sample.text))
    if sample.finish_reason is FinishReason.STOP:
        written.append(model.tokenizer.eos_token_id)
    assert len(written) == sample.completion_tokens
    with torch.inference_mode():
        return written, plain(torch.tensor([prompt + written])).logits[0, len(prompt) - 1 : -1]
