"""What only some workers can do, over HTTP with the shipped model: cuts by confidence, biases, caution, early ends."""

import json
import math
from pathlib import Path

import pytest

from tests.conftest import Bench, Gateway

END = json.loads((Path(__file__).parents[2] / "workers/abacus/model/generation_config.json").read_text("utf-8"))[
    "eos_token_id"
]
QUESTION = "What is 12 + 7 * 3?"
HARD = "What is 19 + 7 * 9 - 4 * 8 + 26?"
CUT = {"name": "deepconf_online", "warmup": 8, "window": 8, "percentile": 50}


@pytest.fixture(scope="module")
def gateway(shared: Bench, tmp_path_factory: pytest.TempPathFactory) -> Gateway:
    """A gateway before the shipped model, before a recording, and with queue entries of four samples."""
    record = {"id": "q1", "question": QUESTION, "samples": [{"text": "The answer is 33."}] * 4}
    file = tmp_path_factory.mktemp("recorded") / "recorded.jsonl"
    file.write_text(json.dumps(record) + "\n", "utf-8")
    shared.worker("abacus=abacus", torch_threads="1")
    shared.worker(f"rec=replay:{file}")
    return shared.gateway(job_samples="4")


def draw(
    gateway: Gateway,
    n: int = 6,
    question: str = QUESTION,
    stop: object = "none",
    aggregator: str = "vote",
    **sampling: object,
) -> dict:
    """The shipped model's reply."""
    body = {"model": "abacus", "question": question, "n": n, "stop": stop, "answer_type": "number"}
    return gateway.answer(
        **body, budget={"seconds": 90}, aggregator=aggregator, sampling={"seed": 7, "max_tokens": 96, **sampling}
    )


def metric(gateway: Gateway, line: str) -> float:
    """The value of one series; 0 if there is none yet."""
    lines = gateway.http.get("/metrics").text.splitlines()
    return next((float(each.rpartition(" ")[2]) for each in lines if each.startswith(line)), 0.0)


def test_samples_below_the_bar_are_cut_and_never_vote(gateway: Gateway) -> None:
    """The warm-up is drawn in full; those that were cut are counted and shown, and what they saved is estimated."""
    reply = draw(gateway, 32, HARD, CUT)
    assert (reply["status"], reply["answer"]) == ("answered", "76")
    cut = [s for s in reply["samples"] if s["finish_reason"] == "cut"]
    indices = {s["index"] for s in cut}
    assert cut
    assert indices.isdisjoint(range(8))
    assert all((s["excluded"], s["answer"]) == ("cut", None) for s in cut)
    assert all(s["excluded"] != "cut" for s in reply["samples"] if s["index"] not in indices)
    assert indices.isdisjoint(i for c in reply["candidates"] for i in c["samples"])
    counts = reply["usage"]["samples"]
    # `lead` is on beside the rule: on a slow machine the vote can be decided before the last sample has come.
    assert (counts["requested"], counts["finished"] + counts["cancelled"]) == (32, 32)
    assert counts["cancelled"] <= 4
    assert counts["cut"] == len(cut)
    assert reply["usage"]["saved_tokens"] > 0
    assert f"{len(cut)} samples do not vote: cut" in reply["warnings"]
    assert (reply["stop"]["name"], reply["stop"]["stopped"]) == ("deepconf_online", False)
    assert reply["stop"]["options"] == {"warmup": 8, "percentile": 50.0, "window": 8, "bar": None, "consensus": None}
    full = draw(gateway, 32, HARD)
    assert reply["usage"]["completion_tokens"] < full["usage"]["completion_tokens"]
    assert (full["usage"]["samples"]["cut"], full["usage"]["saved_tokens"]) == (0, 0)


def test_the_same_seed_cuts_the_same_samples(gateway: Gateway) -> None:
    """The bar depends on the first samples, and not on which sample ends first; no lead ends the median's sampling."""
    first, second = (draw(gateway, 32, HARD, CUT, "median") for _ in range(2))
    assert first["candidates"] == second["candidates"]
    assert first["confidence"] == second["confidence"]
    shown = [[(s["excluded"], s["text"]) for s in reply["samples"]] for reply in (first, second)]
    assert shown[0] == shown[1]


def test_a_consensus_ends_the_sampling_behind_the_warm_up(gateway: Gateway) -> None:
    """In launch order: what comes later does not vote, and the same seed gives the same votes whatever came first."""
    first, second = (draw(gateway, 64, HARD, {**CUT, "consensus": 0.6}) for _ in range(2))
    assert first["stop"]["stopped"]
    assert first["candidates"] == second["candidates"]
    voted = [s["index"] for s in first["samples"] if s["excluded"] is None]
    assert 0 < len(voted) <= max(voted) + 1 < 64
    assert first["confidence"]["vote_share"] >= 0.6
    assert first["confidence"]["certificate"]["void"] == "samples_cut"


def test_cuts_are_metered(gateway: Gateway) -> None:
    """Samples by outcome know the cut ones, and the saved tokens are counted by rule."""
    outcome = 'conclave_samples_total{model="abacus",outcome="cut"}'
    saved = 'conclave_tokens_saved_total{model="abacus",stop="deepconf_online"}'
    before = metric(gateway, outcome), metric(gateway, saved)
    usage = draw(gateway, 32, HARD, CUT)["usage"]
    assert metric(gateway, outcome) - before[0] == usage["samples"]["cut"] > 0
    assert metric(gateway, saved) - before[1] == usage["saved_tokens"] > 0


def test_a_known_bar_needs_no_warm_up(gateway: Gateway) -> None:
    """No confidence reaches a high bar: every sample is cut as soon as the window is full, and there is no answer."""
    reply = draw(gateway, 6, stop={"name": "deepconf_online", "window": 8, "bar": 900.0})
    assert (reply["status"], reply["answer"], reply["candidates"]) == ("abstained", None, [])
    assert [s["completion_tokens"] for s in reply["samples"]] == [8] * 6
    assert reply["usage"]["samples"]["cut"] == 6


def test_no_more_samples_than_the_warm_up_are_all_drawn_in_full(gateway: Gateway) -> None:
    """Nothing can be cut, and a warning says so."""
    reply = draw(gateway, 8, HARD, CUT)
    assert (reply["answer"], reply["usage"]["samples"]["cut"]) == ("76", 0)
    assert reply["warnings"] == ["stop: no sample can be cut: all 8 samples belong to the warm-up of 8"]


def test_a_forbidden_end_lets_samples_run_to_their_cap(gateway: Gateway) -> None:
    """A bias of -100 on the end token: no completion ends by itself."""
    plain, forbidden = draw(gateway), draw(gateway, logit_bias={str(END): -100})
    assert {s["finish_reason"] for s in plain["samples"]} == {"stop"}
    assert {(s["finish_reason"], s["completion_tokens"]) for s in forbidden["samples"]} == {("length", 96)}


def test_a_completion_ends_at_its_answer(gateway: Gateway) -> None:
    """Those that would run on for ever end once they have stated it, and vote."""
    reply = draw(gateway, question=HARD, logit_bias={str(END): -100}, end_at_answer=True)
    assert {s["finish_reason"] for s in reply["samples"]} == {"stop"}
    assert all(s["completion_tokens"] < 96 and s["answer"] for s in reply["samples"])


def test_caution_keeps_what_the_model_finds_likelier(gateway: Gateway) -> None:
    """Of several continuations the likeliest goes on: at a high temperature the difference is plain."""
    rash = draw(gateway, temperature=2.0)
    cautious = draw(gateway, temperature=2.0, caution={"trials": 8, "entropy_low": 0.0, "entropy_high": 0.01})

    def likelihood(reply: dict) -> float:
        return math.fsum(s["statistics"]["mean_logprob"] for s in reply["samples"])

    assert likelihood(cautious) > likelihood(rash)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"stop": "deepconf_online"}, "stop"),
        ({"sampling": {"logit_bias": {"1": -100}}}, "sampling.logit_bias"),
        ({"sampling": {"end_at_answer": True}}, "sampling.end_at_answer"),
        ({"sampling": {"caution": {}}}, "sampling.caution"),
        ({"sampling": {"probe": {}}}, "sampling.probe"),
    ],
)
def test_a_recording_refuses_each(gateway: Gateway, body: dict, field: str) -> None:
    """What was recorded cannot be drawn otherwise: a 422 that names the field; without it the pool answers."""
    response = gateway.ask(model="rec", question=QUESTION, n=4, **body)
    assert response.status_code == 422, response.text
    assert (response.json()["code"], response.json()["field"]) == ("invalid_request", field)
    assert "rec does not supply" in response.json()["detail"]
    assert gateway.answer(model="rec", question=QUESTION, n=4)["answer"] == "33"


def test_the_catalog_says_who_needs_and_who_provides_it(gateway: Gateway) -> None:
    """The rule is listed with its options and its need, and the shipped model's pool with all that it can do."""
    rules = {rule["name"]: rule for rule in gateway.http.get("/v1/stopping-rules").json()["data"]}
    assert rules["deepconf_online"]["needs"] == ["confidence_cut"]
    assert set(rules["deepconf_online"]["options"]["properties"]) == {
        "warmup",
        "percentile",
        "window",
        "bar",
        "consensus",
    }
    pools = {pool["id"]: pool["conclave"]["provides"] for pool in gateway.http.get("/v1/models").json()["data"]}
    special = {"logit_bias", "end_at_answer", "confidence_cut", "cautious", "probe"}
    assert special <= set(pools["abacus"])
    assert not special & set(pools["rec"])


@pytest.mark.parametrize(
    ("body", "code", "field", "said"),
    [
        ({"sampling": {"logit_bias": {"999999": 1.0}}}, "not_served", None, "the model has no token 999999"),
        ({"question": "12 + " * 2_000 + "1?"}, "context_overflow", "messages", "1024"),
    ],
)
def test_what_no_worker_can_draw_is_the_requests_fault_and_says_why(
    gateway: Gateway, body: dict, code: str, field: str | None, said: str
) -> None:
    """Only the worker knows its tokens and its context: 422 with its reason, also in the ledger."""
    response = gateway.ask(**{"model": "abacus", "question": QUESTION, "n": 2, **body})
    problem = response.json()
    assert (response.status_code, problem["code"], problem.get("field")) == (422, code, field)
    assert said in problem["detail"]


def test_grey_stops_by_the_likelihoods_of_the_choices(gateway: Gateway) -> None:
    """Every sample is one of the choices with the likelihood of each; a model that is sure needs few of them."""
    choices = ["The answer is 33.", "The answer is 32."]
    body = {"model": "abacus", "question": QUESTION, "choices": choices, "aggregator": "vote", "answer_type": "choice"}
    body["sampler"] = "iid"  # Abacus knows no lists of options
    reply = gateway.answer(**body, n=64, stop="grey", sampling={"seed": 7, "temperature": 1.0})
    drawn = reply["usage"]["samples"]["finished"]
    assert (reply["stop"]["stopped"], {s["text"] for s in reply["samples"]} <= set(choices)) == (True, True)
    assert drawn < 64
    again = gateway.answer(**body, n=64, stop="none", sampling={"seed": 7, "temperature": 1.0})
    assert again["usage"]["samples"]["finished"] == 64
    assert any(s["text"] not in choices for s in again["samples"])
