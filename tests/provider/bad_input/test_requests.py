"""Requests that are spoiled as a whole: another method, another kind of body, odd headers, cookies and paths.

And made up ones: whatever bytes stand where at whichever endpoint, the answer is one of ours.
"""

import gzip
import io
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse, create_environ, run_wsgi_app
from werkzeug.wrappers import Request

from provider.routes import Face
from provider.services.my_pages import MyPage
from tests.provider.bad_input import browser_doors, client_doors
from tests.provider.bad_input.browser_doors import PUBLIC, SETTINGS, TARGETS
from tests.provider.bad_input.mutations import CANARY
from tests.provider.bad_input.oracle import INVALID_CLIENT, INVALID_REQUEST, Outcome, Told
from tests.provider.bad_input.watching import outcome_problem, problem_of, read
from tests.provider.sign_in.place import CLIENT_SECRET, ISSUER, World, authorize_url
from tests.provider.world import basic

FORM = "application/x-www-form-urlencoded"
POSTED = (
    "/authorize", "/login", "/login/account", "/login/organization", "/login/otp", "/login/enrol",
    "/login/no-second-factor", "/consent", "/device", "/device/confirm", "/end_session",
    "/end_session/confirm", "/token", "/device_authorization", "/introspect", "/revoke", "/userinfo",
    *(page for page in MyPage if page is not MyPage.OVERVIEW),
)  # fmt: skip
ASKED = (
    *MyPage,
    "/", "/authorize", "/login", "/login/account", "/consent", "/device", "/device/confirm", "/end_session",
    "/check_session", "/userinfo", "/jwks", "/healthz", "/readyz", "/.well-known/openid-configuration",
)  # fmt: skip
GRANT = f"grant_type=client_credentials&scope=read&foo={CANARY}"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One provider for all of this module: what is refused changes nothing."""
    made = World.make(tmp_path_factory.mktemp("requests"), **SETTINGS)
    yield made
    made.close()


def send(
    world: World, path: str, method: str = "GET", body: bytes = b"", content_type: str = "", **environ: str
) -> TestResponse:
    """One request as a server hands it on, without cookies; `environ` stands over what would be sent."""
    made = create_environ(path, ISSUER)
    made |= {
        "REQUEST_METHOD": method,
        "wsgi.input": io.BytesIO(body),
        "CONTENT_LENGTH": str(len(body)),
        "CONTENT_TYPE": content_type,
        **environ,
    }
    app, status, headers = run_wsgi_app(world.provider, made, buffered=True)
    return TestResponse(app, status, headers, Request(made))


def sound(response: TestResponse, path: str) -> None:
    kept = path.strip("/") in PUBLIC or path in ("/healthz", "/readyz", "/")
    said = problem_of(response, TARGETS, public=kept or response.status_code in (204, 405))
    assert said is None, (path, response.status_code, response.text[:300])


def test_every_route_is_asked_here(world: World) -> None:
    # Where applications register is off here, and reads no form: that is `test_registration`.
    routes = {route.path for route in world.provider.parts.routes if route.only is None}
    assert routes <= {*POSTED, *ASKED, "/.well-known/oauth-authorization-server"}
    # And its parameters are spoiled one by one, but on the page that only says that something is missing.
    doors = {door.path for door in (*browser_doors.DOORS, *client_doors.DOORS)}
    assert routes - doors == {"/login/no-second-factor"}


@pytest.mark.parametrize(
    "method", ["HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "get", "G T"]
)
def test_another_method_is_refused_or_means_nothing(world: World, method: str) -> None:
    for path in {*POSTED, *ASKED}:
        response = send(world, path, method, GRANT.encode(), FORM)
        if method != "HEAD":
            sound(response, path)
        assert response.status_code in (200, 204, 303, 400, 401, 405), path
        if method not in ("HEAD", "OPTIONS", "get"):
            assert response.status_code == 405
            assert "POST" in response.headers["Allow"] or "GET" in response.headers["Allow"]


def _multipart() -> bytes:
    return f'--x\r\nContent-Disposition: form-data; name="grant_type"\r\n\r\n{CANARY}\r\n--x--\r\n'.encode()


# What nobody reads as a form: its type, what stands in it, what else the head says.
CHUNKED = {"HTTP_TRANSFER_ENCODING": "chunked"}
BODIES = [
    pytest.param("application/json", json.dumps({"grant_type": CANARY}).encode(), {}, id="json"),
    pytest.param("application/json", b"[" * 20_000, {}, id="json-nested"),
    pytest.param("multipart/form-data; boundary=x", _multipart(), {}, id="multipart"),
    pytest.param("multipart/form-data", _multipart(), {}, id="multipart-without-boundary"),
    pytest.param("text/plain", GRANT.encode(), {}, id="text"),
    pytest.param(
        "application/xml", b'<!DOCTYPE x [<!ENTITY y SYSTEM "file:///etc/passwd">]><x>&y;</x>', {}, id="xml"
    ),
    pytest.param("", GRANT.encode(), {}, id="no-type"),
    pytest.param("application/x-www-form-urlencodedx", GRANT.encode(), {}, id="nearly-the-type"),
    pytest.param(FORM, GRANT.encode(), {"CONTENT_LENGTH": "", **CHUNKED}, id="length-not-said"),
    pytest.param(FORM, GRANT.encode("utf-16"), {}, id="utf-16"),
    pytest.param(FORM, gzip.compress(GRANT.encode()), {"HTTP_CONTENT_ENCODING": "gzip"}, id="compressed"),
    pytest.param(FORM, b"\xff\xfe\x00", {}, id="bytes"),
    pytest.param(FORM, b"&".join(b"a%d=1" % number for number in range(60)), {}, id="too-many"),
    pytest.param(FORM, b"a=" + b"x" * 40_000, {}, id="too-long"),
]


@pytest.mark.row("E-25", "P-02")
@pytest.mark.parametrize(("content_type", "body", "head"), BODIES)
def test_a_body_that_is_no_form(world: World, content_type: str, body: bytes, head: dict[str, str]) -> None:
    for path in POSTED:
        response = send(world, path, "POST", body, content_type, **head)
        sound(response, path)
        route = next(route for route in world.provider.parts.routes if route.path == path)
        if path == "/userinfo":
            # A body of another type carries no token (RFC 6750 2.2); one that says it is a form is one.
            expected = (400, 401) if content_type == FORM else (401,)
            assert response.status_code in expected, response.text
        elif route.face is Face.PAGE:
            assert (response.status_code, 'id="page-error"' in response.text) == (400, True), path
        else:
            assert (response.status_code, response.get_json()["error"]) == (400, "invalid_request"), path


@pytest.mark.parametrize("length", ["65537", "999999999999999999999", "70000"])
def test_a_body_that_says_it_is_too_long_is_not_read(world: World, length: str) -> None:
    for path in POSTED:
        response = send(world, path, "POST", b"x", FORM, CONTENT_LENGTH=length)
        assert response.status_code == 413, path
        sound(response, path)


def _b64(text: str) -> str:
    return basic(*text.split(":", 1)).removeprefix("Basic ") if ":" in text else text


GOOD = basic("trusted", CLIENT_SECRET)
CREDENTIALS: list[Any] = [
    pytest.param("", INVALID_CLIENT, id="empty"),
    pytest.param("Basic", INVALID_CLIENT, id="no-credentials"),
    pytest.param("Basic ", INVALID_CLIENT, id="empty-credentials"),
    pytest.param("Basic !!!", INVALID_CLIENT, id="no-base64"),
    pytest.param("Basic " + "A" * 60_000, INVALID_CLIENT, id="60000-characters"),
    pytest.param(f"Basic {_b64('trusted:')}", INVALID_CLIENT, id="no-secret"),
    pytest.param(f"Basic {_b64(':' + CLIENT_SECRET)}", INVALID_CLIENT, id="no-name"),
    pytest.param("Basic dHJ1c3RlZA==", INVALID_CLIENT, id="no-colon"),
    pytest.param("Basic //8=", INVALID_CLIENT, id="not-utf-8"),
    pytest.param(f"Basic {_b64('trusted%00:' + CLIENT_SECRET)}", INVALID_CLIENT, id="nul"),
    pytest.param(f"Basic {_b64('trusted%0d%0aX-Injected: yes:x')}", INVALID_CLIENT, id="cr-lf"),
    pytest.param(f"Basic {_b64('trusted%ed%a0%80:' + CLIENT_SECRET)}", INVALID_CLIENT, id="lone-surrogate"),
    pytest.param(f"Basic {_b64('trusted%zz:' + CLIENT_SECRET)}", INVALID_CLIENT, id="broken-escape"),
    pytest.param(f"Basic {_b64('<script>alert(1)</script>:x')}", INVALID_CLIENT, id="markup"),
    pytest.param(f"Basic {_b64('other:wrong')}", INVALID_CLIENT, id="another-client"),
    pytest.param(f"{GOOD}, {GOOD}", INVALID_CLIENT, id="twice"),
    pytest.param(f"Bearer {GOOD}", INVALID_CLIENT, id="bearer"),
    pytest.param("Digest username=trusted", INVALID_CLIENT, id="digest"),
    pytest.param("Basic\t" + GOOD[6:], INVALID_CLIENT, id="tab"),
    pytest.param("\u00e9\u00ff", INVALID_CLIENT, id="latin-1"),
]


@pytest.mark.row("S-02", "P-15")
@pytest.mark.parametrize("path", ["/token", "/introspect", "/revoke", "/device_authorization"])
@pytest.mark.parametrize(("header", "due"), CREDENTIALS)
def test_credentials_that_are_none(world: World, path: str, header: str, due: Outcome) -> None:
    world.lines.clear()
    body = f"{GRANT}&token=x".encode()
    response = send(world, path, "POST", body, FORM, HTTP_AUTHORIZATION=header)
    sound(response, path)
    assert outcome_problem(response, due) is None, response.text
    assert response.headers["WWW-Authenticate"] == f'Basic realm="{ISSUER}"'
    assert not any(
        CLIENT_SECRET in line or "<script>" in line for line in world.lines if "reason" not in line
    )


@pytest.mark.row("S-02")
@pytest.mark.parametrize(
    "more", [{"client_secret": CLIENT_SECRET}, {"client_assertion": "x"}, {"client_id": "app"}]
)
def test_two_ways_at_once_or_two_names_are_refused(world: World, more: dict[str, str]) -> None:
    body = GRANT + "".join(f"&{name}={quote_plus(value)}" for name, value in more.items())
    response = send(world, "/token", "POST", body.encode(), FORM, HTTP_AUTHORIZATION=GOOD)
    assert outcome_problem(response, INVALID_REQUEST) is None, response.text


@pytest.mark.parametrize(
    "header",
    ["Bearer", "Bearer ", "Bearer a b", "Bearer \u00e9", "Bearer " + "x" * 60_000, "Bearer a,b",
     "bearer <script>",
     "Bearer a\tb", "Bearer %00", 'Bearer "x"', "Bearer ..", "Bearer e30.e30.", "Bearer x, Bearer y"],
)  # fmt: skip
def test_bearer_tokens_that_are_none(world: World, header: str) -> None:
    response = send(world, "/userinfo", HTTP_AUTHORIZATION=header)
    sound(response, "/userinfo")
    assert outcome_problem(response, Told(401, "invalid_token")) is None
    assert response.headers["WWW-Authenticate"].startswith(f'Bearer realm="{ISSUER}"')


HEADERS = {
    "HTTP_COOKIE": [
        "", "=", ";;;", "a", "\x00=\x00", "__Host-oidcprovider-browser=",
        "__Host-oidcprovider-browser=" + "x" * 8000,
        "__Host-oidcprovider-browser=\u00e9\u00ff", '__Host-oidcprovider="x"; __Host-oidcprovider=y',
        "; ".join(f"c{number}=1" for number in range(500)), "__Host-oidcprovider=%00%0d%0a",
    ],
    "HTTP_ACCEPT_LANGUAGE": [
        "", "*", "en;q=x", "en;q=1e400", "en;q=-1", "en;q=nan", "\u00e9", "x" * 9000, ",".join(["de"] * 3000),
        "../../etc/passwd", "en\x00", "{{7*7}}", "e;q=0.1;q=0.2,,;,",
    ],
    "HTTP_X_FORWARDED_FOR": ["", "x", "1.2.3.4, <script>", "::1%eth0", "1" * 5000, "127.0.0.1\x00", ",,,"],
    "HTTP_HOST": ["evil.example", "id.example:99999", "id.example@evil.example", "[::1", "\u00e9"],
    "HTTP_ORIGIN": ["null", "https://evil.example", "\u00e9"],
    "HTTP_ACCEPT": ["application/json", "*/*;q=x", "\x00"],
    "HTTP_X_HTTP_METHOD_OVERRIDE": ["DELETE"],
    "CONTENT_TYPE": ["", ";", "a/b;c=\"", "\u00e9", "x" * 5000, FORM + "; charset=utf-7"],
    "REMOTE_ADDR": ["", "unix:", "::1", "300.1.1.1"],
    "HTTP_RANGE": ["bytes=0-1"],
}  # fmt: skip


@pytest.mark.row("P-01", "P-10")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param(name, value, id=f"{name.removeprefix('HTTP_').lower()}-{number}")
        for name, values in HEADERS.items()
        for number, value in enumerate(values)
    ],
)
def test_odd_headers_change_nothing(world: World, name: str, value: str) -> None:
    query = authorize_url("trusted", prompt="none").partition("?")[2]
    for path in ASKED:
        response = send(world, f"{path}?{query}" if path == "/authorize" else path, **{name: value})
        sound(response, path)
        if path == "/authorize":
            assert response.headers["Location"].startswith("https://app.example/cb?error=login_required")
        elif path == "/device":
            # Where its forms go is the issuer's, never what the request says the host is.
            assert "evil.example" not in response.text
            assert "page-device" in response.text
            assert read(response.text).text


@pytest.mark.parametrize(
    "path",
    [
        "/token/", "//token", "/./token", "/x/../token", "/TOKEN", "/token;x", "/token%00", "/token\x00",
        "/%74oken%2f",
        "/r/", "/r//token", "/r/nobody/token", "/r/second", "/r/second/../token", "/r/second/r/second/token",
        "/r/SECOND/token", "/r/second;/token", "/.well-known/oauth-authorization-server/r/nobody",
        "/.well-known/oauth-authorization-server//", "/\u00e9", "/\xff\xfe", "/" + "x" * 9000,
        "/<script>alert(1)</script>",
        "/..%2f..%2fetc/passwd", "/%0d%0aX-Injected:yes", "*", "", "/{{7*7}}", "/login/", "/login/otp/",
        "/device/confirm/",
    ],
)  # fmt: skip
def test_another_path_is_nothing(world: World, path: str) -> None:
    response = send(world, "/", PATH_INFO=path, SCRIPT_NAME="")
    sound(response, path)
    assert (response.status_code, 'id="page-error"' in response.text) == (404, True)
    assert "<script>" not in response.text


NAMES = st.sampled_from(
    ["client_id", "redirect_uri", "response_type", "scope", "state", "nonce", "prompt", "max_age", "claims",
     "id_token_hint", "resource", "audience", "org_id", "interaction", "csrf", "username", "password", "otp",
     "decision", "user_code", "grant_type", "code", "refresh_token", "device_code", "token", "access_token",
     "client_secret", "client_assertion", "client_assertion_type", "code_challenge", "code_challenge_method",
     "response_mode", "ui_locales", "acr_values", "login_hint", "post_logout_redirect_uri", "request"]
)  # fmt: skip
TRUE = st.sampled_from(
    ["trusted", "app", "https://app.example/cb", "code", "openid", "none", "en", "{}", "allow", "password",
     "authorization_code", "refresh_token", "client_credentials",
     "urn:ietf:params:oauth:grant-type:device_code",
     "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "form_post", "e30.e30.e30", CLIENT_SECRET]
)  # fmt: skip
VALUES = TRUE | st.text(max_size=30) | st.sampled_from(["%ff", "%00", "%ed%a0%80", "%", "&", ";", "\x00"])
FIELDS = st.lists(
    st.tuples(NAMES | st.text(max_size=8), VALUES, st.booleans()).map(
        lambda field: f"{field[0]}={quote_plus(field[1], errors='surrogatepass') if field[2] else field[1]}"
    ),
    max_size=12,
).map("&".join)


def handed_on(text: str) -> str:
    return text.encode("utf-8", "surrogatepass").decode("latin-1")


@pytest.mark.row("P-01", "P-02", "P-03")
@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    path=st.sampled_from([*POSTED, *ASKED]),
    posted=st.booleans(),
    query=FIELDS,
    body=FIELDS.map(lambda text: text.encode("utf-8", "surrogatepass")) | st.binary(max_size=200),
    credentials=st.sampled_from(["", GOOD, "Bearer x", "Basic Og=="]) | st.text(max_size=20),
)
@example(path="/authorize", posted=False, query="interaction=&client_id", body=b"", credentials="")
@example(path="/end_session", posted=False, query="interaction=x&interaction=y", body=b"", credentials="")
@example(path="/userinfo", posted=True, query="", body=b"access_token", credentials="Bearer x")
def test_whatever_arrives_is_answered_by_rule(
    world: World, path: str, posted: bool, query: str, body: bytes, credentials: str
) -> None:
    environ = {
        # As a server hands bytes on: each is one character.
        "QUERY_STRING": query.encode("utf-8", "surrogatepass").decode("latin-1"),
        **(
            {"HTTP_AUTHORIZATION": credentials.encode("utf-8", "surrogatepass").decode("latin-1")}
            if credentials
            else {}
        ),
    }
    response = send(world, path, "POST" if posted else "GET", body, FORM, **environ)
    sound(response, path)


def test_nothing_was_changed_by_all_this(world: World) -> None:
    """The provider signs in as before."""
    assert "code" in world.browser().signed_in("trusted").answer
