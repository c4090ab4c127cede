"""Stopping rules and the certificate through HTTP, Redis and a worker."""

from dataclasses import dataclass

import pytest

from tests.conftest import Bench, Gateway
from tests.fake_upstream import FakeUpstream

RIGHT = "The answer is 42."


@dataclass(frozen=True)
class Stack:
    """One gateway before an upstream that draws one sample at a time."""

    gateway: Gateway
    slow: FakeUpstream


@pytest.fixture(scope="module")
def stack(shared: Bench) -> Stack:
    """A worker with room for one call."""
    made = Stack(shared.gateway(), shared.upstream(n="ignored", texts=[RIGHT]))
    shared.worker(f"slow=openai:{made.slow.url}", openai_max_concurrency="1")
    made.gateway.answer(model="slow", n=2)
    return made


def test_certified_ends_sampling_when_the_certificate_stands(stack: Stack, shared: Bench) -> None:
    """Seven equal answers, drawn in waves of four: eight of sixteen, and the reply's p is at most alpha."""
    shared.say(stack.slow, n="ignored", texts=[RIGHT])
    reply = stack.gateway.answer(model="slow", n=32, answer_type="number", aggregator="vote", stop="certified")
    certificate = reply["confidence"]["certificate"]
    assert (reply["status"], reply["answer"], reply["stop"]["stopped"]) == ("answered", "42", True)
    assert 7 <= reply["usage"]["samples"]["finished"] <= 8
    assert reply["usage"]["samples"]["saved"] == 32 - reply["usage"]["samples"]["finished"]
    assert certificate["p"] <= 0.0306
    assert (certificate["void"], certificate["test"]) == (None, "leader")
    assert 0.4 < reply["confidence"]["support_lower_95"] < 0.6


def test_a_deadline_answers_in_full_with_what_has_come(stack: Stack, shared: Bench) -> None:
    """Sampling ends at its time though nothing comes then; the rest is freed, and nothing is degraded."""
    shared.say(stack.slow, n="ignored", texts=[RIGHT], delay_ms=300)
    stop = {"name": "deadline", "seconds": 1.0}
    reply = stack.gateway.answer(model="slow", n=32, answer_type="number", aggregator="vote", stop=stop)
    assert (reply["status"], reply["reason"], reply["answer"]) == ("answered", None, "42")
    assert 1 <= reply["usage"]["samples"]["finished"] <= 4
    assert reply["stop"]["stopped"]
    assert 1_000 <= reply["timing"]["queue_ms"] + reply["timing"]["sampling_ms"] < 5_000


def test_a_deadline_waits_for_the_quorum(stack: Stack, shared: Bench) -> None:
    """One sample at .2 s is too few; the second comes after the rule's time, and then it ends."""
    shared.say(stack.slow, n="ignored", texts=[RIGHT], delay_ms=400)
    stop = {"name": "deadline", "seconds": 0.2}
    reply = stack.gateway.answer(model="slow", n=16, answer_type="number", aggregator="vote", stop=stop, quorum=2)
    assert (reply["status"], reply["usage"]["samples"]["finished"]) == ("answered", 2)


def test_a_shadow_draws_all_and_says_what_would_have_been(stack: Stack, shared: Bench) -> None:
    """Beta would have ended after its first wave of four."""
    shared.say(stack.slow, n="ignored", texts=[RIGHT])
    stop = {"name": "beta", "shadow": True}
    reply = stack.gateway.answer(model="slow", n=12, answer_type="number", aggregator="vote", stop=stop)
    shadow = reply["stop"]["shadow"]
    assert (reply["usage"]["samples"]["finished"], reply["stop"]["stopped"]) == (12, False)
    assert (shadow["stops"], shadow["drawn"], shadow["saved_samples"]) == (True, 4, 8)
    assert (shadow["answer"], shadow["same"]) == ("42", True)
    assert shadow["saved_tokens"] * 3 == reply["usage"]["completion_tokens"] * 2


def test_rules_that_cannot_be_are_refused(stack: Stack) -> None:
    """422 on `stop`: no members to switch between, no likelihoods of the choices."""
    for stop, more in (("switch", {}), ("grey", {"choices": ["yes", "no"]})):
        response = stack.gateway.ask(model="slow", n=4, stop=stop, **more)
        assert (response.status_code, response.json()["field"]) == (422, "stop")
