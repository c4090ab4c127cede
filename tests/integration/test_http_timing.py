"""Where a reply says the time went: waiting, drawing, choosing, and the gateway's own part."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conftest import Bench, wait_until


def test_waiting_for_a_worker_and_being_drawn_are_told_apart(bench: Bench) -> None:
    """A worker of one sample, and so of one more job, each of 0.8 s: two answers are drawn at once, others wait."""
    upstream = bench.upstream(delay_ms=800)
    bench.worker(f"slow=openai:{upstream.url}", capacity_samples="1")
    gateway = bench.gateway()
    with ThreadPoolExecutor(4) as callers:
        for number in range(4):
            callers.submit(gateway.ask, model="slow", n=1)
            # The first are being drawn before the others come.
            wait_until(lambda at=number: upstream.stats.started > min(at, 1), "the first are asked for")
        # Its own aggregator's call waits too, which is neither: it is part of `aggregation_ms`.
        last = gateway.answer(model="slow", n=1, aggregator="gsa", answer_type="number")["timing"]
    assert 300 <= last["queue_ms"] < 3_000
    assert 780 <= last["sampling_ms"] < 1_800
    assert last["aggregation_ms"] >= last["calls_ms"] >= 780


@pytest.mark.parametrize("headers", [{}, {"idempotency-key": "one"}], ids=["plain", "durable"])
def test_the_overhead_is_what_did_not_pass_in_waiting(bench: Bench, headers: dict[str, str]) -> None:
    """An upstream of 0.4 s leaves no trace in it, also where the samples fail and where another request draws them."""
    upstream = bench.upstream(delay_ms=400)
    bench.worker(f"slow=openai:{upstream.url}", openai_retries="0")
    gateway = bench.gateway()
    asked = {"model": "slow", "question": "Why?", "n": 2, "stop": "none", "aggregator": "gsa", "answer_type": "number"}
    plainly = {"model": "slow", "question": "Why?"}
    gateway.http.post("/v1/answers", json=plainly)  # what is only loaded for the first request
    with ThreadPoolExecutor(2) as callers:
        sent = [callers.submit(gateway.http.post, "/v1/answers", json=asked, headers=headers) for _ in range(2)]
        replies = [each.result() for each in sent]
    bench.say(upstream, delay_ms=400, fail_every=1, fail_status=400)
    replies.append(gateway.http.post("/v1/answers", json=plainly))
    assert [reply.status_code for reply in replies] == [200, 200, 502]
    assert all(reply.elapsed.total_seconds() >= 0.4 for reply in replies)
    assert all(0.0 < float(reply.headers["x-conclave-overhead-ms"]) < 250.0 for reply in replies)


def test_every_reply_carries_both_headers(bench: Bench) -> None:
    """Answers, looks, second choices, streams, refusals and errors, whatever the route."""
    bench.worker(f"fake=openai:{bench.upstream().url}")
    http, asked = bench.gateway().http, {"model": "fake", "question": "Why?", "n": 2}
    first = http.post("/v1/answers", json=asked)
    place = f"/v1/answers/{first.json()['id']}"
    replies = [
        first,
        http.post("/v1/answers", json=asked, headers={"idempotency-key": "both"}),
        http.post("/v1/answers", json={**asked, "background": True}),
        http.post("/v1/answers", json={**asked, "stream": True}),
        http.post(f"{place}/aggregate", json={"aggregator": "vote"}),
        http.get(place),
        http.get(f"{place}/events"),
        http.delete(place),
        http.post("/v1/answers", json={}),
        http.post("/v1/answers", content=b"x" * 2_000_000),
        http.get("/v1/models"),
        http.get("/v1/aggregators"),
        http.get("/v1/nothing"),
    ]
    assert [reply.status_code for reply in replies] == [200, 200, 202, 200, 200, 200, 200, 409, 422, 413, 200, 200, 404]
    for reply in replies:
        assert float(reply.headers["x-conclave-overhead-ms"]) >= 0.0
        assert reply.headers["x-request-id"]
