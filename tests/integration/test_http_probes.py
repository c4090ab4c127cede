"""The probes that peers of this service fail (E1 to E5), put through HTTP, Redis, a worker and an upstream."""

from dataclasses import dataclass

import pytest

from tests.conftest import Bench, Gateway
from tests.fake_upstream import FakeUpstream

HALVES = [
    "The answer is 1/2",
    "The answer is 0.5.",
    "The answer is \\frac{1}{2}.",
    "The answer is $1/2$.",
    "Hence \\boxed{0.5}",
]


@dataclass
class Stack:
    """One gateway; an upstream that draws all samples in one call, and one that draws one a call (`single`)."""

    bench: Bench
    gateway: Gateway
    together: FakeUpstream
    single: FakeUpstream

    def answer(self, *texts: str | None, finish_reason: str = "stop", **body):
        """The reply where the upstream gives these texts, one a sample."""
        self.bench.say(self.together, texts=list(texts), finish_reason=finish_reason)
        return self.gateway.answer(**{"n": len(texts), "stop": "none", **body})


@pytest.fixture(scope="module")
def stack(shared: Bench) -> Stack:
    """The whole service before two fake upstreams."""
    made = Stack(shared, shared.gateway(), shared.upstream(), shared.upstream(n="ignored"))
    shared.worker(f"fake=openai:{made.together.url}")
    shared.worker(f"single=openai:{made.single.url}")
    return made


@pytest.mark.parametrize("aggregator", ["auto", "vote"])
def test_e1_the_majority_wins_and_not_the_first_sample(stack: Stack, aggregator: str) -> None:
    """E1: 41, 42, 42, 42, 42 is 42, though 41 came first and differs by one digit."""
    reply = stack.answer(*(f"The answer is {n}." for n in (41, 42, 42, 42, 42)), aggregator=aggregator)
    assert (reply["status"], reply["answer"], reply["text"]) == ("answered", "42", "The answer is 42.")
    assert [(c["answer"], c["votes"], c["samples"]) for c in reply["candidates"]] == [
        ("42", 4, [1, 2, 3, 4]),
        ("41", 1, [0]),
    ]
    assert reply["aggregator"]["name"] == "vote"
    assert reply["confidence"]["vote_share"] == pytest.approx(0.8)
    assert reply["confidence"]["margin"] == pytest.approx(0.6)
    assert reply["confidence"]["value"] is None


@pytest.mark.parametrize("answer_type", ["auto", "number", "math"])
@pytest.mark.parametrize("threes_first", [True, False])
def test_e2_e3_five_spellings_of_one_half_are_one_answer(stack: Stack, answer_type: str, threes_first: bool) -> None:
    """E2, E3: five spellings of one half beat three times 3, with all their votes and spellings."""
    threes = ["The answer is 3."] * 3
    texts = [*threes, *HALVES] if threes_first else [*HALVES, *threes]
    reply = stack.answer(*texts, answer_type=answer_type)
    first, second = reply["candidates"]
    assert reply["answer"] == first["answer"]
    assert reply["answer"] in ("1/2", "0.5", "\\frac{1}{2}")
    assert (first["votes"], second["votes"], second["answer"]) == (5, 3, "3")
    for spelling in ("1/2", "0.5", "\\frac{1}{2}"):
        assert any(spelling in spelled for spelled in first["spellings"]), first["spellings"]
    assert len(first["spellings"]) >= 3


@pytest.mark.parametrize("answer_type", ["auto", "number", "math"])
def test_e2_e3_prose_before_a_formula_is_no_part_of_it(stack: Stack, answer_type: str) -> None:
    """Without dollars or a demanded phrase too, \\frac{1}{2} at the end of a sentence is one half."""
    reply = stack.answer("So it is \\frac{1}{2}", *HALVES, *["The answer is 3."] * 3, answer_type=answer_type)
    assert [c["votes"] for c in reply["candidates"]] == [6, 3]


@pytest.mark.parametrize("stop", ["none", "lead", "beta"])
def test_equal_expressions_vote_together(stack: Stack, stop: str) -> None:
    """Two spellings of one square beat three of another expression, whatever rule asks for the tally."""
    texts = [
        "\\boxed{(x+1)^2}",
        "\\boxed{x^2+2x+1}",
        "\\boxed{x-1}",
        "\\boxed{x^2+2x+1}",
        "\\boxed{x-1}",
        "\\boxed{x-1}",
    ]
    reply = stack.answer(*texts, "\\boxed{(1+x)^2}", answer_type="math", stop=stop)
    assert [(c["answer"], c["votes"]) for c in reply["candidates"]] == [("x^2+2x+1", 4), ("x-1", 3)]
    assert (reply["answer"], reply["warnings"]) == ("x^2+2x+1", [])


def test_an_expression_that_overruns_is_an_answer_of_its_own(stack: Stack) -> None:
    """A power tower costs its deadline, joins no other answer, and the reply says that it was not compared."""
    reply = stack.answer("\\boxed{9^{9^{9^9}}}", *["\\boxed{1+x}"] * 2, "\\boxed{x+1}", answer_type="math")
    assert [c["votes"] for c in reply["candidates"]] == [3, 1]
    assert reply["warnings"] == ["1 comparisons of answers ran into their deadline and count as not equal"]


@pytest.mark.parametrize("answer_type", ["auto", "number"])
def test_e4_unparsable_samples_never_win(stack: Stack, answer_type: str) -> None:
    """E4: five samples without an answer against three times 42 is 42; the five are counted and shown."""
    reply = stack.answer(*["no idea"] * 5, *["The answer is 42."] * 3, answer_type=answer_type)
    assert (reply["status"], reply["answer"]) == ("answered", "42")
    assert [(c["answer"], c["votes"], c["share"]) for c in reply["candidates"]] == [("42", 3, 1.0)]
    assert reply["usage"]["samples"]["unparsable"] == 5
    assert [s["excluded"] for s in reply["samples"]] == ["no_answer"] * 5 + [None] * 3
    assert "5 samples do not vote: no_answer" in reply["warnings"]


def test_nothing_but_unparsable_samples_is_an_abstention(stack: Stack) -> None:
    """No vote, no answer: null with a reason, and never a text in its place."""
    reply = stack.answer(*["no idea"] * 4, answer_type="number")
    assert (reply["status"], reply["answer"], reply["text"]) == ("abstained", None, None)
    assert reply["reason"] == "no_usable_answer"
    assert reply["candidates"] == []


def test_e5_one_lost_call_of_eight_leaves_seven_votes(stack: Stack) -> None:
    """E5: the answer still comes, marked as degraded, from the seven samples there are."""
    stack.bench.say(stack.single, texts=["The answer is 42."], n="ignored", fail_every=8, fail_status=400)
    reply = stack.gateway.answer(model="single", n=8, stop="none")
    assert (reply["status"], reply["reason"], reply["answer"]) == ("degraded", "samples_failed", "42")
    assert reply["usage"]["samples"] == {
        "requested": 8,
        "finished": 7,
        "failed": 1,
        "cancelled": 0,
        "saved": 0,
        "unparsable": 0,
        "truncated": 0,
        "cut": 0,
    }
    assert reply["candidates"][0]["votes"] == 7
    lost = [s for s in reply["samples"] if s["excluded"] == "failed"]
    assert [s["failure"]["kind"] for s in lost] == ["upstream_rejected"]
    assert "1 samples do not vote: failed" in reply["warnings"]


def test_e5_a_call_that_fails_once_is_tried_again(stack: Stack) -> None:
    """A passing failure (503) costs nothing but time: all eight samples are there."""
    stack.bench.say(stack.single, texts=["The answer is 42."], n="ignored", fail_first=1, fail_status=503)
    reply = stack.gateway.answer(model="single", n=8, stop="none")
    assert (reply["status"], reply["candidates"][0]["votes"]) == ("answered", 8)
    assert stack.single.stats.failed == 1


@pytest.mark.parametrize(("model", "status"), [("fake", 500), ("single", 500), ("fake", 401), ("single", 400)])
def test_e5b_e5c_a_broken_upstream_is_an_error_and_never_an_answer(stack: Stack, model: str, status: int) -> None:
    """All calls fail: 502 as problem+json with the kinds and counts; nothing that looks like an answer."""
    for upstream, n in ((stack.together, "supported"), (stack.single, "ignored")):
        stack.bench.say(upstream, fail_every=1, fail_status=status, n=n)
    response = stack.gateway.ask(model=model, n=4)
    assert response.status_code == 502
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert (problem["status"], problem["code"]) == (502, "samples_failed")
    assert problem["failures"] == {"upstream_error" if status >= 500 else "upstream_rejected": 4}
    assert problem["request_id"] == response.headers["x-request-id"]
    assert "answer" not in problem
    assert "Error" not in response.text


def test_an_upstream_that_is_not_there_is_an_error(stack: Stack) -> None:
    """Nobody listens: 502 with the kind `upstream_unreachable`."""
    stack.bench.worker("gone=openai:http://127.0.0.1:9/v1#gone")
    response = stack.gateway.ask(model="gone", n=2)
    assert response.status_code == 502
    assert response.json()["failures"] == {"upstream_unreachable": 2}


def test_an_upstream_that_sends_no_completion_is_an_error(stack: Stack) -> None:
    """HTML with status 200 is not an answer."""
    stack.bench.say(stack.together, raw_body=b"<html>Error: all is well</html>")
    response = stack.gateway.ask(n=2)
    assert response.status_code == 502
    assert response.json()["failures"] == {"upstream_error": 2}


def test_a_failure_is_found_again_by_its_id(stack: Stack) -> None:
    """A failed answer is recorded with its problem, and is not counted as answered."""
    stack.bench.say(stack.together, fail_every=1, fail_status=400)
    accepted = stack.gateway.ask(n=2, background=True)
    assert accepted.status_code == 202
    found = stack.gateway.final(accepted.json()["id"])
    assert (found["status"], found["reason"], found["answer"]) == ("failed", "samples_failed", None)
    assert (found["error"]["status"], found["error"]["failures"]) == (502, {"upstream_rejected": 2})


def test_a_truncated_sample_never_votes(stack: Stack) -> None:
    """Cut off at max_tokens: a number that merely stands in it is no vote; it is counted and shown as truncated."""
    reply = stack.answer(*["First we take 42 and then"] * 3, finish_reason="length", answer_type="number")
    assert (reply["status"], reply["answer"]) == ("abstained", None)
    assert reply["usage"]["samples"]["truncated"] == 3
    assert [(s["excluded"], s["finish_reason"]) for s in reply["samples"]] == [("truncated", "length")] * 3


def test_an_empty_sample_never_votes(stack: Stack) -> None:
    """Empty, blank and null contents are excluded as empty and cannot outvote an answer."""
    reply = stack.answer("", "  \n", None, "The answer is 42.", answer_type="number")
    assert (reply["status"], reply["answer"]) == ("answered", "42")
    assert [s["excluded"] for s in reply["samples"]] == ["empty", "empty", "empty", None]
    assert reply["usage"]["samples"]["unparsable"] == 3


def test_an_answer_inside_unclosed_thinking_never_votes(stack: Stack) -> None:
    """What a model only thought is no answer; after closed thinking the answer counts."""
    reply = stack.answer("<think>The answer is 41.", "<think>41?</think>The answer is 42.", answer_type="number")
    assert reply["answer"] == "42"
    assert reply["samples"][0]["excluded"] == "unclosed_thinking"
