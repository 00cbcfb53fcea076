"""The way of one request: what reaches the app, when, and as whom."""

import dataclasses
import io
import itertools
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oidcgate.directory.port import AmbiguousUser, DirectoryUnavailable, KnownUser
from oidcgate.gate.wsgi import Gate
from oidcgate.identity import Identity
from oidcgate.settings import SettingsError
from oidcgate.web.sealing import new_secret
from tests.oidcgate.gate.parts import (
    NOW,
    PUBLIC_URL,
    SECRET,
    App,
    Clock,
    Directory,
    cookie_of,
    make_gate,
    record,
)
from tests.oidcgate.test_identity import mutated_headers

RULES = [
    {"path": "/public/**", "allow": "anyone"},
    {"path": "/hello", "allow": "signed-in"},
    {"path": "/money", "allow": "known", "max_age_seconds": 300, "acr_values": ["gold"]},
    {"path": "/broken", "allow": "anyone"},
]
BROWSER = {"HTTP_SEC_FETCH_MODE": "navigate", "HTTP_ACCEPT": "text/html"}
PREFLIGHT = {"HTTP_ORIGIN": "https://x.example", "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "PUT"}


class Body(io.BytesIO):
    """A body that must not be touched before the decision."""

    def __init__(self) -> None:
        super().__init__(b"secret=1")
        self.reads = 0

    def read(self, *args: Any) -> bytes:
        self.reads += 1
        return super().read(*args)


class Answer(NamedTuple):
    status: int
    headers: list[tuple[str, str]]
    body: bytes
    environ: dict[str, Any]

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def one(self, name: str) -> str:
        (value,) = self.all(name)
        return value


class World:
    """A gate around a counting app, with a clock and a directory to change."""

    def __init__(self, **settings: Any) -> None:
        self.app = App()
        self.clock = Clock()
        self.directory = Directory(KnownUser("Alice", display_name="Alice Liddell"), KnownUser("Bob"))
        made = make_gate(validator(self.app), self.directory, **{"rules": RULES, **settings})
        self.gate = Gate.from_parts(made.app, dataclasses.replace(made.parts, clock=self.clock))
        self.sessions = self.gate.parts.sessions

    def sign_in(self, session_id: str = "s1", user_name: str = "Alice", **more: Any) -> str:
        return cookie_of(self.sessions.create(record(session_id, user_name, **more), self.clock.now))

    def request(self, path: str = "/", method: str = "GET", cookie: str = "", **environ: Any) -> Answer:
        request: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "QUERY_STRING": "",
            "wsgi.input": Body(),
            **({"HTTP_COOKIE": cookie} if cookie else {}),
            **environ,
        }
        setup_testing_defaults(request)
        return call(validator(self.gate), request)


def call(app: Callable[..., Iterable[bytes]], environ: dict[str, Any]) -> Answer:
    seen: list[Any] = []

    def start_response(
        status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[..., Any]:
        seen[:] = [status, headers]
        return lambda data: None

    result = app(environ, start_response)
    try:
        body = b"".join(result)
    finally:
        if hasattr(result, "close"):
            result.close()
    return Answer(int(seen[0].split()[0]), seen[1], body, environ)


@pytest.fixture
def world() -> World:
    return World()


# -- who is let in, as whom


@pytest.mark.row("F-07", "T-03")
def test_a_known_user_reaches_the_app_under_the_directorys_name(world: World) -> None:
    cookie = world.sign_in(user_name="aLICE", claims={"email": "a@example.com"}, acr="gold", amr=("pwd",))
    answer = world.request("/reports", cookie=cookie)
    assert (answer.status, answer.body, world.app.calls) == (200, b"hello", 1)
    identity = world.app.environ["oidcgate.identity"]
    assert isinstance(identity, Identity)
    assert (identity.user_name, identity.display_name, identity.known) == ("Alice", "Alice Liddell", True)
    assert (identity.sub, identity.issuer, identity.acr) == ("sub-aLICE", "https://id.example.com", "gold")
    assert dict(identity.claims) == {"email": "a@example.com"}
    assert world.app.environ["REMOTE_USER"] == "Alice"
    assert answer.headers == [("Content-Type", "text/plain")]


def test_names_beyond_ascii_reach_the_app_as_wsgi_wants_them(world: World) -> None:
    world.directory.change(KnownUser("Zoë Žáková"))
    world.request("/", cookie=world.sign_in(user_name="Zoë Žáková"))
    assert world.app.environ["REMOTE_USER"].encode("latin-1").decode() == "Zoë Žáková"


@pytest.mark.row("F-08")
@pytest.mark.parametrize(
    "users",
    [pytest.param([], id="unknown"), pytest.param([KnownUser("Alice", active=False)], id="inactive")],
)
def test_who_is_not_an_active_known_user_does_not_reach_the_app(
    users: list[KnownUser], world: World, caplog: pytest.LogCaptureFixture
) -> None:
    cookie = world.sign_in()
    world.directory.change(*users)
    with caplog.at_level("INFO", logger="oidcgate"):
        answer = world.request("/", cookie=cookie, **BROWSER)
    assert (answer.status, world.app.calls) == (403, 0)
    assert "no-store" in answer.one("Cache-Control")
    assert "Alice" in caplog.text
    assert answer.all("Set-Cookie") == []


@pytest.mark.row("F-10")
def test_a_name_that_means_two_users_means_none(world: World) -> None:
    cookie = world.sign_in()
    world.directory.failure = AmbiguousUser("Alice")
    assert world.request("/", cookie=cookie).status == 403
    assert world.app.calls == 0


@pytest.mark.row("F-08")
def test_everybody_signed_in_reaches_only_what_says_so_and_is_marked_unknown(world: World) -> None:
    cookie = world.sign_in(user_name="Mallory", known_at=0)
    assert world.request("/", cookie=cookie).status == 403
    assert world.request("/hello", cookie=cookie).status == 200
    assert world.app.environ["oidcgate.identity"].known is False
    # On a public page a stranger has no name: it could be somebody else's there.
    assert world.request("/public/x", cookie=cookie).status == 200
    assert "REMOTE_USER" not in world.app.environ
    assert "oidcgate.identity" not in world.app.environ


@pytest.mark.row("F-08", "F-10")
@pytest.mark.parametrize("why", ["inactive", "ambiguous"])
def test_whom_the_directory_switches_off_is_out_of_what_everybody_signed_in_may_see(
    why: str, world: World
) -> None:
    cookie = world.sign_in()
    assert world.request("/hello", cookie=cookie).status == 200
    if why == "inactive":
        world.directory.change(KnownUser("Alice", active=False))
    else:
        world.directory.failure = AmbiguousUser("Alice")
        world.clock.now += 60
    assert world.request("/hello", cookie=cookie).status == 403
    assert world.app.calls == 1
    assert world.request("/public/x", cookie=cookie).status == 200
    assert "REMOTE_USER" not in world.app.environ


def test_a_public_page_knows_who_is_signed_in_and_serves_who_is_not(world: World) -> None:
    assert world.request("/public").status == 200
    assert "REMOTE_USER" not in world.app.environ
    world.request("/public", cookie=world.sign_in())
    assert world.app.environ["REMOTE_USER"] == "Alice"


@pytest.mark.row("T-03")
def test_a_user_who_is_removed_is_out_at_the_next_request(world: World) -> None:
    cookie = world.sign_in()
    assert world.request("/", cookie=cookie).status == 200
    world.directory.change()
    assert world.request("/", cookie=cookie).status == 403
    world.directory.change(KnownUser("Alice"))
    assert world.request("/", cookie=cookie).status == 200


def test_the_directory_is_asked_again_only_when_due(world: World) -> None:
    cookie = world.sign_in()
    for _ in range(3):
        world.request("/", cookie=cookie)
    assert len(world.directory.asked) == 1
    world.clock.now += 59
    world.request("/", cookie=cookie)
    assert len(world.directory.asked) == 1
    world.clock.now += 1
    world.request("/", cookie=cookie)
    assert len(world.directory.asked) == 2


@pytest.mark.row("G-05")
def test_a_directory_that_is_down_holds_its_last_answer_for_a_while(world: World) -> None:
    cookie = world.sign_in()
    world.request("/", cookie=cookie)
    world.directory.failure = DirectoryUnavailable("the test says so")
    world.clock.now += 3600
    assert world.request("/", cookie=cookie).status == 200
    world.clock.now += 1
    answer = world.request("/", cookie=cookie, **BROWSER)
    assert answer.status == 503
    assert int(answer.one("Retry-After")) > 0
    assert answer.all("Set-Cookie") == []
    assert world.app.calls == 2
    world.directory.failure = None
    assert world.request("/", cookie=cookie).status == 200


@pytest.mark.row("G-05")
@pytest.mark.parametrize(("known_at", "status"), [(NOW, 200), (NOW - 3601, 503), (0, 503)])
def test_a_session_new_to_the_worker_brings_the_last_answer_along(
    known_at: int, status: int, world: World
) -> None:
    world.directory.failure = DirectoryUnavailable("the test says so")
    assert world.request("/", cookie=world.sign_in(known_at=known_at)).status == status


# -- who is not


@pytest.mark.row("G-09")
def test_somebody_who_navigates_is_sent_to_sign_in_on_our_own_origin(world: World) -> None:
    answer = world.request("/reports/ž".encode().decode("latin-1"), QUERY_STRING="page=2", **BROWSER)
    assert (answer.status, world.app.calls) == (302, 0)
    login = f"{PUBLIC_URL}/.oidcgate/login?rd=%2Freports%2F%25C5%25BE%3Fpage%3D2"
    assert answer.one("Location") == login
    assert answer.one("Cache-Control") == "no-store"
    assert answer.all("Set-Cookie") == []


CLAIMS = {
    "HTTP_X_FORWARDED_HOST": "evil.example",
    "HTTP_X_FORWARDED_PROTO": "http",
    "HTTP_X_FORWARDED_PORT": "1",
    "HTTP_X_FORWARDED_URI": "/public/x",
    "HTTP_X_FORWARDED_METHOD": "OPTIONS",
    "HTTP_X_FORWARDED_FOR": "127.0.0.1",
    "HTTP_X_REAL_IP": "127.0.0.1",
    "HTTP_FORWARDED": "for=127.0.0.1;host=evil.example;proto=http",
    "HTTP_X_ORIGINAL_URL": "/public/x",
    "HTTP_X_REWRITE_URL": "/public/x",
}


@pytest.mark.row("G-18")
@pytest.mark.parametrize("claims", [*({name: CLAIMS[name]} for name in CLAIMS), CLAIMS], ids=[*CLAIMS, "all"])
def test_no_header_says_where_a_request_was_for_or_from(claims: dict[str, str], world: World) -> None:
    for environ in (BROWSER, {}):
        plain = world.request("/private", **environ)
        claiming = world.request("/private", **environ, **claims)
        assert (claiming.status, claiming.headers) == (plain.status, plain.headers)
    assert world.app.calls == 0


@pytest.mark.row("G-19")
@pytest.mark.parametrize("agent", ["GoogleHC/1.0", "kube-probe/1.31", "ELB-HealthChecker/2.0", "curl/8.5"])
@pytest.mark.parametrize("path", ["/", "/ping", "/healthz", "/private"])
def test_a_health_checker_is_a_stranger_like_any_other(agent: str, path: str, world: World) -> None:
    answer = world.request(path, HTTP_USER_AGENT=agent)
    assert (answer.status, world.app.calls) == (401, 0)
    assert world.request("/.oidcgate/healthz", HTTP_USER_AGENT=agent).status == 200


@pytest.mark.row("G-12")
def test_the_login_is_on_the_configured_host_whatever_host_was_asked(world: World) -> None:
    answer = world.request("/", HTTP_HOST="127.0.0.1:8000", HTTP_X_FORWARDED_HOST="evil.example", **BROWSER)
    assert answer.one("Location").startswith(f"{PUBLIC_URL}/")


@pytest.mark.row("G-09")
def test_a_script_is_told_where_to_sign_in(world: World) -> None:
    answer = world.request("/api", HTTP_SEC_FETCH_MODE="cors")
    assert (answer.status, world.app.calls) == (401, 0)
    document = json.loads(answer.body)
    assert document["error"] == "login_required"
    assert document["login_url"] == f"{PUBLIC_URL}/.oidcgate/login"
    assert answer.one("Cache-Control") == "no-store"


@pytest.mark.row("G-29")
def test_a_posted_form_without_a_session_is_not_read_and_not_sent_on(world: World) -> None:
    body = Body()
    environ: dict[str, Any] = {"wsgi.input": body, "CONTENT_LENGTH": "8", **BROWSER}
    answer = world.request("/save", "POST", **environ)
    assert (answer.status, world.app.calls, body.reads) == (401, 0, 0)
    assert "no-store" in answer.one("Cache-Control")


@pytest.mark.row("G-09")
def test_a_preflight_is_answered_without_a_grant_unless_a_rule_is_public(world: World) -> None:
    answer = world.request("/api", "OPTIONS", **PREFLIGHT)
    assert (answer.status, world.app.calls) == (204, 0)
    assert not [name for name, _ in answer.headers if name.lower().startswith("access-control")]
    assert world.request("/public/api", "OPTIONS", **PREFLIGHT).status == 200
    assert world.app.calls == 1


def test_a_stronger_login_is_asked_for_with_what_it_takes(world: World) -> None:
    cookie = world.sign_in(auth_time=NOW - 301, acr="gold")
    answer = world.request("/money", cookie=cookie, **BROWSER)
    assert answer.one("Location") == f"{PUBLIC_URL}/.oidcgate/login?rd=%2Fmoney&max_age=300&acr_values=gold"
    assert world.request("/money", cookie=world.sign_in("s2", acr="gold")).status == 200


@pytest.mark.row("G-05")
def test_a_state_store_that_is_down_lets_nobody_in_and_deletes_no_cookie(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from oidcgate.storage.records import StoreFailure, StoreUnavailable

    cookie = world.sign_in()

    def down() -> int:
        raise StoreUnavailable(StoreFailure.UNREACHABLE, "the test says so")

    monkeypatch.setattr(world.sessions.revocations._store, "generation", down)
    answer = world.request("/", cookie=cookie, **BROWSER)
    assert (answer.status, world.app.calls) == (503, 0)
    assert answer.all("Set-Cookie") == []
    assert answer.one("Retry-After")
    assert world.request("/public/x", cookie=cookie).status == 200
    assert "REMOTE_USER" not in world.app.environ


@pytest.mark.row("G-23")
def test_after_a_logout_no_copy_of_the_cookie_opens_the_app(world: World) -> None:
    cookie = world.sign_in()
    assert world.request("/", cookie=cookie).status == 200
    world.sessions.end(record(), world.clock.now)
    assert world.request("/", cookie=cookie).status == 401
    assert world.app.calls == 1


@pytest.mark.row("G-16")
def test_a_new_secret_in_front_of_the_old_one_logs_nobody_out(world: World) -> None:
    cookie = world.sign_in()
    rotated = World(secret=[new_secret(), SECRET])
    assert rotated.request("/", cookie=cookie).status == 200
    assert World(secret=new_secret()).request("/", cookie=cookie).status == 401


def test_a_session_of_one_gate_is_nothing_to_another(world: World) -> None:
    other = World(public_url="https://other.example.com")
    name, _, value = world.sign_in().partition("=")
    assert other.request("/", cookie=f"{name}={value}").status == 401
    assert other.request("/", cookie=f"{other.gate.parts.names.session}={value}").status == 401
    assert other.app.calls == 0


# -- invariant 1: nothing reaches the app before the decision

HOSTILE_PATHS = [
    *("/../x", "/public/../x", "/public/..;/x", "//x", "/public//x", "/a\\b", "/a\x00", "/\xff", "/%2e%2e/x"),
    *(
        "/public/%2fx",
        "/public%5cx",
        "x",
        "*",
        "http://app.example.com/public/x",
        "/public;/x",
        "/public/\r\nx",
    ),
]


@pytest.mark.row("G-21")
@pytest.mark.parametrize("path", HOSTILE_PATHS, ids=ascii)
@pytest.mark.parametrize("signed_in", [True, False])
def test_a_path_that_is_not_understood_is_refused_for_everybody(
    path: str, signed_in: bool, world: World
) -> None:
    cookie = world.sign_in() if signed_in else ""
    # Not through the validator, which itself refuses some of these.
    environ = {"REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": path, "HTTP_COOKIE": cookie}
    setup_testing_defaults(environ)
    answer = call(world.gate, environ)
    assert (answer.status, world.app.calls) == (400, 0)


@pytest.mark.row("G-21")
def test_what_a_header_moved_out_of_the_path_is_judged_with_it(world: World) -> None:
    world = World(rules=[{"path": "/x", "allow": "anyone"}])
    assert world.request("/x").status == 200
    assert world.request("/x", SCRIPT_NAME="/admin").status == 401
    assert world.request("/x", SCRIPT_NAME="/admin", RAW_URI="/x").status == 400
    assert world.app.calls == 1


@pytest.mark.row("G-18", "G-21")
@pytest.mark.parametrize("signed_in", [False, True])
def test_a_client_that_cuts_a_public_path_reaches_nothing_behind_the_cut(
    signed_in: bool, world: World
) -> None:
    cookie = world.sign_in() if signed_in else ""
    # As gunicorn hands over `GET /public/users` with `SCRIPT_NAME: /public` from a peer that it trusts: the
    # app looks at PATH_INFO alone, and would serve /users.
    cut = {"SCRIPT_NAME": "/public", "HTTP_SCRIPT_NAME": "/public", "RAW_URI": "/public/users"}
    answer = world.request("/users", cookie=cookie, **cut)
    assert (answer.status, world.app.calls) == (400, 0)
    assert answer.body == b'{"error":"path_cut_by_a_header"}'
    # Where the server did not follow the header, it is a header like any other of its kind: deleted.
    assert world.request("/public/users", HTTP_SCRIPT_NAME="/public").status == 200
    assert "HTTP_SCRIPT_NAME" not in world.app.environ


METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND", "get", "TRACE"]
PATHS = [
    "/",
    "/a",
    "/.oidcgate/none",
    "/public/../a",
    "//a",
    "/a\\b",
    "/money",
    "/hello",
    "/publicx",
    "/PUBLIC/x",
]


@pytest.mark.row("G-29")
@pytest.mark.parametrize("method", METHODS)
def test_without_a_session_nothing_that_is_not_public_calls_the_app(method: str, world: World) -> None:
    upgrade = {"HTTP_UPGRADE": "websocket", "HTTP_CONNECTION": "Upgrade"}
    kinds: list[dict[str, str]] = [{}, BROWSER, PREFLIGHT, upgrade]
    for path, headers in itertools.product(PATHS, kinds):
        environ: dict[str, Any] = {"REQUEST_METHOD": method, "SCRIPT_NAME": "", "PATH_INFO": path, **headers}
        setup_testing_defaults(environ)
        environ["wsgi.input"] = body = Body()
        answer = call(world.gate, environ)
        assert answer.status != 200, path
        assert body.reads == 0, path
    assert world.app.calls == 0


# -- invariant 2: a client sets no identity

BRANCHES = ["authenticated", "public", "preflight", "refused", "error"]


@pytest.mark.row("G-20")
@pytest.mark.parametrize("branch", BRANCHES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    headers=st.lists(mutated_headers(), min_size=1, max_size=4),
    extra=st.sampled_from(["", "REMOTE_USER", "oidcgate.identity"]),
)
def test_no_spelling_of_an_identity_header_survives_any_branch(
    branch: str, headers: list[tuple[str, str]], extra: str
) -> None:
    world = _shared_world()
    forged = {environ_name: "mallory" for _, environ_name in headers}
    if extra:
        forged[extra] = "mallory"
    environ: dict[str, Any] = {"REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": "/", **forged}
    environ["QUERY_STRING"] = ""
    if branch == "authenticated":
        environ["HTTP_COOKIE"] = _shared_cookie(world)
    elif branch == "public":
        environ["PATH_INFO"] = "/public/x"
    elif branch == "preflight":
        environ |= {"PATH_INFO": "/public/x", "REQUEST_METHOD": "OPTIONS", **PREFLIGHT}
    elif branch == "error":
        environ["PATH_INFO"] = "/a/../b"
    setup_testing_defaults(environ)
    answer = call(world.gate, environ)
    # The very environ that the app, or whoever answers instead, has been given.
    assert "mallory" not in [value for value in answer.environ.values() if isinstance(value, str)]
    assert answer.environ.get("REMOTE_USER") == ("Alice" if branch == "authenticated" else None)


_WORLDS: list[tuple[World, str]] = []


def _shared_world() -> World:
    if not _WORLDS:
        made = World()
        _WORLDS.append((made, made.sign_in()))
    return _WORLDS[0][0]


def _shared_cookie(world: World) -> str:
    return _WORLDS[0][1]


@pytest.mark.row("T-02", "G-18")
def test_a_proxy_gets_the_headers_by_themselves_and_what_to_call_itself(world: World) -> None:
    class Proxy(App):
        forwards_identity = True

    proxy = Proxy()
    world.gate = Gate.from_parts(proxy, world.gate.parts)
    world.request("/", cookie=world.sign_in(), HTTP_X_FORWARDED_USER="mallory", HTTP_HOST="evil.example")
    told = ((b"x-forwarded-user", b"Alice"), (b"x-forwarded-preferred-username", b"Alice"))
    assert proxy.environ["oidcgate.forward"] == told
    assert "HTTP_X_FORWARDED_USER" not in proxy.environ
    assert proxy.environ["oidcgate.public_url"] == PUBLIC_URL
    world.request("/public", **{"oidcgate.forward": ((b"x", b"y"),), "oidcgate.public_url": "http://evil"})
    assert "oidcgate.forward" not in proxy.environ
    assert proxy.environ["oidcgate.public_url"] == PUBLIC_URL


# -- cookies and answers


@pytest.mark.row("G-03")
def test_the_app_sees_its_own_cookies_and_not_ours(world: World) -> None:
    names = world.gate.parts.names
    cookie = world.sign_in()
    for header, left in [
        (f"theme=dark; {cookie}; lang=sk", "theme=dark; lang=sk"),
        (f"{cookie}; theme=dark", "theme=dark"),
        (f"{cookie}; {names.transaction('x')}=1", None),
        (cookie, None),
    ]:
        for _ in range(2):
            assert world.request("/", cookie=header).status == 200
            assert world.app.environ.get("HTTP_COOKIE") == left
    world.request("/public", cookie=f"a=1; {names.session}=garbage")
    assert world.app.environ["HTTP_COOKIE"] == "a=1"


@pytest.mark.parametrize("path", ["/", "/public/x"])
def test_the_app_cannot_set_a_gate_cookie(path: str, world: World) -> None:
    session = world.gate.parts.names.session
    world.app.headers += [
        ("Set-Cookie", "a=1"),
        ("set-cookie", f"{session}=stolen; Path=/"),
        ("Set-Cookie", f"={session}=stolen"),
        ("SET-COOKIE", f"{world.gate.parts.names.transaction('x')}=1"),
    ]
    answer = world.request(path, cookie=world.sign_in())
    assert answer.status == 200
    assert answer.all("Set-Cookie") == ["a=1"]


@pytest.mark.parametrize(
    ("caching", "touched", "left"),
    [
        pytest.param(None, True, ["private"], id="silent"),
        pytest.param("max-age=60", True, ["max-age=60", "private"], id="kept for a minute"),
        pytest.param("private, max-age=60", True, ["private, max-age=60"], id="private already"),
        pytest.param("no-store", True, ["no-store"], id="not stored anyway"),
        pytest.param("public, max-age=60", False, ["public, max-age=60"], id="public"),
        pytest.param("s-maxage=60", False, ["s-maxage=60"], id="for shared caches"),
    ],
)
def test_a_renewed_session_never_lands_in_a_shared_cache(
    caching: str | None, touched: bool, left: list[str], world: World
) -> None:
    if caching:
        world.app.headers.append(("Cache-Control", caching))
    cookie = world.sign_in()
    assert world.request("/", cookie=cookie).all("Set-Cookie") == []
    world.clock.now += 60
    answer = world.request("/", cookie=cookie)
    assert bool(answer.all("Set-Cookie")) is touched
    assert answer.all("Cache-Control") == left
    if touched:
        renewed = cookie_of(answer.all("Set-Cookie"))
        world.clock.now += 28_790
        assert world.request("/", cookie=renewed).status == 200
        assert world.request("/", cookie=cookie).status == 401


def test_an_exception_of_the_app_passes_through(world: World) -> None:
    world.app.error = LookupError("the app's own")
    with pytest.raises(LookupError, match="the app's own"):
        world.request("/broken")


def test_an_app_may_write_and_may_start_again_with_an_error() -> None:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        try:
            raise LookupError("late")
        except LookupError:
            import sys

            start_response("500 Oops", [("Content-Type", "text/plain")], sys.exc_info())
        return [b"sorry"]

    gate = make_gate(app, rules=RULES)
    environ: dict[str, Any] = {"PATH_INFO": "/public"}
    setup_testing_defaults(environ)
    assert call(gate, environ)[:3] == (500, [("Content-Type", "text/plain")], b"sorry")


# -- making one


@pytest.mark.row("F-05", "G-30")
def test_everything_wrong_with_a_gate_is_said_at_once() -> None:
    rules = [{"path": "x", "allow": "known"}, {"path": "/x", "allow": "everybody"}]
    with pytest.raises(SettingsError) as caught:
        Gate(App(), issuer="https://id.example.com", rules=rules, secret=SECRET)
    keys = {problem.key for problem in caught.value.problems}
    assert {"public_url", "users", "provider.client_id", "rules[0].path", "rules[1].allow"} <= {
        key.removesuffix(".source") for key in keys
    }
    assert SECRET not in str(caught.value)


def test_a_proxy_made_by_hand_stands_alone_beside_proxy_settings(tmp_path: Path) -> None:
    class Proxy(App):
        forwards_identity = True

    unread = {"upstream": "http://127.0.0.1:8081", "idle_seconds": 300, "trusted_proxies": ["10.0.0.0/8"]}
    file = tmp_path / "oidcgate.toml"
    file.write_text(
        f'public_url = "{PUBLIC_URL}"\n[provider]\nissuer = "https://id.example.com"\nclient_id = "app"\n'
        f'client_secret = "s"\n[users]\nsource = "any"\n[session]\nsecret = "{SECRET}"\n[proxy]\n'
        + "".join(f"{key} = {json.dumps(value)}\n" for key, value in unread.items())
    )
    makings = (
        lambda app: make_gate(app, proxy=unread),
        lambda app: Gate.from_config(app, file, env={}),
    )
    for make in makings:
        with pytest.raises(SettingsError) as caught:
            make(Proxy())
        assert {problem.key for problem in caught.value.problems} == {f"proxy.{key}" for key in unread}
        assert "is for `oidcgate serve`" in str(caught.value)
        assert "give it to ReverseProxy" in str(caught.value)

    # What the gate itself has to know is no trouble.
    make_gate(Proxy(), proxy={"insecure_encoded_slash": True})


def test_what_is_for_the_sidecar_is_told_around_an_app_and_a_proxy(caplog: pytest.LogCaptureFixture) -> None:
    class Proxy(App):
        forwards_identity = True

    make_gate(App())
    assert "no effect" not in caplog.text
    make_gate(Proxy(), serve={"bind": "127.0.0.1:1"})
    assert caplog.messages.count("settings that have no effect here: serve.bind (for `oidcgate serve`)") == 1
    # The same file may be the sidecar's.
    make_gate(App(), proxy={"upstream": "http://a"}, serve={"bind": "127.0.0.1:1"})
    told = "settings that have no effect here: proxy.upstream, serve.bind (for `oidcgate serve`)"
    assert caplog.messages.count(told) == 1


def test_users_may_be_given_as_a_table(tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text("userName\nAlice\n")
    users = {"source": f"file:{tmp_path}/users.csv", "match": "email"}
    gate = make_gate(App(), users)
    assert gate.parts.config.users.match == "email"
    assert gate.parts.users.find("alice", now=NOW) == KnownUser("Alice")


def test_tables_are_laid_over_the_plain_arguments() -> None:
    gate = make_gate(App(), session={"idle_minutes": 10}, provider={"name": "Example"})
    assert gate.parts.config.session.idle_minutes == 10
    assert gate.parts.config.identity_providers[0].name == "Example"
    assert gate.parts.config.identity_providers[0].client_id == "app"
    assert gate.parts.sessions.limits.idle_seconds == 600


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("session", "sealed", id="text"),
        pytest.param("session", [{"idle_minutes": 10}], id="list"),
        pytest.param("provider", "Example", id="provider"),
        pytest.param("public_urls", "https://app.example.com", id="one of several"),
    ],
)
def test_what_is_no_table_or_list_is_told(name: str, value: Any) -> None:
    with pytest.raises(SettingsError) as refused:
        make_gate(App(), **{name: value})
    assert name in {problem.key for problem in refused.value.problems}
