"""`Gate`: the gate around a WSGI app, in the app's own process.

Here lives the way of one request: identity names stripped, facts read, session loaded, decision taken, and
only then the app called or an answer given. What may pass is decided in `oidcgate.gate.decision`; the routes
under `/.oidcgate/` and the pages of a refusal come from `oidcgate.gate.build`, which composes all parts.

The allowed request is the hot path: it touches the environ directly and builds no request object.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from oidcgate.gate import decision as decisions
from oidcgate.gate import session as sessions
from oidcgate.identity import IDENTITY_ENVIRON, strip_environ
from oidcgate.web.cookies import GATE_PATH, CookieNames, names_gate_cookie, strip_cookies
from oidcgate.web.facts import BadRequest, RequestFault, facts_from_environ

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from oidcgate.directory.port import UserDirectory
    from oidcgate.gate.build import GateParts

__all__ = ["Gate"]

Headers = list[tuple[str, str]]
Write = Callable[[bytes], object]

_NO_SESSION: Final = sessions.Absent(sessions.AbsentReason.NO_COOKIE)


class Gate:
    """A WSGI app that lets to `app` only whom the policy lets in, and tells it who they are.

    Nothing of a request reaches `app` before the decision, and its body is never read here. An admitted
    request carries `environ["oidcgate.identity"]` (an `Identity`) and `environ["REMOTE_USER"]` when it is
    known who sent it; every copy of such names that came from outside is gone on every branch. Exceptions and
    answers of `app` pass through as they are, but for a Set-Cookie that names a cookie of the gate.

    `Gate` has to see whole paths: it goes around a dispatcher or `ProxyFix`, never inside one.
    """

    def __init__(
        self,
        app: "WSGIApplication",
        *,
        issuer: str | None = None,
        configuration_url: str | None = None,
        client_id: str | None = None,
        client_secret: str | None = None,
        public_url: str | None = None,
        secret: str | Sequence[str] | None = None,
        users: "str | UserDirectory | None" = None,
        rules: Iterable[Mapping[str, Any]] = (),
        state: str | None = None,
        provider_app: "WSGIApplication | None" = None,
        **tables: Any,
    ) -> None:
        """Protect `app`. Every argument is the setting of that name in `oidcgate.toml`.

        Args:
            app: what is protected.
            issuer: the identity provider; or `configuration_url`, where its metadata lies.
            client_id: what the provider knows this gate as, with `client_secret`.
            public_url: where browsers reach the app, without a path.
            secret: what seals sessions (`oidcgate secret` makes one); several: the first seals, all open.
            users: `"file:users.toml"`, `"any"`, or a directory of one's own.
            rules: mappings with `path`, `allow` and perhaps `methods`; first match wins, no match: known
                users.
            state: the state store, `"sqlite:///oidcgate-state.db"` unless given; `"memory"` for one process.
            provider_app: the provider as a WSGI app of this very process, called without a socket.
            **tables: the rest, by table: `session={"idle_minutes": 60}`, `provider={"name": "Example"}`.

        Raises:
            SettingsError: with everything that is wrong, each with key, value and fix.
        """
        # Imported here: reading a configuration needs much that an admitted request does not.
        from oidcgate.gate.build import build
        from oidcgate.gate.config import config_from_mapping

        provider = {
            "issuer": issuer,
            "configuration_url": configuration_url,
            "client_id": client_id,
            "client_secret": client_secret,
        }
        directory = None if users is None or isinstance(users, str) else users
        data = {
            "public_url": public_url,
            "provider": provider,
            "session": {"secret": secret if secret is None or isinstance(secret, str) else "\n".join(secret)},
            # A directory of one's own stands in for whatever source is named.
            "users": {"source": users if directory is None else "any"},
            "rules": list(rules) or None,
            "state": {"store": state},
        }
        config = config_from_mapping(_merged(data, tables))
        self._compose(app, build(config, directory=directory, provider_app=provider_app))

    @classmethod
    def from_config(
        cls, app: "WSGIApplication", path: str | os.PathLike[str], *, env: Mapping[str, str] | None = None
    ) -> "Gate":
        """Protect `app` as a configuration file says.

        Args:
            app: what is protected.
            path: `oidcgate.toml`.
            env: variables that override single keys (`OIDCGATE_…`); those of the process unless given.

        Raises:
            SettingsError: with everything that is wrong, each with key, value and fix.
        """
        from oidcgate.gate.build import build
        from oidcgate.gate.config import load_config

        return cls.from_parts(app, build(load_config(path, os.environ if env is None else env)))

    @classmethod
    def from_parts(cls, app: "WSGIApplication", parts: "GateParts") -> "Gate":
        """Protect `app` with parts that were composed elsewhere (`oidcgate.gate.build`)."""
        gate = cls.__new__(cls)
        gate._compose(app, parts)
        return gate

    def _compose(self, app: "WSGIApplication", parts: "GateParts") -> None:
        self.parts = parts
        self._app = app
        self._names = parts.names
        self._policy = parts.policy
        self._load = parts.sessions.load
        self._touch = parts.sessions.touch
        self._refresh = parts.known_users.refresh
        self._routes = parts.routes
        self._refusals = parts.refusals
        self._clock: Callable[[], float] = parts.clock

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """One request. Spec: PEP 3333."""
        # gunicorn takes the cut from a client's header when it trusts the peer: /public/users, cut behind
        # /public, would be judged as public and served as /users.
        cut_by_client = "HTTP_SCRIPT_NAME" in environ and environ.get("SCRIPT_NAME", "") != ""
        # First, on every branch: what is public, refused or answered here is free of foreign identity too.
        strip_environ(environ)
        try:
            if cut_by_client:
                raise BadRequest(RequestFault.CUT_BY_CLIENT)
            facts = facts_from_environ(environ)
        except BadRequest as bad:
            refused = decisions.Refuse(bad.reason, 400)
            return self._refusals.respond(refused, None, environ)(environ, start_response)
        now = int(self._clock())
        cookies: str = environ.get("HTTP_COOKIE", "")
        session: sessions.Found | sessions.Absent | sessions.Unavailable = _NO_SESSION
        if cookies and not facts.path.startswith(GATE_PATH):
            session = self._load(cookies, now)
            if type(session) is sessions.Found:
                session = self._refresh(session, now) or session
        decision = decisions.decide(facts, session, self._policy, now)
        if isinstance(decision, decisions.Answer):
            return self._routes(environ, start_response)
        if not isinstance(decision, decisions.Allow):
            return self._refusals.respond(decision, facts, environ)(environ, start_response)

        touched: list[str] = []
        if decision.identified and type(session) is sessions.Found:
            person = session.person
            environ[IDENTITY_ENVIRON] = person.identity
            environ["REMOTE_USER"] = person.remote_user
            if now >= session.touch_at:
                touched = self._touch(session, now)
        if cookies:
            kept = self._kept(cookies, session)
            if kept:
                environ["HTTP_COOKIE"] = kept
            else:
                del environ["HTTP_COOKIE"]
        # A partial of a plain function: cheaper than a closure, and this is made for each request.
        return self._app(environ, partial(_begin, start_response, self._names, touched))

    def _kept(self, cookies: str, session: sessions.Found | sessions.Absent | sessions.Unavailable) -> str:
        """The Cookie header for the app, without ours."""
        if type(session) is not sessions.Found:
            return strip_cookies(cookies, self._names)
        header, kept = session.stripped
        if header != cookies:
            kept = strip_cookies(cookies, self._names)
            session.stripped = (cookies, kept)
        return kept


def _merged(data: dict[str, Any], tables: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments as a configuration: what was not given is left out, tables are laid over tables."""
    merged: dict[str, Any] = {}
    for key in {**data, **tables}:
        given, table = data.get(key), tables.get(key)
        if isinstance(given, dict):
            given = {name: value for name, value in given.items() if value is not None}
            if isinstance(table, Mapping):
                given.update(table)
            if given:
                merged[key] = given
        else:
            value = table if key in tables else given
            if value is not None:
                merged[key] = value
    return merged


def _begin(
    start_response: "StartResponse",
    names: CookieNames,
    touched: list[str],
    status: str,
    headers: Headers,
    exc_info: Any = None,
    /,
) -> Write:
    """`start_response` for the app: gate cookies it sets are dropped, ours are added."""
    for name, value in headers:
        # By length first: this runs for each header of each answer.
        if len(name) == 10 and name.lower() == "set-cookie" and names_gate_cookie(value, names):
            headers = [pair for pair in headers if not _sets_gate_cookie(pair, names)]
            break
    if touched:
        headers = _with_cookies(headers, touched)
    return start_response(status, headers) if exc_info is None else start_response(status, headers, exc_info)


def _sets_gate_cookie(pair: tuple[str, str], names: CookieNames) -> bool:
    return pair[0].lower() == "set-cookie" and names_gate_cookie(pair[1], names)


def _with_cookies(headers: Headers, cookies: list[str]) -> Headers:
    """The app's headers and ours, unless a shared cache would keep our cookie with the answer.

    An answer that the app declares public goes out as it is; the next request renews the session as well. Any
    other is marked private, unless the app says so itself.
    """
    said = ",".join(value for name, value in headers if name.lower() == "cache-control").lower()
    if "public" in said or "s-maxage" in said:
        return headers
    ours = [("Set-Cookie", cookie) for cookie in cookies]
    if "private" not in said and "no-store" not in said:
        ours.append(("Cache-Control", "private"))
    return [*headers, *ours]
