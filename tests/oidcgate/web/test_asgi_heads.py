"""Heads of many fields: what they cost, and what is remembered of them. Not every server has a limit."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from oidcgate.web import asgi, facts
from oidcgate.web.asgi import read_head, whole_environ
from oidcgate.web.facts import BadRequest
from tests.support.asgi import scope_of

SCOPE = scope_of("http", "/x")


def seconds(call: Callable[..., Any], *args: Any) -> float:
    begun = time.process_time()
    call(*args)
    return time.process_time() - begun


@pytest.mark.parametrize("name", [b"cookie", b"accept", b"x-other"])
@pytest.mark.parametrize(
    "read", [lambda headers: read_head(SCOPE, headers), lambda headers: whole_environ(SCOPE, headers, b"")]
)
def test_ten_times_the_fields_cost_ten_times_as_much(read: Callable[..., Any], name: bytes) -> None:
    few = min(seconds(read, [(name, b"a")] * 20_000) for _ in range(3))
    # A hundred times as much, were they joined one by one.
    assert seconds(read, [(name, b"a")] * 200_000) < 50 * few


def test_repeated_fields_are_joined_in_order() -> None:
    headers = [(b"cookie", b"a=1"), (b"accept", b"x"), (b"cookie", b"b=2"), (b"accept", b"y")]
    assert read_head(SCOPE, headers)[1] == "a=1; b=2"
    environ = whole_environ(SCOPE, headers, b"")
    assert (environ["HTTP_COOKIE"], environ["HTTP_ACCEPT"]) == ("a=1; b=2", "x,y")


def test_facts_of_many_fields_that_say_nothing_are_not_remembered() -> None:
    before = asgi._remembered_facts.cache_info().misses
    read_head(SCOPE, [(b"accept", b"")] * 6000)
    assert asgi._remembered_facts.cache_info().misses == before


def test_a_long_host_is_refused_and_not_remembered() -> None:
    before = facts._is_host.cache_info().misses
    with pytest.raises(BadRequest, match="host_malformed"):
        read_head(SCOPE, [(b"host", b"a" * 10_000)])
    assert facts._is_host.cache_info().misses == before
