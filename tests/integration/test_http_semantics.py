"""What users rely on, over HTTP: replies, deadlines, cancellation, stopping, durability."""

import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx
import pytest

from tests.conftest import Bench, Gateway, wait_until
from tests.fake_upstream import FakeUpstream

RIGHT = "The answer is 42."


@dataclass
class Stack:
    """One gateway and three models: `fake` draws all samples in one call, `single` one a call, `slow` one at a time."""

    bench: Bench
    gateway: Gateway
    fake: FakeUpstream
    single: FakeUpstream
    slow: FakeUpstream

    def say(self, name: str, **script) -> FakeUpstream:
        """Gives an upstream a new script."""
        upstream: FakeUpstream = getattr(self, name)
        how = {"n": "supported" if name == "fake" else "ignored", "texts": [RIGHT]}
        self.bench.say(upstream, **{**how, **script})
        return upstream


@pytest.fixture(scope="module")
def stack(shared: Bench) -> Stack:
    """The whole service before three fake upstreams; `slow` and `single` know that theirs gives one choice a call."""
    one_a_call = [shared.upstream(n="ignored", texts=[RIGHT]) for _ in range(2)]
    made = Stack(shared, shared.gateway(), shared.upstream(), *one_a_call)
    shared.worker(f"fake=openai:{made.fake.url}")
    shared.worker(f"single=openai:{made.single.url}")
    shared.worker(f"slow=openai:{made.slow.url}", openai_max_concurrency="1")
    for model in ("single", "slow"):
        made.gateway.answer(model=model, n=2)
    return made


def test_a_reply_has_the_shape_of_the_contract(stack: Stack) -> None:
    """Every field that users hold on to is there, with its evidence and its cost."""
    stack.say("fake")
    reply = stack.gateway.answer(n=4, stop="none")
    assert reply["id"].startswith("ans_")
    assert (reply["object"], reply["model"], reply["status"], reply["reason"]) == ("answer", "fake", "answered", None)
    assert (reply["answer"], reply["answer_type"], reply["text"]) == ("42", "number", RIGHT)
    assert reply["aggregator"]["fallback_from"] is None
    assert reply["confidence"]["posterior"] == pytest.approx(1 - 2**-5)
    assert reply["confidence"]["certified_flips"] == 1
    assert (reply["confidence"]["support"], reply["confidence"]["novel"]) == (1.0, False)
    assert (reply["confidence"]["value"], reply["confidence"]["calibrator"]) == (None, None)
    assert [s["index"] for s in reply["samples"]] == [0, 1, 2, 3]
    assert all(s["statistics"]["mean_logprob"] == pytest.approx(-0.25) for s in reply["samples"])
    assert reply["usage"]["prompt_tokens"] == 11
    assert reply["usage"]["completion_tokens"] == 4 * 4
    timing = reply["timing"]
    assert min(timing["queue_ms"], timing["sampling_ms"], timing["aggregation_ms"]) > 0
    parts = timing["queue_ms"] + timing["sampling_ms"] + timing["aggregation_ms"]
    assert parts == pytest.approx(timing["total_ms"], abs=0.01)


def test_samples_come_only_where_they_are_asked_for(stack: Stack) -> None:
    """`include` adds samples and calls to the reply; GET shows them always."""
    stack.say("fake")
    plain = stack.gateway.ask(n=2).json()
    assert "samples" not in plain
    assert "calls" not in plain
    both = stack.gateway.ask(n=2, include=["samples", "calls"]).json()
    assert len(both["samples"]) == 2
    assert both["calls"] == []
    assert len(stack.gateway.read(plain["id"])["samples"]) == 2


def test_replies_carry_the_requests_id_and_the_gateways_own_time(stack: Stack) -> None:
    """A plain id of the caller is kept, anything else is replaced; the overhead is milliseconds."""
    stack.say("fake")
    response = stack.gateway.ask(n=2)
    assert 0.0 <= float(response.headers["x-conclave-overhead-ms"]) < 5_000
    assert len(response.headers["x-request-id"]) >= 16
    for given, kept in (("mine-1", True), ("x" * 200, False)):
        reply = stack.gateway.http.get("/healthz", headers={"x-request-id": given})
        assert (reply.headers["x-request-id"] == given) is kept


def test_ties_are_decided_by_the_smallest_index_and_said(stack: Stack) -> None:
    """Two against two: the class with sample 0 wins, every time, with a warning."""
    texts = ["The answer is 1.", "The answer is 2.", "The answer is 2.", "The answer is 1."]
    for _ in range(3):
        stack.say("fake", texts=texts)
        reply = stack.gateway.answer(n=4, stop="none")
        assert reply["answer"] == "1"
        assert any("tie" in warning for warning in reply["warnings"])


def test_messages_reach_the_model_as_they_are(stack: Stack) -> None:
    """A conversation is passed on whole, with the sampling parameters and nothing else."""
    fake = stack.say("fake")
    fake.keep = True
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Six times seven?"},
        {"role": "assistant", "content": "41"},
        {"role": "user", "content": "Sure?"},
    ]
    sampling = {"temperature": 0.3, "top_p": 0.9, "max_tokens": 17, "stop": ["\n\n"], "seed": 5, "top_k": 9}
    stack.gateway.answer(messages=messages, n=2, sampling=sampling)
    (sent,) = fake.requests
    fake.keep = False
    assert sent.pop("messages") == messages
    assert sent.pop("logprobs") is True
    assert sent == {**sampling, "model": "fake", "n": 2}


def test_an_aggregator_that_asks_again_shows_its_call(stack: Stack) -> None:
    """Self-agreement costs one call more, which is shown with its prompt and counted."""
    stack.say("fake", texts=[RIGHT, RIGHT, "The majority voted answer is 42"])
    reply = stack.gateway.ask(n=2, aggregator="self_agreement", include=["calls"]).json()
    assert (reply["status"], reply["answer"], reply["aggregator"]["name"]) == ("answered", "42", "self_agreement")
    assert reply["aggregator"]["fallback_from"] is None
    (call,) = reply["calls"]
    assert call["text"] == "The majority voted answer is 42"
    assert "Solution 2:" in call["messages"][0]["content"]
    assert reply["usage"]["aggregation_calls"] == 1


def test_an_aggregator_that_gets_no_usable_reply_says_so(stack: Stack) -> None:
    """The plain vote stands in, named as a fallback with its reason."""
    stack.say("fake", texts=[RIGHT, RIGHT, "I would rather not."])
    reply = stack.gateway.ask(n=2, aggregator="gsa").json()
    assert (reply["status"], reply["answer"]) == ("answered", "42")
    assert reply["aggregator"]["fallback_from"] == "gsa"
    assert reply["aggregator"]["fallback_reason"] == "reply_without_answer"


def test_lead_ends_sampling_when_the_rest_cannot_matter(stack: Stack) -> None:
    """Five of eight agree: the other three are cancelled and reported, and most are never asked for."""
    slow = stack.say("slow", delay_ms=60)
    reply = stack.gateway.answer(model="slow", n=8, answer_type="number")
    counts = reply["usage"]["samples"]
    assert (reply["status"], reply["answer"]) == ("answered", "42")
    assert (reply["stop"]["name"], reply["stop"]["stopped"], reply["stop"]["lead"]) == ("lead", True, True)
    assert counts["finished"] >= 5
    assert counts["cancelled"] == 8 - counts["finished"] >= 1
    wait_until(lambda: slow.stats.running == 0, "the upstream is freed")
    assert slow.stats.started < 8


def test_beta_draws_in_waves_and_saves_the_rest(stack: Stack) -> None:
    """Four equal answers are enough; the other twelve are never asked for."""
    fake = stack.say("fake")
    reply = stack.gateway.answer(n=16, stop="beta")
    counts = reply["usage"]["samples"]
    assert (counts["requested"], counts["finished"], counts["cancelled"]) == (16, 4, 12)
    assert reply["stop"]["stopped"] is True
    assert reply["stop"]["options"] == {"threshold": 0.95, "wave": 4, "shadow": False}
    assert (counts["saved"], reply["usage"]["requested_tokens"]) == (12, 16 * 256)
    drawn = reply["usage"]["completion_tokens"]
    assert reply["usage"]["stop_saved_tokens"] == 3 * drawn
    assert reply["confidence"]["posterior"] == pytest.approx(0.96875)
    assert (fake.stats.started, fake.stats.choices) == (1, 4)


def test_beta_goes_on_while_the_answers_differ(stack: Stack) -> None:
    """All sixteen are drawn where no lead grows."""
    fake = stack.say("fake", texts=["The answer is 1.", "The answer is 2."])
    reply = stack.gateway.answer(n=16, stop="beta", aggregator="vote")
    assert reply["usage"]["samples"]["finished"] == 16
    assert reply["stop"]["stopped"] is False
    assert fake.stats.started == 4


def test_at_the_deadline_a_quorum_answers_as_degraded(stack: Stack) -> None:
    """What has come by then votes; the reply says how many were missing, and the rest is freed."""
    slow = stack.say("slow", delay_ms=250)
    reply = stack.gateway.answer(model="slow", n=8, stop="none", aggregator="vote", budget={"seconds": 1.2})
    counts = reply["usage"]["samples"]
    assert (reply["status"], reply["reason"], reply["answer"]) == ("degraded", "deadline", "42")
    assert 1 <= counts["finished"] <= 5
    assert counts["finished"] + counts["failed"] + counts["cancelled"] == 8
    assert reply["timing"]["total_ms"] < 1_200 + 400
    wait_until(lambda: slow.stats.running == 0, "the upstream is freed")


def test_at_the_deadline_less_than_a_quorum_is_an_error(stack: Stack) -> None:
    """504 as problem+json, with how many there were and how many it takes."""
    slow = stack.say("slow", delay_ms=250)
    response = stack.gateway.ask(model="slow", n=8, quorum=8, stop="none", aggregator="vote", budget={"seconds": 0.8})
    assert (response.status_code, response.headers["content-type"]) == (504, "application/problem+json")
    assert response.json()["code"] == "deadline_exceeded"
    assert "quorum is 8" in response.json()["detail"]
    wait_until(lambda: slow.stats.running == 0, "the upstream is freed")


def test_an_upstream_that_hangs_is_a_deadline_and_is_freed(stack: Stack) -> None:
    """Nothing at all by the deadline: 504, and the upstream sees the disconnect."""
    fake = stack.say("fake", hang=True)
    response = stack.gateway.ask(n=4, budget={"seconds": 0.5})
    assert response.status_code == 504
    wait_until(lambda: fake.stats.disconnected == 1, "the upstream sees the disconnect", 2.0)


def test_in_the_background_the_answer_is_fetched_later(stack: Stack) -> None:
    """202 with an id at once; GET tells that it is in progress and then what came out."""
    stack.say("fake", delay_ms=300)
    accepted = stack.gateway.ask(n=4, background=True)
    assert accepted.status_code == 202
    assert accepted.json()["status"] == "in_progress"
    assert accepted.json()["answer"] is None
    final = stack.gateway.final(accepted.json()["id"])
    assert (final["status"], final["answer"], len(final["samples"])) == ("answered", "42", 4)


@pytest.mark.parametrize("pause_s", [0.0, 0.001, 0.002, 0.005, 0.01])
def test_deleting_an_answer_at_once_cancels_it(stack: Stack, pause_s: float) -> None:
    """At whatever moment it is deleted, the reply comes at once and no job is left."""
    fake = stack.say("fake", hang=True)
    answer_id = stack.gateway.ask(n=4, background=True, budget={"seconds": 5}).json()["id"]
    threading.Event().wait(pause_s)
    deleted = stack.gateway.http.delete(f"/v1/answers/{answer_id}", timeout=2.0)
    assert (deleted.status_code, deleted.json()["status"]) == (200, "cancelled")
    wait_until(lambda: not stack.bench.keys("{0}:job:*"), "no job is left", 2.0)
    wait_until(lambda: fake.stats.running == 0, "the upstream is freed", 2.0)


def test_deleting_a_running_answer_cancels_it(stack: Stack) -> None:
    """The upstream sees the disconnect, the status is cancelled, and a second DELETE is a conflict."""
    fake = stack.say("fake", hang=True)
    answer_id = stack.gateway.ask(n=4, background=True).json()["id"]
    wait_until(lambda: fake.stats.running == 1, "the upstream is asked")
    deleted = stack.gateway.http.delete(f"/v1/answers/{answer_id}")
    assert (deleted.status_code, deleted.json()["status"]) == (200, "cancelled")
    wait_until(lambda: fake.stats.disconnected == 1, "the upstream sees the disconnect", 2.0)
    again = stack.gateway.http.delete(f"/v1/answers/{answer_id}")
    assert (again.status_code, again.headers["content-type"]) == (409, "application/problem+json")
    assert stack.gateway.read(answer_id)["status"] == "cancelled"


def test_who_waits_for_an_answer_that_is_deleted_is_told(stack: Stack) -> None:
    """The waiting POST returns with the status cancelled."""
    fake = stack.say("fake", hang=True)
    before = set(stack.bench.keys("{0}:answer:*"))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(stack.gateway.ask, n=4)
        wait_until(lambda: fake.stats.running == 1, "the upstream is asked")
        (key,) = set(stack.bench.keys("{0}:answer:*")) - before
        assert stack.gateway.http.delete(f"/v1/answers/{key.rpartition(':')[2]}").status_code == 200
        reply = waiting.result(5).json()
    assert (reply["status"], reply["answer"]) == ("cancelled", None)


def test_a_client_that_hangs_up_frees_the_upstream(stack: Stack) -> None:
    """Before the first byte of the reply: the upstream sees the disconnect, and the answer is cancelled."""
    fake = stack.say("fake", hang=True)
    before = set(stack.bench.keys("{0}:answer:*"))
    with pytest.raises(httpx.ReadTimeout), httpx.Client(base_url=stack.gateway.http.base_url, timeout=0.5) as client:
        client.post("/v1/answers", json={"model": "fake", "question": "Why?", "n": 4})
    wait_until(lambda: fake.stats.disconnected == 1, "the upstream sees the disconnect", 2.0)
    (key,) = set(stack.bench.keys("{0}:answer:*")) - before
    assert stack.gateway.final(key.rpartition(":")[2])["status"] == "cancelled"


def test_a_client_that_hangs_up_at_once_frees_the_upstream(stack: Stack) -> None:
    """At whatever moment of the request the line breaks, no call is left running and no job is left queued."""
    slow = stack.say("slow", hang=True)
    body = json.dumps({"model": "slow", "question": "Why?", "n": 4, "budget": {"seconds": 8}}).encode()
    head = b"POST /v1/answers HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: "
    for pause_s in (0.0, 0.001, 0.003, 0.01, 0.03):
        with socket.create_connection(("127.0.0.1", stack.gateway.port)) as line:
            line.sendall(head + str(len(body)).encode() + b"\r\n\r\n" + body)
            threading.Event().wait(pause_s)
    wait_until(lambda: not stack.bench.keys("{0}:job:*"), "no job is left", 3.0)
    wait_until(lambda: slow.stats.running == 0, "the upstream is freed", 3.0)
    # An entry whose job went while a worker took it goes when that worker looks for the job.
    queue = f"{stack.bench.prefix}:{{0}}:jobs:slow"
    wait_until(lambda: stack.bench.redis.xlen(queue) == 0, "nothing is queued", 3.0)


def test_an_answer_survives_the_gateway(stack: Stack) -> None:
    """GET through another gateway, and after a kill -9 and a restart, gives the same answer."""
    stack.say("fake")
    first = stack.bench.gateway()
    reply = first.answer(n=4, stop="none")
    assert stack.gateway.read(reply["id"])["answer"] == "42"
    before = first.read(reply["id"])
    first.kill()
    assert stack.bench.gateway().read(reply["id"]) == before
    assert {k: v for k, v in before.items() if k != "calls"} == {k: v for k, v in reply.items() if k != "calls"}


def test_another_gateway_can_cancel(stack: Stack) -> None:
    """202: the gateway that works on the answer was told, and does it."""
    fake = stack.say("fake", hang=True)
    other = stack.bench.gateway()
    answer_id = stack.gateway.ask(n=4, background=True).json()["id"]
    wait_until(lambda: fake.stats.running == 1, "the upstream is asked")
    assert other.http.delete(f"/v1/answers/{answer_id}").status_code == 202
    assert other.final(answer_id)["status"] == "cancelled"
    wait_until(lambda: fake.stats.disconnected == 1, "the upstream sees the disconnect", 2.0)


def test_concurrent_requests_do_not_mix(stack: Stack) -> None:
    """Forty at once with differing n, seeds and choices: each reply belongs to its own request."""
    single = stack.say("single", texts=["The answer is (A)."], delay_ms=20)

    def ask(i: int):
        return stack.gateway.answer(
            model="single",
            question=f"Question {i}?",
            n=1 + i % 5,
            stop="none",
            choices=[f"left {i}", f"right {i}"],
            sampler="iid",
            sampling={"seed": 1000 * i},
        )

    with ThreadPoolExecutor(40) as pool:
        replies = list(pool.map(ask, range(40)))
    for i, reply in enumerate(replies):
        assert reply["answer"] == f"left {i}"
        assert reply["usage"]["samples"]["finished"] == 1 + i % 5
        assert sorted(s["seed"] for s in reply["samples"]) == [1000 * i + k for k in range(1 + i % 5)]
    assert len({reply["id"] for reply in replies}) == 40
    assert single.stats.choices == sum(1 + i % 5 for i in range(40))


def test_too_many_answers_at_once_are_refused(stack: Stack) -> None:
    """Beyond the cap: 503 with Retry-After, and room again when one has ended; the background has a cap of its own."""
    fake = stack.say("fake", hang=True)
    small = stack.bench.gateway(max_in_flight="1")
    running = small.ask(n=1, background=True).json()["id"]
    wait_until(lambda: fake.stats.running == 1, "the upstream is asked")
    refused = small.ask(n=1, background=True)
    assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
    assert int(refused.headers["retry-after"]) >= 1
    assert small.ask(n=1, budget={"seconds": 0.5}).status_code == 504
    small.http.delete(f"/v1/answers/{running}")
    stack.say("fake")
    assert small.ask(n=1).status_code == 200


def test_the_same_seed_gives_the_same_answer(stack: Stack) -> None:
    """With the shipped model: same seed, same completions; another seed, others."""
    stack.bench.worker("abacus=abacus")
    body = {"model": "abacus", "question": "What is 12 + 7 * 3?", "n": 3, "stop": "none"}
    replies = [
        stack.gateway.answer(**body, sampling={"seed": seed, "max_tokens": 48, "temperature": 1.0})
        for seed in (11, 11, 12)
    ]
    texts = [[s["text"] for s in reply["samples"]] for reply in replies]
    assert texts[0] == texts[1]
    assert replies[0]["answer"] == replies[1]["answer"]
    assert texts[0] != texts[2]
    assert [s["seed"] for s in replies[0]["samples"]] == [11, 12, 13]
