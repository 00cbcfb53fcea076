"""The way of one request on an event loop: what reaches the app, when, and as whom.

WebSockets and what lasts are next door in `test_asgi_lasting`, what has to be waited for in
`test_asgi_waiting`; how requests are decided at all is shown in `test_wsgi` and `test_decision`.
"""

import asyncio
import dataclasses
import itertools
import json
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug import Response

from oidcgate.directory.port import DirectoryUnavailable, KnownUser
from oidcgate.gate.asgi import AsyncGate
from oidcgate.handover import TUNNEL_HEADERS
from oidcgate.identity import Identity, normalise_name
from tests.oidcgate.gate.async_parts import BROWSER, PREFLIGHT, World
from tests.oidcgate.gate.parts import NOW, PUBLIC_URL, cookie_of
from tests.oidcgate.test_identity import HEADERS, mutated_headers
from tests.support.asgi import Exchange, request, run, scope_of


@pytest.fixture
def world() -> World:
    return World()


# -- who is let in, as whom


@pytest.mark.row("F-07", "T-01", "T-03")
def test_a_known_user_reaches_the_app_under_the_directorys_name(world: World) -> None:
    cookie = world.sign_in(user_name="aLICE", claims={"email": "a@example.com"}, acr="gold")
    answer = world.request("/reports?a=1", cookie=cookie)
    assert (answer.status, answer.body, world.app.calls) == (200, b"hello", 1)
    identity = world.app.scope["oidcgate.identity"]
    assert isinstance(identity, Identity)
    assert (identity.user_name, identity.display_name, identity.known) == ("Alice", "Alice Liddell", True)
    assert dict(identity.claims) == {"email": "a@example.com"}
    assert (world.app.scope["path"], world.app.scope["query_string"]) == ("/reports", b"a=1")
    assert world.app.scope["headers"] == [(b"host", b"app.example.com")]
    assert answer.headers == [(b"content-type", b"text/plain")]


@pytest.mark.row("F-08")
@pytest.mark.parametrize("users", [[], [KnownUser("Alice", active=False)]], ids=["unknown", "inactive"])
def test_who_is_not_an_active_known_user_does_not_reach_the_app(users: list[KnownUser], world: World) -> None:
    cookie = world.sign_in()
    world.directory.change(*users)
    answer = world.request("/", cookie=cookie, headers=BROWSER)
    assert (answer.status, world.app.calls) == (403, 0)
    assert answer.all("Set-Cookie") == []
    assert '"Alice"' in world.events[-1]


@pytest.mark.row("F-08")
def test_everybody_signed_in_reaches_only_what_says_so_and_a_stranger_has_no_name_in_public(
    world: World,
) -> None:
    cookie = world.sign_in(user_name="Mallory", known_at=0)
    assert world.request("/", cookie=cookie).status == 403
    assert world.request("/hello", cookie=cookie).status == 200
    assert world.app.scope["oidcgate.identity"].known is False
    assert world.request("/public/x", cookie=cookie).status == 200
    assert "oidcgate.identity" not in world.app.scope


def test_a_public_page_knows_who_is_signed_in_and_serves_who_is_not(world: World) -> None:
    assert world.request("/public").status == 200
    assert "oidcgate.identity" not in world.app.scope
    world.request("/public", cookie=world.sign_in())
    assert world.app.scope["oidcgate.identity"].user_name == "Alice"


@pytest.mark.row("G-23", "T-03")
def test_after_a_logout_no_copy_of_the_cookie_opens_the_app(world: World) -> None:
    from tests.oidcgate.gate.parts import record

    cookie = world.sign_in()
    assert world.request("/", cookie=cookie).status == 200
    world.sessions.end(record(), world.clock.now)
    assert world.request("/", cookie=cookie).status == 401
    assert world.app.calls == 1


@pytest.mark.row("G-05")
def test_an_outage_of_the_directory_is_503_and_the_cookie_stays(world: World) -> None:
    cookie = world.sign_in()
    world.request("/", cookie=cookie)
    world.directory.failure = DirectoryUnavailable("the test says so")
    world.clock.now += 3601
    answer = world.request("/", cookie=cookie, headers=BROWSER)
    assert (answer.status, world.app.calls) == (503, 1)
    assert int(answer.one("Retry-After")) > 0
    assert answer.all("Set-Cookie") == []
    assert world.request("/public/x", cookie=cookie).status == 200
    assert "oidcgate.identity" not in world.app.scope


# -- who is not


@pytest.mark.row("G-09", "G-12")
def test_somebody_who_navigates_is_sent_to_sign_in_at_the_configured_host(world: World) -> None:
    headers = [*BROWSER, ("X-Forwarded-Host", "evil.example")]
    answer = world.request("/reports/%C5%BE?page=2", headers=headers, server=("evil.example", 1))
    assert (answer.status, world.app.calls) == (302, 0)
    assert answer.one("Location") == f"{PUBLIC_URL}/.oidcgate/login?rd=%2Freports%2F%25C5%25BE%3Fpage%3D2"
    assert answer.one("Cache-Control") == "no-store"
    assert answer.whole


@pytest.mark.row("G-09")
def test_a_script_is_told_where_to_sign_in(world: World) -> None:
    answer = world.request("/api", headers=[("Sec-Fetch-Mode", "cors")])
    assert (answer.status, world.app.calls) == (401, 0)
    assert json.loads(answer.body) == {
        "error": "login_required",
        "login_url": f"{PUBLIC_URL}/.oidcgate/login",
    }
    assert answer.one("Cache-Control") == "no-store"


@pytest.mark.row("G-29")
@pytest.mark.parametrize("headers", [BROWSER, []], ids=["form", "script"])
def test_what_is_posted_without_a_session_is_not_read(headers: Any, world: World) -> None:
    async def main() -> None:
        # Nothing says how the body goes on: whoever waits for it waits for ever.
        exchange = world.exchange("http", "/save", headers=headers, method="POST", body=None)
        answer = await exchange.answer()
        assert (answer.status, world.app.calls, exchange.received) == (401, 0, 0)

    run(main())


@pytest.mark.row("G-09")
def test_a_preflight_is_answered_without_a_grant_unless_a_rule_is_public(world: World) -> None:
    answer = world.request("/api", "OPTIONS", headers=PREFLIGHT)
    assert (answer.status, answer.body, world.app.calls) == (204, b"", 0)
    assert not [name for name, _ in answer.headers if name.startswith(b"access-control")]
    assert world.request("/public/api", "OPTIONS", headers=PREFLIGHT).status == 200
    assert world.app.calls == 1


def test_a_stronger_login_is_asked_for_with_what_it_takes(world: World) -> None:
    cookie = world.sign_in(auth_time=NOW - 301, acr="gold")
    answer = world.request("/money", cookie=cookie, headers=BROWSER)
    assert answer.one("Location") == f"{PUBLIC_URL}/.oidcgate/login?rd=%2Fmoney&max_age=300&acr_values=gold"


def test_an_answer_to_head_has_a_length_and_no_body(world: World) -> None:
    exchange = Exchange(world.gate, scope_of("http", "/x", method="HEAD"))
    answer = run(exchange.answer())
    assert answer.status == 401
    assert int(answer.one("Content-Length")) > 0
    assert [message.get("body") for message in answer.messages[1:]] == [b""]


# -- invariant 1: nothing reaches the app before the decision

HOSTILE_TARGETS = [
    *("/../x", "/public/../x", "/public/..;/x", "//x", "/public//x", "/a\\b", "/a%00", "/%ff", "/%2e%2e/x"),
    *("/public/%2fx", "/public%5cx", "x", "*", "http://app.example.com/public/x", "", "/public%2fx"),
    *("/public;/x", "/public/%0d%0ax", "/public/%zz", "/public/%", "/public/%252e%252e/x", "/a\xff"),
]


@pytest.mark.row("G-21")
@pytest.mark.parametrize("target", HOSTILE_TARGETS, ids=ascii)
@pytest.mark.parametrize("signed_in", [True, False])
def test_a_path_that_is_not_understood_is_refused_for_everybody(
    target: str, signed_in: bool, world: World
) -> None:
    cookie = world.sign_in() if signed_in else ""
    for kind in ("http", "websocket"):
        with_raw = scope_of(kind, target, headers=[("Cookie", cookie)])
        # Servers without the form on the wire; what only that form shows is then nowhere to be seen.
        scopes = [with_raw]
        if "%" not in target and target and target.isascii():
            scopes.append({**with_raw, "raw_path": None})
        for scope in scopes:
            answer = run(Exchange(world.gate, scope).answer())
            assert answer.status == 400
    assert world.app.calls == 0


@pytest.mark.row("G-21")
@pytest.mark.parametrize(
    ("path", "raw_path"),
    [
        ("/admin", b"/public/x"),
        ("/public/x", b"/admin"),
        ("/public/x", b"/public/%78%2f"),
        ("/public/a b", b"/public/a+b"),
        ("/public/x?y", b"/public/x?y"),
        ("/PUBLIC/x", b"/public/x"),
        ("/public/x/", b"/public/x"),
        ("/public/\u017e", b"/public/%C5%BD"),
    ],
)
def test_a_path_that_the_app_would_read_otherwise_than_it_is_judged_is_refused(
    path: str, raw_path: bytes, world: World
) -> None:
    cookie = world.sign_in()
    for kind in ("http", "websocket"):
        scope = scope_of(kind, headers=[("Cookie", cookie)], path=path, raw_path=raw_path)
        assert run(Exchange(world.gate, scope).answer()).status == 400
    assert world.app.calls == 0


@pytest.mark.row("G-18", "G-21")
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_a_client_that_cuts_a_public_path_reaches_nothing_behind_the_cut(kind: str, world: World) -> None:
    # As Daphne hands over `GET /public/users` with `Daphne-Root-Path: /public`: the app serves /users.
    ask = world.request if kind == "http" else world.websocket
    served = 200 if kind == "http" else 101
    for root in ("/public", "/public/"):
        answer = ask("/public/users", root_path=root)
        assert (answer.status, world.app.calls) == (400, 0)
        assert b"path_cut_by_a_header" in answer.body
    for root in ("/pub", "/public/u"):
        assert ask("/public/users", root_path=root, cookie=world.sign_in()).status == 400
    assert world.app.calls == 0
    # Who may see what lies behind it as well loses nothing, and what is no cut is none.
    assert ask("/public/users", root_path="/public", cookie=world.sign_in()).status == served
    assert ask("/public/users", root_path="/else").status == served
    assert ask("/public/public/x", root_path="/public").status == served
    assert ask("/public", root_path="/public").status == 400
    assert ask("/app/users", root_path="/app", cookie=world.sign_in()).status == served
    assert ask("/app/users", root_path="/app").status == 401


def test_paths_that_agree_reach_the_app_untouched(world: World) -> None:
    cookie = world.sign_in()
    for target in ("/a%20b", "/%C5%BE", "/%7Euser", "/a;v=1/b", "/100%25", "/a@b:c,d"):
        for raw in (target.encode(), target.encode() + b"?q=1", None):
            assert world.request(target, cookie=cookie, raw_path=raw).status == 200
            assert (world.app.scope["path"], world.app.scope["raw_path"]) == (unquote(target), raw)


METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND", "get", "TRACE"]
TARGETS = ["/", "/a", "/.oidcgate/none", "/public/../a", "//a", "/money", "/hello", "/publicx", "/PUBLIC/x"]


@pytest.mark.row("G-29")
@pytest.mark.parametrize("method", METHODS)
def test_without_a_session_nothing_that_is_not_public_calls_the_app(method: str, world: World) -> None:
    upgrade = [("Upgrade", "websocket"), ("Connection", "Upgrade")]
    for target, headers in itertools.product(TARGETS, [[], BROWSER, PREFLIGHT, upgrade]):
        answer = world.request(target, method, headers=headers)
        assert answer.status not in (200, None), target
        assert world.websocket(target, headers=headers).status not in (101, None), target
    assert world.app.calls == 0


@pytest.mark.parametrize("kind", ["mqtt", "http2", "", "Http"])
def test_a_kind_of_connection_that_nobody_can_judge_does_not_pass(kind: str, world: World) -> None:
    async def main() -> None:
        async def never(*_: Any) -> Any:
            raise AssertionError("nothing is to be said")

        with pytest.raises(ValueError, match="cannot be judged"):
            await world.gate({**scope_of("http"), "type": kind}, never, never)

    run(main())
    assert world.app.calls == 0


def test_the_life_of_the_server_is_the_apps_own_matter(world: World) -> None:
    said: list[str] = []
    state: dict[str, Any] = {}

    async def lifespan(scope: dict[str, Any], receive: Any, send: Any) -> None:
        assert scope["state"] is state
        scope["state"]["pool"] = "made"
        for word in ("startup", "shutdown"):
            assert (await receive())["type"] == f"lifespan.{word}"
            await send({"type": f"lifespan.{word}.complete"})

    world.app.then = lifespan

    async def main() -> None:
        inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        for word in ("startup", "shutdown"):
            inbox.put_nowait({"type": f"lifespan.{word}"})

        async def send(message: dict[str, Any]) -> None:
            said.append(message["type"])

        await world.gate({"type": "lifespan", "asgi": {"version": "3.0"}, "state": state}, inbox.get, send)

    run(main())
    assert said == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert state == {"pool": "made"}


# -- invariant 2: a client sets no identity


class Routes:
    """In place of the gate's routes: keeps what they would have been given."""

    def __init__(self) -> None:
        self.environ: dict[str, Any] = {}

    def respond(self, environ: dict[str, Any]) -> Response:
        self.environ = environ
        return Response("ours")


def _shared() -> tuple[World, str, Routes]:
    if not _SHARED:
        world = World(forward={"preset": "oauth2-proxy", "user_headers": ["X-WebAuth-User"]})
        routes = Routes()
        parts = dataclasses.replace(world.gate.parts, routes=routes)  # type: ignore[arg-type]  # a stand-in
        world.gate = AsyncGate.from_parts(world.app, parts)
        _SHARED.append((world, world.sign_in(), routes))
    return _SHARED[0]


_SHARED: list[tuple[World, str, Routes]] = []

BRANCHES = ["authenticated", "public", "preflight", "websocket", "route", "refused", "error"]


@pytest.mark.row("G-20", "T-02")
@pytest.mark.parametrize("branch", BRANCHES)
@settings(max_examples=60, deadline=None)
@given(names=st.lists(mutated_headers(), min_size=1, max_size=4))
def test_no_spelling_of_an_identity_header_survives_any_branch(
    branch: str, names: list[tuple[str, str]]
) -> None:
    world, cookie, routes = _shared()
    forged = [(key.removeprefix("HTTP_"), "mallory") for _, key in names]
    forged += [("X_WebAuth.USER", "mallory"), ("X-Forwarded-User", "mallory"), ("X-Forwarded-User", "eve")]
    world.app.scope, routes.environ = {}, {}
    calls = world.app.calls
    if branch in ("authenticated", "websocket"):
        ask = world.websocket if branch == "websocket" else world.request
        ask("/", cookie=cookie, headers=forged)
    elif branch == "public":
        world.request("/public/x", headers=forged)
    elif branch == "preflight":
        world.request("/public/x", "OPTIONS", headers=[*forged, *PREFLIGHT])
    elif branch == "route":
        world.request("/.oidcgate/userinfo", cookie=cookie, headers=forged)
        assert routes.environ
    else:
        world.request("/x" if branch == "refused" else "/a/../b", headers=forged)
    assert world.app.calls == calls + (branch in BRANCHES[:4])
    seen = [*(value for _, value in world.app.scope.get("headers", ())), *routes.environ.values()]
    assert not {b"mallory", b"eve", "mallory", "eve"} & {v for v in seen if isinstance(v, bytes | str)}
    expected = [b"Alice"] if branch in ("authenticated", "websocket") else []
    for name in ("X-Forwarded-User", "X-WebAuth-User"):
        named = [
            value
            for key, value in world.app.scope.get("headers", ())
            if normalise_name(key.decode("latin-1")) == normalise_name(name)
        ]
        assert named == expected


@pytest.mark.row("G-20")
@pytest.mark.parametrize("target", ["/", "/public/x"])
def test_an_identity_that_something_in_front_put_into_the_scope_is_gone(target: str, world: World) -> None:
    from_outside = {"oidcgate.identity": "mallory", "oidcgate.forward": ((b"x-forwarded-user", b"mallory"),)}
    assert world.request("/public/x", **from_outside).status == 200
    assert not from_outside.keys() & world.app.scope.keys()
    world.request(target, cookie=world.sign_in(), **from_outside)
    assert world.app.scope["oidcgate.identity"].user_name == "Alice"
    assert "oidcgate.forward" not in world.app.scope


def test_what_a_server_appends_to_its_headers_later_is_not_seen(world: World) -> None:
    async def late(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        trailers.append((b"x-forwarded-user", b"mallory"))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": repr(scope["headers"]).encode()})

    world.app.then = late
    scope = scope_of("http", "/public/x")
    trailers = scope["headers"]
    answer = run(Exchange(world.gate, scope).answer())
    assert b"mallory" not in answer.body


# -- how an app is told by headers


@pytest.mark.row("T-02")
@pytest.mark.parametrize("name", ["Alice", "Zoë Žáková", "太郎", "a@b.example", "o'brien;x=%2C"])
def test_the_app_sees_exactly_the_names_of_the_preset_and_its_own(name: str) -> None:
    world = World(
        forward={"preset": "oauth2-proxy", "user_headers": ["X-Remote-User", "Webauth"]},
    )
    world.directory.change(KnownUser(name))
    claims = {"email": "zoë@example.com", "groups": ["staff", "a,b", "100%", " padded "]}
    sent = [("X-A", "1"), *((header, "mallory") for header in HEADERS), ("X-A", "2")]
    answer = world.request("/", cookie=world.sign_in(user_name=name, claims=claims), headers=sent)
    assert answer.status == 200
    headers = world.app.scope["headers"]
    assert headers[:3] == [(b"host", b"app.example.com"), (b"x-a", b"1"), (b"x-a", b"2")]
    told = headers[3:]
    user = name.encode()
    assert told == [
        (b"x-forwarded-user", user),
        (b"x-forwarded-preferred-username", user),
        (b"x-forwarded-email", "zoë@example.com".encode()),
        (b"x-forwarded-groups", b"staff,a%2Cb,100%25,%20padded%20"),
        (b"x-remote-user", user),
        (b"webauth", user),
    ]
    assert world.app.scope["oidcgate.forward"] == tuple(told)


@pytest.mark.row("T-02")
@pytest.mark.parametrize("name", ["a,b", "a\nb", "a\x00", " a", "a ", "a\x7f", "a\u0085b", "a\u2028b", " "])
def test_a_name_that_a_header_would_change_is_refused_and_never_sent(name: str) -> None:
    world = World(forward={"user_headers": ["X-Remote-User"]})
    world.directory.change(KnownUser(name))
    cookie = world.sign_in(user_name=name)
    answer = world.request("/", cookie=cookie)
    assert (answer.status, world.app.calls) == (403, 0)
    assert json.loads(answer.body)["error"] == "user_name_cannot_be_forwarded"
    assert answer.all("Set-Cookie") == []
    assert world.websocket("/", cookie=cookie).status == 403
    assert world.app.calls == 0
    # In public they are nobody, as anybody is.
    assert world.request("/public/x", cookie=cookie).status == 200
    assert world.app.all("X-Remote-User") == []
    assert "oidcgate.identity" not in world.app.scope
    assert World().request("/").status == 401


def test_without_headers_to_set_any_name_reaches_the_app(world: World) -> None:
    world.directory.change(KnownUser("a,b\n"))
    assert world.request("/", cookie=world.sign_in(user_name="a,b\n")).status == 200
    assert world.app.scope["oidcgate.identity"].user_name == "a,b\n"


def test_headers_follow_the_directory() -> None:
    world = World(forward={"user_headers": ["X-Remote-User"]})
    cookie = world.sign_in()
    seen = []
    for user in (KnownUser("Alice"), KnownUser("ALICE"), KnownUser("Alice")):
        world.directory.change(user)
        world.request("/", cookie=cookie)
        seen += world.app.all("X-Remote-User")
    assert seen == [b"Alice", b"ALICE", b"Alice"]


class Forwards:
    """An app that passes on and tells its upstream itself."""

    forwards_identity = True

    def __init__(self) -> None:
        self.scope: dict[str, Any] = {}

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        self.scope = scope
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})


@pytest.mark.row("T-02")
def test_a_proxy_gets_the_headers_beside_those_of_the_client_with_the_usual_preset() -> None:
    world = World()
    proxy = Forwards()
    gate = AsyncGate.from_parts(proxy, world.gate.parts)
    headers = [("Cookie", world.sign_in()), ("X_Forwarded_User", "mallory"), ("X-A", "1")]
    assert request(gate, "/", headers=headers).status == 200
    assert proxy.scope["headers"] == [(b"host", b"app.example.com"), (b"x-a", b"1")]
    told = ((b"x-forwarded-user", b"Alice"), (b"x-forwarded-preferred-username", b"Alice"))
    assert proxy.scope["oidcgate.forward"] == told
    # It forwards the form on the wire, which is the one that was judged.
    assert request(gate, "/%41", headers=headers, path="/elsewhere", root_path="/%41").status == 200
    assert request(gate, "/public", headers=headers[1:]).status == 200
    assert "oidcgate.forward" not in proxy.scope


# -- cookies and answers


@pytest.mark.row("G-03")
def test_the_app_sees_its_own_cookies_and_not_ours(world: World) -> None:
    names = world.gate.parts.names
    cookie = world.sign_in()
    for sent, left in [
        ([f"theme=dark; {cookie}; lang=sk"], [b"theme=dark; lang=sk"]),
        ([f"{cookie}; theme=dark"], [b"theme=dark"]),
        ([f"{cookie}; {names.transaction('x')}=1"], []),
        ([cookie], []),
        # HTTP/2 sends cookies apart.
        (["a=1", cookie, "b=2"], [b"a=1; b=2"]),
    ]:
        for _ in range(2):
            answer = world.request("/", headers=[("Cookie", value) for value in sent])
            assert answer.status == 200
            assert world.app.all("Cookie") == left
    world.request("/public", cookie=f"a=1; {names.session}=garbage; b=\xff")
    assert world.app.all("Cookie") == [b"a=1; b=\xff"]
    world.websocket("/", cookie=f"{cookie}; a=1")
    assert world.app.all("Cookie") == [b"a=1"]


@pytest.mark.parametrize("target", ["/", "/public/x"])
@pytest.mark.parametrize("kind", ["http", "websocket", "refused websocket"])
def test_the_app_cannot_set_a_gate_cookie(target: str, kind: str, world: World) -> None:
    session = world.gate.parts.names.session
    world.app.headers += [
        (b"set-cookie", b"a=1"),
        (b"set-cookie", f"{session}=stolen; Path=/".encode()),
        (b"set-cookie", f"={session}=stolen".encode()),
        (b"set-cookie", f" {session.upper()} =stolen".encode()),
        (b"set-cookie", f"{world.gate.parts.names.transaction('x')}=1".encode()),
        (b"set-cookie", b"b=\xff"),
    ]
    if kind == "refused websocket":

        async def refuse(scope: dict[str, Any], receive: Any, send: Any) -> None:
            start = "websocket.http.response.start"
            await send({"type": start, "status": 404, "headers": world.app.headers})
            await send({"type": "websocket.http.response.body"})

        world.app.then = refuse
    ask = world.request if kind == "http" else world.websocket
    answer = ask(target, cookie=world.sign_in())
    assert answer.status == {"http": 200, "websocket": 101}.get(kind, 404)
    assert answer.all("Set-Cookie") == ["a=1", "b=\xff"]


@pytest.mark.parametrize(
    ("caching", "touched", "left"),
    [
        pytest.param(None, True, ["private"], id="silent"),
        pytest.param(b"max-age=60", True, ["max-age=60", "private"], id="kept for a minute"),
        pytest.param(b"private, max-age=60", True, ["private, max-age=60"], id="private already"),
        pytest.param(b"no-store", True, ["no-store"], id="not stored anyway"),
        pytest.param(b"Public, max-age=60", False, ["Public, max-age=60"], id="public"),
        pytest.param(b"s-maxage=60", False, ["s-maxage=60"], id="for shared caches"),
    ],
)
def test_a_renewed_session_never_lands_in_a_shared_cache(
    caching: bytes | None, touched: bool, left: list[str], world: World
) -> None:
    if caching:
        world.app.headers.append((b"cache-control", caching))
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


def test_an_accepted_websocket_brings_the_renewed_session(world: World) -> None:
    cookie = world.sign_in()
    world.clock.now += 60
    renewed = cookie_of(world.websocket("/", cookie=cookie).all("Set-Cookie"))
    world.clock.now += 28_790
    assert world.websocket("/", cookie=renewed).status == 101
    assert world.websocket("/", cookie=cookie).status == 401


def test_so_does_the_head_of_a_tunnel_which_a_proxy_writes_itself(world: World) -> None:
    cookie = world.sign_in()
    world.websocket("/", cookie=cookie)
    assert world.app.scope[TUNNEL_HEADERS] == []
    world.clock.now += 60
    answer = world.websocket("/", cookie=cookie)
    added = world.app.scope[TUNNEL_HEADERS]
    said = [value.decode() for name, value in added if name == b"set-cookie"]
    assert cookie_of(said) == cookie_of(answer.all("Set-Cookie"))


def test_the_scope_of_the_server_is_not_edited(world: World) -> None:
    cookie = world.sign_in()
    scope = scope_of("http", "/", headers=[("Cookie", cookie), ("X-Forwarded-User", "mallory")])
    before = {**scope, "headers": list(scope["headers"])}
    run(Exchange(world.gate, scope).answer())
    assert scope == before


def test_an_exception_of_the_app_passes_through(world: World) -> None:
    async def fail(scope: dict[str, Any], receive: Any, send: Any) -> None:
        raise LookupError("the app's own")

    world.app.then = fail
    for ask in (world.request, world.websocket):
        with pytest.raises(LookupError, match="the app's own"):
            ask("/public")


def test_body_and_answer_stream_as_they_come(world: World) -> None:
    async def echo(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [], "trailers": False})
        more = True
        while more:
            message = await receive()
            more = message.get("more_body", False)
            await send({"type": "http.response.body", "body": message["body"], "more_body": more})

    world.app.then = echo

    async def main() -> None:
        exchange = world.exchange("http", "/", world.sign_in(), method="PUT", body=None)
        await exchange.sent("http.response.start")
        for number in range(3):
            part = b"%d" % number
            exchange.say({"type": "http.request", "body": part, "more_body": number < 2})
            await exchange.until(lambda messages, part=part: messages[-1].get("body") == part)
        answer = await exchange.answer()
        assert (answer.body, answer.whole) == (b"012", True)

    run(main())
