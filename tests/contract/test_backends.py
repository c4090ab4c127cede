"""What the worker relies on, whatever the backend: one contract, run over all of them."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing
from pathlib import Path

import pytest

from tests.fake_upstream import FakeUpstream, Script
from tests.tiny_model import make_tiny_model
from tests.tiny_scorers import NLI_LABELS, make_classifier, make_encoder
from workers.backends import BACKENDS, BackendSettings, make_backend
from workers.backends.base import Backend, BackendError
from workers.wire.messages import Job, Message, Sample, SampleStatistics, Sampling

QUESTION = "What is 12 + 34?"


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random model."""
    return make_tiny_model(tmp_path_factory.mktemp("model"), hidden=32, layers=1)


@pytest.fixture(scope="module")
def scoring_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small random model for each kind of job that draws nothing."""
    folder = tmp_path_factory.mktemp("scoring")
    return {
        "reward": make_classifier(folder / "reward", "llama"),
        "embed": make_encoder(folder / "embed"),
        "entail": make_classifier(folder / "entail", "deberta", NLI_LABELS),
    }


@pytest.fixture(params=["torch", "openai", "openai one by one", "replay", "reward", "embed", "entail"])
async def backend(
    request: pytest.FixtureRequest, tmp_path: Path, model_folder: Path, scoring_folders: dict[str, Path]
) -> AsyncIterator[Backend]:
    """Each backend, made by the registry and started."""
    async with AsyncExitStack() as stack:
        settings = BackendSettings(torch_device="cpu", torch_threads=1, replay_delay_ms=2)
        if request.param == "torch":
            spec = f"torch:{model_folder}"
        elif request.param in scoring_folders:
            spec = f"{request.param}:{scoring_folders[request.param]}"
        elif request.param == "replay":
            record = {"id": "q", "question": QUESTION, "samples": [{"text": f"{i}"} for i in range(12)]}
            (tmp_path / "r.jsonl").write_text(json.dumps(record))
            spec = f"replay:{tmp_path / 'r.jsonl'}"
        else:
            n = "supported" if request.param == "openai" else "refused"
            upstream = await stack.enter_async_context(FakeUpstream(Script(n=n, delay_ms=5)))
            spec = f"openai:{upstream.url}#fake"
        made = make_backend(spec, settings)
        await made.start()
        yield made
        await made.close()


def job(question: str = QUESTION) -> Job:
    """A job of twelve samples."""
    message = Message(role="user", content=question)
    sampling = Sampling(max_tokens=8, seed=1)
    return Job(job_id="j", answer_id="a", model="m", messages=(message,), sampling=sampling, first=0, last=12)


def suited(backend: Backend, asked: Job) -> Job:
    """The job, as one of the kind that the backend serves: then its texts are as long as its question."""
    kind = next((kind for kind in ("reward", "embed", "entail") if kind in backend.provides), "sample")
    texts = tuple(f"{asked.messages[0].content} {index}" for index in range(asked.last))
    scored = {"texts": texts, "pairs": texts if kind == "entail" else ()}
    return asked.model_copy(update={"kind": kind, **scored}) if kind != "sample" else asked


async def draw(backend: Backend, indices: tuple[int, ...], asked: Job | None = None) -> list[Sample]:
    """The samples in the order in which they come."""
    return [sample async for sample in backend.sample(suited(backend, asked or job()), indices)]


async def test_each_index_comes_exactly_once(backend: Backend) -> None:
    """Also where only some of a job's indices are asked for, in any order."""
    assert sorted(sample.index for sample in await draw(backend, tuple(range(12)))) == list(range(12))
    assert sorted(sample.index for sample in await draw(backend, (9, 2, 5))) == [2, 5, 9]
    assert [sample.index for sample in await draw(backend, (7,))] == [7]


async def test_what_is_provided_is_there(backend: Backend) -> None:
    """Every statistic that the backend claims is on every sample with a text."""
    for sample in await draw(backend, tuple(range(6))):
        for name in SampleStatistics.model_fields:
            if name in backend.provides:
                assert getattr(sample.statistics, name) is not None
        if backend.provides & {"reward", "embed", "entail"}:
            assert sample.values
        if "seed" in backend.provides:
            assert sample.seed == 1 + sample.index
    assert await backend.healthy()
    assert backend.capacity_samples >= 1


async def test_failures_are_data(backend: Backend) -> None:
    """An impossible job ends in failed samples or in a BackendError, never in anything else."""
    (outcome,) = await asyncio.gather(draw(backend, (0, 50), job("a " * 5_000)), return_exceptions=True)
    if isinstance(outcome, BackendError):
        assert outcome.detail
    else:
        assert isinstance(outcome, list)
        assert sorted(sample.index for sample in outcome) == [0, 50]


async def test_closing_the_iterator_frees_the_backend(backend: Backend) -> None:
    """After a close, and after a cancelled reader, the next job is served at once."""
    async with aclosing(backend.sample(suited(backend, job()), tuple(range(12)))) as samples:  # type: ignore[type-var]  # all are generators
        await anext(samples)
    reading = asyncio.create_task(draw(backend, tuple(range(12))))
    await asyncio.sleep(0.003)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    assert len(await asyncio.wait_for(draw(backend, (0, 1)), 5)) == 2


async def test_jobs_run_side_by_side(backend: Backend) -> None:
    """Readers of several jobs each get their own samples."""
    found = await asyncio.gather(*(draw(backend, (first, first + 1)) for first in range(0, 8, 2)))
    assert [sorted(s.index for s in samples) for samples in found] == [[0, 1], [2, 3], [4, 5], [6, 7]]


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("nonsense:x", "unknown backend 'nonsense'"),
        ("torch:", "torch needs an argument"),
        ("reward:", "reward needs an argument"),
        ("openai:x", "http"),
    ],
)
def test_a_spec_that_makes_no_sense_is_refused(spec: str, said: str) -> None:
    """With what would make sense."""
    with pytest.raises(ValueError, match=said):
        make_backend(spec, BackendSettings())


def test_every_scheme_makes_a_backend(tmp_path: Path) -> None:
    """Making one neither loads nor connects, and each knows its name."""
    arguments: dict[str, str] = {"openai": "http://127.0.0.1:1/v1", "abacus": ""}
    made: Callable[[str], Backend] = lambda scheme: BACKENDS[scheme](arguments.get(scheme, "x"), BackendSettings())  # noqa: E731 - one line says it
    assert {scheme: made(scheme).name for scheme in BACKENDS} == {
        "abacus": "torch",
        "embed": "embed",
        "entail": "entail",
        "openai": "openai",
        "replay": "replay",
        "reward": "reward",
        "torch": "torch",
        "vllm": "vllm",
    }


def test_torch_is_loaded_only_where_it_is_used() -> None:
    """A worker that forwards to an upstream or replays a file never imports torch or transformers."""
    code = (
        "import sys, workers.backends as b; s = b.BackendSettings();"
        "b.make_backend('openai:http://h/v1', s); b.make_backend('replay:f', s); b.make_backend('vllm:x', s);"
        "print([m for m in ('torch', 'transformers', 'vllm') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_key_is_not_in_the_settings_representation() -> None:
    """Settings are logged; keys are not."""
    assert "secret" not in repr(BackendSettings(api_key="secret"))
