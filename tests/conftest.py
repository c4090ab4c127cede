"""Real parts for tests: a Redis server a session, and gateways, workers and upstreams as a test asks for them.

`gateway`, `worker` and `upstream` start real processes (the upstream is a real HTTP server on a thread) that live as
long as one test; `shared` is a `Bench` that lives as long as a module, for tests that put questions to one stack. Each
bench has its own key prefix, so no two see each other. The logs of the programs are shown with a failing test.
"""

import contextlib
import itertools
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from hypothesis import settings

from service.aggregators.base import Panel
from service.answer_types.base import AnswerType
from service.answer_types.number import Number
from service.candidates import Task
from service.classing import Classifier
from service.embedded_redis import EmbeddedRedis
from service.reading import Reader
from service.settings import Settings, child_environment
from service.stopping import base as stopping
from service.stopping.none import NoStop
from tests.at_once import at_once
from tests.fake_upstream import FakeUpstream, Script, Stats, on_thread
from tests.ports import own_port
from workers.wire.messages import Failure, FailureKind, FinishReason, Message, Sample, Sampling

ROOT = Path(__file__).parent.parent

# A busy machine makes an example slow and no law wrong; what has to be quick is measured by benchmarks.
# `make test` draws the same examples every time, so only a change turns it red; `make laws` draws new ones every time.
settings.register_profile("gate", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None)
settings.register_profile("machine", deadline=None, max_examples=1_000)
settings.load_profile("gate")

# Ends with the test process, also when that is killed; `preexec_fn` would warn beside the upstreams' threads.
_LAUNCH = (
    "import ctypes, runpy, sys\n"
    "if sys.platform == 'linux': ctypes.CDLL(None).prctl(1, 9)\n"
    "runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)\n"
)
_SHORT_LEASES = {"lease_ms": "800", "heartbeat_ms": "200", "reclaim_ms": "200"}
_LIVE: list["Program"] = []


def wait_until(met: Callable[[], Any], what: str, seconds: float = 20.0) -> Any:
    """Returns the first true value of `met`; a test fails if it has none in time."""
    deadline = time.monotonic() + seconds
    while not (found := met()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.01)
    return found


class Program:
    """One started process with its log."""

    def __init__(self, name: str, arguments: Sequence[str], environment: dict[str, str], folder: Path) -> None:
        self.name = name
        self._log = folder / f"{name}-{secrets.token_hex(3)}.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _LAUNCH, *arguments],
                env=environment,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.pid = self.process.pid
        _LIVE.append(self)

    @property
    def log(self) -> str:
        """What it has written so far."""
        return self._log.read_text("utf-8", "replace")

    @property
    def running(self) -> bool:
        """True until it has ended."""
        return self.process.poll() is None

    def send(self, number: signal.Signals) -> None:
        """Sends a signal."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL, and waits for the end."""
        self.process.kill()
        self.process.wait(10)

    def end(self, seconds: float = 20.0) -> int:
        """SIGTERM, and the exit code; a program that does not end in time is killed."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                self.send(signal.SIGCONT)
            self.process.terminate()
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        finally:
            _LIVE.remove(self)


class Gateway(Program):
    """A gateway with a client."""

    def __init__(
        self, environment: dict[str, str], folder: Path, arguments: Sequence[str] = ("service", "gateway")
    ) -> None:
        self.port = own_port()
        super().__init__("gateway", arguments, {**environment, "CONCLAVE_PORT": str(self.port)}, folder)
        self.seen: list[httpx.Response] = []
        """Every reply that it gave to this client."""
        self.http = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}",
            timeout=100.0,
            trust_env=False,
            event_hooks={"response": [self.seen.append]},
        )
        wait_until(self._ready, "the gateway is ready", 60.0)

    def _ready(self) -> bool:
        assert self.running, f"the gateway ended:\n{self.log}"
        with contextlib.suppress(httpx.TransportError):
            return self.http.get("/readyz").status_code == 200
        return False

    def ask(self, **body: Any) -> httpx.Response:
        """Puts a question to the model `fake`, if `body` names no other."""
        given = {} if "messages" in body else {"question": "What is six times seven?"}
        return self.http.post("/v1/answers", json={"model": "fake", **given, **body})

    def answer(self, **body: Any) -> dict[str, Any]:
        """The reply to a question that is answered with 200, samples included."""
        response = self.ask(include=["samples"], **body)
        assert response.status_code == 200, response.text
        return dict(response.json())

    def read(self, answer_id: str) -> dict[str, Any]:
        """GET of an answer."""
        return dict(self.http.get(f"/v1/answers/{answer_id}").raise_for_status().json())

    def final(self, answer_id: str, seconds: float = 20.0) -> dict[str, Any]:
        """The answer once it is final."""
        going = ("queued", "in_progress")
        wait_until(lambda: self.read(answer_id)["status"] not in going, f"{answer_id} is final", seconds)
        return self.read(answer_id)

    def end(self, seconds: float = 20.0) -> int:
        """Closes the client too."""
        self.http.close()
        return super().end(seconds)


class Bench:
    """Starts programs on one key prefix of one Redis server, and ends them; `settings` are those of all of them."""

    def __init__(self, redis_url: str, folder: Path, client: Any = None, **settings: str) -> None:
        self.prefix = f"test-{secrets.token_hex(4)}"
        self.redis = redis.Redis.from_url(redis_url) if client is None else client
        self._url = redis_url
        self._settings = settings
        self._folder = folder
        self._programs: list[Program] = []
        self._ends = contextlib.ExitStack()

    def gateway(self, **settings: str) -> Gateway:
        """A gateway process that is ready; `settings` are CONCLAVE_* variables in lower case."""
        started = Gateway(self._environment(settings), self._folder)
        self._programs.append(started)
        return started

    def worker(self, model: str, *, wait: bool = True, **settings: str) -> Program:
        """A worker process for NAME=BACKEND:ARG whose card is out."""
        started = Program("worker", ["workers", "--model", model], self._environment(settings), self._folder)
        self._programs.append(started)
        if wait:
            wait_until(lambda: self._shows(started), f"the worker for {model} shows its card", 60.0)
        return started

    def upstream(self, **script: Any) -> FakeUpstream:
        """A fake upstream with a script."""
        return self._ends.enter_context(on_thread(Script(**script)))

    def say(self, upstream: FakeUpstream, **script: Any) -> None:
        """A new script for a running upstream, with counts from zero."""
        wait_until(lambda: upstream.stats.running == 0, "the upstream is idle")
        upstream.script, upstream.stats, upstream._turn = Script(**script), Stats(), itertools.count()
        upstream.requests.clear()

    def owner_of(self, answer_id: str) -> Program:
        """The worker that holds the lease of the answer's job."""
        key = f"{self.prefix}:{{0}}:job:{answer_id}:samples:0"
        name = wait_until(lambda: self.redis.hget(key, "owner"), "the job is leased").decode()
        return next(program for program in self._programs if f"-{program.pid}-" in name)

    def keys(self, pattern: str = "*") -> list[str]:
        """This bench's keys, without their prefix."""
        found = self.redis.scan_iter(f"{self.prefix}:{pattern}", count=1000)
        return sorted(key.decode()[len(self.prefix) + 1 :] for key in found)

    def close(self) -> None:
        """Ends everything that was started: gateways first, then workers, then upstreams."""
        for program in sorted(self._programs, key=lambda program: program.name):
            if program in _LIVE:
                program.end()
        self._ends.close()
        with contextlib.suppress(redis.RedisError):
            names = list(self.redis.scan_iter(f"{self.prefix}:*", count=1000))
            if names:
                self.redis.delete(*names)
        self.redis.close()

    def _environment(self, settings: dict[str, str]) -> dict[str, str]:
        inherited = {name: v for name, v in child_environment().items() if not name.startswith("CONCLAVE_")}
        own = {
            **_SHORT_LEASES,
            "drain_notice_s": "0",
            "redis_url": self._url,
            "queue_prefix": self.prefix,
            "drain_s": "10",
            **self._settings,
            **settings,
        }
        return inherited | {f"CONCLAVE_{name.upper()}": value for name, value in own.items()}

    def _shows(self, worker: Program) -> bool:
        assert worker.running, f"the worker ended:\n{worker.log}"
        return any(
            f"-{worker.pid}-".encode() in name for name in self.redis.zrange(f"{self.prefix}:{{pool}}:live", 0, -1)
        )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: "pytest.CallInfo[None]") -> Iterator[None]:
    """Adds the end of each program's log to the report of a failed test."""
    report = yield
    if report.failed:
        report.sections += [(f"log of {p.name} {p.pid}", p.log[-6_000:]) for p in _LIVE]
    return report


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Redis server for the whole session."""
    with EmbeddedRedis(tmp_path_factory.mktemp("redis")) as server:
        yield server.url


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """A Redis server for one test that stops or kills it."""
    server = EmbeddedRedis(tmp_path).start()
    yield server
    assert server.process is not None
    if server.process.poll() is None:
        os.kill(server.process.pid, signal.SIGCONT)
    server.stop()


@pytest.fixture
def bench(redis_url: str, tmp_path: Path) -> Iterator[Bench]:
    """Real processes as long as one test."""
    started = Bench(redis_url, tmp_path)
    yield started
    started.close()


@pytest.fixture(scope="module")
def shared(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Real processes as long as a module."""
    started = Bench(redis_url, tmp_path_factory.mktemp("shared"))
    yield started
    started.close()


@pytest.fixture
def bench_of_own_redis(own_redis: EmbeddedRedis, tmp_path: Path) -> Iterator[Bench]:
    """Real processes on a Redis server of their own."""
    started = Bench(own_redis.url, tmp_path)
    yield started
    started.close()


@pytest.fixture
def gateway(bench: Bench) -> Callable[..., Gateway]:
    """Starts gateways."""
    return bench.gateway


@pytest.fixture
def worker(bench: Bench) -> Callable[..., Program]:
    """Starts workers."""
    return bench.worker


@pytest.fixture
def upstream(bench: Bench) -> Callable[..., FakeUpstream]:
    """Starts fake upstreams."""
    return bench.upstream


@pytest.fixture(scope="session")
def eventually() -> Callable[..., Any]:
    """Waits until something is so, with a deadline."""
    return wait_until


class ScriptedAsk:
    """Stands for the model that an aggregator asks: gives out replies in turn and keeps the prompts."""

    def __init__(self, *replies: Sample) -> None:
        self._replies = list(replies)
        self.prompts: list[tuple[Message, ...]] = []
        self.samplings: list[Sampling] = []
        self.prefixes: list[str] = []
        self.models: list[str | None] = []

    async def __call__(
        self,
        messages: Sequence[Message],
        sampling: Sampling,
        n: int = 1,
        *,
        prefix: str = "",
        model: str | None = None,
    ) -> tuple[Sample, ...]:
        """The next `n` replies; a failure where there are none left."""
        self.prompts.append(tuple(messages))
        self.samplings.append(sampling)
        self.prefixes.append(prefix)
        self.models.append(model)
        given, self._replies = self._replies[:n], self._replies[n:]
        lost = Failure(kind=FailureKind.UPSTREAM_ERROR)
        return tuple(given) + tuple(Sample(index=i, failure=lost) for i in range(len(given), n))


@pytest.fixture(scope="session")
def asks() -> type[ScriptedAsk]:
    """A model that says what it is told to; with no replies left it fails."""
    return ScriptedAsk


@pytest.fixture(scope="session")
def sample_of() -> Callable[..., Sample]:
    """Makes a sample of a text, of a text and a finish reason, or of a failure (None)."""

    def make(index: int, text: str | None, finish: str = "stop") -> Sample:
        if text is None:
            return Sample(index=index, failure=Failure(kind=FailureKind.UPSTREAM_ERROR, detail="told to fail"))
        return Sample(index=index, text=text, finish_reason=FinishReason(finish))

    return make


@pytest.fixture(scope="session")
def panel_of(sample_of: Callable[..., Sample]) -> Callable[..., Panel]:
    """Makes what an aggregator gets, from texts or from samples in any order."""
    templates = Settings().templates
    task = Task("What is six times seven?")

    def make(given: Sequence[Any], answer_type: AnswerType | None = None, seed: int = 7, task: Task = task) -> Panel:
        samples = [s if isinstance(s, Sample) else sample_of(i, s) for i, s in enumerate(given)]
        kind = answer_type or Number()
        reader = Reader(task, kind, NoStop(stopping.Options()), len(samples))
        reading = at_once(reader.read({sample.index: sample for sample in samples}))
        return Panel(
            task=task,
            candidates=reading.candidates,
            classes=reading.classes,
            classify=Classifier(reading.candidates, reading.answer_type, task),
            seed=seed,
            templates=templates,
        )

    return make
