"""Everything under `/.oidcgate/`: which route answers what, and what a failing one answers.

Lives here: the table of routes, the small routes that tell who, whether and by which keys (`userinfo`,
`healthz`, `readyz`, `jwks.json`), and the error boundary. All other routes are parts that `Routes` is given.
"""

import dataclasses
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final, NamedTuple

from werkzeug import Request, Response
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import Map, Rule

from oidcgate.directory.port import UserDirectory
from oidcgate.gate.answers import Answers
from oidcgate.gate.backchannel import BackChannel
from oidcgate.gate.break_glass import BreakGlass
from oidcgate.gate.client_keys import published_keys
from oidcgate.gate.config import (
    BACKCHANNEL_LOGOUT_PATH,
    BREAK_GLASS_PATH,
    CALLBACK_PATH,
    FRONTCHANNEL_LOGOUT_PATH,
    JWKS_PATH,
    LOGGED_OUT_PATH,
    LOGIN_PATH,
    LOGOUT_PATH,
    RESEND_PATH,
    SESSION_CHECK_PATH,
    SESSION_FRAME_PATH,
    GateConfig,
)
from oidcgate.gate.frontchannel import FrontChannel
from oidcgate.gate.known_users import KnownUsers
from oidcgate.gate.login import Login
from oidcgate.gate.login_start import LoginStart
from oidcgate.gate.logout import Logout
from oidcgate.gate.readiness import Readiness
from oidcgate.gate.refusals import Refusals
from oidcgate.gate.session import Found, SessionUnavailable, Unavailable
from oidcgate.gate.session_frame import SessionFrame
from oidcgate.gate.sessions import Sessions
from oidcgate.storage.records import RecordStore
from oidcgate.web.cookies import GATE_PATH
from oidcgate.web.facts import Facts, RequestKind, facts_from_environ
from oidcgate.web.parameters import query_pairs

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class Route(NamedTuple):
    """One line of the table. `endpoint` names the method of `Routes` that answers."""

    path: str
    methods: tuple[str, ...]
    endpoint: str
    help: str


ROUTES: Final = (
    Route(
        LOGIN_PATH,
        ("GET", "POST"),
        "login",
        "Sends a browser to the IdP, or asks which; `rd` is the path to come back to. Another site begins a "
        "sign-in with `iss` and `target_link_uri`.",
    ),
    Route(CALLBACK_PATH, ("GET", "POST"), "callback", "Where the IdP sends the browser: the redirect URI."),
    Route(
        f"{CALLBACK_PATH}/<name>", ("GET", "POST"), "callback", "The same for an IdP that has a `callback`."
    ),
    Route(
        BREAK_GLASS_PATH,
        ("GET",),
        "break_glass_form",
        "Asks for a password of the gate's own, where `break_glass` is configured; `rd` is where to go then.",
    ),
    Route(BREAK_GLASS_PATH, ("POST",), "break_glass_sign_in", "Signs in with such a password."),
    Route(LOGOUT_PATH, ("GET",), "confirm_logout", "Asks whether to sign out."),
    Route(
        LOGOUT_PATH,
        ("POST",),
        "logout",
        "Signs out here and at the IdP; `rd` is the path to go to afterwards.",
    ),
    Route(LOGGED_OUT_PATH, ("GET",), "logged_out", "Where a sign-out ends: the post-logout redirect URI."),
    Route(
        BACKCHANNEL_LOGOUT_PATH,
        ("POST",),
        "backchannel_logout",
        "Where the IdP posts logout tokens: the back-channel logout URI.",
    ),
    Route(
        FRONTCHANNEL_LOGOUT_PATH,
        ("GET",),
        "frontchannel_logout",
        "What the IdP loads in a frame, with `iss` and `sid`: the front-channel logout URI.",
    ),
    Route(
        RESEND_PATH,
        ("GET",),
        "resend",
        "Shows whoever has signed in the form that they sent before, to be sent by a click.",
    ),
    Route(
        SESSION_FRAME_PATH,
        ("GET",),
        "session_frame",
        "A frame for pages of the app, which watches the session at the IdP.",
    ),
    Route(
        SESSION_CHECK_PATH, ("GET",), "session_check", "Where that frame, and nobody else, asks the IdP anew."
    ),
    Route(GATE_PATH + "userinfo", ("GET",), "userinfo", "Who is signed in, as JSON; 401 for nobody."),
    Route(
        JWKS_PATH,
        ("GET",),
        "jwks",
        "The gate's public keys, for IdPs to which it proves itself with them or that encrypt for it.",
    ),
    Route(GATE_PATH + "healthz", ("GET",), "healthz", "200 while the process answers."),
    Route(
        GATE_PATH + "readyz",
        ("GET",),
        "readyz",
        "200 when state store, directory and the store of sessions answer, else 503.",
    ),
)
_MAP: Final = Map(
    [Rule(route.path, methods=route.methods, endpoint=route.endpoint) for route in ROUTES],
    strict_slashes=False,
    merge_slashes=False,
)


@dataclasses.dataclass(frozen=True)
class Routes:
    """A WSGI application for the paths under `/.oidcgate/`; `Gate` strips identity headers first."""

    config: GateConfig
    sign_in_start: LoginStart
    sign_in: Login
    break_glass: BreakGlass | None
    sign_out: Logout
    back_channel: BackChannel
    front_channel: FrontChannel
    frame: SessionFrame
    sessions: Sessions
    known_users: KnownUsers
    users: UserDirectory
    state: RecordStore
    answers: Answers
    refusals: Refusals
    clock: Callable[[], float]
    readiness: Readiness = dataclasses.field(default_factory=Readiness)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer one request."""
        return self.respond(environ)(environ, start_response)

    def respond(self, environ: "WSGIEnvironment") -> Response:
        """The answer to one request; never raises."""
        facts: Facts | None = None
        try:
            facts = facts_from_environ(environ)
            # The path that was judged, not the part of it that the server left in PATH_INFO.
            endpoint, _ = _MAP.bind("").match(facts.path, method=facts.method)
            answer: Callable[[Request, Facts], Response] = getattr(self, endpoint)
            return answer(Request(environ), facts)
        except HTTPException as error:
            return self._no_route(error, facts, environ)
        except Exception as error:  # the boundary: whatever it is, somebody waits for an answer
            return self.refusals.failure(error, facts, environ)

    def login(self, request: Request, facts: Facts) -> Response:
        """See `LoginStart.start`."""
        return self.sign_in_start.start(request, facts)

    def callback(self, request: Request, facts: Facts) -> Response:
        """See `Login.callback`."""
        if facts.method == "HEAD":
            # The code would be spent, and the session given, on a request that only looks.
            return self.answers.method_not_allowed(("GET", "POST"))
        return self.sign_in.callback(request, facts)

    def break_glass_form(self, request: Request, facts: Facts) -> Response:
        """See `BreakGlass.show`."""
        if self.break_glass is None:
            return self.refusals.not_found(facts, request.environ)
        return self.break_glass.show(request, facts)

    def break_glass_sign_in(self, request: Request, facts: Facts) -> Response:
        """See `BreakGlass.sign_in`."""
        if self.break_glass is None:
            return self.refusals.not_found(facts, request.environ)
        return self.break_glass.sign_in(request, facts)

    def confirm_logout(self, request: Request, facts: Facts) -> Response:
        """See `Logout.confirm`."""
        return self.sign_out.confirm(request, facts)

    def logout(self, request: Request, facts: Facts) -> Response:
        """See `Logout.end`."""
        return self.sign_out.end(request, facts)

    def logged_out(self, request: Request, facts: Facts) -> Response:
        """See `Logout.logged_out`."""
        return self.sign_out.logged_out(request, facts)

    def backchannel_logout(self, request: Request, facts: Facts) -> Response:
        """See `BackChannel.end`."""
        return self.back_channel.end(request, facts)

    def frontchannel_logout(self, request: Request, facts: Facts) -> Response:
        """See `FrontChannel.end`."""
        if facts.method == "HEAD":
            # A request that only looks ends nothing.
            return self.answers.method_not_allowed(("GET",))
        return self.front_channel.end(request, facts)

    def resend(self, request: Request, facts: Facts) -> Response:
        """The form that somebody sent when their session had ended, to be sent again by a click.

        Raises:
            BadRequest: the query cannot be read. SessionUnavailable, StoreUnavailable: who is signed in, or
                what waits for them, cannot be said.
        """
        if facts.kind is not RequestKind.NAVIGATION:
            return self.answers.login_required()
        form_id = dict(query_pairs(request)).get("form", "")
        cookies = request.headers.get("Cookie", "")
        session = self.sessions.load(cookies, int(self.clock()))
        if isinstance(session, Unavailable):
            raise SessionUnavailable(session.reason)
        person = (session.record.iss, session.record.sub) if isinstance(session, Found) else None
        found = self.refusals.forms.open(form_id, cookies, person)
        if found is None:
            return self.refusals.form_gone(request.environ)
        action, form = found
        if not isinstance(session, Found):
            return self.answers.redirect(self.answers.login_url(action, form=form_id))
        return self.answers.page(
            "resend.html",
            request.environ,
            # Where the app sends people on afterwards is its own to say.
            form_action=("https:", self.answers.public_url),
            user_name=session.record.user_name,
            action=action,
            enctype=form.content_type,
            fields=form.fields,
            path=action.partition("?")[0],
        )

    def session_frame(self, request: Request, facts: Facts) -> Response:
        """See `SessionFrame.show`."""
        return self.frame.show(request, facts)

    def session_check(self, request: Request, facts: Facts) -> Response:
        """See `SessionFrame.check`."""
        return self.frame.check(request, facts)

    def userinfo(self, request: Request, facts: Facts) -> Response:
        """Who is signed in, for scripts: no claim beyond `session.claims` and groups (G-29).

        What an app is told in a header alone (`[[forward.headers]]`) is not for the page's own scripts.

        Raises:
            SessionUnavailable: nobody can say.
        """
        now = int(self.clock())
        session = self.sessions.load(request.headers.get("Cookie", ""), now)
        if isinstance(session, Unavailable):
            raise SessionUnavailable(session.reason)
        if not isinstance(session, Found):
            return self.answers.login_required()
        if (unavailable := self.known_users.refresh(session, now)) is not None:
            raise SessionUnavailable(unavailable.reason)
        identity = session.person.identity
        claims = session.record.claims
        shown = self.config.shown_attributes
        return self.answers.json(
            200,
            {
                "user_name": identity.user_name,
                "display_name": identity.display_name,
                "known": identity.known,
                "sub": identity.sub,
                "issuer": identity.issuer,
                "idp": identity.idp,
                "auth_time": identity.auth_time,
                "acr": identity.acr,
                "amr": list(identity.amr),
                "claims": {name: claims[name] for name in shown if name in claims},
            },
        )

    def jwks(self, request: Request, facts: Facts) -> Response:
        """The public keys of the gate as a client of its IdPs, which know this address as `jwks_uri`."""
        return self.answers.json(200, published_keys(self.config.identity_providers))

    def healthz(self, request: Request, facts: Facts) -> Response:
        """Whether the process answers; asks nobody."""
        return self.answers.json(200, {"status": "ok"})

    def readyz(self, request: Request, facts: Facts) -> Response:
        """Whether requests can be decided. Not asked: the IdP, without which sessions work on (G-17)."""
        now = int(self.clock())
        checks = self.readiness.of(
            {
                "state": lambda: self.state.get("readyz", "readyz", now=now),
                "directory": lambda: self.users.find("readyz", now=now),
                "sessions": lambda: self.sessions.probe(now),
            },
            self.clock,
        )
        ready = all(checks.values())
        words = {name: "ok" if works else "unavailable" for name, works in checks.items()}
        return self.answers.json(200 if ready else 503, {"status": "ok" if ready else "unavailable", **words})

    def _no_route(self, error: HTTPException, facts: Facts | None, environ: "WSGIEnvironment") -> Response:
        if isinstance(error, MethodNotAllowed):
            return self.answers.method_not_allowed(error.valid_methods or ())
        return self.refusals.not_found(facts, environ)
