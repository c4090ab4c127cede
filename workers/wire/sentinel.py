"""A client of the primary that Sentinel names, whichever server that is at the time.

Each new connection asks Sentinel. A connection to a server that is the primary no more is closed once that server says
so: it is a replica, or takes no writes because it has no replicas (`min-replicas-to-write`).
"""

import asyncio
from collections.abc import Iterable
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import (
    MasterNotFoundError,
    Sentinel,
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from workers.wire.address import Address
from workers.wire.script import Script
from workers.wire.telling import Telling

ASK_TIMEOUT_S = 0.5
"""How long one sentinel is waited for; the next is asked then."""

FIND_TIMEOUT_S = 2.5
"""How long all sentinels together may take."""


_NO_PRIMARY = ("READONLY", "NOREPLICAS")
"""What a server that is not the primary any more refuses writes with, by its own settings in the second case."""


class _ToPrimary(Telling, SentinelManagedConnection):
    """A connection to the primary."""

    async def send_packed_command(self, command: bytes | str | Iterable[bytes], check_health: bool = True) -> None:
        """Sends as its base does, where it is closed to whichever is the primary now: its base goes to the one before.

        Raises redis-py's ConnectionError or TimeoutError.
        """
        if not self.is_connected:
            await self.connect()  # type: ignore[no-untyped-call]  # redis-py leaves it so, and more below
        await super().send_packed_command(command, check_health)

    async def read_response(self, *args: Any, **kwargs: Any) -> Any:
        """Reads as its base does; raises redis-py's ConnectionError where the server is the primary no more.

        Redis 6.2 says that within "Error running script" where it refuses a script, which its base does not see.
        """
        try:
            return await super().read_response(*args, **kwargs)
        except ResponseError as error:
            if not any(word in str(error) for word in _NO_PRIMARY):
                raise
            await self.disconnect()
            raise RedisConnectionError("the server is not the primary any more") from error


class _ToPrimaryByTls(_ToPrimary, SentinelManagedSSLConnection):
    """The same by TLS."""


class _Pool(SentinelConnectionPool, BlockingConnectionPool):
    """Waits for a free connection as the pool for a single server does."""

    async def disconnect(self, inuse_connections: bool = True) -> None:
        """Closes its connections; with those in use also those to the sentinels."""
        await super().disconnect(inuse_connections)
        if inuse_connections:
            await self.sentinel_manager.aclose()


class _Sentinels(Sentinel):
    """The sentinels, which are not waited for one after the other without end."""

    async def discover_master(self, service_name: str) -> tuple[str, int]:
        """Where the primary is.

        Raises redis-py's ConnectionError where no sentinel knows, its TimeoutError where none says anything: that is
        not tried again, as with a server that says nothing.
        """
        try:
            async with asyncio.timeout(FIND_TIMEOUT_S):
                host, port = await super().discover_master(service_name)
        except MasterNotFoundError:  # which shows each sentinel's client in full
            raise RedisConnectionError(f"no sentinel names a primary of {service_name}") from None
        except TimeoutError as error:
            raise RedisTimeoutError("no sentinel says where the primary is") from error
        return host, port


class _Primary(Redis):
    """The client."""

    def register_script(self, script: Any) -> Any:
        """A script that is known at whichever server is the primary as it is called."""
        return Script(self, script)


def sentinel_client(address: Address, limits: dict[str, Any]) -> Redis:
    """A client of the primary. `limits`: the pool's and its connections' bounds, as redis-py takes them.

    User and password are the servers'; the sentinels' own are the options `sentinel_username` and `sentinel_password`.
    """
    options = dict(address.options)
    tls = options.pop("connection_class", None) is not None
    own = {name.removeprefix("sentinel_"): options.pop(name) for name in list(options) if name.startswith("sentinel_")}
    asking = {name: value for name, value in options.items() if name.startswith("ssl_")}
    sentinels = _Sentinels(  # type: ignore[no-untyped-call]
        address.hosts,
        sentinel_kwargs={
            "socket_timeout": ASK_TIMEOUT_S,
            "socket_connect_timeout": ASK_TIMEOUT_S,
            "retry": Retry(NoBackoff(), 0),
            "ssl": tls,
            **(asking if tls else {}),
            **own,
        },
    )
    kind = _ToPrimaryByTls if tls else _ToPrimary
    pool = _Pool(address.service, sentinels, connection_class=kind, **limits | options)  # type: ignore[no-untyped-call]
    return _Primary(connection_pool=pool)
