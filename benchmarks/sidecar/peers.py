"""The peers, each with a configuration, a folder and a port of its own: nginx, Apache, oauth2-proxy.

They run as a careful operator would leave them: Debian's defaults for processes and threads, no access log,
connections to the upstream kept. A peer that is not installed is a `Missing`, which says what to install.
"""

import os
import pwd
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from benchmarks.sidecar.stack import ROOT, Client, Served, client, nginx, port_of, provider, sign_in
from benchmarks.sidecar.stack import upstream as nginx_upstream
from tests.support.servers import free_port, running

APACHE = "/usr/sbin/apache2"
MODULES = Path("/usr/lib/apache2/modules")

PINNED = Path(__file__).with_name("oauth2_proxy")
OAUTH2_PROXY_MODULE = "github.com/oauth2-proxy/oauth2-proxy/v7"
OAUTH2_PROXY = ROOT / "build" / "peers" / "oauth2-proxy"


class Missing(Exception):
    """A peer is not on this machine; the message says how it is installed."""


def require_apache() -> None:
    """Raise Missing unless Apache and mod_auth_openidc are there."""
    if not Path(APACHE).exists() or not (MODULES / "mod_auth_openidc.so").exists():
        raise Missing("Apache mod_auth_openidc: apt-get install apache2 libapache2-mod-auth-openidc")


def require_nginx() -> None:
    """Raise Missing unless nginx and wrk are there."""
    for program in ("nginx", "wrk"):
        if shutil.which(program) is None:
            raise Missing(f"{program}: apt-get install {program}")


def oauth2_proxy_version() -> str:
    """The version that is pinned; the program itself says none when it is built from its module."""
    said = (PINNED / "go.mod").read_text()
    return said.partition(f"{OAUTH2_PROXY_MODULE} v")[2].split()[0]


def require_oauth2_proxy() -> None:
    """Raise Missing unless oauth2-proxy was built."""
    if not OAUTH2_PROXY.exists():
        raise Missing("oauth2-proxy: not built; `make test-peers` does, or says why it cannot")


def build() -> None:
    """Build oauth2-proxy as it is pinned, from the Go module proxy.

    Raises:
        Missing: there is no go, or it failed; the message says why.
    """
    go = shutil.which("go")
    if go is None:
        raise Missing(
            "oauth2-proxy: go is needed to build it (apt-get install golang-go, or https://go.dev/dl)"
        )
    OAUTH2_PROXY.parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(  # noqa: S603 (our own command)
        [go, "build", "-o", str(OAUTH2_PROXY), OAUTH2_PROXY_MODULE],
        cwd=PINNED,
        env={**os.environ, "GOFLAGS": "-mod=readonly"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Missing(f"oauth2-proxy: cannot be built here: {' '.join(done.stderr.split())}")


def versions() -> dict[str, str]:
    """Of the peers that are on this machine."""
    found = {}
    if Path(APACHE).exists():
        found["apache"] = _said(APACHE, "-v").partition("Apache/")[2].partition(" ")[0]
        # The module says it nowhere; Debian's package does.
        found["mod_auth_openidc"] = _said("dpkg-query", "-W", "-f=${Version}", "libapache2-mod-auth-openidc")
    if OAUTH2_PROXY.exists():
        found["oauth2-proxy"] = oauth2_proxy_version()
        # "oauth2-proxy undefined (built with go1.26.8)"
        found["go"] = _said(str(OAUTH2_PROXY), "--version").partition("built with ")[2].rstrip(")\n")
    return found


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout  # noqa: S603


@contextmanager
def nginx_proxy(folder: Path, upstream: str) -> Iterator[Served]:
    """nginx with proxy_pass alone: what a proxy costs at least."""
    address = upstream.removeprefix("http://")
    server = 'location / { proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection ""; }'
    outside = f"upstream up {{ server {address}; keepalive 64; keepalive_requests 1000000000; }}"
    with nginx(folder, "nginx-proxy", free_port(), server, workers=2, outside=outside) as served:
        yield served


@contextmanager
def apache(folder: Path, name: str, port: int, directives: str) -> Iterator[Served]:
    """An Apache of our own with the event MPM, as Debian configures it, and these directives."""
    home = folder / name
    home.mkdir()
    os.chmod(folder, 0o755)  # noqa: S103 (its workers are another user, who has to come by)
    user = pwd.getpwuid(os.getuid()).pw_name
    as_user = "User www-data\nGroup www-data" if user == "root" else ""
    modules = ["mpm_event", "authn_core", "authz_core", "authz_user", "proxy", "proxy_http"]
    if "OIDC" in directives:
        modules.append("auth_openidc")
    loads = "\n".join(f"LoadModule {module}_module {MODULES}/mod_{module}.so" for module in modules)
    file = home / "apache.conf"
    file.write_text(
        f"""
{loads}
ServerRoot {home}
ServerName localhost
PidFile {home}/pid
Mutex file:{home} default
DefaultRuntimeDir {home}
ErrorLog {home}/error.log
LogLevel warn
{as_user}
Listen 127.0.0.1:{port}
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 75
Timeout 60
StartServers 2
MinSpareThreads 25
MaxSpareThreads 75
ThreadLimit 64
ThreadsPerChild 25
MaxRequestWorkers 150
MaxConnectionsPerChild 0
ProxyRequests Off
{directives}
"""
    )
    command = [APACHE, "-DFOREGROUND", "-f", file]
    with running(command, port=port, log=home / "log", cwd=home) as server:
        yield Served(f"http://localhost:{port}", server.process.pid)


def proxied(upstream: str) -> str:
    """The directives of a proxy."""
    return f"ProxyPass / {upstream}/ keepalive=On\nProxyPassReverse / {upstream}/\n"


def guarded(client: Client, issuer: str, session: str) -> str:
    """The directives of mod_auth_openidc.

    Args:
        session: `server-cache`, in shared memory, or `client-cookie`.
    """
    return f"""
OIDCProviderMetadataURL {issuer}/.well-known/openid-configuration
OIDCClientID {client.client_id}
OIDCClientSecret {client.secret}
OIDCRedirectURI {client.callback}
OIDCCryptoPassphrase {secrets.token_hex(16)}
OIDCSessionType {session}
OIDCCacheType shm
OIDCScope "openid profile email"
OIDCRemoteUserClaim preferred_username
OIDCSessionInactivityTimeout 28800
<Location />
    AuthType openid-connect
    Require valid-user
</Location>
"""


@contextmanager
def mod_auth_openidc(
    folder: Path, client: Client, issuer: str, upstream: str, session: str
) -> Iterator[Served]:
    """Apache with mod_auth_openidc in front of the upstream."""
    directives = guarded(client, issuer, session) + proxied(upstream)
    with apache(folder, client.client_id, port_of(client.origin), directives) as served:
        yield served


@contextmanager
def mod_proxy(folder: Path, upstream: str) -> Iterator[Served]:
    """Apache with mod_proxy alone."""
    with apache(folder, "mod-proxy", free_port(), proxied(upstream)) as served:
        yield served


@contextmanager
def oauth2_proxy(folder: Path, client: Client, issuer: str, upstream: str) -> Iterator[Served]:
    """oauth2-proxy with its session in a cookie, in front of the upstream."""
    port = port_of(client.origin)
    options = {
        "provider": "oidc",
        "oidc-issuer-url": issuer,
        "client-id": client.client_id,
        "client-secret": client.secret,
        "redirect-url": client.callback,
        "code-challenge-method": "S256",
        "scope": "openid profile email",
        "email-domain": "*",
        "cookie-secret": secrets.token_hex(16),
        "cookie-secure": "false",
        "skip-provider-button": "true",
        "upstream": f"{upstream}/",
        "http-address": f"127.0.0.1:{port}",
        "request-logging": "false",
    }
    command = [OAUTH2_PROXY, *(f"--{name}={value}" for name, value in options.items())]
    with running(command, port=port, log=folder / "oauth2-proxy.log", cwd=folder) as server:
        yield Served(client.origin, server.process.pid)


def check() -> int:
    """Build what has to be built, and sign somebody in at each guarded peer; returns the exit status."""
    failed = 0
    try:
        build()
    except Missing as missing:
        print(f"MISSING {missing}")
        failed = 1
    with tempfile.TemporaryDirectory(prefix="oidcgate-peers-") as path, ExitStack() as started:
        folder = Path(path)
        apache_client = client("apache", "/oidc/callback")
        go_client = client("oauth2-proxy", "/oauth2/callback")
        issuer = started.enter_context(provider(folder, [apache_client, go_client]))
        behind = started.enter_context(nginx_upstream(folder))
        for name, require, one, start in (
            (
                "mod_auth_openidc",
                require_apache,
                apache_client,
                partial(mod_auth_openidc, session="server-cache"),
            ),
            ("oauth2-proxy", require_oauth2_proxy, go_client, oauth2_proxy),
        ):
            try:
                require()
            except Missing as missing:
                print(f"MISSING {missing}")
                failed = 1
                continue
            with start(folder, one, issuer, behind.url):
                sign_in(one.origin)
                print(f"ok      {name} signs in at our provider")
    for name, number in versions().items():
        print(f"        {name} {number}")
    return failed


if __name__ == "__main__":
    sys.exit(check())
