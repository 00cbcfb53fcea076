"""`Gate`: the gate around a WSGI app, in the app's own process.

Here lives the way of one request: identity names stripped, facts read, the request judged, and only then the
app called or an answer given. Judging is `oidcgate.gate.judge`; the arguments of `Gate` become parts in
`oidcgate.gate.front`; the same for ASGI apps is `oidcgate.gate.asgi`.

The allowed request is the hot path: it touches the environ directly and builds no request object.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from oidcgate.gate import decision as decisions
from oidcgate.gate.front import REPLACED_BY_REDIRECT, Front, cookies_to_add
from oidcgate.gate.session import Found
from oidcgate.handover import FORWARD, PUBLIC_URL
from oidcgate.identity import ACCESS_TOKEN_ENVIRON, IDENTITY_ENVIRON, environ_key
from oidcgate.web.cookies import CookieNames, names_gate_cookie
from oidcgate.web.facts import BadRequest, Facts, RequestFault, facts_from_environ

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from oidcgate.gate.parts import GateParts

__all__ = ["Gate"]

Headers = list[tuple[str, str]]
WSGIApp = Callable[..., Iterable[bytes]]
Write = Callable[[bytes], object]


class Gate(Front[WSGIApp]):
    """A WSGI app that lets to `app` only whom the policy lets in, and tells it who they are.

    Nothing of a request reaches `app` before the decision, and its body is never read here. An admitted
    request carries `environ["oidcgate.identity"]` (an `Identity`) and `environ["REMOTE_USER"]` when it is
    known who sent it, and the headers of `forward.preset` where one is set; every copy of such names that
    came from outside is gone on every branch. Exceptions and answers of `app` pass through as they are, but
    for a Set-Cookie that names a cookie of the gate.

    `Gate` has to see whole paths: it goes around a dispatcher or `ProxyFix`, never inside one.
    """

    def _compose(self, app: WSGIApp, parts: "GateParts") -> None:
        super()._compose(app, parts)
        # Looked up once: the allowed request is measured in single microseconds.
        self._strip = self.reserved.strip_environ
        self._clock: Callable[[], float] = parts.clock

    def _serve(self, parts: "GateParts") -> None:
        super()._serve(parts)
        self._names = parts.names

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """One request. Spec: PEP 3333."""
        # gunicorn takes the cut from a client's header when it trusts the peer: /public/users, cut behind
        # /public, would be judged as public and served as /users.
        cut_by_client = "HTTP_SCRIPT_NAME" in environ and environ.get("SCRIPT_NAME", "") != ""
        # First, on every branch: what is public, refused or answered here is free of foreign identity too.
        self._strip(environ)
        try:
            if cut_by_client:
                raise BadRequest(RequestFault.CUT_BY_CLIENT)
            facts = facts_from_environ(environ, insecure_encoded_slash=self.encoded_slash)
            here = self if self.hosts is None else self.at(facts)
        except BadRequest as bad:
            refused = decisions.Refuse(bad.reason, bad.status)
            return self.parts.refusals.respond(refused, None, environ)(environ, start_response)
        now = int(self._clock())
        cookies: str = environ.get("HTTP_COOKIE", "")
        decision, session = here.judge(facts, cookies, now)
        if isinstance(decision, decisions.Answer):
            return here.parts.routes(environ, start_response)
        if not isinstance(decision, decisions.Allow):
            return here.parts.refusals.respond(decision, facts, environ)(environ, start_response)

        if self.forwards:
            environ[PUBLIC_URL] = here.parts.config.public_url
        touched: list[str] = []
        if decision.identified and type(session) is Found:
            person = session.person
            environ[IDENTITY_ENVIRON] = person.identity
            environ["REMOTE_USER"] = person.remote_user
            if session.access_token is not None:
                environ[ACCESS_TOKEN_ENVIRON] = session.access_token
            if session.forwarded:
                environ[FORWARD] = session.forwarded
                if not self.forwards:
                    for name, value in session.forwarded:
                        environ[environ_key(name)] = value.decode("latin-1")
            if now >= session.touch_at:
                touched = here.parts.sessions.touch(session, now)
        if cookies:
            kept = here.kept_cookies(cookies, session)
            if kept:
                environ["HTTP_COOKIE"] = kept
            else:
                del environ["HTTP_COOKIE"]
        # A partial of a plain function: cheaper than a closure, and this is made for each request.
        asked_by = facts if decision.identified else None
        return self.app(environ, partial(_begin, start_response, here, touched, asked_by))


def _begin(
    start_response: "StartResponse",
    gate: Gate,
    touched: list[str],
    facts: Facts | None,
    status: str,
    headers: Headers,
    exc_info: Any = None,
    /,
) -> Write:
    """`start_response` for the app: gate cookies it sets are dropped, ours are added.

    Args:
        facts: the request, if the app was told who sent it: then the app may ask for another sign-in.
    """
    names = gate._names
    if facts is not None and status.startswith("401"):
        status, headers = _to_sign_in(gate, facts, status, headers)
    for name, value in headers:
        # By length first: this runs for each header of each answer.
        if len(name) == 10 and name.lower() == "set-cookie" and names_gate_cookie(value, names):
            headers = [pair for pair in headers if not _sets_gate_cookie(pair, names)]
            break
    if touched:
        headers = _with_cookies(headers, touched)
    return start_response(status, headers) if exc_info is None else start_response(status, headers, exc_info)


def _to_sign_in(gate: Gate, facts: Facts, status: str, headers: Headers) -> tuple[str, Headers]:
    """A 401 by which the app asks for another sign-in, as the redirect that leads to it; its body stays."""
    challenges = [value for name, value in headers if name.lower() == "www-authenticate"]
    url = gate.step_up_url(challenges, facts) if challenges else None
    if url is None:
        return status, headers
    kept = [pair for pair in headers if pair[0].lower() not in REPLACED_BY_REDIRECT]
    return "302 Found", [*kept, ("Location", url), ("Cache-Control", "no-store")]


def _sets_gate_cookie(pair: tuple[str, str], names: CookieNames) -> bool:
    return pair[0].lower() == "set-cookie" and names_gate_cookie(pair[1], names)


def _with_cookies(headers: Headers, cookies: list[str]) -> Headers:
    said = ",".join(value for name, value in headers if name.lower() == "cache-control")
    return [*headers, *cookies_to_add(cookies, said)]
