"""`make bench`: a fake upstream of a fixed delay, the whole stack in front of it, and the overhead that is measured.

python -m tests.load.bench_overhead [--delay-ms 50 --rounds 5 --questions 200 --concurrency 16 --n 8 --workers 1]
"""

import argparse
import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from service.evaluation.bench import Load, as_json, measure
from service.evaluation.bench_commands import print_overhead
from service.settings import Settings
from service.stack import Stack

_TICKS = os.sysconf("SC_CLK_TCK")
_KNOWN = {"redis-server": "Redis", "tests.fake_upstream": "fake upstream", "workers": "worker", "gateway": "gateway"}


@contextlib.contextmanager
def upstream(delay_ms: float) -> Iterator[str]:
    """The fake upstream as a process of its own; gives its base URL."""
    command = [sys.executable, "-m", "tests.fake_upstream", "--delay-ms", str(delay_ms)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def cpu_of_children() -> dict[str, float]:
    """CPU seconds so far of this process's descendants, by what they are (Linux; empty elsewhere)."""
    spent: dict[str, float] = {}
    ours = {os.getpid()}
    for folder in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        with contextlib.suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) not in ours:
                continue
            ours.add(int(folder.name))
            command = (folder / "cmdline").read_bytes().decode(errors="replace")
            name = next((label for mark, label in _KNOWN.items() if mark in command), "other")
            spent[name] = spent.get(name, 0.0) + (int(fields[11]) + int(fields[12])) / _TICKS
    return spent


def main() -> None:
    """Starts everything, measures, prints, ends everything."""
    parser = argparse.ArgumentParser(description="Questions/s through Conclave as a share of the upstream's own.")
    parser.add_argument("--delay-ms", type=float, default=50.0)
    parser.add_argument("--json", type=Path)
    for name, default in (("rounds", 5), ("questions", 200), ("concurrency", 16), ("n", 8), ("workers", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    load = Load(given.rounds, given.questions, given.concurrency, given.n)
    with tempfile.TemporaryDirectory(prefix="conclave-bench-") as folder, upstream(given.delay_ms) as url:
        settings = Settings(state_dir=Path(folder), log_level="WARNING")
        with Stack(settings, [f"fake=openai:{url}"] * given.workers, 0).running() as stack:
            stack.wait_ready()
            rounds = asyncio.run(measure(url, "fake", stack.url, "fake", load, cpu_of_children))
    print(f"upstream: fake, {given.delay_ms:g} ms a call; {given.workers} worker(s)")  # noqa: T201
    print_overhead(as_json(rounds, load), given.json)


if __name__ == "__main__":
    main()
