"""The program of one process of the pool: `python -m service.equality.child DEADLINE_MS MEMORY_MB [bare]`.

It loads Math-Verify once and then forks a server that does the work. The kernel kills a server that overruns its timer,
wherever it is, since the timers' signals have no handler; this process then says what was lost and forks another, which
takes milliseconds. `bare` is for measurements: Math-Verify as it is, neither tamed nor sealed.

One request is one line of JSON on standard input, `{"id", "ask": "sketch" | "same" | "plain", "of": [...]}`; its reply
is one line on standard output, `{"id", "is"}` or `{"id", "lost"}`.
"""

import json
import mmap
import os
import signal
import struct
import sys
from collections.abc import Callable

from service.equality import checks
from service.equality.seal import limit, seal
from service.equality.tamed import hasten, tame

WALL_FACTOR = 8
"""The deadline is of processor time, so that a busy machine changes no verdict; on the clock it is so much longer."""
RENEW_AFTER = 2_000
_ENDED, _RENEW, _MEMORY = 0, 7, 8
_ID = struct.Struct("q")
_CHECKS: dict[str, Callable[..., object]] = {"same": checks.same, "sketch": checks.sketch, "plain": checks.plain}


def main() -> None:
    """Warms up, then keeps one server alive until standard input ends."""
    deadline_s, memory_mb, bare = float(sys.argv[1]) / 1000, int(sys.argv[2]), sys.argv[3:] == ["bare"]
    if not bare:
        hasten()
    checks.warm_up()
    if not bare:
        tame()
    now = mmap.mmap(-1, _ID.size)
    _say({"id": 0, "is": True})
    while True:
        server = os.fork()
        if server == 0:
            os._exit(_serve(now, deadline_s, memory_mb, bare))
        _, status = os.waitpid(server, 0)
        if os.WIFEXITED(status) and os.WEXITSTATUS(status) == _ENDED:
            return
        (lost,) = _ID.unpack(now[:])
        if lost:
            now[:] = _ID.pack(0)
            _say({"id": lost, "lost": _reason(status)})


def _serve(now: mmap.mmap, deadline_s: float, memory_mb: int, bare: bool) -> int:
    limit(memory_mb)
    if not bare:
        seal()
    for _ in range(RENEW_AFTER):
        line = _line()
        if not line:
            return _ENDED
        request = json.loads(line)
        now[:] = _ID.pack(request["id"])
        _arm(deadline_s)
        try:
            found = _answer(request["ask"], request["of"])
        except MemoryError:
            return _MEMORY
        _arm(0.0)
        now[:] = _ID.pack(0)
        _say({"id": request["id"], "is": found})
    return _RENEW


def _answer(ask: str, of: list[str]) -> object:
    """What the check says; False where it fails: what cannot be read is equal to nothing."""
    try:
        return _CHECKS[ask](*of)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  # sympy raises anything on strange input, and none of it is an answer
        return False


def _arm(seconds: float) -> None:
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, WALL_FACTOR * seconds)


def _reason(status: int) -> str:
    if os.WIFSIGNALED(status):
        return "deadline" if os.WTERMSIG(status) in (signal.SIGPROF, signal.SIGALRM) else "crash"
    return "memory" if os.WEXITSTATUS(status) == _MEMORY else "crash"


def _line() -> bytes:
    """One line; read from the pipe itself, so that nothing waits in a server that is killed."""
    held = b""
    while not held.endswith(b"\n"):
        more = os.read(0, 65_536)
        if not more:
            return b""
        held += more
    return held


def _say(reply: dict[str, object]) -> None:
    line = json.dumps(reply).encode() + b"\n"
    while line:
        line = line[os.write(1, line) :]


if __name__ == "__main__":
    main()
