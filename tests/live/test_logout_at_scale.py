"""Very many applications and sessions: a sign-out answers at once, and each hears of each session.

The provider is killed in the middle and started again. In `make test` 10 clients with 8 sessions, in
`make test-heavy` 1,000 with 100: docs/logout-at-scale.md has what came of the latter.
"""

import os
import signal
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy import insert

from oidcgate.protocol.id_token import id_token_claims
from provider.services.browser_session import cookie_names, silent_token
from provider.services.opaque import new_token, token_hash
from provider.store import logout_notices, sessions
from provider.store.clients import Client, insert_client
from provider.store.engine import Store
from provider.store.schema import session_clients
from provider.store.sessions import BrowserSession
from tests.live.at_once import ask, get
from tests.live.conftest import BUILD
from tests.live.figures import Figures
from tests.live.served_provider import ServedProvider
from tests.provider.world import ALICE
from tests.support.servers import ROOT, free_port, running

pytestmark = [pytest.mark.live, pytest.mark.slow]


class Size(NamedTuple):
    """How much of it; the first clients refuse what they are told."""

    clients: int
    sessions: int
    refusing: int
    patience_seconds: int


#: Sessions with one client, signed out before the others.
FEW = 10
SMALL, FULL = Size(10, 8, 1, 90), Size(1000, 100, 10, 1800)


class Signed(NamedTuple):
    """What the browser and the first client of a session hold."""

    cookie: str
    id_token: str


@pytest.mark.row("S-19", "P-32", "P-33")
@pytest.mark.parametrize("size", [SMALL, pytest.param(FULL, marks=pytest.mark.heavy)], ids=["small", "full"])
def test_every_client_hears_of_every_session_through_a_kill(
    tmp_path: Path, empty_url: str, size: Size
) -> None:
    op = ServedProvider.configured(tmp_path, database=empty_url)
    with (tmp_path / "provider.toml").open("a") as config:
        config.write("\n[outbound]\ntimeout_seconds = 1.0\n")
    port = free_port()
    signed = fill(op, port, size)
    receiver = [sys.executable, "-m", "tests.live.logout_receiver", str(port), str(size.refusing)]
    env = {"PYTHONPATH": os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", "")))}
    with running(receiver, port=port, log=tmp_path / "receiver.log", env=env):
        store = Store(empty_url)
        try:
            figures = tell_everybody(op, store, port, signed, size)
        finally:
            store.dispose()
    print(figures)  # the figures are what this test is run for
    if size is FULL:
        database = empty_url.partition(":")[0].partition("+")[0]
        Figures(BUILD / "figures.jsonl", database).note("logout: through a kill", **figures)


def tell_everybody(
    op: ServedProvider, store: Store, port: int, signed: list[Signed], size: Size
) -> dict[str, int | float]:
    heard = FEW + size.sessions * (size.clients - size.refusing)
    name = session_cookie_of(op)
    began = time.monotonic()
    with op.served(workers=2) as server:
        took = [sign_out(op, name, one) for one in signed]
        signed_out = time.monotonic()
        until(lambda: counted(port)["received"] >= heard // 2, size)
        os.killpg(server.process.pid, signal.SIGKILL)
        server.process.wait(10)
    at_kill = counted(port)["received"]
    assert at_kill < heard, "it was over before it was killed"
    killed = time.monotonic()
    with op.served(workers=2):
        until(lambda: left(store) == (0, 0, size.sessions * size.refusing), size)
    over = time.monotonic()
    said = counted(port)
    assert (said["jtis"], said["notices"], said["more"]) == (heard, heard, 0)
    # What was on its way at the kill: no more than the processes had leased.
    assert said["received"] - said["jtis"] == said["twice"] <= 2 * 64
    return {
        "clients": size.clients,
        "sessions": size.sessions,
        "sign_out_of_one_client_ms": median_ms(took[:FEW]),
        "sign_out_ms": median_ms(took[FEW:]),
        "sign_out_ms_longest": round(1000 * max(took[FEW:]), 1),
        "taken": said["jtis"],
        "taken_twice": said["twice"],
        "listed_as_failed": size.sessions * size.refusing,
        "at_kill": at_kill,
        "seconds_to_sign_out": round(signed_out - began, 1),
        "seconds_after_kill": round(over - killed, 1),
        "seconds": round(over - began, 1),
    }


def sign_out(op: ServedProvider, cookie: str, one: Signed) -> float:
    """As an application asks for it that has an ID token of the session; returns how long it took."""
    request = get(f"/end_session?id_token_hint={one.id_token}", cookies={cookie: one.cookie})
    started = time.perf_counter()
    page = ask(op.port, request)
    took = time.perf_counter() - started
    assert (page.status, "page-logged-out" in page.text) == (200, True), page.text
    return took


def median_ms(seconds: list[float]) -> float:
    return round(1000 * statistics.median(seconds), 1)


def fill(op: ServedProvider, port: int, size: Size) -> list[Signed]:
    """Every client in every session of one person."""
    with op.provider() as made:
        parts, realm = made.parts, made.parts.realms[0]
        now = int(parts.clock())
        with parts.store.begin() as conn:
            for number in range(size.clients):
                uri = f"http://127.0.0.1:{port}/out/{number}"
                told = Client(
                    f"c{number}",
                    True,
                    now,
                    f"c{number}",
                    "none",
                    (),
                    (),
                    (),
                    (),
                    True,
                    backchannel_logout_uri=uri,
                )
                insert_client(conn, realm.id, told)
            signer = parts.keys.signer(conn, realm, "RS256", now)
            signed = []
            for number in range(FEW + size.sessions):
                token, sid = new_token(), f"sid-{number}"
                # The first ones have one client only, to compare with.
                taking_part = (
                    range(size.clients) if number >= FEW else range(size.refusing, size.refusing + 1)
                )
                sessions.add(conn, realm.id, session_of(token, sid, now))
                rows = [
                    {"realm_id": realm.id, "sid": sid, "client_id": f"c{one}", "expires_at": now + 36_000}
                    for one in taking_part
                ]
                conn.execute(insert(session_clients), rows)
                claims = id_token_claims(
                    issuer=realm.issuer, sub=ALICE, client_id="c0", now=now, lifetime_seconds=600, nonce=None,
                    auth_time=now, acr=None, amr=(), sid=sid,
                )  # fmt: skip
                signed.append(Signed(token, signer.sign(claims)))
    return signed


def session_of(token: str, sid: str, now: int) -> BrowserSession:
    return BrowserSession(
        token_hash(silent_token(token)), sid, ALICE, now, "knowledge", ("pwd",), now, now, now + 36_000
    )


def session_cookie_of(op: ServedProvider) -> str:
    with op.provider() as made:
        return cookie_names(made.parts.realms[0]).session


def left(store: Store) -> tuple[int, int, int]:
    """How many sessions nobody was told of yet, how many notices wait, how many failed."""
    with store.read() as conn:
        return logout_notices.count(conn, "default")


def counted(port: int) -> dict[str, Any]:
    return ask(port, get("/counted", cookies={})).document


def until(true: Callable[[], bool], size: Size) -> None:
    deadline = time.monotonic() + size.patience_seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)  # nothing announces how far another process is
