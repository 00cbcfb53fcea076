"""What has to be registered at each identity provider. Pure.

Byte for byte as the gate says it there: most first sign-ins fail on it. Whoever tells an operator (the log of
a gate in process, `oidcgate check`, the sidecar's announcement) tells these lines.
"""

from collections.abc import Iterator
from typing import NamedTuple

from oidcgate.gate.config import GateConfig

__all__ = ["Registration", "registration_lines", "registrations"]


class Registration(NamedTuple):
    """What one provider has to know of this gate.

    Attributes:
        issuer: whose provider it is.
        redirect_uris: one for each host that it serves, and so are the next.
        backchannel_logout_uri: a provider takes one of these; told there, the sessions of every host end.
        frontchannel_logout_uri: likewise, for a provider that knows no back channel.

    Spec: OIDC Core 3.1.2.1; OIDC RP-Initiated Logout 1.0 3.1; OIDC Back-Channel Logout 1.0 2.2; OIDC
    Front-Channel Logout 1.0 2.
    """

    issuer: str
    redirect_uris: tuple[str, ...]
    post_logout_redirect_uris: tuple[str, ...]
    backchannel_logout_uri: str
    frontchannel_logout_uri: str


def registrations(config: GateConfig) -> Iterator[Registration]:
    """For each provider, in their order.

    Args:
        config: of the whole gate.
    """
    hosts = config.at_each_host
    for provider in config.identity_providers:
        served = [here for here in hosts if provider in here.identity_providers]
        yield Registration(
            issuer=provider.expected_issuer,
            redirect_uris=tuple(here.callback_url(provider) for here in served),
            post_logout_redirect_uris=tuple(here.logged_out_url for here in served),
            backchannel_logout_uri=served[0].backchannel_logout_url,
            frontchannel_logout_uri=served[0].frontchannel_logout_url,
        )


def registration_lines(config: GateConfig) -> Iterator[str]:
    """The same for an operator to read; each line can stand alone."""
    for entry in registrations(config):
        for uri in entry.redirect_uris:
            yield f"redirect URI to register at {entry.issuer}: {uri}"
        for uri in entry.post_logout_redirect_uris:
            yield f"post-logout redirect URI to register at {entry.issuer}: {uri}"
        yield f"back-channel logout URI to register at {entry.issuer}: {entry.backchannel_logout_uri}"
        front = f"front-channel logout URI at {entry.issuer}: {entry.frontchannel_logout_uri}"
        yield f"or, where it has none, {front}"
