"""The settings of the gate: `oidcgate.toml`, `OIDCGATE_…` variables and the arguments of `Gate(…)`.

Each setting has code behind it; a key that is not here is a problem. Reading, conversion and the list of all
problems are `oidcgate.settings`; what the settings become is `oidcgate.gate.build`. Nothing here opens a file
but the configuration itself and the secrets that it names.
"""

import dataclasses
import ipaddress
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from oidcgate import settings
from oidcgate.gate.front_settings import ForwardSettings, ProxySettings, ServeSettings
from oidcgate.gate.policy import Access, rule_problems
from oidcgate.jose.keys import SIGNING_ALGORITHMS
from oidcgate.loopback import is_loopback_host
from oidcgate.protocol import urls
from oidcgate.protocol.metadata import configuration_url, issuer_of
from oidcgate.settings import Problem, Secret, cross_check, setting
from oidcgate.storage.rendezvous import MEMCACHED, servers_of
from oidcgate.web.cookies import GATE_PATH
from oidcgate.web.sealing import KeyRing, WeakSecret

ENV_PREFIX: Final = "OIDCGATE_"
CALLBACK_PATH: Final = f"{GATE_PATH}callback"
LOGIN_PATH: Final = f"{GATE_PATH}login"
LOGOUT_PATH: Final = f"{GATE_PATH}logout"
LOGGED_OUT_PATH: Final = f"{GATE_PATH}logged-out"

_MINUTES_OF_A_YEAR = 525_600
_WELL_KNOWN: Final = "/.well-known/openid-configuration"


def _issuer_problem(value: str) -> str | None:
    if not value.isascii():
        return "has characters that a URL cannot have; write international names in their xn-- form"
    # The rule that the discovery document is held to as well: what passes here is not refused there.
    wrong = urls.issuer_problem(value, insecure_allow_http_loopback=True)
    return None if wrong is None else f"{wrong}; write it like https://id.example.com"


def _public_url_problem(value: str) -> str | None:
    if (wrong := _issuer_problem(value)) is not None:
        return wrong
    parts = urlsplit(value)
    if parts.path:
        return "has a path; write scheme, host and port only, without a slash at the end"
    default_port = {"https": 443, "http": 80}[parts.scheme]
    if value != value.lower() or parts.port == default_port:
        # Compared with what browsers send as Origin and registered byte for byte at the IdP.
        return "is not in its normal form; write it in lower case and without the default port"
    return None


def _logout_url_problem(value: str) -> str | None:
    try:
        parts = urlsplit(value)
        usable = parts.scheme == "https" or (
            parts.scheme == "http" and is_loopback_host(parts.hostname or "")
        )
    except ValueError:
        usable = False
    if (
        not usable
        or not parts.hostname
        or not value.isascii()
        or any(c <= " " or c in "\\\x7f" for c in value)
    ):
        return "is not an https URL; write it like https://intranet.example.com/bye"
    return None


def _scopes_problem(value: tuple[str, ...]) -> str | None:
    if "openid" not in value:
        return 'lacks openid; add it: without it there is no ID token, as in ["openid", "profile", "email"]'
    if len(set(value)) != len(value) or any(
        not scope or any(not "!" <= c <= "~" or c in '"\\' for c in scope) for scope in value
    ):
        return "has an entry that is empty, repeated or no scope; write one word per entry"
    return None


def _algorithms_problem(value: tuple[str, ...]) -> str | None:
    return None if value else "is empty; name at least one, such as RS256"


def _networks_problem(value: tuple[str, ...]) -> str | None:
    for network in value:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            return f"has an entry that is no network ({error}); write it like 10.0.0.0/8"
    return None


def _source_problem(value: str) -> str | None:
    if value == "any" or (value.startswith("file:") and value != "file:"):
        return None
    return 'is no known source of users; write "file:users.toml", or "any" to let every signed-in person in'


def _state_problem(value: str) -> str | None:
    if value == "memory" or (value.startswith("sqlite:///") and value != "sqlite:///"):
        return None
    if value.startswith("postgresql+psycopg://"):
        return None
    return 'is no known store; write "sqlite:///oidcgate-state.db", or "memory" for one process'


def _session_store_problem(value: str) -> str | None:
    if value in ("sealed", "memory"):
        return None
    if not value.startswith(MEMCACHED):
        return f'is no known store; write "sealed", "{MEMCACHED}h1:11211,h2", or "memory" for one process'
    try:
        servers_of(value)
    except ValueError as error:
        return str(error)
    return None


@dataclasses.dataclass(frozen=True)
class ProviderSettings:
    """One identity provider: `[provider]`, or one of `[[providers]]`."""

    name: str = setting(
        default="", help="What people see it called, and its name in `/.oidcgate/login?idp=`."
    )
    issuer: str | None = setting(
        default=None,
        check=_issuer_problem,
        help="The IdP's issuer, byte for byte as its discovery document says it. This or configuration_url.",
    )
    configuration_url: str | None = setting(
        default=None,
        check=_issuer_problem,
        help="Where the discovery document is; ends in /.well-known/openid-configuration. This or issuer.",
    )
    client_id: str = setting(help="The client id that the IdP gave for this app.")
    client_secret: Secret | None = setting(default=None, help="The client secret that the IdP gave.")
    scopes: tuple[str, ...] = setting(
        default=("openid", "profile", "email"),
        check=_scopes_problem,
        help="The scopes to ask for, in this order.",
    )
    token_endpoint_auth_method: str | None = setting(
        default=None,
        choices=("client_secret_basic", "client_secret_post", "none"),
        help="How the secret is presented. Unset: basic when the IdP offers it, else post.",
    )
    response_mode: str = setting(
        default="query",
        choices=("query", "form_post"),
        help="How the IdP answers. form_post keeps the code out of logs and needs https.",
    )
    id_token_algorithms: tuple[str, ...] = setting(
        default=tuple(SIGNING_ALGORITHMS),
        choices=tuple(SIGNING_ALGORITHMS),
        check=_algorithms_problem,
        help="Signatures that are believed on an ID token, as far as the IdP announces them too.",
    )
    get_user_info: bool = setting(
        default=False,
        help="Ask the userinfo endpoint at each login and add its claims to those of the ID token.",
    )
    clock_skew_seconds: int = setting(
        default=60, minimum=0, maximum=300, help="How far the IdP's clock may differ from ours."
    )
    logout_url: str | None = setting(
        default=None,
        check=_logout_url_problem,
        help="Where people are sent after sign-out; unset: a plain page of ours.",
    )
    timeout_seconds: float = setting(
        default=10.0,
        minimum=0.1,
        maximum=60,
        help="Total time for one call to the IdP, however slowly it answers.",
    )
    allow_networks: tuple[str, ...] = setting(
        default=(),
        check=_networks_problem,
        help="Private networks that hosts named in discovery may be in; the issuer's own may be anywhere.",
    )
    ca_file: Path | None = setting(
        default=None, help="A PEM bundle to check the IdP's certificate against, instead of the public ones."
    )

    @property
    def expected_issuer(self) -> str:
        """The issuer that discovery document, callback and ID token must name."""
        return self.issuer or issuer_of(self.configuration_url or "")

    @property
    def discovery_url(self) -> str:
        """Where the discovery document is fetched."""
        return self.configuration_url or configuration_url(self.issuer or "")

    @property
    def on_loopback(self) -> bool:
        """Whether the IdP is on this machine and speaks http, as in a demo or a test."""
        return self.discovery_url.startswith("http:")

    @cross_check
    def _one_address(self) -> Iterable[Problem]:
        if self.issuer is None and self.configuration_url is None:
            yield Problem("issuer", None, "is missing, and so is configuration_url", "set one of them")
        if self.issuer is not None and self.configuration_url is not None:
            yield Problem("configuration_url", None, "is given beside issuer", "keep one of them")
        if self.issuer is not None and self.issuer.endswith(_WELL_KNOWN):
            yield Problem(
                "issuer",
                self.issuer,
                "is the address of the discovery document",
                f"name it configuration_url, or leave off {_WELL_KNOWN}",
            )
        if self.configuration_url is not None:
            try:
                issuer_of(self.configuration_url)
            except ValueError:
                yield Problem(
                    "configuration_url",
                    self.configuration_url,
                    "does not end in /.well-known/openid-configuration",
                    "set issuer instead, and the rest is appended",
                )

    @cross_check
    def _one_proof(self) -> Iterable[Problem]:
        if self.client_secret is None and self.token_endpoint_auth_method != "none":  # noqa: S105 (a method)
            yield Problem("client_secret", None, "is missing", "set client_secret or client_secret_file")
        if self.client_secret is not None and self.token_endpoint_auth_method == "none":  # noqa: S105 (a method)
            yield Problem(
                "client_secret", None, "is given, and the method none never presents it", "remove one of them"
            )

    @cross_check
    def _bundle_there(self) -> Iterable[Problem]:
        if self.ca_file is not None and not self.ca_file.is_file():
            yield Problem("ca_file", str(self.ca_file), "is not a file", "name a PEM bundle")


@dataclasses.dataclass(frozen=True)
class UsersSettings:
    """`[users]`: who is known, and by which claim."""

    source: str = setting(
        check=_source_problem,
        help='Where known users are: "file:users.toml" (or .json); "any" lets every signed-in person in.',
    )
    match: str = setting(default="preferred_username", help="The claim that names the directory's userName.")
    recheck_seconds: int = setting(
        default=60, minimum=1, maximum=86_400, help="How old the directory's answer about a session may be."
    )
    max_stale_seconds: int = setting(
        default=3600, minimum=0, help="How long its last answers hold when the directory cannot be read."
    )


@dataclasses.dataclass(frozen=True)
class SessionSettings:
    """`[session]`: how long, and under which key."""

    store: str = setting(
        default="sealed",
        check=_session_store_problem,
        help='"sealed": all of it encrypted in the cookie. "memcached://HOST:PORT,HOST": on these servers, '
        'shared by all that name them. "memory": in this process, which must be the one.',
    )
    secret: Secret = setting(
        help="The key of sessions, from `oidcgate secret`. One key a line: the first seals, all open."
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
    claims: tuple[str, ...] = setting(
        default=("preferred_username", "name", "email"),
        help="The claims that are kept in the session for the app; all others are dropped at sign-in.",
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
    def _ends_in_order(self) -> Iterable[Problem]:
        if self.idle_minutes > self.absolute_minutes:
            yield Problem(
                "idle_minutes",
                self.idle_minutes,
                f"is more than absolute_minutes ({self.absolute_minutes:g})",
                "lower it, or raise absolute_minutes",
            )


@dataclasses.dataclass(frozen=True)
class StateSettings:
    """`[state]`: what a cookie cannot know, such as revocations."""

    store: str = setting(
        default="sqlite:///oidcgate-state.db",
        check=_state_problem,
        help='Shared by all processes: "sqlite:///FILE", "postgresql+psycopg://…"; "memory" for one process.',
    )


@dataclasses.dataclass(frozen=True)
class RuleSettings:
    """One of `[[rules]]`; the first that matches decides."""

    path: str = setting(help="/public/** also matches /public; * is one whole segment; case-sensitive.")
    methods: tuple[str, ...] = setting(default=(), help="Only these methods; empty: all. GET includes HEAD.")
    allow: str = setting(choices=tuple(map(str, Access)), help="Who may pass.")
    max_age_seconds: int | None = setting(
        default=None, minimum=30, help="A sign-in older than this is asked for again."
    )
    acr_values: tuple[str, ...] = setting(
        default=(), help="Authentication contexts of which the sign-in must have one."
    )

    @cross_check
    def _fit_for_the_policy(self) -> Iterable[Problem]:
        for problem in rule_problems("", self.path, self.allow, self.methods):
            yield problem._replace(key=problem.key.lstrip("."))

    @cross_check
    def _sign_in_is_asked_for(self) -> Iterable[Problem]:
        if self.allow == Access.ANYONE and (self.max_age_seconds is not None or self.acr_values):
            yield Problem(
                "allow", self.allow, "asks for no sign-in, so its age and strength say nothing", "use 'known'"
            )


@dataclasses.dataclass(frozen=True)
class GateConfig:
    """The gate's configuration, right as a whole."""

    public_url: str = setting(
        check=_public_url_problem, help="Scheme, host and port under which browsers reach the app."
    )
    provider: ProviderSettings | None = setting(default=None, help="The identity provider.")
    providers: tuple[ProviderSettings, ...] = setting(
        default=(), help="Several identity providers; the first is asked unless a link names another."
    )
    users: UsersSettings = setting(help="Who is known.")
    session: SessionSettings = setting(help="How long a sign-in lasts.")
    state: StateSettings = setting(factory=StateSettings, help="The store of revocations.")
    rules: tuple[RuleSettings, ...] = setting(
        default=(), help="First match wins; no match: known users only."
    )
    forward: ForwardSettings = setting(factory=ForwardSettings, help="How the app is told who the user is.")
    proxy: ProxySettings = setting(factory=ProxySettings, help="The app behind the sidecar.")
    serve: ServeSettings = setting(factory=ServeSettings, help="The sidecar's own server.")

    @property
    def identity_providers(self) -> tuple[ProviderSettings, ...]:
        """All of them, however they were written; never empty in a configuration that was parsed."""
        return (self.provider, *self.providers) if self.provider is not None else self.providers

    @property
    def secure(self) -> bool:
        """Whether browsers come over https; false only on loopback."""
        return self.public_url.startswith("https:")

    @property
    def callback_url(self) -> str:
        """The redirect URI to register at the IdP, byte for byte."""
        return self.public_url + CALLBACK_PATH

    @property
    def logged_out_url(self) -> str:
        """The post-logout redirect URI to register at the IdP."""
        return self.public_url + LOGGED_OUT_PATH

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
        for index, entry in enumerate(self.identity_providers):
            key = "provider" if entry is self.provider else f"providers[{index}]"
            # The issuer chooses the keys and endpoints of a login, so two entries under one issuer would be
            # one. Which document that is can be told before anything else about the entry is right.
            document = entry.configuration_url or (entry.issuer and configuration_url(entry.issuer))
            if document in seen:
                yield Problem(f"{key}.issuer", entry.issuer, "is used twice", "keep one entry per issuer")
            if document:
                seen.add(document)
            if len(self.identity_providers) > 1 and (not entry.name or entry.name in names):
                yield Problem(
                    f"{key}.name", entry.name, "does not tell this provider from the others", "name each"
                )
            names.add(entry.name)

    @cross_check
    def _cross_site_answers(self) -> Iterable[Problem]:
        for index, entry in enumerate(self.identity_providers):
            key = "provider" if entry is self.provider else f"providers[{index}]"
            if entry.response_mode == "form_post" and not self.secure:
                yield Problem(
                    f"{key}.response_mode",
                    entry.response_mode,
                    "needs https: browsers take a cookie for a cross-site POST only when it is Secure",
                    "use query, or an https public_url",
                )

    @cross_check
    def _stores_of_one_kind(self) -> Iterable[Problem]:
        if self.session.store == "memory" and self.state.store != "memory":
            yield Problem(
                "session.store",
                self.session.store,
                "keeps sessions in one process while state.store is shared by several",
                'use sealed, or state.store = "memory" too',
            )
        if self.session.store.startswith(MEMCACHED) and self.state.store == "memory":
            # Each process remembers sessions, so what ended in another one has to reach it.
            yield Problem(
                "state.store",
                self.state.store,
                "keeps sign-outs in one process while session.store is shared by several",
                'use "sqlite:///oidcgate-state.db" on one host, "postgresql+psycopg://…" on several',
            )


def load_config(path: str | os.PathLike[str], env: Mapping[str, str]) -> GateConfig:
    """Read `oidcgate.toml` and the environment.

    Relative names in it (secrets, users, the state database) are taken from the file's own folder, so that
    the result does not depend on where a process was started.

    Raises:
        SettingsError: with every problem.
    """
    config = settings.load(GateConfig, path, env=env, env_prefix=ENV_PREFIX)
    return _anchored(config, Path(path).absolute().parent)


def config_from_mapping(data: Mapping[str, Any]) -> GateConfig:
    """The configuration that the arguments of `Gate(…)` make.

    Relative names are taken from the working directory.

    Raises:
        SettingsError: with every problem.
    """
    return settings.parse(GateConfig, data)


def _anchored(config: GateConfig, folder: Path) -> GateConfig:
    users, state = config.users, config.state
    if users.source.startswith("file:"):
        users = dataclasses.replace(users, source=f"file:{folder / users.source.removeprefix('file:')}")
    if state.store.startswith("sqlite:///"):
        state = dataclasses.replace(
            state, store=f"sqlite:///{folder / state.store.removeprefix('sqlite:///')}"
        )
    return dataclasses.replace(config, users=users, state=state)
