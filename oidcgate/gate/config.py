"""The settings of the gate: `oidcgate.toml`, `OIDCGATE_…` variables and the arguments of `Gate(…)`.

Each setting has code behind it; a key that is not here is a problem. Reading, conversion and the list of all
problems are `oidcgate.settings`; what the settings become is `oidcgate.gate.build`. Nothing here opens a file
but the configuration itself and the secrets that it names.
"""

import contextlib
import dataclasses
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from oidcgate import settings
from oidcgate.gate.break_glass_settings import BreakGlassSettings
from oidcgate.gate.context_settings import FACTS, GROUPS, ContextAttributeSettings, context_problems
from oidcgate.gate.front_settings import ForwardSettings, ProxySettings, ServeSettings
from oidcgate.gate.host_settings import public_url_problem, public_urls_problem, unknown_hosts
from oidcgate.gate.hosts import host_of
from oidcgate.gate.login_settings import LoginSettings
from oidcgate.gate.page_settings import PagesSettings
from oidcgate.gate.provider_settings import ProviderSettings
from oidcgate.gate.rule_settings import RuleSettings
from oidcgate.gate.store_settings import (
    StateSettings,
    anchored_file,
    anchored_state,
    password_problem,
    session_store_problem,
    stores_problem,
)
from oidcgate.gate.users_settings import UsersSettings, anchored_users
from oidcgate.settings import Check, Problem, Secret, cross_check, setting
from oidcgate.web.cookies import GATE_PATH
from oidcgate.web.sealing import KeyRing, WeakSecret

ENV_PREFIX: Final = "OIDCGATE_"
CALLBACK_PATH: Final = f"{GATE_PATH}callback"
LOGIN_PATH: Final = f"{GATE_PATH}login"
BREAK_GLASS_PATH: Final = f"{GATE_PATH}break-glass"
LOGOUT_PATH: Final = f"{GATE_PATH}logout"
LOGGED_OUT_PATH: Final = f"{GATE_PATH}logged-out"
RESEND_PATH: Final = f"{GATE_PATH}resend"
JWKS_PATH: Final = f"{GATE_PATH}jwks.json"
BACKCHANNEL_LOGOUT_PATH: Final = f"{GATE_PATH}backchannel-logout"
FRONTCHANNEL_LOGOUT_PATH: Final = f"{GATE_PATH}frontchannel-logout"
SESSION_FRAME_PATH: Final = f"{GATE_PATH}session-frame"
SESSION_CHECK_PATH: Final = f"{GATE_PATH}session-check"

_MINUTES_OF_A_YEAR = 525_600
_REFRESH_BEFORE_SECONDS: Final = 60


@dataclasses.dataclass(frozen=True)
class SessionSettings:
    """`[session]`: how long, and under which key."""

    store: str = setting(
        default="sealed",
        check=session_store_problem,
        help='"sealed": all of it encrypted in the cookie. Shared by all that name them: '
        '"redis://HOST:PORT/DB" (over TLS "rediss://…"), "memcached://HOST:PORT,HOST", "sqlite:///FILE", '
        '"postgresql+psycopg://…", or "sql", which is the database of state.store. "memory": in this '
        "process, which must be the one.",
    )
    store_password: Secret | None = setting(
        default=None, help="The password for the store, where it is PostgreSQL or Redis."
    )
    secret: Secret = setting(
        help="The key of sessions, from `oidcgate secret`. One key a line: the first seals, all open.",
        made_by="run (umask 077; oidcgate secret > {file})",
    )
    idle_minutes: float = setting(
        default=480,
        minimum=1,
        maximum=_MINUTES_OF_A_YEAR,
        help="A session ends when it is not used for so long.",
    )
    absolute_minutes: float = setting(
        default=720, minimum=1, maximum=_MINUTES_OF_A_YEAR, help="A session ends so long after the sign-in."
    )
    max_per_user: int = setting(
        default=0,
        minimum=0,
        maximum=10_000,
        help="How many sessions a user may have at once; one more sign-in ends the oldest. 0: any number.",
    )
    claims: tuple[str, ...] = setting(
        default=("preferred_username", "name", "email"),
        help="The context attributes that are kept in the session for the app, beside groups where they are "
        "fetched and those of [[forward.headers]]; all others are dropped at sign-in.",
    )
    keep_tokens: bool = setting(
        default=False,
        help="Keep tokens in the state store, and ask the IdP for new ones when the access token ends. "
        "When it says no, the session ends.",
    )
    refresh_before_seconds: int = setting(
        default=_REFRESH_BEFORE_SECONDS,
        minimum=0,
        maximum=3600,
        help="How long before its end an access token is renewed, at most half its life.",
    )

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """The keys, the sealing one first."""
        return tuple(Secret(line.strip()) for line in self.secret.reveal().splitlines() if line.strip())

    @cross_check
    def _strong_keys(self) -> Iterable[Problem]:
        try:
            KeyRing([key.reveal() for key in self.secrets])
        except WeakSecret as error:
            message, _, fix = str(error).partition("; ")
            yield Problem("secret", None, message, fix)

    @cross_check
    def _password_is_asked_for(self) -> Iterable[Problem]:
        yield from password_problem(self.store, self.store_password)

    @cross_check
    def _refreshes_what_is_kept(self) -> Iterable[Problem]:
        if self.refresh_before_seconds != _REFRESH_BEFORE_SECONDS and not self.keep_tokens:
            yield Problem(
                "refresh_before_seconds",
                self.refresh_before_seconds,
                "is about tokens, and none are kept",
                "set session.keep_tokens = true, or take it out",
            )

    @cross_check
    def _ends_in_order(self) -> Iterable[Problem]:
        if self.idle_minutes > self.absolute_minutes:
            yield Problem(
                "idle_minutes",
                self.idle_minutes,
                f"is more than absolute_minutes ({self.absolute_minutes:g})",
                "lower it, or raise absolute_minutes",
            )


@dataclasses.dataclass(frozen=True)
class GateConfig:
    """The gate's configuration, right as a whole."""

    public_url: str = setting(
        default="",
        check=public_url_problem,
        help="Scheme, host and port under which browsers reach the app.",
    )
    public_urls: tuple[str, ...] = setting(
        default=(),
        each=public_url_problem,
        check=public_urls_problem,
        help="Instead of public_url, where there are several hosts; each has sessions of its own.",
    )
    provider: ProviderSettings | None = setting(default=None, help="The identity provider.")
    providers: tuple[ProviderSettings, ...] = setting(
        default=(), help="Several identity providers: people choose, unless a rule or a link names one."
    )
    context: tuple[ContextAttributeSettings, ...] = setting(
        default=(), help="What apps may be told beside the standard claims."
    )
    users: UsersSettings = setting(help="Who is known.")
    session: SessionSettings = setting(help="How long a sign-in lasts.")
    state: StateSettings = setting(factory=StateSettings, help="The store of revocations.")
    rules: tuple[RuleSettings, ...] = setting(
        default=(), help="First match wins; no match: known users only."
    )
    login: LoginSettings = setting(factory=LoginSettings, help="How a sign-in begins.")
    break_glass: BreakGlassSettings | None = setting(
        default=None, help="Users with a password of the gate's own, for when no IdP answers."
    )
    pages: PagesSettings = setting(factory=PagesSettings, help="What the gate's own pages look like.")
    forward: ForwardSettings = setting(factory=ForwardSettings, help="How the app is told who the user is.")
    proxy: ProxySettings = setting(factory=ProxySettings, help="The app behind the sidecar.")
    serve: ServeSettings = setting(factory=ServeSettings, help="The sidecar's own server.")

    @property
    def origins(self) -> tuple[str, ...]:
        """Every public URL, however they were written; never empty in a configuration that was parsed."""
        return (self.public_url,) if self.public_url else self.public_urls

    @property
    def hosts(self) -> tuple[str, ...]:
        """The host of each of them, as browsers write it into Host."""
        return tuple(map(host_of, self.origins))

    @property
    def at_each_host(self) -> "tuple[GateConfig, ...]":
        """What holds at each host: one public URL, and the providers and rules that are for it."""
        return tuple(
            dataclasses.replace(
                self,
                public_url=origin,
                public_urls=(),
                provider=self.provider if self.provider and self.provider.serves(host) else None,
                providers=tuple(entry for entry in self.providers if entry.serves(host)),
                rules=tuple(rule for rule in self.rules if rule.holds_at(host)),
            )
            for origin, host in zip(self.origins, self.hosts, strict=True)
        )

    @property
    def identity_providers(self) -> tuple[ProviderSettings, ...]:
        """All of them, however they were written; never empty in a configuration that was parsed."""
        return (self.provider, *self.providers) if self.provider is not None else self.providers

    def named_providers(self) -> Iterator[tuple[str, ProviderSettings]]:
        """All of them, each with the key under which the file has it."""
        if self.provider is not None:
            yield "provider", self.provider
        for index, entry in enumerate(self.providers):
            yield f"providers[{index}]", entry

    @property
    def shown_attributes(self) -> tuple[str, ...]:
        """The context attributes that a person's own scripts may see of a session."""
        fetched = (GROUPS,) if any(entry.fetch_groups for entry in self.identity_providers) else ()
        return tuple(dict.fromkeys((*self.session.claims, *fetched)))

    @property
    def kept_attributes(self) -> tuple[str, ...]:
        """The context attributes that a session keeps, as far as a provider gives them."""
        told = (entry.attribute for entry in self.forward.headers if entry.attribute not in FACTS)
        return tuple(dict.fromkeys((*self.shown_attributes, *told)))

    @property
    def secure(self) -> bool:
        """Whether browsers come over https; false only on loopback."""
        return self.origins[0].startswith("https:")

    def callback_url(self, provider: ProviderSettings) -> str:
        """The redirect URI to register at an IdP, byte for byte; of several hosts, see `at_each_host`."""
        return self.public_url + callback_path(provider)

    def shares_callback(self, provider: ProviderSettings) -> bool:
        """Whether another IdP sends its answers to the same redirect URI."""
        return sum(other.callback == provider.callback for other in self.identity_providers) > 1

    @property
    def logged_out_url(self) -> str:
        """The post-logout redirect URI to register at the IdP."""
        return self.public_url + LOGGED_OUT_PATH

    @property
    def backchannel_logout_url(self) -> str:
        """The back-channel logout URI to register at the IdP."""
        return self.public_url + BACKCHANNEL_LOGOUT_PATH

    @property
    def frontchannel_logout_url(self) -> str:
        """The front-channel logout URI to register at an IdP that knows no back channel."""
        return self.public_url + FRONTCHANNEL_LOGOUT_PATH

    @cross_check
    def _some_public_url(self) -> Iterable[Problem]:
        if self.public_url and self.public_urls:
            yield Problem("public_urls", None, "is given beside public_url", "move all into public_urls")
        if not self.origins:
            yield Problem(
                "public_url", None, "is missing", "set public_url, or public_urls for several hosts"
            )

    @cross_check
    def _hosts_are_there(self) -> Iterable[Problem]:
        if not self.origins:
            return
        for key, entry in self.named_providers():
            yield from unknown_hosts(f"{key}.hosts", entry.hosts, self.hosts)
        for index, rule in enumerate(self.rules):
            yield from unknown_hosts(f"rules[{index}].hosts", rule.hosts, self.hosts)
        if self.public_urls:
            # With one public URL an upstream may have a host all the same: who signs nobody in needs no URL.
            for index, place in enumerate(self.proxy.upstreams):
                named = () if place.host is None else (place.host.lower(),)
                yield from unknown_hosts(f"proxy.upstreams[{index}].host", named, self.hosts)

    @cross_check
    def _some_provider_at_each_host(self) -> Iterable[Problem]:
        for host in self.hosts:
            serving = [entry for entry in self.identity_providers if entry.serves(host)]
            if self.identity_providers and not serving:
                yield Problem(
                    "providers", None, f"leave {host!r} without any", "add it to the hosts of one of them"
                )
            names = [entry.name for entry in serving]
            known = [entry.name for entry in self.identity_providers if entry.name]
            for index, rule in enumerate(self.rules):
                if rule.provider in known and rule.provider not in names and rule.holds_at(host):
                    yield Problem(
                        f"rules[{index}].provider",
                        rule.provider,
                        f"is no provider at {host!r}, where this rule holds",
                        "name hosts of the rule, or add this one to those of the provider",
                    )

    @cross_check
    def _some_provider(self) -> Iterable[Problem]:
        if self.provider is not None and self.providers:
            yield Problem("providers", None, "is given beside [provider]", "move all into [[providers]]")
        if not self.identity_providers:
            yield Problem(
                "provider", None, "is missing", "add [provider] with issuer, client_id and client_secret"
            )

    @cross_check
    def _providers_apart(self) -> Iterable[Problem]:
        seen: set[str] = set()
        names: set[str] = set()
        for key, entry in self.named_providers():
            # The issuer chooses the keys and endpoints of a login, so two entries under one issuer would be
            # one. Several documents can be of one issuer: those of Entra for several tenants are.
            places = set(_places(entry))
            if places & seen:
                yield Problem(f"{key}.issuer", entry.issuer, "is used twice", "keep one entry per issuer")
            seen |= places
            # One beside [provider] is told of already, and has no need of a name once it has moved.
            several = self.provider is None and len(self.providers) > 1
            if several and (not entry.name or entry.name in names):
                yield Problem(
                    f"{key}.name", entry.name, "does not tell this provider from the others", "name each"
                )
            names.add(entry.name)

    @cross_check
    def _rules_name_providers(self) -> Iterable[Problem]:
        names = [entry.name for entry in self.identity_providers if entry.name]
        for index, rule in enumerate(self.rules):
            if rule.provider and rule.provider not in names:
                listed = ", ".join(map(repr, names)) or "none that has a name"
                yield Problem(
                    f"rules[{index}].provider",
                    rule.provider,
                    f"is no provider here; there is {listed}",
                    "write the name of one of [[providers]]",
                )

    @cross_check
    def _context_fits(self) -> Iterable[Problem]:
        named = list(self.named_providers())
        wanted = [("session.claims", name) for name in self.session.claims]
        wanted += [
            (f"forward.headers[{index}].attribute", entry.attribute)
            for index, entry in enumerate(self.forward.headers)
            if entry.attribute not in FACTS
        ]
        yield from context_problems(self.context, named, wanted)

    @cross_check
    def _break_glass_is_no_provider(self) -> Iterable[Problem]:
        for key, entry in self.named_providers():
            if self.break_glass is not None and entry.name == "break-glass":
                yield Problem(f"{key}.name", entry.name, "is what such sessions are marked by", "rename it")

    @cross_check
    def _upstreams_are_told_what_is_sent(self) -> Iterable[Problem]:
        sent = self.forward.forwarding(behind_a_proxy=True).names
        known = {name.lower() for name in sent}
        for index, upstream in enumerate(self.proxy.upstreams):
            for name in upstream.identity_headers or ():
                if name.lower() not in known:
                    yield Problem(
                        f"proxy.upstreams[{index}].identity_headers",
                        name,
                        f"is none of the headers that are sent: {', '.join(sent) or 'there are none'}",
                        "name one of these, or add it in [forward]",
                    )

    @cross_check
    def _stores_of_one_kind(self) -> Iterable[Problem]:
        yield from stores_problem(self.session.store, self.state.store)

    @cross_check
    def _tokens_for_a_use(self) -> Iterable[Problem]:
        if self.session.keep_tokens and self.state.store == "memory" != self.session.store:
            # A sealed session lives on in the browser and in other processes; its tokens would not.
            yield Problem(
                "session.keep_tokens",
                True,
                'keeps tokens in state.store, and "memory" is lost with its process and shared with no other',
                'use state.store = "sqlite:///oidcgate-state.db", or session.store = "memory" too',
            )
        for key, entry in self.named_providers():
            if "offline_access" in entry.scopes and not self.session.keep_tokens:
                yield Problem(
                    f"{key}.scopes",
                    "offline_access",
                    "asks for a refresh token, which nobody would use",
                    "set session.keep_tokens = true, or take it out",
                )
        if self.forward.access_token and not self.session.keep_tokens:
            yield Problem(
                "forward.access_token",
                True,
                "hands on a token that is not kept",
                "set session.keep_tokens = true, or leave it out",
            )


def load_config(
    path: str | os.PathLike[str], env: Mapping[str, str], *, checks: Iterable[Check] = ()
) -> GateConfig:
    """Read `oidcgate.toml` and the environment.

    Relative names in it (secrets, users, databases) are taken from the file's own folder, so that
    the result does not depend on where a process was started. A state store that is not configured lies in
    `STATE_DIRECTORY` where that is set, as systemd does for a service that can write nowhere else.

    Args:
        checks: what else whoever reads it has to find right, told in the same run; see `settings.parse`. They
            see names as the file has them.

    Raises:
        SettingsError: with every problem.
    """
    config = settings.load(GateConfig, path, env=env, env_prefix=ENV_PREFIX, checks=checks)
    folder = Path(path).absolute().parent
    users, state = anchored_users(config.users, folder), anchored_state(config.state, folder, env)
    session = dataclasses.replace(config.session, store=anchored_file(config.session.store, folder))
    return dataclasses.replace(config, users=users, session=session, state=state)


def config_from_mapping(data: Mapping[str, Any]) -> GateConfig:
    """The configuration that the arguments of `Gate(…)` make.

    Relative names are taken from the working directory.

    Raises:
        SettingsError: with every problem.
    """
    return settings.parse(GateConfig, data)


def _places(provider: ProviderSettings) -> Iterator[str]:
    """Its discovery document and its issuer, as far as they are told and right."""
    if provider.has_address:
        yield provider.discovery_url
        with contextlib.suppress(ValueError):  # of a configuration_url, of which its own rule speaks
            yield provider.expected_issuer


def callback_path(provider: ProviderSettings) -> str:
    """Where the answers of an IdP arrive."""
    return CALLBACK_PATH if provider.callback is None else f"{CALLBACK_PATH}/{provider.callback}"
