"""The Redis clients: what a lost connection is told as."""

import asyncio
import time
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from workers.wire import cluster, sentinel
from workers.wire.connection import blocking_client, close, command_client


@pytest.mark.parametrize(
    "scheme",
    ["redis://127.0.0.1:1", "rediss://127.0.0.1:1", "unix:///nowhere", "redis+sentinel://a/b", "rediss+sentinel://a/b"],
)
async def test_a_transport_that_is_closed_is_a_lost_connection(scheme: str) -> None:
    """Not what uvloop and redis-py raise, which is taken for a bug; for every kind of server and client."""
    said = "unable to perform operation on <TCPTransport closed=True>; the handler is closed"
    errors = (RuntimeError(said), AttributeError("'NoneType' object has no attribute 'writelines'"))
    for client, error in zip((command_client(scheme), blocking_client(scheme, 1)), errors, strict=True):
        connection = client.connection_pool.make_connection()

        class Closed:
            def writelines(self, data: object) -> None:
                raise error  # noqa: B023  # it is used up before the next

            def close(self) -> None:
                return

            async def wait_closed(self) -> None:
                return

        connection._writer, connection._reader = Closed(), object()
        with pytest.raises(RedisConnectionError, match="closed"):
            await connection.send_packed_command(b"PING", check_health=False)
        await close(client)


async def test_a_server_that_accepts_and_says_nothing_costs_one_time_out() -> None:
    """A stopped server's kernel still takes connections: each command waits once, and is not tried again."""
    connections = 0

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while await reader.read(1_024):
            pass
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    client = command_client(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    client.connection_pool.connection_kwargs["socket_timeout"] = 0.2
    for tried in (1, 2):
        with pytest.raises(RedisTimeoutError):
            await client.time()
        assert connections == tried
    await close(client)
    server.close()


@pytest.mark.parametrize("form", ["redis+cluster://{0},{0}", "redis+sentinel://{0},{0}/main"])
async def test_nodes_and_sentinels_that_say_nothing_cost_one_time_out(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of all commands at once, however many wait to be told where to go; nodes that are gone are a lost connection."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1_024):
            pass
        writer.close()

    for module in (cluster, sentinel):
        monkeypatch.setattr(module, "FIND_TIMEOUT_S", 0.3)
    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    place = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    client: Any = command_client(form.format(place))
    began = time.monotonic()
    said = await asyncio.gather(*(client.get("a") for _ in range(20)), return_exceptions=True)
    assert {type(each) for each in said} == {RedisTimeoutError}
    assert time.monotonic() - began < 2
    await close(client)
    server.close()
    await server.wait_closed()
    gone: Any = command_client(form.format(place))
    for _ in range(2):
        with pytest.raises(RedisConnectionError):
            await gone.get("a")
    await close(gone)
