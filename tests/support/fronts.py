"""The fronts that tests/contracts/front.py holds to one behaviour: each with our provider and the same app.

Here they are put together, and here stands, in one table, where a protocol makes one differ from another. How
requests get in is :mod:`tests.support.doors`; the app behind is :mod:`tests.support.echo`.
"""

import contextlib
import json
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qsl, urlsplit
from wsgiref.validate import validator

from werkzeug.serving import make_server

from oidcgate.audit import Audit
from oidcgate.gate.asgi import AsyncGate
from oidcgate.gate.build import build
from oidcgate.gate.config import config_from_mapping
from oidcgate.gate.parts import GateParts
from oidcgate.gate.wsgi import Gate
from oidcgate.net.wsgi import WSGIAdapter
from oidcgate.proxy.wsgi import ReverseProxy
from provider import Provider
from tests.oidcgate.gate.parts import cookie_of, record
from tests.support.doors import ASGIDoor, Door, Loop, SocketDoor, WSGIDoor
from tests.support.echo import Echo
from tests.support.servers import ROOT, free_port, running
from tests.support.sites import CLIENT_SECRET, GATE_SECRET, PASSWORDS, make_provider
from tests.support.user_agent import Page, UserAgent
from tests.support.uvicorn_thread import served

APP, ISSUER = "https://app.test", "https://id.example"
USER_HEADER = "X-Remote-User"
#: A header that carries a context attribute.
ATTRIBUTE_HEADER = "X-Department"
EVERYBODY = ("Alice", "Bob", "Zoë Žáková")


class Differences(NamedTuple):
    """What the protocol of a front forces; in everything else all fronts are alike.

    Attributes:
        identity: whether the app is handed an `Identity` beside the headers. One in another process is not.
        repeated: whether a header that a client repeats arrives repeated, or joined by a comma, as PEP 3333
            (CGI, RFC 3875 4.1.18) leaves no other way.
        client_claims: what becomes of Host and X-Forwarded-*: in the app's own process they arrive as the
            client wrote them, and what to believe is the app's to say. A proxy says what it knows.
        websocket: what an admitted WebSocket is: `tunnel`, one; `request`, a plain request, because WSGI has
            none and what to make of it is between server and app; `refused`, 501, because a WSGI proxy
            cannot hold it.
        fault: what an exception of the app is: `raised` to the server, which answers, or `500`, an answer
            that passes like any other.
    """

    identity: bool
    repeated: Literal["apart", "joined"]
    client_claims: Literal["passed", "replaced"]
    websocket: Literal["tunnel", "request", "refused"]
    fault: Literal["raised", "500"]


#: By front. Whoever adds a front adds a line; whoever adds a column says above why a protocol forces it.
DIFFERENCES = {
    "Gate": Differences(True, "joined", "passed", "request", "raised"),
    "AsyncGate": Differences(True, "apart", "passed", "tunnel", "raised"),
    "Gate(ReverseProxy)": Differences(False, "joined", "replaced", "refused", "500"),
    "sidecar": Differences(False, "apart", "replaced", "tunnel", "500"),
}


class IdentityProvider:
    """Our provider, which can be down, and counts what it is asked.

    Attributes:
        asked: the paths of all requests, in order.
    """

    def __init__(self, provider: Provider) -> None:
        self.asked: list[str] = []
        self._down = False
        self._provider = provider

    @property
    def down(self) -> bool:
        """Whether nobody answers."""
        return self._down

    @down.setter
    def down(self, down: bool) -> None:
        if down is not self._down:
            self._down = down
            self._go(up=not down)

    def _go(self, *, up: bool) -> None:
        """Up or down."""

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if self.down:
            raise ConnectionError("the provider is down")
        self.asked.append(environ["PATH_INFO"])
        return self._provider(environ, start_response)


class ServedProvider(IdentityProvider):
    """The same on a port of this machine, where nobody listens while it is down."""

    def __init__(self, provider: Provider, port: int) -> None:
        super().__init__(provider)
        self._port = port
        self._go(up=True)

    def _go(self, *, up: bool) -> None:
        if up:
            self._server = make_server("127.0.0.1", self._port, self, threaded=True)
            self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
            self._thread.start()
        else:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()


class Front:
    """One front, ready to be knocked at.

    Attributes:
        name: its line in `DIFFERENCES`.
        parts: what a gate of the same settings is made of, to make and end sessions beside it.
        written: all that the front wrote about what happened.
    """

    def __init__(
        self,
        name: str,
        *,
        origin: str,
        issuer: str,
        door: Door,
        app: Echo,
        provider: IdentityProvider,
        parts: GateParts,
        directory: Path,
        written: Callable[[], str],
        adapters: dict[str, Any],
    ) -> None:
        self.name = name
        self.differences = DIFFERENCES[name]
        self.origin = origin
        self.issuer = issuer
        self.door = door
        self.app = app
        self.provider = provider
        self.parts = parts
        self.written = written
        self._directory = directory
        self._known: tuple[str, ...] = EVERYBODY
        self._adapters = adapters
        self._serial = 0
        self.ask = door.ask

    def begin(self) -> None:
        """Put back what an earlier test has changed."""
        self.provider.down = False
        if self._known != EVERYBODY:
            self.know(*EVERYBODY)
        self.provider.asked.clear()
        self.app.clear()

    def know(self, *names: str) -> None:
        """Make these the known users, on every worker of the front."""
        self._known = names
        write_users(self._directory, names)
        time.sleep(1.1)  # the stated time: each worker looks at the file once a second, by its own clock

    def user_agent(self) -> UserAgent:
        """A browser that has not been anywhere."""
        return UserAgent(self._adapters)

    def sign_in(self, agent: UserAgent, target: str = "/", name: str = "alice") -> Page:
        """Open `target` and sign in where that leads."""
        page = agent.open(self.origin + target)
        assert page.main_id == "page-login", page.text
        return agent.sign_in(page, name, PASSWORDS[name])

    def cookie(self, user_name: str = "Alice", *, age_seconds: int = 0, **more: Any) -> str:
        """The Cookie header of somebody who signed in so long ago and has not been seen since."""
        self._serial += 1
        at = int(self.parts.clock()) - age_seconds
        fields = {"iss": self.issuer, "known_at": at, "auth_time": at, **more}
        made = record(f"made-{self._serial}", user_name, **fields)
        return cookie_of(self.parts.sessions.create(made, at))

    def session_in(self, agent: UserAgent) -> str | None:
        """The value of the gate's cookie in a browser."""
        values = [cookie.value for cookie in agent.session.cookies if cookie.name == self.parts.names.session]
        assert len(values) <= 1
        return values[0] if values else None

    def callback_url(self, agent: UserAgent, target: str = "/", name: str = "alice") -> str:
        """Sign in as far as the redirect back to the front, and do not follow it."""
        caught: list[str] = []

        def catch(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            caught.append(environ["RAW_URI"])
            start_response("200 OK", [])
            return []

        callback = f"{self.origin}/.oidcgate/callback"
        agent.session.mount(callback, WSGIAdapter(catch))
        self.sign_in(agent, target, name)
        del agent.session.adapters[callback]
        (url,) = caught
        return self.origin + url

    def authorization_request(self, agent: UserAgent, target: str = "/") -> dict[str, str]:
        """What the front asks the provider for."""
        login = agent.step(self.origin + target)
        # Without a look at its fragment, which a script would take.
        request = urlsplit(agent.step(login.headers["Location"] + "&fragment=").headers["Location"])
        assert f"{request.scheme}://{request.netloc}" == self.issuer
        return dict(parse_qsl(request.query, strict_parsing=True))


def write_users(path: Path, names: Iterable[str]) -> None:
    """A directory of known users. Backdated: a file that was just written could still be half of one."""
    text = "".join(f"[[users]]\nuserName = {json.dumps(name, ensure_ascii=False)}\n" for name in names)
    new = path.with_suffix(".new")
    new.write_text(text)
    written = path.stat().st_mtime if path.exists() else time.time() - 10_000
    os.utime(new, (written + 1, written + 1))
    new.replace(path)


def settings(origin: str, issuer: str, folder: Path, **more: Any) -> dict[str, Any]:
    """The configuration of every front, as `oidcgate.toml` says it."""
    return {
        "public_url": origin,
        "provider": {
            "issuer": issuer,
            "client_id": "gate",
            "client_secret": CLIENT_SECRET,
            "fetch_groups": True,
        },
        "users": {"source": f"file:{folder / 'users.toml'}"},
        "session": {"secret": GATE_SECRET},
        "state": {"store": f"sqlite:///{folder / 'state.db'}"},
        "forward": {
            "preset": "oauth2-proxy",
            "user_headers": [USER_HEADER],
            "headers": [{"name": ATTRIBUTE_HEADER, "attribute": "department"}],
        },
        "context": [{"name": "department"}],
        "rules": [{"path": "/public/**", "allow": "anyone"}, {"path": "/hello", "allow": "signed-in"}],
        **more,
    }


def provider_for(origin: str, issuer: str, folder: Path) -> Provider:
    """The provider that has the front at `origin` as its client."""
    client = {
        "client_id": "gate",
        "name": "The app",
        "client_secret": CLIENT_SECRET,
        "redirect_uris": [f"{origin}/.oidcgate/callback"],
        "post_logout_redirect_uris": [f"{origin}/.oidcgate/logged-out"],
    }
    more = {"issuer": issuer, "clients": [client], "insecure_allow_http_loopback": issuer.startswith("http:")}
    return make_provider(folder, time.time, [], **more)  # type: ignore[arg-type]  # a clock like any other


#: Makes a door of a gate's parts, for an app.
MakeDoor = Callable[[GateParts, Echo], contextlib.AbstractContextManager[Door]]


@contextlib.contextmanager
def in_process(name: str, folder: Path, make_door: MakeDoor) -> Iterator[Front]:
    """A front in this process, with its provider beside it and no socket between."""
    app, events = Echo(), list[str]()
    directory = folder / "users.toml"
    write_users(directory, EVERYBODY)
    provider = IdentityProvider(provider_for(APP, ISSUER, folder))
    config = config_from_mapping(settings(APP, ISSUER, folder))
    parts = build(config, provider_app=provider, audit=Audit(events.append))
    with make_door(parts, app) as door:
        front = Front(
            name,
            origin=APP,
            issuer=ISSUER,
            door=door,
            app=app,
            provider=provider,
            parts=parts,
            directory=directory,
            written=lambda: "\n".join(events),
            adapters={APP: door.adapter(), ISSUER: WSGIAdapter(provider)},
        )
        front.begin()
        yield front


@contextlib.contextmanager
def gate_door(parts: GateParts, app: Echo) -> Iterator[Door]:
    """`Gate` around the app."""
    yield WSGIDoor(Gate.from_parts(validator(app.wsgi), parts))  # type: ignore[arg-type]  # typeshed's own type


@contextlib.contextmanager
def async_gate_door(parts: GateParts, app: Echo) -> Iterator[Door]:
    """`AsyncGate` around the app."""
    loop = Loop()
    try:
        yield ASGIDoor(AsyncGate.from_parts(app.asgi, parts), loop)
    finally:
        loop.close()


@contextlib.contextmanager
def reverse_proxy_door(parts: GateParts, app: Echo) -> Iterator[Door]:
    """`Gate(ReverseProxy(…))`, the app on a server of its own."""
    with served(app.asgi) as port, contextlib.closing(ReverseProxy(f"http://127.0.0.1:{port}")) as proxy:
        yield WSGIDoor(Gate.from_parts(proxy, parts))


@contextlib.contextmanager
def sidecar(folder: Path, *, engine: str = "async") -> Iterator[Front]:
    """`oidcgate serve` as a process with two workers, between a provider and an app of their own."""
    port, provider_port = free_port(), free_port()
    origin, issuer = f"http://localhost:{port}", f"http://localhost:{provider_port}"
    directory, file = folder / "users.toml", folder / "oidcgate.toml"
    write_users(directory, EVERYBODY)
    provider = ServedProvider(provider_for(origin, issuer, folder), provider_port)
    app = Echo()
    try:
        with served(app.asgi) as upstream:
            tables = {
                "proxy": {"upstream": f"http://127.0.0.1:{upstream}", "engine": engine},
                "serve": {"bind": f"127.0.0.1:{port}", "workers": 2, "graceful_seconds": 2},
            }
            data = settings(origin, issuer, folder, **tables)
            file.write_text(toml(data))
            command = [sys.executable, "-m", "oidcgate", "serve", "--config", file]
            path = os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH", "")) if part)
            env = {"PYTHONPATH": path, "TMPDIR": str(folder)}
            with running(command, port=port, log=folder / "log", cwd=folder, env=env) as server:
                front = Front(
                    "sidecar" if engine == "async" else "Gate(ReverseProxy)",
                    origin=origin,
                    issuer=issuer,
                    door=SocketDoor(port, f"localhost:{port}"),
                    app=app,
                    provider=provider,
                    parts=build(config_from_mapping(data)),
                    directory=directory,
                    written=server.log_text,
                    adapters={},
                )
                front.begin()
                yield front
    finally:
        provider.down = True


def toml(tables: dict[str, Any]) -> str:
    """A configuration as a file; what JSON and TOML write alike is all that is needed."""
    return "\n".join(_lines(tables, "")) + "\n"


def _lines(table: dict[str, Any], place: str) -> Iterator[str]:
    """What a table holds itself, and then the tables in it, each under its heading."""
    below = {}
    for name, value in table.items():
        if isinstance(value, dict) or (isinstance(value, list) and value and isinstance(value[0], dict)):
            below[f"{place}{name}"] = value
        else:
            yield f"{name} = {json.dumps(value)}"
    for name, value in below.items():
        heading = f"[{name}]" if isinstance(value, dict) else f"[[{name}]]"
        for entry in [value] if isinstance(value, dict) else value:
            yield heading
            yield from _lines(entry, f"{name}.")


def spellings(name: str) -> dict[str, str]:
    """A header name as a client might write it so that somebody misses it."""
    return {
        "as is": name,
        "lower": name.lower(),
        "upper": name.upper(),
        "underscores": name.replace("-", "_"),
        "hyphens": name.replace("_", "-"),
        "mixed": re.sub("[-_]", lambda m: "-_"[m.start() % 2], name).swapcase(),
        "dots": re.sub("[-_]", ".", name),
        "others": re.sub("[-_]", "~", name),
    }
