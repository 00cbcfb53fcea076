"""The signing keys of a realm: made once, sealed at rest, published before they sign and after they stop.

For each algorithm of the realm a key is `next` (published, does not sign yet), then `current` (signs), then
`retired` (published until the last token it signed has ended). A certificate and key of the configuration are
such a key too, for the realm's usual algorithm. Signing itself is `oidcgate.jose`, sealing `key_vault`, the
rows `provider.store.keys`; keys that others encrypt to are `encryption_keys`.
"""

import secrets
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import urlsplit

from cachetools import LRUCache
from sqlalchemy import Connection

from oidcgate.audit import Audit, Event
from oidcgate.jose.certificates import self_signed
from oidcgate.jose.jwt import sign
from oidcgate.jose.keys import (
    Key,
    VerificationKey,
    generate_key,
    public_jwk,
    thumbprint_kid,
)
from oidcgate.protocol.errors import ServerError
from provider.events import KeyCreated, KeyPromoted, KeyRetired
from provider.realm import Realm
from provider.services.key_vault import KeyVault
from provider.store.engine import Store
from provider.store.keys import (
    KeyRow,
    delete_key,
    insert_key,
    list_keys,
    list_signing_keys,
    promote_key,
    replace_public_jwk,
    retire_key,
)

#: How long a key is published before it signs: what clients may keep a key set, several times over.
PUBLISH_AHEAD_SECONDS: Final = 86_400
#: How long a key set may be kept by those who fetched it (`Cache-Control` of `/jwks`).
KEY_SET_MAX_AGE_SECONDS: Final = 3600
#: How long a process goes on with the key it found, before it looks again.
SIGNER_SECONDS: Final = 5
# The certificate of a generated key begins a little earlier than the key, for those whose clock is late, and
# ends long after every key of that age was replaced.
_CERTIFICATE_BACKDATED_SECONDS: Final = 3600
_CERTIFICATE_SECONDS: Final = 3650 * 86_400
_SERIAL_BITS: Final = 150


class RotationRefused(Exception):
    """The key is not to be replaced in this way; the message says what to do."""


class RotationPending(RotationRefused):
    """A next key is published already and waits for its time."""


@dataclass(frozen=True)
class Signer:
    """A key that signs, ready to do it: it needs no database, so a transaction can be over by then."""

    kid: str
    alg: str
    key: Key = field(repr=False)

    def sign(self, claims: Mapping[str, Any], *, typ: str | None = None) -> str:
        """The claims as a signed token; `typ` says of what kind it is."""
        return sign(claims, self.key, self.alg, kid=self.kid, typ=typ)


@dataclass(frozen=True)
class _Found:
    """A signer as it was found, for so long as nobody else can be due."""

    signer: Signer
    since: int
    until: int


@dataclass(frozen=True)
class SigningKeys:
    """The keys of every realm.

    Attributes:
        vault: seals the private parts.
        found: who signs, by realm and algorithm.
    """

    vault: KeyVault
    audit: Audit
    found: "LRUCache[tuple[str, str], _Found]" = field(
        default_factory=lambda: LRUCache(maxsize=256), repr=False
    )
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def ensure(self, store: Store, realm: Realm, now: int) -> None:
        """Make the first key of each algorithm that has none, and take up the pair of the configuration.

        However many processes ask at once, exactly one key is made of each. A pair that replaces another key
        is published now and signs after `PUBLISH_AHEAD_SECONDS`.
        """
        self.settle(store, realm, now)
        with store.read() as conn:
            present = list_keys(conn, realm.id)
        taken_up = self._pair_row(realm, present, now)
        missing = [
            alg
            for alg in realm.settings.key_algorithms
            if not realm.settings.has_pair_for(alg) and not _live(present, alg)
        ]
        if taken_up is None and not missing:
            return
        # Before the transaction: an RSA key takes longer to make than anybody should wait for the lock.
        made = [self._make(realm, alg, "current", now, now) for alg in missing]
        events: list[Event] = []
        with store.begin() as conn:
            present = list_keys(conn, realm.id, for_update=True)
            for row in made:
                if not _live(present, row.alg):
                    insert_key(conn, realm.id, row)
                    events.append(KeyCreated(realm.id, row.kid, row.alg, row.state))
            events.extend(self._take_up(conn, realm, present, now))
        self._report(events)

    def settle(self, store: Store, realm: Realm, now: int) -> None:
        """Write down that a next key whose time has come is the current one, and retire the one before."""
        with store.read() as conn:
            if not _all_due(list_keys(conn, realm.id), now):
                return
        with store.begin() as conn:
            rows = list_keys(conn, realm.id, for_update=True)
            events = [self._promote(conn, realm, rows, due, now, now) for due in _all_due(rows, now)]
        self._report(events)

    def rotate(self, store: Store, realm: Realm, alg: str, now: int, *, at_once: bool = False) -> KeyRow:
        """Publish a next key, which signs after `PUBLISH_AHEAD_SECONDS`.

        Args:
            at_once: it signs from now on, as does a next key that was waiting; verifiers must fetch the key
                set again.

        Returns:
            The new key, or the one that was waiting.

        Raises:
            RotationPending: a next key is waiting, and `at_once` was not asked for.
            RotationRefused: the algorithm is not offered, or its key is that of the configuration.
        """
        self.settle(store, realm, now)
        if alg not in realm.settings.key_algorithms:
            raise RotationRefused(f"{alg} has no keys; list it in further_signing_algorithms first")
        made = (
            None
            if realm.settings.has_pair_for(alg)
            else self._make(realm, alg, "next", now, now + PUBLISH_AHEAD_SECONDS)
        )
        events: list[Event] = []
        with store.begin() as conn:
            rows = list_keys(conn, realm.id, for_update=True)
            row = _in_state(rows, alg, "next")
            if row is not None and not at_once:
                raise RotationPending(f"key {row.kid} is published and signs from {row.not_before} on")
            if row is None:
                row = made
                if row is None:
                    raise RotationRefused(
                        f"the key of {alg} is that of signing_cert; configure another pair and restart"
                    )
                insert_key(conn, realm.id, row)
                events.append(KeyCreated(realm.id, row.kid, alg, row.state))
            if at_once:
                # Other processes sign with the key before for a moment longer.
                events.append(self._promote(conn, realm, rows, row, now, now + SIGNER_SECONDS))
        self._report(events)
        return replace(row, state="current", not_before=now) if at_once else row

    def retire_unoffered(self, store: Store, realm: Realm, now: int) -> list[str]:
        """Retire the keys of algorithms that the configuration no longer names; returns their kids."""
        retired: list[str] = []
        with store.begin() as conn:
            for row in list_keys(conn, realm.id, for_update=True):
                if row.alg in realm.settings.key_algorithms or row.state == "retired":
                    continue
                retired.append(row.kid)
                if row.state == "next":
                    delete_key(conn, realm.id, row.kid)
                else:
                    until = now + SIGNER_SECONDS + realm.settings.longest_token_seconds
                    retire_key(conn, realm.id, row.kid, until)
        self._report([KeyRetired(realm.id, kid) for kid in retired])
        return retired

    def signer(self, conn: Connection, realm: Realm, alg: str, now: int) -> Signer:
        """The key of that algorithm whose time it is.

        The answer is remembered for `SIGNER_SECONDS`, but never past the time of the next key.

        Raises:
            ServerError: there is none, or the configured secret does not open it.
        """
        with self.lock:
            found = self.found.get((realm.id, alg))
        if found is not None and found.since <= now < found.until:
            return found.signer
        rows = list_signing_keys(conn, realm.id, alg)
        row = next(iter(_all_due(rows, now)), None) or _in_state(rows, alg, "current")
        if row is None:
            raise ServerError(detail=f"realm {realm.id} has no signing key for {alg}")
        signer = Signer(row.kid, row.alg, self.vault.private(realm, row))
        until = min([now + SIGNER_SECONDS, *(other.not_before for other in rows if other.not_before > now)])
        with self.lock:
            self.found[realm.id, alg] = _Found(signer, now, until)
        return signer

    def key_set(self, conn: Connection, realm: Realm, now: int) -> dict[str, Any]:
        """The public keys as `/jwks` shows them: next, current, and retired ones with tokens still good."""
        return {"keys": [dict(row.public_jwk) for row in _published(list_keys(conn, realm.id), now)]}

    def verification_keys(
        self, conn: Connection, realm: Realm, *, published_at: int | None = None
    ) -> tuple[VerificationKey, ...]:
        """Keys that are known to have signed in the realm, each for its own algorithm and no other.

        Args:
            published_at: Only those that are in the key set at this instant: nothing that another one signed
                is still good, and a key that came into other hands ends with that. None for every key there
                ever was: an ID token that comes back as a hint may be long past.
        """
        rows = list_keys(conn, realm.id)
        return tuple(
            VerificationKey(self.vault.public(realm, row), row.kid, row.alg)
            for row in (rows if published_at is None else _published(rows, published_at))
        )

    def pair_in_the_way(self, conn: Connection, realm: Realm) -> str | None:
        """The algorithm for which the configured pair signs already, if it is not the configured one.

        One kid cannot stand for two algorithms: verifiers hold a key to the one it is published with.
        """
        pair = realm.settings.signing_pair
        if pair is None:
            return None
        row = _of_kid(list_keys(conn, realm.id), thumbprint_kid(pair.key))
        return None if row is None or row.alg == realm.settings.signing_algorithm else row.alg

    def _take_up(self, conn: Connection, realm: Realm, present: list[KeyRow], now: int) -> Iterable[Event]:
        """Write the pair of the configuration down, if it is not there as it should be."""
        row = self._pair_row(realm, present, now)
        if row is None:
            return
        before = _of_kid(present, row.kid)
        if before is not None and before.state != "retired":
            replace_public_jwk(conn, realm.id, row.kid, row.public_jwk)
            return
        if before is not None:
            delete_key(conn, realm.id, before.kid)  # it comes back
        waiting = _in_state(present, row.alg, "next")
        if waiting is not None:
            delete_key(conn, realm.id, waiting.kid)  # it never signed
        insert_key(conn, realm.id, row)
        yield KeyCreated(realm.id, row.kid, row.alg, row.state)

    def _pair_row(self, realm: Realm, present: list[KeyRow], now: int) -> KeyRow | None:
        """The row that the pair of the configuration should have; None when there is nothing to change."""
        pair, alg = realm.settings.signing_pair, realm.settings.signing_algorithm
        if pair is None:
            return None
        kid = thumbprint_kid(pair.key)
        public = public_jwk(pair.key, kid, alg, pair.chain)
        before = _of_kid(present, kid)
        if before is not None and before.alg != alg:
            return None  # `pair_in_the_way` says so
        if before is not None and before.state != "retired" and before.public_jwk == public:
            return None
        first = _in_state(present, alg, "current") is None
        state, not_before = ("current", now) if first else ("next", now + PUBLISH_AHEAD_SECONDS)
        return self._row(realm, pair.key, public, state, now, not_before)

    def _make(self, realm: Realm, alg: str, state: str, now: int, not_before: int) -> KeyRow:
        key = generate_key(alg)
        begins, ends = now - _CERTIFICATE_BACKDATED_SECONDS, now + _CERTIFICATE_SECONDS
        host = urlsplit(realm.issuer).hostname or ""
        certificate = self_signed(key, host, begins, ends, secrets.randbits(_SERIAL_BITS) + 1)
        public = public_jwk(key, thumbprint_kid(key), alg, (certificate,))
        return self._row(realm, key, public, state, now, not_before)

    def _row(
        self, realm: Realm, key: Key, public: dict[str, Any], state: str, now: int, not_before: int
    ) -> KeyRow:
        kid = public["kid"]
        sealed = self.vault.seal(realm, kid, key, now)
        return KeyRow(kid, "sig", public["alg"], state, not_before, None, sealed, public, now)

    def _promote(
        self, conn: Connection, realm: Realm, rows: list[KeyRow], due: KeyRow, now: int, stops_at: int
    ) -> KeyPromoted:
        before = _in_state(rows, due.alg, "current")
        if before is not None:
            retire_key(conn, realm.id, before.kid, stops_at + realm.settings.longest_token_seconds)
        promote_key(conn, realm.id, due.kid, min(due.not_before, now))
        return KeyPromoted(realm.id, due.kid, due.alg, "" if before is None else before.kid)

    def _report(self, events: Iterable[Event]) -> None:
        """After the commit: this process looks anew who signs, and the operator is told."""
        with self.lock:
            self.found.clear()
        for event in events:
            self.audit.emit(event)


def _all_due(rows: Iterable[KeyRow], now: int) -> list[KeyRow]:
    return [row for row in rows if row.state == "next" and row.not_before <= now]


def _published(rows: Iterable[KeyRow], now: int) -> list[KeyRow]:
    return [row for row in rows if row.state != "retired" or (row.published_until or 0) > now]


def _live(rows: Iterable[KeyRow], alg: str) -> bool:
    return any(row.alg == alg and row.state != "retired" for row in rows)


def _in_state(rows: Iterable[KeyRow], alg: str, state: str) -> KeyRow | None:
    return next((row for row in rows if row.alg == alg and row.state == state), None)


def _of_kid(rows: Iterable[KeyRow], kid: str) -> KeyRow | None:
    return next((row for row in rows if row.kid == kid), None)
