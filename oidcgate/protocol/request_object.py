"""Request objects: an authorization request as a token, which its client has signed.

It comes by value (`request`) or from an address that the client has registered (`request_uri`). Its signature
is judged by `oidcgate.jose`, and so is its encryption; what it says is judged here, and what becomes of the
parameters beside it. Those of the result are read by `oidcgate.protocol.authorization` like any others.
"""

import base64
import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from oidcgate.jose.jwt import JWTError, VerifiedJWT, unverified_claims, unverified_header
from oidcgate.protocol.authorization import (
    PARAMETER_NAMES,
    RawRequest,
    parse_authorization_request,
)
from oidcgate.protocol.errors import InvalidRequestObject
from oidcgate.protocol.numeric_date import numeric_date
from oidcgate.protocol.urls import endpoint_problem

#: The `typ` of a request object that says what it is. Spec: RFC 9101 10.8.
TYPE: Final = "oauth-authz-req+jwt"
#: How an object says that nobody has signed it.
UNSIGNED: Final = "none"

# RFC 8725 3.11: other tokens of a client have a type of their own. Most libraries give a request object none.
_TYPES: Final = frozenset({"jwt", TYPE})
#: What names an object in place of being one, which it must not hold.
_NAMING: Final = ("request", "request_uri")
_REPEATABLE: Final = frozenset({"resource", "audience"})
_OPENID: Final = "openid"
_MAX_URI: Final = 512
_SHA256: Final = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True)
class ObjectRules:
    """What a request object has to say to be believed.

    Attributes:
        client_id: The client that sends it, by the parameter beside it.
        issuer: What we are called.
        signed: Its signature is good. One without has to say less, since it proves nothing.
        clock_skew_seconds: How far the two clocks may differ.

    Spec: OIDC Core 6.1; RFC 9101 4, 6.3, 10.8.
    """

    client_id: str
    issuer: str
    signed: bool
    clock_skew_seconds: int


class RequestUri(NamedTuple):
    """Where a request object is, and what its content has to hash to; None when nothing was said of that."""

    address: str
    content_hash: str | None

    def is_of(self, content: bytes) -> bool:
        """Whether the content is the one that the address speaks of. Spec: OIDC Core 6.2."""
        return self.content_hash in (None, content_hash(content))


def unsigned_object(token: str) -> VerifiedJWT:
    """Return header and claims of an object that says that nobody has signed it. Anybody may have made it.

    Raises:
        InvalidRequestObject: It is none, or only pretends to be unsigned.

    Spec: RFC 7515 A.5; RFC 7519 6; OIDC Core 6.1.
    """
    try:
        header, claims = unverified_header(token), unverified_claims(token)
    except JWTError as error:
        raise InvalidRequestObject("the request object cannot be read", detail=error.detail) from None
    if header["alg"] != UNSIGNED or "crit" in header or not token.endswith("."):
        raise InvalidRequestObject("the request object is not an unsigned one")
    return VerifiedJWT(header, claims)


def check_object_claims(
    header: Mapping[str, Any], claims: Mapping[str, Any], rules: ObjectRules, now: int
) -> None:
    """Check header and claims of an object whose signature is good, or that may do without one.

    Its parameters are not judged, and whether it was used before is not.

    Args:
        now: Epoch seconds.

    Raises:
        InvalidRequestObject: What is wrong is in the description.

    Spec: OIDC Core 6.1; RFC 9101 4, 6.3, 10.8; RFC 8725 3.11.
    """
    typ = header.get("typ", "JWT")
    if not isinstance(typ, str) or typ.lower().removeprefix("application/") not in _TYPES:
        raise InvalidRequestObject("what was sent as request object is another kind of token")
    for name in _NAMING:
        if name in claims:
            raise InvalidRequestObject(f"the request object holds {name}")
    said = [name for name in ("iss", "client_id") if name in claims]
    for name in said:
        if claims[name] != rules.client_id:
            raise InvalidRequestObject(f"{name} of the request object is not the client_id beside it")
    if rules.signed and not said:
        raise InvalidRequestObject("the request object does not say whose it is: iss has to be the client_id")
    if claims.get("sub") == rules.client_id:
        # It could be presented as a client assertion, and an assertion as a request object.
        raise InvalidRequestObject("sub of the request object is the client_id, as in a client assertion")
    _check_audience(claims, rules)
    _check_times(claims, rules.clock_skew_seconds, now)


def asked_by(outer: RawRequest, claims: Mapping[str, Any], *, signed: bool, alone: bool) -> RawRequest:
    """Return the request that comes of an object and of the parameters beside it.

    Args:
        outer: The parameters that it came with; each at most once, and among them `client_id`.
        claims: As checked.
        signed: Its signature was good.
        alone: Nothing but the object counts. So it is, too, where the parameters beside it are no request of
            OpenID Connect by themselves.

    Raises:
        InvalidRequestObject: A parameter in it is not of its type, or contradicts what has to be the same.

    Spec: OIDC Core 6.1, 6.3.3; RFC 9101 5, 6.3.
    """
    inside = tuple(_parameters(claims))
    named = {name for name, _ in inside}
    _refuse_contradiction(outer, dict(inside))
    alone = alone or _OPENID not in _words(outer.parameters.get("scope"))
    gone = {*named, *_NAMING}
    kept = [(name, v) for name, v in outer.pairs if name == "client_id" or not (alone or name in gone)]
    added = [(name, value) for name, value in inside if name not in ("client_id", *_NAMING)]
    return parse_authorization_request([*kept, *added], signed=signed)


def content_hash(content: bytes) -> str:
    """Return what the fragment of a request URI says of its content. Spec: OIDC Core 6.2."""
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode("ascii")


def registered_request_uri(registered: Collection[str], presented: str) -> RequestUri | None:
    """Return where the object is that `presented` names, if that is one of the registered addresses.

    One that is registered with a fragment stands for that content alone. To one that is registered without, a
    request may add the fragment of the content that it means.

    Spec: OIDC Core 6.2; OIDC Registration 2.
    """
    address, _, fragment = presented.partition("#")
    if len(presented) > _MAX_URI or not (presented in registered or address in registered):
        return None
    return RequestUri(address, fragment or None)


def request_uri_problem(uri: str, *, allow_http_loopback: bool) -> str | None:
    """Return why `uri` may not be registered as the address of a request object, or None.

    Spec: OIDC Core 6.2; OIDC Registration 2.
    """
    address, hash_sign, fragment = uri.partition("#")
    if len(uri) > _MAX_URI:
        return f"is longer than {_MAX_URI} characters"
    if hash_sign and not _SHA256.fullmatch(fragment):
        return "has a fragment that is no SHA-256 of a content in base64url"
    return endpoint_problem(address, insecure_allow_http_loopback=allow_http_loopback)


def _parameters(claims: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The parameters among the claims, as a query would have them; those nobody reads are left out."""
    for name, value in claims.items():
        if name not in PARAMETER_NAMES:
            continue
        if name in _REPEATABLE and isinstance(value, list):
            if not all(isinstance(entry, str) for entry in value):
                raise InvalidRequestObject(f"{name} in the request object is no list of texts")
            yield from ((name, entry) for entry in value)
        elif name in ("claims", "registration"):
            if not isinstance(value, dict):
                raise InvalidRequestObject(f"{name} in the request object is no JSON object")
            yield name, json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        elif name == "max_age":
            if isinstance(value, bool) or not isinstance(value, int):
                raise InvalidRequestObject("max_age in the request object is no integer")
            yield name, str(value)
        elif not isinstance(value, str):
            raise InvalidRequestObject(f"{name} in the request object is no text")
        else:
            yield name, value


def _refuse_contradiction(outer: RawRequest, inside: Mapping[str, str]) -> None:
    beside, asked = outer.parameters.get("response_type"), inside.get("response_type")
    # In which order its words stand says nothing.
    if beside is not None and asked is not None and _words(beside) != _words(asked):
        raise InvalidRequestObject("response_type in the request object is not the one beside it")


def _words(text: str | None) -> frozenset[str]:
    return frozenset((text or "").split())


def _check_audience(claims: Mapping[str, Any], rules: ObjectRules) -> None:
    if "aud" not in claims and not rules.signed:
        return
    audience = claims.get("aud")
    if rules.issuer not in (audience if isinstance(audience, list) else [audience]):
        raise InvalidRequestObject(f"aud of the request object is not {rules.issuer}")


def _check_times(claims: Mapping[str, Any], skew: int, now: int) -> None:
    try:
        expires_at, issued_at, not_before = (numeric_date(claims, name) for name in ("exp", "iat", "nbf"))
    except ValueError as error:
        raise InvalidRequestObject(f"the request object: {error}") from None
    if expires_at is not None and now >= expires_at + skew:
        raise InvalidRequestObject("the request object has expired")
    if issued_at is not None and now + skew < issued_at:
        raise InvalidRequestObject("iat of the request object is in the future")
    if not_before is not None and now + skew < not_before:
        raise InvalidRequestObject("nbf of the request object is in the future")
