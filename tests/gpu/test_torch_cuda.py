"""The torch engine on a GPU, with the shipped model: what it computes, what a cancellation frees, what memory is left.

On a GPU the engine computes in bfloat16. `python -m pytest tests/gpu` runs these; `make test` leaves them out.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from random import Random
from typing import Any

import pytest
import torch

from tests.torch_jobs import draw, job, reread
from workers.abacus.problems import draw_distinct
from workers.abacus.train import MODEL as ABACUS
from workers.backends.torch_local.backend import TorchBackend
from workers.backends.torch_local.drawing import Drawing
from workers.backends.torch_local.layout import Step
from workers.backends.torch_local.model import load
from workers.backends.torch_local.passes import Decoding
from workers.backends.torch_local.recording import Recorded, Recorder, Steps, _RecordedStep
from workers.backends.torch_local.sampling import Draw
from workers.wire.messages import Sample, Sampling

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(600)]

DEVICE = "cuda"
CACHE_MB = 64
_BEGIN_AT = Decoding.begin_at
NEAR = 0.05
"""By how much, as a share of the largest logit, bfloat16 may be off: the bound that the engine holds itself to."""


@pytest.fixture
async def backend() -> AsyncIterator[TorchBackend]:
    """The shipped model on the GPU, with a small cache."""
    made = TorchBackend(str(ABACUS), DEVICE, cache_mb=CACHE_MB)
    await made.start()
    yield made
    await made.close()


def questions(count: int) -> list[str]:
    """Held-out problems of a seed of their own."""
    return [problem.question for problem in draw_distinct(Random(77), count)]


async def test_greedy_on_the_gpu_is_greedy_on_the_cpu(backend: TorchBackend) -> None:
    """Each token that is drawn in bfloat16 is, in float32 on the CPU, the likeliest or within NEAR of it; the mean
    log probability is the CPU's to 0.05 nats."""
    asked = questions(24)
    drawn = await asyncio.gather(*(draw(backend, job(1, q, temperature=0, max_tokens=120)) for q in asked))
    model = load(ABACUS, "cpu")
    plain = type(model.network).from_pretrained(ABACUS, dtype=torch.float32).eval()
    for question, (sample,) in zip(asked, drawn, strict=True):
        written, logits = reread(model, plain, question, sample)
        chosen = logits.gather(-1, torch.tensor(written).unsqueeze(-1)).squeeze(-1)
        assert bool((logits.amax(-1) - chosen <= NEAR * logits.abs().amax(-1)).all()), question
        mean = logits.log_softmax(-1).gather(-1, torch.tensor(written).unsqueeze(-1)).mean().item()
        assert sample.statistics.mean_logprob == pytest.approx(mean, abs=0.05)


async def test_a_seed_draws_the_same_again(backend: TorchBackend) -> None:
    """One question, one seed, twice: the same completions, which are not all alike."""
    once, again = [await draw(backend, job(8, questions(1)[0], temperature=1.0, seed=5)) for _ in range(2)]
    assert [sample.text for sample in once] == [sample.text for sample in again]
    assert len({sample.text for sample in once}) > 1


async def test_a_cancelled_job_leaves_the_batch_and_others_go_on(backend: TorchBackend) -> None:
    """Its rows are gone long before they could have ended; what runs beside it comes whole."""
    endless = job(32, questions(1)[0], temperature=1.0, max_tokens=400, logit_bias=((_end(), -100.0),))
    other = asyncio.create_task(draw(backend, job(4, questions(2)[1], max_tokens=120)))
    async with aclosing(backend.sample(endless, tuple(range(32)))) as samples:
        waiting = asyncio.create_task(_next(samples))
        await _until(lambda: backend.facts.rows >= 32)
        waiting.cancel()
        await asyncio.wait({waiting})
    assert all(sample.failure is None and sample.text for sample in await other)
    await _until(lambda: backend.facts.rows == 0)


async def test_memory_is_given_back(backend: TorchBackend) -> None:
    """A hundred jobs of all lengths, a third of them given up on the way: keys and values stay within their bound,
    and afterwards the GPU holds what it held, but for the kept prompts."""
    rng = Random(4)

    async def one(question: str) -> None:
        asked = job(rng.choice((1, 4, 16)), question, max_tokens=rng.choice((8, 60, 120)), temperature=1.0)
        async with aclosing(backend.sample(asked, tuple(range(asked.last)))) as samples:
            async for _ in samples:
                assert backend.facts.cache_bytes <= backend.facts.cache_limit == CACHE_MB << 20
                if rng.random() < 0.1:
                    return

    async def round_of(count: int) -> int:
        await asyncio.gather(*(one(question) for question in questions(count)))
        await _until(lambda: backend.facts.rows == 0)
        await draw(backend, job(1, max_tokens=1))
        return torch.cuda.memory_allocated() if DEVICE == "cuda" else 0

    first = await round_of(25)
    for _ in range(3):
        last = await round_of(25)
    assert last <= first + (CACHE_MB << 20) // 8


def _end() -> int:
    """The token that ends a completion."""
    return int(load(ABACUS, "cpu").tokenizer.eos_token_id)


async def _next(samples: AsyncIterator[Sample]) -> Sample:
    return await anext(samples)


async def _until(met: object, seconds: float = 20.0) -> None:
    assert callable(met)
    async with asyncio.timeout(seconds):
        while not met():  # noqa: ASYNC110  # the engine's thread sets no event
            await asyncio.sleep(0.005)


async def test_steps_are_recorded_and_draw_what_plain_ones_draw(
    backend: TorchBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Most steps are recorded, also while rows leave; a model that cannot be gives the same, all but rounding."""
    runs = 0
    run = _RecordedStep.run

    def counted(self: _RecordedStep, *given: Any) -> torch.Tensor:
        nonlocal runs
        runs += 1
        return run(self, *given)

    monkeypatch.setattr(_RecordedStep, "run", counted)
    asked = [job(3, question, temperature=0, max_tokens=60) for question in questions(4)]
    asked += [job(16, question, temperature=1.0, max_tokens=120, top_p=0.98) for question in questions(2)]
    steps = backend.facts.steps
    recorded = [await draw(backend, each) for each in asked]
    assert runs > 0.7 * (backend.facts.steps - steps)
    plain = TorchBackend(str(ABACUS), DEVICE, cache_mb=CACHE_MB)
    monkeypatch.setattr(Decoding, "begin_at", _stops)
    await plain.start()
    before = runs
    others = [await draw(plain, each) for each in asked[:4]]
    await plain.close()
    assert runs == before
    same = [a.text == b.text for one, two in zip(recorded, others, strict=False) for a, b in zip(one, two, strict=True)]
    assert sum(same) >= len(same) - 3


def _stops(self: Decoding, places: torch.Tensor, *given: Any) -> Step:
    """What a model does that waits for the device in the middle of a step."""
    step = _BEGIN_AT(self, places, *given)
    places.tolist()
    return step


class Behind(Steps):
    """Every draw is recorded when it is asked for first."""

    def __init__(self) -> None:
        self._recorder = Recorder(torch.device(DEVICE))
        self.made: dict[object, Recorded] = {}

    def behind(self, logits: torch.Tensor, what: object, given: torch.Tensor, work: Any) -> torch.Tensor:
        """Records and runs."""
        if what not in self.made:
            self.made[what] = self._recorder.record(given, lambda inputs: work(logits, inputs))
        return self.made[what].run(given)


@pytest.mark.parametrize("statistics", [True, False])
def test_a_recorded_draw_is_the_plain_one(statistics: bool) -> None:
    """Rows of all settings, a top_p that is in sight and one that is not, other logits and numbers each time."""
    asked = [
        Sampling(temperature=0),
        Sampling(temperature=1.0),
        Sampling(temperature=0.7, top_k=40, top_p=0.9),
        Sampling(temperature=1.0, top_p=0.95),
        Sampling(temperature=1.3, min_p=0.05, logit_bias=((7, 3.0),)),
    ]
    rng = Random(3)
    logits = torch.empty((len(asked), 32_000), device=DEVICE)
    settings = Draw(asked, 32_000, logits.device)
    steps = Behind()
    recorded, plain = Drawing(steps, logits.device), Drawing(_Nothing(), logits.device)
    with torch.inference_mode():
        for scale in (8.0, 5.0, 0.1, 3.0):
            logits.copy_(torch.randn(logits.shape) * scale)
            uniforms = [rng.random() for _ in asked]
            found = recorded.numbers(settings, logits, uniforms, statistics=statistics)
            expected = plain.numbers(settings, logits, uniforms, statistics=statistics)
            assert [row[0] for row in found] == [row[0] for row in expected]
            assert torch.allclose(torch.tensor(found), torch.tensor(expected), rtol=1e-4)
    assert len(steps.made) == 1


class _Nothing(Steps):
    """Nothing is recorded."""

    def __init__(self) -> None:
        pass

    def behind(self, *_: Any) -> None:
        """Plainly."""
