"""The two providers that the modules are run against, as processes that answer over HTTPS.

The peer is npm's certified `oidc-provider`; ours is configured by a file, as by an operator, under gunicorn.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import requests

from tests.conformance.op.target import (
    BackchannelClient,
    Client,
    FrontchannelClient,
    LogoutClient,
    Receiving,
    Registration,
    Target,
    User,
)
from tests.support.nginx import tls_in_front
from tests.support.servers import ROOT, free_port, gunicorn, running
from tests.support.tls import Authority

USER = User("alice", "the-password-of-a-person-who-is-in-no-directory")
#: A value for every claim of the four scopes.
CLAIMS: dict[str, Any] = {
    "name": "Alice Example",
    "given_name": "Alice",
    "family_name": "Example",
    "middle_name": "M.",
    "nickname": "al",
    "profile": "https://people.example/alice",
    "picture": "https://people.example/alice.png",
    "website": "https://alice.example/",
    "gender": "female",
    "birthdate": "1990-01-31",
    "zoneinfo": "Europe/Paris",
    "locale": "en-GB",
    "updated_at": 1_700_000_000,
    "email": "alice@people.example",
    "email_verified": True,
    "address": {
        "street_address": "1 Main Street",
        "locality": "Paris",
        "postal_code": "75001",
        "country": "FR",
    },
    "phone_number": "+33 1 23 45 67 89",
    "phone_number_verified": True,
}
_BASIC = Client(
    "basic", "a-secret-of-the-client-named-basic-0123456789-abcdef", "https://basic.example/callback"
)
_POST = Client(
    "post", "a-secret-of-the-client-named-post-0123456789-abcdefg", "https://post.example/callback"
)
_SECOND = Client(
    "second", "a-secret-of-the-client-named-second-0123456789-abcde", "https://second.example/callback"
)
#: The one claim that stands in ID tokens as well, for applications that find people by it.
_NAME_IN_USERINFO = {"name": "preferred_username", "into": ["userinfo"]}
#: Clients name no algorithm for their objects; the certification sends unsigned ones.
_REQUEST_OBJECTS = "[request_objects]\nby_value = true\nby_reference = true\ninsecure_allow_unsigned = true\n"
#: Where our provider finds the modules.
_NEIGHBOUR = "modules.example"
#: Nobody waits longer than so.
_LONG_SECONDS = 5
#: What clients register themselves with, where that is asked for.
_INITIAL_ACCESS_TOKEN = "an-initial-access-token-of-the-peer-0123456789"


def _told(name: str) -> tuple[str, str, str, str]:
    """What every client has at which a sign-out may end."""
    secret = f"a-secret-of-the-client-named-{name}-0123456789-abcdef"
    site = f"https://{name}.example"
    return name, secret, f"{site}/callback", f"{site}/signed-out"


def _target(issuer: str, authority: Authority, host: str = "localhost") -> Target:
    receiver = receiving(authority, host)
    notices = "https://frontchannel.example/frontchannel_logout"
    return Target(
        issuer,
        _BASIC,
        _POST,
        _SECOND,
        USER,
        ca_file=str(authority.certificate),
        reuse_wait_seconds=1,
        receiver=receiver,
        logout=LogoutClient(*_told("logout")),
        backchannel=BackchannelClient(*_told("backchannel"), f"{receiver.url}/backchannel_logout"),
        frontchannel=FrontchannelClient(*_told("frontchannel"), notices),
        session=LogoutClient(*_told("session")),
    )


def receiving(authority: Authority, host: str = "localhost") -> Receiving:
    """Where the modules can be reached, with a certificate of the authority."""
    port, certificate = free_port(), authority.issue(host)
    return Receiving(
        f"https://{host}:{port}", f"127.0.0.1:{port}", str(certificate.certificate), str(certificate.key)
    )


@contextmanager
def peer(
    folder: Path,
    npm: Path,
    authority: Authority,
    *,
    behind: str | None = None,
    registers: int | None = None,
    framed: bool = False,
) -> Iterator[tuple[Target, int]]:
    """Run the peer until the block ends; yields what has to be known of it, and its port.

    Args:
        npm: where the package is installed.
        behind: the issuer, when something else speaks TLS in front of it.
        registers: the major version at which clients register themselves; None: the newest, and they do not.
        framed: the last version that has frames, for sign-outs and for sessions.
    """
    # Installed for the checkout only, as is Node.js.
    from tests.live.peers import NODE

    port = free_port()
    issuer = behind or f"https://localhost:{port}"
    has_no = ("backchannel",) if framed else ("frontchannel", "session")
    target = replace(_target(issuer, authority), **dict.fromkeys(has_no))
    settings: dict[str, Any] = {
        "port": port,
        "issuer": issuer,
        "acr": "urn:example:password",
        "user": {
            "name": USER.name,
            "password": USER.password,
            "claims": {**CLAIMS, "preferred_username": USER.name},
        },
        "clients": list(_npm_clients(target, behind)),
        "framed": framed,
    }
    if behind is None:
        certificate = authority.issue("localhost")
        settings |= {"certificate": str(certificate.certificate), "key": str(certificate.key)}
    if registers is not None:
        settings |= {"registers": {"version": registers, "token": _INITIAL_ACCESS_TOKEN}}
        target = replace(target, registration=Registration(_INITIAL_ACCESS_TOKEN))
        if registers == 6:
            target = replace(target, rotate_command=_at_the_door(issuer, authority, "rotate"))
    command: list[str | Path] = [NODE, "certified_provider.mjs", json.dumps(settings)]
    env = {"NODE_EXTRA_CA_CERTS": str(authority.certificate)}
    with running(command, port=port, log=folder / "peer.log", cwd=npm, env=env):
        yield target, port


def _at_the_door(issuer: str, authority: Authority, door: str) -> tuple[str, ...]:
    """The command that knocks at one of the doors that the peer has beside the protocol."""
    ask = "import sys, requests; requests.post(sys.argv[1], verify=sys.argv[2]).raise_for_status()"
    return (sys.executable, "-c", ask, f"{issuer}/peer/{door}", str(authority.certificate))


def waiting(set_ahead: Callable[[float], None]) -> Callable[[float], None]:
    """How to wait where a clock can be set ahead of ours: for long times it is, until the next short one."""

    def wait(seconds: float) -> None:
        long = seconds > _LONG_SECONDS
        set_ahead(seconds if long else 0)
        if not long:
            time.sleep(seconds)  # the wait that a module asks for, in real time: servers have no other

    return wait


def set_peer_ahead(target: Target, seconds: float) -> None:
    """The clock of the peer goes ahead of ours by so many seconds."""
    url = f"{target.issuer}/peer/clock?ahead={seconds}"
    requests.post(url, verify=target.ca_file, timeout=30).raise_for_status()


def _logout_clients(target: Target) -> Iterator[tuple[LogoutClient, dict[str, Any]]]:
    """The clients at which a sign-out may end, and what the peer and our provider have to know of that."""
    back, front = target.backchannel, target.frontchannel
    for client in (target.logout, back, front, target.session):
        if client is None:
            continue
        how: dict[str, Any] = {"post_logout_redirect_uris": [client.post_logout_redirect_uri]}
        if client is back:
            how["backchannel_logout_uri"] = back.backchannel_logout_uri
            how["backchannel_logout_session_required"] = True
        elif client is front:
            how["frontchannel_logout_uri"] = front.frontchannel_logout_uri
            how["frontchannel_logout_session_required"] = True
        yield client, how


def _npm_clients(target: Target, behind: str | None) -> Iterator[dict[str, Any]]:
    for client in (target.basic, target.second):
        yield _npm_client(client)
    yield _npm_client(target.post, token_endpoint_auth_method="client_secret_post")
    for client, how in _logout_clients(target):
        if behind is not None and client is target.backchannel:
            # Whoever speaks in its name does so to the client, too.
            how["backchannel_logout_uri"] = f"{behind}/notice"
        yield _npm_client(client, **how)


def _npm_client(client: Client, **more: Any) -> dict[str, Any]:
    return {
        "client_id": client.client_id,
        "client_secret": client.client_secret,
        "redirect_uris": [client.redirect_uri],
        "token_endpoint_auth_method": "client_secret_basic",
        "grant_types": ["authorization_code", "implicit", "refresh_token"],
        "response_types": [
            "code", "id_token", "id_token token", "code id_token", "code token", "code id_token token",
        ],
        **more,
    }  # fmt: skip


@contextmanager
def ours(folder: Path, authority: Authority) -> Iterator[Target]:
    """Run our provider until the block ends."""
    port = free_port()
    # Clients that register themselves are not to name this machine.
    target = _target(f"https://localhost:{port}", authority, _NEIGHBOUR)
    config = _our_config(folder, target, f"sqlite:///{folder / 'provider.db'}", request_objects=True)
    set_ahead(folder, 0)
    with gunicorn(
        "tests.live.sites.judged_provider_site:application",
        port=port,
        log=folder / "provider.log",
        env={
            "PROVIDER_CONFIG": str(config),
            "PROVIDER_CLOCK_AHEAD": str(folder / "ahead"),
            "PROVIDER_NEIGHBOUR": _NEIGHBOUR,
        },
        certificate=authority.issue("localhost"),
    ):
        yield replace(
            target,
            registration=Registration(_initial_access_token(config)),
            rotate_command=tuple(map(str, _command(config, "keys", "rotate"))),
        )


def set_ahead(folder: Path, seconds: float) -> None:
    """The clock of our provider that runs in this folder goes ahead of ours by so many seconds."""
    (folder / "ahead").write_text(str(seconds))


def _command(config: Path, *arguments: str) -> list[str | Path]:
    return [sys.executable, "-m", "provider", "--config", config, *arguments]


def _initial_access_token(config: Path) -> str:
    """One that every module may register its clients with."""
    add = _command(config, "client", "registration-token", "add", "--uses", "1000")
    said = subprocess.run(add, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return next(line.removeprefix("token: ") for line in said.splitlines() if line.startswith("token: "))


@contextmanager
def deployed(folder: Path, authority: Authority, database: str) -> Iterator[Target]:
    """Run our provider as its manual says until the block ends: `serve`, and nginx in front for TLS."""
    port, behind = free_port(), free_port()
    target = _target(f"https://localhost:{port}", authority)
    config = _our_config(folder, target, database)
    with (
        running(
            _command(config, "serve", "--port", str(behind)),
            port=behind,
            log=folder / "provider.log",
            cwd=folder,
            env={"PYTHONPATH": str(ROOT)},
        ),
        tls_in_front(folder, port, behind, authority.issue("localhost")),
    ):
        yield target


def _our_config(folder: Path, target: Target, database: str, *, request_objects: bool = False) -> Path:
    from provider.services.passwords import Passwords

    secret = folder / "secret"
    secret.touch(mode=0o600)
    secret.write_text("n0-real-secret-but-long-enough-for-the-provider-0123456789\n")
    person = {"user_name": USER.name, "password_hash": Passwords().hash(USER.password), **CLAIMS}
    path = folder / "provider.toml"
    path.write_text(
        'trusted_networks = ["127.0.0.0/8"]\n'
        f'issuer = "{target.issuer}"\ndatabase = "{database}"\nsecret_file = "{secret}"\n'
        + "".join(_toml("clients", client) for client in _our_clients(target))
        + _toml("users", person)
        + _toml("claims", _NAME_IN_USERINFO)
        # Clients are on this machine, those that are told of sign-outs and those that register themselves.
        + f'[outbound]\nca_file = "{target.ca_file}"\nallow_networks = ["127.0.0.0/8"]\n'
        + 'registered_allow_networks = ["127.0.0.0/8"]\n'
        + "[registration]\nenabled = true\ninsecure_token_endpoint_audience = true\n"
        + 'flows = ["authorization_code", "implicit", "hybrid", "refresh_token"]\n'
        + '[subjects]\ntypes = ["public", "pairwise"]\n'
        + (_REQUEST_OBJECTS if request_objects else "")
    )
    return path


def _our_clients(target: Target) -> Iterator[dict[str, Any]]:
    for client in (target.basic, target.second):
        yield _our_client(client)
    yield _our_client(target.post, auth_method="client_secret_post")
    for told, how in _logout_clients(target):
        asked = {"session_management": told is target.session}
        yield _our_client(told, flows=["authorization_code"], **asked, **how)


def _our_client(client: Client, **more: Any) -> dict[str, Any]:
    return {
        "client_id": client.client_id,
        "client_secret": client.client_secret,
        "auth_method": "client_secret_basic",
        "redirect_uris": [client.redirect_uri],
        "flows": ["authorization_code", "implicit", "hybrid", "refresh_token"],
        **more,
    }


def _toml(table: str, values: dict[str, Any]) -> str:
    return f"[[{table}]]\n" + "".join(f"{name} = {_literal(value)}\n" for name, value in values.items())


def _literal(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_literal(part)}" for name, part in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)
