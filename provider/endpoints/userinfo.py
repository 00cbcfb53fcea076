"""`/userinfo`: the claims of the person an access token stands for.

Which they are is `provider.services.claims`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from werkzeug import Request, Response

from oidcgate.protocol.bearer import bearer_token
from oidcgate.protocol.errors import InsufficientScope
from provider.endpoints.answers import json_response, jwt_response
from provider.endpoints.parameters import form_pairs
from provider.realm import Realm
from provider.services.claims import USERINFO, still_asked, userinfo_claims
from provider.services.client_tokens import ClientTokens
from provider.services.scopes import OPENID
from provider.services.subjects import Subjects
from provider.services.token_checks import TokenChecks
from provider.store.engine import Store


@dataclass(frozen=True)
class UserInfo:
    """Spec: OIDC Core 5.3, 5.3.2; RFC 6750 2.1, 2.2, 3."""

    store: Store
    checks: TokenChecks
    client_tokens: ClientTokens
    subjects: Subjects
    clock: Callable[[], float]

    def __call__(self, realm: Realm, request: Request) -> Response:
        """Claims, as JSON or as the client is registered to get them, whatever the request accepts.

        The token travels in the header, or in the form of a POST; never in the query.
        """
        form = form_pairs(request) if request.mimetype == "application/x-www-form-urlencoded" else None
        token = bearer_token(request.headers.get("Authorization"), form if request.method == "POST" else None)
        now = int(self.clock())
        with self.store.read() as conn:
            live = self.checks.access_token(conn, realm, token, now)
            if (
                live.user is None
                or live.grant is None
                or live.token.api is not None
                or OPENID not in live.token.scope
            ):
                raise InsufficientScope("the access token was not granted openid, or is for an API")
            signer = self.client_tokens.userinfo_signer(conn, realm, live.client, now)
            sub = self.subjects.of(conn, realm, live.client, live.user.user_id)
        named = live.grant.claims.get(USERINFO, ())
        asked = still_asked(realm.catalogue, live.client, named, live.grant.api)
        claims = {"sub": sub, **userinfo_claims(realm.catalogue, live.user, live.token.scope, asked)}
        if signer is None:
            return json_response(claims)
        signed = signer.sign({**claims, "iss": realm.issuer, "aud": live.client.client_id})
        return jwt_response(self.client_tokens.encrypted_userinfo(live.client, signed))
