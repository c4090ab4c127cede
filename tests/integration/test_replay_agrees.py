"""Recorded samples replayed through the whole service give the very verdicts of the offline command."""

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from typer.testing import CliRunner

from service.cli import app
from service.evaluation.datasets import read_dataset
from service.evaluation.online import Online, client
from service.evaluation.outcomes import Cell
from service.evaluation.run import Wanted, evaluate
from service.settings import Settings, child_environment
from tests.conftest import ROOT, Bench, Gateway

QUESTIONS, SAMPLES = 30, 24

SETS = {"cotuq_llama8b_svamp": 76.4, "gpt35_date_t08": 78.9, "linc_folio_gpt4": 75.3}
"""Published accuracy of the vote over all samples, per cent."""


def texts(rng: Random, kind: str, gold: str, wrong: list[str]) -> list[dict[str, Any]]:
    """Samples in many forms: some right, some cut off, empty, unparsable or still thinking."""
    forms = {
        "number": [
            "The answer is {}.",
            "so \\boxed{{{}}}",
            "2 + 2 ...\n#### {}",
            "<think>7? 8?</think>It is {}",
            "{}.0",
        ],
        "choice": ["({})", "The answer is {}.", "**{}**", "I say {}, because 3 of 4 do."],
        "text": ["{}", "The answer is {}.", "Answer: {}", "A: {}"],
    }[kind]
    drawn: list[dict[str, Any]] = []
    for _ in range(SAMPLES):
        answer = gold if rng.random() < 0.45 else rng.choice(wrong)
        sample: dict[str, Any] = {"text": rng.choice(forms).format(answer), "completion_tokens": rng.randint(1, 90)}
        fate = rng.random()
        if fate < 0.08:
            sample |= {"text": f"First, {rng.randint(1, 9)} and then", "finish_reason": "length"}
        elif fate < 0.12:
            sample["finish_reason"] = "length"
        elif fate < 0.20:
            sample["text"] = rng.choice(
                ["", "   \n", "I do not know", f"<think>maybe {answer}", "\\boxed{", "$$\u00e9\u4e00"]
            )
        drawn.append(sample)
    return drawn


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty made-up questions; two share an id, as published sets do."""
    rng, rows = Random(5), []
    for place in range(QUESTIONS):
        kind = ("number", "choice", "text")[place % 3]
        row: dict[str, Any] = {"id": f"{kind}-{place}", "answer_type": kind, "source": "made up"}
        if kind == "number":
            row |= {"question": f"How many are {place} and {place}?", "gold": str(2 * place)}
            wrong = [str(2 * place + 1), "1/2", f"{place}.5"]
        elif kind == "choice":
            row |= {"question": f"Which one is number {place}?", "gold": "B", "choices": ["oak", "elm", "ash", "yew"]}
            wrong = ["A", "C", "D"]
        else:
            row |= {"question": f"Which town is meant by hint {place}?", "gold": "Bern"}
            wrong = ["Basel", "Biel", "Thun"]
        rows.append(row | {"samples": texts(rng, kind, row["gold"], wrong)})
    rows[3]["id"] = rows[0]["id"]
    path = tmp_path_factory.mktemp("recorded") / "made.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def gateway(shared: Bench, recording: Path) -> Gateway:
    """The service with two workers that replay the recording."""
    for _ in range(2):
        shared.worker(f"made=replay:{recording}")
    return shared.gateway()


@pytest.mark.parametrize("stop", ["none", "beta", "lead"])
def test_every_verdict_of_the_service_is_the_offline_one(recording: Path, gateway: Gateway, stop: str) -> None:
    url = str(gateway.http.base_url)
    wanted = Wanted(
        ("vote", "auto", "gsa"), (1, 7, SAMPLES), stop, ("auto", "as-recorded"), url=url, model="made", compare=True
    )
    (report,) = evaluate([read_dataset(recording)], wanted, Settings())
    assert [pair for row in report.rows for pair in row.different] == []
    assert len(report.rows) == 18
    assert all(len(row.outcomes) == QUESTIONS for row in report.rows)
    # The comparison is worth something only if the recording has all kinds of outcomes.
    last = report.rows[2]
    assert {outcome.answer_type for outcome in last.outcomes} >= {"number", "choice", "text"}
    assert {outcome.right for outcome in last.outcomes} == {True, False}


def test_stopping_in_order_draws_what_the_offline_command_says(recording: Path, gateway: Gateway) -> None:
    wanted = Wanted(("vote",), (SAMPLES,), "beta", ("as-recorded",), str(gateway.http.base_url), "made", compare=True)
    (report,) = evaluate([read_dataset(recording)], wanted, Settings())
    (row,) = report.rows
    assert row.offline is not None
    assert sum(o.samples for o in row.offline) < QUESTIONS * SAMPLES
    # A wave's samples may come in two replies, and the rule may stop after the first: never more than offline.
    assert all(on.samples <= off.samples for on, off in zip(row.outcomes, row.offline, strict=True))


def test_the_command_compares_and_says_so_by_its_exit_code(recording: Path, gateway: Gateway, tmp_path: Path) -> None:
    arguments = ["--url", str(gateway.http.base_url), "--model", "made", "--compare", "--n", "8"]
    same = CliRunner().invoke(app, ["eval", str(recording), *arguments])
    assert same.exit_code == 0, same.output
    assert f"{QUESTIONS}/{QUESTIONS}" in same.output
    other = tmp_path / "other.jsonl"
    rows = [json.loads(line) for line in recording.read_text().splitlines()]
    rows[1]["samples"] = [{"text": "(D)"}] * SAMPLES
    other.write_text("".join(json.dumps(row) + "\n" for row in rows))
    different = CliRunner().invoke(app, ["eval", str(other), *arguments])
    assert different.exit_code == 1
    assert f"{QUESTIONS - 1}/{QUESTIONS}" in different.output
    assert "choice-1" in different.output


async def test_a_question_that_the_service_cannot_answer_counts_as_unanswered(
    recording: Path, gateway: Gateway
) -> None:
    record = read_dataset(recording).records[1]
    strange = type(record)("none", "Never recorded?", "B", None, None, record.samples)
    async with client(str(gateway.http.base_url)) as http:
        outcome = await Online(http, "made").answer(strange, Cell("vote", 4, "none", "auto"))
    assert (outcome.answer, outcome.right, outcome.status) == (None, False, "failed: samples_failed")


def test_recorded_choices_are_asked_for_in_the_order_in_which_they_were_recorded(gateway: Gateway) -> None:
    """A pool of recorded samples is never asked another prompt: by default its options stay, and a shuffle is
    refused."""
    body = {
        "model": "made",
        "question": "Which one is number 1?",
        "choices": ["oak", "elm", "ash", "yew"],
        "n": SAMPLES,
    }
    reply = gateway.answer(**body)
    assert (reply["answer"], reply["sampler"]["name"]) == ("elm", "iid")
    refused = gateway.ask(**body, sampler="choice_shuffle")
    assert (refused.status_code, refused.json()["field"]) == (422, "sampler")


def data() -> Path:
    """The folder of recorded samples of real models."""
    return (ROOT / child_environment().get("CONCLAVE_DATA", "../shared/data")).resolve()


@pytest.mark.data
@pytest.mark.parametrize("name", SETS)
def test_real_recordings_agree_and_reach_the_published_vote(shared: Bench, gateway: Gateway, name: str) -> None:
    path = data() / f"{name}.jsonl.gz"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    shared.worker(f"{name}=replay:{path}")
    asked = Wanted(("vote",), (64,), "none", ("auto",), str(gateway.http.base_url), compare=True)
    (some,) = evaluate([read_dataset(path, limit=60)], asked, Settings())
    assert some.rows[0].different == []
    (whole,) = evaluate([read_dataset(path)], Wanted(("vote",), (64,), "none", ("auto",)), Settings())
    right = sum(outcome.right for outcome in whole.rows[0].outcomes)
    assert 100 * right / whole.questions >= SETS[name] - 1.0
