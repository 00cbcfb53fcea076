"""Applications on a device of their user: loopback on any port, schemes of their own, always PKCE."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from oidcgate.settings import SettingsError, parse
from provider.config import ProviderSettings
from tests.provider.sign_in.place import CALLBACK, Page, World, client, settings_document

SCHEME = "com.example.app:/cb"
NATIVE: dict[str, Any] = {
    "application_type": "native",
    "redirect_uris": ["http://127.0.0.1/cb", "http://[::1]/cb", SCHEME],
}
CLIENTS = [
    client("native", auth_method="none", **NATIVE),
    client("secretive", trusted=True, **NATIVE),
    client("strict", trusted=True, require_pkce=True),
    client("public", auth_method="none", trusted=True),
    client("app", trusted=True),
]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A provider that does not allow http to loopback, as native applications need no switch for it."""
    made = World.make(tmp_path, clients=CLIENTS, insecure_allow_http_loopback=False)
    yield made
    made.close()


def allowed_targets(page: Page) -> list[str]:
    policy = page.response.headers["Content-Security-Policy"]
    (directive,) = (part for part in policy.split("; ") if part.startswith("form-action "))
    return directive.split()[1:]


@pytest.mark.row("E-07", "C-6", "S-23", "E-05")
@pytest.mark.parametrize(
    ("uri", "source", "shown"),
    [
        pytest.param("http://127.0.0.1:49152/cb", "http:", "127.0.0.1", id="ipv4"),
        pytest.param("http://127.0.0.1/cb", "http:", "127.0.0.1", id="ipv4-without-a-port"),
        pytest.param("http://[::1]:61023/cb", "http:", "::1", id="ipv6"),
        pytest.param(SCHEME, "com.example.app:", "com.example.app:", id="scheme-of-its-own"),
    ],
)
def test_the_whole_way(world: World, uri: str, source: str, shown: str) -> None:
    browser = world.browser()
    page = browser.authorize("native", redirect_uri=uri)
    assert allowed_targets(page) == ["'self'", "https:", source]
    page = browser.sign_in(page)
    assert page.main_id == "page-consent"
    assert allowed_targets(page) == ["'self'", "https:", source]
    assert f">{shown}</" in page.text
    page = browser.submit(page, decision="allow")
    assert page.location is not None
    assert page.location.startswith(f"{uri}?code=")
    assert world.tokens(page, "native", uri)["scope"] == "openid profile"


@pytest.mark.row("E-07", "C-6", "P-01")
@pytest.mark.parametrize(
    "uri",
    [
        pytest.param("http://localhost/cb", id="localhost"),
        pytest.param("http://localhost:49152/cb", id="localhost-with-a-port"),
        pytest.param("http://127.0.0.2:49152/cb", id="another-loopback-address"),
        pytest.param("http://127.0.0.1:49152/", id="another-path"),
        pytest.param("http://127.0.0.1.evil.test:80/cb", id="longer-host"),
        pytest.param("http://127.0.0.1@evil.test/cb", id="user-info"),
        pytest.param("com.example.app:/cb/x", id="another-path-of-the-scheme"),
        pytest.param("com.example.app://cb", id="scheme-with-a-host"),
        pytest.param("com.example.app:/cb?x=1", id="scheme-with-a-query"),
        pytest.param("COM.example.app:/cb", id="scheme-in-capitals"),
        pytest.param("com.example.app.evil:/cb", id="longer-scheme"),
    ],
)
@pytest.mark.parametrize("client_id", ["native", "secretive"])
def test_nothing_but_the_port_may_differ(world: World, client_id: str, uri: str) -> None:
    page = world.browser().authorize(client_id, redirect_uri=uri, prompt="none")
    assert (page.status, page.main_id, page.location) == (400, "page-error", None)


@pytest.mark.row("P-04", "E-07")
def test_the_code_is_for_the_port_that_it_went_to(world: World) -> None:
    page = world.browser().signed_in("secretive", redirect_uri="http://127.0.0.1:49152/cb")
    with pytest.raises(AssertionError, match="invalid_grant"):
        world.tokens(page, "secretive", "http://127.0.0.1:49153/cb")


@pytest.mark.row("E-07", "E-25")
def test_errors_go_to_the_scheme_as_well(world: World) -> None:
    page = world.browser().authorize("native", redirect_uri=SCHEME, prompt="none")
    assert page.location is not None
    assert page.location.startswith(f"{SCHEME}?error=login_required&")


@pytest.mark.row("S-51", "E-05", "E-07", "P-05", "S-09")
@pytest.mark.parametrize(
    ("client_id", "refused"),
    [
        pytest.param("native", True, id="native"),
        pytest.param("secretive", True, id="native-with-a-secret"),
        pytest.param("public", True, id="public"),
        pytest.param("strict", True, id="require_pkce"),
        pytest.param("app", False, id="web-with-a-secret"),
    ],
)
def test_who_needs_a_challenge(world: World, client_id: str, refused: bool) -> None:
    uri = SCHEME if client_id in ("native", "secretive") else CALLBACK
    bare = {"code_challenge": None, "code_challenge_method": None, "prompt": "none", "redirect_uri": uri}
    answer = world.browser().authorize(client_id, **bare).answer
    assert answer["error"] == ("invalid_request" if refused else "login_required")
    if refused:
        assert "code_challenge" in answer["error_description"]
    # With one, nobody is refused for it.
    asked = world.browser().authorize(client_id, prompt="none", redirect_uri=uri).answer
    assert asked["error"] == "login_required"


@pytest.mark.row("C-6", "S-53", "P-03", "E-07")
@pytest.mark.parametrize(
    ("kind", "uri", "problem"),
    [
        pytest.param("native", "http://127.0.0.1/cb", None, id="ipv4"),
        pytest.param("native", "http://[::1]/cb", None, id="ipv6"),
        pytest.param("native", SCHEME, None, id="scheme"),
        pytest.param("native", "https://app.example/cb", None, id="https"),
        pytest.param("native", "http://localhost/cb", "insecure switch", id="localhost"),
        pytest.param("native", "http://app.example/cb", "https://", id="http"),
        pytest.param("native", "app:/cb", "https://", id="scheme-without-an-owner"),
        pytest.param("native", "com.example.app://cb", "https://", id="scheme-with-a-host"),
        pytest.param("native", "com.example.app:cb", "https://", id="scheme-without-a-path"),
        pytest.param("native", "com.example.app:/a/../b", "dot segments", id="scheme-with-dots"),
        pytest.param("native", "com.example.app:/cb#x", "https://", id="scheme-with-a-fragment"),
        pytest.param("native", "javascript:/alert(1)", "https://", id="javascript"),
        pytest.param("native", "data:/text", "https://", id="data"),
        pytest.param("web", "http://127.0.0.1/cb", "insecure switch", id="web-loopback"),
        pytest.param("web", SCHEME, "https://", id="web-scheme"),
        pytest.param("web", "http://app.example/cb", "https://", id="web-http"),
        pytest.param("web", "https://app.example/cb#x", "fragment", id="web-fragment"),
        pytest.param("web", "JavaScript:alert(1)", "https://", id="web-javascript"),
    ],
)
def test_what_may_be_registered(kind: str, uri: str, problem: str | None) -> None:
    document = settings_document(
        insecure_allow_http_loopback=False,
        clients=[client("x", auth_method="none", application_type=kind, redirect_uris=[uri])],
    )
    if problem is None:
        assert parse(ProviderSettings, document).clients[0].redirect_uris == (uri,)
        return
    with pytest.raises(SettingsError) as caught:
        parse(ProviderSettings, document)
    (found,) = caught.value.problems
    assert found.key == "clients[0].redirect_uris[0]"
    assert problem in f"{found.message} {found.fix}"


@pytest.mark.row("C-6", "E-07")
@pytest.mark.parametrize("flow", ["implicit", "hybrid"])
def test_a_native_application_cannot_have_a_flow_that_pkce_does_not_bind(flow: str) -> None:
    # With a secret, since without one it could not have the hybrid flow in any case.
    clients = [client("x", flows=[flow], **{**NATIVE, "auth_method": "client_secret_basic"})]
    with pytest.raises(SettingsError) as caught:
        parse(ProviderSettings, settings_document(clients=clients))
    (found,) = caught.value.problems
    assert (found.key, found.value) == ("clients[0].flows", flow)
