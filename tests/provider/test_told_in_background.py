"""The thread that tells clients of sign-outs: begun by the first answer of a process, and ended with it."""

import threading
from pathlib import Path
from typing import Any

import pytest

from oidcgate.audit import Audit
from oidcgate.net.fetch import AddressRules, Fetcher
from oidcgate.net.wsgi import WSGIAdapter
from oidcgate.settings import parse
from provider.app import Provider
from provider.config import ProviderSettings
from provider.store import participants, sessions
from provider.store.sessions import BrowserSession
from tests.provider.world import ALICE, APP_SECRET, REDIRECT_URI, config

APP = {
    "client_id": "app",
    "client_secret": APP_SECRET,
    "redirect_uris": [REDIRECT_URI],
    "backchannel_logout_uri": "https://app.example/out",
}


def running() -> bool:
    return any(thread.name == "provider-background" for thread in threading.enumerate())


def test_a_client_is_told_without_anybody_waiting_for_it(database: Path) -> None:
    heard = threading.Event()

    def app(_environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("204 X", [])
        heard.set()
        return []

    settings = parse(ProviderSettings, config(database, clients=[APP]))
    fetcher = Fetcher(AddressRules(), adapter=WSGIAdapter(app))
    audit = Audit([].append)
    provider = Provider.from_settings(settings, audit=audit, fetcher=fetcher, background=True)
    parts = provider.parts
    now = int(parts.clock())
    with parts.store.begin() as conn:
        sessions.add(conn, "default", BrowserSession("h", "sid", ALICE, now, "", (), now, now, now + 3600))
        participants.take_part(conn, "default", "sid", "app", now + 3600)
        sessions.end_of_user(conn, "default", ALICE, now)
    assert not running()

    list(provider({"REQUEST_METHOD": "GET", "PATH_INFO": "/healthz"}, lambda *_: lambda _: None))

    assert running()
    assert heard.wait(30)
    provider.end_background()
    assert not running()
    parts.store.dispose()


def test_an_answer_does_not_depend_on_it(
    database: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings = parse(ProviderSettings, config(database, clients=[APP]))
    provider = Provider.from_settings(settings, audit=Audit([].append), background=True)

    def no_thread(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", no_thread)
    answered: list[str] = []
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/healthz"}
    list(provider(environ, lambda status, _: answered.append(status)))  # type: ignore[arg-type,func-returns-value]
    assert answered == ["200 OK"]
    assert "can't start new thread" in caplog.text
    provider.parts.store.dispose()


def test_without_it_nobody_is_told(database: Path) -> None:
    settings = parse(ProviderSettings, config(database, clients=[APP]))
    provider = Provider.from_settings(settings, audit=Audit([].append))
    provider.begin_background()
    assert not running()
    provider.end_background()
    provider.parts.store.dispose()
