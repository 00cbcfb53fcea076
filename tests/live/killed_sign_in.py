"""Kills the provider with SIGKILL at every point of a request where the database is touched, and looks at
what is left.

Run as a program by `test_login_kill`: it forks, which a test process with threads should not. Each attempt
runs in a child of its own over a copy of the same database, a file or one in PostgreSQL; a hook counts
statements and commits and kills the child at the n-th. Another child then reports what is stored and what the
person can still do. One JSON line for each attempt; the last one was not killed by the hook, but right after
its answer was complete.
"""

import json
import os
import secrets
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import event, func, select

from provider.store import schema
from tests.provider.sign_in.place import BYE, Browser, Page, World, authorize_url, claims, filled_in

State = dict[str, Any]


def in_child(work: Callable[[], Any]) -> tuple[int, Any]:
    """Run `work` in a forked child; its exit status (negative: the signal) and what it returned."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reader)
            result = json.dumps(work()).encode()
            os.write(writer, result)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), json.loads(answer) if answer else None


def browser_of(world: World, state: State) -> Browser:
    browser = world.browser()
    for name, value in state["cookies"].items():
        browser.client.set_cookie(name, value, domain="id.example")
    return browser


def request(browser: Browser, page: Page, **fields: str) -> State:
    """The next request of this browser: the form of a page, filled in."""
    return {"cookies": browser.cookies(), "url": page.action, "data": filled_in(page, **fields)}


def before_login(world: World) -> State:
    browser = world.browser()
    return request(browser, browser.authorize("trusted"), username="alice", password="demo-alice")


def before_second_login(world: World) -> State:
    """Signed in, and asked for the password again: the old session must live until the new one does."""
    browser = world.browser()
    browser.signed_in()
    page = browser.authorize("trusted", prompt="login")
    return request(browser, page, username="alice", password="demo-alice")


def before_consent(world: World) -> State:
    browser = world.browser()
    return request(browser, browser.sign_in(browser.authorize("app")), decision="allow")


def before_code(world: World) -> State:
    """The hop after the sign-in, which answers the client."""
    browser = world.browser()
    login = browser.authorize("trusted")
    page = browser.step(login.action, {**login.hidden, "username": "alice", "password": "demo-alice"})
    return {"cookies": browser.cookies(), "url": page.location, "data": None}


def before_silent_code(world: World) -> State:
    browser = world.browser()
    browser.signed_in()
    return {"cookies": browser.cookies(), "url": authorize_url("trusted", prompt="none"), "data": None}


def before_logout(world: World) -> State:
    browser = world.browser()
    tokens = world.tokens(browser.signed_in(scope="openid offline_access"))
    url = f"https://id.example/end_session?id_token_hint={tokens['id_token']}&post_logout_redirect_uri={BYE}"
    return {"cookies": browser.cookies(), "url": url, "data": None, "access_token": tokens["access_token"]}


SETUPS = {
    "login": before_login,
    "second-login": before_second_login,
    "consent": before_consent,
    "code": before_code,
    "silent-code": before_silent_code,
    "logout": before_logout,
}


def attempt(url: str, state: State, kill_at: int) -> State:
    """Make the request, killed at the `kill_at`-th touch of the database; else report its answer."""
    world = World.over(url)
    engine = world.provider.parts.store.engine
    touched = 0

    def touch(*_: object) -> None:
        nonlocal touched
        touched += 1
        if touched == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    for name in ("before_cursor_execute", "commit", "rollback"):
        event.listen(engine, name, touch)
    browser = browser_of(world, state)
    page = browser.step(state["url"], state["data"])
    # Nothing is closed: the process ends here as if it were killed with its answer just sent.
    return {"status": page.status, "location": page.location, "cookies": browser.cookies()}


def look(url: str, state: State, answer: State | None) -> State:
    """What is stored, and what happens when the same browser tries again, or goes on with the answer it
    got.
    """
    world = World.over(url)
    sessions, interactions = schema.browser_sessions, schema.interactions
    with world.provider.parts.store.read() as conn:
        live = conn.execute(select(sessions.c.sid).where(sessions.c.ended_at.is_(None))).scalars().all()
        rows = conn.execute(select(interactions.c.state, interactions.c.finished_at)).all()
        seen = {
            "live": list(live),
            "noted": [
                row.state["login"]["sid"] for row in rows if "login" in row.state and row.finished_at is None
            ],
            "agreed": ["consent" in row.state for row in rows],
            "finished": sum(row.finished_at is not None for row in rows),
            "consents": conn.scalar(select(func.count()).select_from(schema.user_attributes)),
            "codes": conn.scalar(select(func.count()).select_from(schema.codes)),
            "grants": conn.scalar(select(func.count()).select_from(schema.grants)),
            "revoked": conn.scalar(
                select(func.count()).select_from(schema.grants).where(schema.grants.c.revoked_at.is_not(None))
            ),
        }
    old = browser_of(world, state)
    seen["old_session_works"] = "code" in old.step(authorize_url("trusted", prompt="none")).answer
    again = browser_of(world, state).step(state["url"], state["data"])
    seen["again"] = {"status": again.status, "main_id": again.main_id, "location": again.location}
    if answer is not None:
        mine = browser_of(world, {**state, "cookies": answer["cookies"]})
        seen["acknowledged_session_works"] = (
            "code" in mine.step(authorize_url("trusted", prompt="none")).answer
        )
    code_page = again if answer is None or "code=" not in (answer["location"] or "") else None
    location = again.location if code_page is not None else (answer or {}).get("location")
    if location and "code=" in location:
        page = Page(again.response, "")
        page.response.headers["Location"] = location
        seen["redeemed"] = claims(world.tokens(page)["id_token"])["sub"]
    if "access_token" in state:
        seen["userinfo"] = world.userinfo_status(state["access_token"])
    return seen


@contextmanager
def files(base: Path) -> Iterator[Callable[[], str]]:
    """A function that names a file, and each time after the first a copy of what is in the first."""
    made = count()

    def new() -> str:
        number = next(made)
        if number:
            shutil.copy(base / "0.db", base / f"{number}.db")
        return f"sqlite:///{base / f'{number}.db'}"

    yield new


@contextmanager
def databases(server: Path) -> Iterator[Callable[[], str]]:
    """The same in the PostgreSQL whose socket is in that folder; nothing stays there."""
    names: list[str] = []
    with psycopg.connect(f"host={server} user=oidcgate dbname=postgres", autocommit=True) as connection:

        def new() -> str:
            name = f"kill_{secrets.token_hex(8)}"
            template = sql.Identifier(names[0] if names else "template1")
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), template)
            )
            names.append(name)
            return f"postgresql+psycopg://oidcgate@/{name}?host={server}"

        try:
            yield new
        finally:
            for name in names:
                connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def main(kind: str, new: Callable[[], str]) -> None:
    start = new()

    def prepare() -> State:
        world = World.over(start)
        state = SETUPS[kind](world)
        world.close()
        return state

    status, state = in_child(prepare)
    assert status == 0, "the setup failed"
    kill_at = 0
    while True:
        kill_at += 1
        url = new()
        status, answer = in_child(partial(attempt, url, state, kill_at))
        looked, seen = in_child(partial(look, url, state, answer))
        assert looked == 0, f"looking failed after touch {kill_at}"
        print(json.dumps({"touch": kill_at, "status": status, "answer": answer, **seen}), flush=True)
        if status == 0:
            return
        assert status == -signal.SIGKILL, f"attempt {kill_at} ended with {status}"


if __name__ == "__main__":
    with files(Path(sys.argv[2])) if len(sys.argv) == 3 else databases(Path(sys.argv[3])) as new_database:
        main(sys.argv[1], new_database)
