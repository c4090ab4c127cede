"""Gateways, workers and a Redis server for the load programs: real processes that are killed and started again."""

import contextlib
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import redis

from service.embedded_redis import EmbeddedRedis, die_with_parent
from service.settings import child_environment
from service.stack import free_port
from workers.wire.keys import GROUP

PREFIX = "load"
NO_TTL = -1
END_S = 120.0
"""A killed process ends when what it is writing to a busy disk has been written."""


class Member:
    """A process that can be killed and started again as the same."""

    def __init__(self, name: str, arguments: Sequence[str], environment: dict[str, str], folder: Path) -> None:
        self.name = name
        self._command = [sys.executable, "-m", *arguments]
        self._environment = environment
        self._log = folder / f"{name.replace(' ', '-')}.log"
        self.started = 0
        self.process = self._spawn()

    def _spawn(self) -> subprocess.Popen[bytes]:
        self.started += 1
        with self._log.open("ab") as log:
            return subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,
            )

    @property
    def log(self) -> str:
        """What it has written, over all its lives."""
        return self._log.read_text("utf-8", "replace")

    @property
    def running(self) -> bool:
        """False once it has ended."""
        return self.process.poll() is None

    def kill(self) -> None:
        """SIGKILL, and waits for the end."""
        self.process.kill()
        self.process.wait(END_S)

    def start(self) -> None:
        """Starts it again."""
        self.process = self._spawn()

    def end(self, seconds: float = 20.0) -> None:
        """SIGTERM; SIGKILL if that does not end it in time."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()


class Crew:
    """One Redis server with an append-only file, some gateways and some workers of the model `fake`."""

    def __init__(self, folder: Path, *, gateways: int, workers: int, backend: str, settings: dict[str, str]) -> None:
        self.server = EmbeddedRedis(folder).start()
        self.redis = redis.Redis.from_url(self.server.url)
        own = {"redis_url": self.server.url, "queue_prefix": PREFIX, "drain_notice_s": "0", "log_level": "WARNING"}
        self.ports = [free_port("127.0.0.1") for _ in range(gateways)]
        self.gateways = [
            Member(f"gateway {i}", ["service", "gateway"], _environment({**own, **settings, "port": str(port)}), folder)
            for i, port in enumerate(self.ports)
        ]
        command = ["workers", "--model", f"fake={backend}"]
        environment = _environment({**own, **settings})
        self.workers = [Member(f"worker {i}", command, environment, folder) for i in range(workers)]

    @property
    def members(self) -> list[Member]:
        """All but the server."""
        return [*self.gateways, *self.workers]

    def revive(self) -> list[str]:
        """Starts again what has ended by itself, as a supervisor would; says who, and how."""
        ended = [member for member in self.members if not member.running]
        said = [f"{member.name} with code {member.process.returncode}" for member in ended]
        for member in ended:
            member.start()
        return said

    @property
    def urls(self) -> list[str]:
        """Where the gateways are; a gateway that is started again is where it was."""
        return [f"http://127.0.0.1:{port}" for port in self.ports]

    def wait_ready(self, seconds: float = 120.0) -> None:
        """Waits until every gateway is ready and every worker shows its card."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if len(self.up()) == len(self.members):
                return
            time.sleep(0.05)
        up = self.up()
        down = [f"{m.name} ({m.process.poll()}): {m.log[-500:]}" for m in self.members if m not in up]
        raise TimeoutError(f"not ready within {seconds:.0f} s: {down}")

    def up(self) -> list[Member]:
        """The gateways that are ready and the workers whose card is out: what a kill would take from the users."""
        gateways = [each for each, url in zip(self.gateways, self.urls, strict=True) if each.running and _ready(url)]
        with contextlib.suppress(redis.RedisError):
            live = self.redis.zrange(f"{PREFIX}:{{pool}}:live", 0, -1)
            return gateways + [w for w in self.workers if any(f"-{w.process.pid}-".encode() in name for name in live)]
        return gateways

    def kill_redis(self) -> None:
        """SIGKILL to the server, and waits for the end."""
        assert self.server.process is not None
        self.server.process.kill()
        self.server.process.wait(END_S)

    def close(self) -> None:
        """Ends everything: gateways, workers, the server."""
        for member in self.members:
            member.end()
        self.redis.close()
        self.server.stop()

    def left(self) -> dict[str, int]:
        """What is still there: entries, jobs, open answers, consumers that are gone, keys without a time to live."""
        keys = {name.decode().removeprefix(f"{PREFIX}:"): name for name in self.redis.scan_iter(f"{PREFIX}:*", 1000)}
        streams = [name for key, name in keys.items() if key.split(":")[1] in ("jobs", "background")]
        consumers = [each["name"] for name in streams for each in self.redis.xinfo_consumers(name, GROUP)]
        inboxes = [name for key, name in keys.items() if "inbox:" in key]
        return {
            "pending entries": sum(self.redis.xpending(name, GROUP)["pending"] for name in streams),
            "job entries": sum(self.redis.xlen(name) for name in streams),
            "inbox entries": sum(self.redis.xlen(name) for name in inboxes),
            "job hashes": sum("job:" in key for key in keys),
            "open answers": sum(self.redis.scard(name) for key, name in keys.items() if "open:" in key),
            "unfinished records": sum(
                self.redis.hget(name, "status") == b"in_progress" for key, name in keys.items() if "answer:" in key
            ),
            "gone consumers": sum(
                not any(f"-{w.process.pid}-".encode() in name for w in self.workers) for name in consumers
            ),
            "keys without TTL": sum(self.redis.ttl(name) == NO_TTL for name in keys.values()),
        }

    def memory(self) -> int:
        """Bytes that the server uses for data: not for clients, the append-only file or itself."""
        return int(self.redis.info("memory")["used_memory_dataset"])


@contextlib.contextmanager
def crew(folder: Path, **arguments: Any) -> Iterator[Crew]:
    """A crew that is ready; it is ended whatever happens."""
    made = Crew(folder, **arguments)
    try:
        made.wait_ready()
        yield made
    finally:
        made.close()


def _environment(settings: dict[str, str]) -> dict[str, str]:
    inherited = {name: value for name, value in child_environment().items() if not name.startswith("CONCLAVE_")}
    return inherited | {f"CONCLAVE_{name.upper()}": value for name, value in settings.items()}


def _ready(url: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(f"{url}/readyz", trust_env=False).status_code == 200
    return False


def write_recording(path: Path, questions: int, samples: int) -> Path:
    """A recording in which question i is answered by i, in most of its samples."""
    lines = []
    for i in range(questions):
        texts = [f"The answer is {i if j % 4 else i + 1}." for j in range(samples)]
        lines.append({"id": f"q{i}", "question": question(i), "samples": [{"text": text} for text in texts]})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def question(i: int) -> str:
    """The text of a recorded question."""
    return f"What is {i} plus zero?"


def machine() -> str:
    """What the numbers were measured on, in words that name no host."""
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, load {load:.1f}"
