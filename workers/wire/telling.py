"""A connection that tells every loss of it as one."""

from collections.abc import Iterable

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError


class Telling(AbstractConnection):
    """A connection that tells every loss of it as one.

    Writing to a connection that was reset is a RuntimeError in uvloop, and to one that another task closed meanwhile an
    AttributeError, which nobody takes for a lost server: it would be a bare 500 in a gateway, and the end of a loop in
    a worker. A new connection that is not answered in time is a
    ConnectionError in redis-py, which would be tried again, 5 s each time.
    """

    async def connect_check_health(self, check_health: bool = True, retry_socket_connect: bool = True) -> None:
        """Connects as its base does; raises redis-py's TimeoutError where the server accepts and says nothing."""
        try:
            await super().connect_check_health(check_health, retry_socket_connect)
        except RedisConnectionError as error:
            if isinstance(error.__cause__ or error.__context__, RedisTimeoutError | TimeoutError):
                raise RedisTimeoutError(str(error)) from error
            raise

    async def send_packed_command(self, command: bytes | str | Iterable[bytes], check_health: bool = True) -> None:
        """Sends as its base does; raises redis-py's ConnectionError where the transport is closed."""
        try:
            await super().send_packed_command(command, check_health)
        except (RuntimeError, AttributeError) as error:
            raise RedisConnectionError(f"the connection is closed: {error}") from error


def telling(kind: type[AbstractConnection]) -> type[AbstractConnection]:
    """The kind of connection (TCP, TLS, a Unix socket, one that asks Sentinel), made to tell of each loss."""
    return type(f"Telling{kind.__name__}", (Telling, kind), {})
