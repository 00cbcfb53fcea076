"""What is kept of a sign-in for whoever asks how it went: `oidcgate.gate.last_sign_ins`."""

import pytest

from oidcgate.gate.context import Origin, Outcome, Way
from oidcgate.gate.last_sign_ins import LastSignIn, LastSignIns
from oidcgate.storage.memory import MemoryStore
from oidcgate.storage.records import StoreUnavailable
from oidcgate.web.sealing import KeyRing, Sealer
from tests.oidcgate.gate.parts import NOW, SECRET, Store
from tests.support.lying_provider import Scene

OTHER = "8Jx2Vq5Lr0Wb3Nf6Tz9Kc1Hm4Ys7Pd-GaEuIoQwRtY"


def sign_in(user_name: str = "Alice", at: int = NOW) -> LastSignIn:
    ways = (Way(Origin.USERINFO, "level", "Level", "level", "number", Outcome.WRONG_TYPE, "string"),)
    return LastSignIn(user_name, "alice", "https://id.example", "s", at, None, ("pwd",), ways)


def kept(store: Store, secret: str = SECRET) -> LastSignIns:
    return LastSignIns(store, Sealer(KeyRing([secret]), "last-sign-in", "gate"), 600)


@pytest.mark.row("A-25")
def test_the_last_one_is_kept_for_as_long_as_a_session_can_last() -> None:
    store = Store()
    last = kept(store)
    last.note(sign_in(at=NOW - 100))
    last.note(sign_in())
    assert last.of("Alice", NOW) == sign_in()
    assert last.of("ALICE", NOW) == sign_in(), "as the directory compares names"
    assert last.of("Bob", NOW) is None
    assert last.of("Alice", NOW + 599) == sign_in()
    assert last.of("Alice", NOW + 600) is None


def test_a_store_that_is_down_keeps_nobody_out() -> None:
    store = Store()
    store.down = True
    kept(store).note(sign_in())
    with pytest.raises(StoreUnavailable):
        kept(store).of("Alice", NOW)


def test_what_lies_there_shows_nothing_and_is_worth_nothing_under_another_key_or_name() -> None:
    store = Store()
    kept(store).note(sign_in())
    assert isinstance(store.inner, MemoryStore)
    ((kind, key),) = store.inner._records
    stored = store.inner.get(kind, key, now=NOW)
    assert stored is not None
    assert not any(text in (key.encode() + stored.value).lower() for text in (b"alice", b"level", b"example"))
    assert kept(store, OTHER).of("Alice", NOW) is None
    kept(store).note(sign_in("Bob"))
    (of_bob,) = [name for _, name in store.inner._records if name != key]
    store.inner.put(kind, of_bob, stored.value, expires_at=NOW + 600)
    assert kept(store).of("Bob", NOW) is None


@pytest.mark.parametrize("value", [b"", b"garbage", b"\xff\x00"], ids=repr)
def test_what_cannot_be_read_is_nothing(value: bytes) -> None:
    store = Store()
    last = kept(store)
    last.note(sign_in())
    ((kind, key),) = store.inner._records
    store.inner.put(kind, key, value, expires_at=NOW + 600)
    assert last.of("Alice", NOW) is None
    sealed = Sealer(KeyRing([SECRET]), "last-sign-in", "gate").seal(value, NOW).encode()
    store.inner.put(kind, key, sealed, expires_at=NOW + 600)
    assert last.of("Alice", NOW) is None


@pytest.mark.row("A-25")
def test_a_sign_in_is_noted_without_its_values() -> None:
    scene = Scene.set({"provider": {"fetch_groups": True, "amr": ["mfa"]}})
    scene.provider.claims |= {"email": "secret@example.com", "groups": 5, "acr": "high"}
    scene.browser().sign_in()
    last = scene.parts.last_sign_ins.of("alice", int(scene.clock()))
    assert last is not None
    assert (last.user_name, last.claimed_name, last.sub) == ("Alice", "alice", "sub-of-alice")
    assert (last.acr, last.amr, last.at) == ("high", ("mfa",), int(scene.clock()))
    assert Way(Origin.ID_TOKEN, "email", "E-mail", "email", "string", Outcome.TAKEN) in last.ways
    assert (
        Way(Origin.ID_TOKEN, "groups", "Groups", "groups", "string_array", Outcome.WRONG_TYPE, "number")
        in last.ways
    )
    assert "secret@example.com" not in repr(last)


def test_a_sign_in_that_was_refused_leaves_none() -> None:
    scene = Scene.set()
    scene.provider.claims["preferred_username"] = "mallory"
    scene.browser().sign_in()
    assert scene.parts.last_sign_ins.of("mallory", int(scene.clock())) is None
