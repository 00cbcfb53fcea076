"""How a setting names a Redis server."""

import pytest

from oidcgate.storage.redis_address import RedisServer, redis_server_of


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("redis://db", RedisServer("db:6379/0", ("db", 6379))),
        ("redis://DB:6380/3", RedisServer("db:6380/3", ("db", 6380), 3)),
        ("redis://gate@db/", RedisServer("db:6379/0", ("db", 6379), 0, "gate")),
        ("redis://g%40te@db", RedisServer("db:6379/0", ("db", 6379), 0, "g@te")),
        ("redis://[::1]:6379/1", RedisServer("[::1]:6379/1", ("::1", 6379), 1)),
        ("rediss://db:6380", RedisServer("db:6380/0", ("db", 6380), tls=True)),
        (
            "rediss://db?ca_file=/etc/ca.pem",
            RedisServer("db:6379/0", ("db", 6379), tls=True, ca_file="/etc/ca.pem"),
        ),
        ("redis:///run/redis.sock", RedisServer("unix:/run/redis.sock", "/run/redis.sock")),
    ],
)
def test_an_address_is_read(url: str, server: RedisServer) -> None:
    assert redis_server_of(url) == server


@pytest.mark.parametrize(
    ("url", "told"),
    [
        pytest.param("memcached://db", "is no Redis server", id="another"),
        pytest.param("redis:", "is no Redis server", id="no-slashes"),
        pytest.param("redis://", "names no host", id="nothing"),
        pytest.param("redis:///", "names no host", id="root"),
        pytest.param("rediss:///run/redis.sock", "names no host", id="tls-on-a-socket"),
        pytest.param("redis://db:99999", "cannot be read", id="port-too-high"),
        pytest.param("redis://db:x", "cannot be read", id="port-no-number"),
        pytest.param("redis://[::1", "cannot be read", id="bracket"),
        pytest.param("redis://db/one", "a database that is no number", id="database"),
        pytest.param("redis://db/-1", "a database that is no number", id="database-negative"),
        pytest.param("redis://db/0/1", "a database that is no number", id="two-databases"),
        pytest.param("redis://user:canary@db", "put it into a file", id="password"),
        pytest.param("redis://:canary@db", "put it into a file", id="password-alone"),
        pytest.param("redis://db?ssl_cert_reqs=none", "ca_file=FILE alone", id="checks-switched-off"),
        pytest.param("rediss://db?ca_file=", "cannot be read|ca_file=FILE alone", id="empty-file"),
        pytest.param("rediss://db?ca_file=a&ca_file=b", "ca_file=FILE alone", id="two-files"),
        pytest.param("redis://db?ca_file=a", "speaks no TLS", id="file-without-tls"),
        pytest.param("redis://db#1", "more to it", id="fragment"),
        pytest.param("redis://h1,h2", "more than one server|no host", id="list"),
    ],
)
def test_what_is_no_address_is_told_without_what_it_holds(url: str, told: str) -> None:
    with pytest.raises(ValueError, match=told) as refused:
        redis_server_of(url)
    assert "canary" not in str(refused.value)
    assert ";" in str(refused.value), "what to do"
