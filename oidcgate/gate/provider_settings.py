"""The settings of one identity provider: `[provider]`, or one of `[[providers]]`.

Here live the settings and what can be wrong with them. What is set beside them is in `oidcgate.gate.config`;
what they become is `oidcgate.gate.relying_party`.
"""

import dataclasses
import ipaddress
from collections.abc import Iterable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from oidcgate.gate.client_settings import ClientSettings
from oidcgate.gate.context_settings import ClaimSettings
from oidcgate.jose.keys import SIGNING_ALGORITHMS
from oidcgate.loopback import is_loopback_host
from oidcgate.protocol import urls
from oidcgate.protocol.metadata import configuration_url, issuer_of
from oidcgate.settings import Problem, cross_check, setting

_WELL_KNOWN: Final = "/.well-known/openid-configuration"


def issuer_problem(value: str) -> str | None:
    """What is wrong with an issuer, and what to do; None when nothing is."""
    if not value.isascii():
        return "has characters that a URL cannot have; write international names in their xn-- form"
    # The rule that the discovery document is held to as well: what passes here is not refused there.
    wrong = urls.issuer_problem(value, insecure_allow_http_loopback=True)
    return None if wrong is None else f"{wrong}; write it like https://id.example.com"


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


@dataclasses.dataclass(frozen=True)
class ProviderSettings(ClientSettings, ClaimSettings):
    """One identity provider: `[provider]`, or one of `[[providers]]`."""

    name: str = setting(
        default="", help="What people see it called, and its name in `/.oidcgate/login?idp=`."
    )
    issuer: str | None = setting(
        default=None,
        check=issuer_problem,
        help="The IdP's issuer, byte for byte as its discovery document says it. This or configuration_url.",
    )
    configuration_url: str | None = setting(
        default=None,
        check=issuer_problem,
        help="Where the discovery document is; ends in /.well-known/openid-configuration. This or issuer.",
    )
    scopes: tuple[str, ...] = setting(
        default=("openid", "profile", "email"),
        check=_scopes_problem,
        help="The scopes to ask for, in this order.",
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
    def _bundle_there(self) -> Iterable[Problem]:
        if self.ca_file is not None and not self.ca_file.is_file():
            yield Problem("ca_file", str(self.ca_file), "is not a file", "name a PEM bundle")
