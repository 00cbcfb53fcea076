"""Signed tokens: making one, and believing one.

The algorithm is the caller's choice and never the token's (P-14). Nothing here reads a claim: who issued a
token, for whom and until when is `oidcgate.protocol`. Keys are next door in `oidcgate.jose.keys`, tokens
under a shared secret in `oidcgate.jose.shared_secret`.
"""

import binascii
import json
from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple

from joserfc import jws
from joserfc.errors import BadSignatureError, JoseError
from joserfc.jwa import JWSAlgModel
from joserfc.jwk import OctKey
from joserfc.util import urlsafe_b64decode

from oidcgate.jose.keys import Key, VerificationKey, choose
from oidcgate.strict_json import NotStrictJSON, parse_object

#: Longer tokens are refused unread. An ID token with groups has a few KB.
MAX_TOKEN_BYTES: Final = 65_536

_SEGMENTS: Final = 3


class JWTFailure(StrEnum):
    """Why a token is not believed."""

    MALFORMED = "malformed"
    ALGORITHM = "algorithm"
    CRIT = "crit"
    UNKNOWN_KEY = "unknown_key"
    MISSING_KID = "missing_kid"
    SIGNATURE = "signature"
    NOT_AN_OBJECT = "not_an_object"


class JWTError(Exception):
    """A token that is not believed. Neither `reason` nor `detail` holds any of it."""

    def __init__(self, reason: JWTFailure, detail: str) -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(f"{reason}: {detail}")


class VerifiedJWT(NamedTuple):
    """Header and claims of a token whose signature is good. The claims are unjudged."""

    header: dict[str, Any]
    claims: dict[str, Any]


class _Pinned(jws.JWSRegistry):
    """joserfc's registry with one algorithm, recommended or not, whatever the header of a token says."""

    max_header_length = MAX_TOKEN_BYTES
    max_payload_length = MAX_TOKEN_BYTES

    def __init__(self, alg: str) -> None:
        # Unknown header members are ignored, as RFC 7515 4 asks; some providers add a nonce or an at_hash.
        super().__init__(strict_check_header=False)
        self._pinned = self.algorithms[alg]

    def get_alg(self, name: str) -> JWSAlgModel:
        return self._pinned


def sign(claims: Mapping[str, Any], key: Key, alg: str, *, kid: str, typ: str | None = None) -> str:
    """Return `claims` as a signed token (JWS compact serialization).

    Args:
        claims: JSON values only.
        key: A private key that goes with `alg`.
        alg: One of `oidcgate.jose.keys.SIGNING_ALGORITHMS`.
        kid: Names the key in our published set.
        typ: What kind of token it is (`at+jwt`, `logout+jwt`); it keeps one kind from passing as another.

    Raises:
        ValueError: `alg` does not go with the key, or a claim is no JSON value.

    Spec: RFC 7515 5.1; RFC 8725 3.11.
    """
    if not VerificationKey(key, None, None).fits(alg) or not key.is_private:
        raise ValueError(f"{alg!r} needs a private key of its own kind")
    return serialize({"alg": alg, "kid": kid}, claims, key, typ)


def serialize(
    header: Mapping[str, str], claims: Mapping[str, Any], key: Key | OctKey, typ: str | None
) -> str:
    """Return `claims` under `header`, which names an algorithm that the caller has found to go with the key.

    Raises:
        ValueError: A claim is no JSON value.
    """
    whole = {**header, **({} if typ is None else {"typ": typ})}
    payload = json.dumps(claims, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8")
    return jws.serialize_compact(whole, payload, key, registry=_Pinned(header["alg"]))


def verify(token: str, keys: Sequence[VerificationKey], algorithms: Collection[str]) -> VerifiedJWT:
    """Return header and claims of `token` if one of `keys` signed it.

    Checks no claim. Keys, certificates and URLs inside the header are not looked at.

    Args:
        token: JWS compact serialization.
        keys: Keys of the one issuer the token is expected from.
        algorithms: What is accepted from this issuer.

    Raises:
        JWTError: MALFORMED; ALGORITHM: not one of `algorithms`; CRIT: the header demands an extension;
            UNKNOWN_KEY: no key with this `kid` fits the algorithm; MISSING_KID: no `kid` and several keys fit
            (OIDC Core 10.1); SIGNATURE: no such key signed it; NOT_AN_OBJECT: well signed, but the payload is
            no unambiguous JSON object.

    Spec: RFC 7515 5.2; RFC 7519 7.2; RFC 8725 3.1.
    """
    header = accepted_header(token, algorithms)
    alg, kid = header["alg"], header.get("kid")
    candidates = choose(keys, kid, alg)
    if kid is None and len(candidates) > 1:
        raise JWTError(JWTFailure.MISSING_KID, "the token names no key and several fit")
    return opened(token, header, [candidate.key for candidate in candidates])


def accepted_header(token: str, algorithms: Collection[str]) -> dict[str, Any]:
    """Return the header of a token that claims to be signed with one of `algorithms`; nothing proves it yet.

    Raises:
        JWTError: MALFORMED, ALGORITHM, CRIT.
    """
    header = unverified_header(token)
    if header["alg"] not in algorithms:
        raise JWTError(JWTFailure.ALGORITHM, "the token is signed with an algorithm that is not accepted")
    if "crit" in header:
        raise JWTError(JWTFailure.CRIT, "the token demands an extension that is not understood")
    return header


def opened(token: str, header: dict[str, Any], keys: Sequence[Key | OctKey]) -> VerifiedJWT:
    """Return what the token says if one of `keys` made it under the algorithm of its accepted header.

    Args:
        keys: Each goes with the algorithm.

    Raises:
        JWTError: UNKNOWN_KEY: there are none; MALFORMED, SIGNATURE, NOT_AN_OBJECT.
    """
    if not keys:
        raise JWTError(JWTFailure.UNKNOWN_KEY, "no known key can have signed the token")
    payload = _signed_payload(token, keys, header["alg"])
    try:
        return VerifiedJWT(header, parse_object(payload))
    except NotStrictJSON as error:
        raise JWTError(JWTFailure.NOT_AN_OBJECT, str(error)) from None


def unverified_header(token: str) -> dict[str, Any]:
    """Return the header of a token that anybody may have written, to find the key that would prove it.

    Raises:
        JWTError: MALFORMED.
    """
    if len(token) > MAX_TOKEN_BYTES or not token.isascii():
        raise JWTError(JWTFailure.MALFORMED, "the token is too long or not ASCII")
    segments = token.split(".")
    if len(segments) != _SEGMENTS:
        raise JWTError(JWTFailure.MALFORMED, "the token has not three parts")
    try:
        header = parse_object(urlsafe_b64decode(segments[0].encode("ascii")))
    except (NotStrictJSON, binascii.Error, ValueError):
        raise JWTError(JWTFailure.MALFORMED, "the header cannot be read") from None
    if not isinstance(header.get("alg"), str) or not isinstance(header.get("kid"), str | None):
        raise JWTError(JWTFailure.MALFORMED, "the header's alg or kid is not a string")
    return header


def unverified_claims(token: str) -> dict[str, Any]:
    """Return the claims of a token that anybody may have written, to find out whose key would prove it.

    Raises:
        JWTError: MALFORMED.
    """
    unverified_header(token)
    try:
        return parse_object(urlsafe_b64decode(token.split(".")[1].encode("ascii")))
    except (NotStrictJSON, binascii.Error, ValueError):
        raise JWTError(JWTFailure.MALFORMED, "the claims cannot be read") from None


def _signed_payload(token: str, keys: Sequence[Key | OctKey], alg: str) -> bytes:
    registry = _Pinned(alg)
    for key in keys:
        try:
            return jws.deserialize_compact(token, key, registry=registry).payload
        except BadSignatureError:
            continue
        except (JoseError, ValueError, TypeError) as error:
            raise JWTError(
                JWTFailure.MALFORMED, f"the token cannot be read ({type(error).__name__})"
            ) from None
    raise JWTError(JWTFailure.SIGNATURE, "the signature is not that of a known key")
