"""PostgreSQL: its own ways to be in trouble, each told in words that an operator understands."""

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from provider.cli.main import main
from provider.store.engine import Store, StoreUnavailable, lock_names
from provider.store.migrations import _ADVISORY_LOCK, is_current, upgrade
from tests.provider.databases import until, waiting
from tests.provider.world import SECRET, World, error_of
from tests.support.postgresql import LOCKED_ROLE, Postgresql

pytestmark = pytest.mark.live


@pytest.fixture
def database(postgresql_server: Postgresql, made_postgresql: str) -> Iterator[str]:
    """A database with tables and a signing key."""
    with postgresql_server.database(made_postgresql) as name:
        yield name


@pytest.fixture
def store(postgresql_server: Postgresql, database: str) -> Iterator[Store]:
    made = Store(postgresql_server.url(database), busy_seconds=0.2)
    with made.begin() as conn:
        conn.execute(text("CREATE TABLE t (n INTEGER PRIMARY KEY, v INTEGER)"))
        conn.execute(text("INSERT INTO t VALUES (1, 0), (2, 0)"))
    yield made
    made.dispose()


def update(store: Store, *numbers: int) -> None:
    with store.begin() as conn:
        for n in numbers:
            conn.execute(text("UPDATE t SET v = v + 1 WHERE n = :n"), {"n": n})


def values(store: Store) -> list[int]:
    with store.read() as conn:
        return list(conn.execute(text("SELECT v FROM t ORDER BY n")).scalars())


def why_not(url: str) -> str:
    """What is said of a database that cannot be used."""
    store = Store(url)
    with pytest.raises(StoreUnavailable) as caught, store.begin() as conn:
        conn.execute(text("SELECT 1 FROM grants"))
    store.dispose()
    return caught.value.detail


def test_a_row_that_another_holds_is_waited_for_and_not_for_ever(store: Store) -> None:
    other = Store(store.engine.url.render_as_string(hide_password=False))
    with other.begin() as conn:
        conn.execute(text("UPDATE t SET v = 5 WHERE n = 1"))
        with pytest.raises(StoreUnavailable) as caught:
            update(store, 2, 1)
    assert "lock timeout" in caught.value.detail
    assert values(store) == [5, 0]
    update(store, 2, 1)
    assert values(store) == [6, 1]
    other.dispose()


def test_what_the_url_says_of_waiting_wins(postgresql_server: Postgresql, database: str) -> None:
    url = postgresql_server.url(database, more="&options=-c%20lock_timeout%3D1234")
    store = Store(url)
    with store.read() as conn:
        found = [conn.execute(text(f"SHOW {name}")).scalar_one() for name in _SHOWN]
    store.dispose()
    assert found == ["1234ms", "1min", "oidcgate-provider"]


_SHOWN = ("lock_timeout", "idle_in_transaction_session_timeout", "application_name")


def test_of_two_that_wait_for_each_other_one_is_told_and_the_other_goes_on(
    postgresql_server: Postgresql, store: Store
) -> None:
    patient = Store(store.engine.url.render_as_string(hide_password=False))
    told: list[StoreUnavailable] = []
    first_has_one, second_has_two = threading.Event(), threading.Event()

    def take(mine: threading.Event, theirs: threading.Event, *numbers: int) -> None:
        try:
            with patient.begin() as conn:
                for n in numbers:
                    conn.execute(text("UPDATE t SET v = v + 1 WHERE n = :n"), {"n": n})
                    mine.set()
                    theirs.wait(30)
        except StoreUnavailable as error:
            told.append(error)

    threads = [
        threading.Thread(target=take, args=(first_has_one, second_has_two, 1, 2)),
        threading.Thread(target=take, args=(second_has_two, first_has_one, 2, 1)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [error.detail for error in told] == ["DeadlockDetected: deadlock detected"]
    assert values(store) == [1, 1]
    patient.dispose()


def test_a_site_that_wants_serializable_is_told_when_it_did_not_work_out(
    postgresql_server: Postgresql, database: str, store: Store
) -> None:
    more = "&options=-c%20default_transaction_isolation%3Dserializable"
    strict = Store(postgresql_server.url(database, more=more))

    def read_and_write_what_another_wrote() -> None:
        with strict.begin() as conn:
            conn.execute(text("SELECT sum(v) FROM t"))
            update(store, 1)
            conn.execute(text("UPDATE t SET v = 9 WHERE n = 1"))

    with pytest.raises(StoreUnavailable) as caught:
        read_and_write_what_another_wrote()
    assert caught.value.detail.startswith("SerializationFailure: could not serialize")
    assert values(store) == [1, 0]
    strict.dispose()


def test_a_database_that_may_only_be_read(postgresql_server: Postgresql, database: str, store: Store) -> None:
    more = "&options=-c%20default_transaction_read_only%3Don"
    reader = Store(postgresql_server.url(database, more=more))
    with pytest.raises(StoreUnavailable) as caught:
        update(reader, 1)
    assert "cannot execute UPDATE in a read-only transaction" in caught.value.detail
    assert values(reader) == [0, 0]
    reader.dispose()


def test_a_connection_that_was_cut_off_in_a_transaction(postgresql_server: Postgresql, store: Store) -> None:
    def be_cut_off() -> None:
        with store.begin() as conn:
            conn.execute(text("UPDATE t SET v = 7"))
            number = conn.execute(text("SELECT pg_backend_pid()")).scalar_one()
            with postgresql_server.connection() as admin:
                admin.execute("SELECT pg_terminate_backend(%s, 30000)", [number])
            conn.execute(text("SELECT 1"))

    with pytest.raises(StoreUnavailable) as caught:
        be_cut_off()
    assert "AdminShutdown" in caught.value.detail
    assert values(store) == [0, 0]


def test_a_process_that_stops_in_a_transaction_gives_its_locks_back(
    postgresql_server: Postgresql, database: str, store: Store
) -> None:
    more = "&options=-c%20idle_in_transaction_session_timeout%3D50"
    stopped = Store(postgresql_server.url(database, more=more))

    def stop() -> None:
        with stopped.begin() as conn:
            conn.execute(text("UPDATE t SET v = 7"))
            until(lambda: tried(store))
            conn.execute(text("SELECT 1"))

    with pytest.raises(StoreUnavailable):
        stop()
    assert values(store)[0] == 1
    stopped.dispose()


def tried(store: Store) -> bool:
    try:
        update(store, 1)
    except StoreUnavailable:
        return False
    return True


def test_the_names_wanted_in_two_orders_are_no_deadlock(store: Store) -> None:
    """A sign-in and a guess at the same name lock the same counters."""
    patient = Store(store.engine.url.render_as_string(hide_password=False))
    outcomes: list[str] = []

    def take(*names: str) -> None:
        with patient.begin() as conn:
            lock_names(conn, names)
            conn.execute(text("UPDATE t SET v = v + 1 WHERE n = 1"))
        outcomes.append("done")

    threads = [threading.Thread(target=take, args=names) for names in [("a", "b"), ("b", "a")] * 10]
    with patient.begin() as conn:
        lock_names(conn, ["a"])
        for thread in threads:
            thread.start()
        until(lambda: waiting(store) >= 15)
    for thread in threads:
        thread.join(60)
    assert outcomes == ["done"] * 20
    patient.dispose()


def test_another_process_that_migrates_is_waited_for_longer_than_a_request_would(
    postgresql_server: Postgresql,
) -> None:
    with postgresql_server.database() as name:
        hasty, other = (Store(postgresql_server.url(name), busy_seconds=seconds) for seconds in (0.05, 5))
        with other.begin() as conn:
            conn.execute(text(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})"))
            thread = threading.Thread(target=upgrade, args=(hasty,))
            thread.start()
            until(lambda: waiting(other) == 1)
            thread.join(0.2)  # four times the patience of a request
            assert thread.is_alive()
        thread.join(60)
        assert is_current(hasty)
        hasty.dispose()
        other.dispose()


def test_a_server_that_was_restarted_serves_the_next_request(made_database: Path, tmp_path: Path) -> None:
    """A server of its own: nobody else's tests are cut off."""
    server = Postgresql()
    try:
        world = World.over(server.url())
        code = world.code()
        assert world.browser().get("/readyz").status_code == 200
        server.stop()
        answer = world.redeem(code)
        assert error_of(answer) == (503, "temporarily_unavailable")
        assert answer.headers["Retry-After"] == "5"
        page = world.browser().get("/authorize?client_id=app")
        assert page.status_code == 503
        assert world.browser().get("/readyz").status_code == 503
        assert world.browser().get("/healthz").status_code == 200
        server.start()
        assert world.browser().get("/readyz").status_code == 200
        # Nothing of it had happened.
        assert world.redeem(code).status_code == 200
        world.provider.parts.store.dispose()
    finally:
        server.end()


@pytest.mark.row("P-15")
def test_a_wrong_password(postgresql_server: Postgresql, database: str) -> None:
    said = why_not(postgresql_server.url(database, login=f"{LOCKED_ROLE}:wrong-9xK4"))
    assert f'password authentication failed for user "{LOCKED_ROLE}"' in said
    assert "wrong-9xK4" not in said


def test_a_password_from_a_file(postgresql_server: Postgresql, database: str, tmp_path: Path) -> None:
    passfile = tmp_path / "pgpass"
    passfile.write_text(f"*:*:*:{LOCKED_ROLE}:right-7nQ2\n")
    passfile.chmod(0o600)
    url = postgresql_server.url(database, login=LOCKED_ROLE, more=f"&passfile={passfile}")
    # It came in, and only the rights are missing.
    assert "permission denied for table grants" in why_not(url)


def test_a_database_that_is_not_there(postgresql_server: Postgresql) -> None:
    assert 'database "missing" does not exist' in why_not(postgresql_server.url("missing"))


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    said = why_not(f"postgresql+psycopg://u:hunter2@/d?host={tmp_path}")
    assert "No such file or directory" in said
    assert "Is the server running" in said
    assert "hunter2" not in said


def test_tables_that_are_not_there(postgresql_server: Postgresql) -> None:
    assert 'relation "grants" does not exist' in why_not(postgresql_server.url())


def test_tables_that_belong_to_somebody_else(postgresql_server: Postgresql, database: str) -> None:
    said = why_not(postgresql_server.url(database, login=f"{LOCKED_ROLE}:right-7nQ2"))
    assert said == "InsufficientPrivilege: permission denied for table grants"


def test_a_schema_in_which_nothing_may_be_made(postgresql_server: Postgresql) -> None:
    with postgresql_server.database() as name:
        store = Store(postgresql_server.url(name, login=f"{LOCKED_ROLE}:right-7nQ2"))
        with pytest.raises(StoreUnavailable) as caught:
            upgrade(store)
        store.dispose()
    assert "permission denied for schema public" in caught.value.detail


def test_an_option_that_does_not_exist(postgresql_server: Postgresql) -> None:
    assert 'invalid connection option "colour"' in why_not(postgresql_server.url(more="&colour=red"))


def test_a_statement_that_is_wrong_is_our_own_fault(store: Store) -> None:
    with pytest.raises(ProgrammingError), store.read() as conn:
        conn.execute(text("SELECT nonsense"))


def test_a_command_says_it_without_a_traceback_and_without_the_password(
    postgresql_server: Postgresql, database: str, tmp_path: Path
) -> None:
    url = postgresql_server.url(database, login=f"{LOCKED_ROLE}:wrong-9xK4")
    config = tmp_path / "provider.toml"
    config.write_text(f'issuer = "https://id.example"\ndatabase = "{url}"\nsecret = "{SECRET}"\n')
    for command in (["check"], ["user", "list"], ["serve"]):
        result = CliRunner().invoke(main, ["--config", str(config), *command])
        assert result.exit_code == 1
        assert "the database cannot be used: OperationalError: connection failed" in result.output
        assert "password authentication failed" in result.output
        assert "wrong-9xK4" not in result.output


def test_the_commands_work_on_it(postgresql_server: Postgresql, tmp_path: Path) -> None:
    with postgresql_server.database() as name:
        config = tmp_path / "provider.toml"
        database = f'database = "{postgresql_server.url(name)}"'
        config.write_text(f'issuer = "https://id.example"\n{database}\nsecret = "{SECRET}"\n')

        def say(*command: str, typed: str = "") -> str:
            result = CliRunner().invoke(main, ["--config", str(config), *command], input=typed)
            assert result.exit_code == 0, result.output
            return result.output

        assert "database: of another version" in say("check")
        say("user", "add", "alice", "--no-password")
        say("client", "add", "--id", "app", "--redirect-uri", "https://app.example/cb")
        say("client", "disable", "app")
        say("keys", "rotate")
        assert "database: up to date" in say("check")
        assert "alice" in say("user", "list")
        assert "app" in say("client", "list")
        assert [line.split("\t")[2] for line in say("keys", "list").splitlines() if "RS256" in line] == [
            "current",
            "next",
        ]


@pytest.mark.row("P-15")
def test_the_log_of_a_broken_constraint_holds_no_value(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    try:
        with store.begin() as conn:
            conn.execute(text("INSERT INTO t VALUES (70707, 0)"))
            conn.execute(text("INSERT INTO t VALUES (70707, 0)"))
    except Exception:
        logging.getLogger("test").exception("incident")
    assert "duplicate key value violates unique constraint" in caplog.text
    assert "70707" not in caplog.text.replace("VALUES (70707, 0)", "")


def test_no_parameter_with_a_nul_gets_as_far_as_a_text_of_the_database(
    postgresql_server: Postgresql, database: str
) -> None:
    world = World.over(postgresql_server.url(database))
    good = {
        "client_id": "app",
        "redirect_uri": "https://app.example/cb",
        "response_type": "code",
        "scope": "openid",
        "state": "s",
        "nonce": "n",
        "code_challenge": "c" * 43,
        "code_challenge_method": "S256",
        "login_hint": "alice",
        "ui_locales": "en",
    }
    for name in good:
        answer = world.browser().get("/authorize", query_string={**good, name: good[name] + "\0"})
        assert answer.status_code in (303, 400), name
        if name in ("nonce", "code_challenge"):
            assert "error=invalid_request" in answer.location
    for form in (
        {"grant_type": "authorization_code", "code": "a\0", "redirect_uri": "b\0", "code_verifier": "c\0"},
        {"grant_type": "refresh_token", "refresh_token": "a\0", "scope": "b\0"},
    ):
        assert world.token(form).status_code == 400
    assert world.token(form, auth=("app\0", "x")).status_code == 401
    world.provider.parts.store.dispose()
