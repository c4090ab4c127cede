"""Ends processes when the one that started this guard is gone, however it went: vLLM's would live on, with the GPU.

python guard.py PID...: waits for the end of its standard input, which a killed process closes too.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress


class Guard:
    """Kills the processes `pids` when this process ends, or when it is released. Linux."""

    def __init__(self, pids: Iterable[int]) -> None:
        # A session of its own: the Ctrl-C that a worker drains after does not end it.
        command = [sys.executable, "-I", __file__, *map(str, pids)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)  # noqa: S603 - ourselves

    def release(self) -> None:
        """Kills what is left of them now."""
        self._process.communicate()


def main(pids: Sequence[str]) -> None:
    """The guard's own process."""
    # Not by number, which another process may have by then.
    handles = []
    for pid in pids:
        with suppress(ProcessLookupError):
            handles.append(os.pidfd_open(int(pid)))
    sys.stdin.buffer.read()
    for handle in handles:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1:])
