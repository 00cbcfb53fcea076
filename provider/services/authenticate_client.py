"""Whether a client is who it says, by the one method it is registered for.

For every endpoint that clients come to. Taking the credentials out of a request is
`oidcgate.protocol.client_auth`; who exists is `provider.services.clients`, which keys and secrets they have
`client_keys` and `client_secrets`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from secrets import token_urlsafe
from typing import Final, NamedTuple

from oidcgate.jose.jwt import JWTError, VerifiedJWT, accepted_header, verify
from oidcgate.jose.keys import SIGNING_ALGORITHMS, Key, VerificationKey, generate_key
from oidcgate.jose.shared_secret import HMAC_ALGORITHMS, verify_hmac
from oidcgate.protocol.client_assertion import Assertion, AssertionRules, check_assertion_claims
from oidcgate.protocol.client_auth import ClientAuthMethod, PresentedClient
from oidcgate.protocol.errors import InvalidClient
from provider.client_crypto import assertion_algorithm
from provider.realm import Realm
from provider.services.client_keys import ClientKeys, ClientKeysUnavailable
from provider.services.client_secrets import ClientSecrets, secret_matches
from provider.services.clients import Clients
from provider.store.assertions import use_assertion
from provider.store.clients import Client
from provider.store.engine import Store


class AuthenticatedClient(NamedTuple):
    """A client that proved itself, or that is public and cannot. Only `ClientAuthentication` makes one."""

    client: Client


@dataclass(frozen=True)
class ClientAuthentication:
    """Finds out which client a request comes from, over whoever knows clients, secrets and keys."""

    store: Store
    clients: Clients
    secrets: ClientSecrets
    keys: ClientKeys
    clock: Callable[[], float]

    def prove(self, realm: Realm, presented: PresentedClient) -> AuthenticatedClient:
        """Return the client that the request proves to come from.

        Call it outside of a transaction: it opens its own, and may fetch keys. An assertion is used up for
        good here, whatever becomes of the request.

        Raises:
            InvalidClient: unknown, disabled, not the method it is registered for, or no proof of it; the
                answer does not say which, `detail` does.

        Spec: RFC 6749 2.3, 5.2; RFC 7523 2.2, 3; OIDC Core 9.
        """
        try:
            return AuthenticatedClient(self._proven(realm, presented, int(self.clock())))
        except InvalidClient as error:
            # One text for every reason; some of those next door say more.
            detail = error.detail or error.description
            raise InvalidClient("client authentication failed", detail=detail) from None

    def _proven(self, realm: Realm, presented: PresentedClient, now: int) -> Client:
        with self.store.read() as conn:
            client = self.clients.find(conn, realm, presented.client_id)
        # None as well where the method is another: what follows takes as long then, and finds nothing, so how
        # long the answer takes does not tell which ids exist.
        fitting = client if client is not None and client.auth_method == presented.method else None
        assertion, refusal = None, None
        try:
            assertion = self._proof(realm, fitting, presented, now)
        except InvalidClient as error:
            refusal = error
        if client is None:
            raise InvalidClient(detail="unknown client")
        if fitting is None:
            came_with = presented.method.value
            raise InvalidClient(detail=f"registered for {client.auth_method}, came with {came_with}")
        if refusal is not None:
            raise refusal
        if not client.enabled:
            raise InvalidClient(detail="client disabled")
        if assertion is not None:
            self._use_up(realm, client, assertion)
        return client

    def _proof(
        self, realm: Realm, client: Client | None, presented: PresentedClient, now: int
    ) -> Assertion | None:
        """Check what is presented; returns the assertion, if it was one.

        Raises:
            InvalidClient: it proves nothing.
        """
        if presented.assertion is not None:
            return self._assertion(realm, client, presented.method, presented.assertion.reveal(), now)
        if presented.method is not ClientAuthMethod.NONE and not secret_matches(
            client, presented.secret, now
        ):
            raise InvalidClient(detail="wrong secret")
        return None

    def _assertion(
        self, realm: Realm, client: Client | None, method: ClientAuthMethod, token: str, now: int
    ) -> Assertion:
        try:
            if method is ClientAuthMethod.CLIENT_SECRET_JWT:
                verified = self._verified_by_secret(realm, client, token, now)
            else:
                verified = self._verified_by_key(client, token)
        except (JWTError, ClientKeysUnavailable) as error:
            raise InvalidClient(detail=f"client assertion: {error}") from None
        audiences = {realm.issuer}
        if client is not None and client.insecure_token_endpoint_audience:
            audiences.add(realm.url("/token"))
        rules = AssertionRules(
            client_id="" if client is None else client.client_id,
            audiences=frozenset(audiences),
            clock_skew_seconds=realm.settings.lifetimes.clock_skew_seconds,
        )
        assertion = check_assertion_claims(verified.header, verified.claims, rules, now)
        return replace(assertion, expires_at=assertion.expires_at + rules.clock_skew_seconds)

    def _verified_by_secret(self, realm: Realm, client: Client | None, token: str, now: int) -> VerifiedJWT:
        if client is None:
            return verify_hmac(token, [_NOBODYS_SECRET], HMAC_ALGORITHMS)
        secrets = [secret.reveal() for secret in self.secrets.accepted(realm, client, now)]
        return verify_hmac(token, secrets, (assertion_algorithm(client),))

    def _verified_by_key(self, client: Client | None, token: str) -> VerifiedJWT:
        # What can never be good costs no fetch.
        algorithms = SIGNING_ALGORITHMS if client is None else (assertion_algorithm(client),)
        header = accepted_header(token, algorithms)
        if client is None:
            return verify(token, (_nobodys_key(header["alg"]),), algorithms)
        return verify(token, self.keys.verification_keys(client, header.get("kid")), algorithms)

    def _use_up(self, realm: Realm, client: Client, assertion: Assertion) -> None:
        """Have an assertion for this request alone; committed before anything is done because of it.

        Raises:
            InvalidClient: it was used before.
        """
        used = sha256(f"{client.client_id}\0{assertion.jti}".encode()).hexdigest()
        with self.store.begin() as conn:
            if not use_assertion(conn, realm.id, used, assertion.expires_at):
                raise InvalidClient(detail="client assertion: it was used before")


_NOBODYS_SECRET: Final = token_urlsafe(64)


def _nobodys_key(alg: str) -> VerificationKey:
    """A key that nobody has, to check a signature in vain."""
    return VerificationKey(_made_once("RS256" if alg[:2] in ("RS", "PS") else alg), None, None)


@lru_cache(maxsize=len(SIGNING_ALGORITHMS))
def _made_once(alg: str) -> Key:
    return generate_key(alg)
