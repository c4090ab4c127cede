"""Aggregators that ask another pool than the answer's own, over HTTP."""

import pytest

from tests.conftest import Bench, Gateway
from tests.fake_upstream import FakeUpstream

TEXTS = ["The answer is 41.", "The answer is 42.", "The answer is 42."]


@pytest.fixture
def judge(bench: Bench) -> FakeUpstream:
    """A pool `judge` that names the first sample that it is shown."""
    started = bench.upstream(texts=["The best solution is Solution 1."])
    bench.worker(f"judge=openai:{started.url}")
    return started


@pytest.fixture
def gateway(bench: Bench, judge: FakeUpstream) -> Gateway:
    """A gateway before the pools `fake` and `judge`."""
    bench.worker(f"fake=openai:{bench.upstream(texts=TEXTS).url}")
    return bench.gateway()


def test_the_judge_is_asked_and_is_named_in_the_calls(gateway: Gateway, judge: FakeUpstream) -> None:
    """The samples come from one pool, the verdict's call from the other; what is counted equals what is recorded."""
    asked = {"name": "genselect", "judge_model": "judge"}
    reply = gateway.ask(n=3, aggregator=asked, stop="none", include=["samples", "calls"]).json()
    assert reply["aggregator"]["options"]["judge_model"] == "judge"
    assert [call["model"] for call in reply["calls"]] == ["judge"]
    assert reply["usage"]["aggregation_calls"] == judge.stats.choices == 1
    assert reply["answer"] in ("41", "42")
    assert reply["aggregator"]["fallback_from"] is None


@pytest.mark.parametrize(
    ("aggregator", "field", "said"),
    [
        ({"name": "usc", "judge_model": "nobody"}, "aggregator.judge_model", "nobody"),
        ({"name": "moa", "models": ["judge", "nobody"]}, "aggregator.models.1", "nobody"),
        ({"name": "p_true", "judge_model": "judge"}, "aggregator.judge_model", "option_logprobs"),
        ({"name": "prefix_consistency", "judge_model": "judge"}, "aggregator.judge_model", "no such field"),
        ("p_true", "aggregator", "option_logprobs"),
    ],
)
def test_a_judge_that_cannot_judge_is_refused(gateway: Gateway, aggregator: object, field: str, said: str) -> None:
    """422 with the field, before a sample is drawn."""
    response = gateway.ask(n=3, aggregator=aggregator)
    assert (response.status_code, response.json()["field"]) == (422, field)
    assert said in response.json()["detail"]


def test_a_disagreement_is_told_by_one_more_call(gateway: Gateway, judge: FakeUpstream, bench: Bench) -> None:
    """It is counted and recorded like any call, and the answer stays the vote's; one that cannot be read is marked."""
    said = 'Well: {"consensus": ["A number is asked for."], "unique_points": [{"point": "p", "response": 2}]}'
    bench.worker(f"teller=openai:{bench.upstream(texts=[*TEXTS, said]).url}")
    reply = gateway.ask(model="teller", n=3, aggregator="vote", stop="none", explain="disagreement").json()
    assert (reply["answer"], reply["usage"]["aggregation_calls"]) == ("42", 1)
    assert reply["disagreement"]["consensus"] == ["A number is asked for."]
    assert reply["disagreement"]["unique_points"][0]["sample"] in range(3)
    unread = gateway.ask(n=3, aggregator="vote", stop="none", explain="disagreement").json()
    assert (unread["answer"], unread["disagreement"]["failed"]) == ("42", "reply_off_format")
    assert gateway.ask(n=3, aggregator="vote").json()["disagreement"] is None
    again = gateway.http.post(f"/v1/answers/{unread['id']}/aggregate", json={"explain": "disagreement"}).json()
    assert again["disagreement"]["failed"] == "reply_off_format"
