"""Another party's key set: when it is fetched, and when it is not."""

import threading
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
from jwcrypto import jwk

from oidcgate.jose.keys import generate_key, public_jwk
from oidcgate.jose.remote import KeysUnavailable, RemoteKeySet, TooManyWait

JWK = public_jwk(generate_key("ES256"), "?", "ES256")


class Issuer:
    """A key set, and how often it was asked for."""

    def __init__(self, *kids: str) -> None:
        self.kids = kids
        self.calls = 0
        self.failure: Exception | None = None
        self.before: Callable[[], None] = lambda: None

    def fetch(self) -> dict[str, Any]:
        self.calls += 1
        self.before()
        if self.failure is not None:
            raise self.failure
        return {"keys": [{**JWK, "kid": kid} for kid in self.kids]}


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def remote(issuer: Issuer, clock: Clock) -> RemoteKeySet:
    return RemoteKeySet(issuer.fetch, clock, ttl_seconds=3600, cooldown_seconds=30)


def kids(keys: RemoteKeySet, kid: str | None) -> list[str | None]:
    return [key.kid for key in keys.keys_for(kid)]


@pytest.mark.row("F-04")
def test_keys_are_fetched_once_and_remembered() -> None:
    issuer, clock = Issuer("a"), Clock()
    keys = remote(issuer, clock)
    assert issuer.calls == 0
    assert kids(keys, "a") == kids(keys, "a") == kids(keys, None) == ["a"]
    clock.now += 3599
    assert kids(keys, "a") == ["a"]
    assert issuer.calls == 1


@pytest.mark.row("F-04")
def test_an_unknown_kid_fetches_anew_but_not_more_often_than_the_cool_down() -> None:
    issuer, clock = Issuer("a"), Clock()
    keys = remote(issuer, clock)
    assert kids(keys, "a") == ["a"]
    issuer.kids = ("a", "b")
    assert kids(keys, "b") == ["a", "b"]  # at once: nobody had missed anything in that set
    issuer.kids = ("a", "b", "c")
    for invented in map(str, range(50)):
        assert kids(keys, invented) == ["a", "b"]
    clock.now += 29
    assert kids(keys, "c") == ["a", "b"]
    assert issuer.calls == 2
    clock.now += 1
    assert kids(keys, "c") == ["a", "b", "c"]
    assert kids(keys, "d") == ["a", "b", "c"]  # what was fetched because of a kid is not fetched at once
    assert issuer.calls == 3


@pytest.mark.row("F-04")
def test_a_set_that_was_renewed_for_its_age_is_looked_at_again_at_once_but_not_after_a_failure() -> None:
    issuer, clock = Issuer("a"), Clock()
    keys = remote(issuer, clock)
    kids(keys, "a")
    kids(keys, "x")
    clock.now += 3600
    assert kids(keys, "a") == ["a"]
    issuer.kids = ("a", "b")
    assert kids(keys, "b") == ["a", "b"]
    assert issuer.calls == 4
    clock.now += 3600
    issuer.failure = OSError("gone")
    assert kids(keys, "a") == ["a", "b"]
    assert kids(keys, "c") == ["a", "b"]
    assert issuer.calls == 5


def test_an_old_set_is_renewed() -> None:
    issuer, clock = Issuer("a"), Clock()
    keys = remote(issuer, clock)
    kids(keys, "a")
    issuer.kids = ("b",)
    clock.now += 3600
    assert kids(keys, "a") == ["b"]


@pytest.mark.row("G-17")
def test_old_keys_stay_when_the_fetch_fails() -> None:
    issuer, clock = Issuer("a"), Clock()
    keys = remote(issuer, clock)
    kids(keys, "a")
    issuer.failure = OSError("gone")
    clock.now += 3600
    assert kids(keys, "a") == ["a"]
    assert kids(keys, "a") == ["a"]
    assert issuer.calls == 2  # the second ask was within the cool-down
    clock.now += 30
    issuer.failure = None
    issuer.kids = ("c",)
    assert kids(keys, "c") == ["c"]


def test_old_keys_stay_when_the_answer_is_no_key_set() -> None:
    issuer, clock = Issuer("a"), Clock()
    keys = remote(issuer, clock)
    kids(keys, "a")
    issuer.kids = tuple(map(str, range(101)))
    clock.now += 3600
    assert kids(keys, "a") == ["a"]


def test_no_keys_at_all_is_named_and_retried_after_the_cool_down() -> None:
    issuer, clock = Issuer("a"), Clock()
    issuer.failure = OSError("gone")
    keys = remote(issuer, clock)
    with pytest.raises(KeysUnavailable) as caught:
        keys.keys_for("a")
    assert caught.value.__cause__ is issuer.failure
    with pytest.raises(KeysUnavailable):
        keys.keys_for("a")
    assert issuer.calls == 1
    clock.now += 30
    issuer.failure = None
    assert kids(keys, "a") == ["a"]


def test_many_threads_make_one_fetch() -> None:
    issuer, clock = Issuer("a"), Clock()
    keys = remote(issuer, clock)
    barrier = threading.Barrier(20)
    answers: list[list[str | None]] = []

    def ask() -> None:
        barrier.wait(10)
        answers.append(kids(keys, "a"))

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert answers == [["a"]] * 20
    assert issuer.calls == 1


def test_nobody_waits_for_the_renewal_of_keys_that_are_there() -> None:
    issuer, clock = Issuer("a"), Clock()
    keys = remote(issuer, clock)
    kids(keys, "a")
    fetching, go_on = threading.Event(), threading.Event()

    def hang() -> None:
        fetching.set()
        assert go_on.wait(10)

    issuer.before = hang
    issuer.kids = ("a", "b")
    clock.now += 3600
    renewing = threading.Thread(target=keys.keys_for, args=("a",))
    renewing.start()
    assert fetching.wait(10)
    assert kids(keys, "a") == ["a"]  # this thread, while the other is still fetching
    go_on.set()
    renewing.join(10)
    assert kids(keys, "a") == ["a", "b"]
    assert issuer.calls == 2


def test_who_must_not_wait_is_told_at_once_unless_old_keys_serve() -> None:
    issuer, clock = Issuer("a"), Clock()
    keys = remote(issuer, clock)
    no = nullcontext(False)
    fetching, go_on = threading.Event(), threading.Event()

    def hang() -> None:
        fetching.set()
        assert go_on.wait(10)

    issuer.before = hang
    first = threading.Thread(target=keys.keys_for, args=("a",))
    first.start()
    assert fetching.wait(10)
    with pytest.raises(TooManyWait):
        keys.keys_for("a", no)
    go_on.set()
    first.join(10)
    assert [key.kid for key in keys.keys_for("a", no)] == ["a"]
    for kid, alg in (("b", ""), (None, "RSA-OAEP")):
        with pytest.raises(TooManyWait):
            keys.encryption_key(alg, no) if alg else keys.keys_for(kid, no)
    clock.now += 3600
    assert [key.kid for key in keys.keys_for("a", no)] == ["a"]
    assert issuer.calls == 1
    assert kids(keys, "a") == ["a"]
    assert issuer.calls == 2


READERS = {
    kty: jwk.JWK.generate(kty=kty, **size)
    for kty, size in {"RSA": {"size": 2048}, "EC": {"crv": "P-256"}}.items()
}


class Reader(Issuer):
    """A key set to encrypt to: the first kid is an RSA key, the others are on a curve."""

    def fetch(self) -> dict[str, Any]:
        super().fetch()
        keys = [READERS["RSA" if index == 0 else "EC"] for index, _ in enumerate(self.kids)]
        entries = [key.export_public(as_dict=True) for key in keys]
        return {
            "keys": [{**key, "kid": kid, "use": "enc"} for key, kid in zip(entries, self.kids, strict=True)]
        }


def reader(keys: RemoteKeySet, alg: str) -> str | None:
    found = keys.encryption_key(alg)
    return None if found is None else found.kid


@pytest.mark.row("S-49")
def test_a_key_to_encrypt_to_is_fetched_once_and_known_then() -> None:
    issuer, clock = Reader("a", "b"), Clock()
    keys = remote(issuer, clock)
    assert keys.known_encryption_key("RSA-OAEP") is None
    assert issuer.calls == 0
    assert (reader(keys, "RSA-OAEP"), reader(keys, "ECDH-ES")) == ("a", "b")
    known = keys.known_encryption_key("ECDH-ES")
    assert known is not None
    assert known.kid == "b"
    assert issuer.calls == 1


@pytest.mark.row("S-49")
def test_where_no_key_fits_it_is_looked_for_anew_but_not_more_often_than_the_cool_down() -> None:
    issuer, clock = Reader("a"), Clock()
    keys = remote(issuer, clock)
    assert reader(keys, "ECDH-ES") is None
    assert reader(keys, "ECDH-ES") is None
    issuer.kids = ("a", "b")
    assert reader(keys, "ECDH-ES") is None
    assert issuer.calls == 2
    clock.now += 30
    assert reader(keys, "ECDH-ES") == "b"
    assert issuer.calls == 3


@pytest.mark.row("S-49")
def test_no_key_to_encrypt_to_at_all_is_named() -> None:
    issuer, clock = Reader("a"), Clock()
    issuer.failure = OSError("gone")
    keys = remote(issuer, clock)
    with pytest.raises(KeysUnavailable):
        keys.encryption_key("RSA-OAEP")
    assert keys.known_encryption_key("RSA-OAEP") is None
