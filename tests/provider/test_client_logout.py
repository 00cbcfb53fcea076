"""Where a client may be told that a session has ended."""

from typing import Any

import pytest

from oidcgate.settings import SettingsError, parse
from provider.config import ProviderSettings
from tests.provider.world import APP_SECRET, World, config

GOOD = {"client_id": "x", "client_secret": APP_SECRET, "redirect_uris": ["https://app.example/cb"]}


def problems(loopback: bool = False, **changes: Any) -> list[str]:
    document = config("sqlite:///x.db", clients=[{**GOOD, **changes}], insecure_allow_http_loopback=loopback)
    try:
        parse(ProviderSettings, document)
    except SettingsError as error:
        return [str(problem) for problem in error.problems]
    return []


@pytest.mark.row("P-09")
@pytest.mark.parametrize(
    "uri",
    [
        "http://app.example/out",
        "http://localhost:8000/out",
        "ftp://app.example/out",
        "javascript:alert(1)",
        "https://app.example/out#x",
        "https://u:p@app.example/out",
        "https:///out",
        "/out",
    ],
)
@pytest.mark.parametrize("name", ["backchannel_logout_uri", "frontchannel_logout_uri"])
def test_what_is_no_address_to_be_told_at(name: str, uri: str) -> None:
    # A front-channel one is of another origin, too.
    found = problems(**{name: uri})
    assert found
    # A password in it is not shown.
    shown = "" if "u:p" in uri else f"{uri!r} "
    assert all(line.startswith(f"clients[0].{name}: {shown}") for line in found)
    assert found[0].endswith("; give the https URL of the application that ends its session")


@pytest.mark.parametrize(
    "uri",
    [
        "https://app.example/out",
        "https://app.example:443/out?tenant=1",
        "https://APP.example",
    ],
)
def test_what_may_be_framed_is_of_the_application(uri: str) -> None:
    assert problems(frontchannel_logout_uri=uri, backchannel_logout_uri=uri) == []


@pytest.mark.parametrize(
    "uri", ["https://other.example/out", "https://app.example:8443/out", "https://app.example.evil.test/out"]
)
def test_nothing_else_is_framed_and_a_post_may_go_anywhere(uri: str) -> None:
    assert problems(backchannel_logout_uri=uri) == []
    assert problems(frontchannel_logout_uri=uri) == [
        f"clients[0].frontchannel_logout_uri: {uri!r} is not on the scheme, host and port of a redirect URI; "
        "move it there, or register a redirect URI of that origin"
    ]


def test_loopback_needs_the_named_switch() -> None:
    uris = {
        "redirect_uris": ["http://localhost:8000/cb"],
        "backchannel_logout_uri": "http://localhost:8000/back",
        "frontchannel_logout_uri": "http://localhost:8000/front",
    }
    assert problems(loopback=True, **uris) == []
    assert len(problems(**uris)) == 3


@pytest.mark.row("S-19")
def test_discovery_says_that_clients_are_told_and_of_which_session(world: World) -> None:
    document = world.browser().get("/.well-known/openid-configuration").get_json()
    for channel in ("backchannel", "frontchannel"):
        assert document[f"{channel}_logout_supported"] is True
        assert document[f"{channel}_logout_session_supported"] is True
