"""Whether applications may register themselves in a realm, and what they may be then.

Names and defaults only; what follows from them for one application is `provider.registration_policy`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from oidcgate.settings import Problem, cross_check, setting
from provider.catalogue_settings import DEFAULT_SCOPES
from provider.client_crypto import AUTH_METHODS
from provider.client_settings import APPLICATION_TYPES, FLOWS

_HOST = re.compile(r"(\*\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?")


@dataclass(frozen=True)
class RegistrationSettings:
    """Dynamic client registration."""

    enabled: bool = setting(
        default=False,
        help="Answer /register: to whoever shows a token that `oidcgate-provider client registration-token` "
        "made.",
    )
    insecure_open_registration: bool = setting(
        default=False,
        help="Answer /register to everybody, as far as `per_network` and `max_clients` let them.",
    )
    flows: tuple[str, ...] = setting(
        default=("authorization_code", "refresh_token", "revocation"),
        choices=FLOWS,
        help="What they may use. `introspection` and `revocation`, for which they cannot ask, they are all "
        "given if they stand here.",
    )
    scopes: tuple[str, ...] = setting(
        default=DEFAULT_SCOPES,
        help='The scopes that they may ask for, and are given where they name none; ["*"] for all that the '
        "realm has.",
    )
    audiences: tuple[str, ...] = setting(
        default=(),
        help="The APIs that they may ask for tokens for, of those that list no `clients`; none: only those "
        "that list them.",
    )
    auth_methods: tuple[str, ...] = setting(
        default=AUTH_METHODS, choices=AUTH_METHODS, help="How they may prove themselves."
    )
    insecure_token_endpoint_audience: bool = setting(
        default=False,
        help="Take assertions of theirs that name the token endpoint as `aud` in place of the issuer, as the "
        "OpenID certification's do.",
    )
    application_types: tuple[str, ...] = setting(
        default=("web",),
        choices=APPLICATION_TYPES,
        help="Where they may run. `native` ones have PKCE, and schemes of their own or a loopback address.",
    )
    redirect_hosts: tuple[str, ...] = setting(
        default=(),
        help="The only hosts that answers and sign-outs of theirs may lead to; *.example.com for all below. "
        "Default: any.",
    )
    insecure_allow_http_loopback: bool = setting(
        default=False,
        help="Let web applications name this machine in their URLs; needs the provider's own "
        "insecure_allow_http_loopback as well.",
    )
    max_uris: int = setting(default=20, minimum=1, maximum=1000, help="How long a list of theirs may be.")
    max_bytes: int = setting(
        default=16_384, minimum=1024, maximum=65_536, help="How long what one says of itself may be."
    )
    max_clients: int = setting(
        default=1000, minimum=1, maximum=1_000_000, help="How many of them there may be at the same time."
    )
    per_network: int = setting(
        default=10,
        minimum=1,
        maximum=100_000,
        help="With insecure_open_registration: how many one network may begin before it has to wait.",
    )
    unused_days: float = setting(
        default=30.0,
        minimum=0,
        maximum=3660,
        help="One that was never given a token is removed after so long; 0: never.",
    )

    @property
    def unused_seconds(self) -> int:
        """How long one that nobody uses is kept; 0 for ever."""
        return round(self.unused_days * 86_400)

    @cross_check
    def _open_is_on(self) -> Iterable[Problem]:
        if self.insecure_open_registration and not self.enabled:
            yield Problem(
                "insecure_open_registration", True, "does nothing while enabled is false",
                "set enabled = true, or take it away",
            )  # fmt: skip

    @cross_check
    def _usable_hosts(self) -> Iterable[Problem]:
        for index, host in enumerate(self.redirect_hosts):
            if not _HOST.fullmatch(host) or ".." in host:
                yield Problem(
                    f"redirect_hosts[{index}]", host, "is no host",
                    "write app.example.com in small letters, or *.example.com for all below",
                )  # fmt: skip
