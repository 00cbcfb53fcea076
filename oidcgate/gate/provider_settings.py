"""The settings of one identity provider: `[provider]`, or one of `[[providers]]`.

Here live the settings and what can be wrong with them. What is set beside them is in `oidcgate.gate.config`;
what they become is `oidcgate.gate.relying_party`.
"""

import dataclasses
import ipaddress
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from oidcgate.gate.bundles import bundle_problems
from oidcgate.gate.client_settings import ClientSettings
from oidcgate.gate.context_settings import ClaimSettings
from oidcgate.gate.host_settings import hosts_problem
from oidcgate.gate.issuer_settings import IssuerSettings
from oidcgate.jose.keys import SIGNING_ALGORITHMS
from oidcgate.jose.shared_secret import HMAC_ALGORITHMS, fits_secret
from oidcgate.loopback import is_loopback_host
from oidcgate.settings import Problem, cross_check, setting

_CALLBACK: Final = re.compile(r"[a-z0-9_-]{1,100}")
_PARAMETER: Final = re.compile(r"[A-Za-z0-9._~-]{1,100}")
# What belongs to the attempt of one browser, what says who asks and for what, and what would put another
# request in the place of ours.
_OURS_IN_THE_REQUEST: Final = frozenset({
    "acr_values", "client_id", "code_challenge", "code_challenge_method", "id_token_hint", "login_hint",
    "max_age", "nonce", "prompt", "redirect_uri", "registration", "request", "request_uri", "response_mode",
    "response_type", "scope", "state",
})  # fmt: skip
_OURS_AT_THE_TOKEN_ENDPOINT: Final = frozenset({
    "client_assertion", "client_assertion_type", "client_id", "client_secret", "code", "code_verifier",
    "grant_type", "redirect_uri", "refresh_token", "scope",
})  # fmt: skip


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


def _callback_problem(value: str) -> str | None:
    if _CALLBACK.fullmatch(value):
        return None
    return "is not up to 100 of a-z, 0-9, - and _; write a short word, such as partners"


def _scopes_problem(value: tuple[str, ...]) -> str | None:
    if "openid" not in value:
        return 'lacks openid; add it: without it there is no ID token, as in ["openid", "profile", "email"]'
    if len(set(value)) != len(value) or any(
        not scope or any(not "!" <= c <= "~" or c in '"\\' for c in scope) for scope in value
    ):
        return "has an entry that is empty, repeated or no scope; write one word per entry"
    return None


def _parameters_problem(value: Mapping[str, Any], ours: frozenset[str]) -> str | None:
    for name, text in value.items():
        if name in ours:
            return f"names {name}, which the gate sets; leave it out"
        if not _PARAMETER.fullmatch(name) or not isinstance(text, str) or not text or not text.isprintable():
            return f'has an entry that is no parameter: {ascii(name)[:80]}; write it like audience = "https://api"'
    return None


def _authorization_parameters_problem(value: Mapping[str, Any]) -> str | None:
    return _parameters_problem(value, _OURS_IN_THE_REQUEST)


def _token_parameters_problem(value: Mapping[str, Any]) -> str | None:
    return _parameters_problem(value, _OURS_AT_THE_TOKEN_ENDPOINT)


def _algorithms_problem(value: tuple[str, ...]) -> str | None:
    return None if value else "is empty; name at least one, such as RS256"


def _networks_problem(value: tuple[str, ...]) -> str | None:
    for network in value:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            return f"has an entry that is no network ({error}); write it like 10.0.0.0/8"
    return None


@dataclasses.dataclass(frozen=True)
class ProviderSettings(ClaimSettings, ClientSettings, IssuerSettings):
    """One identity provider: `[provider]`, or one of `[[providers]]`."""

    name: str = setting(
        default="", help="What people see it called, and its name in `/.oidcgate/login?idp=`."
    )
    hosts: tuple[str, ...] = setting(
        default=(),
        check=hosts_problem,
        help="Only at these of public_urls, without the scheme, do people sign in there; unset: at all.",
    )
    callback: str | None = setting(
        default=None,
        check=_callback_problem,
        help="The end of a redirect URI of its own, `/.oidcgate/callback/NAME`. One of several providers "
        "needs it where it puts no `iss` into its answers (RFC 9207): `oidcgate doctor` says which do not.",
    )
    scopes: tuple[str, ...] = setting(
        default=("openid", "profile", "email"),
        check=_scopes_problem,
        help="The scopes to ask for, in this order.",
    )
    response_mode: str = setting(
        default="query",
        choices=("query", "form_post"),
        help="How the IdP answers. form_post keeps the code out of logs.",
    )
    pushed_authorization_requests: str = setting(
        default="offered",
        choices=("offered", "demanded", "always"),
        help="When requests are handed to the IdP directly (RFC 9126): where it offers that, where it "
        "demands it, or always, and then an IdP that cannot is refused.",
    )
    authorization_parameters: Mapping[str, Any] = setting(
        factory=dict,
        check=_authorization_parameters_problem,
        help="Further parameters of each authorization request, such as `kc_idp_hint` or `domain_hint`.",
    )
    token_parameters: Mapping[str, Any] = setting(
        factory=dict,
        check=_token_parameters_problem,
        help="Further parameters of each request to the token endpoint, such as `resource`.",
    )
    id_token_algorithms: tuple[str, ...] = setting(
        default=tuple(SIGNING_ALGORITHMS),
        choices=(*SIGNING_ALGORITHMS, *HMAC_ALGORITHMS),
        check=_algorithms_problem,
        help="Signatures that are believed, as far as the IdP announces them too. HS256 and its like prove "
        "only that whoever made a token has the client secret.",
    )
    get_user_info: bool = setting(
        default=False,
        help="Ask the userinfo endpoint at each login and add its claims to those of the ID token.",
    )
    session_check_seconds: int = setting(
        default=0,
        minimum=0,
        maximum=3600,
        help="How often `/.oidcgate/session-frame` asks the IdP's frame whether the person is still there; "
        "0: never.",
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

    def serves(self, host: str) -> bool:
        """Whether people sign in there at this host, which is written as browsers do."""
        return not self.hosts or host in self.hosts

    @property
    def extra_parameters(self) -> dict[str, str]:
        """What each authorization request has beside ours."""
        hosted_domain = {} if self.hosted_domain is None else {"hd": self.hosted_domain}
        return {**hosted_domain, **self.authorization_parameters}

    @property
    def assertion_audience(self) -> str:
        """Whom assertions are for: "issuer" or "token_endpoint"."""
        return self.client_assertion_audience or self.known.assertion_audience

    @property
    def acr_methods(self) -> Mapping[str, str]:
        """The method that a value of `acr` stands for."""
        return self.known.acr_to_amr if self.acr_to_amr is None else self.acr_to_amr

    @cross_check
    def _attributes_have_a_source(self) -> Iterable[Problem]:
        if self.attributes and self.known.attributes_in_userinfo and not self.get_user_info:
            yield Problem(
                "attributes",
                None,
                f"are told by {self.template} at its userinfo endpoint alone, which is not asked",
                "set get_user_info = true",
            )

    @cross_check
    def _secret_of_a_signature(self) -> Iterable[Problem]:
        for algorithm in self.id_token_algorithms:
            if algorithm not in HMAC_ALGORITHMS:
                continue
            if self.client_secret is None:
                yield Problem(
                    "id_token_algorithms",
                    algorithm,
                    "needs the client secret",
                    "set client_secret or remove it",
                )
            elif not fits_secret(self.client_secret.reveal(), algorithm):
                yield Problem(
                    "client_secret",
                    None,
                    f"is too short for ID tokens that {algorithm} signs",
                    "have the IdP make one of at least 32 characters (HS384: 48, HS512: 64)",
                )

    @cross_check
    def _frames_are_answered(self) -> Iterable[Problem]:
        if self.session_check_seconds and self.response_mode != "query":
            yield Problem(
                "session_check_seconds",
                self.session_check_seconds,
                f"does not go with response_mode {self.response_mode}: a cross-site POST into a frame has no "
                "session",
                'use response_mode = "query", or leave it out',
            )

    @cross_check
    def _bundle_readable(self) -> Iterable[Problem]:
        yield from bundle_problems(self.ca_file)
