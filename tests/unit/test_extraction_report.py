"""`conclave eval --extraction-report`: extraction beside recorded answers, on a small made-up folder."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from service.cli import app
from service.evaluation.extraction import COMPARISONS, report

QUESTION = "Which?\n(A) Lyon\n(B) Paris\n(C) Nice"


def choices(*samples: tuple[str, str | None]) -> dict[str, Any]:
    """A question with completions and what was recorded of each."""
    return {
        "id": "q0",
        "question": QUESTION,
        "samples": [{"text": text, "extra": {"recorded": recorded}} for text, recorded in samples],
    }


def solutions(**judged: tuple[str, bool]) -> dict[str, Any]:
    """A question with one solution a model."""
    made = {name: {"solution": text, "is_correct": correct} for name, (text, correct) in judged.items()}
    return {"question": "How many?", "ground_truth": "4 + 1 = <<4+1=5>>5\nA: 5", **made}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that holds two of the files: one agrees throughout, the other does not."""
    (tmp_path / "gold").mkdir()
    rows = [solutions(a=("So she has 5.\nA: 5", True), b=("A: 6", False)), solutions(a=("it is 5.0", True))]
    (tmp_path / "gold/gsm8k_example_model_solutions.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    line = choices(
        ("The answer is (B).", "B"),
        ("The answer is (C).", "B (as guessed)"),
        ("Lyon was it. The answer is (C), not (A).", "A"),
        ("no idea", "C"),
        ("The answer is (C).", None),
    )
    (tmp_path / "mmlu_pro_cross.jsonl.gz").write_bytes(gzip.compress(json.dumps(line).encode()))
    return tmp_path


def test_agreement_counts_what_was_recorded_and_stated(folder: Path) -> None:
    """What is recorded as no option counts for nothing; what the completion never states counts apart."""
    choice, number = report(folder)
    assert (choice.samples, choice.agreed, choice.share, choice.reached) == (2, 1, 0.5, False)
    assert choice.share_of_all == pytest.approx(1 / 3)
    assert [(d.sample, d.ours, d.recorded, d.stated) for d in choice.disagreements] == [
        ("2", "C", "A", True),
        ("3", None, "C", False),
    ]
    assert (number.samples, number.agreed, number.reached) == (3, 3, True)


def test_the_command_lists_disagreements_and_fails_below_the_bar(folder: Path) -> None:
    """The exit code tells whether every bar is reached; the JSON has every disagreement."""
    out = folder / "out.json"
    done = CliRunner().invoke(app, ["eval", str(folder), "--extraction-report", "--json", str(out)])
    assert done.exit_code == 1
    assert "mmlu_pro_cross q0/2: C by phrase, recorded A" in done.output
    first, second = json.loads(out.read_text())["comparisons"]
    assert [d["sample"] for d in first["disagreements"]] == ["2", "3"]
    assert second["share"] == 1.0
    (folder / "mmlu_pro_cross.jsonl.gz").unlink()
    again = CliRunner().invoke(app, ["eval", "--extraction-report"], env={"CONCLAVE_DATA": str(folder)})
    assert again.exit_code == 0, again.output


def test_a_folder_without_recordings_or_with_a_broken_one_is_an_error(folder: Path, tmp_path: Path) -> None:
    """The message names the file and the line."""
    assert CliRunner().invoke(app, ["eval"]).exit_code == 2
    empty = tmp_path / "empty"
    empty.mkdir()
    assert CliRunner().invoke(app, ["eval", str(empty), "--extraction-report"]).exit_code == 1
    (folder / "mmlu_pro_cross.jsonl.gz").write_bytes(b'{"id": 1}\n')
    with pytest.raises(ValueError, match="line 1"):
        list(report(folder))


@pytest.mark.data
def test_real_outputs_agree_as_often_as_they_must() -> None:
    """On recorded outputs of real models, every comparison reaches its share."""
    from service.settings import Settings

    folder = Settings().data
    if not any((folder / comparison.file).is_file() for comparison in COMPARISONS):
        pytest.skip(f"{folder} is not there")
    assert [one.name for one in report(folder) if not one.reached] == []
