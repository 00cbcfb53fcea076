"""`/healthz` (the process answers) and `/readyz` (it can serve).

Both are open, and say nothing that an attacker could use.
"""

from dataclasses import dataclass

from werkzeug import Request, Response

from provider.endpoints.answers import json_response
from provider.realm import Realm
from provider.services.keyring import SigningKeys
from provider.store.engine import Store, StoreUnavailable


@dataclass(frozen=True)
class Alive:
    """The process is there. Looks at nothing: a database that is gone must not get the process restarted."""

    def __call__(self, _realm: Realm, _request: Request) -> Response:
        """Always 200."""
        return json_response({"status": "ok"})


@dataclass(frozen=True)
class Ready:
    """The database answers and the realm's keys open."""

    store: Store
    keys: SigningKeys

    def __call__(self, realm: Realm, _request: Request) -> Response:
        """200, or 503 with what is missing."""
        try:
            with self.store.read() as conn:
                locked = self.keys.vault.unreadable(conn, realm)
                present = bool(self.keys.key_set(conn, realm, 0)["keys"])
        except StoreUnavailable:
            return _not_ready("database")
        return json_response({"status": "ok"}) if present and not locked else _not_ready("signing_key")


def _not_ready(part: str) -> Response:
    return json_response({"status": "unavailable", "part": part}, status=503, headers={"Retry-After": "5"})
