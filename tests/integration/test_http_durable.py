"""Idempotency keys, events, and choosing again, over HTTP."""

import json
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.conftest import Bench, Gateway, wait_until
from tests.fake_upstream import FakeUpstream

BODY = {"model": "fake", "question": "What is six times seven?", "n": 4, "stop": "none"}


@pytest.fixture
def upstream(bench: Bench) -> FakeUpstream:
    """Three right answers and a wrong one, a call each, one after the other."""
    started = bench.upstream(texts=["The answer is 42."] * 3 + ["The answer is 41."], n="ignored", delay_ms=100)
    bench.worker(f"fake=openai:{started.url}", openai_max_concurrency="1")
    return started


@pytest.fixture
def gateway(bench: Bench, upstream: FakeUpstream) -> Gateway:
    """A gateway before the worker."""
    return bench.gateway()


def post(gateway: Gateway, key: str, **changed: object) -> httpx.Response:
    """The question with an idempotency key."""
    return gateway.http.post("/v1/answers", json={**BODY, **changed}, headers={"Idempotency-Key": key})


def read_events(response: httpx.Response, most: int | None = None) -> list[tuple[str, str, dict]]:
    """The events of a stream: name, id, data."""
    found: list[tuple[str, str, dict]] = []
    fields: dict[str, str] = {}
    for line in response.iter_lines():
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif fields:
            found.append((fields["event"], fields["id"], json.loads(fields["data"])))
            fields = {}
            if most is not None and len(found) == most:
                break
    return found


def follow(gateway: Gateway, answer_id: str, after: str | None = None, most: int | None = None) -> list:
    """The events of an answer."""
    headers = {} if after is None else {"Last-Event-ID": after}
    with gateway.http.stream("GET", f"/v1/answers/{answer_id}/events", headers=headers) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        return read_events(response, most)


def test_fifty_at_once_with_one_key_are_one_answer(bench: Bench, gateway: Gateway, upstream: FakeUpstream) -> None:
    """At two gateways: all get the same reply, and the samples are drawn once."""
    other = bench.gateway()
    with ThreadPoolExecutor(50) as pool:
        asked = [pool.submit(post, (gateway, other)[i % 2], "k") for i in range(50)]
        replies = [each.result(60) for each in asked]
    assert {reply.status_code for reply in replies} == {200}
    assert len({reply.text for reply in replies}) == 1
    assert replies[0].json()["answer"] == "42"
    assert upstream.stats.choices == 4
    assert post(gateway, "k").json() == replies[0].json()
    assert post(gateway, "another").json()["id"] != replies[0].json()["id"]


def test_a_key_that_came_with_another_request_is_refused(gateway: Gateway) -> None:
    """422, whatever differs."""
    assert post(gateway, "k").status_code == 200
    for changed in ({"n": 3}, {"question": "Why?"}, {"sampling": {"seed": 1}}, {"background": True}):
        response = post(gateway, "k", **changed)
        assert (response.status_code, response.json()["code"]) == (422, "idempotency_key_reused")
        assert response.json()["field"] == "Idempotency-Key"
    for key in ("", "x" * 256):
        assert post(gateway, key).status_code == 422


def test_a_keyed_answer_is_there_as_long_as_its_key(bench: Bench, upstream: FakeUpstream) -> None:
    """A day, however short the retention of other answers is: the same key never draws again."""
    gateway = bench.gateway(retention_s="10")
    keyed, plain = post(gateway, "k").json()["id"], gateway.answer(**BODY)["id"]
    left = {}
    for kind in ("answer", "samples"):
        left[kind] = bench.redis.pttl(f"{bench.prefix}:{{0}}:{kind}:{keyed}")
        assert 86_000_000 < left[kind] <= 86_400_000
        assert 0 < bench.redis.pttl(f"{bench.prefix}:{{0}}:{kind}:{plain}") <= 10_000
    (once,) = bench.keys("{0}:once:*")
    assert bench.redis.pttl(f"{bench.prefix}:{once}") <= left["answer"] + 1_000


def test_each_callers_keys_are_its_own(gateway: Gateway) -> None:
    """The same key with another Authorization header is another answer."""
    ids = set()
    for caller in ("Bearer a", "Bearer b", "Bearer a"):
        headers = {"Idempotency-Key": "k", "Authorization": caller}
        ids.add(gateway.http.post("/v1/answers", json=BODY, headers=headers).json()["id"])
    assert len(ids) == 2


def test_a_failure_is_the_same_for_all_who_ask_with_the_key(
    bench: Bench, gateway: Gateway, upstream: FakeUpstream
) -> None:
    """The upstream fails once and for all: each gets the problem of the one answer."""
    bench.say(upstream, fail_every=1, fail_status=400)
    with ThreadPoolExecutor(5) as pool:
        replies = [each.result(60) for each in [pool.submit(post, gateway, "k") for _ in range(5)]]
    problems = [{k: v for k, v in reply.json().items() if k != "request_id"} for reply in replies]
    assert {reply.status_code for reply in replies} == {502}
    assert problems[0]["failures"] == {"upstream_rejected": 4}
    assert all(problem == problems[0] for problem in problems)


def test_a_caller_with_a_key_who_hangs_up_finds_the_answer_later(gateway: Gateway, upstream: FakeUpstream) -> None:
    """What may be asked for again is not cancelled."""
    with pytest.raises(httpx.ReadTimeout):
        gateway.http.post("/v1/answers", json=BODY, headers={"Idempotency-Key": "k"}, timeout=0.15)
    reply = post(gateway, "k")
    assert (reply.json()["status"], reply.json()["answer"]) == ("answered", "42")
    assert upstream.stats.choices == 4


def test_events_tell_of_each_sample_and_end_with_the_verdict(bench: Bench, gateway: Gateway) -> None:
    """In whatever gateway; a reader who comes back gets what it has not seen."""
    answer_id = gateway.ask(**BODY | {"background": True}).json()["id"]
    first = follow(gateway, answer_id, most=2)
    # A slow machine may see two samples at one look: the tally follows both.
    assert first[0][0] == "sample"
    assert first[1][0] in ("sample", "tally")
    rest = follow(bench.gateway(), answer_id, after=first[-1][1])
    samples = [data["index"] for name, _, data in [*first, *rest] if name == "sample"]
    assert sorted(samples) == [0, 1, 2, 3]
    tallies = [data for name, _, data in [*first, *rest] if name == "tally"]
    assert [t["finished"] for t in tallies] == sorted(t["finished"] for t in tallies)
    assert all(t["requested"] == 4 and t["candidates"] for t in tallies)
    name, last, verdict = rest[-1]
    assert (name, last, verdict["answer"], verdict["status"]) == ("verdict", "f", "42", "answered")
    assert verdict == gateway.read(answer_id)
    assert [name for name, _, _ in follow(gateway, answer_id, after=last)] == ["verdict"]
    assert [name for name, _, _ in follow(gateway, answer_id)] == ["sample"] * 4 + ["verdict"]
    assert [name for name, _, _ in follow(gateway, answer_id, after="no id")] == ["sample"] * 4 + ["verdict"]
    assert gateway.http.get(f"/v1/answers/ans_{'0' * 24}/events").status_code == 404


def test_a_question_can_be_asked_for_its_events(gateway: Gateway, upstream: FakeUpstream) -> None:
    """`stream`: the events in place of the answer."""
    with gateway.http.stream("POST", "/v1/answers", json={**BODY, "stream": True}) as response:
        found = read_events(response)
    assert [name for name, _, _ in found if name != "tally"] == ["sample"] * 4 + ["verdict"]
    assert found[-1][2]["answer"] == "42"
    assert gateway.read(found[-1][2]["id"])["answer"] == "42"


def test_a_reader_who_hangs_up_frees_the_workers(bench: Bench, gateway: Gateway, upstream: FakeUpstream) -> None:
    """Also before the first event."""
    bench.say(upstream, hang=True)
    with gateway.http.stream("POST", "/v1/answers", json={**BODY, "stream": True}) as response:
        assert response.status_code == 200
        wait_until(lambda: upstream.stats.running == 1, "the upstream is asked")
    wait_until(lambda: upstream.stats.disconnected == 1, "its call is given up")
    (name,) = bench.keys("{0}:answer:*")
    assert gateway.final(name.rpartition(":")[2])["status"] == "cancelled"


def test_a_failed_answer_ends_its_events_with_the_reason(
    bench: Bench, gateway: Gateway, upstream: FakeUpstream
) -> None:
    """The verdict of an answer that failed carries its error and no answer."""
    bench.say(upstream, fail_every=1, fail_status=400)
    with gateway.http.stream("POST", "/v1/answers", json={**BODY, "stream": True}) as response:
        name, _, verdict = read_events(response)[-1]
    assert (name, verdict["status"], verdict["answer"]) == ("verdict", "failed", None)
    assert verdict["error"]["code"] == "samples_failed"


def test_another_aggregator_chooses_among_the_stored_samples(gateway: Gateway, upstream: FakeUpstream) -> None:
    """No sample is drawn; the verdict is an answer of its own, which names whose samples it chose among."""
    answer = gateway.answer(**BODY)
    url = f"/v1/answers/{answer['id']}/aggregate"
    again = gateway.http.post(url, json={"aggregator": "vote", "include": ["samples"]}).json()
    assert (again["answer"], again["parent"], again["status"]) == ("42", answer["id"], "answered")
    assert again["id"] != answer["id"]
    assert again["candidates"] == answer["candidates"]
    assert again["samples"] == answer["samples"]
    assert upstream.stats.choices == 4
    assert (again["usage"]["completion_tokens"], again["usage"]["aggregation_calls"]) == (0, 0)
    as_text = gateway.http.post(url, json={"answer_type": "text"}).json()
    assert as_text["answer_type"] == "text"
    asking = gateway.http.post(url, json={"aggregator": "self_agreement", "include": ["calls"]}).json()
    assert asking["usage"]["aggregation_calls"] == len(asking["calls"]) == 1
    assert upstream.stats.choices == 5
    assert gateway.read(again["id"])["parent"] == answer["id"]


def test_samples_after_the_stop_stay_left_out_when_chosen_among_again(gateway: Gateway) -> None:
    """The same aggregator over the same samples gives the same verdict."""
    answer = gateway.answer(**BODY | {"stop": "lead"})
    again = gateway.http.post(f"/v1/answers/{answer['id']}/aggregate", json={"aggregator": "vote"}).json()
    assert (again["answer"], again["candidates"]) == (answer["answer"], answer["candidates"])


def test_what_cannot_be_chosen_among_again_is_refused(bench: Bench, gateway: Gateway, upstream: FakeUpstream) -> None:
    """409 while it is in progress, 404 for an unknown id, 422 for what is no aggregator."""
    answer_id = gateway.answer(**BODY)["id"]
    url = f"/v1/answers/{answer_id}/aggregate"
    assert gateway.http.post(url, json={"aggregator": "astrology"}).status_code == 422
    assert gateway.http.post(url, json={"n": 3}).status_code == 422
    assert gateway.http.post(f"/v1/answers/ans_{'0' * 24}/aggregate", json={}).status_code == 404
    bench.say(upstream, hang=True)
    running = gateway.ask(**BODY | {"background": True}).json()["id"]
    response = gateway.http.post(f"/v1/answers/{running}/aggregate", json={})
    assert (response.status_code, response.json()["code"]) == (409, "conflict")
