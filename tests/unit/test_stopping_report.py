"""What the stopping report counts, on recordings small enough to count by hand."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.cli import app
from service.evaluation import stopping_report
from service.evaluation.datasets import read_dataset
from service.evaluation.stopping_report import draws_to_certify, measure, report
from service.evaluation.stopping_table import as_table
from service.settings import Settings
from tests.at_once import at_once
from workers.wire.recorded import View

SURE = [{"text": "The answer is 42."}] * 12
SPLIT = [{"text": f"The answer is {i % 2}."} for i in range(12)]
PROGRAMS = [{"text": "ans = 6 * 7", "extra": {"kind": "pot1", "pred": "42"}}] * 11 + [
    {"text": "ans = 1 / 0", "extra": {"kind": "pot2", "pred": None}}
]


def recorded(folder: Path, name: str, *samples: list[dict[str, object]]) -> Path:
    """A file of questions whose right answer is 42."""
    path = folder / f"{name}.jsonl"
    written = [
        {"id": f"q{i}", "question": "How many?", "gold": "42", "answer_type": "number", "samples": each}
        for i, each in enumerate(samples)
    ]
    path.write_text("\n".join(map(json.dumps, written)) + "\n", "utf-8")
    return path


async def test_samples_and_losses_are_means_over_questions_and_orders(tmp_path) -> None:
    """One question is unanimous, of the other no answer is right: lead draws 7 and 12 of 12, beta 4 and some."""
    dataset = read_dataset(recorded(tmp_path, "two", SURE, SPLIT))
    found = await measure(dataset, 12, ("lead", "beta:wave=1", "esc", "certified:wave=1"), Settings())
    rows = {row.rule: row for row in found.rows}
    assert (found.questions, found.all_samples, found.accuracy) == (2, 12.0, 0.5)
    assert rows["lead"].samples <= (7 + 12) / 2
    assert 4 <= rows["beta:wave=1"].samples <= 8
    assert rows["esc"].samples <= (5 + 12) / 2
    assert 7 <= rows["certified:wave=1"].samples <= (7 + 12) / 2
    for row in found.rows:
        assert row.fewer == pytest.approx(12 / row.samples)
        assert (row.accuracy, row.lost, row.lost_low, row.lost_high) == (0.5, 0.0, 0.0, 0.0)
    assert (found.certified, found.to_certify) == (0.5, 7.0)


async def test_a_rule_that_stops_too_early_is_seen_to_lose(tmp_path) -> None:
    """Seven of twelve are right; at two votes for one answer the wrong one wins in some order."""
    samples = [{"text": f"The answer is {42 if i < 7 else 41}."} for i in range(12)]
    dataset = read_dataset(recorded(tmp_path, "close", *[samples] * 12))
    found = await measure(dataset, 12, ("consensus:share=1:votes=1:wave=1",), Settings())
    assert found.accuracy == 1.0
    assert (found.rows[0].samples, found.rows[0].lost > 0.1) == (1.0, True)
    assert found.rows[0].lost_low <= found.rows[0].lost <= found.rows[0].lost_high


def test_what_programs_printed_stands_for_them(tmp_path) -> None:
    """Nothing is executed; a program that printed nothing has no vote."""
    (record,) = read_dataset(recorded(tmp_path, "programs", PROGRAMS), view=View(results=True)).records
    assert [sample.text for sample in record.samples] == ["\\boxed{42}"] * 11 + [""]
    assert at_once(draws_to_certify(record, 12)) == 7
    assert at_once(draws_to_certify(record, 6)) is None


def test_the_command_prints_a_line_a_rule(tmp_path, monkeypatch) -> None:
    """Over the data sets that the folder holds; as JSON too."""
    monkeypatch.setattr(stopping_report, "SETS", {"two": 12, "missing": 12})
    monkeypatch.setattr(stopping_report, "RULES", ("lead",))
    plain = recorded(tmp_path, "two", SURE)
    plain.rename(tmp_path / "two.jsonl.gz")  # read by its first bytes, not by its name
    (found,) = report(tmp_path, Settings())
    assert (found.name, as_table([found]).row_count) == ("two", 3)
    done = CliRunner().invoke(app, ["eval", str(tmp_path), "--stopping-report", "--json", str(tmp_path / "out.json")])
    assert done.exit_code == 0, done.output
    written = json.loads((tmp_path / "out.json").read_text("utf-8"))
    assert written["datasets"] == [json.loads(json.dumps(found.as_json()))]
    assert CliRunner().invoke(app, ["eval", str(tmp_path / "two.jsonl.gz"), "--stopping-report"]).exit_code == 2
    few = ["eval", str(tmp_path), "--stopping-report", "--stop", "esc,beta:wave=1", "--orders", "2", "--json", "-"]
    written = json.loads(CliRunner().invoke(app, few).stdout.partition("\n}\n")[0] + "}")["datasets"][0]
    assert ([row["rule"] for row in written["rows"]], written["orders"]) == (["esc", "beta:wave=1"], 2)


def test_options_reach_the_rule_of_a_cell(tmp_path) -> None:
    """`conclave eval --stop` takes a rule with options: seven equal answers at .05, six at .1."""
    path = recorded(tmp_path, "sure", SURE)
    for stop, drawn in (("certified:wave=1", 7.0), ("certified:alpha=0.1:wave=1", 6.0), ("esc:window=3", 3.0)):
        given = ["eval", str(path), "--offline", "--n", "12", "--stop", stop, "--answer-type", "number", "--json", "-"]
        done = CliRunner().invoke(app, given)
        assert done.exit_code == 0, done.output
        assert f'"samples_mean": {drawn}' in done.output
