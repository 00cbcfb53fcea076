"""Private keys at rest: sealed under the provider's secret, bound to their realm and name, opened once.

What a key is for, and how long it lives, is `keyring` for those that sign and `encryption_keys` for those
that open; the rows are `provider.store.keys`.
"""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cachetools import LRUCache
from sqlalchemy import Connection

from oidcgate.jose.keys import Key, private_jwk, read_key
from oidcgate.protocol.errors import ServerError
from oidcgate.web.sealing import KeyRing, Sealer
from provider.realm import Realm
from provider.store.keys import KeyRow, list_keys


@dataclass(frozen=True)
class KeyVault:
    """Seals and opens the keys of every realm.

    Attributes:
        secrets: seals the private parts; they open under any of its keys.
        loaded: keys that were opened or read, by realm, kid and whether the private part is there.
    """

    secrets: KeyRing
    loaded: "LRUCache[tuple[str, str, bool], Key]" = field(
        default_factory=lambda: LRUCache(maxsize=512), repr=False
    )
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def seal(self, realm: Realm, kid: str, key: Key, now: int) -> str:
        """The private part as a row keeps it."""
        return self._sealer(realm, kid).seal(json.dumps(private_jwk(key)).encode(), now)

    def private(self, realm: Realm, row: KeyRow) -> Key:
        """The whole key of a row.

        Raises:
            ServerError: the configured secret does not open it, or it is not there any more.
        """
        return self._loaded(realm, row, private=True)

    def public(self, realm: Realm, row: KeyRow) -> Key:
        """The public part of a row."""
        return self._loaded(realm, row, private=False)

    def unreadable(self, conn: Connection, realm: Realm) -> list[str]:
        """The kids of the realm's keys that the configured secret does not open."""
        rows = [row for use in ("sig", "enc") for row in list_keys(conn, realm.id, use)]
        return [row.kid for row in rows if row.state != "retired" and self._open(realm, row) is None]

    def _loaded(self, realm: Realm, row: KeyRow, *, private: bool) -> Key:
        with self.lock:
            key = self.loaded.get((realm.id, row.kid, private))
        if key is None:
            document: Mapping[str, Any] = row.public_jwk
            if private:
                opened = self._open(realm, row)
                if opened is None:
                    raise ServerError(detail=f"the configured secret does not open key {row.kid}")
                document = json.loads(opened)
            key = read_key(document)
            with self.lock:
                self.loaded[realm.id, row.kid, private] = key
        return key

    def _open(self, realm: Realm, row: KeyRow) -> bytes | None:
        return None if row.sealed_private is None else self._sealer(realm, row.kid).open(row.sealed_private)

    def _sealer(self, realm: Realm, kid: str) -> Sealer:
        # Bound to its realm and kid: a sealed key that is copied to another row does not open there. The
        # purpose is older than the keys that do not sign.
        return Sealer(self.secrets, "provider-signing-key", f"{realm.id}/{kid}")
