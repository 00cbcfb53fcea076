"""A configuration that changes over one store: hosts and providers in another order, added, taken out."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from oidcgate.gate.break_glass import issuer_of
from oidcgate.gate.pins import Pin
from oidcgate.gate.session import Absent, AbsentReason
from oidcgate.settings import SettingsError
from oidcgate.storage.redis import RedisStore
from tests.oidcgate.gate.parts import cookie_of, record
from tests.support.lying_provider import (
    APP,
    CLIENT_ID,
    CLIENT_SECRET,
    GONE,
    ISSUER,
    NOW,
    Browser,
    Clock,
    LyingProvider,
    Scene,
)
from tests.support.redis import Redis, redis_server

WIKI = "https://wiki.example.com"
OTHER_ISSUER = "https://other.example"
ONE = {"name": "One", "issuer": ISSUER, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
TWO = {**ONE, "name": "Two", "issuer": OTHER_ISSUER, "client_id": "the-same-app-there"}

#: What a deploy makes of a gate at `APP` and `WIKI` with the providers One and Two: its hosts and providers.
CHANGES = [
    pytest.param((WIKI, APP), (ONE, TWO), id="hosts-turned"),
    pytest.param(("https://a.example.com", APP, WIKI), (ONE, TWO), id="host-added"),
    pytest.param((APP,), (ONE, TWO), id="host-taken-out"),
    pytest.param((APP, WIKI), (TWO, ONE), id="providers-turned"),
    pytest.param(
        (APP, WIKI), ({**TWO, "name": "New", "issuer": "https://new.example"}, ONE), id="provider-added"
    ),
    pytest.param((APP, WIKI), (ONE,), id="provider-taken-out"),
]

#: A gate of these hosts and providers, on one and the same store each time.
Deploy = Callable[..., Scene]


@pytest.fixture(scope="module")
def redis() -> Iterator[Redis]:
    with redis_server() as server:
        yield server


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Redis may take its time on a busy machine: nothing here is about one that does not answer."""
    for name in ("connect_seconds", "answer_seconds"):
        monkeypatch.setitem(RedisStore.__init__.__kwdefaults__, name, 20)


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=pytest.mark.live)])
def deploy(request: pytest.FixtureRequest, tmp_path: Path) -> Deploy:
    if request.param == "redis":
        server: Redis = request.getfixturevalue("redis")
        server.say("FLUSHALL")
        return deploys(server.url)
    return deploys(f"sqlite:///{tmp_path}/state.db")


def deploys(store: str) -> Deploy:
    clock = Clock()
    providers = LyingProvider(clock), LyingProvider(clock, issuer=OTHER_ISSUER)

    def deploy(
        hosts: tuple[str, ...] = (APP, WIKI),
        entries: tuple[dict[str, Any], ...] = (ONE, TWO),
        **settings: Any,
    ) -> Scene:
        clock.now += 60
        tables = {
            "public_url": GONE,
            "public_urls": list(hosts),
            "provider": GONE,
            "providers": list(entries),
            **settings,
        }
        return Scene.set({**tables, "state": {"store": store, **settings.get("state", {})}}, *providers)

    return deploy


def signed_in(at: Scene, name: str = "One", *, admitted: bool = True, origin: str = APP) -> Browser:
    browser = at.browser(origin)
    asked = browser.get(f"/.oidcgate/login?rd=/private&idp={name}").headers["Location"]
    assert browser.get(at.provider.answer(asked)).status_code == (303 if admitted else 403)
    assert browser.has_session() == admitted
    return browser


def goes_on_at(browser: Browser, at: Scene) -> bool:
    """Whether a browser is signed in at a gate that took the place of the one it knows."""
    browser.client.application = at.gate
    return browser.has_session()


@pytest.mark.row("C-12")
@pytest.mark.parametrize(("hosts", "entries"), CHANGES)
def test_a_name_stays_its_owners(deploy: Deploy, hosts: Any, entries: Any) -> None:
    signed_in(deploy())
    changed = deploy(hosts, entries)
    assert [pin[:3] for pin in changed.parts.pins.every(NOW)] == [("Alice", ISSUER, "sub-of-alice")]
    signed_in(changed)
    changed.provider.claims["sub"] = "sub-of-mallory"
    signed_in(changed, admitted=False)
    assert changed.audit[-1]["event"] == "login.pin_refused"


@pytest.mark.row("G-07")
@pytest.mark.parametrize(("hosts", "entries"), CHANGES)
def test_what_ended_meanwhile_does_not_live_again(deploy: Deploy, hosts: Any, entries: Any) -> None:
    first = deploy()
    by_id = signed_in(first)
    (listed,) = first.parts.sessions.index.everybody(NOW)
    by_name = signed_in(first)
    changed = deploy(hosts, entries)
    # Nobody is signed out by such a change.
    assert [goes_on_at(browser, changed) for browser in (by_id, by_name)] == [True, True]
    sessions, now = changed.parts.sessions, int(changed.clock())
    assert sessions.revoke(listed.session_id, now) is not None
    assert [ended.record.sub for ended in sessions.revoke_user("ALICE", now)] == ["sub-of-alice"]
    back = deploy()
    assert [goes_on_at(browser, back) for browser in (by_id, by_name)] == [False, False]


@pytest.mark.live
def test_gates_with_names_of_their_own_share_a_redis_and_nothing_in_it(redis: Redis) -> None:
    redis.say("FLUSHALL")
    deploy = deploys(redis.url)
    here = deploy(state={"namespace": "app"})
    browser = signed_in(here)
    there = deploy((WIKI,), state={"namespace": "wiki"})
    assert there.parts.pins.of("alice", NOW) is None
    there.parts.sessions.revoke_user("alice", int(there.clock()))
    assert goes_on_at(browser, deploy(state={"namespace": "app"}))
    # Without a name they are one, as gates are that name one database.
    signed_in(deploy())
    assert isinstance(deploy((WIKI,)).parts.pins.of("alice", NOW), Pin)


@pytest.mark.parametrize(
    ("state", "says"),
    [
        pytest.param({"store": "redis://h/0", "namespace": "a:b"}, "is no name", id="colon"),
        pytest.param({"store": "redis://h/0", "namespace": ""}, "is no name", id="empty"),
        pytest.param({"store": "sqlite:///s.db", "namespace": "wiki"}, "has none", id="database"),
    ],
)
def test_a_name_that_tells_nothing_apart_is_refused(state: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Scene.set({"state": state})
    (problem,) = caught.value.problems
    assert problem.key == "state.namespace"
    assert says in problem.message


class TestProvidersThatAreGone:
    """Sessions of a provider that a host has no more."""

    @pytest.fixture(params=["sealed", "sql"])
    def two(self, request: pytest.FixtureRequest, tmp_path: Path) -> Deploy:
        deploy = deploys(f"sqlite:///{tmp_path}/state.db")
        return lambda *given: deploy(*given, session={"store": request.param})

    @pytest.mark.parametrize(
        "entries",
        [
            pytest.param(({**ONE, "hosts": ["wiki.example.com"]}, TWO), id="is-for-another-host"),
            pytest.param((TWO,), id="is-taken-out"),
        ],
    )
    def test_their_sessions_are_none(self, two: Deploy, entries: Any) -> None:
        first = two()
        browser = signed_in(first)
        changed = two((APP, WIKI), entries)
        assert not goes_on_at(browser, changed)
        answer = browser.get("/private")
        assert answer.status_code == 302
        assert answer.headers["Location"].startswith(f"{APP}/.oidcgate/login")
        assert changed.visitors == []
        for _ in range(2):  # what was looked at is remembered
            assert reason_at(changed, cookies_of(browser)) is AbsentReason.NO_PROVIDER
        # It was the configuration that kept them out, and may let them in again.
        assert goes_on_at(browser, two())

    def test_where_it_still_is_they_go_on(self, two: Deploy) -> None:
        here, there = (signed_in(at, origin=origin) for at in [two()] for origin in (APP, WIKI))
        narrowed = two((APP, WIKI), ({**ONE, "hosts": ["wiki.example.com"]}, TWO))
        assert [goes_on_at(browser, narrowed) for browser in (here, there)] == [False, True]

    def test_signing_out_ends_them_all_the_same(self, two: Deploy) -> None:
        browser = signed_in(two())
        cookies = cookies_of(browser)
        changed = two((APP, WIKI), (TWO,))
        browser.client.application = changed.gate
        answer = browser.post("/.oidcgate/logout", {})
        # Nobody is told: its provider is unknown here, and none of the others is concerned.
        assert answer.headers["Location"].startswith(f"{APP}/.oidcgate/logged-out")
        assert changed.audit[-1]["issuer"] == ISSUER
        assert reason_at(two(), cookies) in (AbsentReason.REVOKED, AbsentReason.UNKNOWN)

    def test_those_of_break_glass_are_none_without_it(self) -> None:
        at = Scene.set()
        cookie = cookie_of(at.parts.sessions.create(record(iss=issuer_of(APP)), NOW))
        assert reason_at(at, cookie) is AbsentReason.NO_PROVIDER


def cookies_of(browser: Browser) -> str:
    return "; ".join(f"{name}={value}" for name, value in browser.cookies().items())


def reason_at(at: Scene, cookies: str) -> AbsentReason:
    session = at.parts.sessions.load(cookies, int(at.clock()))
    assert isinstance(session, Absent)
    return session.reason
