"""The openai backend against a scripted upstream over real HTTP: n, logprobs, seeds, retries, errors, cancellation."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from tests.fake_upstream import FakeUpstream, Script
from workers.backends import openai_http
from workers.backends.base import BackendError
from workers.backends.openai_http import OpenAIBackend
from workers.backends.openai_reply import rejection
from workers.wire.messages import FailureKind, FinishReason, Job, Message, Provides, Sample, Sampling

PROMPT = "What is the secret word of the day, please?"


def job(n: int = 4, **sampling: Any) -> Job:
    """A job of n samples of PROMPT."""
    message = Message(role="user", content=PROMPT)
    settings = Sampling(**sampling)
    return Job(job_id="j", answer_id="a", model="m", messages=(message,), sampling=settings, first=0, last=n)


async def draw(backend: OpenAIBackend, n: int = 4, **sampling: Any) -> list[Sample]:
    """All samples of one job, by index."""
    samples = [sample async for sample in backend.sample(job(n, **sampling), tuple(range(n)))]
    return sorted(samples, key=lambda sample: sample.index)


@asynccontextmanager
async def served(script: Script, **options: Any) -> AsyncIterator[tuple[FakeUpstream, OpenAIBackend]]:
    """A scripted upstream and a started backend on it."""
    async with FakeUpstream(script) as upstream:
        backend = OpenAIBackend(upstream.url, **options)
        await backend.start()
        try:
            yield upstream, backend
        finally:
            await backend.close()


@pytest.fixture(autouse=True)
def quick_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries wait milliseconds here."""
    monkeypatch.setattr(openai_http, "_BACKOFF_S", 0.001)


async def test_n_samples_are_one_call() -> None:
    """The choices of one call are the samples, its prompt is counted once, its tokens by their logprobs."""
    async with served(Script(texts=["The answer is 4.", "5"], logprob=-0.5)) as (upstream, backend):
        samples = await draw(backend, 4)
        assert upstream.stats.started == 1
    assert [s.text for s in samples] == ["The answer is 4.", "5"] * 2
    assert [s.prompt_tokens for s in samples] == [11, 0, 0, 0]
    assert [s.completion_tokens for s in samples] == [4, 1, 4, 1]
    assert {s.statistics.mean_logprob for s in samples} == {-0.5}
    assert backend.provides == {Provides.CHAT, Provides.MEAN_LOGPROB}


@pytest.mark.parametrize(("n", "first_calls"), [("refused", 5), ("ignored", 4)])
async def test_an_upstream_without_n_is_remembered(n: Any, first_calls: int) -> None:
    """The missing samples are drawn one by one, and the next job does not try again."""
    async with served(Script(n=n)) as (upstream, backend):
        assert [s.index for s in await draw(backend, 4)] == [0, 1, 2, 3]
        assert upstream.stats.started == first_calls
        await draw(backend, 4)
        assert upstream.stats.started == first_calls + 4


async def test_a_seed_is_recorded_only_where_it_is_known() -> None:
    """Single calls send and record seed + index; of a call of several nothing is known."""
    async with served(Script(n="refused")) as (upstream, backend):
        samples = await draw(backend, 3, seed=7)
        assert [s.seed for s in samples] == [7, 8, 9]
        assert sorted(asked["seed"] for asked in upstream.requests[1:]) == [7, 8, 9]
    async with served(Script()) as (upstream, backend):
        assert [s.seed for s in await draw(backend, 3, seed=7)] == [None] * 3
        assert upstream.requests[0]["seed"] == 7


@pytest.mark.parametrize("logprobs", ["refused", "ignored"])
async def test_an_upstream_without_logprobs_is_remembered(logprobs: Any) -> None:
    """The samples come without them and the backend stops to claim them; tokens are shared out of the total."""
    async with served(Script(logprobs=logprobs)) as (upstream, backend):
        samples = await draw(backend, 3)
        assert backend.provides == {Provides.CHAT}
        before = upstream.stats.started
        await draw(backend, 3)
        assert upstream.stats.started == before + 1
        assert "logprobs" not in upstream.requests[-1]
    assert all(s.failure is None and s.statistics.mean_logprob is None for s in samples)
    assert [s.completion_tokens for s in samples] == [7, 7, 7]


async def test_only_what_is_set_is_sent() -> None:
    """Fields outside OpenAI's API go out only where the caller set them."""
    async with served(Script(), api_key="k-123", model="gpt") as (upstream, backend):
        await draw(backend, 1, temperature=0.5, stop=("\n",), top_k=3)
        assert upstream.headers[0]["authorization"] == "Bearer k-123"
        assert upstream.requests[0] == {
            "model": "gpt",
            "messages": [{"role": "user", "content": PROMPT}],
            "temperature": 0.5,
            "top_p": 1.0,
            "max_tokens": 256,
            "stop": ["\n"],
            "top_k": 3,
            "logprobs": True,
        }


async def test_without_a_model_the_upstreams_first_is_asked_for() -> None:
    """GET /models names it."""
    async with served(Script(model="llama")) as (upstream, backend):
        await draw(backend, 1)
        assert upstream.requests[0]["model"] == "llama"


async def test_finish_reasons_and_empty_contents_are_kept() -> None:
    """`length` stays, null content is an empty text, and a text that looks like an error is a text."""
    texts = [None, "Error: Could not generate any completions"]
    async with served(Script(texts=texts, finish_reason="length")) as (_, backend):
        samples = await draw(backend, 2)
    assert [s.text for s in samples] == ["", "Error: Could not generate any completions"]
    assert {s.finish_reason for s in samples} == {FinishReason.LENGTH}
    assert all(s.failure is None for s in samples)


async def test_a_passing_failure_is_tried_again() -> None:
    """Two 503s, then the samples."""
    async with served(Script(fail_first=2)) as (upstream, backend):
        assert all(s.failure is None for s in await draw(backend, 2))
        assert upstream.stats.started == 3


async def test_retry_after_is_honoured() -> None:
    """The upstream's wish is longer than the jitter."""
    script = Script(fail_first=1, fail_status=429, fail_headers={"retry-after": "0.2"})
    async with served(script) as (_, backend):
        began = time.monotonic()
        await draw(backend, 1)
        assert time.monotonic() - began >= 0.2


@pytest.mark.parametrize(
    ("status", "message", "kind", "calls"),
    [
        (503, "overloaded", FailureKind.UPSTREAM_ERROR, 3),
        (429, "slow down", FailureKind.UPSTREAM_REJECTED, 3),
        (404, "no such model", FailureKind.UPSTREAM_REJECTED, 1),
        (400, "This model's maximum context length is 4096 tokens", FailureKind.CONTEXT_OVERFLOW, 1),
    ],
)
async def test_error_replies_have_kinds(status: int, message: str, kind: FailureKind, calls: int) -> None:
    """The status and a short message are told; only what may pass is tried again."""
    script = Script(fail_every=1, fail_status=status, fail_body={"error": {"message": message}})
    async with served(script) as (upstream, backend):
        with pytest.raises(BackendError) as caught:
            await draw(backend, 2)
        assert (caught.value.kind, upstream.stats.started) == (kind, calls)
        assert caught.value.detail == f"{status}: {message}"


async def test_failure_is_partial() -> None:
    """Where samples are drawn one by one, a failed one carries its failure and the others come."""
    async with served(Script(n="ignored", fail_every=3), retries=0) as (_, backend):
        samples = await draw(backend, 4)
    failed = [s for s in samples if s.failure is not None]
    assert len(samples) == 4
    assert [s.failure.kind for s in failed if s.failure] == [FailureKind.UPSTREAM_ERROR]


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"choices": []}', b'{"error": {"message": "x"}}'])
async def test_a_reply_that_is_no_completion_is_an_error(body: bytes) -> None:
    """Status 200 alone makes no answer."""
    async with served(Script(raw_body=body)) as (_, backend):
        with pytest.raises(BackendError, match="upstream_error"):
            await draw(backend, 2)


async def test_an_unreachable_upstream_is_typed_and_does_not_stop_the_start() -> None:
    """The worker lives, unhealthy, until its upstream is there."""
    async with FakeUpstream() as upstream:
        url = upstream.url
    backend = OpenAIBackend(url, "m", retries=1)
    await backend.start()
    assert not await backend.healthy()
    with pytest.raises(BackendError, match="upstream_unreachable"):
        await draw(backend, 2)
    await backend.close()


async def test_health_is_the_upstreams() -> None:
    """404 on /models is health enough, 401 is not."""
    async with served(Script()) as (upstream, backend):
        assert await backend.healthy()
        upstream.script.models_status = 404
        assert await backend.healthy()
        upstream.script.models_status = 401
        assert not await backend.healthy()


async def test_a_hung_upstream_times_out() -> None:
    """A call that takes too long is a TIMEOUT and its connection is closed."""
    async with served(Script(hang=True), model="m", timeout_s=0.1) as (upstream, backend):
        with pytest.raises(BackendError, match="timeout"):
            await draw(backend, 2)
        await asyncio.wait_for(upstream.until(lambda stats: stats.disconnected == 1), 1)


@pytest.mark.parametrize("n", ["supported", "refused"])
async def test_cancelling_reaches_the_upstream(n: Any) -> None:
    """Within 100 ms of the reader's cancellation the upstream sees its clients hang up: of processor time, which both
    spend here, since a busy machine is late anyhow."""
    async with served(Script(n=n, delay_ms=0), model="m") as (upstream, backend):
        await draw(backend, 2)
        upstream.script.hang = True
        done = upstream.stats.started
        reading = asyncio.create_task(draw(backend, 4))
        calls = 1 if n == "supported" else 4
        await upstream.until(lambda stats: stats.started == done + calls)
        began = time.process_time()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await asyncio.wait_for(upstream.until(lambda stats: stats.disconnected == calls), 1)
        assert time.process_time() - began < 0.1
        assert upstream.stats.running == 0


async def test_closing_the_iterator_hangs_up_the_other_calls() -> None:
    """A reader that has enough closes the iterator."""
    async with served(Script(n="refused", delay_ms=20), model="m", max_concurrency=2) as (upstream, backend):
        async with aclosing(backend.sample(job(8), tuple(range(8)))) as samples:
            await anext(samples)
        await asyncio.sleep(0.06)
        assert upstream.stats.running == 0
        assert upstream.stats.finished < 8


async def test_concurrency_is_bounded() -> None:
    """No more than max_concurrency calls run at a time, over all jobs."""
    async with served(Script(n="refused", delay_ms=5), max_concurrency=3) as (upstream, backend):
        await asyncio.gather(draw(backend, 6), draw(backend, 6))
        assert upstream.stats.most_running == 3
        assert upstream.stats.connections <= 3


def test_a_detail_never_carries_the_prompt_or_the_key() -> None:
    """Messages that quote either are cut down to the status."""

    def detail(message: object, status: int = 400) -> str:
        return rejection(status, json.dumps(message).encode(), PROMPT, "top-secret-1").detail

    assert detail({"error": {"message": f"cannot read {PROMPT!r}"}}) == "400"
    assert detail({"error": "bad secret word of the day"}) == "400"
    assert detail({"error": {"message": "key top-secret-1 unknown"}}) == "400: key *** unknown"
    assert detail({"error": {"message": "sk-abcdef"}}, 401) == "401"
    fastapi = {"detail": [{"loc": ["body", "n"], "msg": "too many", "input": PROMPT}]}
    assert detail(fastapi) == "400: body.n: too many"


@pytest.mark.parametrize(
    ("message", "about_n"),
    [
        ("'n' must be 1", True),
        ("n > 1 is not supported", True),
        ("Only one completion choice is allowed", True),
        ("body.n: Extra inputs are not permitted", True),
        ("can't open the model", False),
        ("unknown model in request", False),
    ],
)
def test_a_refusal_of_n_is_told_from_others(message: str, about_n: bool) -> None:
    """Only a message about n makes the backend give up n."""
    body = json.dumps({"error": {"message": message}}).encode()
    assert rejection(400, body, PROMPT, None).about_n is about_n


def test_a_url_must_be_http() -> None:
    """A path is no upstream."""
    with pytest.raises(ValueError, match="http"):
        OpenAIBackend("localhost:8000")
