"""Slowing down: what is counted, and the counters in a database under threads. The rule is `test_slowing`."""

import threading
from pathlib import Path

import pytest

from oidcgate.slowing import SHARED_WAIT_SECONDS, Rule, charged
from oidcgate.web.forwarded import UNKNOWN_NETWORK
from provider.realm_settings import ThrottleSettings
from provider.services.throttle import (
    device_scopes_of,
    device_start_scopes_of,
    forgive,
    give_back,
    scopes_of,
    take_attempt,
)
from provider.store import schema, throttle
from provider.store.engine import Store

NOW = 1_000_000
RULE = Rule(free=3, first_delay_seconds=2, longest_delay_seconds=60, forget_seconds=3600)
NETWORK = "203.0.113.0/24"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(f"sqlite:///{tmp_path / 'throttle.db'}")
    schema.metadata.create_all(store.engine)
    return store


def test_scopes_differ_by_name_and_network_and_hold_neither_in_clear() -> None:
    one, other = (scopes_of(name, NETWORK, ThrottleSettings()) for name in ("alice", "bob"))
    assert len({scope.key for scope in (*one, *other)}) == 5
    assert not any("alice" in scope.key for scope in one)
    assert (
        max(len(scope.key) for scope in scopes_of("x" * 9999, "2001:db8:1111:2222::/64", ThrottleSettings()))
        <= 100
    )


def test_what_many_share_has_a_short_cap() -> None:
    by_kind = {
        scope.key.partition(":")[0]: scope for scope in scopes_of("alice", NETWORK, ThrottleSettings())
    }
    assert by_kind["pair"].rule.longest_delay_seconds == 900
    assert by_kind["account"].rule.longest_delay_seconds == SHARED_WAIT_SECONDS
    assert by_kind["network"].rule.longest_delay_seconds == SHARED_WAIT_SECONDS
    assert [kind for kind, scope in by_kind.items() if scope.own] == ["pair", "account"]


def test_one_network_alone_never_reaches_the_limit_over_all_networks() -> None:
    """So guessing from one place slows that place and not the owner elsewhere."""
    pair, account, _ = scopes_of("alice", NETWORK, ThrottleSettings())
    now, counter, tries = NOW, None, 0
    while now < NOW + account.rule.forget_seconds:
        counter = charged(counter, pair.rule, now)
        tries += 1
        now = max(now, counter.blocked_until)
    assert tries < account.rule.free


def test_an_unknown_network_is_no_counter_for_everybody() -> None:
    keys = [scope.key.partition(":")[0] for scope in scopes_of("alice", UNKNOWN_NETWORK, ThrottleSettings())]
    assert keys == ["pair", "account"]


def test_codes_of_devices_have_a_counter_for_each_network_and_one_for_those_without() -> None:
    settings = ThrottleSettings()
    scopes = [device_scopes_of(network, settings) for network in (NETWORK, UNKNOWN_NETWORK)]
    assert len({scope.key for (scope,) in scopes}) == 2
    for (scope,) in scopes:
        assert (scope.rule.free, scope.rule.longest_delay_seconds) == (50, SHARED_WAIT_SECONDS)
        assert not scope.own
        assert scope.key not in {other.key for other in scopes_of("alice", NETWORK, settings)}


@pytest.mark.parametrize(
    ("devices_per_client", "free"),
    [
        pytest.param(1000, 50, id="default"),
        pytest.param(1, 20, id="least"),
        pytest.param(400, 20, id="last-of-the-least"),
        pytest.param(420, 21, id="a-twentieth"),
        pytest.param(100_000, 5000, id="most"),
    ],
)
def test_one_network_has_a_part_of_the_places_for_devices(devices_per_client: int, free: int) -> None:
    settings = ThrottleSettings(devices_per_client=devices_per_client, network_failures=7)
    (scope,) = device_start_scopes_of(NETWORK, settings)
    assert (scope.rule.free, scope.rule.longest_delay_seconds) == (free, SHARED_WAIT_SECONDS)
    assert not scope.own
    assert scope.key not in {other.key for other in device_scopes_of(NETWORK, settings)}
    assert device_start_scopes_of(UNKNOWN_NETWORK, settings) == ()


def test_attempts_are_charged_until_they_wait_and_waiting_is_free(store: Store) -> None:
    scopes = scopes_of("alice", NETWORK, ThrottleSettings(account_failures=2, first_delay_seconds=2))
    with store.begin() as conn:
        waits = [take_attempt(conn, "default", scopes, NOW) for _ in range(5)]
        after = take_attempt(conn, "default", scopes, NOW + 2)
    assert waits == [0, 0, 0, 2, 2]
    assert after == 0


def test_a_right_password_clears_the_account_but_the_network_only_by_one(store: Store) -> None:
    scopes = scopes_of("alice", NETWORK, ThrottleSettings())
    other = scopes_of("bob", NETWORK, ThrottleSettings())
    with store.begin() as conn:
        for _ in range(3):
            take_attempt(conn, "default", scopes, NOW)
        take_attempt(conn, "default", other, NOW)
        forgive(conn, "default", other)
        left = throttle.read_for_update(conn, "default", [scope.key for scope in (*scopes, *other)])
    assert {key.partition(":")[0]: counter.failures for key, counter in left.items()} == {
        "pair": 3,
        "account": 3,
        "network": 3,
    }


def test_realms_count_apart(store: Store) -> None:
    scopes = scopes_of("alice", NETWORK, ThrottleSettings(account_failures=1))
    with store.begin() as conn:
        assert [take_attempt(conn, "one", scopes, NOW) for _ in range(3)] == [0, 0, 2]
        assert take_attempt(conn, "two", scopes, NOW) == 0


def test_a_try_that_was_not_judged_is_given_back(store: Store) -> None:
    scopes = scopes_of("alice", NETWORK, ThrottleSettings(account_failures=1))
    with store.begin() as conn:
        for _ in range(5):
            assert take_attempt(conn, "default", scopes, NOW) == 0
            give_back(conn, "default", scopes)


def test_a_hundred_tries_at_once_are_all_counted(store: Store) -> None:
    """Charged before the password is checked: no burst passes before its first failure is written."""
    scopes = scopes_of("alice", NETWORK, ThrottleSettings(account_failures=5))
    barrier, passed = threading.Barrier(20), []

    def tries() -> None:
        barrier.wait()
        for _ in range(5):
            with store.begin() as conn:
                passed.append(take_attempt(conn, "default", scopes, NOW) == 0)

    threads = [threading.Thread(target=tries) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(passed) == 100
    assert sum(passed) == 6  # five free ones and the one that begins the wait
