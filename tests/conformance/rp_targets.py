"""The relying parties that the modules are run against, as processes that answer over HTTPS.

One is npm's certified `openid-client`, which lies when it is asked to; the other the gate, with a provider
for each module, under gunicorn with two workers.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from oidcgate.web.sealing import new_secret
from tests.conformance.rp.plans import Entry
from tests.conformance.rp.provider import ProviderServer
from tests.conformance.rp.target import RelyingParty
from tests.support.servers import free_port, gunicorn, running
from tests.support.tls import Authority

_CLIENT_ID = "relying-party"
_CLIENT_SECRET = "a-client-secret-of-relying-parties-43-characters-or-more"
#: What the gate is told of single providers, as a client that registers itself would ask them for.
_OF_ITS_OWN = {
    "further-oidcc-client-test-invalid-sig-hs256": 'id_token_algorithms = ["HS256"]',
    "session-management-oidcc-client-test-session-management": "session_check_seconds = 1",
}


@contextmanager
def peer(folder: Path, npm: Path, authority: Authority) -> Iterator[RelyingParty]:
    """Run `openid-client` until the block ends.

    Args:
        npm: where the peers are installed.
    """
    # Installed for the checkout only, as is Node.js.
    from tests.live.peers import NODE

    port = free_port()
    url, certificate = f"https://localhost:{port}", authority.issue("localhost")
    settings = {
        "port": port,
        "client_id": _CLIENT_ID,
        "client_secret": _CLIENT_SECRET,
        "certificate": str(certificate.certificate),
        "key": str(certificate.key),
        "ahead": str(folder / "ahead"),
    }
    set_ahead(folder, 0)
    command: list[str | Path] = [NODE, "relying_party.mjs", json.dumps(settings)]
    env = {"NODE_EXTRA_CA_CERTS": str(authority.certificate)}
    with running(command, port=port, log=folder / "peer.log", cwd=npm, env=env):
        yield RelyingParty(
            _CLIENT_ID,
            _CLIENT_SECRET,
            login=f"{url}/login?iss={{issuer}}",
            initiate_login=f"{url}/login",
            redirect_uri=f"{url}/callback",
            page=f"{url}/page",
            watched=f"{url}/watched",
            logout=f"{url}/logout",
            post_logout_redirect_uri=f"{url}/logged-out",
            backchannel_logout=f"{url}/backchannel?iss={{issuer}}",
            frontchannel_logout=f"{url}/frontchannel",
            ca_file=str(authority.certificate),
            set_ahead=partial(set_ahead, folder),
        )


def set_ahead(folder: Path, seconds: float) -> None:
    """The clock of the relying party that runs in this folder goes ahead of ours by so many seconds."""
    (folder / "ahead").write_text(str(seconds))


def lying(rp: RelyingParty, lie: str) -> RelyingParty:
    """The peer when it does one thing wrong; `relying_party.mjs` has the names."""
    lies_at_sign_in = not lie.startswith(("logout-", "watch-"))
    return replace(
        rp,
        login=f"{rp.login}&lie={lie}" if lies_at_sign_in else rp.login,
        initiate_login=f"{rp.initiate_login}?lie={lie}" if lies_at_sign_in else rp.initiate_login,
        watched=f"{rp.watched}?lie={lie}",
        logout=f"{rp.logout}?lie={lie}",
        backchannel_logout=f"{rp.backchannel_logout}&lie={lie}",
        frontchannel_logout=f"{rp.frontchannel_logout}?lie={lie}",
    )


@contextmanager
def gate(
    folder: Path, authority: Authority, providers: ProviderServer, entries: Iterable[Entry]
) -> Iterator[RelyingParty]:
    """Run an app behind the gate until the block ends.

    Args:
        entries: the modules whose providers it knows.
    """
    port = free_port()
    url = f"https://localhost:{port}"
    known = "".join(
        f"""
[[providers]]
name = "{entry.alias}"
callback = "{entry.alias}"
issuer = "{providers.issuer(entry.alias)}"
client_id = "{_CLIENT_ID}"
client_secret = "{_CLIENT_SECRET}"
get_user_info = true
response_mode = "{entry.response_mode}"
ca_file = "{authority.certificate}"
{_OF_ITS_OWN.get(entry.alias, "")}
"""
        for entry in entries
    )
    configuration = folder / "oidcgate.toml"
    configuration.write_text(
        f"""
public_url = "{url}"
{known}
[users]
source = "any"
[login]
accept_login_hint = true
[session]
secret = "{new_secret()}"
claims = ["preferred_username", "name", "email", "phone_number"]
keep_tokens = true
[forward]
access_token = true
[state]
store = "sqlite:///{folder / "state.db"}"
"""
    )
    set_ahead(folder, 0)
    with gunicorn(
        "tests.live.sites.telling_site:application",
        port=port,
        log=folder / "gate.log",
        env={"GATE_CONFIG": str(configuration), "GATE_CLOCK_AHEAD": str(folder / "ahead")},
        certificate=authority.issue("localhost"),
        workers=2,
    ):
        yield RelyingParty(
            _CLIENT_ID,
            _CLIENT_SECRET,
            login=f"{url}/.oidcgate/login?iss={{issuer}}",
            initiate_login=f"{url}/.oidcgate/login",
            redirect_uri=f"{url}/.oidcgate/callback/{{name}}",
            page=f"{url}/page",
            watched=f"{url}/watched",
            logout=f"{url}/.oidcgate/logout",
            post_logout_redirect_uri=f"{url}/.oidcgate/logged-out",
            backchannel_logout=f"{url}/.oidcgate/backchannel-logout",
            frontchannel_logout=f"{url}/.oidcgate/frontchannel-logout",
            ca_file=str(authority.certificate),
            set_ahead=partial(set_ahead, folder),
        )
