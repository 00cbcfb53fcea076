"""The device flow: what a device asks for, what it is told, and the code that a person types.

Asking for the tokens afterwards is a grant of `oidcgate.protocol.token`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from oidcgate.protocol.authorization import parse_scope
from oidcgate.protocol.parameters import collect
from oidcgate.protocol.resource import api_of
from oidcgate.protocol.urls import with_query

# RFC 8628 6.1: no vowels, so that no code is a word, and nothing that is taken for another letter.
_LETTERS: Final = "BCDFGHJKLMNPQRSTVWXZ"
_LENGTH: Final = 8
_CODE: Final = re.compile(f"[{_LETTERS}]{{{_LENGTH}}}")
# The largest multiple of the number of letters that a byte reaches: what is above would favour the first.
_UNBIASED: Final = 256 - 256 % len(_LETTERS)
# What people put between letters, and what a keyboard or a copy makes of a dash.
_SEPARATORS: Final = re.compile(r"[\s\-_.\u2010-\u2015\u2212]")
_MAX_TYPED: Final = 64


@dataclass(frozen=True)
class DeviceAuthorizationRequest:
    """What a device asks for. Which client it is, is `oidcgate.protocol.client_auth`.

    Spec: RFC 8628 3.1; RFC 8707 2.
    """

    scope: tuple[str, ...] = ()
    api: str | None = None


@dataclass(frozen=True)
class DeviceAuthorization:
    """What a device is told.

    Attributes:
        user_code: As it is stored; shown in two halves.
        verification_uri: Where the person types it; no query.
        interval_seconds: How long to wait between two questions.

    Spec: RFC 8628 3.2.
    """

    device_code: str = field(repr=False)
    user_code: str = field(repr=False)
    verification_uri: str
    expires_in: int
    interval_seconds: int

    def document(self) -> dict[str, Any]:
        """Return the JSON body; the caller sends it with `Cache-Control: no-store`."""
        user_code = shown_user_code(self.user_code)
        return {
            "device_code": self.device_code,
            "user_code": user_code,
            "verification_uri": self.verification_uri,
            "verification_uri_complete": with_query(self.verification_uri, {"user_code": user_code}),
            "expires_in": self.expires_in,
            "interval": self.interval_seconds,
        }


def parse_device_authorization_request(pairs: Iterable[tuple[str, str]]) -> DeviceAuthorizationRequest:
    """Return the request in the decoded pairs of a form.

    Raises:
        OAuthError: InvalidRequest: a parameter is repeated or malformed, or two APIs are named; InvalidScope;
            InvalidTarget.

    Spec: RFC 8628 3.1.
    """
    parameters = collect(pairs)
    parameters.check()
    return DeviceAuthorizationRequest(parse_scope(parameters.get("scope")), api_of(parameters))


def user_code_from(random_bytes: bytes) -> str:
    """Return a user code, as it is stored, in which each letter is as likely as any other.

    Args:
        random_bytes: 32 are enough; one in sixteen is not used.

    Raises:
        ValueError: There were too few.

    Spec: RFC 8628 6.1.
    """
    letters = [_LETTERS[byte % len(_LETTERS)] for byte in random_bytes if byte < _UNBIASED]
    if len(letters) < _LENGTH:
        raise ValueError("too few random bytes for a user code")
    return "".join(letters[:_LENGTH])


def shown_user_code(user_code: str) -> str:
    """Return a stored user code as people read it: XXXX-XXXX."""
    half = _LENGTH // 2
    return f"{user_code[:half]}-{user_code[half:]}"


def normalise_user_code(text: str) -> str | None:
    """Return what a person typed as it is stored, or None when it cannot be a user code.

    Letters count in any case; spaces and dashes do not count.

    Spec: RFC 8628 6.1.
    """
    if len(text) > _MAX_TYPED:
        return None
    typed = _SEPARATORS.sub("", text)
    code = typed.upper()
    # Other letters that become one of ours in capitals (ſ) are not what anybody typed.
    return code if typed.isascii() and _CODE.fullmatch(code) else None
