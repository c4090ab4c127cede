"""`conclave bench engine` runs, on a model small enough for a test, and prints what it should."""

import json
from pathlib import Path

import pytest

from tests.tiny_model import make_tiny_model
from workers.backends.torch_local import bench_mixed, benchmark


def test_it_compares_the_engine_with_transformers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One row a cell, every system in it, the ratios round by round."""
    folder, out = make_tiny_model(tmp_path / "model", hidden=32, layers=1), tmp_path / "out.json"
    given = ["--n", "1,3", "--prompts", "9", "--tokens", "4", "--rounds", "2", "--systems", "generate", "--statistics"]
    assert benchmark.main(["--models", str(folder), *given, "--device", "cpu", "--json", str(out)]) == 0
    printed = capsys.readouterr().out.splitlines()
    rows = [line for line in printed if line.startswith(f"| {folder} ")]
    assert [row.split(" | ")[1:3] for row in rows] == [["1", "9"], ["3", "9"]]
    cells = json.loads(out.read_text())
    assert [{name: len(times) for name, times in cell["seconds"].items()} for cell in cells] == [
        {"generate": 2, "bare": 2, "engine": 2}
    ] * 2


def test_the_mixed_load_is_what_it_says() -> None:
    """Fifty jobs of different n, lengths and settings, the same for the same seed."""
    jobs = bench_mixed.draw_jobs(3)
    assert jobs == bench_mixed.draw_jobs(3) != bench_mixed.draw_jobs(4)
    assert len(jobs) == 50
    assert len({job.n for job in jobs}) == 5
    assert len({job.sampling.max_tokens for job in jobs}) > 20
    assert len({len(job.prompt) for job in jobs}) > 30
