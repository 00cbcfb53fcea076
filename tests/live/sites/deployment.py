"""Both sites as processes: gunicorn with TLS, configured by files as an operator would write them."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from provider.services.passwords import Passwords
from tests.support.servers import ROOT, Server, free_port, gunicorn
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
