"""Scoring over the real queue: by a real worker process, and against replies that are not what was asked for."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.draws import Draw
from service.gather import Line, Order, alike, gather_samples
from service.ledger import Ledger
from service.mailroom import Mailroom
from service.scoring import Texts, score
from tests.conftest import Bench
from tests.ports import own_port
from tests.tiny_scorers import NLI_LABELS, make_classifier, make_encoder
from workers.backends.torch_scoring.backend import ScoringBackend
from workers.wire.connection import blocking_client, close, command_client
from workers.wire.dispatch import Dispatcher, Inbox
from workers.wire.job_kinds import serves
from workers.wire.keys import Keys
from workers.wire.leases import Leases
from workers.wire.messages import Failure, FailureKind, Job, Message, Provides, Sample, Sampling

QUESTION = (Message(role="user", content="What is 12 + 34 * 5?"),)
TEXTS = tuple(f"The answer is {number * number}." for number in range(20))
PAIRS = tuple(f"It is {number}." for number in range(20))
GATEWAY = "gate-1"


@asynccontextmanager
async def line_of(url: str, prefix: str, job_samples: int = 8) -> AsyncIterator[Line]:
    """A gateway's line of jobs of eight texts; closed with the context."""
    client, blocking = command_client(url), blocking_client(url, 1)
    keys = Keys(prefix)
    mailroom = Mailroom(Inbox(blocking, keys, GATEWAY), 1, lambda notice: None)
    mailroom.start()
    yield Line(Dispatcher(client, keys), mailroom, job_samples, Ledger(client, keys, GATEWAY, 60).samples)
    await mailroom.close()
    await close(client)
    await close(blocking)


def asked(bench: Bench, model: str, kind: Any, seconds: float = 20.0, **more: Any) -> Texts:
    """What to score, for an answer that the ledger knows."""
    answer_id = f"ans_{secrets.token_hex(12)}"
    bench.redis.hset(Keys(bench.prefix).answer(answer_id), mapping={"gateway": GATEWAY})
    given = {"texts": TEXTS, "messages": QUESTION if kind == "reward" else ()} | more
    return Texts(answer_id, "scores", model, kind, deadline=time.monotonic() + seconds, **given)


async def directly(kind: Any, folder: Path) -> list[tuple[float, ...]]:
    """The values that the backend gives in this process, by index."""
    backend = ScoringBackend(kind, str(folder), "cpu", threads=1)
    await backend.start()
    pairs = PAIRS if kind == "entail" else ()
    job = Job(
        job_id="j", answer_id="a", model="m", kind=kind, messages=QUESTION, texts=TEXTS, pairs=pairs, first=0, last=20
    )
    found = {sample.index: sample.values async for sample in backend.sample(job, tuple(range(20)))}
    await backend.close()
    return [found[index] for index in range(20)]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model for each kind."""
    folder = tmp_path_factory.mktemp("scorers")
    return {
        "reward": make_classifier(folder / "reward", "llama"),
        "embed": make_encoder(folder / "embed"),
        "entail": make_classifier(folder / "entail", "deberta", NLI_LABELS),
    }


@pytest.mark.parametrize(("kind", "width"), [("reward", 1), ("embed", 32), ("entail", 3)])
async def test_a_worker_gives_each_text_its_values(
    bench: Bench, redis_url: str, folders: dict[str, Path], kind: str, width: int
) -> None:
    """In the order of the texts, over several jobs, as the backend gives them; its card says what it provides."""
    port = str(own_port())
    bench.worker(f"judge={kind}:{folders[kind]}", torch_device="cpu", torch_threads="1", worker_metrics_port=port)
    async with line_of(redis_url, bench.prefix) as line:
        (card,) = await line.dispatcher.cards()
        assert (card.backend, card.provides, card.capacity_samples) == (kind, {Provides(kind)}, 256)
        pairs = PAIRS if kind == "entail" else ()
        found = await score(line, asked(bench, "judge", kind, pairs=pairs))
        expected = await directly(kind, folders[kind])
        for values, directly_found in zip(found, expected, strict=True):
            assert not isinstance(values, Failure)
            assert len(values) == width
            assert values == pytest.approx(directly_found, abs=2e-5)
        assert len(set(found)) == len(TEXTS)
        # One that cannot be scored is a failure in its place; nothing is queued any more.
        mixed = await score(line, asked(bench, "judge", kind, texts=("a", "7" * 99), pairs=pairs[:2]))
        assert [isinstance(each, Failure) and each.kind for each in mixed] == [False, FailureKind.CONTEXT_OVERFLOW]
        assert await score(line, asked(bench, "judge", kind, texts=(), pairs=())) == ()
        assert bench.keys("*job:*") == []
        metrics = f"http://127.0.0.1:{port}/metrics"
        counted = (await asyncio.to_thread(httpx.get, metrics, trust_env=False)).text
        assert 'conclave_worker_samples_total{model="judge",outcome="stop"} 21.0' in counted
        assert 'conclave_worker_samples_total{model="judge",outcome="failed"} 1.0' in counted
        # And it draws no samples, and serves no other kind.
        await refused(bench, line, "judge", f"the backend {kind} draws no samples")
        other = "embed" if kind != "embed" else "reward"
        (failure,) = await score(line, asked(bench, "judge", other, texts=("a",)))
        assert failure == Failure(kind=FailureKind.UNSUPPORTED, detail=f"the backend {kind} serves no {other} jobs")


async def refused(bench: Bench, line: Line, model: str, detail: str) -> None:
    """An order of samples fails for this reason."""
    texts = asked(bench, model, "reward")
    order = Order(texts.answer_id, "samples", 2, texts.deadline, alike(Draw(model, QUESTION, Sampling())))
    gathered = await gather_samples(line, order)
    failure = Failure(kind=FailureKind.UNSUPPORTED, detail=detail)
    assert [sample.failure for sample in gathered.samples.values()] == [failure] * 2


async def test_a_worker_that_draws_samples_scores_nothing(bench: Bench, redis_url: str, tmp_path: Path) -> None:
    """Its backend never sees the job."""
    (tmp_path / "r.jsonl").write_text('{"id": "q", "question": "Why?", "samples": [{"text": "42"}]}')
    bench.worker(f"fake=replay:{tmp_path / 'r.jsonl'}")
    async with line_of(redis_url, bench.prefix) as line:
        for kind in ("reward", "embed", "entail"):
            pairs = ("b", "b") if kind == "entail" else ()
            found = await score(line, asked(bench, "fake", kind, texts=("a", "a"), pairs=pairs))
            detail = f"the backend replay serves no {kind} jobs"
            assert found == (Failure(kind=FailureKind.UNSUPPORTED, detail=detail),) * 2


async def test_what_does_not_come_in_time_is_a_failure(bench: Bench, redis_url: str) -> None:
    """Without a worker: at the deadline, and the jobs are cancelled."""
    async with line_of(redis_url, bench.prefix) as line:
        found = await score(line, asked(bench, "nobody", "embed", seconds=0.2))
        assert [each.kind for each in found if isinstance(each, Failure)] == [FailureKind.TIMEOUT] * len(TEXTS)
        names = bench.redis.scan_iter(f"{bench.prefix}:*job:*")
        assert {bench.redis.hget(name, "state") for name in names} == {b"cancelled"}
        with pytest.raises(ValueError, match="hypothesis"):
            await score(line, asked(bench, "nobody", "entail", pairs=PAIRS[:3]))
        with pytest.raises(ValueError, match="no samples"):
            await score(line, replace(asked(bench, "nobody", "embed"), batch="samples"))


@pytest.mark.parametrize(("kind", "right"), [("reward", (0.5,)), ("embed", (0.1, 0.2)), ("entail", (0.5, 0.25, 0.25))])
async def test_values_of_a_wrong_length_are_a_failure(
    bench: Bench, redis_url: str, kind: str, right: tuple[float, ...]
) -> None:
    """A worker's replies are untrusted: vectors of one call are all as long as the first. Texts are sent once each."""
    async with line_of(redis_url, bench.prefix, job_samples=3) as line:
        client, blocking = command_client(redis_url), blocking_client(redis_url, 1)
        leases = Leases(client, blocking, Keys(bench.prefix), model="odd", worker="w", samples_ttl_ms=60_000)
        await leases.join(0)
        texts = ("a", "b", "c", "d")
        pairs = texts if kind == "entail" else ()
        scoring = asyncio.create_task(score(line, asked(bench, "odd", kind, texts=texts, pairs=pairs)))
        given = {0: right, 1: (*right, 0.1), 2: (), 3: right}
        jobs = []
        while len(jobs) < 2:
            for entry in await leases.take(0, 4):
                lease = await leases.lease(entry)
                assert lease is not None
                samples = [Sample(index=index, values=given[index]) for index in lease.missing]
                await leases.store(lease, samples, done=True)
                jobs.append(lease.job)
        found = await scoring
        assert [values for values in found if not isinstance(values, Failure)] == [right, right]
        kinds = [each.kind for each in found if isinstance(each, Failure)]
        assert kinds == [FailureKind.UPSTREAM_ERROR] * 2
        assert [job.texts for job in jobs] == [("a", "b", "c"), ("", "", "", "d")]
        assert [job.pairs for job in jobs] == ([job.texts for job in jobs] if pairs else [(), ()])
        await close(client)
        await close(blocking)


def test_a_workers_card_says_which_jobs_it_serves() -> None:
    """One rule for both processes."""
    assert serves(frozenset(), "sample")
    assert serves({Provides.CHAT, Provides.SEED}, "sample")
    for kind in ("reward", "embed", "entail"):
        assert serves({Provides(kind)}, kind)  # type: ignore[arg-type]  # a kind by its name
        assert not serves({Provides(kind)}, "sample")
        assert not serves({Provides.CHAT}, kind)  # type: ignore[arg-type]  # a kind by its name
    assert not serves({Provides.EMBED}, "reward")
