"""Both sites as processes: gunicorn with TLS, configured by files as an operator would write them."""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from provider.services.passwords import Passwords
from tests.live import peers
from tests.live.sites.names import SITES
from tests.support.nginx import tls_in_front
from tests.support.servers import ROOT, Server, free_port, gunicorn, running
from tests.support.tls import Authority

USERS = ROOT / "examples" / "directory" / "users.toml"
SECRET = "a-client-secret-of-two-sites-43-characters-or-more"


@dataclass(frozen=True)
class Sites:
    """The running deployment."""

    app_url: str
    issuer: str
    app: Server
    provider: Server


@contextmanager
def two_sites(folder: Path, authority: Authority, *, response_mode: str = "query") -> Iterator[Sites]:
    """Run `app.test` and `id.example` until the block ends."""
    app_port, provider_port = free_port(), free_port()
    app_url, issuer = f"https://app.test:{app_port}", f"https://id.example:{provider_port}"
    client = f"""
[[clients]]
client_id = "directory"
name = "The directory"
client_secret = "{SECRET}"
redirect_uris = ["{app_url}/.oidcgate/callback"]
post_logout_redirect_uris = ["{app_url}/.oidcgate/logged-out"]
"""
    provider_config = _write_provider_config(folder, issuer, client)
    gate_config = _write_gate_config(folder, issuer, app_url, authority, response_mode)
    with (
        _provider(folder, provider_port, provider_config, authority) as provider,
        gunicorn(
            "tests.live.sites.app_site:application",
            port=app_port,
            log=folder / "app.log",
            env={"GATE_CONFIG": str(gate_config), "DIRECTORY_USERS": str(USERS)},
            certificate=authority.issue("app.test"),
        ) as app,
    ):
        yield Sites(app_url, issuer, app, provider)


@contextmanager
def chosen_sites(folder: Path, authority: Authority) -> Iterator[Sites]:
    """Run an app with forms at `app.test`, whose people come from either of two realms at `id.example`."""
    app_port, provider_port = free_port(), free_port()
    app_url, issuer = f"https://app.test:{app_port}", f"https://id.example:{provider_port}"

    def client(table: str) -> str:
        return f"""
[[{table}]]
client_id = "directory"
client_secret = "{SECRET}"
trusted = true
redirect_uris = ["{app_url}/.oidcgate/callback"]
post_logout_redirect_uris = ["{app_url}/.oidcgate/logged-out"]
"""

    realm = f"""
[[realms]]
name = "partners"
{client("realms.clients")}
[[realms.users]]
user_name = "bob"
password_hash = "{Passwords().hash("demo-bob")}"
"""
    provider_config = _write_provider_config(folder, issuer, client("clients"), realm)
    gate_config = _write_gate_config(folder, issuer, app_url, authority, "query")
    partner = f"""
[[providers]]
name = "Partners"
issuer = "{issuer}/r/partners"
client_id = "directory"
client_secret_file = "{folder / "client-secret"}"
ca_file = "{authority.certificate}"
"""
    gate_config.write_text(gate_config.read_text().replace("[provider]", "[[providers]]") + partner)
    with (
        _provider(folder, provider_port, provider_config, authority) as provider,
        gunicorn(
            "tests.live.sites.form_site:application",
            port=app_port,
            log=folder / "app.log",
            env={"GATE_CONFIG": str(gate_config)},
            certificate=authority.issue("app.test"),
        ) as app,
    ):
        yield Sites(app_url, issuer, app, provider)


@contextmanager
def told_sites(folder: Path, authority: Authority, channel: str) -> Iterator[Sites]:
    """Run an app with two workers at `app.test`, which the provider at `id.example` tells of sign-outs.

    Args:
        channel: "back" or "front".
    """
    app_port, provider_port = free_port(), free_port()
    app_url, issuer = f"https://app.test:{app_port}", f"https://id.example:{provider_port}"
    uri = f'{channel}channel_logout_uri = "{app_url}/.oidcgate/{channel}channel-logout"'
    if channel == "front":
        uri += "\nfrontchannel_logout_session_required = true"
    client = f"""
[[clients]]
client_id = "directory"
client_secret = "{SECRET}"
trusted = true
redirect_uris = ["{app_url}/.oidcgate/callback"]
post_logout_redirect_uris = ["{app_url}/.oidcgate/logged-out"]
{uri}
[outbound]
allow_networks = ["127.0.0.0/8"]
ca_file = "{authority.certificate}"
"""
    provider_config = _write_provider_config(folder, issuer, client)
    gate_config = _write_gate_config(folder, issuer, app_url, authority, "query")
    with (
        _provider(folder, provider_port, provider_config, authority) as provider,
        gunicorn(
            "tests.live.sites.worker_site:application",
            port=app_port,
            log=folder / "app.log",
            env={"GATE_CONFIG": str(gate_config)},
            certificate=authority.issue("app.test"),
            workers=2,
        ) as app,
    ):
        yield Sites(app_url, issuer, app, provider)


@contextmanager
def watching_sites(folder: Path, authority: Authority) -> Iterator[Sites]:
    """Run an app at `app.test` whose pages hold the gate's frame, and the provider at `id.example`."""
    app_port, provider_port = free_port(), free_port()
    app_url, issuer = f"https://app.test:{app_port}", f"https://id.example:{provider_port}"
    client = f"""
[[clients]]
client_id = "directory"
client_secret = "{SECRET}"
trusted = true
session_management = true
redirect_uris = ["{app_url}/.oidcgate/callback"]
post_logout_redirect_uris = ["{app_url}/.oidcgate/logged-out"]
"""
    provider_config = _write_provider_config(folder, issuer, client, people=("alice", "bob"))
    gate_config = _write_gate_config(folder, issuer, app_url, authority, "query", "session_check_seconds = 1")
    with (
        _provider(folder, provider_port, provider_config, authority) as provider,
        gunicorn(
            "tests.live.sites.watching_site:application",
            port=app_port,
            log=folder / "app.log",
            env={"GATE_CONFIG": str(gate_config)},
            certificate=authority.issue("app.test"),
        ) as app,
    ):
        yield Sites(app_url, issuer, app, provider)


@contextmanager
def spa_sites(folder: Path, authority: Authority, library: Path) -> Iterator[Sites]:
    """Run a single-page application at `app.test`, and the provider at `id.example`, until the block ends.

    Args:
        library: The script of `oidc-client-ts`.
    """
    app_port, provider_port = free_port(), free_port()
    app_url, issuer = f"https://app.test:{app_port}", f"https://id.example:{provider_port}"
    client = f"""
[[clients]]
client_id = "spa"
auth_method = "none"
trusted = true
session_management = true
redirect_uris = ["{app_url}/callback", "{app_url}/silent"]
post_logout_redirect_uris = ["{app_url}/"]
frontchannel_logout_uri = "{app_url}/out"
frontchannel_logout_session_required = true
"""
    provider_config = _write_provider_config(folder, issuer, client)
    with (
        _provider(folder, provider_port, provider_config, authority) as provider,
        gunicorn(
            "tests.live.sites.spa_site:application",
            port=app_port,
            log=folder / "app.log",
            env={"ISSUER": issuer, "LIBRARY": str(library)},
            certificate=authority.issue("app.test", "other.test"),
        ) as app,
    ):
        yield Sites(app_url, issuer, app, provider)


@dataclass(frozen=True)
class WalkedSites(Sites):
    """The same with a provider that nobody here wrote beside ours."""

    foreign_issuer: str


@contextmanager
def walked_sites(folder: Path, authority: Authority, peer_folder: Path) -> Iterator[WalkedSites]:
    """Run the sidecar with two workers at `app.test`, which two providers tell of sign-outs.

    Ours at `id.example` has alice ("Example"), npm's `oidc-provider` at `foreign.example` has
    bob ("Foreign").
    """
    app_port, behind, upstream, provider_port, foreign_port = (free_port() for _ in range(5))
    app_url, issuer = f"https://app.test:{app_port}", f"https://id.example:{provider_port}"
    foreign_issuer = f"https://foreign.example:{foreign_port}"
    gate = f"{app_url}/.oidcgate"
    client = f"""
[[clients]]
client_id = "directory"
client_secret = "{SECRET}"
trusted = true
redirect_uris = ["{gate}/callback"]
post_logout_redirect_uris = ["{gate}/logged-out"]
backchannel_logout_uri = "{gate}/backchannel-logout"
[outbound]
allow_networks = ["127.0.0.0/8"]
ca_file = "{authority.certificate}"
[second_factor]
mode = "acr"
enrol_at_sign_in = true
"""
    provider_config = _write_provider_config(folder, issuer, client)
    gate_config = _write_gate_config(folder, issuer, app_url, authority, "query")
    more = f"""
[[providers]]
name = "Foreign"
issuer = "{foreign_issuer}"
client_id = "directory"
client_secret_file = "{folder / "client-secret"}"
ca_file = "{authority.certificate}"
[[rules]]
path = "/payments"
allow = "known"
acr_values = ["mfa"]
[[forward.headers]]
name = "X-Auth-Time"
attribute = "auth_time"
[[forward.headers]]
name = "X-Acr"
attribute = "acr"
[proxy]
upstream = "http://127.0.0.1:{upstream}"
[serve]
bind = "127.0.0.1:{behind}"
workers = 2
graceful_seconds = 2
"""
    gate_config.write_text(gate_config.read_text().replace("[provider]", "[[providers]]") + more)
    path = os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH", "")) if part)
    with (
        _provider(folder, provider_port, provider_config, authority) as provider,
        _foreign_provider(folder, foreign_port, foreign_issuer, gate, authority, peer_folder),
        gunicorn(
            "tests.live.sites.told_site:application", port=upstream, log=folder / "upstream.log", env={}
        ),
        running(
            [sys.executable, "-m", "tests.live.sites.sidecar_site", "serve", "--config", gate_config],
            port=behind,
            log=folder / "app.log",
            cwd=folder,
            env={"PYTHONPATH": path, "TMPDIR": str(folder)},
        ) as app,
        tls_in_front(folder, app_port, behind, authority.issue("app.test")),
    ):
        yield WalkedSites(app_url, issuer, app, provider, foreign_issuer)


def _foreign_provider(
    folder: Path, port: int, issuer: str, gate: str, authority: Authority, peer_folder: Path
) -> AbstractContextManager[Server]:
    certificate = authority.issue("foreign.example")
    claims = {"preferred_username": "bob", "name": "Bob Example"}
    client = {
        "client_id": "directory",
        "client_secret": SECRET,
        "redirect_uris": [f"{gate}/callback"],
        "post_logout_redirect_uris": [f"{gate}/logged-out"],
        "backchannel_logout_uri": f"{gate}/backchannel-logout",
        "backchannel_logout_session_required": True,
        "require_auth_time": True,
    }
    settings = {
        "port": port,
        "issuer": issuer,
        "acr": "urn:example:password",
        "user": {"name": "bob", "password": "demo-bob", "claims": claims},
        "clients": [client],
        "certificate": str(certificate.certificate),
        "key": str(certificate.key),
    }
    return running(
        [peers.NODE, "--import", "./names.mjs", "certified_provider.mjs", json.dumps(settings)],
        port=port,
        log=folder / "foreign.log",
        cwd=peer_folder,
        env={"NODE_EXTRA_CA_CERTS": str(authority.certificate), "PEER_NAMES": " ".join(SITES)},
    )


def _provider(folder: Path, port: int, config: Path, authority: Authority) -> AbstractContextManager[Server]:
    return gunicorn(
        "tests.live.sites.provider_site:application",
        port=port,
        log=folder / "provider.log",
        env={"PROVIDER_CONFIG": str(config)},
        certificate=authority.issue("id.example"),
    )


def _secret_file(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text)
    return path


def _write_provider_config(
    folder: Path,
    issuer: str,
    client: str,
    realm: str = "",
    *,
    people: Sequence[str] = ("alice", "mallory"),
) -> Path:
    _secret_file(folder / "provider-secret", "n0-real-secret-but-long-enough-for-the-provider-0123456789\n")
    users = "".join(
        f'[[users]]\nuser_name = "{name}"\npassword_hash = "{Passwords().hash("demo-" + name)}"\n'
        f'name = "{name.title()} Example"\nemail = "{name}@id.example"\n'
        for name in people
    )
    path = folder / "provider.toml"
    path.write_text(
        f"""
issuer = "{issuer}"
database = "sqlite:///{folder / "provider.db"}"
secret_file = "{folder / "provider-secret"}"
{client}
{users}
{realm}
"""
    )
    return path


def _write_gate_config(
    folder: Path, issuer: str, app_url: str, authority: Authority, response_mode: str, more: str = ""
) -> Path:
    _secret_file(folder / "gate-secret", "bm8tcmVhbC1zZWNyZXQtYnV0LWxvbmctZW5vdWdoLTAxMjM0NTY3ODk\n")
    _secret_file(folder / "client-secret", SECRET)
    path = folder / "oidcgate.toml"
    path.write_text(
        f"""
public_url = "{app_url}"
[provider]
name = "Example"
issuer = "{issuer}"
client_id = "directory"
client_secret_file = "{folder / "client-secret"}"
response_mode = "{response_mode}"
ca_file = "{authority.certificate}"
{more}
[users]
source = "file:{USERS}"
[session]
secret_file = "{folder / "gate-secret"}"
[state]
store = "sqlite:///{folder / "state.db"}"
"""
    )
    return path
