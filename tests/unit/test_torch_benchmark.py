"""`conclave bench engine` runs, on a model small enough for a test, and prints what it should."""

import json
import sys
from pathlib import Path

import pytest
import torch

from tests.tiny_model import make_tiny_model
from workers.backends.torch_local import bench_mixed, bench_vllm, benchmark
from workers.backends.torch_local.bench_systems import network


def test_it_compares_the_engine_with_transformers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One row a cell, every system in it, the ratios round by round."""
    folder, out = make_tiny_model(tmp_path / "model", hidden=32, layers=1), tmp_path / "out.json"
    given = ["--n", "1,3", "--prompts", "9", "--tokens", "9", "--rounds", "2", "--systems", "generate", "--statistics"]
    assert benchmark.main(["--models", str(folder), *given, "--device", "cpu", "--json", str(out)]) == 0
    printed = capsys.readouterr().out.splitlines()
    rows = [line for line in printed if line.startswith(f"| {folder} ")]
    assert [row.split(" | ")[1:3] for row in rows] == [["1", "9"], ["3", "9"]]
    costs = [line for line in printed if "statistics add" in line]
    assert [cost.split(":")[0] for cost in costs] == [f"{folder}, n 1, prompt 9", f"{folder}, n 3, prompt 9"]
    assert all("2 rounds" in cost for cost in costs)
    cells = json.loads(out.read_text())
    assert [{name: len(times) for name, times in cell["seconds"].items()} for cell in cells] == [
        {"generate": 2, "engine": 2}
    ] * 2


STAND_IN = """
import json, os, sys
assert os.path.exists(sys.argv[1] + "/model.safetensors") and int(sys.argv[2]) == 99
assert "CONCLAVE_DATA" not in os.environ
print(json.dumps("vllm 0"), flush=True)
for line in sys.stdin:
    prompt, n, tokens, temperature = json.loads(line)
    if prompt == [1]:
        sys.exit(1)
    print(json.dumps([tokens - (prompt == [2])] * n), flush=True)
"""


async def test_vllm_is_asked_in_an_interpreter_of_its_own(tmp_path: Path) -> None:
    """It gets the weights and draws what it is told to; drawing less, or ending, is an error. A stand-in here."""
    model = network(str(make_tiny_model(tmp_path / "model", hidden=32, layers=1)), torch.device("cpu"))
    child = tmp_path / "child.py"
    child.write_text(STAND_IN)
    async with bench_vllm.vllm_system(Path(sys.executable), model, 1, 99, 0.8, child=child) as draw:
        await draw([3, 4], 5, 7)
        with pytest.raises(RuntimeError, match="did not draw"):
            await draw([2], 5, 7)
        with pytest.raises(RuntimeError, match="has ended"):
            await draw([1], 5, 7)


def test_the_mixed_load_is_what_it_says() -> None:
    """Fifty jobs of different n, lengths and settings, the same for the same seed."""
    jobs = bench_mixed.draw_jobs(3)
    assert jobs == bench_mixed.draw_jobs(3) != bench_mixed.draw_jobs(4)
    assert len(jobs) == 50
    assert len({job.n for job in jobs}) == 5
    assert len({job.sampling.max_tokens for job in jobs}) > 20
    assert len({len(job.prompt) for job in jobs}) > 30
