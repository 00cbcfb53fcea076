"""One gate at two hosts, with the real provider: around a WSGI and an ASGI app, and in the sidecar."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from oidcgate.audit import Audit
from oidcgate.gate.build import build
from oidcgate.gate.config import config_from_mapping
from oidcgate.gate.parts import GateParts
from oidcgate.net.wsgi import WSGIAdapter
from oidcgate.serve.app import asgi_app
from oidcgate.serve.metrics import Counters
from provider import Provider
from tests.support.doors import ASGIDoor, Door, Loop
from tests.support.echo import Echo
from tests.support.fronts import async_gate_door, gate_door
from tests.support.sites import CLIENT_SECRET, GATE_SECRET, ISSUER, PASSWORDS, Clock, make_provider
from tests.support.user_agent import UserAgent
from tests.support.uvicorn_thread import served

APP, WIKI = "https://app.test", "https://wiki.test"
BROWSER = [("Sec-Fetch-Mode", "navigate"), ("Accept", "text/html")]


class Both:
    """A gate at two hosts, a way in, and its provider."""

    def __init__(self, parts: GateParts, door: Door, app: Echo, provider: Provider) -> None:
        self.parts = parts
        self.door = door
        self.app = app
        self.provider = provider

    def user_agent(self) -> UserAgent:
        ours = self.door.adapter()
        return UserAgent({APP: ours, WIKI: ours, ISSUER: WSGIAdapter(self.provider)})

    def at(self, *headers: tuple[str, str], target: str = "/public/x") -> int:
        """The status of a request with these fields, Host among them."""
        return self.door.ask(target, headers=[*BROWSER, *headers]).status


@contextlib.contextmanager
def _sidecar_door(parts: GateParts) -> Iterator[Door]:
    loop = Loop()
    app, proxy = asgi_app(parts, Counters())
    try:
        yield ASGIDoor(app, loop)
    finally:
        loop.run(_closed(proxy))
        loop.close()


async def _closed(proxy: Any) -> None:
    proxy.close()


@pytest.fixture(scope="module", params=["wsgi", "asgi", "sidecar"])
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    folder = tmp_path_factory.mktemp("hosts")
    (folder / "users.toml").write_text('[[users]]\nuserName = "Alice"\n')
    client = {
        "client_id": "gate",
        "name": "The apps",
        "client_secret": CLIENT_SECRET,
        "redirect_uris": [f"{origin}/.oidcgate/callback" for origin in (APP, WIKI)],
        "post_logout_redirect_uris": [f"{origin}/.oidcgate/logged-out" for origin in (APP, WIKI)],
    }
    clock = Clock()
    provider = make_provider(folder, clock, [], clients=[client])
    app = Echo()
    with contextlib.ExitStack() as stack:
        data = {
            "public_urls": [APP, WIKI],
            "provider": {"issuer": ISSUER, "client_id": "gate", "client_secret": CLIENT_SECRET},
            "users": {"source": f"file:{folder / 'users.toml'}"},
            "session": {"secret": GATE_SECRET},
            "state": {"store": f"sqlite:///{folder / 'state.db'}"},
            "forward": {"user_headers": ["X-Remote-User"]},
            "rules": [
                {"path": "/public/**", "allow": "anyone"},
                {"path": "/wiki/**", "allow": "anyone", "hosts": ["wiki.test"]},
            ],
        }
        if request.param == "sidecar":
            port = stack.enter_context(served(app.asgi))
            data["proxy"] = {"upstream": f"http://127.0.0.1:{port}"}
        parts = build(config_from_mapping(data), clock=clock, provider_app=provider, audit=Audit([].append))
        if request.param == "sidecar":
            door = stack.enter_context(_sidecar_door(parts))
        else:
            make = gate_door if request.param == "wsgi" else async_gate_door
            door = stack.enter_context(make(parts, app))
        yield Both(parts, door, app, provider)


def test_who_signs_in_at_one_host_signs_in_at_the_other_without_a_word(both: Both) -> None:
    agent = both.user_agent()
    page = agent.open(f"{APP}/one")
    assert page.main_id == "page-login"
    page = agent.sign_in(page, "alice", PASSWORDS["alice"])
    assert (page.status, page.url) == (200, f"{APP}/one")
    assert both.app.seen[-1].one("X-Remote-User") == "Alice"

    page = agent.open(f"{WIKI}/two")
    assert (page.status, page.url) == (200, f"{WIKI}/two")
    seen = both.app.seen[-1]
    assert (seen.path, seen.one("X-Remote-User")) == ("/two", "Alice")
    # An app is told the host that was asked for, and no cookie of the gate.
    assert seen.one("Host") == "wiki.test"
    assert seen.all("Cookie") == []
    assert {cookie.domain for cookie in agent.session.cookies if "__Host-" in cookie.name} >= {
        "app.test",
        "wiki.test",
    }


def test_a_rule_of_one_host_opens_nothing_at_the_other(both: Both) -> None:
    assert both.at(("Host", "wiki.test"), target="/wiki/page") == 200
    assert both.at(("Host", "app.test"), target="/wiki/page") == 302


def test_a_cookie_is_good_at_its_host_alone(both: Both) -> None:
    agent = both.user_agent()
    agent.sign_in(agent.open(f"{APP}/"), "alice", PASSWORDS["alice"])
    here, there = both.parts.names.session, both.parts.elsewhere[0].names.session
    (value,) = [cookie.value for cookie in agent.session.cookies if cookie.name == here]
    assert both.at(("Host", "app.test"), ("Cookie", f"{here}={value}"), target="/") == 200
    for name in (here, there):
        assert both.at(("Host", "wiki.test"), ("Cookie", f"{name}={value}"), target="/") == 302


@pytest.mark.row("G-18")
@pytest.mark.parametrize(
    ("fields", "status"),
    [
        pytest.param([("Host", "APP.test")], 200, id="upper-case"),
        pytest.param([("Host", "wiki.test:443")], 200, id="default-port"),
        pytest.param([("Host", "evil.test")], 421, id="another"),
        pytest.param([("Host", "app.test.")], 421, id="dot-at-the-end"),
        pytest.param([("Host", "app.test:8443")], 421, id="another-port"),
        pytest.param([("Host", "app.test:")], 421, id="empty-port"),
        pytest.param([("Host", "")], 421, id="empty"),
        pytest.param([("Host", "app.test@evil.test")], 400, id="userinfo"),
        pytest.param([("Host", "app.test/x")], 400, id="path"),
        pytest.param([("Host", "app.test,wiki.test")], 400, id="list"),
        pytest.param([("Host", "app.test"), ("Host", "wiki.test")], 400, id="two"),
        pytest.param([("Host", "app.test"), ("Host", "app.test")], 400, id="the-same-twice"),
        pytest.param(
            [("Host", "evil.test"), ("X-Forwarded-Host", "app.test"), ("X-Forwarded-Proto", "https")],
            421,
            id="forwarded-for-us",
        ),
        pytest.param([("Host", "evil.test"), ("Forwarded", "host=app.test")], 421, id="forwarded"),
        pytest.param([("Host", "evil.test"), ("X-Host", "app.test")], 421, id="x-host"),
    ],
)
def test_only_a_host_of_ours_is_served(both: Both, fields: list[tuple[str, str]], status: int) -> None:
    before = len(both.app.seen)
    assert both.at(*fields) == status
    assert len(both.app.seen) == before + (status == 200)


def test_what_is_forwarded_changes_no_host(both: Both) -> None:
    """`/wiki/page` is open at the other host alone, whatever a client says of itself."""
    claims = [("X-Forwarded-Host", "wiki.test"), ("X-Original-Host", "wiki.test")]
    assert both.at(("Host", "app.test"), *claims, target="/wiki/page") == 302


# A WSGI server cuts such a target itself; see tests/oidcgate/gate/test_hosts.py.
@pytest.mark.parametrize("both", ["asgi", "sidecar"], indirect=True)
def test_a_target_with_a_host_of_its_own_is_refused(both: Both) -> None:
    for host in ("app.test", "wiki.test"):
        assert both.at(("Host", host), target="https://wiki.test/wiki/page") == 400


def test_a_websocket_for_another_host_is_refused(both: Both) -> None:
    assert both.door.websocket("/public/x", [("Host", "evil.test")]) == (421, None)


def test_a_script_is_told_in_json(both: Both) -> None:
    answer = both.door.ask("/", headers=[("Host", "evil.test"), ("Accept", "application/json")])
    assert (answer.status, json.loads(answer.body)) == (421, {"error": "host_is_not_served_here"})
