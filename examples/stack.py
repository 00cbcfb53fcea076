"""Provider, gate and app in one WSGI callable: a company directory with its own sign-in, in one process.

    gunicorn "examples.stack:create_app()"     # then open http://localhost:8000

One sync worker is enough. The gate has to ask the provider for its metadata, keys and tokens; over a socket
that would wait for the very worker that asks. It calls the provider as a function instead (`provider_app`).
"""

from pathlib import Path
from typing import TYPE_CHECKING

from werkzeug.middleware.dispatcher import DispatcherMiddleware

from examples.directory.app import USERS_FILE
from examples.directory.app import create_app as create_directory
from examples.local_accounts import CLIENT_ID, write_configuration
from oidcgate import Gate
from provider import Provider

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


def create_app(
    folder: str | Path = "stack-data", public_url: str = "http://localhost:8000", users: Path = USERS_FILE
) -> "WSGIApplication":
    """The whole stack as one WSGI app. Sign in as alice or bob, password `demo-` and the name.

    Args:
        folder: where databases and secrets are kept from one start to the next.
        public_url: where browsers reach it; the provider is at `/idp` below.
        users: the people of the directory.
    """
    folder = Path(folder).absolute()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    issuer = f"{public_url}/idp"
    files = write_configuration(folder, issuer=issuer, public_url=public_url, users=users)
    provider = Provider.from_config(files.provider)
    gate = Gate(
        create_directory(users),
        issuer=issuer,
        client_id=CLIENT_ID,
        client_secret=(folder / "client-secret").read_text(),
        public_url=public_url,
        secret=(folder / "gate-secret").read_text(),
        users=f"file:{users}",
        state=f"sqlite:///{folder}/oidcgate-state.db",
        provider_app=provider,
    )
    # The provider is not behind the gate, or nobody could sign in. RFC 8414 puts the metadata of an issuer
    # that has a path at the root of the host, before that path.
    return DispatcherMiddleware(gate, {"/idp": provider, "/.well-known/oauth-authorization-server": provider})
