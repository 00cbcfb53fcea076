"""The two providers, each in one process, and one client and one signed-in browser at each."""

import base64
import json
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import requests

from benchmarks.provider.load import Contender
from oidcgate.web.sealing import new_secret
from provider.services.passwords import Passwords
from tests.live import peers
from tests.support.servers import ROOT, free_port, running
from tests.support.user_agent import UserAgent

CLIENT_ID = "app"
USER = "alice"
#: Audience of an API -> how its access tokens are signed.
APIS: Mapping[str, str] = {"https://rsa.example": "RS256", "https://ec.example": "ES256"}
_THREADS = 8


@dataclass(frozen=True)
class Provider:
    """One provider that is up.

    Attributes:
        authorize, token: the paths of its endpoints.
        cookie: the Cookie header of a browser in which somebody has signed in.
    """

    name: str
    issuer: str
    group: int
    authorize: str
    token: str
    secret: str
    redirect_uri: str
    cookie: str = ""

    @property
    def authorization(self) -> str:
        """The client's Authorization header."""
        return "Basic " + base64.b64encode(f"{CLIENT_ID}:{self.secret}".encode()).decode()

    @property
    def asking(self) -> str:
        """What asks for a code, path and query."""
        query = {
            "client_id": CLIENT_ID,
            "redirect_uri": self.redirect_uri,
            "response_type": "code",
            "scope": "openid profile email",
            "nonce": "n-0S6_WzA2Mj",
        }
        return f"{self.authorize}?{urlencode(query)}"

    def own_tokens(self, audience: str) -> Contender:
        """The client asks for a token for itself, for that API."""
        form = urlencode({"grant_type": "client_credentials", "resource": audience, "scope": "read"})
        return Contender(
            f"{self.name}, {APIS[audience]}", self.issuer, self.group, self.token, self.authorization, form
        )

    def code_flows(self) -> Contender:
        """A browser with a session asks for a code, and the client redeems it."""
        form = urlencode({"grant_type": "authorization_code", "redirect_uri": self.redirect_uri}) + "&code="
        return Contender(
            f"{self.name}, code flow", self.issuer, self.group, self.token, self.authorization, form,
            self.asking, self.cookie,
        )  # fmt: skip


@contextmanager
def ours(folder: Path) -> Iterator[Provider]:
    """Ours, as its manual says: `serve`, one worker, everything kept in a SQLite file."""
    port, password, secret = free_port(), secrets.token_urlsafe(16), secrets.token_urlsafe(32)
    issuer = f"http://127.0.0.1:{port}"
    redirect_uri = f"{issuer}/healthz"
    file = folder / "provider.toml"
    file.write_text(
        f"""
issuer = {json.dumps(issuer)}
database = {json.dumps(f"sqlite:///{folder}/provider.db")}
secret = {json.dumps(new_secret())}
insecure_allow_http_loopback = true
further_signing_algorithms = ["ES256"]
[[scopes]]
value = "read"
[[clients]]
client_id = {json.dumps(CLIENT_ID)}
client_secret = {json.dumps(secret)}
redirect_uris = [{json.dumps(redirect_uri)}]
flows = ["authorization_code", "client_credentials"]
scopes = ["*"]
trusted = true
[[users]]
user_name = {json.dumps(USER)}
name = {json.dumps(USER)}
email = "{USER}@example.com"
password_hash = {json.dumps(Passwords().hash(password))}
"""
        + "".join(
            f"[[resources]]\naudience = {json.dumps(audience)}\nscopes = ['read']\n"
            f"signing_algorithm = {json.dumps(algorithm)}\n"
            for audience, algorithm in APIS.items()
        )
    )
    command: list[str | Path] = [
        sys.executable, "-m", "provider", "--config", file, "serve", "--port", str(port), "--workers", "1",
        "--threads", str(_THREADS),
    ]  # fmt: skip
    with running(command, port=port, log=folder / "ours.log", cwd=ROOT) as server:
        here = Provider("ours", issuer, server.process.pid, "/authorize", "/token", secret, redirect_uri)
        yield _with_session(here, UserAgent(), password)


@contextmanager
def peer(folder: Path) -> Iterator[Provider]:
    """npm's `oidc-provider`, one process, everything kept in memory."""
    port, secret = free_port(), secrets.token_urlsafe(32)
    issuer = f"http://127.0.0.1:{port}"
    redirect_uri = f"{issuer}/after"
    home = peers.install(ROOT / "build" / "peers")
    shutil.copy(Path(__file__).with_name("peer.mjs"), home / "benchmark_peer.mjs")
    client = {
        "client_id": CLIENT_ID,
        "client_secret": secret,
        "redirect_uris": [redirect_uri],
        "grant_types": ["authorization_code", "client_credentials"],
    }
    settings = {"port": port, "issuer": issuer, "clients": [client], "apis": APIS, "user": USER}
    command: list[str | Path] = [peers.NODE, "benchmark_peer.mjs", json.dumps(settings)]
    with running(command, port=port, log=folder / "peer.log", cwd=home) as server:
        here = Provider("oidc-provider", issuer, server.process.pid, "/auth", "/token", secret, redirect_uri)
        yield _with_session(here, UserAgent(), None)


def peer_versions(source: Path) -> dict[str, str]:
    """Of the peer, by its lock file, and of what it runs on."""
    lock = json.loads((source / "package-lock.json").read_text())
    node = subprocess.run([peers.NODE, "--version"], capture_output=True, text=True, check=True).stdout  # noqa: S603 (our own command)
    return {
        "oidc-provider": lock["packages"]["node_modules/oidc-provider"]["version"],
        "node": node.strip().removeprefix("v"),
    }


def _with_session(provider: Provider, agent: UserAgent, password: str | None) -> Provider:
    """The same with the cookies of a browser in which somebody signed in, by the pages a person sees."""
    page = agent.open(provider.issuer + provider.asking)
    if password is not None:
        page = agent.sign_in(page, USER, password)
    if not page.url.startswith(provider.redirect_uri):
        raise RuntimeError(f"signing in at {provider.name} ended on {page.url}:\n{page.text[:2000]}")
    asked = agent.session.prepare_request(requests.Request("GET", provider.issuer + provider.asking))
    return Provider(**{**vars(provider), "cookie": str(asked.headers["Cookie"])})
