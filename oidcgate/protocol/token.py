"""The token request and its answer.

The relying party sends its request through Authlib and checks the answer here; the provider reads requests
here and builds its answers. Who the client is, is `oidcgate.protocol.client_auth`; what an ID token says,
`id_token`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from oidcgate.protocol.authorization import parse_scope, provider_error
from oidcgate.protocol.errors import Reason, Refused
from oidcgate.protocol.parameters import MAX_TOKEN_CHARACTERS, collect
from oidcgate.protocol.resource import api_of

#: The grant type of RFC 8628 3.4.
DEVICE_CODE: Final = "urn:ietf:params:oauth:grant-type:device_code"

# Grant type -> what it cannot do without.
_NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "authorization_code": ("code",),
    "refresh_token": ("refresh_token",),
    "password": ("username", "password"),
    DEVICE_CODE: ("device_code",),
}
_DIGITS: Final = re.compile(r"[0-9]{1,10}")
_MAX_EXPIRES_IN: Final = 10**10
_MAX_ID_TOKEN: Final = 65_536


@dataclass(frozen=True)
class TokenRequest:
    """A well formed token request. The client's credentials are not in it; the grant's do not show in `repr`.

    Attributes:
        scope: None when the parameter was absent, which for a refresh means: as before.
        api: What the access token is for, by `resource` or `audience`.

    Spec: RFC 6749 4.1.3, 4.3.2, 4.4.2, 6; RFC 7636 4.5; RFC 8628 3.4; RFC 8707 2.2.
    """

    grant_type: str
    code: str | None = field(default=None, repr=False)
    redirect_uri: str | None = None
    code_verifier: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    scope: tuple[str, ...] | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    device_code: str | None = field(default=None, repr=False)
    api: str | None = None


@dataclass(frozen=True)
class TokenResponse:
    """What the token endpoint answers.

    Attributes:
        expires_in: Seconds until the access token ends.

    Spec: RFC 6749 5.1; OIDC Core 3.1.3.3.
    """

    access_token: str = field(repr=False)
    expires_in: int
    scope: tuple[str, ...]
    refresh_token: str | None = field(default=None, repr=False)
    id_token: str | None = field(default=None, repr=False)

    def document(self) -> dict[str, Any]:
        """Return the JSON body; the caller sends it with `Cache-Control: no-store`."""
        body: dict[str, Any] = {
            "access_token": self.access_token,
            "token_type": "Bearer",
            "expires_in": self.expires_in,
            "scope": " ".join(self.scope),
        }
        if self.refresh_token is not None:
            body["refresh_token"] = self.refresh_token
        if self.id_token is not None:
            body["id_token"] = self.id_token
        return body


@dataclass(frozen=True)
class Tokens:
    """What the relying party got for its code. The ID token is not yet believed.

    Attributes:
        expires_in: Seconds, None when the provider did not say.
        scope: None when it is what was asked for.
    """

    access_token: str = field(repr=False)
    id_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    expires_in: int | None = None
    scope: tuple[str, ...] | None = None


@dataclass(frozen=True)
class RefreshedTokens:
    """What the relying party got for a refresh token. The ID token, if one came, is not yet believed.

    Attributes:
        refresh_token: None when the old one goes on.
        expires_in: Seconds, None when the provider did not say.
        scope: None when it is as before.
    """

    access_token: str = field(repr=False)
    id_token: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    expires_in: int | None = None
    scope: tuple[str, ...] | None = None


def parse_token_request(pairs: Iterable[tuple[str, str]]) -> TokenRequest:
    """Return the request in the decoded pairs of a form.

    What its grant cannot do without is there; a grant type that is not known passes, for the provider to
    refuse.

    Raises:
        OAuthError: InvalidRequest: grant_type, or the grant's own parameter, is missing, repeated or
            malformed, or two APIs are named; InvalidScope; InvalidTarget.

    Spec: RFC 6749 3.2, 4.1.3, 4.3.2, 6; RFC 8628 3.4; RFC 8707 2.2.
    """
    parameters = collect(pairs)
    parameters.check()
    grant_type = parameters.required("grant_type")
    for name in _NEEDED.get(grant_type, ()):
        parameters.required(name)
    scope = parameters.get("scope")
    return TokenRequest(
        grant_type=grant_type,
        code=parameters.get("code"),
        redirect_uri=parameters.get("redirect_uri"),
        code_verifier=parameters.get("code_verifier"),
        refresh_token=parameters.get("refresh_token"),
        scope=None if scope is None else parse_scope(scope),
        username=parameters.get("username"),
        password=parameters.get("password"),
        device_code=parameters.get("device_code"),
        api=api_of(parameters),
    )


def check_token_response(document: Mapping[str, Any]) -> Tokens:
    """Return the tokens of the answer to a code.

    Raises:
        Refused: PROVIDER_ERROR: the answer is an error; TOKEN_RESPONSE_MALFORMED: a member is missing or not
            what it has to be; ID_TOKEN_MISSING.

    Spec: OIDC Core 3.1.3.3, 3.1.3.5; RFC 6749 5.1.
    """
    answer = check_refresh_response(document)
    if answer.id_token is None:
        raise Refused(Reason.ID_TOKEN_MISSING)
    return Tokens(answer.access_token, answer.id_token, answer.refresh_token, answer.expires_in, answer.scope)


def check_refresh_response(document: Mapping[str, Any]) -> RefreshedTokens:
    """Return the tokens of the answer to a refresh token, among which an ID token may be.

    Raises:
        Refused: PROVIDER_ERROR: the answer is an error; TOKEN_RESPONSE_MALFORMED: a member is missing or not
            what it has to be.

    Spec: OIDC Core 12.2; RFC 6749 5.1, 6.
    """
    if document.get("error") is not None:
        raise provider_error(document["error"])
    token_type = document.get("token_type")
    if not isinstance(token_type, str) or token_type.lower() != "bearer":
        raise _malformed("token_type")
    access_token = _token(document, "access_token", MAX_TOKEN_CHARACTERS)
    if access_token is None:
        raise _malformed("access_token")
    refresh_token = _token(document, "refresh_token", MAX_TOKEN_CHARACTERS)
    expires_in = _expires_in(document.get("expires_in"))
    scope = _scope(document.get("scope"))
    id_token = _token(document, "id_token", _MAX_ID_TOKEN)
    return RefreshedTokens(access_token, id_token, refresh_token, expires_in, scope)


def _token(document: Mapping[str, Any], name: str, limit: int) -> str | None:
    value = document.get(name)
    if value is None:
        return None
    if (
        not isinstance(value, str)
        or not 0 < len(value) <= limit
        or not (value.isascii() and value.isprintable())
    ):
        raise _malformed(name)
    return value


def _expires_in(value: object) -> int | None:
    # Entra's v1 endpoint sends the number as a string.
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MAX_EXPIRES_IN:
        raise _malformed("expires_in")
    return value


def _scope(value: object) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise _malformed("scope")
    return tuple(value.split())


def _malformed(name: str) -> Refused:
    return Refused(Reason.TOKEN_RESPONSE_MALFORMED, f"{name} is missing or malformed")
