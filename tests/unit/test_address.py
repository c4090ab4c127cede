"""What CONCLAVE_REDIS_URL may say, and what is said of one that cannot be used."""

import pytest

from workers.wire.address import Address, BadRedisUrl, Kind, read_url
from workers.wire.connection import blocking_client, close, command_client


def test_sentinels_with_a_user_a_service_and_a_database() -> None:
    """Percent-encoded parts are decoded; a host without a port has Sentinel's."""
    url = "redis+sentinel://us%40er:se%2Fcret@a:1,b,[::1]:3/my%20own/5?socket_timeout=2.5"
    assert read_url(url) == Address(
        Kind.SENTINEL,
        (("a", 1), ("b", 26379), ("::1", 3)),
        "my own",
        {"username": "us@er", "password": "se/cret", "db": 5, "socket_timeout": 2.5},
    )


def test_nodes_of_a_cluster() -> None:
    """Without user and path; with TLS by the scheme."""
    assert read_url("redis+cluster://a,b:7").hosts == (("a", 6379), ("b", 7))
    assert "connection_class" in read_url("rediss+cluster://:p@a/0").options
    assert "connection_class" not in read_url("redis+cluster://a/").options


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:6379",
        "http://secret@a",
        "unix+sentinel:///secret/x",
        "redis+other://secret@a",
        "redis+sentinel://secret@a:1",
        "redis+sentinel://secret@a:1/name/x",
        "redis+sentinel://secret@a:x/name",
        "redis+sentinel://secret@/name",
        "redis+sentinel://secret@a:0,b/name",
        "redis+cluster://secret@a:1/3",
        "redis+cluster://secret@a,,b",
        "redis+cluster://secret@a?socket_timeout=secret",
        "redis://secret@a:port",
        "redis://:secret@a?nobody_knows_this=secret",
        "redis+sentinel://:secret@a/name?nobody_knows_this=secret",
        "redis+cluster://:secret@a?nobody_knows_this=secret",
    ],
)
async def test_a_url_that_cannot_be_used_is_refused_by_the_setting_s_name(url: str) -> None:
    """By either client, before anything is connected to; the password is not said."""
    for make in (command_client, blocking_client):
        with pytest.raises(BadRedisUrl, match=r"CONCLAVE_REDIS_URL: \w") as caught:
            make(url, 1)
        assert "secret" not in str(caught.value)


async def test_every_form_makes_both_clients() -> None:
    """Connecting to nothing yet."""
    singles = ("redis://a", "rediss://a", "unix:///a")
    for url in (
        *singles,
        "redis+sentinel://a/b",
        "rediss+sentinel://u:p@a/b/2",
        "redis+cluster://a",
        "rediss+cluster://a",
    ):
        for client in (command_client(url), blocking_client(url, 2)):
            await close(client)
