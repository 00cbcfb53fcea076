"""`/revoke`: a client gives a token back.

What is stopped is `provider.services.revocation`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from werkzeug import Request, Response

from oidcgate.audit import Audit
from oidcgate.protocol.token_query import parse_token_query
from provider.endpoints.client_entrance import ClientEntrance
from provider.endpoints.parameters import form_pairs
from provider.realm import Realm
from provider.services.revocation import Revocation
from provider.store.engine import Store


@dataclass(frozen=True)
class Revoke:
    """Spec: RFC 7009 2."""

    store: Store
    entrance: ClientEntrance
    revocation: Revocation
    audit: Audit
    clock: Callable[[], float]

    def __call__(self, realm: Realm, request: Request) -> Response:
        """Stop the token if it is the client's own. The answer is the same when there was nothing to stop."""
        pairs = form_pairs(request)
        presented = self.entrance.presented(request, pairs)
        query = parse_token_query(pairs)
        client = self.entrance.admit(realm, presented, permission="revocation").client
        now = int(self.clock())
        with self.store.read() as conn:
            found = self.revocation.find(conn, realm, client, query.token, now)
        # What is nothing costs no write.
        if found is not None:
            with self.store.begin() as conn:
                event = self.revocation.stop(conn, realm, client, found, now)
            if event is not None:
                self.audit.emit(event)
        return Response(status=200, headers={"Cache-Control": "no-store", "Content-Length": "0"})
