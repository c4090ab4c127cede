"""`conclave eval --offline` on a small made-up recording: known accuracy, costs, JSON; the intervals' known values."""

import gzip
import json
import math
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from service.cli import app
from service.evaluation.datasets import read_dataset
from service.evaluation.intervals import auroc, bootstrap, quantile, wilson
from service.evaluation.outcomes import Outcome, named
from service.evaluation.score import Grader, equal, equal_answers

# Right at the first sample, by the vote of 4 and of 8; any sample right: q0 y y y y, q1 n y y y, q2 y n n y, q3 n n n n
GIVEN = {
    "q0": ("4", ["4"] * 8),
    "q1": ("1/2", ["7", "0.5", "\\boxed{\\frac12}", "0.5", "9", "0.5", "0.5", "7"]),
    "q2": ("6", ["6", "5", "5", "6", "5", "5", "6", "5"]),
    "q3": ("3", ["no idea"] * 8),
}


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Four recorded questions, packed."""
    rows = [
        {"id": name, "question": f"{name}: how many?", "gold": gold, "answer_type": "number", "source": "made up"}
        | {"samples": [{"text": f"The answer is {a}." if a[0] not in "\\n" else a, "extra": {}} for a in answers]}
        for name, (gold, answers) in GIVEN.items()
    ]
    path = tmp_path / "made.jsonl.gz"
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    return path


def run(recording: Path, *arguments: str) -> dict[str, Any]:
    """What `conclave eval --offline` writes as JSON."""
    file = recording.parent / "out.json"
    done = CliRunner().invoke(app, ["eval", str(recording), "--offline", "--json", str(file), *arguments])
    assert done.exit_code == 0, done.output
    (dataset,) = json.loads(file.read_text())["datasets"]
    return dict(dataset)


def test_accuracy_single_and_oracle_are_those_of_the_recording(recording: Path) -> None:
    found = run(recording, "--n", "1,4,8", "--answer-type", "number")
    assert (found["name"], found["questions"]) == ("made", 4)
    assert [row["n"] for row in found["rows"]] == [1, 4, 8]
    assert [row["accuracy"] for row in found["rows"]] == [0.5, 0.75, 0.5]  # of q2's first four, 6 and 5 tie: first wins
    assert found["single"] == pytest.approx((1 + 5 / 8 + 3 / 8 + 0) / 4)
    assert found["oracle"] == 0.75


def test_the_json_has_the_agreed_shape(recording: Path) -> None:
    found = run(recording, "--n", "8", "--aggregators", "vote,gsa")
    agreed = {"aggregator", "n", "stop", "accuracy", "ci95", "samples_mean", "answered", "calls_mean"}
    assert set(found) >= {"name", "questions", "rows", "single", "oracle"}
    assert all(set(row) >= agreed for row in found["rows"])
    assert [row["aggregator"] for row in found["rows"]] == ["vote", "gsa"]
    row = found["rows"][0]
    assert row["ci95"] == pytest.approx(list(wilson(2, 4)))
    assert row["samples_mean"] == 8
    assert row["calls_mean"] == 0
    assert next(v["votes"] for v in found["verdicts"] if v["id"] == "q1") == [["0.5", 5], ["7", 2], ["9", 1]]


def test_a_question_without_any_answer_counts_as_wrong_and_unanswered(recording: Path) -> None:
    row = run(recording, "--answer-type", "number", "--n", "8")["rows"][0]
    assert row["answered"] == 0.75


@pytest.mark.parametrize(
    ("stop", "drawn"),
    [
        ("none", [8, 8, 8, 8]),
        # lead: at 5 of 8 equal; at 4 to 1 with 2 to come; never (4 to 3, then 5 to 3); nothing ever leads
        ("lead", [5, 6, 8, 8]),
        # beta .95 in waves of 4: after 4 equal; never; never; never
        ("beta", [4, 8, 8, 8]),
    ],
)
def test_a_stopping_rule_saves_the_samples_that_it_saves_in_the_service(
    recording: Path, stop: str, drawn: list[int]
) -> None:
    found = run(recording, "--n", "8", "--stop", stop, "--answer-type", "number")
    assert [verdict["samples"] for verdict in found["verdicts"]] == drawn
    assert found["rows"][0]["samples_mean"] == sum(drawn) / 4
    assert found["rows"][0]["accuracy"] == 0.5


def test_as_recorded_takes_the_type_from_the_file_and_reports_each_type_s_single(recording: Path) -> None:
    found = run(recording, "--answer-type", "as-recorded,text")
    assert [row["answer_type"] for row in found["rows"]] == ["as-recorded", "text"]
    assert {verdict["answer_type"] for verdict in found["verdicts"]} >= {"text"}
    assert all("single" in row for row in found["rows"])


def test_a_seed_shuffles_the_samples_repeatably(recording: Path) -> None:
    plain, one, again = (read_dataset(recording, seed=seed).records[1] for seed in (0, 3, 3))
    assert [sample.text for sample in one.samples] == [sample.text for sample in again.samples]
    assert [sample.text for sample in one.samples] != [sample.text for sample in plain.samples]
    assert sorted(s.text for s in one.samples) == sorted(s.text for s in plain.samples)
    assert [sample.index for sample in one.samples] == list(range(8))


def test_limit_takes_the_first_questions(recording: Path) -> None:
    assert run(recording, "--limit", "2")["questions"] == 2


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--offline", "--compare"], 2, "asks no service"),
        (["--seed", "3"], 2, "as recorded"),
        (["--offline", "--n", "0"], 2, "whole numbers"),
        (["--offline", "--aggregators", "vot"], 1, "there are"),
        (["--offline", "--stop", "vot"], 1, "there are"),
        (["--url", "http://127.0.0.1:9"], 3, "conclave eval"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_reason(
    recording: Path, arguments: list[str], code: int, said: str
) -> None:
    done = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["eval", str(recording), *arguments])
    assert done.exit_code == code
    assert said in done.stderr


def test_aggregators_are_left_out_where_a_file_has_not_what_they_need(recording: Path) -> None:
    """The recording has no statistics; without the option that is a refusal."""
    found = run(recording, "--where-possible", "--aggregators", "vote,borda,map,best_of_n:statistic=p_true")
    assert [row["aggregator"] for row in found["rows"]] == ["vote", "map"]
    done = CliRunner().invoke(app, ["eval", str(recording), "--offline", "--aggregators", "vote,borda"])
    assert done.exit_code == 1
    done = CliRunner().invoke(app, ["eval", str(recording), "--offline", "--where-possible", "--aggregators", "borda"])
    assert (done.exit_code, "not what any" in done.stderr) == (1, True)


def test_how_well_a_statistic_tells_right_from_wrong_is_counted_within_questions(tmp_path: Path) -> None:
    """q0: right .9 and .2, wrong .5 and .2: 1 + 1 + 0 + 1/2 of 4. q1: all right, no pair. q2: right at entropy 1 and
    wrong at 2, 1 of 1; the third has no vote.
    """
    given = [
        [("4", {"p_true": 0.9}), ("4", {"p_true": 0.2}), ("5", {"p_true": 0.5}), ("5", {"p_true": 0.2})],
        [("4", {"p_true": 0.1}), ("4", {"p_true": 0.9})],
        [("4", {"entropy": 1.0}), ("7", {"entropy": 2.0}), ("", {"entropy": 0.0})],
    ]
    rows = [
        {"id": str(i), "question": "?", "gold": "4", "samples": [{"text": t, "statistics": s} for t, s in samples]}
        for i, samples in enumerate(given)
    ]
    path = tmp_path / "made.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = {one["statistic"]: one for one in run(path, "--answer-type", "number")["statistics"]}
    assert set(found) == {"p_true", "entropy"}
    assert (found["p_true"]["value"], found["p_true"]["pairs"], found["p_true"]["questions"]) == (2.5 / 4, 4, 1)
    assert (found["entropy"]["value"], found["entropy"]["pairs"]) == (1.0, 1)


@pytest.mark.parametrize(
    ("written", "body"),
    [
        ("vote", "vote"),
        ("borda:statistic=p_true:p=0.5", {"name": "borda", "statistic": "p_true", "p": 0.5}),
        (
            "kemeny:statistics=p_true+entropy:vote=false",
            {"name": "kemeny", "statistics": ["p_true", "entropy"], "vote": False},
        ),
        ("maxmin:statistics=p_true+", {"name": "maxmin", "statistics": ["p_true"]}),
        ("borda:p", {"name": "borda", "p": ""}),
    ],
)
def test_an_aggregator_may_be_written_with_options(written: str, body: object) -> None:
    assert named(written) == body


def test_options_reach_the_aggregator_and_a_bad_one_is_named(recording: Path) -> None:
    """By ranks of nothing there is a refusal; with a bad option the option is named."""
    rows = run(recording, "--aggregators", "map:reliability=0.9,vote", "--answer-type", "number")["rows"]
    assert [row["aggregator"] for row in rows] == ["map:reliability=0.9", "vote"]
    assert rows[0]["accuracy"] == rows[1]["accuracy"]
    for written, said in (("borda:p=-1", "aggregator.p"), ("borda:p=1", "self_certainty")):
        done = CliRunner(env={"COLUMNS": "200"}).invoke(
            app, ["eval", str(recording), "--offline", "--aggregators", written]
        )
        assert done.exit_code == 1
        assert said in done.stderr


def test_a_line_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text('{"id": "a", "question": "?", "samples": []}\n{"id": "b"}\n')
    done = CliRunner().invoke(app, ["eval", str(path), "--offline"])
    assert done.exit_code == 1
    assert "line 2" in done.stderr


async def test_gold_is_read_by_the_type_that_was_decided_on(recording: Path) -> None:
    grader = Grader(read_dataset(recording).records[1])
    assert await grader.answer("0.5", "number")
    assert await grader.answer("1/2", "text")
    assert not await grader.answer("0.25", "number")
    assert not await grader.answer(None, "number")


async def test_verdicts_are_equal_by_answer_type_and_votes(recording: Path) -> None:
    record = read_dataset(recording).records[1]
    one = Outcome("q1", "4", "number", (("4", 3), ("5", 3)), 6, 0, "answered")
    reordered = Outcome("q1", "4", "number", (("5", 3), ("4", 3)), 7, 1, "degraded")
    fewer = Outcome("q1", "4.0", "number", (("4.0", 3),), 6, 0, "answered")
    text = Outcome("q1", "4", "text", (("4", 3), ("5", 3)), 6, 0, "answered")
    none = Outcome("q1", None, "number", (), 6, 0, "abstained")
    assert [await equal(record, one, other) for other in (reordered, fewer, text, none)] == [True, False, False, False]
    assert [await equal_answers(record, one, other) for other in (reordered, fewer, text, none)] == [
        True,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("successes", "total", "low", "high"),
    # Newcombe 1998, table I, method 3
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_s_interval_has_its_published_values(successes: int, total: int, low: float, high: float) -> None:
    assert wilson(successes, total) == pytest.approx((low, high), abs=5e-5)


def test_auroc_counts_pairs_and_halves_ties() -> None:
    assert auroc([(0.1, False), (0.4, False), (0.35, True), (0.8, True)]) == 0.75
    assert auroc([(0.5, False), (0.5, True)]) == 0.5
    assert auroc([(0.2, False), (0.5, True), (0.5, False)]) == 0.75
    assert math.isnan(auroc([(0.5, True)]))


def test_bootstrap_holds_the_mean_and_is_repeatable() -> None:
    values = [0.0, 1.0] * 50
    low, high = bootstrap(values, lambda some: math.fsum(some) / len(some), seed=4)
    assert (low, high) == bootstrap(values, lambda some: math.fsum(some) / len(some), seed=4)
    assert 0.38 < low < 0.45 < 0.55 < high < 0.62


def test_quantile_is_a_value_that_was_seen() -> None:
    assert [quantile([3.0, 1.0, 2.0], share) for share in (0.0, 0.5, 0.95)] == [1.0, 2.0, 3.0]
    assert math.isnan(quantile([], 0.5))


def test_recorded_results_are_read_for_programs_where_asked(tmp_path: Path) -> None:
    """Of two right programs and a wrong one; without the switch their texts are read, in which there is no answer."""
    samples = [{"text": "ans = f()", "extra": {"kind": "pot1", "pred": pred}} for pred in ("42", "42", "7", None)]
    path = tmp_path / "made.jsonl"
    path.write_text(json.dumps({"id": "q", "question": "How many?", "gold": "42", "samples": samples}))
    with_results, without = run(path, "--recorded-results"), run(path)
    assert (with_results["recorded_results"], without["recorded_results"]) == (True, False)
    assert (with_results["rows"][0]["accuracy"], without["rows"][0]["accuracy"]) == (1.0, 0.0)
    assert with_results["single"] == 0.5
    said = CliRunner().invoke(app, ["eval", str(path), "--offline", "--recorded-results"]).output
    assert "nothing was executed" in said
