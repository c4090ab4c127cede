"""What CONCLAVE_REDIS_URL names: one server, a primary that Sentinel knows, or a cluster."""

from dataclasses import dataclass
from enum import Enum
from typing import Any
from urllib.parse import unquote

from redis.asyncio.connection import parse_url

FORMS = (
    "redis://, rediss:// or unix://, redis+sentinel://HOST:PORT[,HOST:PORT...]/SERVICE[/DB] "
    "or redis+cluster://HOST:PORT[,HOST:PORT...] (rediss+... with TLS)"
)


class BadRedisUrl(ValueError):
    """CONCLAVE_REDIS_URL cannot be used. Says why, and nothing of the URL itself, which may hold a password."""

    def __init__(self, why: str) -> None:
        super().__init__(f"CONCLAVE_REDIS_URL: {why}")


class Kind(Enum):
    """What is behind a URL."""

    SINGLE = "single"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


@dataclass(frozen=True, slots=True)
class Address:
    """A read URL. `hosts`: sentinels or nodes; `options`: what redis-py takes by keyword (user, TLS, database)."""

    kind: Kind
    hosts: tuple[tuple[str, int], ...]
    service: str
    options: dict[str, Any]


def read_url(url: str) -> Address:
    """Reads a URL of any form; raises BadRedisUrl."""
    scheme, found, rest = url.partition("://")
    plain, _, suffix = scheme.partition("+")
    kinds = {"": Kind.SINGLE, "sentinel": Kind.SENTINEL, "cluster": Kind.CLUSTER}
    if not found or suffix not in kinds or plain not in ("redis", "rediss", *(() if suffix else ("unix",))):
        raise BadRedisUrl(f"it must be {FORMS}")
    kind = kinds[suffix]
    if kind is Kind.SINGLE:
        return Address(kind, (), "", _options(url))
    rest, _, query = rest.partition("?")
    place, _, path = rest.partition("/")
    user, at, hosts = place.rpartition("@")
    service, _, database = path.strip("/").partition("/")
    if kind is Kind.SENTINEL and (not service or (database and not database.isdecimal())):
        raise BadRedisUrl("redis+sentinel:// ends with /SERVICE or /SERVICE/DB, the name under which Sentinel knows it")
    if kind is Kind.CLUSTER and path.strip("/") not in ("", "0"):
        raise BadRedisUrl("a cluster has no databases: nothing may follow its nodes")
    options = _options(f"{plain}://{user}{at}host/{database}?{query}")
    options.pop("host", None)
    default = 26379 if kind is Kind.SENTINEL else 6379
    return Address(kind, tuple(_host(each, default) for each in hosts.split(",")), unquote(service), options)


def _host(text: str, default: int) -> tuple[str, int]:
    """One HOST:PORT, HOST or [IPv6]:PORT."""
    name, colon, port = text.strip().rpartition(":")
    if not colon or port.endswith("]"):
        name, port = text.strip(), str(default)
    name = name.removeprefix("[").removesuffix("]")
    if not name or not port.isdecimal() or not 0 < int(port) < 65536:
        raise BadRedisUrl("its servers must be HOST:PORT, with commas between them")
    return name, int(port)


def _options(url: str) -> dict[str, Any]:
    try:
        return dict(parse_url(url))
    except ValueError as error:  # a port or an option that cannot be read; redis-py shows no more than its name
        raise BadRedisUrl(str(error)) from None
