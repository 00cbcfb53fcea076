"""Each parameter of the authorization endpoint missing, repeated, empty, oversized, wrong; where refusals may
go.
"""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest

from tests.provider.sign_in.place import CALLBACK, ISSUER, Page, World, authorize_url, client

REDIRECTS = [
    line.rstrip("\n")
    for line in (Path(__file__).parents[2] / "data" / "redirects.txt").read_text("utf-8").splitlines()
    if line and not line.startswith("# ")
]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One provider for all of this module: what is refused changes nothing."""
    made = World.make(tmp_path_factory.mktemp("shared"))
    yield made
    made.close()


@pytest.fixture
def world(shared: World) -> World:
    """The shared provider, with an empty log."""
    shared.lines.clear()
    return shared


def refused_with_a_page(page: Page, status: int = 400) -> None:
    assert page.status == status
    assert page.main_id == "page-error"
    assert page.location is None
    assert CALLBACK not in page.text


def refused_by_redirect(page: Page, error: str) -> None:
    assert page.status == 303
    assert page.location is not None
    assert page.location.startswith(CALLBACK)
    assert page.answer["error"] == error
    assert page.answer["iss"] == ISSUER
    assert "code" not in page.answer


@pytest.mark.row("P-02", "S-53")
@pytest.mark.parametrize(
    "query",
    [
        pytest.param({"client_id": None}, id="client_id-missing"),
        pytest.param({"client_id": ""}, id="client_id-empty"),
        pytest.param({"client_id": "nobody"}, id="client_id-unknown"),
        pytest.param({"client_id": "off"}, id="client-disabled"),
        pytest.param({"client_id": "APP"}, id="client_id-other-case"),
        pytest.param({"client_id": "x" * 5000}, id="client_id-oversized"),
        pytest.param({"client_id": "app\0"}, id="client_id-with-nul"),
        pytest.param({"redirect_uri": None}, id="redirect_uri-missing"),
        pytest.param({"redirect_uri": ""}, id="redirect_uri-empty"),
        pytest.param({"redirect_uri": CALLBACK + "x" * 5000}, id="redirect_uri-oversized"),
        pytest.param({"redirect_uri": "https://other.example/cb"}, id="redirect_uri-of-another-client"),
    ],
)
def test_without_a_known_client_and_uri_there_is_a_page_and_no_redirect(
    world: World, query: dict[str, str | None]
) -> None:
    url = authorize_url(**{"client_id": "app", **query})
    for page in (
        world.browser().step(url),
        world.browser().step(f"{ISSUER}/authorize", url.partition("?")[2]),
    ):
        refused_with_a_page(page)


@pytest.mark.row("P-01", "P-02")
@pytest.mark.parametrize("name", ["client_id", "redirect_uri"])
@pytest.mark.parametrize("second", ["same", "other"])
def test_a_repeated_client_or_uri_is_a_page(world: World, name: str, second: str) -> None:
    values = {"client_id": ("app", "trusted"), "redirect_uri": (CALLBACK, f"{CALLBACK}?kept=1")}[name]
    url = f"{authorize_url('app')}&{urlencode({name: values[second == 'other']})}"
    refused_with_a_page(world.browser().step(url))
    refused_with_a_page(world.browser().step(f"{ISSUER}/authorize", url.partition("?")[2]))


LOOK_ALIKES = [
    "https://appXexample/cb",
    "https://app.example/cb/",
    "https://app.example/cb/..;/",
    "https://app.example/cb/../cb",
    "https://app.example/CB",
    "https://APP.example/cb",
    "https://app.example:443/cb",
    "https://app.example.evil.test/cb",
    "https://app.example@evil.test/cb",
    "https://user@app.example/cb",
    "https://a@b@app.example/cb",
    "https://app.example/cb?",
    "https://app.example/cb?x=1",
    "https://app.example/cb?kept=1&x=1",
    "https://app.example/cb?kept=1&kept=1",
    "https://app.example/cb;x=1",
    "https://app.example/cb#",
    "https://app.example/cb#x",
    "https://app.example/cb%00",
    "https://app.example/cb%2f",
    "https://app.example/%63b",
    "https://app.example/cb\t",
    " https://app.example/cb",
    "https://app.example/cb ",
    "https://app.example\\cb",
    "http://app.example/cb",
    "HTTPS://app.example/cb",
    "//app.example/cb",
    "/cb",
    "javascript:alert(1)//https://app.example/cb",
]


@pytest.mark.row("P-01", "S-53")
@pytest.mark.parametrize("uri", LOOK_ALIKES)
@pytest.mark.parametrize("mode", [None, "form_post"])
def test_look_alike_redirect_uris_are_not_followed(world: World, uri: str, mode: str | None) -> None:
    refused_with_a_page(world.browser().step(authorize_url("app", redirect_uri=uri, response_mode=mode)))


@pytest.mark.row("P-01", "P-03", "S-23")
@pytest.mark.parametrize("uri", REDIRECTS)
def test_no_line_of_the_redirect_list_is_followed(world: World, uri: str) -> None:
    for raw in {quote(uri, safe=""), quote(uri, safe=":/?#[]@!$&'()*+,;=%")}:
        url = authorize_url("app", redirect_uri=None) + f"&redirect_uri={raw}"
        page = world.browser().step(url)
        assert page.status == 400
        assert page.location is None


LOOPBACK = [
    pytest.param("http://127.0.0.1/cb", True, id="registered"),
    pytest.param("http://127.0.0.1:49152/cb", True, id="any-port"),
    pytest.param("http://127.0.0.1:0/cb", False, id="port-0"),
    pytest.param("http://127.0.0.1:99999/cb", False, id="no-port"),
    pytest.param("http://127.0.0.1:49152/other", False, id="other-path"),
    pytest.param("http://127.0.0.1:80@evil.test/cb", False, id="user-info"),
    pytest.param("http://127.0.0.1.evil.test/cb", False, id="longer-host"),
    pytest.param("http://localhost:49152/cb", False, id="localhost-is-another-name"),
    pytest.param("http://[::1]:49152/cb", False, id="ipv6-is-another-address"),
    pytest.param("https://127.0.0.1:49152/cb", False, id="https"),
    pytest.param("http://127.0.0.1:49152/cb?x=1", False, id="query"),
]


@pytest.mark.row("P-01")
@pytest.mark.parametrize(("uri", "followed"), LOOPBACK)
def test_only_the_port_of_a_loopback_uri_may_differ(world: World, uri: str, followed: bool) -> None:
    page = world.browser().step(authorize_url("native", redirect_uri=uri, prompt="none"))
    if followed:
        assert page.location is not None
        assert page.location.startswith(uri + "?")
    else:
        refused_with_a_page(page)


TOO_LONG = "x" * 5000
REDIRECTED = [
    pytest.param({"response_type": None}, "invalid_request", id="response_type-missing"),
    pytest.param({"response_type": ""}, "invalid_request", id="response_type-empty"),
    pytest.param({"response_type": "x"}, "unsupported_response_type", id="response_type-unknown"),
    pytest.param({"response_type": "none"}, "unsupported_response_type", id="response_type-none"),
    pytest.param({"response_mode": "x"}, "invalid_request", id="response_mode-unknown"),
    pytest.param({"scope": None}, "invalid_scope", id="scope-missing"),
    pytest.param({"scope": ""}, "invalid_scope", id="scope-empty"),
    pytest.param({"scope": "nothing-we-know"}, "invalid_scope", id="scope-of-nothing"),
    pytest.param({"scope": 'openid "x'}, "invalid_scope", id="scope-malformed"),
    pytest.param({"scope": TOO_LONG}, "invalid_request", id="scope-oversized"),
    pytest.param({"prompt": "x"}, "invalid_request", id="prompt-unknown"),
    pytest.param({"prompt": "none login"}, "invalid_request", id="prompt-none-with-another"),
    pytest.param({"max_age": "x"}, "invalid_request", id="max_age-no-number"),
    pytest.param({"max_age": "-1"}, "invalid_request", id="max_age-negative"),
    pytest.param({"max_age": "1.5"}, "invalid_request", id="max_age-fraction"),
    pytest.param({"max_age": "9" * 50}, "invalid_request", id="max_age-oversized"),
    pytest.param({"max_age": "١"}, "invalid_request", id="max_age-other-digits"),
    pytest.param({"id_token_hint": "x"}, "invalid_request", id="id_token_hint-garbage"),
    pytest.param({"id_token_hint": "e30.e30."}, "invalid_request", id="id_token_hint-unsigned"),
    pytest.param({"id_token_hint": "x" * 20_000}, "invalid_request", id="id_token_hint-oversized"),
    pytest.param({"nonce": TOO_LONG}, "invalid_request", id="nonce-oversized"),
    pytest.param({"nonce": "n\0"}, "invalid_request", id="nonce-with-nul"),
    pytest.param({"login_hint": TOO_LONG}, "invalid_request", id="login_hint-oversized"),
    pytest.param({"login_hint": "a\nb"}, "invalid_request", id="login_hint-control-character"),
    pytest.param({"acr_values": TOO_LONG}, "invalid_request", id="acr_values-oversized"),
    pytest.param({"ui_locales": TOO_LONG}, "invalid_request", id="ui_locales-oversized"),
    pytest.param({"foobar": TOO_LONG}, "invalid_request", id="unknown-oversized"),
    pytest.param({"code_challenge_method": "plain"}, "invalid_request", id="pkce-plain"),
    pytest.param({"code_challenge_method": None}, "invalid_request", id="pkce-method-missing-means-plain"),
    pytest.param({"code_challenge_method": "s256"}, "invalid_request", id="pkce-method-other-case"),
    pytest.param({"code_challenge": "short"}, "invalid_request", id="pkce-challenge-short"),
    pytest.param({"code_challenge": "x" * 200}, "invalid_request", id="pkce-challenge-long"),
    pytest.param({"code_challenge": "!" * 43}, "invalid_request", id="pkce-challenge-characters"),
    pytest.param({"code_challenge": None}, "invalid_request", id="pkce-method-without-challenge"),
    pytest.param({"request": "e30.e30."}, "request_not_supported", id="request"),
    pytest.param({"request_uri": "https://app.example/r"}, "request_uri_not_supported", id="request_uri"),
    pytest.param({"registration": "{}"}, "registration_not_supported", id="registration"),
]


@pytest.mark.row("E-25", "P-05")
@pytest.mark.parametrize(("change", "error"), REDIRECTED)
def test_everything_else_is_refused_by_redirect(
    world: World, change: dict[str, str | None], error: str
) -> None:
    """A person who is signed in makes no difference: what is malformed gets no code."""
    browser = world.browser()
    assert browser.signed_in("trusted").answer["code"]
    for client_id in ("trusted", "public"):
        url = authorize_url(client_id, **change)
        for page in (browser.step(url), browser.step(f"{ISSUER}/authorize", url.partition("?")[2])):
            refused_by_redirect(page, error)
            assert page.answer["state"] == "state-1"
    assert [event["error"] for event in world.events("authorization_refused")] == [error] * 4


@pytest.mark.row("E-25", "P-01")
@pytest.mark.parametrize(
    "name",
    [
        "response_type", "scope", "nonce", "prompt", "max_age", "login_hint", "id_token_hint", "acr_values",
        "ui_locales", "code_challenge", "code_challenge_method", "response_mode", "foobar",
    ],
)  # fmt: skip
def test_a_repeated_parameter_is_refused(world: World, name: str) -> None:
    value = {"response_type": "code", "scope": "openid", "max_age": "10", "prompt": "login"}.get(name, "x")
    page = world.browser().step(authorize_url("trusted", **{name: value}) + f"&{name}={value}")
    assert page.location is not None
    assert page.answer["error"] == "invalid_request"
    assert page.answer["state"] == "state-1"


@pytest.mark.row("E-25")
@pytest.mark.parametrize(
    "query",
    [
        pytest.param("&state=other", id="repeated"),
        pytest.param("&state=state-1", id="repeated-with-the-same-value"),
    ],
)
def test_a_repeated_state_is_refused_and_not_echoed(world: World, query: str) -> None:
    page = world.browser().step(authorize_url("trusted") + query)
    assert page.answer == {
        "error": "invalid_request",
        "error_description": page.answer["error_description"],
        "iss": ISSUER,
    }


@pytest.mark.row("E-25")
def test_a_parameter_in_query_and_form_is_repeated(world: World) -> None:
    url = authorize_url("trusted", nonce=None)
    page = world.browser().step(f"{ISSUER}/authorize?nonce=one", url.partition("?")[2] + "&nonce=two")
    refused_by_redirect(page, "invalid_request")


@pytest.mark.row("E-25", "F-13")
@pytest.mark.parametrize(
    "state",
    [
        pytest.param("a b+c%d&e=f#g?h/ü€😀'\"<>", id="every-kind-of-character"),
        pytest.param("x" * 4000, id="long"),
        pytest.param(None, id="none"),
    ],
)
@pytest.mark.parametrize("mode", ["query", "fragment", "form_post", None])
@pytest.mark.parametrize("prompt", ["none", None])
def test_state_comes_back_as_it_was_in_every_mode(
    world: World, state: str | None, mode: str | None, prompt: str | None
) -> None:
    """Errors (prompt=none) as well as success, each with the issuer (RFC 9207)."""
    browser = world.browser()
    if prompt is None:
        browser.signed_in("trusted")
    page = browser.step(authorize_url("trusted", state=state, response_mode=mode, prompt=prompt))
    assert page.answer.get("state") == state
    assert page.answer["iss"] == ISSUER
    assert ("error" in page.answer) == (prompt == "none")
    assert ("code" in page.answer) == (prompt is None)
    assert page.response.headers["Cache-Control"] == "no-store"
    if mode == "form_post":
        assert (page.status, page.action) == (200, CALLBACK)
        assert "form-action 'self' https://app.example" in page.response.headers["Content-Security-Policy"]
    else:
        assert page.status == 303
        assert page.location is not None
        assert page.location.startswith(CALLBACK + ("#" if mode == "fragment" else "?"))


@pytest.mark.row("E-25")
def test_a_query_of_the_registered_uri_is_kept(world: World) -> None:
    page = world.browser().step(authorize_url("app", redirect_uri=f"{CALLBACK}?kept=1", prompt="none"))
    assert page.location is not None
    assert page.location.startswith(f"{CALLBACK}?kept=1&error=login_required&")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"content_type": "application/json", "data": "{}"}, id="json"),
        pytest.param({"content_type": "text/plain", "data": "client_id=app"}, id="text"),
        pytest.param({"content_type": "multipart/form-data; boundary=x", "data": "--x--"}, id="multipart"),
        pytest.param({"data": "client_id=" + "x" * 40_000}, id="too-long"),
        pytest.param({"data": "&".join(f"a{n}=1" for n in range(200))}, id="too-many"),
        pytest.param({"data": "client_id=%ff"}, id="not-utf-8"),
    ],
)
@pytest.mark.parametrize("path", ["/authorize", "/login", "/consent", "/end_session", "/end_session/confirm"])
def test_bodies_that_are_no_form_end_on_a_page(world: World, path: str, body: dict[str, str]) -> None:
    refused_with_a_page(world.browser().step(f"{ISSUER}{path}", **body))


@pytest.mark.parametrize(
    "query", ["client_id=%ff", "&".join(f"a{n}=1" for n in range(200)), "x=" + "y" * 40_000]
)
@pytest.mark.parametrize("path", ["/authorize", "/login", "/consent", "/end_session"])
def test_queries_that_cannot_be_read_end_on_a_page(world: World, path: str, query: str) -> None:
    refused_with_a_page(world.browser().step(f"{ISSUER}{path}?{query}"))


@pytest.mark.row("E-05", "P-05")
def test_a_public_client_needs_a_challenge(world: World) -> None:
    url = authorize_url("public", code_challenge=None, code_challenge_method=None)
    refused_by_redirect(world.browser().step(url), "invalid_request")


@pytest.mark.row("S-50")
def test_a_client_without_the_flow_is_told_so(world: World) -> None:
    refused_by_redirect(world.browser().step(authorize_url("nocode")), "unauthorized_client")


@pytest.mark.row("E-03", "S-50", "C-5")
@pytest.mark.parametrize(
    ("response_type", "error"),
    [
        ("token", "unsupported_response_type"),
        ("id_token", "unauthorized_client"),
        ("code id_token", "unauthorized_client"),
        ("id_token token", "unauthorized_client"),
        ("code token", "unauthorized_client"),
        ("none id_token", "unsupported_response_type"),
    ],
)
def test_other_response_types_are_refused_in_the_fragment(
    world: World, response_type: str, error: str
) -> None:
    page = world.browser().step(authorize_url("trusted", response_type=response_type))
    refused_by_redirect(page, error)
    assert page.location is not None
    assert page.location.startswith(f"{CALLBACK}#")


@pytest.mark.row("P-40")
@pytest.mark.parametrize(
    ("client_id", "detail"),
    [
        pytest.param("nobody", "client 'nobody' is not registered", id="unknown"),
        pytest.param("off", "client 'off' is disabled", id="disabled"),
    ],
)
def test_the_log_says_which_client_it_was_and_the_page_does_not(
    world: World, client_id: str, detail: str
) -> None:
    page = world.browser().step(authorize_url(client_id))
    refused_with_a_page(page)
    assert f"'{client_id}'" not in page.text
    assert [incident["detail"] for incident in world.events("incident")] == [detail]


@pytest.mark.row("P-40")
def test_the_log_says_which_uri_was_refused_and_the_page_does_not(world: World) -> None:
    page = world.browser().step(authorize_url("app", redirect_uri="https://evil.test/cb"))
    refused_with_a_page(page)
    assert "evil.test" not in page.text
    (incident,) = world.events("incident")
    assert "https://evil.test/cb" in incident["detail"]
    assert CALLBACK in incident["detail"]
    assert incident["incident"] in page.text


@pytest.mark.row("E-01")
@pytest.mark.parametrize(
    ("client_id", "scope", "granted"),
    [
        pytest.param("trusted", "openid  profile   email", "openid profile email", id="runs-of-spaces"),
        pytest.param("trusted", "email profile openid", "email profile openid", id="any-order"),
        pytest.param("trusted", "openid openid", "openid", id="repeated-word"),
        pytest.param("trusted", "openid nobody-knows-this", "openid", id="unknown-ignored"),
        pytest.param("narrow", "openid profile", "openid profile", id="allowed"),
    ],
)
def test_granted_scope(world: World, client_id: str, scope: str, granted: str) -> None:
    page = world.browser().signed_in(client_id, scope=scope)
    assert world.tokens(page, client_id)["scope"] == granted


@pytest.mark.row("F-17")
@pytest.mark.parametrize("between", ["%20", "+", "%20%20", "++", "+%20"])
def test_words_of_a_scope_are_apart_by_any_spelling_of_a_space(world: World, between: str) -> None:
    url = authorize_url("trusted", scope=None) + f"&scope=openid{between}profile"
    browser = world.browser()
    page = browser.sign_in(browser.go(url))
    assert world.tokens(page)["scope"] == "openid profile"


@pytest.mark.row("S-52")
def test_a_scope_that_the_client_may_not_have_is_refused(world: World) -> None:
    refused_by_redirect(world.browser().step(authorize_url("narrow", scope="openid email")), "invalid_scope")


def test_offline_access_is_left_out_for_a_client_that_cannot_refresh(tmp_path: Path) -> None:
    world = World.make(tmp_path, clients=[client("app", trusted=True, flows=["authorization_code"])])
    tokens = world.tokens(world.browser().signed_in("app", scope="openid offline_access"), "app")
    assert tokens["scope"] == "openid"
    assert "refresh_token" not in tokens
