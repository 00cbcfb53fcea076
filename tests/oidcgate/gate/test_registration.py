"""What has to be registered at each provider, of a gate with one host and with several."""

from typing import Any

import pytest

from oidcgate.gate.config import GateConfig, config_from_mapping
from oidcgate.gate.registration import Registration, registration_lines, registrations

APP, WIKI = "https://app.example.com", "https://wiki.example.com"
ONE, TWO = "https://one.example", "https://two.example"


def config(*providers: dict[str, Any]) -> GateConfig:
    return config_from_mapping(
        {
            "public_urls": [APP, WIKI],
            "providers": [{"client_id": "gate", "client_secret": "s", **entry} for entry in providers],
            "users": {"source": "any"},
            "session": {"secret": "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"},
            "state": {"store": "memory"},
        }
    )


@pytest.mark.row("A-05", "F-03")
def test_each_provider_is_told_the_hosts_that_it_serves() -> None:
    gate = config(
        {"name": "One", "issuer": ONE}, {"name": "Two", "issuer": TWO, "hosts": ["wiki.example.com"]}
    )
    assert list(registrations(gate)) == [
        Registration(
            ONE,
            (f"{APP}/.oidcgate/callback", f"{WIKI}/.oidcgate/callback"),
            (f"{APP}/.oidcgate/logged-out", f"{WIKI}/.oidcgate/logged-out"),
            f"{APP}/.oidcgate/backchannel-logout",
            f"{APP}/.oidcgate/frontchannel-logout",
        ),
        Registration(
            TWO,
            (f"{WIKI}/.oidcgate/callback",),
            (f"{WIKI}/.oidcgate/logged-out",),
            f"{WIKI}/.oidcgate/backchannel-logout",
            f"{WIKI}/.oidcgate/frontchannel-logout",
        ),
    ]


def test_each_line_says_at_which_provider() -> None:
    assert list(registration_lines(config({"issuer": ONE}))) == [
        f"redirect URI to register at {ONE}: {APP}/.oidcgate/callback",
        f"redirect URI to register at {ONE}: {WIKI}/.oidcgate/callback",
        f"post-logout redirect URI to register at {ONE}: {APP}/.oidcgate/logged-out",
        f"post-logout redirect URI to register at {ONE}: {WIKI}/.oidcgate/logged-out",
        f"back-channel logout URI to register at {ONE}: {APP}/.oidcgate/backchannel-logout",
        f"or, where it has none, front-channel logout URI at {ONE}: {APP}/.oidcgate/frontchannel-logout",
    ]
