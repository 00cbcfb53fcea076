"""The one writer: only a checked target can be written to, and every answer carries what it has to."""

from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

from oidcgate.protocol.errors import AccessDenied
from oidcgate.web.pages import Pages
from provider.config import RealmSettings
from provider.pages import ErrorKind, provider_pages
from provider.realm import Realm
from provider.services.browser_session import cookie_names
from provider.services.responses import (
    PageError,
    PostLogoutTarget,
    ResponseMode,
    ResponseWriter,
    ValidatedTarget,
    default_response_mode,
    form_targets,
    validate_post_logout,
    validate_target,
)
from provider.store.clients import Client

CLIENT = Client(
    client_id="app",
    name="App",
    enabled=True,
    secret_hash=None,
    auth_method="client_secret_basic",
    redirect_uris=("https://app.example/cb", "https://app.example/cb?a=1"),
    post_logout_redirect_uris=("https://app.example/bye", "https://app.example/bye?a=1"),
    flows=frozenset({"authorization_code"}),
    scopes=frozenset({"openid"}),
    trusted=False,
    created_at=0,
)
REALM = Realm("default", "https://id.example", "", RealmSettings())


def target(
    uri: str = "https://app.example/cb", mode: str | None = None, state: str | None = "s"
) -> ValidatedTarget:
    return validate_target(CLIENT, uri, response_type="code", response_mode=mode, state=state)


@pytest.fixture(scope="module")
def pages() -> Pages:
    return provider_pages()


@pytest.mark.row("P-02")
def test_a_target_cannot_be_made_by_hand() -> None:
    with pytest.raises(TypeError):
        ValidatedTarget(CLIENT, "https://evil.test", ResponseMode.QUERY, None, object())
    with pytest.raises(TypeError):
        PostLogoutTarget(CLIENT, "https://evil.test", None, object())


@pytest.mark.row("P-02")
@pytest.mark.parametrize(
    ("client", "uri", "kind"),
    [
        pytest.param(
            replace(CLIENT, enabled=False), "https://app.example/cb", ErrorKind.UNKNOWN_CLIENT, id="disabled"
        ),
        pytest.param(CLIENT, None, ErrorKind.REDIRECT_URI, id="no-uri"),
        pytest.param(CLIENT, "https://app.example/cb2", ErrorKind.REDIRECT_URI, id="another-uri"),
    ],
)
def test_no_target(client: Client, uri: str | None, kind: ErrorKind) -> None:
    with pytest.raises(PageError) as caught:
        validate_target(client, uri, response_type="code", response_mode=None, state=None)
    assert (caught.value.kind, caught.value.status) == (kind, 400)


@pytest.mark.parametrize(
    ("response_type", "mode"),
    [
        (None, "query"),
        ("code", "query"),
        ("x", "query"),
        ("token", "fragment"),
        ("id_token", "fragment"),
        ("code id_token", "fragment"),
        ("id_token token", "fragment"),
    ],
)
def test_default_mode(response_type: str | None, mode: str) -> None:
    assert default_response_mode(response_type).value == mode


@pytest.mark.row("P-03", "E-25")
@pytest.mark.parametrize("state", ["s", 'a b+&=%"<>ü', None])
@pytest.mark.parametrize("kind", ["success", "error"])
@pytest.mark.parametrize("uri", CLIENT.redirect_uris)
@pytest.mark.parametrize("mode", ["query", "fragment"])
def test_redirects(pages: Pages, mode: str, uri: str, kind: str, state: str | None) -> None:
    writer, to = ResponseWriter(pages), target(uri, mode, state)
    if kind == "success":
        response = writer.success(REALM, to, {"code": "c&d"}, language="en")
        expected = {"code": "c&d"}
    else:
        response = writer.error(REALM, to, AccessDenied("no", detail="secret detail"), language="en")
        expected = {"error": "access_denied", "error_description": "no"}
    expected |= {"iss": "https://id.example"} | ({} if state is None else {"state": state})
    assert response.status_code == 303
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    location = response.headers["Location"]
    assert location.startswith(uri)
    parts = urlsplit(location)
    found = {k: v[0] for k, v in parse_qs(parts.query if mode == "query" else parts.fragment).items()}
    if mode == "query" and uri.endswith("?a=1"):
        assert found.pop("a") == "1"
    assert found == expected


@pytest.mark.row("P-03")
def test_form_post_escapes_and_posts_only_to_the_target(pages: Pages) -> None:
    evil = '"><script>alert(1)</script>'
    response = ResponseWriter(pages).success(
        REALM, target(mode="form_post", state=evil), {"code": "c"}, language="en"
    )
    body, policy = response.get_data(as_text=True), response.headers["Content-Security-Policy"]
    assert "<script>alert" not in body
    assert 'action="https://app.example/cb"' in body
    assert "form-action 'self' https://app.example;" in policy
    assert "script-src 'sha256-" in policy
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.row("S-19")
@pytest.mark.parametrize(
    ("uri", "state", "location"),
    [
        ("https://app.example/bye", "s t", "https://app.example/bye?state=s+t"),
        ("https://app.example/bye", None, "https://app.example/bye"),
        ("https://app.example/bye?a=1", "s", "https://app.example/bye?a=1&state=s"),
    ],
)
def test_where_a_sign_out_leads(uri: str, state: str | None, location: str) -> None:
    to = validate_post_logout(CLIENT, uri, state)
    assert to is not None
    assert to.url == location


@pytest.mark.row("S-19")
def test_post_logout_needs_an_enabled_client_and_the_exact_uri() -> None:
    assert validate_post_logout(None, "https://app.example/bye", None) is None
    assert validate_post_logout(replace(CLIENT, enabled=False), "https://app.example/bye", None) is None
    assert validate_post_logout(CLIENT, "https://app.example/bye/", None) is None
    assert validate_post_logout(CLIENT, "https://app.example/cb", None) is None


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("https://app.example/cb", ("https:", "https://app.example/cb")),
        ("http://127.0.0.1:9/cb", ("https:", "http:")),
        ("com.example.app:/cb", ("https:", "com.example.app:/cb")),
    ],
)
def test_where_a_form_may_lead(uri: str, expected: tuple[str, ...]) -> None:
    assert form_targets(uri) == expected


def test_cookie_names() -> None:
    names = cookie_names(REALM)
    assert names.secure
    every_name = (names.session, names.browser, names.silent, names.state)
    assert [name[:7] for name in every_name] == ["__Host-"] * 4
    plain = cookie_names(replace(REALM, issuer="http://localhost:9000"))
    assert not plain.secure
    assert not plain.session.startswith("__")
    issuers = [
        "https://id.example",
        "https://id.example/r/two",
        "http://localhost:9000",
        "http://localhost:9001",
    ]
    every = {n for issuer in issuers for n in vars(cookie_names(replace(REALM, issuer=issuer))).values()}
    assert len(every - {True, False}) == 16
