"""A pool that scores texts, as a caller of the gateway sees it."""

from pathlib import Path

from tests.conftest import Bench
from tests.tiny_scorers import make_classifier


def test_a_pool_that_only_scores_is_listed_and_answers_nothing(bench: Bench, tmp_path: Path) -> None:
    """GET /v1/models says what it provides; a question put to it is a 422 that names the model."""
    gateway = bench.gateway()
    bench.worker(f"judge=reward:{make_classifier(tmp_path)}", torch_device="cpu", torch_threads="1")
    (entry,) = gateway.http.get("/v1/models").json()["data"]
    assert (entry["id"], entry["conclave"]["provides"]) == ("judge", ["reward"])
    response = gateway.ask(model="judge")
    assert response.status_code == 422, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert (problem["code"], problem["field"]) == ("invalid_request", "model")
    assert "only scores texts: reward" in problem["detail"]


def test_a_folder_that_cannot_score_ends_its_worker(bench: Bench, tmp_path: Path) -> None:
    """With the exit code of a worker that can never start, and the reason in its log."""
    folder = make_classifier(tmp_path, labels=("good", "bad", "ugly"))
    worker = bench.worker(f"nli=entail:{folder}", wait=False, torch_device="cpu", torch_threads="1")
    assert worker.process.wait(60) == 2
    assert (
        "the labels of an entailment model are entailment, neutral, contradiction; here: good, bad, ugly" in worker.log
    )


def test_a_reward_model_of_another_pool_is_a_statistic(bench: Bench, tmp_path: Path) -> None:
    """The best of n is the sample of the highest reward, and each sample shows its own; others refuse such pools."""
    texts = [f"{k} and some more. The answer is {k}." for k in (41, 42, 43)]
    bench.worker(f"fake=openai:{bench.upstream(texts=texts).url}")
    bench.worker(f"judge=reward:{make_classifier(tmp_path)}", torch_device="cpu", torch_threads="1")
    gateway = bench.gateway()
    asked = {"name": "best_of_n", "reward_model": "judge"}
    reply = gateway.ask(n=3, aggregator=asked, stop="none", include=["samples"]).json()
    rewards = {each["text"]: each["statistics"]["reward_score"] for each in reply["samples"]}
    assert len(set(rewards.values())) == 3
    assert reply["text"] == max(rewards, key=lambda text: rewards[text])
    assert (reply["aggregator"]["options"]["statistic"], reply["warnings"]) == ("reward_score", [])
    vote = gateway.ask(n=3, aggregator={"name": "weighted_vote", "reward_model": "judge"}, stop="none").json()
    assert len({each["weight"] for each in vote["candidates"]}) == 3
    for option, field in (("fake", "aggregator.reward_model"), ("nobody", "aggregator.reward_model")):
        refused = gateway.ask(n=3, aggregator={"name": "borda", "reward_model": option})
        assert (refused.status_code, refused.json()["field"]) == (422, field)
    clash = gateway.ask(n=3, aggregator={"name": "borda", "reward_model": "judge", "statistic": "entropy"})
    assert clash.status_code == 422
    assert "reward_model gives" in clash.json()["detail"]
