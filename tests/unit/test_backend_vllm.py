"""The vllm backend without vLLM: what it asks for, what it makes of the outputs, what it says where vLLM is missing."""

import asyncio
import math
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from service.settings import child_environment
from workers.backends import BackendSettings, make_backend
from workers.backends.base import Backend, BackendError
from workers.backends.vllm_local.backend import VLLMBackend
from workers.backends.vllm_local.completions import sample_of
from workers.backends.vllm_local.options import EngineOptions
from workers.backends.vllm_local.translation import translate
from workers.wire.messages import (
    Caution,
    ConfidenceCut,
    FailureKind,
    FinishReason,
    Job,
    Message,
    Probe,
    Sample,
    Sampling,
)

ENDS = frozenset({90, 99})


def flat(places: Sequence[Sequence[float]]) -> SimpleNamespace:
    """FlatLogprobs: at each place the drawn token's logprob and then the likeliest."""
    starts = [sum(map(len, places[:number])) for number in range(len(places))]
    ends = [start + len(place) for start, place in zip(starts, places, strict=True)]
    return SimpleNamespace(
        start_indices=starts, end_indices=ends, logprobs=[each for place in places for each in place]
    )


def output(ids: Sequence[int], reason: str | None = "stop", stop: str | int | None = None, **more: Any) -> Any:
    """A finished RequestOutput."""
    fields = {"text": "", "token_ids": list(ids), "logprobs": None, "finish_reason": reason, "stop_reason": stop}
    return SimpleNamespace(outputs=[SimpleNamespace(**{**fields, **more})], finished=True)


def spell(ids: Any) -> str:
    """Token ids as text."""
    return " ".join(map(str, ids))


class FakeEngine:
    """Stands in for vLLM: each sample is its seed's parity away from an end; `broken` seeds fail, `slow` ones wait."""

    ends, vocabulary, max_positions = ENDS, 100, 64

    def __init__(self) -> None:
        self.asked: dict[str, Mapping[str, Any]] = {}
        self.begun: list[str] = []
        self.aborted: list[str] = []
        self.broken: set[int] = set()
        self.slow: set[int] = set()
        self.dead = False

    def prompt_ids(self, messages: Sequence[Message], prefix: str) -> list[int]:
        """A token a word."""
        self.begun.append(prefix)
        return list(range(len(f"{messages[-1].content} {prefix}".split())))

    def space_after(self, prefix: str) -> str:
        """Spaces are at the beginning of a token, but behind "is"."""
        return " " if prefix.endswith("is") else ""

    async def draw(self, ids: Sequence[int], parameters: Mapping[str, Any], request_id: str) -> Any:
        """A completion that spells the seed."""
        self.asked[request_id] = parameters
        await asyncio.sleep(60 if parameters["seed"] in self.slow else 0)
        if self.dead or parameters["seed"] in self.broken:
            raise RuntimeError("the prompt was: secret")
        return output([parameters["seed"], 99], logprobs=flat([[-1.0, -0.5, -1.5], [-3.0, -2.0, -4.0]]))

    def text(self, ids: Any) -> str:
        """As `spell`."""
        return spell(ids)

    async def abort(self, request_ids: Sequence[str]) -> None:
        """Noted."""
        self.aborted += request_ids

    async def check_health(self) -> None:
        """As told."""
        if self.dead:
            raise RuntimeError("dead")

    def shut_down(self) -> None:
        """Dead from now on."""
        self.dead = True


async def idle_for(seconds: float) -> VLLMBackend:
    """A backend whose last sample came so long ago."""
    backend = VLLMBackend("x", EngineOptions(rows=2))
    await backend.start()
    backend._last_pass -= seconds
    return backend


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """What `open_engine` gives."""
    made = FakeEngine()
    module = SimpleNamespace(open_engine=lambda folder, options: made)
    monkeypatch.setitem(sys.modules, "workers.backends.vllm_local.engine", module)  # type: ignore[arg-type]  # a stand-in
    return made


def job(content: str = "What is 1 + 1?", n: int = 4, prefix: str = "", **sampling: Any) -> Job:
    """A job of n samples."""
    message = Message(role="user", content=content)
    settings = Sampling(**{"seed": 5, "max_tokens": 20, **sampling})
    return Job(
        job_id="j", answer_id="a", model="m", messages=(message,), prefix=prefix, sampling=settings, first=0, last=n
    )


async def draw(backend: Backend, asked: Job, indices: tuple[int, ...] = (0, 1, 2, 3)) -> list[Sample]:
    """The samples by index."""
    return sorted([sample async for sample in backend.sample(asked, indices)], key=lambda sample: sample.index)


async def started(engine: FakeEngine) -> VLLMBackend:
    """A backend on the fake."""
    backend = VLLMBackend("x", EngineOptions())
    await backend.start()
    return backend


def test_a_jobs_settings_become_sampling_parameters() -> None:
    """Each by its name there, `max_tokens` within the context, the seed of the sample, and raw top-20 logprobs."""
    sampling = {"temperature": 0.7, "top_p": 0.9, "top_k": 40, "min_p": 0.05, "stop": ("\n\n",), "max_tokens": 500}
    call = translate(job(prefix="so far", logit_bias=((3, -1.5),), **sampling), 5, FakeEngine())
    assert call.ids == tuple(range(7))
    assert call.of(2) == {
        "temperature": 0.7,
        "top_p": 0.9,
        "top_k": 40,
        "min_p": 0.05,
        "max_tokens": 64 - 7,
        "stop": ["\n\n"],
        "stop_token_ids": [90, 99],
        "logit_bias": {3: -1.5},
        "logprobs": 20,
        "flat_logprobs": True,
        "detokenize": True,
        "skip_special_tokens": True,
        "spaces_between_special_tokens": False,
        "seed": 7,
    }
    plain = translate(job(), 2**63 - 1, FakeEngine()).of(1)
    assert [plain[name] for name in ("top_k", "min_p", "max_tokens", "logit_bias", "detokenize", "seed")] == [
        0,
        0.0,
        20,
        None,
        False,
        0,
    ]


@pytest.mark.parametrize(
    ("sampling", "said"),
    [
        ({"options": ("a",)}, "options"),
        ({"cut": ConfidenceCut(bar=1.0)}, "cut"),
        ({"caution": Caution()}, "caution"),
        ({"probe": Probe()}, "probes"),
        ({"end_at_answer": True, "temperature": 2.1}, "no end_at_answer and no a temperature above 2"),
        ({"logit_bias": ((100, 1.0),)}, "no token 100"),
    ],
)
def test_what_vllm_lacks_is_refused(sampling: dict[str, Any], said: str) -> None:
    """With its name."""
    with pytest.raises(BackendError, match=said) as caught:
        translate(job(**sampling), 0, FakeEngine())
    assert caught.value.kind is FailureKind.UNSUPPORTED


def test_a_prompt_needs_tokens_and_room() -> None:
    """No token is unsupported, no room for one more is an overflow."""
    with pytest.raises(BackendError) as caught:
        translate(job(""), 0, FakeEngine())
    assert caught.value.kind is FailureKind.UNSUPPORTED
    with pytest.raises(BackendError) as caught:
        translate(job("a " * 64), 0, FakeEngine())
    assert caught.value.kind is FailureKind.CONTEXT_OVERFLOW
    assert translate(job("a " * 63), 0, FakeEngine()).parameters["max_tokens"] == 1


def test_statistics_are_of_the_drawn_token_and_the_twenty_likeliest() -> None:
    """The drawn token stands first and counts for the logprobs only; the end token counts too."""
    likeliest = [-0.1 * number for number in range(1, 21)]
    places = [[-2.0, *likeliest], [-0.1, *likeliest], [-5.0, *[2 * each for each in likeliest]]]
    sample = sample_of(output([7, 8, 99], logprobs=flat(places)), 3, 8, ENDS, spell)
    assert (sample.index, sample.seed, sample.text, sample.completion_tokens) == (3, 8, "7 8", 3)
    assert sample.finish_reason is FinishReason.STOP
    found = sample.statistics
    assert found.sum_logprob == pytest.approx(-7.1)
    assert found.mean_logprob == pytest.approx(-7.1 / 3)
    assert found.mean_confidence == pytest.approx((1.05 + 1.05 + 2.1) / 3)
    assert found.lowest_group_confidence == found.bottom_group_confidence == pytest.approx(found.mean_confidence)
    assert found.tail_confidence == pytest.approx(found.mean_confidence)
    assert (found.self_certainty, found.entropy) == (None, None)
    infinite = sample_of(output([7], "length", logprobs=flat([[-1.0, -0.5, -math.inf]])), 0, 0, ENDS, spell).statistics
    assert (infinite.mean_logprob, infinite.mean_confidence) == (-1.0, None)


@pytest.mark.parametrize(
    ("finished", "text", "reason"),
    [
        (output([1, 2, 90], stop=90), "1 2", FinishReason.STOP),
        (output([1, 2, 90], "length"), "1 2 90", FinishReason.LENGTH),
        (output([1, 2, 3], stop="!", text="one"), "one", FinishReason.STOP),
        (output([1], "abort"), "1", FinishReason.CANCELLED),
        (output([]), "", FinishReason.STOP),
    ],
    ids=["end token", "length", "stop string", "abort", "nothing"],
)
def test_how_a_completion_ended(finished: Any, text: str, reason: FinishReason) -> None:
    """The end token is not in the text, and a stop string's text is vLLM's own."""
    sample = sample_of(finished, 0, 0, ENDS, spell)
    assert (sample.text, sample.finish_reason, sample.failure) == (text, reason, None)


async def test_a_space_that_is_read_along_with_the_prefix_is_the_completions(engine: FakeEngine) -> None:
    """Where a token ends with the space, the prompt ends with it and each text begins with it."""
    backend = await started(engine)
    assert [s.text for s in await draw(backend, job(n=2, prefix="The answer is"), (0, 1))] == [" 5", " 6"]
    assert [s.text for s in await draw(backend, job(n=2, prefix="The answer"), (0, 1))] == ["5", "6"]
    assert translate(job(prefix="It is"), 0, engine).lead == " "
    assert engine.begun == ["The answer is ", "The answer", "It is "]


def test_an_end_that_is_none_is_a_failure() -> None:
    """Such as vLLM's `error`."""
    for reason in ("error", "repetition", None):
        sample = sample_of(output([1], reason), 0, 0, ENDS, spell)
        assert sample.failure is not None
        assert sample.failure.kind is FailureKind.INTERNAL


async def test_each_sample_is_asked_for_with_its_own_seed(engine: FakeEngine) -> None:
    """Each index once, the prompt counted once, names never twice."""
    backend = await started(engine)
    samples = await draw(backend, job(n=10), (9, 2, 5))
    assert [(sample.index, sample.seed, sample.text) for sample in samples] == [
        (2, 7, "7"),
        (5, 10, "10"),
        (9, 14, "14"),
    ]
    assert sum(sample.prompt_tokens for sample in samples) == 5
    assert samples[0].statistics.sum_logprob == -4.0
    await draw(backend, job(n=10), (9, 2, 5))
    assert len(engine.asked) == 6
    assert engine.aborted == []
    free = await draw(backend, job(seed=None), (0, 1))
    assert free[1].seed == (free[0].seed or 0) + 1


async def test_what_nobody_waits_for_is_aborted(engine: FakeEngine) -> None:
    """And only that."""
    backend = await started(engine)
    engine.slow = {6, 8}
    async with aclosing(backend.sample(job(), (0, 1, 2, 3))) as samples:
        assert (await anext(samples)).index in (0, 2)
        assert (await anext(samples)).index in (0, 2)
    assert sorted(name.rpartition("-")[2] for name in engine.aborted) == ["1", "3"]


async def test_one_failed_request_fails_its_sample_only(engine: FakeEngine) -> None:
    """Without a word of what was asked."""
    backend = await started(engine)
    engine.broken = {6}
    samples = await draw(backend, job())
    assert [sample.failure.kind if sample.failure else None for sample in samples] == [
        None,
        FailureKind.INTERNAL,
        None,
        None,
    ]
    assert "secret" not in str(samples)


async def test_a_dead_engine_fails_all_and_is_not_healthy(engine: FakeEngine) -> None:
    """Also one that was closed or never started."""
    backend = await started(engine)
    assert await backend.healthy()
    engine.dead = True
    with pytest.raises(BackendError, match="the engine is dead: RuntimeError") as caught:
        await draw(backend, job())
    assert caught.value.kind is FailureKind.INTERNAL
    assert not await backend.healthy()
    assert backend.broken() is not None
    await backend.close()
    with pytest.raises(BackendError, match="not running"):
        await draw(backend, job())


def test_the_settings_reach_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the registry, and the capacity is what decodes side by side."""
    opened: list[Any] = []
    module = SimpleNamespace(open_engine=lambda *given: opened.append(given))
    monkeypatch.setitem(sys.modules, "workers.backends.vllm_local.engine", module)  # type: ignore[arg-type]  # a stand-in
    settings = BackendSettings(
        capacity_samples=7,
        vllm_memory_share=0.5,
        vllm_cache_mb=64,
        vllm_context=512,
        vllm_gpus=2,
        vllm_compiled=False,
    )
    backend = make_backend("vllm:some/folder", settings)
    asyncio.run(backend.start())
    assert backend.capacity_samples == 7
    assert opened == [(Path("some/folder"), EngineOptions(7, 0.5, 64, 512, 2, False))]
    assert make_backend("vllm:x", BackendSettings()).capacity_samples == 256


@pytest.mark.skipif(find_spec("vllm") is not None, reason="vLLM is installed here")
def test_a_worker_without_vllm_says_what_to_install(redis_url: str) -> None:
    """And ends with 2."""
    environment = {**child_environment(), "CONCLAVE_REDIS_URL": redis_url}
    command = [sys.executable, "-m", "workers", "--model", "m=vllm:x"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "pip install 'conclave[vllm]'" in done.stderr


async def test_an_idle_engine_shows_its_health_by_a_token(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its processes' life is not enough; a sample of the last half minute is."""
    assert await (await idle_for(0)).healthy()
    assert engine.asked == {}
    backend = await idle_for(60)
    assert await backend.healthy()
    ((name, asked),) = engine.asked.items()
    assert (name[:6], asked["max_tokens"]) == ("probe-", 1)
    assert await backend.healthy()
    assert len(engine.asked) == 1
    engine.broken.add(0)
    for seconds, healthy in ((60, False), (0, True)):
        backend = await idle_for(seconds)
        assert await backend.healthy() is healthy
        assert backend.broken() is None
    engine.broken.clear()
    engine.slow.add(0)
    monkeypatch.setattr("workers.backends.vllm_local.backend._PATIENCE_S", 0.01)
    assert not await (await idle_for(60)).healthy()


async def test_facts_tell_of_tokens_and_of_what_runs_and_waits(engine: FakeEngine) -> None:
    """A prompt's tokens count once a job; what was cut runs no more."""
    backend = await idle_for(0)
    await draw(backend, job())
    facts = backend.take_facts()
    assert dict(facts.counters) == {"drawn_tokens": 8, "read_tokens": 5}
    assert (facts.rows, facts.waiting_samples) == (0, 0)
    engine.slow |= {5, 6, 7}
    samples = backend.sample(job(), (0, 1, 2, 3))
    await anext(samples)
    facts = backend.take_facts()
    assert (facts.rows, facts.waiting_samples) == (2, 1)
    await samples.aclose()
    assert backend.take_facts().rows == 0
