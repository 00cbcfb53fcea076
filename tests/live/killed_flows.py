"""Kills the provider with SIGKILL at every touch of the database by one request of each flow, and looks at
what is left.

Run as a program by `test_flow_kills`, for the reasons that `killed_sign_in` has. Each attempt runs in a child
over a copy of the same database; a hook counts statements, commits and rollbacks and kills the child at the
n-th. A provider that is started then reports what is stored, what is wrong with it (`kill_invariants`), and
what comes of sending the same request again. One JSON line for each attempt; the last but one was killed when
its answer was complete and nobody had seen it, the last one by nobody.

Arguments: a folder, at every which touch to kill, and the folder of PostgreSQL's socket if it is that.
"""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pyotp
from psycopg import sql
from sqlalchemy import event

from oidcgate.protocol.token import DEVICE_CODE
from provider.store.schema import metadata
from tests.live.kill_invariants import Rows, Told, broken
from tests.live.killed_sign_in import browser_of, in_child
from tests.provider.sign_in.place import (
    CALLBACK,
    VERIFIER,
    Browser,
    Page,
    World,
    authorize_url,
    client,
    filled_in,
)

State = dict[str, Any]

ASK = ["introspection", "revocation", "refresh_token"]
SETTINGS: dict[str, Any] = {
    "second_factor": {"mode": "acr", "enrol_at_sign_in": True},
    "scopes": [{"value": "jobs"}],
    "clients": [
        client("app", trusted=True, flows=["authorization_code", "implicit", "hybrid", *ASK]),
        client("asks", flows=["authorization_code", *ASK]),
        client("strong", trusted=True, second_factor="required"),
        client("robot", flows=["client_credentials", "introspection"], scopes=["jobs"], redirect_uris=[]),
        client("till", flows=["password", *ASK], redirect_uris=[]),
        client("tv", trusted=True, flows=["device_code", *ASK], redirect_uris=[]),
    ],
}
OFFLINE = "openid offline_access"
#: Columns that say nothing but which one it is, and when.
_NAMES = ("_hash", "_id", "sid", "_sealed", "sealed_secret", "user_code", "value", "last_step", "seen_at")
#: Tables of what is counted before anything happens, and of keys.
_ASIDE = frozenset({"throttle", "assertions", "keys", "alembic_version"})


# -- What comes before the request that is killed: {"url", "data", "cookies"} or {"client", "path", "form"}.


def in_browser(browser: Browser, page: Page, **fields: str) -> State:
    return {"url": page.action, "data": filled_in(page, **fields), "cookies": browser.cookies()}


def on(browser: Browser, url: str | None) -> State:
    return {"url": url, "data": None, "cookies": browser.cookies()}


def by(client_id: str, path: str = "/token", **form: str) -> State:
    return {"client": client_id, "path": path, "form": form}


def password_given(browser: Browser, url: str, name: str = "alice") -> Page:
    """The answer to the form with the password, not followed."""
    page = browser.go(url)
    return browser.step(page.action, filled_in(page, username=name, password=f"demo-{name}"))


def front(response_type: str, world: World) -> State:
    browser = world.browser()
    url = authorize_url("app", response_type=response_type, scope=OFFLINE, response_mode="fragment")
    return on(browser, password_given(browser, url).location)


def redeeming(response_type: str, world: World) -> State:
    page = world.browser().signed_in("app", response_type=response_type, scope=OFFLINE)
    given = page.answer
    form = {"code": given["code"], "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    return by("app", grant_type="authorization_code", **form) | {"told": vars(told_in(given))}


def tokens(world: World) -> dict[str, Any]:
    return world.tokens(world.browser().signed_in("app", scope=OFFLINE), "app")


def refreshing(world: World) -> State:
    given = tokens(world)
    request = by("app", grant_type="refresh_token", refresh_token=given["refresh_token"])
    return request | {"told": vars(told_in(given))}


def giving_back(name: str, world: World) -> State:
    given = tokens(world)
    return by("app", "/revoke", token=given[name]) | {"told": vars(told_in(given))}


def started(world: World) -> tuple[dict[str, Any], Told]:
    answer = world.post_token({"scope": OFFLINE}, "tv", "/device_authorization").get_json()
    return answer, Told(device_codes=(answer["device_code"],))


def allowing_a_device(world: World) -> State:
    """The hop after the sign-in, on which the device gets its grant."""
    device, told = started(world)
    browser = world.browser()
    page = browser.submit(browser.go(device["verification_uri"]), user_code=device["user_code"])
    page = browser.submit(page, decision="allow")
    page = browser.step(page.action, filled_in(page, username="alice", password="demo-alice"))
    return on(browser, page.location) | {"told": vars(told)}


def asking_for_a_device(world: World) -> State:
    device, told = started(world)
    browser = world.browser()
    page = browser.submit(browser.go(device["verification_uri"]), user_code=device["user_code"])
    browser.sign_in(browser.submit(page, decision="allow"))
    request = by("tv", grant_type=DEVICE_CODE, device_code=device["device_code"])
    return request | {"told": vars(told)}


def agreeing(world: World) -> State:
    browser = world.browser()
    return in_browser(browser, browser.signed_in("asks", scope=OFFLINE), decision="allow")


def withdrawing(world: World) -> State:
    browser = world.browser()
    page = browser.submit(browser.signed_in("asks", scope=OFFLINE), decision="allow")
    return {"withdraw": "asks", "told": vars(told_in(world.tokens(page, "asks")))}


def secret_on(page: Page) -> pyotp.TOTP:
    return pyotp.TOTP(page.text.partition('id="secret">')[2].partition("<")[0].replace(" ", ""))


def enrolling(world: World) -> State:
    browser = world.browser()
    page = browser.signed_in("strong")
    return in_browser(browser, page, otp=secret_on(page).at(world.now))


def showing_a_code(world: World) -> State:
    browser = world.browser()
    page = browser.signed_in("strong")
    phone = secret_on(page)
    browser.submit(page, otp=phone.at(world.now))
    other = world.browser()
    return in_browser(other, other.signed_in("strong"), otp=phone.at(world.now + 30))


FLOWS: dict[str, Callable[[World], State]] = {
    "code": partial(front, "code"),
    "hybrid": partial(front, "code id_token token"),
    "implicit": partial(front, "id_token token"),
    "redeem-code": partial(redeeming, "code"),
    "redeem-hybrid": partial(redeeming, "code id_token token"),
    "refresh": refreshing,
    "client-credentials": lambda _: by("robot", grant_type="client_credentials", scope="jobs"),
    "password": lambda _: by(
        "till", grant_type="password", username="alice", password="demo-alice", scope=OFFLINE
    ),
    "device-start": lambda _: by("tv", "/device_authorization", scope=OFFLINE),
    "device-allow": allowing_a_device,
    "device-tokens": asking_for_a_device,
    "revoke-refresh-token": partial(giving_back, "refresh_token"),
    "revoke-access-token": partial(giving_back, "access_token"),
    "consent": agreeing,
    "withdraw-consent": withdrawing,
    "enrol": enrolling,
    "otp": showing_a_code,
}


# -- The request, and what it says.


def send(world: World, state: State) -> dict[str, Any]:
    """Make the request; its answer in JSON."""
    if "withdraw" in state:
        parts, realm = world.provider.parts, world.provider.parts.realms[0]
        with parts.store.begin() as conn:
            event = parts.consents.withdraw(
                conn, realm, "sub-alice", state["withdraw"], world.now, by="person"
            )
        return {"kind": "withdrawn" if event else "nothing to withdraw", "told": {}}
    if "client" in state:
        response = world.post_token(state["form"], state["client"], state["path"])
        document = response.get_json(silent=True) or {}
        kind = f"{response.status_code} {document.get('error', '')}".strip()
        return {"kind": kind, "told": vars(told_in(document))}
    browser = browser_of(world, state)
    page = browser.step(state["url"], state["data"])
    kind = f"{page.status} {page.main_id or ''}".strip()
    given: Mapping[str, str] = {}
    if page.location is not None and page.location.startswith(CALLBACK):
        kind, given = "answered", page.answer
    return {"kind": kind, "told": vars(told_in(given))}


def told_in(answer: Mapping[str, Any]) -> Told:
    names = {"codes": "code", "device_codes": "device_code"}
    names |= {f"{kind}_tokens": f"{kind}_token" for kind in ("access", "refresh")}
    return Told(**{table: (answer[name],) for table, name in names.items() if name in answer})


def working(world: World, told: Told) -> int:
    """How many of the tokens are good, as the provider itself says to the client that holds them."""
    count = 0
    for text in (*told.access_tokens, *told.refresh_tokens):
        count += any(
            world.post_token({"token": text}, client_id, "/introspect").get_json()["active"]
            for client_id in ("app", "asks", "robot", "till", "tv")
        )
    return count


# -- Attempts.


def rows_of(world: World) -> Rows:
    with world.provider.parts.store.read() as conn:
        return {
            name: [dict(row) for row in conn.execute(table.select()).mappings()]
            for name, table in metadata.tables.items()
        }


def shape(rows: Rows) -> list[str]:
    """What is stored, but for what is random and for the time: the same wherever the same has happened."""
    return sorted(
        json.dumps([name, {column: _plain(column, value) for column, value in row.items()}])
        for name, table in rows.items()
        if name not in _ASIDE
        for row in table
    )


def _plain(column: str, value: Any) -> Any:
    if isinstance(value, dict):
        return sorted(name for name in value if value[name] is not None)
    if column.endswith(("_at", "_time", *_NAMES)) and column not in ("client_id", "user_id", "realm_id"):
        return value is not None
    return value


def attempt(world: World, state: State, kill_at: int) -> dict[str, Any]:
    """Make the request, killed at the `kill_at`-th touch of the database, the end of the request counted as
    one; else report its answer, and how many there were.
    """
    touched = 0

    def touch(*_: object) -> None:
        nonlocal touched
        touched += 1
        if touched == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    for name in ("before_cursor_execute", "commit", "rollback"):
        event.listen(world.provider.parts.store.engine, name, touch)
    answer = send(world, state)
    touch()
    return {**answer, "touches": touched}


def look(url: str, state: State, answer: dict[str, Any] | None) -> dict[str, Any]:
    """What a provider finds that is started now, and what comes of the same request again."""
    world = World.over(url, **SETTINGS)
    told = told_by(state)
    answered = Told() if answer is None else told_by(answer)
    # What is given back is not kept.
    kept = Told() if state.get("path") == "/revoke" else told + answered
    rows = rows_of(world)
    seen: dict[str, Any] = {
        "shape": shape(rows),
        "broken": broken(rows, kept) + damage(world),
        "told_works": working(world, told),
        "answer_works": [working(world, answered), len(answered.access_tokens + answered.refresh_tokens)],
    }
    again = send(world, state)
    given = told_by(again)
    rows = rows_of(world)
    seen["again"] = again["kind"]
    seen["broken_after"] = broken(rows, kept + given)
    seen["again_works"] = [working(world, given), len(given.access_tokens + given.refresh_tokens)]
    seen["answer_works_after"] = working(world, answered)
    seen["told_works_after"] = working(world, told)
    world.close()
    return seen


def damage(world: World) -> list[str]:
    """What SQLite says of its file. What a killed client leaves in a server is the server's own affair."""
    if world.provider.parts.store.engine.dialect.name != "sqlite":
        return []
    with world.provider.parts.store.read() as conn:
        verdict = conn.exec_driver_sql("PRAGMA integrity_check").scalars().all()
    return [line for line in verdict if line != "ok"]


def told_by(state: Mapping[str, Any]) -> Told:
    return Told(**{name: tuple(texts) for name, texts in state.get("told", {}).items()})


class Files:
    """Databases that are files of a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def url(self, name: str) -> str:
        return f"sqlite:///{self._folder / f'{name}.db'}"

    def copy(self, source: str, target: str) -> None:
        """Make one what another is, which nobody has open."""
        for left in self._folder.glob(f"{target}.db*"):
            left.unlink()
        data = (self._folder / f"{source}.db").read_bytes()
        (self._folder / f"{target}.db").write_bytes(data)


class Databases:
    """The same in the PostgreSQL whose socket is in a folder."""

    def __init__(self, connection: "psycopg.Connection[Any]", server: Path, prefix: str) -> None:
        self._connection, self._server, self._prefix = connection, server, prefix
        self._connection.execute(self._statement("CREATE DATABASE {}", "made"))

    def url(self, name: str) -> str:
        return f"postgresql+psycopg://oidcgate@/{self._prefix}{name}?host={self._server}"

    def copy(self, source: str, target: str) -> None:
        self.drop(target)
        self._connection.execute(self._statement("CREATE DATABASE {} TEMPLATE {}", target, source))

    def drop(self, name: str) -> None:
        self._connection.execute(self._statement("DROP DATABASE IF EXISTS {} WITH (FORCE)", name))

    def _statement(self, text: str, *names: str) -> sql.Composed:
        return sql.SQL(text).format(*(sql.Identifier(self._prefix + name) for name in names))  # type: ignore[arg-type]  # ours


@contextmanager
def databases(folder: Path, server: str | None) -> Iterator[Files | Databases]:
    if server is None:
        yield Files(folder)
        return
    with psycopg.connect(f"host={server} user=oidcgate dbname=postgres", autocommit=True) as connection:
        made = Databases(connection, Path(server), f"kill_{os.getpid()}_")
        try:
            yield made
        finally:
            for name in ("made", "start", "work"):
                made.drop(name)


def prepare(url: str, flow: str) -> State:
    world = World.over(url, **SETTINGS)
    state = FLOWS[flow](world)
    world.close()
    return state


def run(flow: str, stock: Files | Databases, step: int) -> None:
    """The attempts of one flow: at every `step`-th touch, and at the last."""
    stock.copy("made", "start")
    status, state = in_child(partial(prepare, stock.url("start"), flow))
    assert status == 0, f"the setup of {flow} failed"
    stock.copy("start", "work")
    world = World.over(stock.url("work"), **SETTINGS)
    world.close()

    def tried(kill_at: int) -> dict[str, Any]:
        stock.copy("start", "work")
        status, answer = in_child(partial(attempt, world, state, kill_at))
        assert status == (-signal.SIGKILL if kill_at else 0), f"attempt {kill_at} of {flow}: {status}"
        looked, seen = in_child(partial(look, stock.url("work"), state, answer))
        assert looked == 0, f"looking failed after touch {kill_at} of {flow}"
        touches = answer and answer["touches"]
        return {"flow": flow, "killed_at": kill_at, "touches": touches, **seen}

    complete = tried(0)
    for kill_at in sorted({*range(1, complete["touches"], step), complete["touches"]}):
        print(json.dumps(tried(kill_at)), flush=True)
    print(json.dumps(complete), flush=True)


def main(folder: Path, step: int, server: str | None) -> None:
    with databases(folder, server) as stock:
        status, _ = in_child(lambda: World.over(stock.url("made"), **SETTINGS).close())
        assert status == 0
        for flow in FLOWS:
            run(flow, stock, step)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else None)
