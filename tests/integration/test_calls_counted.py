"""What every asking method costs, with the shipped model: the reply's count, its list and the stored calls are one."""

import pytest

from service.aggregators.base import calls_for
from tests.conftest import Bench, Gateway
from tests.scripted import ASKING, make
from workers.wire.messages import Provides

QUESTION = "What is 19 + 7 * 9 - 4 * 8 + 26?"
CHEAP = {
    "checklist": {"most": 2, "max_tokens": 16},
    "fobar": {"masks": 1, "backward": 2, "classes": 2, "margin": 1.0, "max_tokens": 24},
    "genrm": {"verifications": 1, "classes": 2, "max_tokens": 16},
    "moa": {"width": 2, "max_tokens": 24},
    "pairwise_fusion": {"classes": 2, "max_tokens": 16},
    "personas": {"criteria": ["truth"], "times": 2, "max_tokens": 16},
    "prefix_consistency": {"margin": 1.0},
    "rsa": {"population": 2, "rounds": 1, "max_tokens": 24},
    "rubric": {"judgements": 2, "max_tokens": 16},
    "self_check": {"max_tokens": 16},
    "self_prm": {"margin": 1.0, "classes": 2, "max_tokens": 16},
    "tournament": {"most": 2, "max_tokens": 16},
}
"""Options with few calls and short replies."""

BY_REPLIES = {"checklist", "genrm"}
"""What these ask second depends on what they were told first; the shipped model does not know their forms."""


@pytest.fixture(scope="module")
def gateway(shared: Bench) -> Gateway:
    """A gateway before the shipped model."""
    shared.worker("abacus=abacus", torch_threads="1")
    return shared.gateway()


@pytest.fixture(scope="module")
def drawn(gateway: Gateway) -> dict:
    """An answer whose samples disagree."""
    sampling = {"seed": 5, "temperature": 1.6, "max_tokens": 96}
    body = {"model": "abacus", "question": QUESTION, "n": 6, "sampling": sampling, "stop": "none", "aggregator": "vote"}
    reply = gateway.answer(**body, answer_type="number", budget={"seconds": 120})
    assert len(reply["candidates"]) > 1
    return reply


@pytest.mark.parametrize("name", ASKING)
def test_the_calls_of_a_verdict_are_counted_listed_and_stored(name: str, gateway, drawn, shared: Bench) -> None:
    """One number, wherever it is looked up; and the number that the method's statement comes to."""
    options = CHEAP.get(name, {})
    body = {"aggregator": {"name": name, **options}, "answer_type": "number", "include": ["calls"]}
    reply = gateway.http.post(f"/v1/answers/{drawn['id']}/aggregate", json=body).json()
    assert reply["aggregator"]["name"] == name
    calls = reply["usage"]["aggregation_calls"]
    stored = [
        field
        for key in shared.keys(f"*:samples:{reply['id']}")
        for field in shared.redis.hkeys(f"{shared.prefix}:{key}")
        if field.startswith(b"call")
    ]
    assert calls == len(reply["calls"]) == len(stored) > 0
    assert len(set(stored)) == len(stored)
    provides = gateway.http.get("/v1/models").json()["data"][0]["conclave"]["provides"]
    votes = sorted((each["votes"] for each in reply["candidates"]), reverse=True)
    told = calls_for(make(name, options), votes, frozenset(map(Provides, provides)))
    assert told is not None
    assert calls <= told if name in BY_REPLIES else calls == told
