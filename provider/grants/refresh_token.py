"""The grant `refresh_token`: a refresh token for its successor. The rules are `provider.services.tokens`."""

from dataclasses import dataclass
from typing import ClassVar

from oidcgate.protocol.errors import InvalidRequest
from provider.grants.base import TokenCall
from provider.services.tokens import Issued, Refusal, Tokens
from provider.store.engine import Store


@dataclass(frozen=True)
class RefreshTokenGrant:
    """Spec: RFC 6749 6; RFC 9700 4.14."""

    grant_type: ClassVar[str] = "refresh_token"
    flow: ClassVar[str] = "refresh_token"
    gives_id_tokens: ClassVar[bool] = True
    store: Store
    tokens: Tokens

    def exchange(self, call: TokenCall) -> Issued | Refusal:
        """Rotate the request's refresh token."""
        request = call.request
        if request.refresh_token is None:
            raise InvalidRequest("refresh_token is missing")
        with self.store.begin() as conn:
            return self.tokens.refresh(
                conn,
                call.realm,
                call.client.client,
                refresh_token=request.refresh_token,
                scope=request.scope,
                api=request.api,
                now=call.now,
            )
