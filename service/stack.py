"""The whole stack in one process tree: embedded Redis, workers, gateway.

Workers, the gateway and the embedded Redis are started again when they die; what Redis had stored is there again.
"""

import contextlib
import logging
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import FrameType

import httpx

from service.embedded_redis import EmbeddedRedis, die_with_parent
from service.settings import Settings, child_environment

log = logging.getLogger("conclave.up")

MISCONFIGURED = 2
"""Exit code of a child that can never start; it is not started again."""


def free_port(host: str) -> int:
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


@dataclass(slots=True)
class Child:
    """One supervised process. `pause_s` grows while it dies young."""

    name: str
    command: list[str]
    process: subprocess.Popen[bytes]
    started: float
    pause_s: float = 0.2


class Stack:
    """Starts and supervises. Use `running` as a context, then `wait` or your own work."""

    def __init__(self, settings: Settings, models: Sequence[str], port: int) -> None:
        self._settings = settings
        self._models = models
        self.port = port or free_port(settings.host)
        self.url = f"http://{settings.host}:{self.port}"
        self._environment: dict[str, str] = {}
        self._children: list[Child] = []
        self._ending = threading.Event()
        self._redis: EmbeddedRedis | None = None
        self.failed: str | None = None

    @contextlib.contextmanager
    def running(self) -> Iterator["Stack"]:
        """Everything up as long as the context lasts."""
        with contextlib.ExitStack() as stack:
            self._check_port()
            url = self._settings.redis_url
            if url is None:
                self._redis = stack.enter_context(EmbeddedRedis(self._settings.state_dir))
                url = self._redis.url
            self._environment = child_environment(
                redis_url=url, port=str(self.port), log_level=self._settings.log_level, drain_notice_s="0"
            )
            stack.callback(self._stop)
            for model in self._models:
                self._start(f"worker {model}", [sys.executable, "-m", "workers", "--model", model])
            self._start("gateway", [sys.executable, "-m", "service", "gateway"])
            watcher = threading.Thread(target=self._watch, daemon=True)
            watcher.start()
            yield self

    def _check_port(self) -> None:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self._settings.host, self.port))
            except OSError as error:
                raise RuntimeError(f"{self._settings.host}:{self.port}: {error.strerror}") from None

    def wait_ready(self, timeout_s: float = 120.0) -> None:
        """Waits until the gateway is ready and every model has a live worker."""
        wanted = {model.partition("=")[0] for model in self._models}
        deadline = time.monotonic() + timeout_s
        with httpx.Client(base_url=self.url, timeout=5.0) as client:
            while time.monotonic() < deadline and self.failed is None:
                with contextlib.suppress(httpx.HTTPError, KeyError):
                    listed = {entry["id"] for entry in client.get("/v1/models").json()["data"]}
                    if wanted <= listed and client.get("/readyz").status_code == 200:
                        return
                time.sleep(0.1)
        raise RuntimeError(self.failed or f"the stack was not ready within {timeout_s:.0f} s")

    def wait(self) -> None:
        """Waits for SIGTERM, SIGINT or a child that can never start."""

        def end(number: int, frame: FrameType | None) -> None:
            self._ending.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, end)
        while not self._ending.wait(0.2) and self.failed is None:
            pass

    def _start(self, name: str, command: list[str]) -> None:
        self._children.append(Child(name, command, self._spawn(command), time.monotonic()))

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        """A child that ends with us, in a session of its own, so that Ctrl-C reaches it through us, in good order."""
        return subprocess.Popen(  # noqa: S603  # this package's own modules, no shell
            command, env=self._environment, stdin=subprocess.DEVNULL, preexec_fn=die_with_parent, start_new_session=True
        )

    def _watch(self) -> None:
        while not self._ending.wait(0.2):
            if not self._revive_redis():
                return
            for child in self._children:
                code = child.process.poll()
                if code is None or self._ending.is_set():
                    continue
                if code == MISCONFIGURED:
                    self.failed = f"{child.name} cannot start; see its log above"
                    return
                self._restart(child, code)

    def _revive_redis(self) -> bool:
        """Starts the embedded Redis again if it has ended; False if it cannot be. The others wait for it meanwhile."""
        redis = self._redis
        if redis is None or redis.process is None or redis.process.poll() is None or self._ending.is_set():
            return True
        log.warning("the embedded Redis ended with code %d; started again", redis.process.returncode)
        try:
            redis.start()
        except (RuntimeError, OSError) as error:
            self.failed = f"the embedded Redis has ended and does not start again: {error}"
            return False
        return True

    def _restart(self, child: Child, code: int) -> None:
        young = time.monotonic() - child.started < 10
        child.pause_s = min(child.pause_s * 2, 10.0) if young else 0.2
        log.warning("%s ended with code %d; started again in %.1f s", child.name, code, child.pause_s)
        if self._ending.wait(child.pause_s):
            return
        child.process = self._spawn(child.command)
        child.started = time.monotonic()

    def _stop(self) -> None:
        """Gateway first, so that nothing new comes in; then the workers."""
        self._ending.set()
        for child in reversed(self._children):
            child.process.terminate()
        for child in reversed(self._children):
            try:
                child.process.wait(75)
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()
