"""Faults: a gateway that is killed leaves no process behind that compares expressions."""

import subprocess
import sys
import time
from pathlib import Path

from service.settings import bare_environment

_GATEWAY = """
import asyncio, sys
from service.equality.pool import Pool
async def main():
    pool = Pool(1, 250, 512)
    await pool.judge(["x+1", "1+x"])
    print(pool._all[0]._child.pid, flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


def group(leader: int) -> list[int]:
    """The living processes of a process group."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, of = path.read_text().rpartition(")")[2].split()[:3]
        except (OSError, ValueError):
            continue
        if state != "Z" and int(of) == leader:
            found.append(int(path.parent.name))
    return found


def test_a_killed_gateway_leaves_no_process_behind() -> None:
    """Their pipe ends with it, and so do they."""
    with subprocess.Popen([sys.executable, "-c", _GATEWAY], stdout=subprocess.PIPE, env=bare_environment()) as gateway:
        assert gateway.stdout is not None
        child = int(gateway.stdout.readline())
        assert len(group(child)) == 2, "the process and the server that it forked"
        gateway.kill()
    deadline = time.monotonic() + 10
    while group(child):
        assert time.monotonic() < deadline, group(child)
        time.sleep(0.05)
