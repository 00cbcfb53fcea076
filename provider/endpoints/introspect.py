"""`/introspect`: is this token good, and what does it stand for?

What is answered is `provider.services.introspection`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from werkzeug import Request, Response

from oidcgate.protocol.token_query import parse_token_query
from provider.endpoints.answers import json_response
from provider.endpoints.client_entrance import ClientEntrance
from provider.endpoints.parameters import form_pairs
from provider.realm import Realm
from provider.services.introspection import Introspection
from provider.store.engine import Store


@dataclass(frozen=True)
class Introspect:
    """Spec: RFC 7662 2."""

    store: Store
    entrance: ClientEntrance
    introspection: Introspection
    clock: Callable[[], float]

    def __call__(self, realm: Realm, request: Request) -> Response:
        """Answer a client that has the permission; each phase may end it with an `OAuthError`."""
        pairs = form_pairs(request)
        presented = self.entrance.presented(request, pairs)
        query = parse_token_query(pairs)
        client = self.entrance.admit(realm, presented, permission="introspection").client
        with self.store.read() as conn:
            answer = self.introspection.answer(conn, realm, client, query.token, int(self.clock()))
        return json_response(answer)
