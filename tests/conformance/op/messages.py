"""Messages of OAuth 2.0 by themselves: what a token request says, and the forms of successes and errors."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from tests.conformance.op.outcome import need

#: What an error may carry.
ERROR_MEMBERS = {"error", "error_description", "error_uri", "state", "iss", "session_state"}


def code_form(code: str, request: Mapping[str, str], verifier: str | None = None) -> dict[str, str]:
    """The token request for a code."""
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": request["redirect_uri"]}
    return {**form, "code_verifier": verifier} if verifier else form


def check_bearer(answer: Mapping[str, Any]) -> None:
    """That an answer gives a bearer token."""
    token, kind, seconds = answer.get("access_token"), answer.get("token_type"), answer.get("expires_in")
    need(isinstance(token, str) and bool(token), "access_token is missing", "RFC 6749 5.1")
    need(_is_printable(str(token)), "access_token has characters that it may not have", "RFC 6749 A.12")
    need(isinstance(kind, str) and kind.lower() == "bearer", f"token_type is {kind!r}", "OIDC Core 3.1.3.3")
    if seconds is not None:
        text = str(seconds)
        need(text.isdigit() and int(text) > 0, f"expires_in is {seconds!r}", "RFC 6749 5.1")


def check_refresh_token(token: object) -> str:
    """A refresh token that is one."""
    need(isinstance(token, str) and bool(token), "refresh_token is no text", "RFC 6749 5.1")
    need(_is_printable(str(token)), "refresh_token has characters that it may not have", "RFC 6749 A.17")
    return str(token)


def check_error(answer: Mapping[str, Any]) -> None:
    """That what explains an error has the form that it may have."""
    error, text, uri = (str(answer.get(name, "")) for name in ("error", "error_description", "error_uri"))
    for name, value in (("error", error), ("error_description", text)):
        need(
            _is_printable(value, but='"\\'),
            f"{name} has characters that it may not have: {value!r}",
            "RFC 6749 5.2",
        )
    if "error_uri" in answer:
        need(
            bool(urlsplit(uri).scheme) and _is_printable(uri, but=' "\\'),
            f"error_uri is {uri!r}",
            "RFC 6749 5.2",
        )


def _is_printable(text: str, but: str = "") -> bool:
    return all("\x20" <= c <= "\x7e" and c not in but for c in text)
