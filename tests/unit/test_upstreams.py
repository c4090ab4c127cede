"""Several upstreams for one model, over real HTTP: which is asked, what happens when one fails, and for how long."""

import asyncio
import email.utils
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from tests.fake_upstream import FakeUpstream, Script
from tests.unit.test_backend_openai import draw, job
from workers.backends import BackendSettings, make_backend, openai_calls, openai_http
from workers.backends.base import BackendError
from workers.backends.openai_http import OpenAIBackend
from workers.backends.openai_reply import rejection
from workers.backends.openai_request import request
from workers.backends.upstreams import upstreams_of
from workers.wire.messages import FailureKind, Provides

Several = tuple[list[FakeUpstream], OpenAIBackend]


@asynccontextmanager
async def served(*scripts: Script, **options: Any) -> AsyncIterator[Several]:
    """Upstreams with these scripts, and a started backend on all of them."""
    async with AsyncExitStack() as stack:
        upstreams = [await stack.enter_async_context(FakeUpstream(script)) for script in scripts]
        backend = OpenAIBackend(",".join(upstream.url for upstream in upstreams), "m", **options)
        await backend.start()
        try:
            yield upstreams, backend
        finally:
            await backend.close()


@pytest.fixture(autouse=True)
def quick_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries wait milliseconds here."""
    monkeypatch.setattr(openai_http, "_BACKOFF_S", 0.001)


def one_by_one(**script: Any) -> Script:
    """Gives one choice a call."""
    return Script(n="refused", **script)


async def test_each_call_goes_where_the_least_are_in_flight() -> None:
    """Ties go to the first: twelve calls at once are four each."""
    async with served(*(one_by_one(delay_ms=50) for _ in range(3))) as (upstreams, backend):
        await draw(backend, 2)
        await draw(backend, 2)
        await draw(backend, 2)  # each has refused n once
        before = [upstream.stats.started for upstream in upstreams]
        await draw(backend, 1)
        await draw(backend, 12)
        after = [upstream.stats.started for upstream in upstreams]
    assert [b - a for a, b in zip(before, after, strict=True)] == [5, 4, 4]


async def test_a_slow_upstream_gets_less() -> None:
    """Calls wait for no upstream in particular: who is done first takes the next."""
    async with served(one_by_one(delay_ms=200), one_by_one(delay_ms=5), max_concurrency=2, breaker_failures=100) as (
        upstreams,
        backend,
    ):
        assert not any(sample.failure for sample in await draw(backend, 30))
        slow, quick = (upstream.stats for upstream in upstreams)
    assert quick.finished > 2 * slow.finished


async def test_the_limit_is_each_upstreams_own() -> None:
    """Never more than that at one of them, and as many as that at each."""
    scripts = [one_by_one(delay_ms=20), one_by_one(delay_ms=20)]
    async with served(*scripts, max_concurrency=3) as (upstreams, backend):
        await asyncio.gather(draw(backend, 10), draw(backend, 10))
        assert [upstream.stats.most_running for upstream in upstreams] == [3, 3]


async def test_calls_that_wait_can_be_cancelled() -> None:
    """Their places go to the next ones, and none is lost."""
    async with served(one_by_one(delay_ms=10), max_concurrency=2) as ((upstream,), backend):
        await draw(backend, 2)
        waiting = [asyncio.create_task(draw(backend, 8)) for _ in range(4)]
        await asyncio.sleep(0.015)
        for task in waiting[:3]:
            task.cancel()
        assert len(await waiting[3]) == 8
        assert len(await asyncio.wait_for(draw(backend, 4), 2)) == 4
        assert upstream.stats.most_running == 2


async def test_a_retry_goes_to_another_upstream() -> None:
    """At once, without waiting for the one that failed."""
    async with served(Script(fail_every=1), Script(texts=["from the other"])) as (upstreams, backend):
        assert [sample.text for sample in await draw(backend, 2)] == ["from the other"] * 2
        assert [upstream.stats.started for upstream in upstreams] == [1, 1]


async def test_a_call_that_took_too_long_is_put_to_another_upstream_only() -> None:
    """The one that hangs is not asked twice."""
    async with served(Script(hang=True), Script(texts=["from the other"]), timeout_s=0.2) as (upstreams, backend):
        assert [sample.text for sample in await draw(backend, 2)] == ["from the other"] * 2
        assert [upstream.stats.started for upstream in upstreams] == [1, 1]


async def test_an_upstream_killed_in_the_middle_costs_no_sample() -> None:
    """Its running calls go on at the other one."""
    async with FakeUpstream(one_by_one(delay_ms=30)) as stays, AsyncExitStack() as life:
        dies = await life.enter_async_context(FakeUpstream(one_by_one(delay_ms=30)))
        backend = OpenAIBackend(f"{dies.url},{stays.url}", "m")
        await backend.start()
        reading = asyncio.create_task(draw(backend, 24))
        await dies.until(lambda stats: stats.running >= 6)
        await life.aclose()
        samples = await reading
        await backend.close()
    assert [sample.index for sample in samples] == list(range(24))
    assert not any(sample.failure for sample in samples)
    assert dies.stats.disconnected + dies.stats.finished < 24


async def test_an_upstream_that_fails_and_fails_is_left_alone_until_a_probe_succeeds() -> None:
    """After three failures it is not asked; after the pause one call is let through, and then all are."""
    options = {"retries": 0, "breaker_failures": 3, "breaker_pause_s": 0.3}
    async with served(Script(fail_every=1, fail_status=500), **options) as ((upstream,), backend):
        for _ in range(3):
            with pytest.raises(BackendError, match="upstream_error"):
                await draw(backend, 2)
        for _ in range(5):
            with pytest.raises(BackendError, match="left alone") as caught:
                await draw(backend, 2)
            assert caught.value.kind is FailureKind.UPSTREAM_UNREACHABLE
        assert not await backend.healthy()
        assert upstream.stats.started == 3
        await asyncio.sleep(0.31)
        upstream.script = Script(delay_ms=50)
        probe = asyncio.create_task(draw(backend, 2))
        await upstream.until(lambda stats: stats.started == 4)
        with pytest.raises(BackendError, match="being tried just now"):
            await draw(backend, 2)
        assert len(await probe) == 2
        assert await backend.healthy()
        assert len(await draw(backend, 2)) == 2


async def test_a_breaker_that_opens_and_closes_is_told_without_secrets(caplog: pytest.LogCaptureFixture) -> None:
    """One line each, with the upstream's host and no password of its URL."""
    async with FakeUpstream(Script(fail_first=2)) as upstream:
        url = upstream.url.replace("//", "//user:secret-word@")
        backend = OpenAIBackend(url, "m", retries=0, breaker_failures=2, breaker_pause_s=0.02)
        await backend.start()
        for _ in range(2):
            with pytest.raises(BackendError):
                await draw(backend, 2)
        await asyncio.sleep(0.03)
        await draw(backend, 2)
        await draw(backend, 2)
        await backend.close()
    said = [record.getMessage() for record in caplog.records if record.name == "workers.backends.upstreams"]
    assert [line.partition(" fails")[0].partition(" is asked")[0] for line in said] == [
        f"upstream 127.0.0.1:{upstream.port}"
    ] * 2


async def test_samples_fail_at_once_when_all_are_left_alone() -> None:
    """Also those that were waiting for a place."""
    async with served(one_by_one(hang=True), timeout_s=0.2, max_concurrency=1, breaker_failures=1) as (all_of, backend):
        with pytest.raises(BackendError, match="timeout"):
            await draw(backend, 2)
        asked = all_of[0].stats.started
        with pytest.raises(BackendError, match="upstream_unreachable"):
            await draw(backend, 2)
        assert all_of[0].stats.started == asked
    async with served(one_by_one(), timeout_s=0.2, max_concurrency=1, breaker_failures=1) as ((upstream,), backend):
        await draw(backend, 2)
        upstream.script.hang = True
        asked = upstream.stats.started
        kinds = [sample.failure.kind for sample in await draw(backend, 6) if sample.failure]
        assert sorted(kinds) == ["timeout", *["upstream_unreachable"] * 5]
        assert upstream.stats.started == asked + 1  # nobody else waited for a time-out


async def test_an_open_upstream_does_not_hold_up_the_others() -> None:
    """All calls go to the one that is left, and the worker is healthy."""
    scripts = Script(fail_every=1), Script(texts=["fine"])
    async with served(*scripts, breaker_failures=2, breaker_pause_s=30.0) as (upstreams, backend):
        for _ in range(6):
            assert [sample.text for sample in await draw(backend, 2)] == ["fine"] * 2
        assert [upstream.stats.started for upstream in upstreams] == [2, 6]
        assert await backend.healthy()


@pytest.mark.parametrize(
    ("script", "opens"),
    [
        ({"fail_status": 500}, True),
        ({"fail_status": 429}, True),
        ({"fail_status": 429, "fail_headers": {"retry-after": "0.01"}}, False),
        ({"fail_status": 400}, False),
        ({"fail_status": 401}, False),
        ({"hang": True}, True),
    ],
)
async def test_what_counts_as_a_failure_of_the_upstream(script: dict[str, Any], opens: bool) -> None:
    """5xx, calls that take too long, and 429 that says no time; not a refusal, nor a 429 that says when to come."""
    options = {"retries": 0, "breaker_failures": 2, "breaker_pause_s": 30.0, "timeout_s": 0.05}
    async with served(Script(fail_every=1, **script), **options) as (_, backend):
        for _ in range(2):
            with pytest.raises(BackendError):
                await draw(backend, 1 + 1)
        assert await backend.healthy() is not opens


async def test_cancelled_calls_are_no_failures() -> None:
    """A client that hangs up says nothing of the upstream."""
    async with served(Script(hang=True), breaker_failures=1) as ((upstream,), backend):
        reading = asyncio.create_task(draw(backend, 2))
        await upstream.until(lambda stats: stats.running == 1)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        upstream.script = Script()
        assert len(await draw(backend, 2)) == 2


async def test_an_upstream_that_asks_for_a_pause_is_asked_after_the_others() -> None:
    """Its Retry-After holds for every call; where it is the only one, they wait."""
    resting = Script(fail_first=1, fail_status=429, fail_headers={"retry-after": "0.3"})
    async with served(resting, Script()) as (upstreams, backend):
        for _ in range(3):
            await draw(backend, 2)
        assert [upstream.stats.started for upstream in upstreams] == [1, 3]
    resting = Script(fail_first=1, fail_status=429, fail_headers={"retry-after": "0.3"})
    async with served(resting) as (_, backend):
        began = time.monotonic()
        await draw(backend, 2)
        assert time.monotonic() - began >= 0.3


async def test_what_is_provided_is_what_all_provide() -> None:
    """And a job goes to one that can serve it."""
    async with FakeUpstream(Script(server="vllm")) as vllm, FakeUpstream(Script(server="tgi")) as tgi:
        backend = make_backend(f"openai:tgi+{tgi.url},vllm+{vllm.url}#m", BackendSettings())
        assert isinstance(backend, OpenAIBackend)
        await backend.start()
        assert backend.provides == {Provides.CHAT, Provides.SEED}
        assert len(await draw(backend, 2, top_k=5)) == 2
        assert (vllm.stats.started, tgi.stats.started) == (1, 0)
        await backend.close()


async def test_each_upstream_has_its_own_name_for_the_model() -> None:
    """Where none is given, each one's first."""
    async with FakeUpstream(Script(model="a")) as first, FakeUpstream(Script(model="b")) as second:
        backend = OpenAIBackend(f"{first.url}, {second.url}/")
        await backend.start()
        first.script.delay_ms = second.script.delay_ms = 20
        await asyncio.gather(draw(backend, 2), draw(backend, 2))
        await backend.close()
        assert [upstream.requests[0]["model"] for upstream in (first, second)] == ["a", "b"]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(None, 0.0), ("3", 3.0), ("3600", 20.0), ("-5", 0.0), ("nan", 0.0), ("soon", 0.0), (0, 20.0)],
)
def test_retry_after_is_read_and_capped(header: str | int | None, seconds: float) -> None:
    """A number or an HTTP date, at most 20 s; whatever else it says is no time."""
    written = email.utils.formatdate(time.time() + 3600, usegmt=True) if header == 0 else header
    assert openai_calls._retry_after_s(written) == seconds


def test_what_was_only_hoped_for_is_left_out_once_it_is_refused() -> None:
    """A seed and log probabilities are not worth a failure: they are left out, and not claimed."""
    (upstream,) = upstreams_of("http://127.0.0.1:1/v1", "m", limit=1, failures=1, pause_s=1.0)
    body = request(job(1), upstream.dialect, "m", 1, 5)
    assert {"seed", "logprobs"} <= body.keys()
    for message in ("Unknown parameter: 'seed'.", "logprobs are not supported"):
        upstream.adapt(rejection(400, json.dumps({"error": message}).encode(), "a prompt", None), body)
    assert not {"seed", "logprobs"} & request(job(1), upstream.dialect, "m", 1, 5).keys()
    assert upstream.dialect.provides == {Provides.CHAT}
