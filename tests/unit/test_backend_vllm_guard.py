"""What ends the processes of vLLM's engine with the worker that they belong to."""

import subprocess
import sys
import time
from pathlib import Path

from tests.conftest import wait_until


def is_dead(process: Path) -> bool:
    """Gone, or waiting to be gone."""
    try:
        return "State:\tZ" in (process / "status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_a_guard_ends_processes_with_the_one_that_started_it() -> None:
    """Also where that one is killed."""
    root = Path(__file__).parents[2]
    code = "import subprocess, sys; from workers.backends.vllm_local.guard import Guard; " + (
        "child = subprocess.Popen(['sleep', '60']); Guard([child.pid]); print(child.pid, flush=True); sys.stdin.read()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code], cwd=root, **pipes) as starter:  # type: ignore[call-overload]
        child = Path("/proc") / starter.stdout.readline().decode().strip()
        time.sleep(0.5)
        assert child.exists()
        starter.kill()
    wait_until(lambda: is_dead(child), "the child is dead", 10)
