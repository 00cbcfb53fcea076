"""`/token`: the phases that every grant goes through.

The grants are `provider.grants`, their rules `provider.services.tokens`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from werkzeug import Request, Response

from oidcgate.audit import Audit
from oidcgate.protocol.client_auth import present
from oidcgate.protocol.errors import InvalidClient, UnauthorizedClient, UnsupportedGrantType
from oidcgate.protocol.token import parse_token_request
from provider.endpoints.answers import json_response
from provider.endpoints.parameters import form_pairs
from provider.events import ClientRefused
from provider.grants.base import Grant
from provider.realm import Realm
from provider.services.authenticate_client import authenticate_client
from provider.services.clients import Clients
from provider.services.tokens import Refusal
from provider.store.engine import Store


@dataclass(frozen=True)
class TokenEndpoint:
    """Spec: RFC 6749 3.2, 5; OIDC Core 3.1.3."""

    store: Store
    clients: Clients
    grants: Mapping[str, Grant]
    audit: Audit
    clock: Callable[[], float]

    def __call__(self, realm: Realm, request: Request) -> Response:
        """Form, client, grant, exchange, answer; each phase may end it with an `OAuthError`."""
        pairs = form_pairs(request)
        presented = present(request.headers.get("Authorization"), pairs)
        token_request = parse_token_request(pairs)
        with self.store.read() as conn:
            try:
                client = authenticate_client(conn, realm, self.clients, presented)
            except InvalidClient as error:
                self.audit.emit(ClientRefused(realm.id, presented.client_id, presented.method, error.detail))
                raise
        grant = self.grants.get(token_request.grant_type)
        if grant is None:
            raise UnsupportedGrantType("grant_type is not supported")
        if grant.flow not in client.client.flows:
            raise UnauthorizedClient("the client may not use this grant_type")
        now = int(self.clock())
        with self.store.begin() as conn:
            outcome = grant.exchange(conn, realm, client, token_request, now)
        # Committed: from here on it has happened, a refusal that stopped a grant included.
        if outcome.event is not None:
            self.audit.emit(outcome.event)
        if isinstance(outcome, Refusal):
            raise outcome.error
        return json_response(outcome.draft.response().document())
