"""The provider as a WSGI application: which realm, which endpoint, and what an error looks like.

What each endpoint does is `provider.endpoints`; how the parts come together is `provider.build`. The path of
a request is what the server calls SCRIPT_NAME and PATH_INFO together, compared with the path of the issuer:
mounted there or at the root of a host, the same requests mean the same.
"""

import logging
import os
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from werkzeug import Request, Response
from werkzeug.exceptions import HTTPException

from oidcgate.audit import Audit
from oidcgate.net.fetch import Fetcher
from oidcgate.protocol.bearer import challenge
from oidcgate.protocol.errors import InvalidClient, InvalidToken, OAuthError, TemporarilyUnavailable
from provider.build import Parts, build
from provider.config import ProviderSettings, load_settings
from provider.endpoints.answers import is_for_scripts, json_response
from provider.events import Incident
from provider.pages import ErrorKind
from provider.prepare import prepare
from provider.realm import Realm
from provider.routes import Face, Route
from provider.services.background import Background
from provider.services.responses import PageError
from provider.services.users import UserStore

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_log = logging.getLogger("provider")

_RETRY_AFTER_SECONDS = 5
_MAX_BODY_BYTES = 65_536
#: How long a browser remembers what scripts may send.
_PREFLIGHT_SECONDS = 600
#: A path that no route has.
_NOWHERE = "/-"
_RFC_8414 = "/.well-known/oauth-authorization-server"


class Provider:
    """An OpenID Provider and OAuth 2.0 authorization server, as a WSGI application.

    Use `from_config`; `from_settings` is for settings that were parsed already.
    """

    def __init__(self, parts: Parts, *, background: bool = False) -> None:
        self.parts = parts
        delivery = parts.logout_delivery
        self._background = Background(delivery.deliver_due, delivery.stopping) if background else None
        self._base = parts.realms[0]
        self._named = {realm.id: realm for realm in parts.realms[1:]}
        # A second spelling of an endpoint, one more slash say, is another path, and there is nothing there.
        self._routes = {route.path: route for route in parts.routes}
        if len(self._routes) < len(parts.routes):
            raise ValueError("two routes have one path")

    @classmethod
    def from_config(
        cls,
        path: str | os.PathLike[str],
        *,
        env: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.time,
        user_store: UserStore | None = None,
    ) -> "Provider":
        """A provider from `provider.toml` and the `OIDCPROVIDER_…` variables.

        The database is brought up to date, and a signing key is made if there is none. With its first answer
        each process begins a thread that tells clients of sign-outs.

        Args:
            user_store: a store of people of one's own, in place of those in file and database.

        Raises:
            SettingsError: every problem of the configuration at once.
            StoreUnavailable: the database cannot be opened.
        """
        settings = load_settings(path, os.environ if env is None else env)
        return cls.from_settings(settings, clock=clock, user_store=user_store, background=True)

    @classmethod
    def from_settings(
        cls,
        settings: ProviderSettings,
        *,
        clock: Callable[[], float] = time.time,
        audit: Audit | None = None,
        user_store: UserStore | None = None,
        fetcher: Fetcher | None = None,
        background: bool = False,
    ) -> "Provider":
        """A provider from settings; as `from_config` does, it prepares the database.

        Args:
            user_store: a store of people of one's own, in place of those in file and database.
            fetcher: what asks other servers, in place of one over sockets.
            background: tell clients of sign-outs in a thread of each process. Without it somebody calls
                `parts.logout_delivery.deliver_due()`, or nobody is told.
        """
        parts = build(settings, clock=clock, audit=audit, user_store=user_store, fetcher=fetcher)
        prepare(parts, int(clock()))
        for said in parts.clients.deprecations():
            _log.warning("%s", said)
        try:
            parts.key_care.tell(int(clock()))
        finally:
            parts.store.dispose()
        return cls(parts, background=background)

    def begin_background(self) -> None:
        """Begin what is done beside requests, in this process; the first answer does so by itself."""
        if self._background is not None:
            try:
                self._background.begin()
            except RuntimeError as error:
                # The host has no thread left, or the process ends: an answer does not depend on it.
                _log.error("this process does not tell clients of sign-outs: %s", error)

    def end_background(self) -> None:
        """End it: what is on its way is waited for, as long as a call may last."""
        if self._background is not None:
            self._background.end(self.parts.settings.outbound.timeout_seconds + 1)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer one request."""
        response = self._respond(Request(environ))
        now = int(self.parts.clock())
        if self.parts.housekeeping.is_due(now):
            # When the server closes the answer, which it does after sending it: nobody waits for this.
            response.call_on_close(partial(self.parts.housekeeping.sweep, now))
        if self.parts.key_care.is_due(now):
            response.call_on_close(partial(self.parts.key_care.tend, now))
        self.begin_background()
        return response(environ, start_response)

    def _respond(self, request: Request) -> Response:
        if (request.content_length or 0) > _MAX_BODY_BYTES:
            # Unread: no form of ours is so long.
            return json_response(
                {"error": "invalid_request", "error_description": "the body is too long"}, status=413
            )
        realm, path = self._resolve(request)
        route = self._routes.get(path)
        if route is None or (route.only is not None and not route.only(realm)):
            return self._page(realm, request, PageError(ErrorKind.NOT_FOUND, status=404), "not_found")
        if request.method not in route.allowed:
            return self._other_method(request, route)
        if not self.parts.settings.enabled and not route.health:
            return self._page(realm, request, PageError(ErrorKind.NOT_FOUND, status=404), "not_found")
        response = self._answer(realm, route, request)
        if route.any_origin and is_for_scripts(request):
            # Without Access-Control-Allow-Credentials no answer to a request with cookies is shown: a script
            # sends what it holds itself, a code, a token, a secret, and learns what that is worth.
            response.headers["Access-Control-Allow-Origin"] = "*"
        return response

    def _resolve(self, request: Request) -> tuple[Realm, str]:
        """The realm that a path belongs to, and the path inside it; nothing matches an unknown one."""
        path = str(request.environ.get("SCRIPT_NAME", "")) + str(request.environ.get("PATH_INFO", ""))
        if path == _RFC_8414 or path.startswith(f"{_RFC_8414}/"):
            # RFC 8414 3.1 puts the issuer's path behind the well-known one; inside the realm the route has
            # one name.
            return self._of(path.removeprefix(_RFC_8414) + _RFC_8414)
        return self._of(path)

    def _of(self, path: str) -> tuple[Realm, str]:
        # werkzeug takes `//token` for `/token`; here a second spelling of an endpoint is nothing.
        if not path.startswith(self._base.path + "/") or "//" in path:
            return self._base, _NOWHERE
        inner = path.removeprefix(self._base.path)
        if inner.startswith("/r/"):
            name, slash, rest = inner[3:].partition("/")
            realm = self._named.get(name)
            if realm is not None:
                return realm, slash + rest
        return self._base, inner

    def _other_method(self, request: Request, route: Route) -> Response:
        allowed = ", ".join(sorted({*route.allowed, "OPTIONS"}))
        if request.method != "OPTIONS":
            response = json_response(
                {"error": "invalid_request", "error_description": "the method is not allowed here"},
                status=405,
            )
        else:
            response = Response("", status=204)
            if route.any_origin:
                response.headers["Access-Control-Allow-Origin"] = "*"
                response.headers["Access-Control-Allow-Methods"] = allowed
                # `*` would not cover this one, which is where clients and tokens are presented.
                response.headers["Access-Control-Allow-Headers"] = "Authorization"
                response.headers["Access-Control-Max-Age"] = str(_PREFLIGHT_SECONDS)
        response.headers["Allow"] = allowed
        return response

    def _answer(self, realm: Realm, route: Route, request: Request) -> Response:
        """The endpoint's answer; the one place where an error becomes one."""
        try:
            return route.endpoint(realm, request)
        except PageError as error:
            return self._page(realm, request, error, error.detail)
        except OAuthError as error:
            _log.info("%s refused: %s (%s)", route.path, error.code, error.detail or error.description)
            if route.face is Face.PAGE:
                detail = error.detail or error.description or error.code
                return self._page(realm, request, _as_page(error), detail)
            return self._oauth_error(realm, route, request, error)
        except HTTPException as error:
            status = error.code or 400
            if route.face is Face.PAGE:
                page = PageError(ErrorKind.BAD_REQUEST, status=status)
                return self._page(realm, request, page, type(error).__name__)
            return json_response({"error": "invalid_request", "error_description": error.name}, status=status)
        except Exception as error:
            return self._unexpected(realm, route, request, error)

    def _oauth_error(self, realm: Realm, route: Route, request: Request, error: OAuthError) -> Response:
        """Spec: RFC 6749 5.2; RFC 6750 3."""
        headers: dict[str, str] = {}
        if error.retry_after_seconds is not None:
            headers["Retry-After"] = str(error.retry_after_seconds)
        elif isinstance(error, TemporarilyUnavailable):
            headers["Retry-After"] = str(_RETRY_AFTER_SECONDS)
        elif route.bearer or isinstance(error, InvalidToken):
            headers["WWW-Authenticate"] = challenge(error, realm.issuer)
        elif isinstance(error, InvalidClient) and "Authorization" in request.headers:
            headers["WWW-Authenticate"] = f'Basic realm="{realm.issuer}"'
        return json_response(error.document(), status=error.status, headers=headers)

    def _unexpected(self, realm: Realm, route: Route, request: Request, error: Exception) -> Response:
        incident = _incident()
        # The traceback, not the request: what was sent may be a secret.
        _log.error("incident %s at %s", incident, route.path, exc_info=error)
        self._report(realm, incident, request, "server_error", type(error).__name__)
        if route.face is Face.PAGE:
            return self._render(realm, request, PageError(ErrorKind.SERVER_ERROR, status=500), incident)
        document = {"error": "server_error", "error_description": f"incident {incident}"}
        return json_response(document, status=500)

    def _page(self, realm: Realm, request: Request, error: PageError, detail: str) -> Response:
        incident = _incident()
        self._report(realm, incident, request, error.kind.value, detail)
        return self._render(realm, request, error, incident)

    def _render(self, realm: Realm, request: Request, error: PageError, incident: str) -> Response:
        screens = self.parts.screens
        return screens.show(
            realm,
            "error.html",
            language=screens.language(request),
            status=error.status,
            retry_after_seconds=error.retry_after_seconds,
            kind=error.kind,
            incident=incident,
        )

    def _report(self, realm: Realm, incident: str, request: Request, error: str, detail: str) -> None:
        self.parts.audit.emit(Incident(realm.id, incident, request.path, error, detail))


def _as_page(error: OAuthError) -> PageError:
    """How an error that cannot go to a client is shown to a person."""
    if isinstance(error, TemporarilyUnavailable):
        return PageError(ErrorKind.UNAVAILABLE, status=503, retry_after_seconds=_RETRY_AFTER_SECONDS)
    if error.status >= 500:
        return PageError(ErrorKind.SERVER_ERROR, status=500)
    return PageError(ErrorKind.BAD_REQUEST)


def _incident() -> str:
    return secrets.token_hex(5).upper()
