"""The grant `authorization_code`: a code for tokens. The rules are `provider.services.tokens`."""

from dataclasses import dataclass
from typing import ClassVar

from oidcgate.protocol.errors import InvalidRequest
from provider.grants.base import TokenCall
from provider.services.tokens import Issued, Refusal, Tokens
from provider.store.engine import Store


@dataclass(frozen=True)
class AuthorizationCodeGrant:
    """Spec: RFC 6749 4.1.3; RFC 7636 4.5."""

    grant_type: ClassVar[str] = "authorization_code"
    flow: ClassVar[str] = "authorization_code"
    gives_id_tokens: ClassVar[bool] = True
    store: Store
    tokens: Tokens

    def exchange(self, call: TokenCall) -> Issued | Refusal:
        """Redeem the request's code."""
        request = call.request
        if request.code is None or request.redirect_uri is None:
            # Every authorization request here has a redirect_uri, so it has to be repeated.
            raise InvalidRequest("redirect_uri is missing")
        with self.store.begin() as conn:
            return self.tokens.redeem_code(
                conn,
                call.realm,
                call.client.client,
                code=request.code,
                redirect_uri=request.redirect_uri,
                code_verifier=request.code_verifier,
                api=request.api,
                now=call.now,
            )
