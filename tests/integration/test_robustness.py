"""What hostile or unlucky callers and upstreams may not do."""

import asyncio
import contextlib
import json
import os
import signal
import time
from pathlib import Path

import httpx
import pytest

from service.embedded_redis import EmbeddedRedis
from service.settings import child_environment
from tests.conftest import Bench, Program, wait_until
from tests.ports import own_port


def test_four_shards_under_concurrency(bench: Bench) -> None:
    """Forty questions at once over four shards all get their answer soon: equal ids of two streams are not confused."""
    upstream = bench.upstream(texts=["The answer is 42."])
    gateway = bench.gateway(queue_shards="4")
    bench.worker(f"fake=openai:{upstream.url}", queue_shards="4")

    async def ask_all() -> list[int]:
        limits = httpx.Limits(max_connections=40)
        async with httpx.AsyncClient(base_url=str(gateway.http.base_url), timeout=20, limits=limits) as client:
            body = {"model": "fake", "question": "Six times seven?", "n": 4, "budget": {"seconds": 10}}
            replies = await asyncio.gather(*(client.post("/v1/answers", json=body) for _ in range(40)))
            return [reply.status_code for reply in replies]

    assert asyncio.run(ask_all()) == [200] * 40


def test_a_lone_surrogate_from_upstream_is_text_like_any_other(bench: Bench) -> None:
    """A completion that no UTF-8 can hold is read with the broken character replaced; nothing hangs."""
    upstream = bench.upstream(texts=["The answer is 42. \ud83d"])
    gateway = bench.gateway()
    bench.worker(f"fake=openai:{upstream.url}")
    reply = gateway.answer(n=2, budget={"seconds": 10})
    assert (reply["status"], reply["answer"]) == ("answered", "42")


@pytest.mark.parametrize(
    "body",
    [
        b'{"model": "m", "messages": [{"role": "user", "content": "a \\ud83d b"}]}',
        b'{"model": "m", "question": "q", "choices": ["a", "b \\ud83d"]}',
        b'{"model": "m", "question": "q", "sampling": {"stop": ["\\ud83d"]}}',
        b'{"model": "m", "question": "q", "n": ' + b"9" * 4300 + b"}",
        b'{"model": "m", "question": "q", "sampling": {"max_tokens": ' + b"9" * 4300 + b"}}",
        json.dumps({"model": "m", "question": " "}).encode(),
        json.dumps({"model": "m", "question": "q", "choices": ["a", "A "]}).encode(),
        json.dumps({"model": "m", "question": "q", "sampling": {"stop": [""]}}).encode(),
    ],
)
def test_odd_requests_are_refused_and_never_a_500(shared: Bench, body: bytes) -> None:
    """Lone surrogates, giant numbers, blank and repeated choices are a 422 that is short."""
    gateway = shared.gateway()
    reply = gateway.http.post("/v1/answers", content=body, headers={"content-type": "application/json"})
    assert reply.status_code == 422
    assert len(reply.content) < 4_000


def test_many_wrong_fields_give_a_short_problem(shared: Bench) -> None:
    """Thousands of unknown fields are refused in a reply of bounded length."""
    gateway = shared.gateway()
    body = {"model": "m", "question": "q"} | {f"x{i}": 1 for i in range(5_000)}
    reply = gateway.http.post("/v1/answers", json=body)
    assert reply.status_code == 422
    assert len(reply.content) < 20_000


def test_below_the_quorum_there_is_no_answer(bench: Bench) -> None:
    """Two of eight completions hold an answer and the quorum is five: abstained, with the reason."""
    upstream = bench.upstream(texts=["The answer is 42."] * 2 + ["I do not know."] * 6)
    gateway = bench.gateway()
    bench.worker(f"fake=openai:{upstream.url}")
    reply = gateway.answer(n=8, quorum=5, answer_type="number")
    assert (reply["status"], reply["reason"], reply["answer"]) == ("abstained", "below_quorum", None)


def test_lead_waits_for_the_quorum(bench: Bench) -> None:
    """With a quorum of eight the lead of five does not end sampling."""
    upstream = bench.upstream(texts=["The answer is 42."])
    gateway = bench.gateway()
    bench.worker(f"fake=openai:{upstream.url}")
    reply = gateway.answer(n=8, quorum=8)
    assert (reply["status"], reply["candidates"][0]["votes"]) == ("answered", 8)


def test_filtered_completions_do_not_vote(bench: Bench) -> None:
    """A completion that the upstream's content filter ended is shown and not counted."""
    upstream = bench.upstream(texts=["The answer is 4."], finish_reason="content_filter")
    gateway = bench.gateway()
    bench.worker(f"fake=openai:{upstream.url}")
    reply = gateway.answer(n=2)
    assert reply["status"] == "abstained"
    assert {sample["excluded"] for sample in reply["samples"]} == {"filtered"}


def test_an_answer_whose_gateway_died_is_failed(bench: Bench) -> None:
    """After its budget and a grace an answer without a verdict is no longer in progress."""
    upstream = bench.upstream(hang=True)
    gateway = bench.gateway()
    bench.worker(f"fake=openai:{upstream.url}")
    answer_id = gateway.ask(n=2, background=True, budget={"seconds": 1}).json()["id"]
    gateway.kill()
    key = f"{bench.prefix}:{{0}}:answer:{answer_id}"
    bench.redis.hincrby(key, "deadline", -60_000)
    found = bench.gateway().read(answer_id)
    assert (found["status"], found["reason"], found["error"]["code"]) == ("failed", "gateway_lost", "gateway_lost")


def test_the_inbox_is_cleared(bench: Bench) -> None:
    """What a gateway has read does not stay in its inbox."""
    upstream = bench.upstream(texts=["The answer is 42."])
    gateway = bench.gateway()
    bench.worker(f"fake=openai:{upstream.url}")
    for _ in range(20):
        gateway.answer(n=1)
    (inbox,) = bench.keys("{0}:inbox:*")
    wait_until(lambda: bench.redis.xlen(f"{bench.prefix}:{inbox}") <= 1, "the inbox is trimmed")


def test_one_state_folder_has_one_server(own_redis: EmbeddedRedis) -> None:
    """A second embedded server on the same folder is refused: both would write one append-only file."""
    folder = own_redis._data.parent
    with pytest.raises(RuntimeError, match="in use"), EmbeddedRedis(folder):
        pass


def test_the_stack_outlives_its_redis(tmp_path: Path) -> None:
    """kill -9 of the embedded server: it is started again with what it had, and answers go on coming."""
    environment = {"CONCLAVE_STATE_DIR": str(tmp_path), "CONCLAVE_HOST": "127.0.0.1"}
    port = own_port()
    up = Program("up", ["service", "up", "--port", str(port)], child_environment() | environment, tmp_path)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30.0, trust_env=False) as client:
        body = {"model": "abacus", "question": "What is 2 + 3?", "n": 2, "sampling": {"max_tokens": 32}}

        def answered() -> str | None:
            with contextlib.suppress(httpx.TransportError):
                response = client.post("/v1/answers", json=body)
                return str(response.json()["id"]) if response.status_code == 200 else None
            return None

        try:
            first = wait_until(answered, "the stack answers", 60.0)
            time.sleep(1.2)  # the append-only file is on its way to the disk every second
            children = Path(f"/proc/{up.pid}/task/{up.pid}/children").read_text().split()
            (server,) = [child for child in children if b"redis-server" in Path(f"/proc/{child}/cmdline").read_bytes()]
            os.kill(int(server), signal.SIGKILL)
            wait_until(answered, "the stack answers again", 60.0)
            assert client.get(f"/v1/answers/{first}").status_code == 200
            assert up.running
        finally:
            assert up.end(60.0) == 0
