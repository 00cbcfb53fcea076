"""Provider, gate and app in one WSGI callable."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from wsgiref.validate import validator

import pytest
import requests

from examples.stack import create_app
from oidcgate.net.wsgi import WSGIAdapter
from tests.support.servers import ROOT, free_port, running
from tests.support.user_agent import UserAgent

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

URL = "http://localhost:8000"


@pytest.fixture
def stack(tmp_path: Path) -> "WSGIApplication":
    return create_app(tmp_path / "data", URL)


@pytest.fixture
def browser(stack: "WSGIApplication") -> UserAgent:
    return UserAgent({URL: WSGIAdapter(validator(stack))})


@pytest.mark.row("T-06", "T-04", "F-07")
def test_a_person_signs_in_and_is_greeted_as_the_directory_names_them(browser: UserAgent) -> None:
    page = browser.open(f"{URL}/people?q=bob")
    assert (page.main_id, page.url.partition("?")[0]) == ("page-login", f"{URL}/idp/login")
    page = browser.sign_in(page, "alice", "demo-alice")
    assert (page.status, page.url) == (200, f"{URL}/people?q=bob")
    me = browser.session.get(f"{URL}/me").json()
    assert me["userName"] == "Alice"
    # What the directory alone holds.
    assert "Linden House, room 3.14" in browser.open(f"{URL}/").text


@pytest.mark.row("T-06", "F-08")
def test_who_is_not_in_the_directory_gets_no_further(browser: UserAgent) -> None:
    page = browser.sign_in(browser.open(f"{URL}/"), "mallory", "demo-mallory")
    assert (page.status, page.main_id) == (403, "page-unknown-user")
    assert browser.session.get(f"{URL}/me", headers={"Sec-Fetch-Mode": "cors"}).status_code == 401


@pytest.mark.row("T-06")
def test_the_provider_is_not_behind_the_gate(browser: UserAgent) -> None:
    for path in ("/idp/.well-known/openid-configuration", "/.well-known/oauth-authorization-server/idp"):
        assert browser.session.get(URL + path).json()["issuer"] == f"{URL}/idp", path


def test_secrets_are_kept_from_one_start_to_the_next(tmp_path: Path) -> None:
    session = _signed_in(create_app(tmp_path / "data", URL))
    session.mount(URL, WSGIAdapter(create_app(tmp_path / "data", URL)))
    assert session.get(f"{URL}/me").json()["userName"] == "Alice"
    private = [tmp_path / "data", *(tmp_path / "data").glob("*secret*"), *(tmp_path / "data").glob("*.toml")]
    assert len(private) == 6
    assert {path.stat().st_mode & 0o077 for path in private} == {0}


def _signed_in(stack: "WSGIApplication") -> requests.Session:
    browser = UserAgent({URL: WSGIAdapter(stack)})
    browser.sign_in(browser.open(f"{URL}/"), "alice", "demo-alice")
    return browser.session


@pytest.fixture
def one_worker(tmp_path: Path) -> Iterator[str]:
    port = free_port()
    url = f"http://localhost:{port}"
    application = f"examples.stack:create_app({str(tmp_path / 'data')!r}, {url!r})"
    command = [
        sys.executable, "-m", "gunicorn", application, "--bind", f"127.0.0.1:{port}", "--no-control-socket",
        "--worker-class", "sync", "--workers", "1", "--timeout", "20",
    ]  # fmt: skip
    env = {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)}
    with running(command, port=port, log=tmp_path / "log", cwd=tmp_path, env=env):
        yield url


@pytest.mark.live
@pytest.mark.row("T-06")
def test_one_sync_worker_does_not_wait_for_itself(one_worker: str) -> None:
    browser = UserAgent()
    page = browser.sign_in(browser.open(f"{one_worker}/"), "alice", "demo-alice")
    assert page.status == 200
    assert 'id="user-name">Alice<' in page.text
