"""`/token`: the phases that every grant goes through.

The grants are `provider.grants`, their rules `provider.services.tokens`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from werkzeug import Request, Response

from oidcgate.audit import Audit
from oidcgate.protocol.errors import UnauthorizedClient, UnsupportedGrantType
from oidcgate.protocol.token import TokenRequest, parse_token_request
from oidcgate.web.forwarded import Network, client_network
from provider.endpoints.answers import json_response, keep_from_scripts
from provider.endpoints.client_entrance import ClientEntrance
from provider.endpoints.parameters import form_pairs
from provider.grants.base import Grant, TokenCall
from provider.realm import Realm
from provider.services.authenticate_client import AuthenticatedClient
from provider.services.client_tokens import ClientTokens
from provider.services.tokens import Refusal


@dataclass(frozen=True)
class TokenEndpoint:
    """Spec: RFC 6749 3.2, 5; OIDC Core 3.1.3.

    Attributes:
        trusted_networks: Whose X-Forwarded-For is believed when guesses are counted by network.
    """

    entrance: ClientEntrance
    client_tokens: ClientTokens
    grants: Mapping[str, Grant]
    audit: Audit
    clock: Callable[[], float]
    trusted_networks: tuple[Network, ...] = ()

    def __call__(self, realm: Realm, request: Request) -> Response:
        """Form, client, grant, exchange, answer; each phase may end it with an `OAuthError`."""
        pairs = form_pairs(request)
        if ("grant_type", "password") in pairs:
            # A page could guess at passwords with its visitors' networks, each of which is slowed for itself.
            keep_from_scripts(request)
        presented = self.entrance.presented(request, pairs)
        token_request = parse_token_request(pairs)
        client = self.entrance.admit(realm, presented)
        with self.entrance.reporting(realm, client.client.client_id, "/token"):
            return self._exchange(realm, request, client, token_request)

    def _exchange(
        self, realm: Realm, request: Request, client: AuthenticatedClient, token_request: TokenRequest
    ) -> Response:
        grant = self.grants.get(token_request.grant_type)
        if grant is None:
            raise UnsupportedGrantType(
                "grant_type is not supported",
                detail=f"grant_type {token_request.grant_type!r} is not one of {', '.join(self.grants)}",
            )
        if grant.flow not in client.client.token_flows:
            raise UnauthorizedClient(
                "the client may not use this grant_type", detail=f"{grant.flow} is not among its flows"
            )
        if grant.gives_id_tokens:
            # Before a code is used up: a key of the client that cannot be fetched must not cost it.
            self.client_tokens.prepare_id_tokens(client.client)
        network = client_network(request.remote_addr, request.headers, self.trusted_networks)
        outcome = grant.exchange(TokenCall(realm, client, token_request, network, int(self.clock())))
        # Committed: from here on it has happened, a refusal that stopped a grant included.
        if outcome.event is not None:
            self.audit.emit(outcome.event)
        if isinstance(outcome, Refusal):
            raise outcome.error
        return json_response(outcome.draft.response().document())
