"""Removing applications that registered themselves and that nobody ever used.

What a client was given hangs on a grant, so a client that has one is in use. That is noted from time to time,
before grants are swept, and costs nobody who signs in anything. When this is done is `housekeeping`.
"""

from dataclasses import dataclass

from oidcgate.audit import Audit
from provider.events import RegistrationChanged
from provider.realm import Realm
from provider.services.clients import Clients
from provider.store.clients import find_unused, note_use
from provider.store.engine import Store


@dataclass(frozen=True)
class UnusedClients:
    """Finds and removes them."""

    store: Store
    clients: Clients
    audit: Audit

    def sweep(self, realm: Realm, now: int, limit: int) -> int:
        """Note which clients are in use, and remove at most `limit` of the others whose time is over.

        Returns:
            How many were removed.
        """
        kept_seconds = realm.settings.registration.unused_seconds
        with self.store.begin() as conn:
            note_use(conn, realm.id, now)
            ended = (
                find_unused(conn, realm.id, before=now - kept_seconds, limit=limit) if kept_seconds else []
            )
            came_by = {}
            for client_id in ended:
                found = self.clients.find(conn, realm, client_id)
                came_by[client_id] = None if found is None else found.initial_token_id
                self.clients.remove(conn, realm, client_id, now)
        for client_id, token_id in came_by.items():
            self.audit.emit(RegistrationChanged(realm.id, client_id, token_id, "expired"))
        return len(came_by)
