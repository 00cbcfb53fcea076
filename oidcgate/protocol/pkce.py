"""Proof Key for Code Exchange, S256 only: `plain` proves nothing to whoever saw the authorization request.

The parameters travel in `oidcgate.protocol.authorization` and `oidcgate.protocol.token`.
"""

import hmac
import re
from typing import Final

from authlib.oauth2.rfc7636 import create_s256_code_challenge

from oidcgate.protocol.errors import InvalidGrant, InvalidRequest

_VERIFIER: Final = re.compile(r"[A-Za-z0-9\-._~]{43,128}")
# A SHA-256 in base64url without padding; its last character carries four bits only.
_S256_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")


def s256_challenge(verifier: str) -> str:
    """Return the S256 challenge for a verifier.

    Raises:
        ValueError: The verifier is not 43 to 128 unreserved characters.

    Spec: RFC 7636 4.1, 4.2.
    """
    if not _VERIFIER.fullmatch(verifier):
        raise ValueError("a code verifier is 43 to 128 characters of A-Z a-z 0-9 - . _ ~")
    return str(create_s256_code_challenge(verifier))  # type: ignore[no-untyped-call]  # Authlib has no types


def check_challenge(challenge: str | None, method: str | None) -> None:
    """Check what an authorization request carries. Neither is fine: the client's setting may ask for them.

    Raises:
        InvalidRequest: A method other than S256 or none named (it would mean `plain`), a method without a
            challenge, or a challenge that is no SHA-256.

    Spec: RFC 7636 4.3, 4.4.1.
    """
    if challenge is None:
        if method is not None:
            raise InvalidRequest("code_challenge_method without code_challenge")
        return
    if method != "S256":
        raise InvalidRequest("code_challenge_method has to be S256")
    if not _S256_CHALLENGE.fullmatch(challenge):
        raise InvalidRequest("code_challenge is malformed")


def verify_pkce(challenge: str | None, method: str | None, verifier: str | None) -> None:
    """Check the verifier of a token request against the challenge its code was issued with.

    A downgrade fails both ways (P-05): a challenge without verifier, and a verifier without challenge, which
    means that somebody took the challenge out of the authorization request. Whether a client needs PKCE at
    all was decided there.

    Raises:
        InvalidGrant: The verifier is missing, malformed or wrong, or nothing asked for it.

    Spec: RFC 7636 4.6; RFC 9700 2.1.1.
    """
    if challenge is None:
        if verifier is not None:
            raise InvalidGrant("code_verifier without a code_challenge in the authorization request")
        return
    if verifier is None:
        raise InvalidGrant("code_verifier is missing")
    if method != "S256" or not _VERIFIER.fullmatch(verifier):
        raise InvalidGrant("code_verifier is malformed")
    if not hmac.compare_digest(s256_challenge(verifier), challenge):
        raise InvalidGrant("code_verifier does not match")
