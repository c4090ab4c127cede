"""Programs with something in them changed: started by a script that changes it and then runs them."""

from pathlib import Path

from tests.conftest import ROOT, Bench, Gateway, Program, wait_until


def changed_gateway(bench: Bench, folder: Path, script: str, *arguments: str, **settings: str) -> Gateway:
    """A gateway that a script starts, and that is ready."""
    (folder / "changed_gateway.py").write_text(script)
    gateway = Gateway(_environment(bench, folder, settings), folder, ["changed_gateway", *arguments])
    bench._programs.append(gateway)
    return gateway


def changed_worker(bench: Bench, folder: Path, script: str, *arguments: str, **settings: str) -> Program:
    """A worker that a script starts, and whose card is out."""
    (folder / "changed_worker.py").write_text(script)
    environment = _environment(bench, folder, settings)
    program = Program("worker", ["changed_worker", *arguments], environment, folder)
    bench._programs.append(program)
    wait_until(lambda: bench._shows(program), "the changed worker shows its card", 60.0)
    return program


def _environment(bench: Bench, folder: Path, settings: dict[str, str]) -> dict[str, str]:
    return bench._environment(settings) | {"PYTHONPATH": f"{folder}:{ROOT}"}
