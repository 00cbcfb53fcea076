"""The grant `authorization_code`: a code for tokens. The rules are `provider.services.tokens`."""

from dataclasses import dataclass
from typing import ClassVar

from sqlalchemy import Connection

from oidcgate.protocol.errors import InvalidRequest
from oidcgate.protocol.token import TokenRequest
from provider.realm import Realm
from provider.services.authenticate_client import AuthenticatedClient
from provider.services.tokens import Issued, Refusal, Tokens


@dataclass(frozen=True)
class AuthorizationCodeGrant:
    """Spec: RFC 6749 4.1.3; RFC 7636 4.5."""

    grant_type: ClassVar[str] = "authorization_code"
    flow: ClassVar[str] = "authorization_code"
    tokens: Tokens

    def exchange(
        self, conn: Connection, realm: Realm, client: AuthenticatedClient, request: TokenRequest, now: int
    ) -> Issued | Refusal:
        """Redeem the request's code."""
        if request.code is None or request.redirect_uri is None:
            # Every authorization request here has a redirect_uri, so it has to be repeated.
            raise InvalidRequest("redirect_uri is missing")
        return self.tokens.redeem_code(
            conn,
            realm,
            client.client,
            code=request.code,
            redirect_uri=request.redirect_uri,
            code_verifier=request.code_verifier,
            api=request.api,
            now=now,
        )
