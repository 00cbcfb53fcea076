"""ID tokens that come back as `id_token_hint`, at the authorization and the end-session endpoint.

A hint is believed as far as we signed it: which person, which session, which client. It is no credential:
nobody is signed in by one, and an old one is as good as a new one, because clients keep them for the whole
life of a session.
"""

from dataclasses import dataclass

from sqlalchemy import Connection

from oidcgate.jose.jwt import (
    JWTError,
    JWTFailure,
    VerifiedJWT,
    unverified_claims,
    unverified_header,
    verify,
)
from oidcgate.jose.shared_secret import HMAC_ALGORITHMS, verify_hmac
from oidcgate.protocol.errors import ServerError
from provider.realm import Realm
from provider.services.client_secrets import ClientSecrets
from provider.services.clients import Clients
from provider.services.keyring import SigningKeys


@dataclass(frozen=True)
class Hint:
    """What one of our ID tokens says. `sid` is None when it carries none."""

    sub: str
    sid: str | None
    audiences: tuple[str, ...]


@dataclass(frozen=True)
class IdTokenHints:
    """Reads hints."""

    keys: SigningKeys
    clients: Clients
    secrets: ClientSecrets

    def read(self, conn: Connection, realm: Realm, token: str) -> Hint | None:
        """The hint, if this realm signed it as an ID token with any key it ever had; else None.

        One that was signed with the secret of a client is believed as long as the client is registered for
        it and that is its secret. An encrypted one is nothing that we could open.

        Does not check `exp`, as the specifications ask, nor whom the hint is used for: that is the caller's.

        Spec: OIDC Core 3.1.2.1; OIDC RP-Initiated Logout 2 and 4.
        """
        try:
            verified = self._verified(conn, realm, token)
        except (JWTError, ServerError):
            return None
        header, claims = verified.header, verified.claims
        if header.get("typ", "JWT") != "JWT" or "events" in claims or "exp" not in claims:
            # The same key signs other kinds of token: at+jwt, logout+jwt, which go to other people than the
            # client, and UserInfo, which alone has no end.
            return None
        sub, sid, audience = claims.get("sub"), claims.get("sid"), claims.get("aud")
        audiences = [audience] if isinstance(audience, str) else audience
        if claims.get("iss") != realm.issuer or not isinstance(sub, str) or not isinstance(sid, str | None):
            return None
        if not isinstance(audiences, list) or not all(isinstance(entry, str) for entry in audiences):
            return None
        return Hint(sub, sid, tuple(audiences))

    def _verified(self, conn: Connection, realm: Realm, token: str) -> VerifiedJWT:
        alg = unverified_header(token)["alg"]
        if alg not in HMAC_ALGORITHMS:
            keys = self.keys.verification_keys(conn, realm)
            return verify(token, keys, {key.alg for key in keys if key.alg is not None})
        client = self.clients.find(conn, realm, str(unverified_claims(token).get("aud")))
        if client is None or client.id_token_signed_response_alg != alg:
            raise JWTError(JWTFailure.ALGORITHM, "no client has its ID tokens signed so")
        return verify_hmac(token, [self.secrets.text(realm, client).reveal()], (alg,))
