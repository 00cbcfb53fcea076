"""Authorization requests that come as tokens: fetched, opened and believed, or not.

What such a token has to say, and what becomes of the parameters beside it, is
`oidcgate.protocol.request_object`; the request that comes of it is judged like any other
(`authorization_requests`). Keys of clients are `client_keys`, ours to open with `encryption_keys`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from oidcgate.jose.jwt import JWTError, VerifiedJWT, accepted_header, unverified_header, verify
from oidcgate.jose.shared_secret import HMAC_ALGORITHMS, verify_hmac
from oidcgate.net.fetch import FetchError
from oidcgate.protocol.authorization import RawRequest
from oidcgate.protocol.errors import (
    InvalidRequest,
    InvalidRequestObject,
    InvalidRequestUri,
    RequestNotSupported,
    RequestUriNotSupported,
)
from oidcgate.protocol.parameters import MAX_TOKEN_CHARACTERS
from oidcgate.protocol.request_object import (
    TYPE,
    UNSIGNED,
    ObjectRules,
    asked_by,
    check_object_claims,
    registered_request_uri,
    unsigned_object,
)
from provider.client_request_objects import object_algorithm
from provider.realm import Realm
from provider.services.client_keys import ClientKeys, ClientKeysUnavailable
from provider.services.client_secrets import ClientSecrets
from provider.services.clients import Clients
from provider.services.encryption_keys import EncryptionKeys
from provider.services.outbound import Outbound, busy
from provider.store.clients import Client
from provider.store.engine import Store

_ACCEPT: Final = f"application/{TYPE}, application/jwt;q=0.9, */*;q=0.1"
_ENCRYPTED_DOTS: Final = 4


@dataclass(frozen=True)
class RequestObjects:
    """Reads request objects, over whoever knows clients, their secrets and keys, and ours."""

    store: Store
    clients: Clients
    secrets: ClientSecrets
    client_keys: ClientKeys
    encryption_keys: EncryptionKeys
    outbound: Outbound
    clock: Callable[[], float]

    def asked(self, realm: Realm, raw: RawRequest) -> RawRequest:
        """The request that is meant: the one as it came, where no object came that the realm takes.

        Call it outside of a transaction: it opens its own, and may fetch.

        Raises:
            OAuthError: to be answered where the parameters beside the object say, if they lead anywhere. Of
                the object nothing may be followed.

        Spec: OIDC Core 6; RFC 9101 6.
        """
        value, uri = (raw.parameters.get(name) for name in ("request", "request_uri"))
        settings = realm.settings.request_objects
        if not ((value and settings.by_value) or (uri and settings.by_reference)):
            return raw
        raw.parameters.check()
        if value and uri:
            raise InvalidRequest("request and request_uri go not together")
        client = self._client(realm, raw.parameters.required("client_id"))
        if client is None:
            return raw  # whoever looks for the target says so
        now = int(self.clock())
        token = value or self._fetched(client, uri or "")
        if token.count(".") == _ENCRYPTED_DOTS:
            token = self.encryption_keys.opened(realm, client, token, now)
            if _says_unsigned(token):
                # Anybody has the key that it was encrypted to (P-08).
                raise InvalidRequestObject("what is encrypted has to be signed")
        if _says_unsigned(token):
            verified, signed = _unsigned(realm, client, token, by_value=bool(value)), False
        else:
            verified, signed = self._verified(realm, client, token, now), True
        skew = realm.settings.lifetimes.clock_skew_seconds
        rules = ObjectRules(client.client_id, realm.issuer, signed, skew)
        check_object_claims(verified.header, verified.claims, rules, now)
        return asked_by(raw, verified.claims, signed=signed, alone=has_to_sign(realm, client))

    def _client(self, realm: Realm, client_id: str) -> Client | None:
        with self.store.read() as conn:
            client = self.clients.find(conn, realm, client_id)
        return client if client is not None and client.enabled else None

    def _fetched(self, client: Client, presented: str) -> str:
        """What is at a request URI. Kept is nothing of it: an object is asked for once."""
        found = registered_request_uri(client.request_uris, presented)
        if found is None:
            raise InvalidRequestUri("request_uri is not one that this client has registered")
        with self.outbound.one_more(client.client_id) as free:
            if not free:
                raise busy()
            try:
                content = self.outbound.of(client).get_content(found.address, _ACCEPT)
            except FetchError as error:
                raise InvalidRequestUri("request_uri gives no request object", detail=str(error)) from None
        if not found.is_of(content):
            raise InvalidRequestUri("what is at request_uri is not what its fragment says")
        token = content.decode("latin-1").strip()
        if len(token) > MAX_TOKEN_CHARACTERS:
            raise InvalidRequestObject("the request object is too long")
        return token

    def _verified(self, realm: Realm, client: Client, token: str, now: int) -> VerifiedJWT:
        """Header and claims, if they are signed in the one way in which this client signs them."""
        alg = object_algorithm(client)
        try:
            # What can never be good costs no fetch.
            header = accepted_header(token, () if alg == UNSIGNED else (alg,))
            if alg in HMAC_ALGORITHMS:
                secrets = [secret.reveal() for secret in self.secrets.accepted(realm, client, now)]
                return verify_hmac(token, secrets, (alg,))
            return verify(token, self.client_keys.verification_keys(client, header.get("kid")), (alg,))
        except JWTError as error:
            raise InvalidRequestObject(f"request object: {error.detail}") from None
        except ClientKeysUnavailable as error:
            detail = f"request object: {error}"
            raise InvalidRequestObject("no key of this client could be had", detail=detail) from None


def _says_unsigned(token: str) -> bool:
    try:
        return bool(unverified_header(token)["alg"] == UNSIGNED)
    except JWTError:
        return False


def _unsigned(realm: Realm, client: Client, token: str, *, by_value: bool) -> VerifiedJWT:
    """Header and claims of an object that nobody has signed, where the realm and the client let it be one.

    A client that names no algorithm lets it: OIDC Registration 2 has any algorithm mean any.
    """
    if not realm.settings.request_objects.insecure_allow_unsigned:
        not_supported = RequestNotSupported if by_value else RequestUriNotSupported
        raise not_supported("request objects have to be signed")
    if client.request_object_signing_alg not in ("", UNSIGNED) or has_to_sign(realm, client):
        raise InvalidRequestObject("this client has to sign its request objects")
    return unsigned_object(token)


def has_to_sign(realm: Realm, client: Client) -> bool:
    """Whether a client may ask for something in signed request objects only. Spec: RFC 9101 10.5."""
    return realm.settings.request_objects.require_signed or client.require_signed_request_object
