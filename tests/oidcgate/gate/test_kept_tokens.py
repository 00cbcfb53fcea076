"""What sessions keep in the state store: sealed, bound to one session, taken once."""

import msgspec
import pytest

from oidcgate.gate.kept_tokens import Kept, KeptTokens
from oidcgate.storage.records import StoreUnavailable
from oidcgate.web.sealing import KeyRing, Sealer, new_secret
from tests.oidcgate.gate.parts import NOW, Store

SECRET = new_secret()
KEPT = Kept("s1", "id-token-canary")


def tokens_in(state: Store, *secrets: str) -> KeptTokens:
    return KeptTokens(state, Sealer(KeyRing(secrets or (SECRET,)), "tokens", "gate"), 3600)


@pytest.fixture
def state() -> Store:
    return Store()


def test_what_is_kept_is_sealed_and_taken_once(state: Store) -> None:
    tokens = tokens_in(state)
    tokens.keep(KEPT, NOW)
    record = state.inner.get("tokens", "s1", now=NOW)
    assert record is not None
    assert b"canary" not in record.value
    assert tokens.take("s1", NOW) == KEPT
    assert tokens.take("s1", NOW) is None


def test_nothing_of_it_is_shown() -> None:
    assert "canary" not in repr(KEPT)


def test_it_is_forgotten_with_the_longest_session(state: Store) -> None:
    tokens = tokens_in(state)
    tokens.keep(KEPT, NOW)
    held = tokens.find("s1", NOW + 3599)
    assert held is not None
    assert tokens.find("s1", NOW + 3600) is None
    # Changing it does not keep it longer.
    assert tokens.change(held, KEPT, NOW + 3599)
    assert tokens.find("s1", NOW + 3600) is None


def test_only_what_was_found_is_changed(state: Store) -> None:
    here, there = tokens_in(state), tokens_in(state)
    here.keep(KEPT, NOW)
    first, second = here.find("s1", NOW), there.find("s1", NOW)
    assert first is not None
    assert second is not None
    assert here.change(first, Kept("s1", "newer"), NOW)
    assert not there.change(second, Kept("s1", "lost"), NOW)
    found = there.find("s1", NOW)
    assert found is not None
    assert found.kept.id_token == "newer"
    here.take("s1", NOW)
    assert not there.change(found, Kept("s1", "from the dead"), NOW)
    assert there.find("s1", NOW) is None


@pytest.mark.row("G-16")
def test_it_opens_under_every_secret_of_the_ring(state: Store) -> None:
    newer = new_secret()
    tokens_in(state).keep(KEPT, NOW)
    assert tokens_in(state, newer, SECRET).take("s1", NOW) == KEPT
    tokens_in(state).keep(KEPT, NOW)
    assert tokens_in(state, newer).take("s1", NOW) is None


def sealed(plain: bytes) -> bytes:
    return Sealer(KeyRing([SECRET]), "tokens", "gate").seal(plain, NOW).encode()


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"x", id="no seal"),
        pytest.param(b"\xff\xfe", id="no text"),
        pytest.param(sealed(b""), id="nothing"),
        pytest.param(sealed(b"eyJhbGciOi"), id="a bare token"),
        pytest.param(sealed(msgspec.msgpack.encode(["s1"])), id="too few fields"),
        pytest.param(sealed(b"\x92\xa2s1\xa1\x80"), id="text that is not UTF-8"),
        pytest.param(sealed(msgspec.msgpack.encode(Kept("s2", "t"))), id="another session's"),
    ],
)
def test_what_lies_there_and_is_not_this_sessions_is_nothing(state: Store, value: bytes) -> None:
    state.inner.put("tokens", "s1", value, expires_at=NOW + 10)
    tokens = tokens_in(state)
    assert tokens.has_any("s1", NOW)
    assert tokens.find("s1", NOW) is None
    assert tokens.take("s1", NOW) is None


@pytest.mark.row("G-05")
def test_a_store_that_is_down_is_never_nothing(state: Store) -> None:
    tokens = tokens_in(state)
    tokens.keep(KEPT, NOW)
    held = tokens.find("s1", NOW)
    assert held is not None
    state.down = True
    for call in (
        lambda: tokens.keep(KEPT, NOW),
        lambda: tokens.find("s1", NOW),
        lambda: tokens.has_any("s1", NOW),
        lambda: tokens.change(held, KEPT, NOW),
        lambda: tokens.take("s1", NOW),
    ):
        with pytest.raises(StoreUnavailable):
            call()
