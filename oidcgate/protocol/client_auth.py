"""How a client presents itself at the token endpoint; whether its secret is right, the provider looks up.

The relying party's direction is Authlib's client authentication. What an assertion has to say is
`oidcgate.protocol.client_assertion`.
"""

import base64
import binascii
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from oidcgate.protocol.client_assertion import JWT_BEARER, unverified_assertion
from oidcgate.protocol.errors import InvalidClient, InvalidRequest
from oidcgate.protocol.parameters import collect
from oidcgate.settings import Secret


class ClientAuthMethod(StrEnum):
    """The methods of OIDC Core 9 that are understood."""

    NONE = "none"
    CLIENT_SECRET_BASIC = "client_secret_basic"  # noqa: S105 (a method, no secret)
    CLIENT_SECRET_POST = "client_secret_post"  # noqa: S105 (a method, no secret)
    CLIENT_SECRET_JWT = "client_secret_jwt"  # noqa: S105 (a method, no secret)
    PRIVATE_KEY_JWT = "private_key_jwt"


class PresentedClient(NamedTuple):
    """Who a request says it comes from; proven is nothing yet.

    Attributes:
        assertion: A signed token, unverified, with the methods that end in `_jwt`. Only a key or secret that
            is the client's proves it: `method` is what the token says of itself.
    """

    method: ClientAuthMethod
    client_id: str
    secret: Secret | None
    assertion: Secret | None = None


def present(authorization_header: str | None, form_pairs: Iterable[tuple[str, str]]) -> PresentedClient:
    """Return what the request presents.

    Args:
        authorization_header: Its value, if it is there.
        form_pairs: Decoded pairs of the body. A secret in the query is not looked for.

    Raises:
        OAuthError: InvalidRequest: two methods at once, two names, or a repeated parameter; InvalidClient:
            nothing presented, or not readable, or by a method that is not understood.

    Spec: RFC 6749 2.3.1, 5.2; RFC 7521 4.2; RFC 7523 2.2; OIDC Core 9.
    """
    form = collect(form_pairs)
    form.check("client_id", "client_secret", "client_assertion", "client_assertion_type")
    client_id, secret = form.get("client_id"), form.get("client_secret")
    assertion, assertion_type = form.get("client_assertion"), form.get("client_assertion_type")
    asserted = assertion is not None or assertion_type is not None
    if (authorization_header is not None) + (secret is not None) + asserted > 1:
        raise InvalidRequest("the client authenticates in more than one way")
    if asserted or authorization_header is not None:
        presented = (
            _asserted(assertion, assertion_type)
            if authorization_header is None
            else _basic(authorization_header)
        )
        if client_id is not None and client_id != presented.client_id:
            raise InvalidRequest("client_id is not the client that authenticates")
        return presented
    if client_id is None:
        raise InvalidClient("the client does not say who it is")
    if secret is None:
        return PresentedClient(ClientAuthMethod.NONE, client_id, None)
    return PresentedClient(ClientAuthMethod.CLIENT_SECRET_POST, client_id, Secret(secret))


def _asserted(assertion: str | None, assertion_type: str | None) -> PresentedClient:
    if assertion_type != JWT_BEARER:
        raise InvalidClient(f"client_assertion_type has to be {JWT_BEARER}")
    if assertion is None:
        raise InvalidClient("client_assertion is missing")
    claimed = unverified_assertion(assertion)
    method = (
        ClientAuthMethod.CLIENT_SECRET_JWT
        if claimed.alg.startswith("HS")
        else ClientAuthMethod.PRIVATE_KEY_JWT
    )
    return PresentedClient(method, claimed.client_id, None, Secret(assertion))


def _basic(header: str) -> PresentedClient:
    scheme, _, credentials = header.partition(" ")
    if scheme.lower() != "basic":
        raise InvalidClient("the Authorization header is not Basic")
    try:
        decoded = base64.b64decode(credentials.strip(" "), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidClient("the Basic credentials are not base64") from None
    user, colon, password = decoded.partition(b":")
    if not colon:
        raise InvalidClient("the Basic credentials have no colon")
    client_id = _form_decoded(user)
    if not client_id:
        raise InvalidClient("the client does not say who it is")
    return PresentedClient(ClientAuthMethod.CLIENT_SECRET_BASIC, client_id, Secret(_form_decoded(password)))


def _form_decoded(part: bytes) -> str:
    # RFC 6749 2.3.1: each part was form-encoded before they were joined, so that a name may hold a colon.
    try:
        text = unquote_to_bytes(part.replace(b"+", b" ")).decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidClient("the Basic credentials are not UTF-8") from None
    if any(character < " " or character == "\x7f" for character in text):
        raise InvalidClient("the Basic credentials hold control characters")
    return text
