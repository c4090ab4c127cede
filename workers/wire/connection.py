"""The two kinds of Redis clients.

A blocking read needs a client of its own: redis-py's default (5 s socket timeout, ten retries) turns a `BLOCK 7000`
into a minute of re-issued, non-idempotent reads. So blocking reads run with a timeout above BLOCK and with no retry,
and the reader re-reads its own pending entries after every error; everything else runs on a pool that waits for a
free connection.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Collection
from typing import Any, Literal, TypeVar, cast

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import FullJitterBackoff, NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from workers.wire.address import BadRedisUrl, Kind, read_url
from workers.wire.cluster import Cluster
from workers.wire.sentinel import sentinel_client
from workers.wire.telling import telling

log = logging.getLogger(__name__)

BLOCK_MS = 2_000
"""How long one blocking read waits."""

BLOCKING_TIMEOUT_S = 10.0
"""A blocking read that has not answered by then has a dead connection (half-open TCP); must exceed BLOCK_MS."""

LOST = (RedisConnectionError, RedisTimeoutError, OSError)  # asyncio's and the socket's time-outs are OSErrors
"""What a lost or silent server raises."""


T = TypeVar("T")


async def unbroken(command: Awaitable[T]) -> T:
    """Awaits a command to its end, also when the caller is cancelled meanwhile; only then raises the cancellation.

    redis-py sends by `asyncio.wait_for`, which in Python 3.11 swallows a cancellation that comes as it returns; and of
    a command that was cut off half-way nobody knows whether it was carried out.
    """
    running = asyncio.ensure_future(command)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        while not running.done():
            with contextlib.suppress(asyncio.CancelledError):  # cancelled once more
                await asyncio.wait({running})
        if not running.cancelled():
            running.exception()  # looked at, so that the loop does not report it as lost
        raise


async def end_all(tasks: "Collection[asyncio.Task[None]]") -> None:
    """Cancels tasks until they have ended, again and again: in Python 3.11 redis-py can swallow a cancellation."""
    ending = set(tasks)
    while ending:
        for task in ending:
            task.cancel()
        _, ending = await asyncio.wait(ending, timeout=0.2)
    await asyncio.gather(*tasks, return_exceptions=True)


def command_client(url: str, max_connections: int = 64) -> Redis:
    """A client for short commands: bounded pool, 5 s timeout, three quick retries on a lost connection.

    Raises BadRedisUrl.
    """
    return _client(
        url,
        max_connections=max_connections,
        timeout=5,
        socket_timeout=5.0,
        socket_connect_timeout=2.0,
        health_check_interval=30,
        # Only a lost connection is tried again: a time-out has already cost its 5 s.
        retry=Retry(FullJitterBackoff(cap=0.5, base=0.02), 3, supported_errors=(RedisConnectionError,)),
    )


def blocking_client(url: str, readers: int) -> Redis:
    """A client for `readers` blocking readers: timeout above BLOCK_MS, no retry, a connection for each.

    Raises BadRedisUrl.
    """
    return _client(
        url,
        max_connections=readers + 1,
        timeout=5,
        socket_timeout=BLOCKING_TIMEOUT_S,
        socket_connect_timeout=2.0,
        retry=Retry(NoBackoff(), 0),
    )


def _client(url: str, **limits: Any) -> Redis:
    """A client of what the URL names, within those bounds of its pool and its connections."""
    address = read_url(url)
    try:
        if address.kind is Kind.CLUSTER:
            return cast(Redis, Cluster(address, limits))  # for all that is asked of it here
        if address.kind is Kind.SENTINEL:
            client = sentinel_client(address, limits)
        else:
            single = BlockingConnectionPool.from_url(url, **limits)
            single.connection_class = telling(single.connection_class)
            client = Redis(connection_pool=single)
        pool: Any = client.connection_pool
        pool.make_connection()  # connects to nothing; an option that nobody knows shows here
        return client
    except TypeError as error:
        raise BadRedisUrl(str(error).rpartition(") ")[2]) from None


async def evicts(client: Redis | Cluster) -> str | None:
    """The eviction policy of a server that may delete keys to make room; None if none ever does, or does not say.

    Whatever policy but `noeviction` deletes queued jobs and leases when memory is short.
    """
    try:
        infos = await client.infos("memory") if isinstance(client, Cluster) else [await client.info("memory")]
    except ResponseError:  # not permitted to this user: the server answers, and does not say
        return None
    policies = [str(info.get("maxmemory_policy", "noeviction")) for info in infos]
    return next((policy for policy in policies if policy != "noeviction"), None)


async def check_eviction(client: Redis, wanted: Literal["refuse", "warn"]) -> None:
    """Raises ValueError, or only warns, where the server may evict keys. One that is away is not waited for."""
    try:
        policy = await evicts(client)
    except (RedisError, OSError):
        return
    if policy is None:
        return
    said = f"Redis may evict answers and jobs (maxmemory-policy {policy}): set it to noeviction"
    if wanted == "refuse":
        raise ValueError(f"{said}, or CONCLAVE_EVICTING_REDIS to warn")
    log.warning(said)


async def close(client: Redis | Cluster) -> None:
    """Closes a client and its pool."""
    if isinstance(client, Cluster):
        return await client.shut()
    await client.aclose()
    await client.connection_pool.disconnect()


def stream_entries(found: object) -> list[tuple[bytes, dict[bytes, bytes]]]:
    """The entries of a read of one stream, in either protocol's form (RESP3 answers with a map)."""
    if not found:
        return []
    if isinstance(found, dict):
        groups = next(iter(found.values()))
        return list(groups[0] if groups and isinstance(groups[0], list) else groups)
    assert isinstance(found, list)
    return list(found[0][1])
