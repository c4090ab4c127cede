"""What is refused over HTTP: always problem+json with a code, and the name of the field that is wrong."""

import json
import socket

import httpx
import pytest

from tests.conftest import Bench, Gateway

MIB = 1_048_576


@pytest.fixture(scope="module")
def gateway(shared: Bench) -> Gateway:
    """A gateway before an upstream that is always right; tighter caps than by default."""
    shared.worker(f"fake=openai:{shared.upstream(texts=['The answer is 42.']).url}")
    return shared.gateway(max_messages="4", max_total_tokens="4096")


def problem_of(response: httpx.Response, status: int) -> dict:
    """The problem of a response that must be one."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    assert problem["code"]
    assert problem["request_id"] == response.headers["x-request-id"]
    return problem


def turn(content: str = "Why?", role: str = "user") -> dict[str, str]:
    """One message."""
    return {"role": role, "content": content}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"temperature": 0.5}, "temperature"),
        ({"sampling": {"temprature": 0.5}}, "sampling.temprature"),
        ({"budget": {"minutes": 1}}, "budget.minutes"),
        ({"messages": [{"role": "user", "content": "Why?", "name": "x"}]}, "messages.0.name"),
        ({"messages": [{"role": "tool", "content": "Why?"}]}, "messages.0.role"),
        ({"messages": [turn()] * 3, "n": "many"}, "n"),
        ({"include": ["everything"]}, "include"),
        ({"n": 0}, "n"),
        ({"n": 65}, "n"),
        ({"n": 64, "sampling": {"max_tokens": 65}}, "sampling.max_tokens"),
        ({"sampling": {"temperature": 5.1}}, "sampling.temperature"),
        ({"sampling": {"seed": -1}}, "sampling.seed"),
        ({"sampling": {"caution": {}, "probe": {}}}, "sampling"),
        ({"messages": [turn(), turn("So.", "assistant")] * 2 + [turn()]}, "messages"),
        ({"question": "x" * 200_001}, "messages"),
        ({"budget": {"seconds": 601}}, "budget.seconds"),
        ({"budget": {"tokens": 10}}, "budget.tokens"),
        ({"aggregator": "astrology"}, "aggregator"),
        ({"aggregator": {"name": "gsa", "temperature": 9}}, "aggregator.temperature"),
        ({"aggregator": {"options": {}}}, "aggregator"),
        ({"answer_type": "horoscope"}, "answer_type"),
        ({"answer_type": {"name": "number", "unit": "m"}}, "answer_type.unit"),
        ({"sampler": "loaded_dice"}, "sampler"),
        ({"stop": "soon"}, "stop"),
        ({"stop": {"name": "beta", "threshold": 2}}, "stop.threshold"),
        ({"choices": ["one"]}, "choices"),
        ({"min_confidence": 0.9}, "min_confidence"),
        ({"members": [{"model": "fake", "n": 0}]}, "members.0.n"),
        ({"model": ""}, "model"),
        ({"model": "a b"}, "model"),
    ],
)
def test_what_is_wrong_is_named(gateway: Gateway, body: dict, field: str) -> None:
    """422 with the field's full name; the question itself is not repeated."""
    private = "a private question"
    given = {} if "messages" in body or "question" in body else {"question": private}
    problem = problem_of(gateway.http.post("/v1/answers", json={"model": "fake", **given, **body}), 422)
    named = [error["field"] for error in problem.get("errors", [])] or [problem["field"]]
    assert any(name == field or name.startswith(f"{field}.") for name in named), problem
    assert private not in json.dumps(problem)


@pytest.mark.parametrize("body", [{}, {"question": "Why?", "messages": [turn()]}])
def test_a_question_or_messages_and_not_both(gateway: Gateway, body: dict) -> None:
    """Neither and both are refused."""
    problem = problem_of(gateway.http.post("/v1/answers", json={"model": "fake", **body}), 422)
    assert "question" in problem["detail"]
    assert "messages" in problem["detail"]


def test_messages_end_with_the_users_turn(gateway: Gateway) -> None:
    """There must be something to answer."""
    messages = [turn(), turn("So.", "assistant")]
    assert "user" in problem_of(gateway.ask(messages=messages), 422)["detail"]


def test_a_quorum_above_n_is_refused(gateway: Gateway) -> None:
    """It could never be met."""
    assert "quorum" in problem_of(gateway.ask(n=2, quorum=3), 422)["detail"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b'{"model": "fake", "n": NaN}'])
def test_a_body_that_is_no_request_is_refused(gateway: Gateway, body: bytes) -> None:
    """Broken JSON, another type, bad UTF-8: 422 and never a 500."""
    problem_of(gateway.http.post("/v1/answers", content=body, headers={"content-type": "application/json"}), 422)


def test_json_nested_a_thousand_times_is_refused(gateway: Gateway) -> None:
    """Nesting does not break the parser."""
    body = b'{"model":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    response = gateway.http.post("/v1/answers", content=body, headers={"content-type": "application/json"})
    assert response.status_code in (400, 422)
    assert response.headers["content-type"] == "application/problem+json"


def test_a_body_above_the_cap_is_refused(gateway: Gateway) -> None:
    """More than 1 MiB, announced by its length: 413."""
    body = json.dumps({"model": "fake", "question": "x" * MIB}).encode()
    problem = problem_of(gateway.http.post("/v1/answers", content=body), 413)
    assert problem["code"] == "body_too_large"


def test_a_body_above_the_cap_is_refused_without_a_length_too(gateway: Gateway) -> None:
    """Sent in chunks, the body is cut off at the cap: 413 as well."""

    def chunks():
        yield b'{"model": "fake", "question": "'
        for _ in range(20):
            yield b"x" * 65_536
        yield b'"}'

    headers = {"content-type": "application/json"}
    assert problem_of(gateway.http.post("/v1/answers", content=chunks(), headers=headers), 413)


def test_a_body_is_refused_before_it_has_come(gateway: Gateway) -> None:
    """An announced length above the cap is answered at once; nobody waits for a gigabyte."""
    head = (
        b"POST /v1/answers HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000000000\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=5) as line:
        line.sendall(head)
        assert b" 413 " in line.recv(4096).split(b"\r\n")[0]


def test_an_unknown_model_is_not_found(gateway: Gateway) -> None:
    """404 with a code of its own; no job is queued for it."""
    problem = problem_of(gateway.ask(model="nobody"), 404)
    assert (problem["code"], problem["field"]) == ("model_not_found", "model")


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_an_unknown_answer_is_not_found(gateway: Gateway, method: str) -> None:
    """404 for an id that was never given out, 422 for what is no id."""
    problem = problem_of(gateway.http.request(method, f"/v1/answers/ans_{'0' * 24}"), 404)
    assert problem["code"] == "answer_not_found"
    problem_of(gateway.http.request(method, "/v1/answers/ans_..%2f..%2fetc"), 404)
    problem_of(gateway.http.request(method, "/v1/answers/mine"), 422)


def test_a_finished_answer_cannot_be_deleted(gateway: Gateway) -> None:
    """409: it is what it is, and stays readable."""
    answer_id = gateway.answer(n=1)["id"]
    problem = problem_of(gateway.http.delete(f"/v1/answers/{answer_id}"), 409)
    assert problem["code"] == "conflict"
    assert gateway.read(answer_id)["status"] == "answered"


def test_an_unknown_path_and_a_wrong_method_are_problems_too(gateway: Gateway) -> None:
    """404 and 405 in the same form, the latter with Allow."""
    assert problem_of(gateway.http.get("/v1/nothing"), 404)["code"] == "not_found"
    response = gateway.http.put("/v1/answers", json={})
    assert problem_of(response, 405)["code"] == "method_not_allowed"
    assert "POST" in response.headers["allow"]


def test_a_refused_request_leaves_nothing_behind(shared: Bench, gateway: Gateway) -> None:
    """No job and no record of an answer."""
    before = shared.keys("{0}:*")
    gateway.ask(aggregator="astrology")
    gateway.ask(model="nobody")
    assert shared.keys("{0}:*") == before
