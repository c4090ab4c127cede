"""The systems that `conclave bench engine` compares, each as one coroutine: draw n samples after these token ids."""

import asyncio
import contextlib
import dataclasses
import datetime
import logging
import os
import platform
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoModelForCausalLM, GenerationConfig, LlamaConfig, LlamaForCausalLM
from transformers.generation.configuration_utils import ContinuousBatchingConfig

from workers.backends.torch_local.bench_vllm import vllm_system
from workers.backends.torch_local.engine import Engine
from workers.backends.torch_local.model import LoadedModel, adopt
from workers.backends.torch_local.rows import Order
from workers.backends.torch_local.scheduler import Limits
from workers.wire.messages import Job, Message, Sample, Sampling

Draws = Callable[[list[int], int, int], Awaitable[None]]

TEMPERATURE = 0.8
_ABACUS = Path(__file__).resolve().parents[2] / "abacus" / "model"
CACHE = 6 << 30
"""Bytes of keys and values that the engine may have."""
_VLLM_CACHE = 2 << 30
"""vLLM takes its cache before the first question; this is enough for every cell."""
ROWS = 128
"""Rows that the engine decodes together, as the backend's default."""


def machine(device: str) -> str:
    """One line on what is measured on."""
    if on_gpu(device):
        place = torch.cuda.get_device_name()
    else:
        place = (
            f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads"
        )
    versions = f"torch {torch.__version__}, transformers {transformers.__version__}"
    return f"{datetime.date.today().isoformat()}, {place}, {versions}"


def on_gpu(device: str) -> bool:
    """True where the models run on a GPU."""
    return device != "cpu" and torch.cuda.is_available()


class _NoText:
    """Stands in for a tokenizer: nothing is turned into text, and no token ends a completion."""

    chat_template = None
    eos_token_id = None
    all_special_tokens: tuple[str, ...] = ()

    def decode(self, ids: Sequence[int], **_: object) -> str:
        return ""


class _Spelled(LoadedModel):
    """A loaded model whose prompts are the token ids that the message spells."""

    def prompt_ids(self, messages: Sequence[Message], prefix: str = "") -> list[int]:
        return [int(each) for each in messages[-1].content.split()]


def _place(device: str) -> torch.device:
    return torch.device(("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device)


def network(name: str, device: torch.device) -> Any:
    """Abacus, a random Llama of 100 million parameters, or the model in a folder."""
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    if name == "llama100m":
        torch.manual_seed(0)
        config = LlamaConfig(
            vocab_size=32_000,
            hidden_size=768,
            intermediate_size=2_048,
            num_hidden_layers=12,
            num_attention_heads=12,
            num_key_value_heads=4,
            max_position_embeddings=4_096,
            tie_word_embeddings=True,
        )
        return LlamaForCausalLM(config).to(device=device, dtype=dtype).eval()
    folder = _ABACUS if name == "abacus" else Path(name)
    return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, local_files_only=True).to(device).eval()


@contextlib.asynccontextmanager
async def systems(
    name: str, others: Sequence[str], device: str, threads: int | None, vllm: Path | None = None
) -> AsyncIterator[tuple[dict[str, Draws], Engine]]:
    """The engine and the others asked for, each with weights of its own; `vllm` names the interpreter for that one."""
    place = _place(device)
    logging.getLogger("transformers").setLevel(logging.ERROR)
    made: dict[str, Draws] = {}
    async with contextlib.AsyncExitStack() as stack:
        for other in others:
            if other == "generate":
                made[other] = partial(_generate, _endless(network(name, place)))
            elif other == "batching":
                made[other] = stack.enter_context(_batching(_endless(network(name, place))))
            elif other == "vllm" and vllm is not None:
                served = vllm_system(vllm, network(name, torch.device("cpu")), threads, _VLLM_CACHE, TEMPERATURE)
                made[other] = await stack.enter_async_context(served)
        engine = await stack.enter_async_context(started(name, device, threads))
        yield made | {"engine": partial(_drawn, engine)}, engine


def _endless(model: Any) -> Any:
    model.generation_config.eos_token_id = None
    model.config.eos_token_id = None
    model.generation_config.pad_token_id = 0
    return model


async def _generate(model: Any, prompt: list[int], n: int, tokens: int) -> None:
    """transformers' `generate` with `num_return_sequences`."""
    ids = torch.tensor([prompt], device=model.device)
    with torch.inference_mode():
        out = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=True,
            temperature=TEMPERATURE,
            top_k=0,
            num_return_sequences=n,
            max_new_tokens=tokens,
        )
    if out.shape != (n, len(prompt) + tokens):
        raise RuntimeError(f"generate gave {tuple(out.shape)}")


@contextlib.contextmanager
def _batching(model: Any) -> Iterator[Draws]:
    """transformers' continuous batching as it is, its manager kept from one question to the next."""
    settings = GenerationConfig(do_sample=True, temperature=TEMPERATURE, top_k=0, eos_token_id=-1, pad_token_id=0)
    pages = ContinuousBatchingConfig(page_size=64, num_blocks=1_024, max_batch_tokens=2_048)
    manager = model.init_continuous_batching(generation_config=settings, continuous_batching_config=pages)
    manager.start()

    async def draw(prompt: list[int], n: int, tokens: int) -> None:
        manager.num_return_sequences = n
        manager.add_request(prompt, max_new_tokens=tokens)
        for _ in range(n):
            result = manager.get_result(timeout=600)
            if result is None or len(result.generated_tokens) != tokens:
                raise RuntimeError("continuous batching did not draw what it was asked for")

    try:
        yield draw
    finally:
        manager.stop(block=True)


def spelled(name: str, device: str) -> LoadedModel:
    """A model whose prompts are token ids, which has no end token and states no longest context."""
    model = adopt(network(name, _place(device)), _NoText())
    fields = {each.name: getattr(model, each.name) for each in dataclasses.fields(model)}
    return _Spelled(**(fields | {"ends": frozenset(), "max_positions": None}))


@contextlib.asynccontextmanager
async def started(name: str, device: str, threads: int | None, *, rows: int = ROWS) -> AsyncIterator[Engine]:
    """An engine as long as the context."""
    engine = Engine(partial(spelled, name, device), threads, lambda _: Limits(rows, CACHE))
    await engine.start()
    try:
        yield engine
    finally:
        await asyncio.to_thread(engine.stop)


async def _drawn(engine: Engine, prompt: list[int], n: int, tokens: int) -> None:
    """The engine, asked as the worker asks it."""
    await ask(engine, prompt, n, Sampling(temperature=TEMPERATURE, max_tokens=tokens))


def ordered(prompt: Sequence[int], n: int, sampling: Sampling) -> Order:
    """An order of n samples of one prompt, for the loop that runs."""
    message = Message(role="user", content=" ".join(map(str, prompt)))
    job = Job(job_id="j", answer_id="a", model="m", messages=(message,), sampling=sampling, first=0, last=n)
    return Order(job, tuple(range(n)), 1, asyncio.get_running_loop())


async def ask(engine: Engine, prompt: Sequence[int], n: int, sampling: Sampling) -> None:
    """Draws n samples and waits for the last."""
    order = ordered(prompt, n, sampling)
    engine.submit(order)
    for _ in range(n):
        item = await order.inbox.get()
        if not isinstance(item, Sample) or item.failure is not None or item.completion_tokens != sampling.max_tokens:
            raise RuntimeError(f"the engine gave {item}")
