"""One process of the pool, from the gateway's side."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from dataclasses import dataclass

from service.settings import bare_environment

START_S = 60.0
BACKSTOP = 20
"""Nothing in so many deadlines, and a moment, means that the whole process hangs: it keeps its deadline itself."""
_PROGRAM = "service.equality.child"
_MAX_LINE = 2**20


@dataclass(frozen=True, slots=True)
class Reply:
    """What a check found; `lost` says why there is nothing: `deadline`, `memory` or `crash`."""

    found: object
    lost: str | None = None


class Process:
    """A child that answers one request at a time. Strings go in and JSON comes out, never an object."""

    def __init__(self, deadline_ms: int, memory_mb: int, bare: bool = False) -> None:
        self._arguments = (str(deadline_ms), str(memory_mb), *(("bare",) if bare else ()))
        self._patience_s = BACKSTOP * deadline_ms / 1000 + 2.0
        self._child: asyncio.subprocess.Process | None = None
        self._last = 0

    async def ask(self, what: str, *of: str) -> Reply:
        """One check; starts the child first where there is none. Never raises for what the child does."""
        try:
            child = self._child or await self._start()
            self._last += 1
            request = {"id": self._last, "ask": what, "of": of}
            reply = await _exchange(child, json.dumps(request).encode() + b"\n", self._patience_s)
        except (OSError, ValueError, TimeoutError):
            self.kill()
            return Reply(False, "crash")
        if reply.get("id") != self._last:
            self.kill()
            return Reply(False, "crash")
        lost = reply.get("lost")
        return Reply(reply.get("is", False), str(lost) if lost else None)

    async def _start(self) -> asyncio.subprocess.Process:
        self._last = 0
        self._child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", _PROGRAM, *self._arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=bare_environment(),
            limit=_MAX_LINE,
            start_new_session=True,
        )
        await _exchange(self._child, b"", START_S)
        return self._child

    def kill(self) -> None:
        """Ends the child and the server that it forked, at once."""
        child, self._child = self._child, None
        if child is not None and child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)

    async def close(self) -> None:
        """Ends the child and waits until it is gone."""
        child = self._child
        self.kill()
        if child is not None:
            await child.wait()


async def _exchange(child: asyncio.subprocess.Process, request: bytes, seconds: float) -> dict[str, object]:
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(request)
    async with asyncio.timeout(seconds):
        await child.stdin.drain()
        reply = json.loads(await child.stdout.readline())
    if not isinstance(reply, dict):
        raise ValueError("a reply is an object")
    return reply
