"""What a sign-in on this machine needs: three people at a provider, one client, and the gate that is it.

Used by the demo and by `stack.py`. Both sides get a configuration file like any other, with secrets made on
the spot. Real deployments have their own: `oidcgate init` and `oidcgate-provider init` write those.
"""

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from oidcgate.web.sealing import new_secret
from provider.services.passwords import Passwords

CLIENT_ID = "directory"


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
class Configuration:
    """The two files."""

    provider: Path
    gate: Path


def write_configuration(folder: Path, *, issuer: str, public_url: str, users: Path) -> Configuration:
    """Write both configurations into `folder`, unless they are there; secrets are for this user's eyes only.

    Args:
        users: the file of known users, which the gate reads.
    """
    files = Configuration(folder / "provider.toml", folder / "oidcgate.toml")
    if files.gate.exists():
        return files
    _write(folder / "provider-secret", new_secret())
    _write(folder / "gate-secret", new_secret())
    _write(folder / "client-secret", secrets.token_urlsafe(32))
    _write(
        files.provider,
        f"""\
issuer = {_quoted(issuer)}
display_name = "Example sign-in"
database = {_quoted(f"sqlite:///{folder}/provider.db")}
secret_file = "provider-secret"
insecure_allow_http_loopback = true             # only because everything here is on this machine

[[clients]]
client_id = {_quoted(CLIENT_ID)}
name = "Company directory"
client_secret_file = "client-secret"
redirect_uris = [{_quoted(public_url + "/.oidcgate/callback")}]
post_logout_redirect_uris = [{_quoted(public_url + "/.oidcgate/logged-out")}]
scopes = ["openid", "profile", "email"]
"""
        + "".join(map(_user, ACCOUNTS)),
    )
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
    return files


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
