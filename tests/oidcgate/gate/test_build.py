"""From settings to parts: what is told at start, what is asked, and which parts the settings choose."""

import logging
from pathlib import Path
from typing import Any

import pytest
import requests
from werkzeug.test import Client

from oidcgate import Gate
from oidcgate.gate.build import build
from oidcgate.gate.config import config_from_mapping
from oidcgate.gate.sessions import SealedSessions
from oidcgate.gate.stored_sessions import StoredSessions
from oidcgate.storage.memcached import MemcachedCache
from oidcgate.storage.memory import MemoryStore
from oidcgate.storage.sql import SqlStore
from tests.support.lying_provider import (
    APP,
    CLIENT_ID,
    CLIENT_SECRET,
    ISSUER,
    NAVIGATION,
    SECRET,
    Clock,
    LyingProvider,
    Scene,
)


def data(**tables: Any) -> dict[str, Any]:
    return {
        "public_url": APP,
        "provider": {"issuer": ISSUER, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET},
        "users": {"source": "any"},
        "session": {"secret": SECRET},
        "state": {"store": "memory"},
        **tables,
    }


@pytest.mark.row("A-05")
def test_the_urls_to_register_are_logged_at_start(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="oidcgate"):
        build(config_from_mapping(data()))
    assert f"redirect URI to register at {ISSUER}: {APP}/.oidcgate/callback" in caplog.text
    assert (
        f"back-channel logout URI to register at {ISSUER}: {APP}/.oidcgate/backchannel-logout" in caplog.text
    )
    assert SECRET not in caplog.text
    assert CLIENT_SECRET not in caplog.text


@pytest.mark.row("A-05")
def test_the_callback_does_not_follow_the_host_header() -> None:
    scene = Scene.set()
    client = Client(scene.gate)
    headers = {**NAVIGATION, "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http"}
    first = client.get("/x", base_url="http://evil.example", headers=headers)
    assert first.headers["Location"].startswith(f"{APP}/.oidcgate/login?")
    second = client.get("/.oidcgate/login?rd=/x&fragment=", base_url="http://evil.example", headers=headers)
    assert "redirect_uri=https%3A%2F%2Fapp.example.com%2F.oidcgate%2Fcallback" in second.headers["Location"]


@pytest.mark.row("F-10")
def test_users_that_compare_equal_are_reported_at_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    users = tmp_path / "users.toml"
    users.write_text('[[users]]\nuserName = "Alice"\n[[users]]\nuserName = "ALICE"\n')
    with caplog.at_level(logging.WARNING, logger="oidcgate"):
        build(config_from_mapping(data(users={"source": f"file:{users}"})))
    assert caplog.text.count("'ALICE' is the same name") == 1


def test_what_the_settings_choose(tmp_path: Path) -> None:
    memory = build(config_from_mapping(data(session={"secret": SECRET, "store": "memory"})))
    assert isinstance(memory.sessions, StoredSessions)
    assert isinstance(memory.state, MemoryStore)
    durable = build(config_from_mapping(data(state={"store": f"sqlite:///{tmp_path}/state.db"})))
    assert isinstance(durable.sessions, SealedSessions)
    assert isinstance(durable.state, SqlStore)
    shared = build(
        config_from_mapping(
            data(
                session={"secret": SECRET, "store": "memcached://h1,/run/m.sock"},
                state={"store": f"sqlite:///{tmp_path}/state.db"},
            )
        )
    )
    assert isinstance(shared.sessions, StoredSessions)
    assert isinstance(shared.sessions._store, MemcachedCache)
    # Opened by the first request of a worker, not by the process that forks them.
    assert list(tmp_path.iterdir()) == []


@pytest.mark.row("T-03")
def test_times_come_from_the_settings() -> None:
    limits = build(config_from_mapping(data())).sessions.limits
    assert (limits.idle_seconds, limits.absolute_seconds) == (480 * 60, 720 * 60)


def test_two_gates_never_open_each_others_cookies() -> None:
    provider = LyingProvider(Clock())
    one = Scene.set({}, provider)
    other = Scene.set({"public_url": "https://other.example.com"}, provider)
    assert one.parts.names.session != other.parts.names.session
    browser = one.browser()
    browser.sign_in()
    stolen = browser.cookies()[one.parts.names.session]
    assert other.parts.sessions.load(f"{other.parts.names.session}={stolen}", int(one.clock())) is not None
    client = Client(other.gate)
    client.set_cookie(other.parts.names.session, stolen, domain="other.example.com", secure=True)
    answer = client.get("/private", base_url="https://other.example.com", headers=NAVIGATION)
    assert answer.status_code == 302


@pytest.mark.row("T-06")
def test_a_provider_of_this_process_is_called_without_a_socket() -> None:
    provider = LyingProvider(Clock())
    calls: list[str] = []

    def provider_app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        calls.append(environ["PATH_INFO"])
        url = ISSUER + environ["PATH_INFO"]
        answer = provider.adapter.send(requests.Request("GET", url).prepare())
        start_response("200 OK", [("Content-Type", "application/json")])
        return [answer.content]

    parts = build(config_from_mapping(data()), provider_app=provider_app)
    client = Client(Gate.from_parts(lambda environ, start_response: [], parts))
    assert client.get("/.oidcgate/login?rd=/&fragment=", base_url=APP, headers=NAVIGATION).status_code == 303
    assert calls == ["/.well-known/openid-configuration"]


@pytest.mark.row("P-09")
@pytest.mark.parametrize("host", ["169.254.169.254", "10.0.0.1", "[::1]", "127.0.0.1"])
def test_a_discovery_document_cannot_send_us_into_the_house(host: str) -> None:
    # Over real sockets, so the address rules of the real transport are asked.
    parts = build(config_from_mapping(data()))
    fetcher = parts.relying_parties[ISSUER].userinfo.fetcher
    from oidcgate.net.fetch import FetchError, FetchFailure

    with pytest.raises(FetchError) as caught:
        fetcher.get_json(f"https://{host}/jwks")
    assert caught.value.reason is FetchFailure.REFUSED_ADDRESS


class TestSpeakingUp:
    """Audit lines are seen even where nobody configured logging."""

    def quiet(self, monkeypatch: pytest.MonkeyPatch) -> logging.Logger:
        top = logging.getLogger("oidcgate")
        monkeypatch.setattr(top, "handlers", [])
        monkeypatch.setattr(top, "level", logging.NOTSET)
        monkeypatch.setattr(logging.getLogger(), "handlers", [])
        return top

    def test_nobody_configured_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        quiet = self.quiet(monkeypatch)
        build(config_from_mapping(data()))
        assert len(quiet.handlers) == 1
        assert quiet.level == logging.INFO
        build(config_from_mapping(data()))
        assert len(quiet.handlers) == 1

    def test_somebody_did(self, monkeypatch: pytest.MonkeyPatch) -> None:
        quiet = self.quiet(monkeypatch)
        logging.getLogger().addHandler(logging.NullHandler())
        build(config_from_mapping(data()))
        assert quiet.handlers == []
