"""Redis servers that stand together, for tests: a primary, two replicas and a sentinel; the nodes of a cluster.

All of them are the one `redis-server` binary on TCP ports of this machine.
"""

import contextlib
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis
from redis.sentinel import Sentinel

from service.embedded_redis import find_server
from tests.conftest import wait_until
from tests.ports import own_port

SERVICE = "conclave"

# Ends with the test process, also when that is killed.
_LAUNCH = "import ctypes, os, sys\nctypes.CDLL(None).prctl(1, 9)\nos.execv(sys.argv[1], sys.argv[1:])\n"


def own_port_and_bus() -> int:
    """A port of our own, 10,000 below another one: a node of a cluster takes both."""
    while True:
        port = own_port()
        if port + 10_000 <= 65_535:
            with contextlib.suppress(OSError):
                own_port(port + 10_000)
                return port


class Server:
    """One redis-server that was started, with a client."""

    def __init__(self, folder: Path, port: int, *flags: str, config: Path | None = None) -> None:
        self.port = port
        self._folder = folder / str(port)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._arguments = [*([str(config)] if config else []), "--port", str(port), "--bind", "127.0.0.1"]
        self._arguments += ["--dir", str(self._folder), "--logfile", "redis.log", "--save", "", *flags]
        self.client = redis.Redis(port=port)
        self.start()

    def start(self) -> None:
        """Starts it, again if it was killed, and waits until it answers."""
        binary = str(find_server())
        self.process = subprocess.Popen([sys.executable, "-c", _LAUNCH, binary, *self._arguments])
        wait_until(self.answers, f"the server at {self.port} answers")

    def answers(self) -> bool:
        """Whether it does."""
        with contextlib.suppress(redis.RedisError):
            return bool(self.client.ping())
        return False

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait(10)

    def close(self) -> None:
        """Ends it."""
        self.client.close()
        self.kill()


def replication(server: Server) -> dict[str, Any]:
    """What a server says of its replication."""
    return dict(server.client.info("replication"))


class Watched:
    """A primary that takes no writes without a replica, two replicas, and one sentinel; use as a context manager."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> Self:
        """Starts all; returns once the sentinel knows them."""
        flags = ["--appendonly", "yes", "--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0"]
        flags += ["--min-replicas-to-write", "1"]
        first = Server(self._folder, own_port(), *flags)
        flags += ["--replicaof", "127.0.0.1", str(first.port)]
        self.servers = (first, *(Server(self._folder, own_port(), *flags) for _ in range(2)))
        wait_until(lambda: replication(first)["min_slaves_good_slaves"] == 2, "both replicas are there")
        config = self._folder / "sentinel.conf"
        config.write_text(
            f"sentinel monitor {SERVICE} 127.0.0.1 {first.port} 1\n"
            # On a busy machine half a second is too short: a server that was promoted a moment ago is taken for dead.
            f"sentinel down-after-milliseconds {SERVICE} 2000\n"
            f"sentinel failover-timeout {SERVICE} 4000\n",
            "utf-8",
        )
        self.sentinel = Server(self._folder, own_port(), "--sentinel", config=config)
        self.asked = Sentinel([("127.0.0.1", self.sentinel.port)])
        wait_until(lambda: len(self.asked.discover_slaves(SERVICE)) == 2, "the sentinel knows the replicas")
        return self

    @property
    def url(self) -> str:
        """What CONCLAVE_REDIS_URL says; the first of its sentinels does not live."""
        return f"redis+sentinel://127.0.0.1:1,127.0.0.1:{self.sentinel.port}/{SERVICE}"

    def client(self) -> redis.Redis:
        """A client of whichever is the primary."""
        return self.asked.master_for(SERVICE)

    def primary(self) -> Server | None:
        """The server that the sentinel names; None while it names none."""
        with contextlib.suppress(redis.RedisError):
            port = self.asked.discover_master(SERVICE)[1]
            return next(server for server in self.servers if server.port == port)
        return None

    def replicas(self) -> list[Server]:
        """Those that say of themselves that they are replicas."""
        return [each for each in self.servers if each.answers() and replication(each)["role"] == "slave"]

    def in_step(self) -> bool:
        """Whether two replicas have all that the primary had before."""
        if (primary := self.primary()) is None:
            return False
        with contextlib.suppress(redis.RedisError), primary.client.pipeline(transaction=False) as pipe:
            pipe.set("in-step", 1, ex=1)  # WAIT is about the writes of its own connection
            pipe.wait(2, 500)
            return bool(pipe.execute()[1] == 2)
        return False

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in (self.sentinel, *self.servers):
            server.close()
        for sentinel in self.asked.sentinels:
            sentinel.close()


class Nodes:
    """A cluster of three primaries and one replica, of the first of them; use as a context manager."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> Self:
        """Starts all; returns once each node says that the cluster is well, and the replica is in step."""
        flags = ("--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--repl-diskless-sync-delay", "0")
        self.servers = [Server(self._folder, own_port_and_bus(), *flags) for _ in range(4)]
        *primaries, replica = self.servers
        each = 16_384 // len(primaries) + 1
        for i, server in enumerate(primaries):
            slots = range(i * each, min(16_384, (i + 1) * each))
            server.client.execute_command("CLUSTER ADDSLOTS", *slots)
            server.client.execute_command("CLUSTER SET-CONFIG-EPOCH", i + 1)
        for server in self.servers[1:]:
            server.client.execute_command("CLUSTER MEET", "127.0.0.1", self.servers[0].port)
        wait_until(lambda: all(known(server) == len(self.servers) for server in self.servers), "all know of all")
        first = self.servers[0].client.execute_command("CLUSTER MYID")
        replica.client.execute_command("CLUSTER REPLICATE", first)
        wait_until(lambda: replication(replica).get("master_link_status") == "up", "the replica is in step")
        wait_until(lambda: all(well(server) for server in self.servers), "the cluster is well")
        return self

    @property
    def url(self) -> str:
        """What CONCLAVE_REDIS_URL says; the first of its nodes does not live."""
        return f"redis+cluster://127.0.0.1:1,127.0.0.1:{self.servers[1].port},127.0.0.1:{self.servers[2].port}"

    def client(self) -> redis.RedisCluster:
        """A client of all of it."""
        return redis.RedisCluster(host="127.0.0.1", port=self.servers[1].port)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in self.servers:
            server.close()


def known(server: Server) -> int:
    """How many nodes a node knows."""
    return int(server.client.execute_command("CLUSTER INFO")["cluster_known_nodes"])


def well(server: Server) -> bool:
    """Whether the cluster serves all slots, as a node sees it."""
    return bool(server.client.execute_command("CLUSTER INFO")["cluster_state"] == "ok")
