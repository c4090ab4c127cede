"""The torch engine on a random Llama: samples that join and leave, prompts that are shared, memory, health."""

import asyncio
import itertools
import math
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch

from tests import torch_jobs
from tests.conftest import wait_until
from tests.tiny_model import make_tiny_model
from tests.torch_jobs import draw, reread
from workers.abacus.problems import draw_distinct
from workers.abacus.train import MODEL as ABACUS
from workers.backends.base import BackendError
from workers.backends.torch_local import attention, reader
from workers.backends.torch_local.backend import TorchBackend
from workers.backends.torch_local.batch import Batch
from workers.backends.torch_local.model import LoadedModel, load
from workers.backends.torch_local.reader import KnownPrompts, common
from workers.wire.messages import FailureKind, FinishReason, Job, Sample

WORDS = ["a", "cat", "and", "a", "dog", "had", "12", "apples", "or", "34", "pears", "to", "sell", "for", "5", "coins"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder whose completions end early now and then; grouped heads, as most models have."""
    return make_tiny_model(tmp_path_factory.mktemp("tiny"), hidden=64, layers=2, max_positions=2048, likely_end=1.0)


@pytest.fixture
async def backend(folder: Path) -> AsyncIterator[TorchBackend]:
    """A started backend on one thread."""
    made = TorchBackend(str(folder), "cpu", threads=1)
    await made.start()
    yield made
    await made.close()


def job(n: int, content: str = "What is 12 + 34?", **sampling: Any) -> Job:
    """A job of n samples."""
    return torch_jobs.job(n, content, **{"max_tokens": 40, "temperature": 1.0} | sampling)


def mixed_jobs(seed: int, count: int) -> list[Job]:
    """Jobs of different n, lengths and settings; some prompts begin alike, some are equal."""
    rng = Random(seed)
    jobs = []
    for _ in range(count):
        words = WORDS * 3 if rng.random() < 0.3 else rng.choices(WORDS, k=rng.choice((3, 30, 90, 400)))
        jobs.append(
            job(
                rng.choice((1, 2, 5, 9)),
                " ".join(words),
                temperature=rng.choice((0.0, 0.7, 1.3)),
                top_p=rng.choice((1.0, 0.9)),
                top_k=rng.choice((None, 20)),
                max_tokens=rng.randint(1, 60),
                seed=rng.randrange(1000),
                stop=rng.choice(((), ("7",))),
            )
        )
    return jobs


async def test_a_sample_is_the_same_whatever_joins_or_leaves(backend: TorchBackend) -> None:
    """Alone, beside jobs that come at any time, and beside jobs that are cancelled at any time."""
    jobs = mixed_jobs(seed=1, count=24)
    alone = [await draw(backend, asked) for asked in jobs]
    rng = Random(2)

    async def late(asked: Job) -> list[Sample]:
        await asyncio.sleep(rng.random() * 0.3)
        return await draw(backend, asked)

    async def cut_short(asked: Job) -> None:
        await asyncio.sleep(rng.random() * 0.3)
        async with aclosing(backend.sample(asked, tuple(range(asked.last)))) as samples:
            await anext(samples)

    strangers = [asyncio.create_task(cut_short(asked)) for asked in mixed_jobs(seed=3, count=12)]
    together = await asyncio.gather(*(late(asked) for asked in jobs))
    await asyncio.gather(*strangers)
    for once, again in zip(alone, together, strict=True):
        assert [(s.text, s.finish_reason, s.completion_tokens) for s in once] == [
            (s.text, s.finish_reason, s.completion_tokens) for s in again
        ]


async def test_abacus_greedy_is_transformers_greedy_on_200_prompts() -> None:
    """Each drawn token is the likeliest that transformers' own forward pass has at its place."""
    backend = TorchBackend(str(ABACUS), "cpu", threads=1)
    await backend.start()
    questions = [problem.question for problem in draw_distinct(Random(5), 200)]
    drawn = await asyncio.gather(*(draw(backend, job(1, q, temperature=0, max_tokens=120)) for q in questions))
    await backend.close()
    model = load(ABACUS, "cpu")
    plain = type(model.network).from_pretrained(ABACUS, dtype=torch.float32).eval()
    for question, (sample,) in zip(questions, drawn, strict=True):
        written, logits = reread(model, plain, question, sample)
        assert logits.argmax(-1).tolist() == written


async def test_a_cancelled_sample_takes_part_in_no_later_step(
    backend: TorchBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Single samples of a job too: the step under way is its last; the others come."""
    seen: list[set[int]] = []
    forward = Batch.forward

    def noted(self: Batch) -> None:
        seen.append({row.index for row in self.rows})
        forward(self)

    monkeypatch.setattr(Batch, "forward", noted)
    asked = job(6, max_tokens=400, logit_bias=((0, -100.0),))
    samples = backend.sample(asked, tuple(range(6)))
    first = asyncio.create_task(anext(samples))
    await asyncio.to_thread(wait_until, lambda: len(seen) >= 10, "ten steps")
    backend.cancel(asked.job_id, (1, 4))
    at = len(seen)
    found = [await first] + [sample async for sample in samples]
    assert all(not {1, 4} & rows for rows in seen[at + 1 :])
    reasons = {sample.index: sample.finish_reason for sample in found}
    assert reasons == {index: FinishReason.CANCELLED if index in (1, 4) else FinishReason.LENGTH for index in range(6)}
    assert all(sample.completion_tokens >= 9 for sample in found)  # what a cancelled one had drawn was spent


async def test_memory_is_given_back(backend: TorchBackend) -> None:
    """After many jobs, a third of them cancelled on the way, only the kept prompts are left."""
    rng = Random(4)

    async def one(asked: Job) -> None:
        async with aclosing(backend.sample(asked, tuple(range(asked.last)))) as samples:
            async for _ in samples:
                if rng.random() < 0.2:
                    return

    for _ in range(6):
        await asyncio.gather(*(one(asked) for asked in mixed_jobs(seed=rng.randrange(1000), count=20)))
    await draw(backend, job(1, max_tokens=1))
    await asyncio.sleep(0.05)
    scheduler = backend._engine.scheduler
    assert scheduler is not None
    assert scheduler.idle
    assert (scheduler._batch.rows, scheduler._batch.bytes, scheduler._shelves.bytes) == ([], 0, 0)
    assert list(scheduler._shelves) == []
    assert backend.facts.cache_bytes == scheduler._reader.bytes <= backend.facts.cache_limit // 8


async def test_a_long_prompt_is_read_in_pieces_between_steps(
    backend: TorchBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No piece is longer than a chunk, others' samples go on in between, and the outcome is that of one piece."""
    asked = job(3, " ".join(WORDS * 20), max_tokens=20)
    whole = await draw(backend, asked)
    shapes: list[tuple[int, int]] = []
    forward = LoadedModel.forward

    def noted(self: LoadedModel, ids: torch.Tensor, *given: Any) -> torch.Tensor:
        shapes.append((ids.shape[0], ids.shape[1]))
        return forward(self, ids, *given)

    monkeypatch.setattr(LoadedModel, "forward", noted)
    monkeypatch.setattr(reader, "CHUNK", 64)
    monkeypatch.setattr(KnownPrompts, "longest", lambda *_: (None, 0))
    other = asyncio.create_task(draw(backend, job(2, max_tokens=300, logit_bias=((0, -100.0),))))
    await asyncio.sleep(0.05)
    pieces = await draw(backend, asked)
    other.cancel()
    assert [sample.text for sample in pieces] == [sample.text for sample in whole]
    lengths = [tokens for _, tokens in shapes]
    assert max(lengths) == 64
    reading = [place for place, tokens in enumerate(lengths) if tokens == 64]
    assert all(later - earlier >= 2 for earlier, later in itertools.pairwise(reading))


async def test_a_known_beginning_is_not_read_again(backend: TorchBackend) -> None:
    """A second question after the same text reads only what is new, and is answered as without that."""
    text, asked = " ".join(WORDS * 5), []
    for ending in ("Who?", "Who has them?"):
        asked.append(job(4, f"{text} {ending}"))
    await draw(backend, asked[0])
    reused, read = backend.facts.reused_tokens, backend.facts.read_tokens
    second = await draw(backend, asked[1])
    assert backend.facts.reused_tokens - reused > 90
    assert backend.facts.read_tokens - read < 20
    backend._engine.scheduler._reader.forget()  # type: ignore[union-attr]
    assert [sample.text for sample in await draw(backend, asked[1])] == [sample.text for sample in second]


def test_how_far_two_prompts_are_alike() -> None:
    """The length of the common beginning."""
    pairs = [((1, 2, 3), (1, 2, 4)), ((1, 2), (1, 2, 3)), ((1,), (2,)), ((), (1,)), ((5, 6), (5, 6))]
    assert [common(*pair) for pair in pairs] == [2, 2, 0, 0, 2]


async def test_a_small_job_does_not_wait_for_a_large_ones_end(folder: Path) -> None:
    """Also where the large one has taken all rows."""
    backend = TorchBackend(str(folder), "cpu", threads=1, capacity_samples=4)
    await backend.start()
    endless = ((0, -100.0),)
    large = asyncio.create_task(draw(backend, job(12, max_tokens=300, logit_bias=endless)))
    await asyncio.sleep(0.1)
    small = await draw(backend, job(2, "And 1 + 1?", max_tokens=5))
    assert not large.done()
    assert len(small) == 2
    assert [sample.completion_tokens for sample in await large] == [300] * 12
    await backend.close()


async def test_little_memory_makes_samples_wait_and_never_fail(folder: Path, backend: TorchBackend) -> None:
    """They are the samples of ample memory; what can never fit is a typed failure."""
    jobs = [job(8, f"What is {number} + 34?", max_tokens=200, seed=number) for number in range(4)]
    ample = [await draw(backend, asked) for asked in jobs]
    tight = TorchBackend(str(folder), "cpu", threads=1, cache_mb=1)
    await tight.start()
    found = await asyncio.gather(*(draw(tight, asked) for asked in jobs))
    assert [[s.text for s in samples] for samples in found] == [[s.text for s in samples] for samples in ample]
    assert tight.facts.restarted_samples > 0
    assert tight.facts.cache_bytes <= tight.facts.cache_limit == 1 << 20
    (sample,) = await draw(tight, job(1, " ".join(WORDS * 25)))
    assert sample.failure is not None
    assert sample.failure.kind is FailureKind.OUT_OF_MEMORY
    assert len(await draw(tight, jobs[0])) == 8
    await tight.close()


async def test_a_model_that_gives_no_numbers_again_and_again_is_unhealthy(
    backend: TorchBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One bad sample is a failed sample; three in a row are a broken model."""
    assert await backend.healthy()
    forward = LoadedModel.forward

    def poisoned(self: LoadedModel, ids: torch.Tensor, *given: Any) -> torch.Tensor:
        return forward(self, ids, *given) * (math.nan if ids.shape[1] == 1 else 1.0)

    monkeypatch.setattr(LoadedModel, "forward", poisoned)
    (sample,) = await draw(backend, job(1, logit_bias=((0, -100.0),)))
    assert sample.failure is not None
    assert await backend.healthy()
    await draw(backend, job(2, logit_bias=((0, -100.0),)))
    assert not await backend.healthy()
    with pytest.raises(BackendError):
        await draw(backend, job(1))


async def test_an_idle_engine_shows_its_health_by_a_forward_pass(
    backend: TorchBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by being alive."""
    backend.facts.last_forward = -math.inf
    assert await backend.healthy()
    assert backend.facts.last_forward > 0
    monkeypatch.setattr(LoadedModel, "forward", lambda *_: 1 / 0)
    backend.facts.last_forward = -math.inf
    assert not await backend.healthy()


async def test_an_idle_engine_whose_model_gives_no_numbers_is_broken(
    backend: TorchBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No sample is needed to find that out."""
    forward = LoadedModel.forward
    monkeypatch.setattr(LoadedModel, "forward", lambda *given: forward(*given) * math.nan)
    for _ in range(3):
        assert backend.broken() is None
        backend.facts.last_forward = -math.inf
        assert not await backend.healthy()
    assert backend.broken() is not None


async def test_prompts_that_do_not_fit_together_are_read_one_by_one(
    backend: TorchBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of them fails, and what they lead to is what they lead to alone."""
    jobs = [job(2, f"What is {number} + 34?", seed=number) for number in range(6)]
    alone = [await draw(backend, asked) for asked in jobs]
    backend._engine.scheduler._reader.forget()  # type: ignore[union-attr]
    forward = LoadedModel.forward

    def small(self: LoadedModel, ids: torch.Tensor, *given: Any) -> torch.Tensor:
        if ids.shape[1] > 1 and len(ids) > 1:
            raise torch.OutOfMemoryError("told so")
        return forward(self, ids, *given)

    monkeypatch.setattr(LoadedModel, "forward", small)
    together = await asyncio.gather(*(draw(backend, asked) for asked in jobs))
    assert [[s.text for s in samples] for samples in together] == [[s.text for s in samples] for samples in alone]


async def test_a_prompt_that_cannot_be_made_into_tokens_fails_alone(
    backend: TorchBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What runs beside it goes on."""
    prompt_ids = LoadedModel.prompt_ids

    def failing(self: LoadedModel, messages: Any, prefix: str = "") -> list[int]:
        if messages[-1].content == "boom":
            raise OverflowError("quotes the prompt")
        return prompt_ids(self, messages, prefix)

    monkeypatch.setattr(LoadedModel, "prompt_ids", failing)
    going = asyncio.create_task(draw(backend, job(2, max_tokens=200)))
    await asyncio.sleep(0.05)
    with pytest.raises(BackendError) as caught:
        await draw(backend, job(1, "boom"))
    assert (caught.value.kind, caught.value.detail) == (FailureKind.INTERNAL, "OverflowError")
    assert all(sample.failure is None for sample in await going)


def test_both_ways_to_attend_to_a_part_agree() -> None:
    """The kernel that a CPU has, and plain products for every other device; hidden keys count in neither."""
    generator = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(3, 2, size, 16, generator=generator) for size in (5, 9, 9))
    mask = torch.zeros(3, 1, 1, 9).masked_fill_(
        torch.arange(9) >= torch.tensor([9, 4, 1])[:, None, None, None], -torch.inf
    )
    for hidden in (None, mask):
        out, normaliser = attention.part(query, key, value, hidden, 0.25)
        wider = torch.cat([value, torch.zeros(3, 2, 9, 1)], dim=-1)  # another width than the key's: plain products
        plain, plain_normaliser = attention.part(query, key, wider, hidden, 0.25)
        assert torch.allclose(out, plain[..., :16], atol=1e-6)
        assert torch.allclose(normaliser, plain_normaliser, atol=1e-6)


def test_two_parts_joined_are_attention_to_both() -> None:
    """Split anywhere, it is the attention over all keys."""
    generator = torch.Generator().manual_seed(1)
    query, key, value = (torch.randn(2, 3, size, 8, generator=generator) for size in (4, 11, 11))
    whole, _ = attention.part(query, key, value, None, 0.3)
    for split in (1, 5, 10):
        parts = [
            attention.part(query, key[:, :, at], value[:, :, at], None, 0.3)
            for at in (slice(split), slice(split, None))
        ]
        assert torch.allclose(attention.join(*parts), whole, atol=1e-6)
