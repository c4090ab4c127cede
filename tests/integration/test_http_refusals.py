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
        ({"sampling": {"caution": {}, "probe": {}}}, "sampling.probe"),
        ({"messages": [turn(), turn("So.", "assistant")] * 2 + [turn()]}, "messages"),
        ({"question": "x" * 200_001}, "question"),
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


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"n": True}, "n"),
        ({"n": "8"}, "n"),
        ({"n": 8.5}, "n"),
        ({"quorum": "1"}, "quorum"),
        ({"background": 1}, "background"),
        ({"stream": "yes"}, "stream"),
        ({"budget": {"seconds": "60"}}, "budget.seconds"),
        ({"sampling": {"temperature": "0.8"}}, "sampling.temperature"),
        ({"sampling": {"seed": True}}, "sampling.seed"),
        ({"sampling": {"logit_bias": {"1": True}}}, "sampling.logit_bias.1"),
        ({"sampling": {"logit_bias": {"one": 1}}}, "sampling.logit_bias.one"),
        ({"sampling": {"caution": {"trials": "3"}}}, "sampling.caution"),
        ({"sampling": {"stop": 5}}, "sampling.stop"),
        ({"sampling": {"stop": ["a", ""]}}, "sampling.stop.1"),
        ({"sampling": 5}, "sampling"),
        ({"stop": {"name": "beta", "threshold": "0.9"}}, "stop.threshold"),
        ({"stop": {"name": "esc", "window": True}}, "stop.window"),
        ({"aggregator": {"name": "map", "reliability": {"fake": "x"}}}, "aggregator.reliability"),
        ({"aggregator": 5}, "aggregator"),
        ({"aggregator": None}, "aggregator"),
        ({"aggregator": ["vote"]}, "aggregator"),
        ({"aggregator": {}}, "aggregator.name"),
        ({"aggregator": {"name": 7}}, "aggregator.name"),
        ({"aggregator": ""}, "aggregator"),
        ({"aggregator": {"name": "vote", "x": "\ud800"}}, "aggregator"),
        ({"answer_type": {"name": "json", "schema": json.loads('{"not":' * 200 + "{}" + "}" * 200)}}, "answer_type"),
        ({"quorum": 9}, "quorum"),
        ({"members": [{"model": "fake", "n": 2}], "n": 3}, "n"),
        ({"members": [{"model": "fake", "n": 2}] * 2}, "members"),
        ({"mix": "even"}, "mix"),
        ({"messages": []}, "messages"),
        ({"messages": [turn("So.", "assistant")]}, "messages"),
        ({"messages": [turn(" ")]}, "messages"),
        ({"question": " "}, "question"),
        ({"question": "Why?", "messages": [turn()]}, "messages"),
        ({"choices": ["a", "A"]}, "choices"),
        ({"choices": ["a", " "]}, "choices"),
        ({"include": "samples"}, "include"),
        ({"min_confidence": 0.5}, "min_confidence"),
    ],
)
def test_a_field_is_called_what_the_caller_calls_it(gateway: Gateway, body: dict, field: str) -> None:
    """One place, the caller's own name of it, and no word of how the request is read here."""
    given = {} if "messages" in body else {"question": "Why?"}
    sent = json.dumps({"model": "fake", **given, **body})  # in ASCII, as a lone surrogate can be sent
    headers = {"content-type": "application/json"}
    problem = problem_of(gateway.http.post("/v1/answers", content=sent, headers=headers), 422)
    assert problem["field"] == field
    assert [error["field"] for error in problem.get("errors", [problem])] == [field]
    words = ("Choice", "tuple", "Tuple", "frozenset", "dictionary", "instance", "constrained", "Value error", "body")
    assert not [word for word in words if word in problem["detail"]], problem["detail"]


@pytest.mark.parametrize(
    "body",
    [
        {"n": 2.0, "quorum": 1.0, "sampling": {"stop": "END", "max_tokens": 64.0, "seed": 7.0}},
        {"n": 4, "stop": {"name": "esc", "window": 2.0}},
        {"sampling": {"temperature": 1, "top_p": 1}, "budget": {"seconds": 30}, "min_confidence": None},
    ],
)
def test_json_has_one_kind_of_number(gateway: Gateway, body: dict) -> None:
    """8.0 is a whole number and 1 is one with a fraction; one text to stop at needs no list."""
    assert gateway.ask(**body).status_code == 200


def test_a_name_that_is_no_text_is_refused_and_not_a_fault_of_ours(gateway: Gateway) -> None:
    """A lone surrogate as a field's name, which cannot be written back."""
    for body in (b'{"model": "fake", "\\ud800": 1}', b'{"aggregator": {"name": "vote", "\\ud800": 1}}'):
        headers = {"content-type": "application/json"}
        problem_of(gateway.http.post("/v1/answers", content=body, headers=headers), 422)


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


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null"])
def test_of_a_body_that_is_no_request_no_field_is_named(gateway: Gateway, body: bytes) -> None:
    """There is none that the caller would know."""
    headers = {"content-type": "application/json"}
    problem = problem_of(gateway.http.post("/v1/answers", content=body, headers=headers), 422)
    assert "field" not in problem
    assert all("field" not in error for error in problem["errors"])


def test_a_body_of_another_type_is_told_which_to_have(gateway: Gateway) -> None:
    """JSON that is sent as plain text, or as nothing at all."""
    body = json.dumps({"model": "fake", "question": "Why?"}).encode()
    for headers in ({}, {"content-type": "text/plain"}):
        problem = problem_of(gateway.http.post("/v1/answers", content=body, headers=headers), 422)
        assert "application/json" in problem["detail"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"model": "fake", "question": "\xff"}',
        b'{"model":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"model": "fake", "n": ' + b"9" * 5_000 + b"}",
    ],
    ids=["not_utf8", "nested", "long_number"],
)
def test_a_body_that_the_parser_gives_up_on_has_a_code_of_its_own(gateway: Gateway, body: bytes) -> None:
    """Bytes that are no UTF-8, a hundred thousand brackets, a number of five thousand digits: 400, typed."""
    headers = {"content-type": "application/json"}
    problem = problem_of(gateway.http.post("/v1/answers", content=body, headers=headers), 400)
    assert problem["code"] == "body_unreadable"


def test_models_speak_openais_errors(gateway: Gateway) -> None:
    """Clients of OpenAI's API read `error.message` and `error.code` there, and the request's id in its header."""
    response = gateway.http.put("/v1/models", json={})
    assert (response.status_code, response.headers["content-type"]) == (405, "application/json")
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["type"], error["code"]) == ("invalid_request_error", "method_not_allowed")
    assert response.headers["x-request-id"]


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
