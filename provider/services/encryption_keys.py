"""The keys of a realm that request objects are encrypted to: made, published, replaced, gone at their end.

One for each algorithm that the realm offers. What was encrypted to the key before still opens for as long as
somebody may have kept our key set; then its private part is gone. Keys that sign are `keyring`; sealing is
`key_vault`, the rows `provider.store.keys`, what is opened `oidcgate.jose.jwe`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from oidcgate.audit import Audit, Event
from oidcgate.jose.jwe import JWEError, decrypt, encryption_jwk, generate_encryption_key
from oidcgate.jose.keys import thumbprint_kid
from oidcgate.protocol.errors import InvalidRequestObject
from provider.client_crypto import DEFAULT_ENC
from provider.events import KeyCreated, KeyRetired
from provider.realm import Realm
from provider.services.key_vault import KeyVault
from provider.services.keyring import PUBLISH_AHEAD_SECONDS, RotationRefused
from provider.store.clients import Client
from provider.store.engine import Store
from provider.store.keys import KeyRow, delete_key, insert_key, list_keys, retire_key

_USE: Final = "enc"


@dataclass(frozen=True)
class EncryptionKeys:
    """The keys of every realm."""

    store: Store
    vault: KeyVault
    audit: Audit

    def ensure(self, realm: Realm, now: int) -> None:
        """Make the key of each algorithm that has none. However many processes ask, exactly one is made."""
        with self.store.read() as conn:
            present = list_keys(conn, realm.id, _USE)
        missing = [alg for alg in _offered(realm) if _current(present, alg) is None]
        self._make(realm, missing, now)

    def rotate(self, realm: Realm, alg: str, now: int) -> None:
        """Make a key in place of the one of that algorithm; what was encrypted to that still opens for a day.

        Raises:
            RotationRefused: the realm does not offer the algorithm.
        """
        if alg not in _offered(realm):
            raise RotationRefused(f"{alg} has no keys; list it in request_objects.encryption_algorithms")
        with self.store.read() as conn:
            current = _current(list_keys(conn, realm.id, _USE), alg)
        self._make(realm, [alg], now, replaced=current)

    def retire_unoffered(self, realm: Realm, now: int) -> list[str]:
        """Retire the keys of algorithms that the configuration no longer names; returns their kids."""
        with self.store.begin() as conn:
            rows = list_keys(conn, realm.id, _USE, for_update=True)
            retired = [row.kid for row in rows if row.state == "current" and row.alg not in _offered(realm)]
            for kid in retired:
                _retire(conn, realm, kid, now)
        self._report(KeyRetired(realm.id, kid) for kid in retired)
        return retired

    def tend(self, realm: Realm, now: int) -> None:
        """Replace keys that are as old as the realm lets a key become; forget those whose time is over."""
        with self.store.read() as conn:
            rows = list_keys(conn, realm.id, _USE)
        for row in rows:
            if _outlived(realm, row, now):
                self._make(realm, [row.alg], now, replaced=row)
        over = [row.kid for row in rows if row.state == "retired" and not _opens(row, now)]
        if over:
            with self.store.begin() as conn:
                for kid in over:
                    delete_key(conn, realm.id, kid)

    def published(self, conn: Connection, realm: Realm) -> list[dict[str, Any]]:
        """The public keys as `/jwks` shows them."""
        rows = list_keys(conn, realm.id, _USE) if _offered(realm) else []
        return [dict(row.public_jwk) for row in rows if row.state == "current" and row.alg in _offered(realm)]

    def opened(self, realm: Realm, client: Client, token: str, now: int) -> str:
        """The signed token inside one that was encrypted to this realm, for the caller to verify.

        Raises:
            InvalidRequestObject: it does not open, or is not encrypted as this client does.
            ServerError: the configured secret does not open the key.

        Spec: OIDC Core 6.1; RFC 9101 6.1.
        """
        alg, enc = client.request_object_encryption_alg, client.request_object_encryption_enc or DEFAULT_ENC
        if not alg or alg not in _offered(realm):
            raise InvalidRequestObject("this client is not registered to encrypt its request objects")
        with self.store.read() as conn:
            rows = [row for row in list_keys(conn, realm.id, _USE) if row.alg == alg and _opens(row, now)]
        keys = {row.kid: self.vault.private(realm, row) for row in rows}
        try:
            return decrypt(token, keys, (alg,), (enc,))
        except JWEError as error:
            raise InvalidRequestObject(f"encrypted request object: {error.detail}") from None

    def _make(self, realm: Realm, algs: list[str], now: int, *, replaced: KeyRow | None = None) -> None:
        """Make keys where there are none, and in place of the one that is to be replaced."""
        if not algs:
            return
        # Before the transaction: an RSA key takes longer to make than anybody should wait for the lock.
        made = [self._row(realm, alg, now) for alg in algs]
        events: list[Event] = []
        with self.store.begin() as conn:
            present = list_keys(conn, realm.id, _USE, for_update=True)
            for row in made:
                before = _current(present, row.alg)
                if before is not None:
                    if replaced is None or before.kid != replaced.kid:
                        continue  # another process was first
                    _retire(conn, realm, before.kid, now)
                insert_key(conn, realm.id, row)
                events.append(KeyCreated(realm.id, row.kid, row.alg, row.state))
        self._report(events)

    def _row(self, realm: Realm, alg: str, now: int) -> KeyRow:
        key = generate_encryption_key(alg)
        kid = thumbprint_kid(key)
        sealed = self.vault.seal(realm, kid, key, now)
        return KeyRow(kid, _USE, alg, "current", now, None, sealed, encryption_jwk(key, kid, alg), now)

    def _report(self, events: Iterable[Event]) -> None:
        for event in events:
            self.audit.emit(event)


def _offered(realm: Realm) -> tuple[str, ...]:
    return realm.settings.request_objects.encryption_algorithms


def _current(rows: Iterable[KeyRow], alg: str) -> KeyRow | None:
    return next((row for row in rows if row.alg == alg and row.state == "current"), None)


def _opens(row: KeyRow, now: int) -> bool:
    return row.state == "current" or (row.published_until or 0) > now


def _outlived(realm: Realm, row: KeyRow, now: int) -> bool:
    days = realm.settings.key_rotation_days
    return (
        bool(days)
        and row.state == "current"
        and row.alg in _offered(realm)
        and (row.not_before <= now - days * 86_400)
    )


def _retire(conn: Connection, realm: Realm, kid: str, now: int) -> None:
    retire_key(conn, realm.id, kid, now + PUBLISH_AHEAD_SECONDS, keep_private=True)
