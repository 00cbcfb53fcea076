"""What every front has in common: its arguments, its parts, and the cookies it keeps from the app.

A front stands between a server and an app: `wsgi.Gate`, `asgi.AsyncGate`. Here live how the arguments of both
become a configuration and parts, and what is done alike on the way to the app and back. How a request comes
in and an answer goes out is theirs.
"""

import copy
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeVar

from oidcgate.gate import session as sessions
from oidcgate.gate.decision import Reason, StepUp, can_be_sent_away, return_path_of
from oidcgate.gate.hosts import Hosts
from oidcgate.gate.judge import Judge
from oidcgate.gate.unread import Use, unread, unread_line
from oidcgate.identity import ReservedNames
from oidcgate.protocol.step_up import step_up_challenge
from oidcgate.settings import Problem, SettingsError
from oidcgate.web.cookies import GATE_PATH, strip_cookies
from oidcgate.web.facts import Facts, Misdirected

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

    from oidcgate.directory.port import UserDirectory
    from oidcgate.gate.config import GateConfig
    from oidcgate.gate.parts import GateParts

__all__ = ["REPLACED_BY_REDIRECT", "Front", "cookies_to_add"]

_log = logging.getLogger("oidcgate.gate")

App = TypeVar("App")

#: The fields of an app's 401 that are not true of the redirect which takes its place.
REPLACED_BY_REDIRECT: Final = frozenset({"www-authenticate", "location", "cache-control", "expires"})

#: What says nothing of a host, and is asked by whoever knows but an address.
_AT_ANY_HOST: Final = frozenset({GATE_PATH + "healthz", GATE_PATH + "readyz"})


class Front(Generic[App]):
    """A gate around `app`.

    With several public URLs there is a front for each host, which has its own parts and judge and shares all
    else; the one that was made is that of the first host and knows the others.

    Attributes:
        app: what is protected.
        parts: what the gate is made of, at this host.
        forwarding: the headers by which the app is told who the user is.
        forwards: whether `app` passes requests on to another server and adds those headers itself; it says so
            by an attribute `forwards_identity`.
        encoded_slash: whether `%2F` may stand in a path.
        reserved: the names that no client can use.
        judge: what every request is judged by.
        hosts: the front of each host; None where there is but one, and nobody has to ask which.
    """

    hosts: "Hosts[Self] | None"

    def __init__(
        self,
        app: App,
        *,
        issuer: str | None = None,
        configuration_url: str | None = None,
        client_id: str | None = None,
        client_secret: str | None = None,
        public_url: str | None = None,
        public_urls: Sequence[str] = (),
        secret: str | Sequence[str] | None = None,
        users: "str | Mapping[str, Any] | UserDirectory | None" = None,
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
            public_url: where browsers reach the app, without a path; or `public_urls`, for several hosts.
            secret: what seals sessions (`oidcgate secret` makes one); several: the first seals, all open.
            users: `"file:users.toml"`, `"any"`; a mapping with all of `[users]`; or a directory of one's own.
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
        directory = None if users is None or isinstance(users, str | Mapping) else users
        data = {
            "public_url": public_url,
            "public_urls": public_urls if isinstance(public_urls, str) else list(public_urls) or None,
            "provider": provider,
            "session": {"secret": secret if secret is None or isinstance(secret, str) else "\n".join(secret)},
            # A directory of one's own stands in for whatever source is named.
            "users": users
            if isinstance(users, Mapping)
            else {"source": users if directory is None else "any"},
            "rules": list(rules) or None,
            "state": {"store": state},
        }
        config = config_from_mapping(_merged(data, tables))
        _look_for_unread(app, config)
        self._compose(app, build(config, directory=directory, provider_app=provider_app))

    @classmethod
    def from_config(
        cls,
        app: App,
        path: str | os.PathLike[str],
        *,
        env: Mapping[str, str] | None = None,
        users: "UserDirectory | None" = None,
        provider_app: "WSGIApplication | None" = None,
    ) -> Self:
        """Protect `app` as a configuration file says.

        Args:
            app: what is protected.
            path: `oidcgate.toml`.
            env: variables that override single keys (`OIDCGATE_…`); those of the process unless given.
            users: a directory of one's own, in place of what `users.source` names.
            provider_app: the provider as a WSGI app of this very process, called without a socket.

        Raises:
            SettingsError: with everything that is wrong, each with key, value and fix.
        """
        from oidcgate.gate.build import build
        from oidcgate.gate.config import load_config

        config = load_config(path, os.environ if env is None else env)
        _look_for_unread(app, config)
        return cls.from_parts(app, build(config, directory=users, provider_app=provider_app))

    @classmethod
    def from_parts(cls, app: App, parts: "GateParts") -> Self:
        """Protect `app` with parts that were composed elsewhere (`oidcgate.gate.build`)."""
        front = cls.__new__(cls)
        front._compose(app, parts)
        return front

    def _compose(self: Self, app: App, parts: "GateParts") -> None:
        self.app = app
        self.forwards = _forwards(app)
        # In process an app sees decoded paths only, in which nobody could tell the two slashes apart.
        self.encoded_slash = self.forwards and parts.config.proxy.insecure_encoded_slash
        self.forwarding = parts.config.forward.forwarding(behind_a_proxy=self.forwards)
        self.reserved = ReservedNames(self.forwarding.names)
        self._serve(parts)
        self.hosts = self._at_each_host(parts) if parts.elsewhere else None

    def _at_each_host(self, parts: "GateParts") -> "Hosts[Self]":
        fronts = {parts.config.public_url: self}
        for there in parts.elsewhere:
            front = copy.copy(self)
            front._serve(there)
            fronts[there.config.public_url] = front
        return Hosts(fronts)

    def _serve(self, parts: "GateParts") -> None:
        """Take the parts of one host."""
        self.parts = parts
        self.judge = Judge(
            parts.sessions,
            parts.known_users,
            parts.policy,
            self.forwarding,
            parts.refresher,
            token_header=parts.config.forward.access_token and (self.forwards or bool(self.forwarding.names)),
        )

    def at(self, facts: Facts) -> Self:
        """The front of the host that a request is for; nobody else knows anything of its cookies.

        Raises:
            Misdirected: it is none of ours.
        """
        if self.hosts is None or facts.path.removesuffix("/") in _AT_ANY_HOST:
            return self
        there = self.hosts.find(facts.host)
        if there is None:
            raise Misdirected
        return there

    def kept_cookies(
        self, cookies: str, session: sessions.Found | sessions.Absent | sessions.Unavailable
    ) -> str:
        """The Cookie header for the app, without ours."""
        names = self.parts.names
        if type(session) is not sessions.Found:
            return strip_cookies(cookies, names)
        header, kept = session.stripped
        if header != cookies:
            kept = strip_cookies(cookies, names)
            session.stripped = (cookies, kept)
        return kept

    def step_up_url(self, challenges: Iterable[str], facts: Facts) -> str | None:
        """Where a browser goes that the app has answered 401 because it wants another sign-in.

        Only people who navigate are sent: a script reads the challenge itself, and what was posted would be
        lost.

        Args:
            challenges: the values of the app's `WWW-Authenticate` fields.
            facts: the request, which the gate let in with a session.

        Returns:
            None when the app asks for nothing of that kind; its answer then stays as it is.

        Spec: RFC 9470 3.
        """
        if not can_be_sent_away(facts) or (asked := step_up_challenge(challenges)) is None:
            return None
        path = return_path_of(facts)
        step_up = StepUp(Reason.APP_ASKS, path, asked.max_age_seconds, asked.acr_values)
        return self.parts.refusals.step_up_url(step_up)


def cookies_to_add(cookies: list[str], cache_control: str) -> list[tuple[str, str]]:
    """Our cookies as headers of the app's answer, unless a shared cache would keep them with it.

    An answer that the app declares public goes out as it is; the next request renews the session as well. Any
    other is marked private, unless the app says so itself.

    Args:
        cookies: Set-Cookie values.
        cache_control: what the app says, all its Cache-Control headers joined.
    """
    said = cache_control.lower()
    if not cookies or "public" in said or "s-maxage" in said:
        return []
    ours = [("Set-Cookie", cookie) for cookie in cookies]
    if "private" not in said and "no-store" not in said:
        ours.append(("Cache-Control", "private"))
    return ours


def _look_for_unread(app: object, config: "GateConfig") -> None:
    """Say which settings have no effect around `app`: the same file may be the sidecar's as well.

    Raises:
        SettingsError: `[proxy]` is set beside a proxy that was made by hand and knows nothing of it, with
            each such setting. It would be thought to hold of this proxy.
    """
    use = Use.AROUND_A_PROXY if _forwards(app) else Use.AROUND_AN_APP
    if use is Use.AROUND_A_PROXY:
        problems = [
            Problem(
                key,
                None,
                "is for `oidcgate serve`, and here the app is a ReverseProxy of your own",
                "give it to ReverseProxy, or leave it out",
            )
            for key, _ in unread(config, use)
            if key.startswith("proxy.")
        ]
        if problems:
            raise SettingsError(problems)
    if (line := unread_line(config, use)) is not None:
        _log.warning("%s", line)


def _forwards(app: object) -> bool:
    return getattr(app, "forwards_identity", False)


def _merged(data: dict[str, Any], tables: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments as a configuration: what was not given is left out, tables are laid over tables."""
    merged: dict[str, Any] = {}
    for key in {**data, **tables}:
        given, table = data.get(key), tables.get(key)
        if isinstance(given, dict) and (table is None or isinstance(table, Mapping)):
            given = {name: value for name, value in given.items() if value is not None}
            given.update(table or {})
            if given:
                merged[key] = given
        else:
            value = table if key in tables else given
            if value is not None:
                merged[key] = value
    return merged
