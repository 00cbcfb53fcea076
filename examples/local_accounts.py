"""What a sign-in on this machine needs: three people at a provider, and the gates that are its clients.

Used by the demo and by `stack.py`. Each side gets a configuration file like any other, with secrets made on
the spot. Real deployments have their own: `oidcgate init` and `oidcgate-provider init` write those.
"""

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from oidcgate.web.sealing import new_secret
from provider.services.passwords import Passwords

CLIENT_ID = "directory"
DESK_CLIENT_ID = "tool-desk"


@dataclass(frozen=True)
class Account:
    """Someone who can sign in at the provider, and what becomes of it at the directory app."""

    user_name: str
    name: str
    outcome: str

    @property
    def password(self) -> str:
        return f"demo-{self.user_name}"


ACCOUNTS = (
    Account("alice", "Alice Martin", "let in; the directory's userName is Alice"),
    Account("bob", "Bob Okafor", "let in; the directory's userName is bob"),
    Account("mallory", "Mallory Quinn", "signs in, but is not in the directory: refused"),
)


@dataclass(frozen=True)
class Desk:
    """The tool desk behind the sidecar: a second app at the same provider.

    Attributes:
        public_url: where browsers reach it.
        upstream: where the tool desk itself listens.
        store: where its gate keeps sessions.
    """

    public_url: str
    upstream: str
    store: str = "sealed"


@dataclass(frozen=True)
class Configuration:
    """The files: one of the provider, one for each gate."""

    provider: Path
    gate: Path
    desk: Path


def write_configuration(
    folder: Path, *, issuer: str, public_url: str, users: Path, desk: Desk | None = None
) -> Configuration:
    """Write the configurations into `folder`, unless they are there; secrets are for this user's eyes only.

    Args:
        public_url: where browsers reach the directory.
        users: the file of known users, which the gates read.
        desk: the second app, if there is one.
    """
    files = Configuration(folder / "provider.toml", folder / "oidcgate.toml", folder / "tool-desk.toml")
    if files.gate.exists():
        return files
    _write(folder / "provider-secret", new_secret())
    clients = _client(folder, CLIENT_ID, "Company directory", public_url, "client-secret")
    if desk is not None:
        clients += _client(folder, DESK_CLIENT_ID, "Tool desk", desk.public_url, "desk-client-secret")
        # The company's own: nobody is asked whether it may know their name.
        clients += "trusted = true\n"
    _write(
        files.provider,
        f"""\
issuer = {_quoted(issuer)}
display_name = "Example sign-in"
database = {_quoted(f"sqlite:///{folder}/provider.db")}
secret_file = "provider-secret"
insecure_allow_http_loopback = true             # only because everything here is on this machine
{clients}"""
        + "".join(map(_user, ACCOUNTS)),
    )
    _write(folder / "gate-secret", new_secret())
    _write(
        files.gate,
        f"""\
public_url = {_quoted(public_url)}

[provider]
name = "Example sign-in"
issuer = {_quoted(issuer)}
client_id = {_quoted(CLIENT_ID)}
client_secret_file = "client-secret"

[users]
source = {_quoted(f"file:{users}")}

[session]
secret_file = "gate-secret"

[state]
store = {_quoted(f"sqlite:///{folder}/oidcgate-state.db")}
""",
    )
    if desk is not None:
        _write(folder / "desk-secret", new_secret())
        _write(
            files.desk,
            f"""\
public_url = {_quoted(desk.public_url)}

[provider]
name = "Example sign-in"
issuer = {_quoted(issuer)}
client_id = {_quoted(DESK_CLIENT_ID)}
client_secret_file = "desk-client-secret"

[users]
source = {_quoted(f"file:{users}")}

[session]
store = {_quoted(desk.store)}
secret_file = "desk-secret"

[state]
store = {_quoted(f"sqlite:///{folder}/desk-state.db")}

[proxy]
upstream = {_quoted(desk.upstream)}

[serve]
bind = {_quoted(f"127.0.0.1:{urlsplit(desk.public_url).port}")}
""",
        )
    return files


def _client(folder: Path, client_id: str, name: str, public_url: str, file: str) -> str:
    _write(folder / file, secrets.token_urlsafe(32))
    return f"""
[[clients]]
client_id = {_quoted(client_id)}
name = {_quoted(name)}
client_secret_file = {_quoted(file)}
redirect_uris = [{_quoted(public_url + "/.oidcgate/callback")}]
post_logout_redirect_uris = [{_quoted(public_url + "/.oidcgate/logged-out")}]
scopes = ["openid", "profile", "email"]
"""


def _user(account: Account) -> str:
    return f"""
[[users]]
user_name = {_quoted(account.user_name)}
password_hash = {_quoted(Passwords().hash(account.password))}
name = {_quoted(account.name)}
email = {_quoted(f"{account.user_name}@example.com")}
email_verified = true
"""


def _quoted(text: str) -> str:
    # A TOML basic string is written like a JSON one.
    return json.dumps(text, ensure_ascii=False)


def _write(path: Path, text: str) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
