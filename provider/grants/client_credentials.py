"""The grant `client_credentials`: a client gets a token for itself, with nobody behind it.

A token that is a JWT proves itself, so nothing is written for it: such a client may ask as often as it
likes. What it may ask for is `provider.services.scopes`.
"""

from dataclasses import dataclass
from typing import ClassVar

from oidcgate.protocol.errors import UnauthorizedClient
from provider.events import TokensIssued
from provider.grants.base import TokenCall
from provider.realm import Realm
from provider.services.issuing import Authorization, Issuing, begin_grant, new_grant
from provider.services.minting import AccessDraft, TokenDraft
from provider.services.scopes import reach_of_client
from provider.services.tokens import Issued, Refusal
from provider.store.clients import Client
from provider.store.engine import Store


@dataclass(frozen=True)
class ClientCredentialsGrant:
    """Spec: RFC 6749 4.4."""

    grant_type: ClassVar[str] = "client_credentials"
    flow: ClassVar[str] = "client_credentials"
    gives_id_tokens: ClassVar[bool] = False
    store: Store
    issuing: Issuing

    def exchange(self, call: TokenCall) -> Issued | Refusal:
        """Give an access token, and neither an ID token nor a refresh token."""
        realm, client = call.realm, call.client.client
        if client.public:
            # Anybody who knows its name would be it. Spec: RFC 6749 4.4.
            raise UnauthorizedClient("a client without a secret cannot act for itself")
        reach = reach_of_client(realm.catalogue, client, call.request.scope, call.request.api)
        authorization = Authorization(client.client_id, reach.scopes, api=reach.audience)
        access, grant_id = self._access_token(realm, client, authorization, call.now)
        event = TokensIssued(realm.id, client.client_id, None, grant_id, self.grant_type, reach.scopes)
        return Issued(TokenDraft(access, reach.scopes), event)

    def _access_token(
        self, realm: Realm, client: Client, authorization: Authorization, now: int
    ) -> tuple[AccessDraft, str | None]:
        """The token, and the grant it hangs on if that had to be written."""
        with self.store.read() as conn:
            grant = new_grant(realm, authorization, now)
            # The first of one that registered itself is written down, so that it is seen to be in use
            # (`unused_clients`).
            access = None if client.is_unused else self.issuing.unwritten(conn, realm, client, grant, now)
        if access is not None:
            return access, None
        with self.store.begin() as conn:
            grant = begin_grant(conn, realm, authorization, now)
            access = self.issuing.access_token(conn, realm, client, None, grant, grant.scope, now)
        return access, grant.grant_id
