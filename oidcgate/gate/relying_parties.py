"""From the settings of each provider to the relying party that speaks with it.

What a relying party does is `oidcgate.gate.relying_party`.
"""

from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from requests.adapters import BaseAdapter

from oidcgate.gate.config import GateConfig
from oidcgate.gate.provider_settings import ProviderSettings
from oidcgate.gate.relying_party import RelyingParty
from oidcgate.net.fetch import AddressRules, Fetcher

__all__ = ["relying_parties"]


def relying_parties(
    config: GateConfig,
    adapter: BaseAdapter | None,
    clock: Callable[[], float],
    random_bytes: Callable[[int], bytes],
) -> Mapping[str, RelyingParty]:
    """By issuer, for the first host of a gate; no provider is asked for anything yet.

    Args:
        adapter: carries calls to the providers in place of sockets.
    """
    return {
        provider.expected_issuer: RelyingParty.of(
            provider,
            redirect_uri=config.at_each_host[0].callback_url(provider),
            shares_callback=config.shares_callback(provider),
            user_claim=config.users.match,
            fetcher=_fetcher(provider, adapter),
            clock=clock,
            random_bytes=random_bytes,
        )
        for provider in config.identity_providers
    }


def _fetcher(provider: ProviderSettings, adapter: BaseAdapter | None) -> Fetcher:
    issuer = urlsplit(provider.discovery_url)
    rules = AddressRules(
        # The operator typed this host; where it is, is theirs to say. Any other host is named by a document
        # (P-09).
        trusted_hosts=frozenset({issuer.hostname or ""}),
        allow_private=provider.allow_networks,
        insecure_allow_http_loopback=provider.on_loopback,
    )
    return Fetcher(rules, total_seconds=provider.timeout_seconds, adapter=adapter, ca_file=provider.ca_file)
