"""Bearer tokens at a protected resource: where the token is, and what the refusal says.

A token in the query is not looked for: it would be in logs and in Referer (RFC 9700 4.3.2).
"""

import re
from collections.abc import Iterable
from typing import Final

from oidcgate.protocol.errors import InvalidRequest, InvalidToken, OAuthError
from oidcgate.protocol.parameters import MAX_TOKEN_CHARACTERS, collect

_TOKEN: Final = re.compile(r"[A-Za-z0-9\-._~+/]+=*")


class NoToken(InvalidToken):
    """The request presents no token at all. Its challenge names no error.

    Spec: RFC 6750 3.1.
    """


def bearer_token(authorization_header: str | None, form_pairs: Iterable[tuple[str, str]] | None) -> str:
    """Return the token the request presents; whether it is good is not judged.

    Args:
        authorization_header: Its value, if it is there.
        form_pairs: Decoded pairs of a form-encoded POST body, else None.

    Raises:
        OAuthError: InvalidRequest: presented twice; InvalidToken: not a token; NoToken.

    Spec: RFC 6750 2.1, 2.2.
    """
    scheme, _, credentials = (authorization_header or "").partition(" ")
    in_header = credentials.strip(" ") if scheme.lower() == "bearer" else None
    form = collect(form_pairs or ())
    in_form = form.get("access_token")
    if "access_token" in form.repeated or (in_header is not None and in_form is not None):
        raise InvalidRequest("the access token is presented more than once")
    token = in_form if in_header is None else in_header
    if token is None:
        raise NoToken("an access token is needed")
    if len(token) > MAX_TOKEN_CHARACTERS or not _TOKEN.fullmatch(token):
        raise InvalidToken("the access token is malformed")
    return token


def challenge(error: OAuthError | None, realm: str) -> str:
    """Return the `WWW-Authenticate` value for a refusal.

    Args:
        error: Why, or None (as for `NoToken`) when the request presented nothing.
        realm: Our own name; printable ASCII.

    Raises:
        ValueError: `realm` cannot be quoted.

    Spec: RFC 6750 3.
    """
    if not realm.isascii() or not realm.isprintable() or '"' in realm or "\\" in realm:
        raise ValueError("a realm is printable ASCII without quotes and backslashes")
    value = f'Bearer realm="{realm}"'
    if error is None or isinstance(error, NoToken):
        return value
    value += f', error="{error.code}"'
    if error.description:
        value += f', error_description="{error.description}"'
    return value
