"""`conclave bench`: the load client, the figures of overhead, and the exam of a model, on stand-ins that are known."""

import json
import math
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.evaluation.bench import Load, Round, as_json, measure, notes, summary
from service.evaluation.load import Connection, drive
from service.evaluation.skills import Drawn, Examiner, Problem, examine_all, read_problems
from service.evaluation.skills_table import as_json as measures_json
from service.evaluation.skills_table import measures
from service.settings import Settings
from tests.fake_upstream import FakeUpstream, Script

PROBLEMS = [Problem(f"p{i}", f"What is {i} + {i + 3}?", str(2 * i + 3)) for i in range(12)]


async def test_the_load_client_posts_every_body_over_its_connections() -> None:
    async with FakeUpstream(Script(texts=["4"], delay_ms=5)) as upstream:
        connections = [Connection(upstream.url) for _ in range(3)]
        run = await drive(connections, "/chat/completions", [{"n": 2, "messages": [], "place": i} for i in range(10)])
        for connection in connections:
            connection.close()
        assert [response.status for response in run.responses] == [200] * 10
        assert len(json.loads(run.responses[0].body)["choices"]) == 2
        assert sorted(asked["place"] for asked in upstream.requests) == list(range(10))
        assert upstream.stats.connections == 3
        assert upstream.stats.most_running <= 3
        assert min(response.seconds for response in run.responses) >= 0.004


async def test_direct_and_through_are_interleaved_and_the_warm_up_is_left_out() -> None:
    async with FakeUpstream(Script(delay_ms=2)) as upstream:
        load = Load(rounds=2, questions=4, concurrency=2, n=3)
        rounds = await measure(upstream.url, "fake", upstream.url, "fake", load)
        assert len(rounds) == 2
        assert upstream.stats.finished == 2 + 2 * 4
        # The stand-in for the gateway knows no /v1/answers: that shows as failed requests and never as a rate alone.
        assert [one.failed for one in rounds] == [4, 4]
        assert any("8 requests failed" in line for line in notes(rounds, load))


def test_the_figures_are_those_of_the_rounds() -> None:
    rounds = [
        Round(100.0, 50.0, (0.05,), (0.06,), (4.0,), (0.1, 0.2), 0, {"gateway": 1.0}),
        Round(100.0, 80.0, (0.05,), (0.07,), (6.0,), (0.1, 0.9), 0, {"gateway": 3.0}),
        Round(200.0, 120.0, (0.05,), (0.08,), (8.0,), (0.1, 0.2), 0, {"gateway": 2.0}),
    ]
    figures = summary(rounds)
    assert figures["share of the upstream's own"] == {"min": 0.5, "median": 0.6, "max": 0.8}
    assert figures["through less direct, ms"]["p50"] == pytest.approx(20.0)
    assert figures["x-conclave-overhead-ms"]["p99"] == 8.0
    load = Load(rounds=3, questions=100)
    said = notes(rounds, load)
    assert any("bottleneck" in line for line in said)
    assert "CPU, gateway: 20.00 ms a question" in said
    assert json.loads(json.dumps(as_json(rounds, load)))["load"]["questions"] == 100


class Model:
    """Stands for the service. Three of four samples are right; it knows backwards and P(True) perfectly."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """The reply to one question."""
        body = json.loads(request.content)
        self.asked.append(body)
        return httpx.Response(200, json=self._reply(body))

    def _reply(self, body: dict[str, Any]) -> dict[str, Any]:
        question, logprob = body["question"], None
        if "Possible answer" in question:
            right = self._gold(question) == re.findall(r"Possible answer: (-?\d+)", question)[0]
            texts, logprob = [["(B)", "(A)"][right == ("(A) True" in question)]], math.log(0.9)
        elif "unknown variable x" in question:
            first, second = re.findall(r"What is (\w+) \+ (\w+)\?", question)[0]
            known = int(second if first == "x" else first)
            x = int(re.findall(r"answer to the question is (-?\d+)", question)[0]) - known
            texts = [f"The value of x is {x}."] * body["n"]
        else:
            gold = self._gold(question)
            texts = [gold if i % 4 else str(int(gold) + 1) for i in range(body["n"])]
        return _answer(texts, body["aggregator"], logprob)

    def _gold(self, question: str) -> str:
        return next(problem.gold for problem in PROBLEMS if problem.question in question)


def _answer(texts: list[str], aggregator: str, logprob: float | None) -> dict[str, Any]:
    tallied = {text: texts.count(text) for text in texts}
    ranked = sorted(tallied.items(), key=lambda pair: -pair[1])
    statistics = {"mean_logprob": logprob}
    return {
        "object": "answer",
        "answer": ranked[0][0],
        "aggregator": {"name": aggregator, "fallback_from": None},
        "candidates": [{"answer": answer, "votes": votes} for answer, votes in ranked],
        "samples": [{"text": text, "answer": text, "excluded": None, "statistics": statistics} for text in texts],
    }


async def exam(model: Model) -> list[Drawn]:
    """The stand-in's exam."""
    async with httpx.AsyncClient(transport=httpx.MockTransport(model), base_url="http://service") as http:
        examiner = Examiner(http, "made", Settings().templates, 16, 0.8, seed=1)
        return await examine_all(examiner, PROBLEMS, lambda: None)


async def test_the_exam_of_a_known_model_gives_the_known_table() -> None:
    found = {one.name: one.value for one in measures(await exam(Model()), 16)}
    assert found["greedy"] == 0.0  # the first sample is the wrong one
    assert found["single, mean of 16"] == 0.75
    assert found["vote over 16"] == found["GSA over 5"] == 1.0
    assert found["vote over 16 less single"] == pytest.approx(0.25)
    assert found["GSA over 5 less the vote over the same"] == 0.0
    assert found["self-agreement over 5 names a plurality answer"] == 1.0
    assert found["FOBAR finds x from the right answer, sampled"] == 1.0
    assert found["FOBAR finds x from a wrong answer, greedy"] == 0.0
    assert found["FOBAR, ratio of the two, greedy"] == math.inf
    assert found["P(True) AUROC, mean of both orders"] == 1.0
    assert found["P(True) AUROC, swapped order"] == 1.0
    assert found["share of equal ideas, AUROC"] == 1.0


async def test_an_infinite_ratio_is_null_in_the_json() -> None:
    listed = json.dumps(measures_json(measures(await exam(Model()), 16)), allow_nan=False)
    assert next(one for one in json.loads(listed) if one["name"].startswith("FOBAR, ratio"))["value"] is None


async def test_the_exam_draws_the_same_again_and_compares_on_one_draw() -> None:
    first, second = Model(), Model()
    assert await exam(first) == await exam(second)
    mine = [body for body in first.asked if body["question"] == PROBLEMS[0].question]
    assert len({body["sampling"]["seed"] for body in mine}) == 1
    assert {(body["aggregator"], body["n"]) for body in mine} >= {("gsa", 5), ("self_agreement", 8), ("vote", 16)}
    assert all(body["stop"] == "none" for body in first.asked)


async def test_a_service_that_fails_ends_the_exam_with_its_words() -> None:
    problem = {"title": "Too few samples in time", "detail": "0 of 1", "code": "deadline_exceeded"}
    transport = httpx.MockTransport(lambda request: httpx.Response(504, json=problem))
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as http:
        with pytest.raises(RuntimeError, match="Too few samples"):
            await Examiner(http, "made", Settings().templates, 16, 0.8, seed=1).examine(PROBLEMS[0])


def test_a_line_that_is_no_problem_is_named(tmp_path: Path) -> None:
    path = tmp_path / "problems.jsonl"
    path.write_text('{"id": 1, "question": "1 + 1?", "gold": 2}\n{"id": 2}\n')
    with pytest.raises(ValueError, match="line 2"):
        read_problems(path)
    path.write_text('{"id": 1, "question": "1 + 1?", "gold": 2}\n')
    assert read_problems(path) == [Problem("1", "1 + 1?", "2")]
