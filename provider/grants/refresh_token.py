"""The grant `refresh_token`: a refresh token for its successor. The rules are `provider.services.tokens`."""

from dataclasses import dataclass
from typing import ClassVar

from sqlalchemy import Connection

from oidcgate.protocol.errors import InvalidRequest
from oidcgate.protocol.token import TokenRequest
from provider.realm import Realm
from provider.services.authenticate_client import AuthenticatedClient
from provider.services.tokens import Issued, Refusal, Tokens


@dataclass(frozen=True)
class RefreshTokenGrant:
    """Spec: RFC 6749 6; RFC 9700 4.14."""

    grant_type: ClassVar[str] = "refresh_token"
    flow: ClassVar[str] = "refresh_token"
    tokens: Tokens

    def exchange(
        self, conn: Connection, realm: Realm, client: AuthenticatedClient, request: TokenRequest, now: int
    ) -> Issued | Refusal:
        """Rotate the request's refresh token."""
        if request.refresh_token is None:
            raise InvalidRequest("refresh_token is missing")
        return self.tokens.refresh(
            conn,
            realm,
            client.client,
            refresh_token=request.refresh_token,
            scope=request.scope,
            api=request.api,
            now=now,
        )
