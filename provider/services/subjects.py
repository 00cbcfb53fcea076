"""Who a person is to a client: whatever says a `sub` of a person asks `Subjects.of` for it.

How a pairwise one is computed is `pairwise`, which sector a client belongs to `provider.client_rules`, the
rows are `provider.store.subject_secrets`. What comes back from a client (a hint, a `sub` it asks for) is
compared forward, with the `sub` of the person who is there: nothing leads from a pairwise one to its person.
"""

import secrets
import threading
from dataclasses import dataclass, field
from typing import Final

from cachetools import LRUCache
from sqlalchemy import Connection

from oidcgate.protocol.errors import ServerError
from oidcgate.web.sealing import KeyRing, Sealer
from provider.realm import Realm
from provider.services.pairwise import pairwise_subject
from provider.store import subject_secrets
from provider.store.clients import Client
from provider.store.engine import Store

_BYTES: Final = 32


@dataclass(frozen=True)
class Subjects:
    """The subjects of every realm.

    Attributes:
        ring: Seals the secret of each realm; it opens under any of its keys.
        opened: Secrets by realm. They never change.
    """

    ring: KeyRing
    opened: "LRUCache[str, bytes]" = field(default_factory=lambda: LRUCache(maxsize=1000), repr=False)
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def of(self, conn: Connection, realm: Realm, client: Client, user_id: str) -> str:
        """The `sub` of a person in what that client is told.

        Raises:
            ServerError: the client belongs to no sector, or the configured secret does not open the realm's.

        Spec: OIDC Core 8.
        """
        if client.subject_type != "pairwise":
            return user_id
        if client.sector is None:
            raise ServerError(detail=f"client {client.client_id} is pairwise and belongs to no sector")
        return pairwise_subject(self._secret(conn, realm), realm.id, client.sector, user_id)

    def ensure(self, store: Store, realm: Realm, now: int) -> None:
        """Make the secret of a realm that has none; seal the one there is anew when the ring has a newer key.

        However many processes ask at once, there is one. One that does not open is left alone: another would
        make everybody somebody else (`unreadable` says so).
        """
        with store.read() as conn:
            sealed = subject_secrets.find(conn, realm.id)
        sealer = self._sealer(realm)
        if sealed is None:
            made = sealer.seal(secrets.token_bytes(_BYTES), now)
            with store.begin() as conn:
                subject_secrets.add(conn, realm.id, made, now)
            return
        secret = sealer.open(sealed)
        if secret is not None and not sealer.is_newest(sealed):
            with store.begin() as conn:
                subject_secrets.reseal(conn, realm.id, sealed, sealer.seal(secret, now))

    def unreadable(self, conn: Connection, realm: Realm) -> bool:
        """Whether the configured secret does not open that of a realm."""
        sealed = subject_secrets.find(conn, realm.id)
        return sealed is not None and self._sealer(realm).open(sealed) is None

    def _secret(self, conn: Connection, realm: Realm) -> bytes:
        with self.lock:
            secret = self.opened.get(realm.id)
        if secret is None:
            sealed = subject_secrets.find(conn, realm.id)
            secret = None if sealed is None else self._sealer(realm).open(sealed)
            if secret is None:
                raise ServerError(detail=f"realm {realm.id} has no secret for subjects, or it does not open")
            with self.lock:
                self.opened[realm.id] = secret
        return secret

    def _sealer(self, realm: Realm) -> Sealer:
        # Bound to its realm: one that is copied to another row does not open there.
        return Sealer(self.ring, "provider-subjects", realm.id)
