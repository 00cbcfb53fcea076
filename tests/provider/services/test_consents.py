"""Consents of a person are one sealed string: what is in it, who can read it, when it is not stored, and what
withdrawing one ends. On both databases.
"""

import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import Connection, select

from oidcgate.audit import Audit
from oidcgate.settings import parse
from oidcgate.web.sealing import KeyRing, Sealer
from provider.config import ProviderSettings
from provider.events import ConsentNotStored, ConsentWithdrawn
from provider.realm import Realm, realms_of
from provider.services.consent_record import Consent, encode
from provider.services.consents import Consents, measure
from provider.store import schema
from provider.store.engine import Store
from provider.store.grants import find_grant, insert_grant
from tests.provider.databases import one_after_the_other
from tests.provider.store.test_grants import GRANT
from tests.provider.world import SECRET, config

NOW = 1_800_000_000
NEXT_SECRET = "Zk8uLm3WxQ7RtB1yVc6NpJ5GhD0sAe2Fi9o4"
BOTH = frozenset({"openid", "email"})


def realm_with(**changes: Any) -> Realm:
    return realms_of(parse(ProviderSettings, config("sqlite:///unused.db", **changes)))[0]


def limited(max_length: int) -> Realm:
    entry = {"name": "consents", "attribute": "aux_id_10", "writable": True, "max_length": max_length}
    return realm_with(properties=[entry], consent={"attribute": "aux_id_10"})


REALM = realm_with()
SECOND = realms_of(parse(ProviderSettings, config("sqlite:///unused.db", realms=[{"name": "second"}])))[1]


@dataclass
class Desk:
    """The service over a database."""

    store: Store
    secrets: tuple[str, ...] = (SECRET,)
    lines: list[str] = field(default_factory=list)

    @property
    def consents(self) -> Consents:
        return Consents(KeyRing(self.secrets), Audit(self.lines.append, lambda: NOW))

    def agree(
        self, client_id: str = "app", scopes: frozenset[str] = BOTH, realm: Realm = REALM, now: int = NOW
    ) -> ConsentNotStored | None:
        with self.store.begin() as conn:
            return self.consents.remember(conn, realm, "sub-1", client_id, scopes, scopes, now)

    def granted(self, client_id: str = "app", realm: Realm = REALM, user_id: str = "sub-1") -> frozenset[str]:
        with self.store.begin() as conn:
            return self.consents.granted(conn, realm, user_id, client_id)

    def all(self, realm: Realm = REALM) -> tuple[Consent, ...]:
        with self.store.read() as conn:
            return self.consents.of(conn, realm, "sub-1").consents

    def withdraw(self, client_id: str = "app", realm: Realm = REALM) -> ConsentWithdrawn | None:
        with self.store.begin() as conn:
            return self.consents.withdraw(conn, realm, "sub-1", client_id, NOW, by="person")

    def kept(self) -> str | None:
        with self.store.read() as conn:
            return conn.scalars(select(schema.user_attributes.c.value)).one_or_none()

    def keep(self, value: str, **changes: str) -> None:
        row = {"realm_id": "default", "user_id": "sub-1", "name": "consents", **changes}
        with self.store.begin() as conn:
            conn.execute(schema.user_attributes.delete())
            conn.execute(schema.user_attributes.insert().values(**row, value=value))

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]


@pytest.fixture
def desk(url: str) -> Iterator[Desk]:
    made = Desk(Store(url))
    yield made
    made.store.dispose()


@pytest.mark.row("S-36", "C-13")
def test_what_was_agreed_to_is_found_again(desk: Desk) -> None:
    assert desk.granted() == frozenset()
    assert desk.agree() is None
    desk.agree("desk", frozenset({"openid"}), now=NOW + 5)
    desk.agree("app", frozenset({"phone"}), now=NOW + 9)
    assert desk.granted() == {"openid", "email", "phone"}
    assert desk.granted("desk") == {"openid"}
    assert desk.all() == (
        Consent("desk", ("openid",), NOW + 5),
        Consent("app", ("email", "openid", "phone"), NOW),
    )
    assert desk.lines == []


@pytest.mark.row("S-36")
def test_one_opaque_string_for_each_person(desk: Desk) -> None:
    desk.agree("payroll-of-the-north")
    desk.agree("desk")
    value = desk.kept()
    assert value is not None
    assert re.fullmatch(r"[A-Za-z0-9_-]+", value)
    for word in ("payroll", "desk", "openid", "email", "sub-1"):
        assert word not in value
    desk.agree("desk", frozenset({"phone"}))
    again = desk.kept()
    assert again is not None
    assert again[:24] != value[:24], "the nonce was used twice"


@pytest.mark.row("S-36", "S-27")
@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"user_id": "sub-2"}, id="another-person"),
        pytest.param({"realm_id": "second"}, id="another-realm"),
    ],
)
def test_a_string_opens_for_its_person_and_realm_only(desk: Desk, changes: dict[str, str]) -> None:
    desk.agree()
    value = desk.kept()
    assert value is not None
    desk.keep(value, **changes)
    realm = SECOND if "realm_id" in changes else REALM
    user_id = changes.get("user_id", "sub-1")
    assert desk.granted(realm=realm, user_id=user_id) == frozenset()
    (event,) = desk.events()
    assert (event["event"], event["realm"], event["user_id"]) == (
        "provider.consent_unreadable",
        realm.id,
        user_id,
    )
    assert value not in desk.lines[0]


def _sealed_by_us(data: bytes) -> str:
    return Sealer(KeyRing([SECRET]), "provider-consents", f"{REALM.issuer} sub-1").seal(data, NOW)


def _altered(value: str, position: int) -> str:
    return f"{value[:position]}{'A' if value[position] != 'A' else 'B'}{value[position + 1 :]}"


GOOD = _sealed_by_us(encode([Consent("app", ("openid",), NOW)]))


@pytest.mark.row("S-36", "P-10")
@pytest.mark.parametrize(
    "value",
    [
        *(pytest.param(_altered(GOOD, n), id=f"character-{n}") for n in (0, 1, 5, 9, 23, 30, len(GOOD) - 1)),
        pytest.param("", id="empty"),
        pytest.param(GOOD[:-4], id="cut-off"),
        pytest.param(GOOD + "AAAA", id="longer"),
        pytest.param(f"{GOOD}=", id="padded"),
        pytest.param("äöü", id="not-ascii"),
        pytest.param('[["app", ["openid"], 1]]', id="in-clear"),
        pytest.param(_sealed_by_us(b'[["app",["openid"],1]]'), id="sealed-but-no-records"),
        pytest.param(_sealed_by_us(b""), id="sealed-nothing"),
        pytest.param(
            Sealer(KeyRing([SECRET]), "provider-totp", f"{REALM.issuer} sub-1").seal(
                encode([Consent("app", ("openid",), NOW)]), NOW
            ),
            id="sealed-for-another-purpose",
        ),
        pytest.param(
            Sealer(KeyRing([NEXT_SECRET]), "provider-consents", f"{REALM.issuer} sub-1").seal(
                encode([Consent("app", ("openid",), NOW)]), NOW
            ),
            id="another-secret",
        ),
    ],
)
def test_what_cannot_be_read_counts_as_no_consent_and_is_replaced(desk: Desk, value: str) -> None:
    desk.keep(GOOD)
    assert desk.granted() == {"openid"}
    desk.keep(value)
    assert desk.granted() == frozenset()
    assert [event["event"] for event in desk.events()] == ["provider.consent_unreadable"]
    assert desk.agree(scopes=frozenset({"email"})) is None
    assert desk.granted() == {"email"}


@pytest.mark.row("S-36")
def test_a_new_secret_in_front_seals_what_is_written_next(desk: Desk) -> None:
    desk.agree()
    rotated = Desk(desk.store, (NEXT_SECRET, SECRET))
    alone = Desk(desk.store, (NEXT_SECRET,))
    assert rotated.granted() == BOTH
    assert alone.granted() == frozenset()
    rotated.agree("desk")
    assert alone.granted() == BOTH
    assert rotated.lines == []


@pytest.mark.row("S-36")
def test_nothing_is_remembered_where_it_is_not_wanted(desk: Desk) -> None:
    off = realm_with(consent={"store": False})
    desk.agree(realm=off)
    assert desk.kept() is None
    desk.agree()
    assert desk.granted(realm=off) == frozenset()


@pytest.mark.row("S-37")
def test_the_attribute_is_the_one_that_is_configured(desk: Desk) -> None:
    desk.agree(realm=limited(0))
    with desk.store.read() as conn:
        assert conn.scalars(select(schema.user_attributes.c.name)).all() == ["aux_id_10"]
    assert desk.granted(realm=limited(0)) == BOTH
    assert desk.granted() == frozenset()


@pytest.mark.row("S-40", "C-7")
def test_a_full_attribute_keeps_what_it_holds_and_the_operator_is_told(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.agree(realm=limited(0))
    value = desk.kept()
    assert value is not None
    full = limited(len(value))
    with caplog.at_level(logging.WARNING, "provider"):
        said = desk.agree("desk", realm=full)
    assert said is not None
    assert (said.client_id, said.attribute, said.max_bytes) == ("desk", "aux_id_10", len(value))
    assert said.size_bytes > len(value)
    assert f"the consents of sub-1 in realm default need {said.size_bytes} bytes" in caplog.text
    assert desk.kept() == value, "the oldest consent is not given up for the newest"
    assert desk.granted(realm=full) == BOTH


@pytest.mark.row("S-40")
@pytest.mark.parametrize("spare", [0, -1], ids=["fits", "one-byte-short"])
def test_the_limit_is_the_last_length_that_fits(desk: Desk, spare: int) -> None:
    desk.agree(realm=limited(0))
    value = desk.kept()
    assert value is not None
    with desk.store.begin() as conn:
        conn.execute(schema.user_attributes.delete())
    assert (desk.agree(realm=limited(len(value) + spare)) is None) == (spare == 0)


@pytest.mark.row("S-40")
def test_a_limit_that_was_lowered_does_not_keep_consents_from_being_taken_back(desk: Desk) -> None:
    for number in range(20):
        desk.agree(f"client-{number}-{number * 7919}", realm=limited(0))
    low = limited(100)
    kept = len(desk.kept() or "")
    assert desk.withdraw("client-3-23757", realm=low) is not None
    assert desk.granted("client-3-23757", realm=low) == frozenset()
    assert desk.granted("client-4-31676", realm=low) == BOTH
    assert 100 < len(desk.kept() or "") < kept


@pytest.mark.row("S-40")
def test_more_than_can_be_read_again_is_not_stored(desk: Desk) -> None:
    desk.agree()
    said = desk.agree("desk", frozenset({"x" * 5_000_000}))
    assert said is not None
    assert desk.granted() == BOTH
    assert desk.granted("desk") == frozenset()


@pytest.mark.row("S-39")
def test_consents_take_less_room_than_is_said(desk: Desk) -> None:
    """Measured by the command's own function, and held against what is really stored."""
    found = measure(100, NOW)
    assert found.first <= 277
    assert found.further <= 60
    five = frozenset({"openid", "profile", "email", "phone", "address"})
    desk.agree("client-0123456789abcdef", five)
    first = len(desk.kept() or "")
    assert first <= 277
    for number in range(1, 30):
        desk.agree(f"client-{number * 0x9E3779B97F4A7C15 % 2**64:016x}", five, now=NOW + number * 99_991)
    assert (len(desk.kept() or "") - first) / 29 <= 60
    with desk.store.read() as conn:
        kept = desk.consents.of(conn, REALM, "sub-1")
    assert (len(kept.consents), kept.size_bytes, kept.max_bytes) == (30, len(desk.kept() or ""), 0)


def revoked(desk: Desk) -> dict[str, str | None]:
    found = {}
    with desk.store.read() as conn:
        for name in ("mine", "again", "other-client", "other-person"):
            row = find_grant(conn, "default", name)
            assert row is not None
            found[name] = row.revoke_reason
        elsewhere = find_grant(conn, "second", "mine")
        assert elsewhere is not None
        assert elsewhere.revoked_at is None
    return found


@pytest.fixture
def granted(desk: Desk) -> Desk:
    """With grants of two people, two clients and two realms."""
    with desk.store.begin() as conn:
        for realm_id, name, client_id, user_id in (
            ("default", "mine", "app", "sub-1"),
            ("default", "again", "app", "sub-1"),
            ("default", "other-client", "desk", "sub-1"),
            ("default", "other-person", "app", "sub-2"),
            ("second", "mine", "app", "sub-1"),
        ):
            values = {**vars(GRANT), "grant_id": name, "client_id": client_id, "user_id": user_id}
            insert_grant(conn, realm_id, type(GRANT)(**values))
    return desk


@pytest.mark.row("C-13", "A-14")
def test_withdrawing_ends_what_that_client_was_granted_by_that_person(granted: Desk) -> None:
    granted.agree()
    granted.agree("desk")
    assert granted.withdraw() == ConsentWithdrawn("default", "sub-1", "app", 2, "person")
    assert granted.granted() == frozenset()
    assert granted.granted("desk") == BOTH
    assert revoked(granted) == {
        "mine": "consent_withdrawn",
        "again": "consent_withdrawn",
        "other-client": None,
        "other-person": None,
    }
    assert granted.withdraw() is None


@pytest.mark.row("C-13")
def test_the_last_consent_leaves_nothing_behind(desk: Desk) -> None:
    desk.agree()
    assert desk.withdraw() == ConsentWithdrawn("default", "sub-1", "app", 0, "person")
    assert desk.kept() is None


@pytest.mark.row("C-13")
def test_grants_of_a_client_that_nobody_was_asked_for_end_too(granted: Desk) -> None:
    assert granted.withdraw() == ConsentWithdrawn("default", "sub-1", "app", 2, "person")
    assert granted.kept() is None


@pytest.mark.row("C-13", "S-36")
def test_withdrawing_takes_away_what_cannot_be_read(granted: Desk) -> None:
    """The key that opens it may come back, and the consent with it."""
    granted.agree()
    other = Desk(granted.store, (NEXT_SECRET,))
    assert other.withdraw() == ConsentWithdrawn("default", "sub-1", "app", 2, "person")
    assert granted.granted() == frozenset()


@pytest.mark.row("A-13")
@pytest.mark.parametrize("before", [False, True], ids=["first", "further"])
def test_two_pages_that_are_agreed_to_at_once_both_count(desk: Desk, before: bool) -> None:
    if before:
        desk.agree("mail")

    def add(client_id: str, scope: str) -> Any:
        def act(conn: Connection) -> ConsentNotStored | None:
            scopes = frozenset({scope})
            return desk.consents.remember(conn, REALM, "sub-1", client_id, scopes, scopes, NOW)

        return act

    one_after_the_other(desk.store, add("app", "email"), add("app", "phone"))
    one_after_the_other(desk.store, add("app", "openid"), add("desk", "openid"))
    assert desk.granted() == {"email", "phone", "openid"}
    assert desk.granted("desk") == {"openid"}
    assert desk.granted("mail") == (BOTH if before else frozenset())


@pytest.mark.row("A-14", "C-13")
def test_a_withdrawal_waits_for_what_is_being_granted_and_ends_it(granted: Desk) -> None:
    granted.agree()

    def grant(conn: Connection) -> frozenset[str]:
        scopes = granted.consents.granted(conn, REALM, "sub-1", "app")
        insert_grant(conn, "default", type(GRANT)(**{**vars(GRANT), "grant_id": "newest"}))
        return scopes

    scopes, withdrawn = one_after_the_other(
        granted.store,
        grant,
        lambda conn: granted.consents.withdraw(conn, REALM, "sub-1", "app", NOW, by="operator"),
    )
    assert scopes == BOTH
    assert withdrawn == ConsentWithdrawn("default", "sub-1", "app", 3, "operator")
    with granted.store.read() as conn:
        newest = find_grant(conn, "default", "newest")
    assert newest is not None
    assert newest.revoke_reason == "consent_withdrawn"


@pytest.mark.row("A-14")
def test_what_is_granted_waits_for_a_withdrawal(desk: Desk) -> None:
    desk.agree()
    desk.agree("desk")
    _, scopes = one_after_the_other(
        desk.store,
        lambda conn: desk.consents.withdraw(conn, REALM, "sub-1", "app", NOW, by="operator"),
        lambda conn: desk.consents.granted(conn, REALM, "sub-1", "app"),
    )
    assert scopes == frozenset()
