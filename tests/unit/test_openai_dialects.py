"""The openai backend against upstreams that play the known servers, over real HTTP: what each gives and refuses."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.fake_upstream import FakeUpstream, Script
from workers.backends.base import BackendError
from workers.backends.openai_dialects import ANY, DIALECTS, signed
from workers.backends.openai_http import OpenAIBackend
from workers.backends.openai_reply import rejection
from workers.wire.messages import Caution, ConfidenceCut, FailureKind, Job, Message, Provides, Sample, Sampling

PLAYED = sorted(set(DIALECTS) - {"transformers"})
PROVIDES = {
    "llamacpp": {Provides.CHAT, Provides.MEAN_LOGPROB, Provides.SEED, Provides.LOGIT_BIAS},
    "ollama": {Provides.CHAT, Provides.MEAN_LOGPROB, Provides.SEED},
    "openai": {Provides.CHAT, Provides.MEAN_LOGPROB, Provides.LOGIT_BIAS},
    "sglang": {Provides.CHAT, Provides.LOGIT_BIAS, Provides.PREFIX_CONTINUE},
    "tgi": {Provides.CHAT, Provides.SEED},
    "vllm": {
        Provides.CHAT,
        Provides.MEAN_LOGPROB,
        Provides.SEED,
        Provides.LOGIT_BIAS,
        Provides.PREFIX_CONTINUE,
    },
}


def job(n: int = 4, prefix: str = "", kind: Any = "sample", **sampling: Any) -> Job:
    """A job of n samples."""
    return Job(
        job_id="j",
        answer_id="a",
        model="m",
        kind=kind,
        messages=(Message(role="user", content="Say a number."),),
        prefix=prefix,
        texts=("x",) * n if kind != "sample" else (),
        sampling=Sampling(**sampling),
        first=0,
        last=n,
    )


async def draw(backend: OpenAIBackend, asked: Job, indices: tuple[int, ...] | None = None) -> list[Sample]:
    """The samples of a job, by index."""
    samples = [sample async for sample in backend.sample(asked, indices or tuple(range(asked.last)))]
    return sorted(samples, key=lambda sample: sample.index)


@asynccontextmanager
async def played(server: str, named: bool = True, **script: Any) -> AsyncIterator[tuple[FakeUpstream, OpenAIBackend]]:
    """An upstream that plays a server, and a started backend that was told which, or was not."""
    async with FakeUpstream(Script(server=server, **script)) as upstream:
        backend = OpenAIBackend(f"{server}+{upstream.url}" if named and server else upstream.url, "m", retries=1)
        await backend.start()
        try:
            yield upstream, backend
        finally:
            await backend.close()


@pytest.mark.parametrize("server", PLAYED)
async def test_samples_come_from_every_server(server: str) -> None:
    """All samples are there, by one call or by several, and what is provided is what was promised."""
    async with played(server) as (_, backend):
        assert backend.provides == PROVIDES[server]
        samples = await draw(backend, job(4, seed=5))
        assert [sample.text for sample in samples] == ["The answer is 42."] * 4
        assert not any(sample.failure for sample in samples)
        if Provides.SEED in backend.provides:
            assert [sample.seed for sample in samples] == [5, 6, 7, 8]
        if Provides.MEAN_LOGPROB in backend.provides:
            assert {sample.statistics.mean_logprob for sample in samples} == {-0.25}
        assert Provides.MEAN_LOGPROB not in backend.provides or server != "ollama"


@pytest.mark.parametrize("server", ["llamacpp", "ollama", "sglang", "vllm"])
async def test_a_server_is_recognised_by_its_signature(server: str) -> None:
    """Without being told: what it provides is the same."""
    async with played(server, named=False) as (_, backend):
        assert backend.provides == PROVIDES[server]


@pytest.mark.parametrize("server", ["openai", "tgi"])
async def test_a_server_that_is_not_recognised_serves_all_the_same(server: str) -> None:
    """What it refuses is said in another way, once; nothing is promised for it."""
    async with played(server, named=False) as (upstream, backend):
        assert backend.provides == ANY.provides
        assert not any(sample.failure for sample in await draw(backend, job(3)))
        before = upstream.stats.failed
        assert not any(sample.failure for sample in await draw(backend, job(3)))
        assert upstream.stats.failed == before


async def test_a_server_that_starts_later_is_recognised_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker was there first."""
    monkeypatch.setattr("workers.backends.openai_calls._LISTING_PERIOD_S", 0.0)
    async with FakeUpstream(Script(server="vllm")) as gone:
        url, port = gone.url, gone.port
    backend = OpenAIBackend(url, "m")
    await backend.start()
    assert backend.provides == ANY.provides
    async with FakeUpstream(Script(server="vllm"), port):
        assert [sample.text for sample in await draw(backend, job(1, prefix="The"))] == ["The answer is 42."]
        assert backend.provides == PROVIDES["vllm"]
        await backend.close()


def test_a_signature_is_one_servers() -> None:
    """And whoever signs otherwise, or not at all, is nobody known."""
    signatures = [dialect.owned_by for dialect in DIALECTS.values() if dialect.owned_by]
    assert len(set(signatures)) == len(signatures)
    assert signed("somebody") is signed(None) is signed(["vllm"]) is None


async def test_a_prefix_is_continued() -> None:
    """It goes out as the assistant's turn that has begun."""
    async with played("vllm") as (upstream, backend):
        await draw(backend, job(2, prefix="The answer is"))
        asked = upstream.requests[-1]
        assert asked["messages"][-1] == {"role": "assistant", "content": "The answer is"}
        assert (asked["continue_final_message"], asked["add_generation_prompt"]) == (True, False)


async def test_a_bias_goes_out_as_openai_writes_it() -> None:
    """Token ids are keys."""
    async with played("openai") as (upstream, backend):
        await draw(backend, job(1, logit_bias=((7, -100.0), (9, 1.5)), max_tokens=12))
        asked = upstream.requests[-1]
        assert asked["logit_bias"] == {"7": -100.0, "9": 1.5}
        assert asked["max_completion_tokens"] == 12
        assert "max_tokens" not in asked


@pytest.mark.parametrize(
    ("server", "asked", "said"),
    [
        ("vllm", {"options": ("yes", "no")}, "options"),
        ("vllm", {"cut": ConfidenceCut()}, "a confidence cut"),
        ("vllm", {"caution": Caution()}, "caution"),
        ("vllm", {"end_at_answer": True}, "end_at_answer"),
        ("vllm", {"kind": "embed"}, "kind embed"),
        ("vllm", {"logit_bias": ((1, 101.0),)}, "beyond 100"),
        ("", {"prefix": "So"}, "a prefix; if it is of a known kind, name it"),
        ("", {"logit_bias": ((1, 1.0),)}, "logit_bias"),
        ("llamacpp", {"prefix": "So"}, "a prefix"),
        ("ollama", {"top_k": 3}, "top_k"),
        ("tgi", {"min_p": 0.1, "logit_bias": ((1, 1.0),)}, "logit_bias, min_p"),
        ("openai", {"stop": tuple("abcde")}, "more than 4 stop strings"),
    ],
)
async def test_what_an_upstream_cannot_serve_is_never_passed_over(server: str, asked: Any, said: str) -> None:
    """The samples fail as UNSUPPORTED, with what it is, and the upstream is not asked."""
    async with played(server) as (upstream, backend):
        with pytest.raises(BackendError) as caught:
            await draw(backend, job(2, **asked))
        assert caught.value.kind is FailureKind.UNSUPPORTED
        assert said in caught.value.detail
        assert upstream.stats.started == 0


@pytest.mark.parametrize(
    ("server", "asked", "field"),
    [
        ("openai", {"top_k": 3}, "top_k"),
        ("openai", {"stop": tuple("abcde")}, "stop"),
        ("tgi", {"stop": tuple("abcde")}, "stop"),
        ("vllm", {"stop": tuple("abcde")}, "stop"),
    ],
)
async def test_what_an_upstream_refuses_is_unsupported(server: str, asked: Any, field: str) -> None:
    """Its own words tell which field it is; those it had to be asked for are not tried again."""
    async with played(server, named=False) as (_, backend):
        (sample,) = await draw(backend, job(1, **asked))
        assert sample.failure is not None
        assert sample.failure.kind is FailureKind.UNSUPPORTED
        assert f"the upstream refuses {field}: 4" in sample.failure.detail


@pytest.mark.parametrize("server", PLAYED)
async def test_a_prompt_that_does_not_fit_is_known_in_every_servers_words(server: str) -> None:
    """CONTEXT_OVERFLOW, and no second try: llama.cpp and Ollama say it with a 500, or have."""
    async with played(server, context_chars=5) as (upstream, backend):
        (sample,) = await draw(backend, job(1))
        assert sample.failure is not None
        assert sample.failure.kind is FailureKind.CONTEXT_OVERFLOW
        assert upstream.stats.started == 1


async def test_seeds_of_choices_are_used_only_where_they_follow_each_other() -> None:
    """vLLM's choice i draws with seed + i; the rest of a job that has gaps is drawn one by one."""
    async with played("vllm") as (upstream, backend):
        assert [sample.seed for sample in await draw(backend, job(8, seed=3), (4, 5, 6))] == [7, 8, 9]
        assert [(asked["seed"], asked["n"]) for asked in upstream.requests] == [(7, 3)]
        upstream.requests.clear()
        assert [sample.seed for sample in await draw(backend, job(8, seed=3), (1, 3, 2, 4))] == [4, 5, 6, 7]
        assert sorted(asked["seed"] for asked in upstream.requests) == [4, 5, 6, 7]


async def test_a_greedy_job_does_not_cost_vllm_its_several() -> None:
    """It refuses n only there."""
    async with played("vllm") as (upstream, backend):
        assert len(await draw(backend, job(4, temperature=0.0))) == 4
        upstream.requests.clear()
        await draw(backend, job(4))
        assert [asked["n"] for asked in upstream.requests] == [4]


async def test_calls_that_are_refused_side_by_side_all_find_the_other_way() -> None:
    """The first to be refused teaches all."""
    async with played("tgi", named=False, delay_ms=20) as (_, backend):
        drawn = await asyncio.gather(*(draw(backend, job(1)) for _ in range(5)))
        assert not any(sample.failure for samples in drawn for sample in samples)


def test_an_unknown_dialect_is_refused_by_name() -> None:
    """With those that there are."""
    with pytest.raises(ValueError, match="unknown dialect 'vlllm': one of llamacpp, ollama, openai"):
        OpenAIBackend("vlllm+http://127.0.0.1:1/v1")


@pytest.mark.parametrize(
    ("status", "body", "kind", "detail"),
    [
        (424, b'{"error":"Request failed during generation","error_type":"generation"}', "upstream_error", "424: Req"),
        (429, b'{"error":"Model is overloaded","error_type":"overloaded"}', "upstream_rejected", "429: Model is over"),
        (500, b'{"error":{"code":500,"message":"boom","type":"server_error"}}', "upstream_error", "500: boom"),
        (404, b'{"error":"model \\"x\\" not found, try pulling it first"}', "upstream_rejected", "404: model"),
    ],
)
def test_error_shapes(status: int, body: bytes, kind: str, detail: str) -> None:
    """TGI's, llama.cpp's and Ollama's."""
    refusal = rejection(status, body, "a prompt", None)
    assert refusal.kind == kind
    assert refusal.detail.startswith(detail)
    assert refusal.passing is (status != 404)
