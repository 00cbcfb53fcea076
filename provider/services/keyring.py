"""The signing keys of a realm: made once, sealed at rest, published before they sign and after they stop.

A key is `next` (published, does not sign yet), then `current` (signs), then `retired` (published until the
last token it signed has ended). Signing itself is `oidcgate.jose`, sealing `oidcgate.web.sealing`, the rows
`provider.store.keys`.
"""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from cachetools import LRUCache
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from oidcgate.audit import Audit
from oidcgate.jose.jwt import sign
from oidcgate.jose.keys import (
    Key,
    VerificationKey,
    generate_key,
    import_key,
    import_public_keys,
    private_jwk,
    public_jwk,
    thumbprint_kid,
)
from oidcgate.protocol.errors import ServerError
from oidcgate.web.sealing import KeyRing, Sealer
from provider.events import KeyCreated, KeyPromoted
from provider.realm import Realm
from provider.store.engine import Store
from provider.store.keys import KeyRow, insert_key, list_keys, promote_key, retire_key

SIGNING_ALGORITHM: Final = "RS256"
#: How long a key is published before it signs: what clients may keep a key set, several times over.
PUBLISH_AHEAD_SECONDS: Final = 86_400
#: How long a key set may be kept by those who fetched it (`Cache-Control` of `/jwks`).
KEY_SET_MAX_AGE_SECONDS: Final = 3600


class RotationPending(Exception):
    """A next key is published already and waits for its time."""


@dataclass(frozen=True)
class Signer:
    """A key that signs; it needs no database."""

    kid: str
    alg: str
    key: Key = field(repr=False)

    def sign(self, claims: Mapping[str, Any], *, typ: str | None = None) -> str:
        """The claims as a signed token."""
        return sign(claims, self.key, self.alg, kid=self.kid, typ=typ)


@dataclass(frozen=True)
class SigningKeys:
    """The keys of every realm.

    Attributes:
        secrets: seals the private parts; they open under any of its keys.
        loaded: private keys that were opened, by realm and kid.
    """

    secrets: KeyRing
    audit: Audit
    loaded: "LRUCache[tuple[str, str], Key]" = field(
        default_factory=lambda: LRUCache(maxsize=256), repr=False
    )
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def ensure(self, store: Store, realm: Realm, now: int) -> None:
        """Make the first key unless there is one. However many processes ask at once, exactly one is made."""
        with store.read() as conn:
            present = list_keys(conn, realm.id)
        if not present:
            created = self._make(realm, "current", now, now)
            try:
                with store.begin() as conn:
                    if list_keys(conn, realm.id):
                        return
                    insert_key(conn, realm.id, created)
            except IntegrityError:
                return  # another process was first
            self.audit.emit(KeyCreated(realm.id, created.kid, created.state))

    def settle(self, store: Store, realm: Realm, now: int) -> None:
        """Write down that a next key whose time has come is the current one, and retire the one before."""
        with store.read() as conn:
            if _due(list_keys(conn, realm.id), now) is None:
                return
        with store.begin() as conn:
            promoted = self._promote(conn, realm, now)
        if promoted is not None:
            self.audit.emit(promoted)

    def rotate(self, store: Store, realm: Realm, now: int, *, at_once: bool = False) -> KeyRow:
        """Publish a next key, which signs after `PUBLISH_AHEAD_SECONDS`.

        Args:
            at_once: it signs from now on, as does a next key that was waiting; verifiers must fetch the key
                set again.

        Returns:
            The new key, or the one that was waiting.

        Raises:
            RotationPending: a next key is waiting, and `at_once` was not asked for.
        """
        self.settle(store, realm, now)
        made = self._make(realm, "next", now, now if at_once else now + PUBLISH_AHEAD_SECONDS)
        with store.begin() as conn:
            waiting = next(
                (row for row in list_keys(conn, realm.id, for_update=True) if row.state == "next"), None
            )
            if waiting is not None and not at_once:
                raise RotationPending(
                    f"key {waiting.kid} is published and signs from {waiting.not_before} on"
                )
            row = waiting or made
            if waiting is None:
                insert_key(conn, realm.id, made)
            promoted = self._promote(conn, realm, row.not_before if at_once else now)
        if waiting is None:
            self.audit.emit(KeyCreated(realm.id, row.kid, row.state))
        if promoted is not None:
            self.audit.emit(promoted)
        return row

    def signer(self, conn: Connection, realm: Realm, alg: str, now: int) -> "Signer":
        """The key whose time it is."""
        rows = [row for row in list_keys(conn, realm.id) if row.alg == alg]
        row = _due(rows, now) or next((row for row in rows if row.state == "current"), None)
        if row is None:
            raise ServerError(detail=f"realm {realm.id} has no signing key")
        return Signer(row.kid, row.alg, self._private(realm, row))

    def key_set(self, conn: Connection, realm: Realm, now: int) -> dict[str, Any]:
        """The public keys as `/jwks` shows them: next, current, and retired ones with tokens still good."""
        published = [
            row
            for row in list_keys(conn, realm.id)
            if row.state != "retired" or (row.published_until or 0) > now
        ]
        return {"keys": [dict(row.public_jwk) for row in published]}

    def verification_keys(self, conn: Connection, realm: Realm) -> tuple[VerificationKey, ...]:
        """Every key the realm ever signed with: an ID token that comes back as a hint may be long past."""
        return import_public_keys({"keys": [dict(row.public_jwk) for row in list_keys(conn, realm.id)]})

    def unreadable(self, conn: Connection, realm: Realm) -> list[str]:
        """The kids of keys that the configured secret does not open."""
        rows = [row for row in list_keys(conn, realm.id) if row.state != "retired"]
        return [row.kid for row in rows if self._open(realm, row) is None]

    def _make(self, realm: Realm, state: str, now: int, not_before: int) -> KeyRow:
        key = generate_key(SIGNING_ALGORITHM)
        kid = thumbprint_kid(key)
        sealed = self._sealer(realm, kid).seal(json.dumps(private_jwk(key)).encode(), now)
        public = public_jwk(key, kid, SIGNING_ALGORITHM)
        return KeyRow(kid, "sig", SIGNING_ALGORITHM, state, not_before, None, sealed, public, now)

    def _promote(self, conn: Connection, realm: Realm, now: int) -> KeyPromoted | None:
        rows = list_keys(conn, realm.id, for_update=True)
        due = _due(rows, now)
        if due is None:
            return None
        lifetimes = realm.settings.lifetimes
        retired = [row.kid for row in rows if row.state == "current"]
        for kid in retired:
            until = now + lifetimes.id_token_seconds + lifetimes.clock_skew_seconds
            retire_key(conn, realm.id, kid, until)
        promote_key(conn, realm.id, due.kid)
        return KeyPromoted(realm.id, due.kid, " ".join(retired))

    def _private(self, realm: Realm, row: KeyRow) -> Key:
        with self.lock:
            key = self.loaded.get((realm.id, row.kid))
        if key is None:
            opened = self._open(realm, row)
            if opened is None:
                raise ServerError(detail=f"the configured secret does not open signing key {row.kid}")
            key = import_key(json.loads(opened))
            with self.lock:
                self.loaded[realm.id, row.kid] = key
        return key

    def _open(self, realm: Realm, row: KeyRow) -> bytes | None:
        return None if row.sealed_private is None else self._sealer(realm, row.kid).open(row.sealed_private)

    def _sealer(self, realm: Realm, kid: str) -> Sealer:
        # Bound to its realm and kid: a sealed key that is copied to another row does not open there.
        return Sealer(self.secrets, "provider-signing-key", f"{realm.id}/{kid}")


def _due(rows: list[KeyRow], now: int) -> KeyRow | None:
    return next((row for row in rows if row.state == "next" and row.not_before <= now), None)
