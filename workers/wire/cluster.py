"""A client of a Redis Cluster that behaves as one of a single server does.

All that one command, script or transaction here touches has one hash tag (`keys.py`), so each of them is one node's.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Self

from redis.asyncio.cluster import ClusterNode, ClusterPubSub, RedisCluster
from redis.commands import AsyncCoreCommands
from redis.exceptions import ClusterDownError, ClusterError, RedisClusterException, SlotNotCoveredError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from workers.wire.address import Address
from workers.wire.script import Script
from workers.wire.telling import telling

_ALL = """
-- KEYS: those of the commands   ARGV: for each command how many parts it has, then its parts
local at, said = 1, {}
while at <= #ARGV do
  local last = at + tonumber(ARGV[at])
  said[#said + 1] = redis.call(unpack(ARGV, at + 1, last))
  at = last + 1
end
return said
"""

FIND_TIMEOUT_S = 5.0
"""How long a command may wait until it is known which node has its key."""

Command = tuple[tuple[Any, ...], dict[str, Any]]


@contextmanager
def _lost() -> Iterator[None]:
    """Tells as a lost connection what ends by itself, such as a failover; redis-py has several errors for it."""
    try:
        yield
    except (ClusterError, RedisClusterException) as error:
        raise RedisConnectionError(f"the cluster: {error}") from error


class Batch(AsyncCoreCommands):
    """A pipeline. A transaction is one script: redis-py's runs each command that it is given in a thread of its own."""

    _event_dispatcher: Any = None

    def __init__(self, client: "Cluster", transaction: bool) -> None:
        self._client = client
        self._transaction = transaction
        self._commands: list[Command] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        return

    def execute_command(self, *args: Any, **options: Any) -> None:
        """Takes a command in; redis-py's methods for each command call this."""
        self._commands.append((args, options))

    async def execute(self) -> list[Any]:
        """The replies to all commands, as the server sends them where it is a transaction."""
        if not self._transaction:
            return [await self._client.execute_command(*args, **options) for args, options in self._commands]
        flat = [part for args, _ in self._commands for part in (len(args), *args)]
        return list(await Script(self._client, _ALL)(keys=[args[1] for args, _ in self._commands], args=flat))


class _PubSub(ClusterPubSub):
    """Subscribes at one node: what is published at any reaches all."""

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Sends a command; raises redis-py's ConnectionError where no node can be found for it."""
        with _lost():
            await self.cluster.initialize()
            return await super().execute_command(*args, **options)


class Cluster(RedisCluster):
    """The client. Raises TypeError where an option of the URL is none."""

    # A time-out has already cost its time, and is not tried again.
    ERRORS_ALLOW_RETRY: Any = (RedisConnectionError, ClusterDownError, SlotNotCoveredError)

    def __init__(self, address: Address, limits: dict[str, Any]) -> None:
        options = limits | address.options
        tls = options.pop("connection_class", None) is not None
        most = options.pop("max_connections")
        self._wait_s = options.pop("timeout")
        self._failed: str | None = None
        self._finding = asyncio.Lock()
        self._knows_commands = False
        self._places = asyncio.Semaphore(most)
        super().__init__(
            startup_nodes=[ClusterNode(host, port) for host, port in address.hosts],
            max_connections=2 * most + 4,  # redis-py does not wait for one; subscribers take theirs beside ours
            ssl=tls,
            **options,
        )
        kind: Any = telling(self.connection_kwargs["connection_class"])
        self.connection_kwargs["connection_class"] = kind
        for node in self.startup_nodes:
            node.connection_class = kind

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._wait_s):
                await self._places.acquire()
        except TimeoutError:
            raise RedisConnectionError("No connection available.") from None
        try:
            yield
        finally:
            self._places.release()

    async def initialize(
        self, additional_startup_nodes_info: Any = None, last_failed_node_name: str | None = None
    ) -> Self:
        """Asks for the nodes and their slots, if that has to be; raises redis-py's ConnectionError or TimeoutError.

        What failed last is asked last. Where no node that was found once answers, those of the URL are asked again:
        by the same names there may be others by then.
        """
        if not self._initialize:
            return self
        try:
            async with asyncio.timeout(FIND_TIMEOUT_S), self._finding:
                if self._initialize:
                    with _lost():
                        await self._find(additional_startup_nodes_info, last_failed_node_name or self._failed)
        except TimeoutError as error:
            raise RedisTimeoutError("no node says what the cluster is") from error
        except RedisConnectionError:
            for node in self.startup_nodes:
                self.nodes_manager.startup_nodes.setdefault(node.name, node)
            raise
        return self

    async def _find(self, others: Any, last: str | None) -> None:
        """As the base does; where that fails it closes every connection, also those that others are waiting at."""
        await self.nodes_manager.initialize(others, last)
        if not self._knows_commands:
            await self.commands_parser.initialize(self.nodes_manager.default_node)
            self._knows_commands = True
        self._initialize = False

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Runs a command at the node that has its key; raises as a client of a single server does."""
        async with self._place():
            await self.initialize()
            try:
                with _lost():
                    return await super().execute_command(*args, **options)
            except Exception as error:
                self._failed = getattr(error, "last_failed_node_name", self._failed)
                raise

    async def _determine_slot(self, command: str, *args: Any) -> int:
        """The slot of the command's keys; raises ValueError where they have several, or none."""
        if command in ("XREAD", "XREADGROUP"):  # for which redis-py asks a server, each time, and one that may be gone
            return int(self.keyslot(args[args.index(b"STREAMS") + 1]))
        try:
            return int(await super()._determine_slot(command, *args))
        except RedisClusterException as error:
            raise ValueError(str(error)) from error

    def get_node(
        self, host: str | None = None, port: int | None = None, node_name: str | None = None
    ) -> ClusterNode | None:
        """A node; by its name also one that has no slots yet, to which a slot is on its way."""
        found = super().get_node(host, port, node_name)
        if found is None and node_name is not None:
            name, _, number = node_name.rpartition(":")
            found = ClusterNode(name, int(number), "primary", **self.connection_kwargs)
            self.nodes_manager.nodes_cache[found.name] = found
        return found

    def register_script(self, script: Any) -> Any:
        """A script that is known at whichever node has the keys as it is called."""
        return Script(self, script)

    def pipeline(self, transaction: Any = True, shard_hint: Any = None) -> Any:
        """Commands that are sent together; with `transaction` all or none of them, and their keys have one hash tag."""
        return Batch(self, bool(transaction))

    def pubsub(self, *args: Any, **options: Any) -> Any:
        """A subscriber."""
        return _PubSub(self, *args, **options)

    async def infos(self, section: str) -> list[dict[str, Any]]:
        """A section of INFO of each primary."""
        await self.initialize()
        return [await self.info(section, target_nodes=node) for node in self.get_primaries()]

    async def aclose(self) -> None:
        """Has the nodes and their slots be asked for again. The base calls this for that, and closes all beside."""
        self._initialize = True

    async def shut(self) -> None:
        """Closes its connections."""
        self._initialize = True
        await self.nodes_manager.aclose()
        await self.nodes_manager.aclose("startup_nodes")
