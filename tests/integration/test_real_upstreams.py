"""The openai backend, and the whole service, on a server that is no fake: `transformers serve` with the shipped model.

It takes one choice a call, gives no log probabilities and refuses fields that it does not know, which is what the
backend has to find out. It runs wherever the server's own modules are installed; the dev extra has them.
"""

import contextlib
import json
import shutil
from collections.abc import AsyncIterator, Iterator
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest

from service.settings import child_environment
from tests.conftest import ROOT, Bench, Program, wait_until
from tests.ports import own_port
from workers.backends.openai_http import OpenAIBackend
from workers.wire.messages import FailureKind, Job, Message, Provides, Sample, Sampling

MISSING = [name for name in ("accelerate", "openai") if find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"`transformers serve` needs {', '.join(MISSING)}")

QUESTION = "What is 12 + 3 * 7 - 5?"
START_S = 90.0


class RealServer(Program):
    """A process of `transformers serve`, offline, that answers."""

    def __init__(self, model: Path, folder: Path) -> None:
        port = str(own_port())
        (folder / "hub").mkdir()  # GET /models lists what is in the cache and fails where there is none
        offline = {"HF_HOME": str(folder), "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
        serve = ["serve", str(model), "--host", "127.0.0.1", "--port", port, "--device", "cpu"]
        environment = {**child_environment(), **offline}
        super().__init__("server", ["transformers.cli.transformers", *serve], environment, folder)
        self.model = str(model)
        self.root = f"http://127.0.0.1:{port}"
        self.url = f"{self.root}/v1"
        wait_until(self._answers, "the server answers", START_S)

    def _answers(self) -> bool:
        assert self.running, f"the server ended:\n{self.log}"
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{self.root}/health", trust_env=False).status_code == 200
        return False


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """The server with the shipped model, which is told to sample: it heeds no temperature otherwise."""
    model = tmp_path_factory.mktemp("served") / "model"
    shutil.copytree(ROOT / "workers" / "abacus" / "model", model)
    settings = model / "generation_config.json"
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "do_sample": True}))
    started = RealServer(model, tmp_path_factory.mktemp("server"))
    yield started
    if started.running:
        started.kill()


@pytest.fixture(params=["", "transformers+"], ids=["not_named", "named"])
async def backend(request: pytest.FixtureRequest, server: RealServer) -> AsyncIterator[OpenAIBackend]:
    """A started backend that was told what server it is, or was not."""
    made = OpenAIBackend(f"{request.param}{server.url}", server.model, retries=1)
    await made.start()
    yield made
    await made.close()


def job(n: int, prefix: str = "", **sampling: object) -> Job:
    """A job of n samples of one question."""
    message = Message(role="user", content=QUESTION)
    given = Sampling.model_validate({"max_tokens": 64, **sampling})
    return Job(
        job_id="j", answer_id="a", model="m", messages=(message,), prefix=prefix, sampling=given, first=0, last=n
    )


async def draw(backend: OpenAIBackend, asked: Job) -> list[Sample]:
    """All samples of a job, by index."""
    samples = [sample async for sample in backend.sample(asked, tuple(range(asked.last)))]
    return sorted(samples, key=lambda sample: sample.index)


async def test_samples_come_though_it_gives_one_choice_a_call(backend: OpenAIBackend) -> None:
    """Six samples with their tokens, each of a call of its own; what it does not give is not claimed."""
    await draw(backend, job(2))
    samples = await draw(backend, job(6, seed=3))
    assert [sample.index for sample in samples] == list(range(6))
    assert not any(sample.failure for sample in samples)
    assert all("The answer is" in sample.text for sample in samples)
    assert all(sample.prompt_tokens > 5 and sample.completion_tokens > 5 for sample in samples)
    assert Provides.MEAN_LOGPROB not in backend.provides
    assert await backend.healthy()


async def test_stop_strings_and_lengths_are_heeded(backend: OpenAIBackend) -> None:
    """What it has in common with every server works."""
    (stopped,) = await draw(backend, job(1, stop=("=",)))
    assert stopped.text.count("=") <= 1
    (cut,) = await draw(backend, job(1, max_tokens=3))
    assert (cut.finish_reason, cut.completion_tokens) == ("length", 3)


@pytest.mark.parametrize("asked", [{"top_k": 3}, {"min_p": 0.1}])
async def test_fields_that_it_refuses_are_unsupported(server: RealServer, asked: dict[str, float]) -> None:
    """Told by its own words where nobody knows the server."""
    backend = OpenAIBackend(server.url, server.model, retries=1)
    await backend.start()
    (sample,) = await draw(backend, job(1, **asked))
    await backend.close()
    assert sample.failure is not None
    assert sample.failure.kind is FailureKind.UNSUPPORTED
    assert f"refuses {next(iter(asked))}: 422: Unexpected fields" in sample.failure.detail


async def test_a_bias_is_heeded(server: RealServer) -> None:
    """A token with a bias of 100 is drawn again and again."""
    backend = OpenAIBackend(f"transformers+{server.url}", server.model)
    await backend.start()
    (sample,) = await draw(backend, job(1, logit_bias=((20, 100.0),), max_tokens=6))
    await backend.close()
    assert len(set(sample.text.split()) or set(sample.text)) == 1


def test_the_service_answers_from_it(bench: Bench, server: RealServer) -> None:
    """HTTP, queue, worker, real server: sixteen samples, a vote, the right sum."""
    gateway = bench.gateway()
    bench.worker(f"fake=openai:{server.url}#{server.model}")
    reply = gateway.answer(question=QUESTION, n=16, stop="none", sampling={"temperature": 0.7, "max_tokens": 64})
    assert (reply["status"], reply["answer"]) == ("answered", "28")
    assert reply["usage"]["samples"]["finished"] == 16


async def test_its_death_is_typed(server: RealServer) -> None:
    """kill -9: the samples fail as unreachable, and the backend says that it is not healthy."""
    backend = OpenAIBackend(server.url, server.model, retries=0)
    await backend.start()
    assert not any(sample.failure for sample in await draw(backend, job(1)))
    server.kill()
    (sample,) = await draw(backend, job(1))
    assert sample.failure is not None
    assert sample.failure.kind in (FailureKind.UPSTREAM_UNREACHABLE, FailureKind.UPSTREAM_ERROR)
    assert not await backend.healthy()
    await backend.close()
