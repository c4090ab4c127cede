"""Mixed ensembles through HTTP, Redis and a worker a model: who answered, with what weight, and a pool that is lost."""

import json
from pathlib import Path
from typing import Any

import pytest

from service.asking import NoAsk
from service.catalog import Pool
from service.contract import AnswerRequest
from service.ensemble import choose
from service.evaluation.datasets import read_dataset
from service.plan import make_plan
from service.reading import Reader
from service.settings import Settings
from tests.at_once import at_once
from tests.conftest import Bench, Gateway

QUESTION = "What is six times seven?"
SAID = {"many": ["41", "41", "42", "41", "41", "41"], "few": ["42", "42", "41"]}
MIXED = [{"model": "many", "n": 5}, {"model": "few", "n": 2, "weight": 2.5}]


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One recording a model."""
    folder, paths = tmp_path_factory.mktemp("members"), {}
    for name, answers in SAID.items():
        samples = [{"text": f"The answer is {answer}.", "completion_tokens": 5} for answer in answers]
        paths[name] = folder / f"{name}.jsonl"
        paths[name].write_text(json.dumps({"id": "q", "question": QUESTION, "gold": "42", "samples": samples}) + "\n")
    return paths


@pytest.fixture(scope="module")
def gateway(shared: Bench, recordings: dict[str, Path]) -> Gateway:
    """A gateway before two pools that replay."""
    for name, path in recordings.items():
        shared.worker(f"{name}=replay:{path}")
    return shared.gateway()


def answers(reply: dict[str, Any]) -> dict[str, tuple[int, float]]:
    """Each candidate's votes and weight."""
    return {found["answer"]: (found["votes"], found["weight"]) for found in reply["candidates"]}


def offline(recordings: dict[str, Path], **body: Any) -> dict[str, tuple[int, float]]:
    """The candidates' votes and weights over the same recordings, without a service."""
    request = AnswerRequest.model_validate({"question": QUESTION, **body})
    pools = tuple(Pool(member.model, ()) for member in request.members or ())
    plan = make_plan(request, Pool(request.model, ()), Settings(), members=pools)
    recorded = {name: read_dataset(path).records[0].samples for name, path in recordings.items()}
    samples = {
        index: recorded[draw.model][index - draw.skipped].model_copy(update={"index": index})
        for index, draw in enumerate(plan.draws(range(plan.n)))
    }
    reading = at_once(Reader(plan.task, plan.answer_type, plan.stop, plan.n, mix=plan.mix).read(samples))
    verdict = at_once(choose(plan, reading, NoAsk())).verdict
    return {found.answer_class.answer: (found.votes, found.weight) for found in verdict.ranking}


@pytest.mark.parametrize("mix", ["even", "random"])
def test_each_member_draws_its_share_and_votes_with_its_weight(gateway: Gateway, recordings, mix: str) -> None:
    """Even: 41 has four of many's votes, 4; 42 has one of many and two of few, 1 + 2 x 2.5 = 6. The same offline."""
    body: dict[str, Any] = {"members": MIXED, "mix": mix, "aggregator": "vote", "answer_type": "number", "stop": "none"}
    body |= {"sampling": {"seed": 4}}
    reply = gateway.answer(model="many", question=QUESTION, **body)
    assert answers(reply) == offline(recordings, **body)
    assert [sample["index"] for sample in reply["samples"]] == list(range(7))
    for sample in reply["samples"]:
        own = [other["index"] for other in reply["samples"] if other["model"] == sample["model"]]
        said = SAID[sample["model"]][own.index(sample["index"])]
        assert sample["answer"] == said
    if mix == "even":
        assert reply["answer"] == "42"
        assert answers(reply)["42"] == (3, 6.0)
        assert [(m["model"], m["requested"], m["finished"], m["weight"]) for m in reply["members"]] == [
            ("many", 5, 5, 1.0),
            ("few", 2, 2, 2.5),
        ]
        assert [m["completion_tokens"] for m in reply["members"]] == [25, 10]
    assert reply["confidence"]["certificate"]["void"] == "not_counted"


def test_equal_weights_are_the_plain_vote(gateway: Gateway) -> None:
    """41 has four votes of seven, 42 three. Shares are fixed, so there is no certificate."""
    members = [{"model": "many", "n": 5}, {"model": "few", "n": 2}]
    reply = gateway.answer(model="many", question=QUESTION, members=members, aggregator="vote", stop="none")
    assert (reply["answer"], answers(reply)["41"][0]) == ("41", 4)
    assert reply["confidence"]["certificate"]["void"] == "several_models"


def test_the_record_shows_the_members_and_another_verdict_heeds_them(gateway: Gateway) -> None:
    """GET has each sample's model; choosing again weighs as before and costs no sample."""
    reply = gateway.answer(model="many", question=QUESTION, members=MIXED, aggregator="vote", stop="none")
    record = gateway.read(reply["id"])
    assert (record["members"], record["samples"]) == (reply["members"], reply["samples"])
    again = gateway.http.post(f"/v1/answers/{reply['id']}/aggregate", json={"aggregator": "borda"}).json()
    assert again["code"] == "invalid_request"
    again = gateway.http.post(f"/v1/answers/{reply['id']}/aggregate", json={"aggregator": "vote"}).json()
    assert (again["answer"], answers(again)) == (reply["answer"], answers(reply))
    assert [member["completion_tokens"] for member in again["members"]] == [0, 0]


def test_metrics_count_each_members_samples(gateway: Gateway) -> None:
    """By the model that drew them."""

    def drawn(model: str) -> float:
        lines = gateway.http.get("/metrics").text.splitlines()
        wanted = f'conclave_samples_total{{model="{model}",outcome="ok"}}'
        return next((float(line.split()[-1]) for line in lines if line.startswith(wanted)), 0.0)

    before = drawn("many"), drawn("few")
    gateway.answer(model="many", question=QUESTION, members=MIXED, aggregator="vote", stop="none")
    assert (drawn("many") - before[0], drawn("few") - before[1]) == (5.0, 2.0)


def test_switch_asks_the_next_member_only_where_the_first_disagrees_with_itself(gateway: Gateway) -> None:
    """few says 42 twice, so many is not asked. many says 41 and once 42: few could still draw level, and is asked."""
    members = [{"model": "few", "n": 2}, {"model": "many", "n": 5}]
    body: dict[str, Any] = {"aggregator": "vote", "answer_type": "number", "stop": "switch"}
    reply = gateway.answer(model="many", question=QUESTION, members=members, **body)
    assert (reply["answer"], reply["stop"]["stopped"]) == ("42", True)
    assert [member["finished"] for member in reply["members"]] == [2, 0]
    members = [{"model": "many", "n": 5}, {"model": "few", "n": 3}]
    reply = gateway.answer(model="many", question=QUESTION, members=members, **body)
    assert [member["finished"] for member in reply["members"]] == [5, 3]


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ([{"model": "many", "n": 2}, {"model": "nobody", "n": 2}], "members.1.model"),
        ([{"model": "many", "n": 60}, {"model": "few", "n": 5}], "n"),
    ],
)
def test_what_cannot_be_drawn_is_refused_by_its_field(gateway: Gateway, members, field: str) -> None:
    """422, before anything is drawn."""
    refused = gateway.http.post("/v1/answers", json={"question": QUESTION, "members": members})
    assert (refused.status_code, refused.json()["field"]) == (422, field)


def test_a_member_whose_pool_is_gone_is_a_partial_failure(gateway: Gateway, shared: Bench, recordings) -> None:
    """The others' samples are the answer; the reply says that it is degraded and who did not answer."""
    shared.worker(f"gone=replay:{recordings['few']}").end()
    members = [{"model": "many", "n": 4}, {"model": "gone", "n": 2}]
    reply = gateway.answer(
        model="many", question=QUESTION, members=members, aggregator="vote", budget={"seconds": 4.0}, stop="none"
    )
    assert (reply["status"], reply["reason"], reply["answer"]) == ("degraded", "deadline", "41")
    assert "member gone: none of its 2 samples came" in reply["warnings"]
    assert [(m["requested"], m["finished"]) for m in reply["members"]] == [(4, 4), (2, 0)]
