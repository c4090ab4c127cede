"""Judged correctness of recorded samples beside plain Math-Verify's, in the extraction report."""

import gzip
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.cli import app
from service.evaluation.math_report import FILES, judge_file
from service.settings import Settings


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A question of which Math-Verify misses one right answer and both find one, and one without an answer."""
    path = tmp_path / FILES[1]
    texts = [r"So \boxed{1+x}.", r"So \boxed{x-1}.", '{"reasoning": "2 + 3 = 5", "answer": "x + 1"}', ""]
    row = {"id": "a", "question": "?", "gold": "x+1", "samples": [{"text": text} for text in texts]}
    lines = json.dumps(row) + "\n" + json.dumps({"id": "b", "question": "?", "samples": []}) + "\n"
    path.write_bytes(gzip.compress(lines.encode()))
    return path


async def test_every_disagreement_is_listed(recorded: Path) -> None:
    """Counts where both agree; what only one finds right is there with its record, sample and answer."""
    seen: list[int] = []
    found = await judge_file(recorded, Settings(), advance=seen.append)
    assert (found.name, found.samples, found.ours, found.plain, found.reached) == ("qwen_math_rm8", 4, 2, 1, True)
    assert found.only_plain == ()
    (only,) = found.only_ours
    assert (only.record, only.sample, only.gold, only.answer) == ("a", 2, "x+1", "x+1")
    assert seen == [4, 0]


def test_the_command_prints_both_comparisons_and_fails_below_math_verify(
    recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One command has all bars; the JSON has every disagreement."""
    (tmp_path / "gold").mkdir()
    solved = {"question": "How many?", "ground_truth": "A: 5", "m": {"solution": "A: 5", "is_correct": True}}
    (tmp_path / "gold/gsm8k_example_model_solutions.jsonl").write_text(json.dumps(solved))
    out = tmp_path / "out.json"
    done = CliRunner().invoke(app, ["eval", str(tmp_path), "--extraction-report", "--json", str(out)])
    assert done.exit_code == 0, done.output
    assert "qwen_math_rm8 a/2: right by us alone: x+1, gold x+1" in done.output
    (judged,) = json.loads(out.read_text())["judged"]
    assert (judged["right"], judged["right_math_verify"], len(judged["only_ours"])) == (2, 1, 1)

    async def lenient(self: object, gold: str, text: str) -> bool:
        return True

    monkeypatch.setattr("service.equality.pool.Pool.plainly", lenient)
    again = CliRunner().invoke(app, ["eval", str(tmp_path), "--extraction-report", "--limit", "1"])
    assert again.exit_code == 1
    assert "qwen_math_rm8 a/1: right by Math-Verify alone: x-1, gold x+1" in again.output


@pytest.mark.data
async def test_real_answers_are_judged_right_at_least_as_often_as_by_math_verify() -> None:
    """On the first questions of the recorded sets; `make extraction` does all."""
    folder = Settings().data
    there = [folder / name for name in FILES if (folder / name).is_file()]
    if not there:
        pytest.skip(f"{folder} is not there")
    for path in there:
        found = await judge_file(path, Settings(), limit=2)
        assert found.samples > 0
        assert found.reached, found.only_plain
