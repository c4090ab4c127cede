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
