"""Texts compared by meaning through the whole service: a gateway, a worker that draws and workers that score."""

import json
import math
from itertools import combinations
from operator import mul
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Bench, Gateway
from tests.tiny_scorers import NLI_LABELS, make_classifier, make_encoder
from workers.backends.torch_scoring.backend import ScoringBackend
from workers.wire.messages import Job

QUESTION = "Which animal?"
FORMS = ("a cat", "a dog", "a tomcat", "a wolf")
DRAWN = (*FORMS, "A dog.", "a wolf")
CPU = {"torch_device": "cpu", "torch_threads": "1"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model for each way."""
    folder = tmp_path_factory.mktemp("scorers")
    made = {
        "embed": make_encoder(folder / "embed"),
        "entail": make_classifier(folder / "entail", "deberta", NLI_LABELS),
        "reward": make_classifier(folder / "reward"),
    }
    (folder / "drawn.jsonl").write_text(
        json.dumps({"id": "q", "question": QUESTION, "samples": [{"text": text} for text in DRAWN]})
    )
    return {**made, "drawn": folder / "drawn.jsonl"}


@pytest.fixture(scope="module")
def gateway(shared: Bench, folders: dict[str, Path]) -> Gateway:
    """A gateway, the recorded samples and a pool of each kind."""
    started = shared.gateway()
    shared.worker(f"fake=replay:{folders['drawn']}")
    for kind in ("embed", "entail", "reward"):
        shared.worker(f"{kind}-pool={kind}:{folders[kind]}", **CPU)
    return started


async def values_of(kind: Any, folder: Path, texts: list[str], pairs: list[str]) -> list[tuple[float, ...]]:
    """What the backend says in this process."""
    backend = ScoringBackend(kind, str(folder), "cpu", threads=1)
    await backend.start()
    job = Job(
        job_id="j",
        answer_id="a",
        model="m",
        kind=kind,
        texts=tuple(texts),
        pairs=tuple(pairs),
        first=0,
        last=len(texts),
    )
    found = {sample.index: sample.values async for sample in backend.sample(job, tuple(range(len(texts))))}
    await backend.close()
    return [found[index] for index in range(len(texts))]


async def alike(kind: str, folder: Path) -> dict[tuple[str, str], float]:
    """How alike every two forms are: the cosine, or the smaller probability of entailment."""
    if kind == "embed":
        units = [
            [value / math.sqrt(math.fsum(map(mul, vector, vector))) for value in vector]
            for vector in await values_of(kind, folder, list(FORMS), [])
        ]
        pairs = combinations(zip(FORMS, units, strict=True), 2)
        return {(one, other): math.fsum(map(mul, u, v)) for (one, u), (other, v) in pairs}
    both = [(f"{QUESTION} {one}", f"{QUESTION} {other}") for one in FORMS for other in FORMS if one != other]
    found = await values_of(kind, folder, [one for one, _ in both], [other for _, other in both])
    entails = {pair: values[0] for pair, values in zip(both, found, strict=True)}
    return {
        (one, other): min(entails[pair], entails[pair[::-1]])
        for one, other in combinations(FORMS, 2)
        if (pair := (f"{QUESTION} {one}", f"{QUESTION} {other}"))
    }


@pytest.mark.parametrize(("by", "kind"), [("embeddings", "embed"), ("entailment", "entail")])
async def test_what_means_the_same_to_a_pool_is_one_class(
    by: str, kind: str, gateway: Gateway, folders: dict[str, Path]
) -> None:
    """A threshold between the two most alike pairs merges the first of them and nothing else."""
    ranked = sorted(((value, pair) for pair, value in (await alike(kind, folders[kind])).items()), reverse=True)
    (highest, pair), (second, _) = ranked[:2]
    assert highest - second > 1e-5
    threshold = (highest + second) / 2
    asked = {"name": "text", "equivalence": "semantic", "by": by, "model": f"{kind}-pool", "threshold": threshold}
    answer = gateway.answer(question=QUESTION, n=6, answer_type=asked, stop="none", aggregator="vote")
    expected = {tuple(i for i, text in enumerate(DRAWN) if form_of(text) in pair)}
    expected |= {
        tuple(i for i, text in enumerate(DRAWN) if form_of(text) == form) for form in FORMS if form not in pair
    }
    assert {tuple(each["samples"]) for each in answer["candidates"]} == expected
    assert (answer["status"], answer["answer_type"], answer["warnings"]) == (
        "answered",
        "text",
        [warning for warning in answer["warnings"] if warning.startswith("tie")],
    )
    assert answer["timing"]["aggregation_ms"] > 0


def form_of(text: str) -> str:
    """The form of a completion."""
    return text.lower().rstrip(".")


@pytest.mark.parametrize(
    ("options", "field", "detail"),
    [
        ({"model": "embed-pool", "by": "entailment"}, "answer_type.model", "does not supply: entail"),
        ({"model": "reward-pool"}, "answer_type.model", "does not supply: embed"),
        ({"model": "fake"}, "answer_type.model", "does not supply: embed"),
        ({"model": "nobody"}, "answer_type.model", "none to ask here"),
        ({}, "answer_type.model", "required"),
    ],
)
def test_a_pool_that_cannot_compare_is_refused(
    options: dict[str, Any], field: str, detail: str, gateway: Gateway
) -> None:
    """Before the first sample is drawn, by the field that names it."""
    response = gateway.ask(question=QUESTION, answer_type={"name": "text", "equivalence": "semantic", **options})
    assert (response.status_code, response.json()["field"]) == (422, field)
    assert detail in response.json()["detail"]


def test_a_pool_that_does_not_come_back_in_time_costs_the_comparison_only(
    bench: Bench, folders: dict[str, Path]
) -> None:
    """A pool that was there once and is gone is waited for until the budget ends; then the normalised forms hold."""
    gateway = bench.gateway()
    bench.worker(f"fake=replay:{folders['drawn']}")
    bench.worker(f"gone=embed:{folders['embed']}", **CPU).end()
    asked = {"name": "text", "equivalence": "semantic", "model": "gone"}
    answer = gateway.answer(question=QUESTION, n=6, answer_type=asked, budget={"seconds": 2})
    assert answer["status"] == "answered"
    assert [(each["answer"], each["samples"]) for each in answer["candidates"]] == [
        ("a dog", [1, 4]),
        ("a wolf", [3, 5]),
        ("a cat", [0]),
        ("a tomcat", [2]),
    ]
    assert any("gone could not compare all answers by meaning: timeout x 4" in each for each in answer["warnings"])
