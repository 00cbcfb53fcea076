"""Our provider signs in a client nobody here wrote: the certified npm package `openid-client`."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from provider.services.passwords import Passwords
from tests.live import peers
from tests.support.servers import free_port, gunicorn
from tests.support.user_agent import UserAgent

pytestmark = [pytest.mark.live, pytest.mark.slow]

SECRET = "a-client-secret-for-the-foreign-client-of-43-characters"
REDIRECT = "https://client.example/callback"
LOGGED_OUT = "https://client.example/bye"


@dataclass(frozen=True)
class Running:
    """The provider's issuer and where the peers are."""

    issuer: str
    folder: Path


@pytest.fixture(scope="module")
def provider_process(tmp_path_factory: pytest.TempPathFactory, peer_folder: Path) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("provider")
    port = free_port()
    issuer = f"http://localhost:{port}"
    secret = folder / "secret"
    secret.touch(mode=0o600)
    secret.write_text("n0-real-secret-but-long-enough-for-the-provider-0123456789\n")
    clients = "".join(
        f"""
[[clients]]
client_id = "{method}"
name = "A foreign client"
auth_method = "{method}"
{"" if method == "none" else f'client_secret = "{SECRET}"'}
redirect_uris = ["{REDIRECT}"]
post_logout_redirect_uris = ["{LOGGED_OUT}"]
flows = ["authorization_code", "refresh_token"]
trusted = true
"""
        for method in ("client_secret_basic", "client_secret_post", "none")
    )
    config = folder / "provider.toml"
    config.write_text(
        f"""
issuer = "{issuer}"
insecure_allow_http_loopback = true
database = "sqlite:///{folder / "provider.db"}"
secret_file = "{secret}"
{clients}
[[users]]
user_name = "alice"
name = "Alice Example"
email = "alice@id.example"
password_hash = "{Passwords().hash("demo-alice")}"
"""
    )
    env = {"PROVIDER_CONFIG": str(config)}
    with gunicorn(
        "tests.live.sites.provider_site:application", port=port, log=folder / "provider.log", env=env
    ):
        yield Running(issuer, peer_folder)


def answer_of(agent: UserAgent, url: str) -> str:
    """Sign in at ``url``; the address that the provider then sends the browser to, not opened."""
    page = agent.open(url)
    form = page.form_with("login")
    response = agent.session.post(
        f"{page.url.split('/login')[0]}/login" if not form.action.startswith("http") else form.action,
        data={**form.fields, "username": "alice", "password": "demo-alice"},
        headers={"Origin": "/".join(page.url.split("/")[:3]), "Sec-Fetch-Site": "same-origin"},
        allow_redirects=False,
        timeout=30,
    )
    while not response.headers["Location"].startswith("https://client.example/"):
        response = agent.step(response.headers["Location"])
    return response.headers["Location"]


@pytest.mark.row("E-01", "E-05", "E-08", "S-01", "S-02", "S-03", "S-13", "S-16", "S-17", "F-14")
@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", "none"])
def test_code_flow_userinfo_and_refresh(provider_process: Running, method: str) -> None:
    settings = {
        "issuer": provider_process.issuer,
        "client_id": method,
        "client_secret": SECRET,
        "method": method,
        "redirect_uri": REDIRECT,
        "scope": "openid profile email offline_access",
    }
    with peers.foreign_client(provider_process.folder, settings) as client:
        started = client.ask("start")
        assert "url" in started, started
        finished = client.ask("callback", url=answer_of(UserAgent(), started["url"]))
        assert finished.get("has_refresh_token"), finished
        assert finished["claims"]["preferred_username"] == "alice"

        told = client.ask("userinfo")
        assert told["claims"]["sub"] == finished["claims"]["sub"]
        assert told["claims"]["email"] == "alice@id.example"
        assert client.ask("refresh") == {"rotated": True, "access_token": True}
        assert client.ask("refresh") == {"rotated": True, "access_token": True}


@pytest.mark.row("E-25")
def test_form_post_answers_are_taken(provider_process: Running) -> None:
    settings = {
        "issuer": provider_process.issuer,
        "client_id": "client_secret_basic",
        "client_secret": SECRET,
        "method": "client_secret_basic",
        "redirect_uri": REDIRECT,
        "scope": "openid profile",
    }
    with peers.foreign_client(provider_process.folder, settings) as client:
        started = client.ask("start", parameters={"response_mode": "form_post"})
        agent = UserAgent()
        page = agent.press(
            agent.open(started["url"]), "login", {"username": "alice", "password": "demo-alice"}
        )
        [form] = page.forms
        assert form.action == REDIRECT
        assert form.method == "post"

        finished = client.ask("callback", url=REDIRECT, body=urlencode(form.fields))

        assert finished["claims"]["preferred_username"] == "alice"


@pytest.mark.row("S-19")
def test_end_session_returns_to_the_client_with_its_state(provider_process: Running) -> None:
    settings = {
        "issuer": provider_process.issuer,
        "client_id": "client_secret_basic",
        "client_secret": SECRET,
        "method": "client_secret_basic",
        "redirect_uri": REDIRECT,
        "scope": "openid",
    }
    with peers.foreign_client(provider_process.folder, settings) as client:
        agent = UserAgent()
        client.ask("callback", url=answer_of(agent, client.ask("start")["url"]))

        out = client.ask("logout", parameters={"post_logout_redirect_uri": LOGGED_OUT, "state": "s p+a%c"})
        response = agent.step(out["url"])

        assert response.headers["Location"].startswith(LOGGED_OUT + "?")
        assert parse_qs(urlsplit(response.headers["Location"]).query) == {"state": ["s p+a%c"]}
        silent = client.ask("start", parameters={"prompt": "none"})
        refused = client.ask("callback", url=agent.step(silent["url"]).headers["Location"])
        assert refused["error"] == "login_required", refused
