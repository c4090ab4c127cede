"""The HTTP server's way out: readiness falls first, then the door closes, then what runs may end."""

import signal
import time
from types import FrameType

import uvicorn
from fastapi import FastAPI


class Server(uvicorn.Server):
    """On SIGTERM the gateway says for `notice_s` seconds that it is not ready and serves on, then shuts down.

    So whatever sends it requests can look elsewhere before its port is closed. A second signal, and SIGINT, do not
    wait.
    """

    def __init__(self, config: uvicorn.Config, app: FastAPI, notice_s: float) -> None:
        super().__init__(config)
        self._app = app
        self._notice_s = notice_s
        self._leave_at: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal came: readiness falls at once."""
        state = getattr(self._app.state, "conclave", None)
        if state is not None:
            state.draining = True
        if state is None or sig != signal.SIGTERM or self._leave_at is not None:
            super().handle_exit(sig, frame)
        else:
            self._leave_at = time.monotonic() + self._notice_s

    async def on_tick(self, counter: int) -> bool:
        """Asked ten times a second whether it is time to go."""
        if self._leave_at is not None and time.monotonic() >= self._leave_at:
            self.should_exit = True
        return await super().on_tick(counter)
