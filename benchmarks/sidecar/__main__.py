"""`python -m benchmarks.sidecar [ROUNDS] [SECONDS]`: ours and peers, in turns, in one run."""

import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from benchmarks.sidecar import ours, peers, report, stack
from benchmarks.sidecar.load import Contender, measure, warm
from benchmarks.sidecar.report import Target
from benchmarks.sidecar.rounds import Row, interleaved
from benchmarks.sidecar.stack import Client, Served

SHM = "mod_auth_openidc, shm"
COOKIE = "mod_auth_openidc, client-cookie"
OAUTH2_PROXY = "oauth2-proxy, cookie"
ASYNC = "sidecar async"
WSGI = "sidecar wsgi"
IN_PROCESS = "gate in process"
MANY = f", {ours.SESSIONS:,} sessions"
BARE = " without a gate"
BEHIND = "app behind "

FRONT = "In front of nginx, one worker, 1 KB"
APP = "A WSGI app under gunicorn gthread, 1 KB"

TARGETS = (
    *(Target("rate", ASYNC + many, ASYNC + BARE, ">= 0.9") for many in ("", MANY)),
    *(Target("rate", ASYNC + many, peer, ">= 1.2") for many in ("", MANY) for peer in (SHM, COOKIE)),
    *(Target("cpu", ASYNC, peer, "") for peer in (ASYNC + BARE, SHM, COOKIE, OAUTH2_PROXY)),
    *(Target("p99", ASYNC, peer, "") for peer in (SHM, COOKIE, OAUTH2_PROXY)),
    Target("rate", ASYNC, OAUTH2_PROXY, "to be beaten"),
    Target("rate", WSGI, WSGI + BARE, ">= 0.9"),
    *(Target("rate", WSGI, peer, "") for peer in (SHM, COOKIE, OAUTH2_PROXY)),
    *(
        Target("rate", IN_PROCESS + many, BEHIND + peer, ">= 2")
        for many in ("", MANY)
        for peer in (SHM, OAUTH2_PROXY)
    ),
    *(Target("p99", IN_PROCESS, BEHIND + peer, "<= 0.5") for peer in (SHM, OAUTH2_PROXY)),
)


class Field:
    """The servers of one run, started one by one and all ended with the run."""

    def __init__(self, folder: Path, running: ExitStack) -> None:
        self.folder = folder
        self.running = running
        self.left_out: list[str] = []
        # One client for each guarded server, known to the provider before it starts.
        self._clients = {
            name: stack.client(name, callback)
            for name, callback in (
                *((name, "/oidc/callback") for name in ("shm", "cookie", "app-shm")),
                *((name, "/oauth2/callback") for name in ("oauth2-proxy", "app-oauth2-proxy")),
                *((name, "/.oidcgate/callback") for name in ("async", "wsgi", "in-process")),
            )
        }
        self.issuer = running.enter_context(stack.provider(folder, list(self._clients.values())))
        self.upstream = running.enter_context(stack.upstream(folder))

    def start(self, server: AbstractContextManager[Served]) -> Served:
        """Start a server that lives until the run ends."""
        return self.running.enter_context(server)

    def peer(
        self, require: Callable[[], None], contenders: Callable[[], Sequence[Contender]]
    ) -> Sequence[Contender]:
        """A peer's contenders; none when it is not on this machine, which is said."""
        try:
            require()
        except peers.Missing as missing:
            if str(missing) not in self.left_out:
                self.left_out.append(str(missing))
            return ()
        return contenders()

    def front(self) -> Sequence[Contender]:
        """Everything that stands in front of the upstream."""
        upstream = self.upstream.url
        return (
            self._plain("nginx proxy_pass alone", peers.nginx_proxy(self.folder, upstream)),
            *self.peer(peers.require_apache, self._apache),
            *self.peer(peers.require_oauth2_proxy, self._oauth2_proxy),
            *self._sidecar(ASYNC, "async", ours.async_proxy(self.folder, upstream)),
            *self._sidecar(WSGI, "wsgi", ours.wsgi_proxy(self.folder, upstream)),
        )

    def app(self) -> Sequence[Contender]:
        """One WSGI app: with the gate in its process, and behind the peers."""
        bare = self.start(ours.served(self.folder, "bare-app", "hello()"))
        client = self._clients["in-process"]
        gated = ours.configured(self.folder, client, self.issuer, bare.origin, engine="wsgi")
        cookies = gated.cookies()
        own = self.start(
            ours.served(
                self.folder, "gated-app", f"guarded({str(gated.file)!r})", port=stack.port_of(client.origin)
            )
        )

        def behind_apache() -> Sequence[Contender]:
            client = self._clients["app-shm"]
            server = peers.mod_auth_openidc(self.folder, client, self.issuer, bare.origin, "server-cache")
            return [self._signed_in(BEHIND + SHM, client, server, behind=bare)]

        def behind_oauth2_proxy() -> Sequence[Contender]:
            client = self._clients["app-oauth2-proxy"]
            server = peers.oauth2_proxy(self.folder, client, self.issuer, bare.origin)
            return [self._signed_in(BEHIND + OAUTH2_PROXY, client, server, behind=bare)]

        return (
            Contender("the app alone", f"{bare.origin}/", (bare.group,)),
            Contender(IN_PROCESS, f"{own.origin}/", (own.group,), cookies[:1]),
            Contender(IN_PROCESS + MANY, f"{own.origin}/", (own.group,), cookies),
            *self.peer(peers.require_apache, behind_apache),
            *self.peer(peers.require_oauth2_proxy, behind_oauth2_proxy),
        )

    def _plain(self, name: str, server: AbstractContextManager[Served]) -> Contender:
        served = self.start(server)
        return Contender(name, f"{served.origin}/", (served.group,), counted=self.upstream.counted)

    def _signed_in(
        self,
        name: str,
        client: Client,
        server: AbstractContextManager[Served],
        *,
        behind: Served | None = None,
    ) -> Contender:
        served = self.start(server)
        groups = (served.group, behind.group) if behind else (served.group,)
        counted = None if behind else self.upstream.counted
        return Contender(name, f"{served.origin}/", groups, (stack.sign_in(client.origin),), counted)

    def _apache(self) -> Sequence[Contender]:
        found = [self._plain("Apache mod_proxy alone", peers.mod_proxy(self.folder, self.upstream.url))]
        for name, key, session in ((SHM, "shm", "server-cache"), (COOKIE, "cookie", "client-cookie")):
            client = self._clients[key]
            server = peers.mod_auth_openidc(self.folder, client, self.issuer, self.upstream.url, session)
            found.append(self._signed_in(name, client, server))
        return found

    def _oauth2_proxy(self) -> Sequence[Contender]:
        client = self._clients["oauth2-proxy"]
        server = peers.oauth2_proxy(self.folder, client, self.issuer, self.upstream.url)
        return [self._signed_in(OAUTH2_PROXY, client, server)]

    def _sidecar(
        self, name: str, engine: str, without: AbstractContextManager[Served]
    ) -> Sequence[Contender]:
        client = self._clients[engine]
        gated = ours.configured(self.folder, client, self.issuer, self.upstream.url, engine=engine)
        bare, served = self.start(without), self.start(ours.sidecar(gated))
        # One by a real sign-in, so that what is measured is what a person gets. The proxy without a gate is
        # asked the very same, cookies included.
        one = (stack.sign_in(client.origin),)
        many = gated.cookies(one)
        return [
            Contender(title, f"{server.origin}/", (server.group,), cookies, self.upstream.counted)
            for title, server, cookies in (
                (name + BARE, bare, one),
                (name, served, one),
                (name + MANY, served, many),
            )
        ]


def main(rounds: int = 7, seconds: float = 2) -> None:
    """Measure everything, print it and keep it."""
    try:
        peers.require_nginx()
    except peers.Missing as missing:
        sys.exit(f"Nothing can be measured without it. {missing}")
    # As an exception, so that every server is ended with the run.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Told to end; nothing is kept of this run."))
    tables: dict[str, dict[str, Row]] = {}
    with tempfile.TemporaryDirectory(prefix="oidcgate-benchmark-") as path, ExitStack() as running:
        folder = Path(path)
        field = Field(folder, running)
        said = report.versions() | peers.versions()
        for title, contenders in ((FRONT, field.front), (APP, field.app)):
            tables[title] = dict(
                interleaved(contenders(), warm, measure, rounds=rounds, seconds=seconds, folder=folder)
            )
    for missing_peer in field.left_out:
        print(f"LEFT OUT: {missing_peer}")
    print(", ".join(f"{name} {number}" for name, number in said.items()))
    for title, rows in tables.items():
        report.print_rows(title, rows)
    every = {name: row for rows in tables.values() for name, row in rows.items()}
    found = [ratio for target in TARGETS if (ratio := report.seen(target, every)) is not None]
    report.print_ratios(found)
    report.keep(tables, found, said, field.left_out)
    print(f"\nRaw figures: {report.RESULTS.relative_to(stack.ROOT)}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
