"""What operators rely on: catalogs, liveness and readiness, metrics, documentation without internet."""

import re
import signal
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.embedded_redis import EmbeddedRedis
from tests.conftest import Bench, Gateway, wait_until

RIGHT = "The answer is 42."


@pytest.fixture(scope="module")
def gateway(shared: Bench) -> Gateway:
    """A gateway before an upstream that draws one completion a call: three right, one wrong, in turn."""
    upstream = shared.upstream(texts=[RIGHT, RIGHT, RIGHT, "no idea"])
    shared.worker(f"fake=openai:{upstream.url}")
    shared.worker(f"broken=openai:{shared.upstream(fail_every=1, fail_status=400).url}")
    return shared.gateway()


def metrics(gateway: Gateway) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample of /metrics by name and labels."""
    response = gateway.http.get("/metrics").raise_for_status()
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = text_string_to_metric_families(response.text)
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def grown(before, after, name: str, **labels: str) -> float:
    """By how much the series with these labels (and any others) have grown in all."""
    wanted = set(labels.items())
    total = 0.0
    for (series, has), value in after.items():
        if series == name and wanted <= set(has):
            total += value - before.get((series, has), 0.0)
    return total


def test_metrics_agree_with_what_was_asked(gateway: Gateway) -> None:
    """After known requests the counters have grown by exactly those."""
    before = metrics(gateway)
    for _ in range(3):
        gateway.answer(n=4, stop="none", answer_type="number")
    assert gateway.ask(n=4, stop="none", aggregator="gsa", answer_type="number").status_code == 200
    assert gateway.ask(model="broken", n=2).status_code == 502
    assert gateway.ask(model="nobody").status_code == 404
    assert gateway.ask(aggregator="astrology").status_code == 422
    after = metrics(gateway)

    def by(name: str, **labels: str) -> float:
        return grown(before, after, name, **labels)

    assert by("conclave_answers_total", status="answered", aggregator="vote", model="fake") == 3
    assert by("conclave_answers_total", status="answered", aggregator="gsa", model="fake") == 1
    assert by("conclave_answers_total", status="failed", model="broken") == 1
    assert by("conclave_samples_requested_total", model="fake") == 16
    outcomes = by("conclave_samples_total", model="fake", outcome="ok")
    assert outcomes + by("conclave_samples_total", model="fake", outcome="no_answer") == 16
    assert by("conclave_samples_total", model="fake") == 16
    assert by("conclave_samples_requested_total", model="broken") == 2
    assert by("conclave_aggregation_calls_total", aggregator="gsa") == 1
    assert by("conclave_http_requests_total", route="/v1/answers", method="POST") == 7
    assert by("conclave_http_requests_total", route="/v1/answers", code="200") == 4
    assert by("conclave_http_requests_total", route="/v1/answers", code="502") == 1
    assert by("conclave_gateway_overhead_seconds_count") == 4
    assert by("conclave_vote_share_ratio_count", model="fake") == 4
    assert by("conclave_tokens_total", model="fake", direction="completion") > 0


def test_the_samples_of_a_failed_answer_are_counted_too(gateway: Gateway) -> None:
    """Each requested sample ends as one outcome, also where the answer is an error."""
    before = metrics(gateway)
    assert gateway.ask(model="broken", n=3).status_code == 502
    after = metrics(gateway)
    assert grown(before, after, "conclave_samples_total", model="broken") == 3
    assert grown(before, after, "conclave_sample_failures_total", model="broken", kind="upstream_rejected") == 3


def test_metrics_are_well_named_and_carry_no_ids(gateway: Gateway) -> None:
    """One prefix, base units, no label with an unbounded value."""
    answer_id = gateway.answer(n=1)["id"]
    gateway.read(answer_id)
    gateway.http.get("/v1/answers/nothing-of-ours")
    gateway.http.get("/made/up/path")
    text = gateway.http.get("/metrics").text
    for family in text_string_to_metric_families(text):
        assert family.name.startswith("conclave_"), family.name
        assert family.documentation
    assert answer_id not in text
    assert "made/up" not in text
    assert "What is six" not in text


def test_queue_and_pool_are_seen(gateway: Gateway) -> None:
    """Redis is up, both models have a live worker, and nothing is left in the queue."""
    gateway.answer(n=1)
    seen = metrics(gateway)
    assert seen["conclave_redis_up", ()] == 1
    assert seen["conclave_workers_live", (("model", "fake"),)] == 1
    wait_until(lambda: metrics(gateway)["conclave_queue_depth", (("model", "fake"),)] == 0, "the queue is empty")


def test_models_are_listed_in_openais_shape(gateway: Gateway) -> None:
    """Live pools with what they supply."""
    listed = gateway.http.get("/v1/models").json()
    assert listed["object"] == "list"
    entries = {entry["id"]: entry for entry in listed["data"]}
    assert set(entries) == {"fake", "broken"}
    assert entries["fake"]["object"] == "model"
    assert entries["fake"]["conclave"]["workers"] == 1
    assert "mean_logprob" in entries["fake"]["conclave"]["provides"]
    assert abs(entries["fake"]["created"] - time.time()) < 600


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("aggregators", {"auto", "vote", "self_agreement", "gsa"}),
        ("answer-types", {"auto", "number", "choice", "text", "math"}),
        ("samplers", {"iid", "choice_shuffle", "languages", "prompts", "few_shot", "navigate", "deepen"}),
        ("stopping-rules", {"none", "lead", "beta"}),
    ],
)
def test_catalogs_list_what_there_is_with_its_options(gateway: Gateway, path: str, names: set[str]) -> None:
    """Each plug-in with a description and the JSON schema of its options, which refuses unknown ones."""
    entries = {entry["name"]: entry for entry in gateway.http.get(f"/v1/{path}").json()["data"]}
    assert names <= set(entries)
    for entry in entries.values():
        assert entry["description"]
        assert (entry["options"]["type"], entry["options"]["additionalProperties"]) == ("object", False)
    if path == "stopping-rules":
        assert entries["beta"]["options"]["properties"]["threshold"]["default"] == 0.95


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_documentation_works_without_internet(gateway: Gateway, path: str) -> None:
    """The page names no host, and every file that it names is served from here."""
    page = gateway.http.get(path).raise_for_status().text
    assert re.findall(r"https?://[^\s\"'<>]+", page) == []
    named = re.findall(r"(?:src|href)=\"([^\"]+)\"", page)
    assert named
    for name in named:
        assert gateway.http.get(name).status_code == 200, name


def test_the_openapi_document_is_served(gateway: Gateway) -> None:
    """It describes the routes and the problem, and no route of operations is missing."""
    document = gateway.http.get("/openapi.json").json()
    assert {"/v1/answers", "/v1/answers/{answer_id}", "/v1/models", "/healthz", "/readyz"} <= set(document["paths"])
    assert "Problem" in document["components"]["schemas"]


def test_with_redis_hanging_the_gateway_lives_and_is_not_ready(
    bench_of_own_redis: Bench, own_redis: EmbeddedRedis
) -> None:
    """Redis stopped: alive, not ready, metrics say so, requests are refused as 503; all by itself well again after."""
    bench, server = bench_of_own_redis, own_redis.process
    assert server is not None
    gateway = bench.gateway()
    bench.worker(f"fake=openai:{bench.upstream(texts=[RIGHT]).url}")
    answer_id = gateway.answer(n=2)["id"]
    server.send_signal(signal.SIGSTOP)
    assert gateway.http.get("/healthz", timeout=1.0).status_code == 200
    ready = gateway.http.get("/readyz", timeout=6.0)
    assert (ready.status_code, ready.json()["redis"]) == (503, False)
    assert metrics(gateway)["conclave_redis_up", ()] == 0
    server.send_signal(signal.SIGCONT)
    wait_until(lambda: gateway.http.get("/readyz").status_code == 200, "ready again", 10.0)
    assert gateway.answer(n=2)["answer"] == "42"
    assert gateway.read(answer_id)["answer"] == "42"


def test_with_redis_dead_requests_are_refused_and_then_served_again(
    bench_of_own_redis: Bench, own_redis: EmbeddedRedis
) -> None:
    """Redis killed: every route that needs it says 503 with Retry-After as a problem, none 500; then all is well."""
    bench, server = bench_of_own_redis, own_redis.process
    assert server is not None
    gateway = bench.gateway()
    worker = bench.worker(f"fake=openai:{bench.upstream(texts=[RIGHT]).url}")
    answer_id = gateway.answer(n=2)["id"]
    server.kill()
    server.wait()
    assert gateway.http.get("/healthz").status_code == 200
    assert gateway.http.get("/readyz").status_code == 503
    for method, path in (("GET", f"/v1/answers/{answer_id}"), ("DELETE", f"/v1/answers/{answer_id}"), ("POST", "")):
        response = gateway.http.request(method, path) if path else gateway.ask(n=2)
        assert response.status_code == 503, (method, response.text)
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["code"] == "queue_unavailable"
        assert int(response.headers["retry-after"]) >= 1
    time.sleep(0.6)  # pools are looked up anew
    assert gateway.http.get("/v1/models").status_code == 503
    own_redis.start()
    wait_until(lambda: gateway.http.get("/readyz").status_code == 200, "ready again", 10.0)
    wait_until(lambda: gateway.ask(n=2).status_code == 200, "answers again", 10.0)
    assert gateway.read(answer_id)["answer"] == "42"
    assert gateway.running
    assert worker.running


def test_a_gateway_that_is_told_to_end_finishes_its_answers(bench: Bench) -> None:
    """SIGTERM: the answer in progress still comes, it ends in good order, and its inbox is gone."""
    gateway = bench.gateway()
    upstream = bench.upstream(texts=[RIGHT], delay_ms=700)
    bench.worker(f"fake=openai:{upstream.url}")
    answer_id = gateway.ask(n=2, background=True).json()["id"]
    wait_until(lambda: upstream.stats.running == 1, "the upstream is asked")
    gateway.process.terminate()
    assert gateway.process.wait(15) in (0, -signal.SIGTERM)  # uvicorn raises the signal anew after its shutdown
    assert "Application shutdown complete" in gateway.log
    reader = bench.gateway()
    assert (reader.read(answer_id)["status"], reader.read(answer_id)["answer"]) == ("answered", "42")
    assert bench.keys("{0}:inbox:*") == []


def test_a_queue_of_four_shards_serves_the_same(bench: Bench) -> None:
    """With four shards in gateway and worker, answers of every shard come, are found again and leave no job."""
    gateway = bench.gateway(queue_shards="4")
    bench.worker(f"fake=openai:{bench.upstream(texts=[RIGHT]).url}", queue_shards="4")
    ids = [gateway.answer(n=2)["id"] for _ in range(16)]
    assert all(gateway.read(answer_id)["answer"] == "42" for answer_id in ids)
    assert {key[:3] for key in bench.keys("*:answer:*")} > {"{0}"}
    wait_until(lambda: metrics(gateway)["conclave_queue_depth", (("model", "fake"),)] == 0, "the queue is empty")
    assert bench.keys("*:job:*") == []
