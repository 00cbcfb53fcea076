"""The one way an answer leaves to a client: success or error, as query, fragment or form_post.

Whatever goes out carries `iss` and the request's `state`, and goes to a `ValidatedTarget`, which only
`validate_target` can make. There is no other function in the provider that redirects to a client with
parameters of a response; a request whose client or redirect URI is not known ends in `PageError`, which is
another class and never redirects. What the parameters mean is `authorization`; the pages are
`provider.pages`.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final
from urllib.parse import urlencode, urlsplit

from werkzeug import Response

from oidcgate.protocol.errors import OAuthError
from oidcgate.protocol.urls import match_redirect_uri, with_query
from oidcgate.web.pages import Pages
from provider.pages import ErrorKind, form_post
from provider.realm import Realm
from provider.store.clients import Client


class PageError(Exception):
    """An error that is shown to the person and must not be sent to anybody by redirect.

    Attributes:
        kind: What the page says.
        status: HTTP status of the page.
        detail: For the log only: it may name what was presented and what is registered.
        retry_after_seconds: For the Retry-After header and the page.
    """

    def __init__(
        self, kind: ErrorKind, *, status: int = 400, detail: str = "", retry_after_seconds: int | None = None
    ) -> None:
        super().__init__(kind.value)
        self.kind = kind
        self.status = status
        self.detail = detail
        self.retry_after_seconds = retry_after_seconds


class ResponseMode(StrEnum):
    """How the parameters of an answer travel. Spec: OAuth 2.0 Multiple Response Types 2.1; Form Post."""

    QUERY = "query"
    FRAGMENT = "fragment"
    FORM_POST = "form_post"


_PROOF: Final = object()


@dataclass(frozen=True)
class ValidatedTarget:
    """An enabled client and a redirect URI that is registered for it. Made by `validate_target` alone."""

    client: Client
    redirect_uri: str
    response_mode: ResponseMode
    state: str | None
    proof: object = field(repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.proof is not _PROOF:
            raise TypeError("a ValidatedTarget comes from validate_target only")


@dataclass(frozen=True)
class DeviceTarget:
    """An enabled client whose device collects the answer by itself: the browser is led nowhere."""

    client: Client
    redirect_uri: None = None


@dataclass(frozen=True)
class AccountTarget:
    """Our own account pages: the browser is led to one of them, and to nobody else.

    Attributes:
        client: What stands for them where an application would be: ourselves, under no id.
    """

    client: Client
    redirect_uri: None = None


def validate_target(
    client: Client,
    redirect_uri: str | None,
    *,
    response_type: str | None,
    response_mode: str | None,
    state: str | None,
) -> ValidatedTarget:
    """Check where an answer, an error included, may go.

    Args:
        client: What the presented client_id names.
        redirect_uri: As presented. It must be there and registered, byte for byte (the port of a loopback
            excepted).
        response_type: Decides the mode where `response_mode` does not.
        response_mode: As presented. An unknown one is not refused here but replaced by the default, so that
            the refusal can travel.
        state: Echoed as it is.

    Raises:
        PageError: the client is disabled, or the URI is not registered.

    Spec: RFC 6749 4.1.2.1; OIDC Core 3.1.2.2; RFC 8252 7.3.
    """
    if not client.enabled:
        raise PageError(ErrorKind.UNKNOWN_CLIENT, detail=f"client {client.client_id!r} is disabled")
    if redirect_uri is None:
        raise PageError(
            ErrorKind.REDIRECT_URI, detail=f"client {client.client_id!r}: redirect_uri is missing"
        )
    if not match_redirect_uri(client.redirect_uris, redirect_uri):
        detail = (
            f"client {client.client_id!r}: redirect_uri {redirect_uri[:500]!r} is not registered; "
            f"registered are {list(client.redirect_uris)!r}"
        )
        raise PageError(ErrorKind.REDIRECT_URI, detail=detail)
    mode = default_response_mode(response_type)
    with suppress(ValueError):
        asked = ResponseMode(response_mode or "")
        # Not even a refusal of it: what could have held tokens never travels in a query.
        mode = mode if asked is ResponseMode.QUERY else asked
    return ValidatedTarget(client, redirect_uri, mode, state, _PROOF)


def default_response_mode(response_type: str | None) -> ResponseMode:
    """`query` for a plain code; whatever else was asked for keeps tokens out of the query."""
    words = set((response_type or "").split())
    return ResponseMode.FRAGMENT if words & {"token", "id_token"} else ResponseMode.QUERY


@dataclass(frozen=True)
class ResponseWriter:
    """Writes answers to clients."""

    pages: Pages

    def success(
        self, realm: Realm, target: ValidatedTarget, parameters: Mapping[str, str], *, language: str
    ) -> Response:
        """Answer with the parameters of a successful authorization. Spec: RFC 6749 4.1.2; RFC 9207 2."""
        return self._write(realm, target, dict(parameters), language)

    def error(
        self,
        realm: Realm,
        target: ValidatedTarget,
        error: OAuthError,
        *,
        language: str,
        beside: Mapping[str, str] = MappingProxyType({}),
    ) -> Response:
        """Answer with an error.

        Args:
            beside: Parameters that an answer without error would have as well.

        Spec: RFC 6749 4.1.2.1; OIDC Core 3.1.2.6; RFC 9207 2.
        """
        parameters = {"error": error.code, **beside}
        if error.description:
            parameters["error_description"] = error.description
        return self._write(realm, target, parameters, language)

    def _write(
        self, realm: Realm, target: ValidatedTarget, parameters: dict[str, str], language: str
    ) -> Response:
        if target.state is not None:
            parameters["state"] = target.state
        parameters["iss"] = realm.issuer
        if target.response_mode is ResponseMode.FORM_POST:
            return form_post(
                self.pages,
                language=language,
                site=realm.site,
                action=target.redirect_uri,
                fields=tuple(parameters.items()),
                client_name=target.client.name,
            )
        if target.response_mode is ResponseMode.FRAGMENT:
            # A registered URI has no fragment of its own.
            return see_other(f"{target.redirect_uri}#{urlencode(parameters)}")
        return see_other(with_query(target.redirect_uri, parameters))


@dataclass(frozen=True)
class PostLogoutTarget:
    """Where a sign-out may lead back to. Made by `validate_post_logout` alone."""

    client: Client
    uri: str
    state: str | None
    proof: object = field(repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.proof is not _PROOF:
            raise TypeError("a PostLogoutTarget comes from validate_post_logout only")

    @property
    def url(self) -> str:
        """Where the browser goes: with the `state` that was sent and nothing else."""
        return with_query(self.uri, {} if self.state is None else {"state": self.state})


def validate_post_logout(client: Client | None, uri: str, state: str | None) -> PostLogoutTarget | None:
    """Check a `post_logout_redirect_uri`: byte-equal to one registered for this enabled client, else None.

    Spec: OIDC RP-Initiated Logout 3.1.
    """
    if client is None or not client.enabled or uri not in client.post_logout_redirect_uris:
        return None
    return PostLogoutTarget(client, uri, state, _PROOF)


def see_other(location: str) -> Response:
    """A redirect after which the browser always sends GET, and which is neither kept nor told as a referrer.

    To pages of our own, and back to an application after a sign-out (`PostLogoutTarget`). Answers to clients
    go through `ResponseWriter`.
    """
    response = Response("", status=303, content_type="text/plain; charset=utf-8")
    response.headers["Location"] = location
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def shown_destination(redirect_uri: str) -> str:
    """What a person is told about where an answer goes: the host, or the scheme of an app on their device."""
    parts = urlsplit(redirect_uri)
    return parts.hostname or f"{parts.scheme}:"


def form_targets(redirect_uri: str | None) -> tuple[str, ...]:
    """Where the browser may come to after a form of ours whose answer leads to a client, if it leads to one.

    Chromium applies `form-action` to every hop of the redirects that follow. The client may send the browser
    on (a broker back to its own application), so a list of one would stop sign-ins nobody here can foresee:
    every https origin is allowed, other schemes only as the client's own.
    """
    if redirect_uri is None:
        return ()
    if redirect_uri.startswith("http://"):
        # A loopback client of a machine for trying out: what it leads on to is on other ports of that
        # machine.
        return ("https:", "http:")
    return ("https:", redirect_uri)
