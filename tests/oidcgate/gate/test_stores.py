"""Which store a setting becomes, and what is told of one that cannot be."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from oidcgate.cli.doctor import doctor_of
from oidcgate.gate import stores
from oidcgate.gate.build import build
from oidcgate.gate.config import GateConfig, config_from_mapping, load_config
from oidcgate.gate.diagnosis import Verdict
from oidcgate.gate.stored_sessions import StoredSessions
from oidcgate.gate.stores import state_doubts, store_check, stores_uninstalled
from oidcgate.net.fetch import AddressRules, Fetcher
from oidcgate.settings import SettingsError
from oidcgate.storage.memory import MemoryStore
from oidcgate.storage.records import StoreUnavailable
from oidcgate.storage.redis import RedisStore
from oidcgate.storage.sql import SqlStore
from tests.oidcgate.gate.parts import ISSUER, NOW, PUBLIC_URL, SECRET, record
from tests.support.redis import redis_server


def configured(session: dict[str, object], state: dict[str, object]) -> GateConfig:
    return config_from_mapping(
        {
            "public_url": PUBLIC_URL,
            "provider": {"issuer": ISSUER, "client_id": "app", "client_secret": "client-secret"},
            "users": {"source": "any"},
            "session": {"secret": SECRET, **session},
            "state": state,
        }
    )


def made(session: dict[str, object], state: dict[str, object]) -> tuple[object, object]:
    """The stores of sessions and of state."""
    parts = build(configured(session, state))
    assert isinstance(parts.sessions, StoredSessions)
    return parts.sessions._store, parts.state


def test_redis_for_both_with_passwords_of_their_own() -> None:
    sessions, state = made(
        {"store": "rediss://gate@s:6380/2", "store_password": "canary-1"},
        {"store": "redis://t", "store_password": "canary-2", "revocation_lag_seconds": 5},
    )
    assert isinstance(sessions, RedisStore)
    assert isinstance(state, RedisStore)
    assert (sessions._server.name, sessions._server.tls, sessions._password) == ("s:6380/2", True, "canary-1")
    assert (state._server.name, state._password, state._lag_seconds) == ("t:6379/0", "canary-2", 5)
    # A session that is used is no news to other workers; a revocation is.
    assert (sessions._watched, state._watched) == ((), {"revocation"})


def test_sessions_in_the_database_of_the_state(tmp_path: Path) -> None:
    sessions, state = made({"store": "sql"}, {"store": f"sqlite:///{tmp_path}/state.db"})
    assert sessions is state
    assert list(tmp_path.iterdir()) == [], "opened by the first request of a worker"


def test_sessions_in_a_database_of_their_own(tmp_path: Path) -> None:
    url = "postgresql+psycopg://gate@db/oidcgate"
    sessions, state = made(
        {"store": f"sqlite:///{tmp_path}/sessions.db"}, {"store": url, "store_password": "canary-pw"}
    )
    assert isinstance(sessions, SqlStore)
    assert isinstance(state, SqlStore)
    assert sessions is not state
    assert state._url.password == "canary-pw"
    assert "canary" not in repr(state._url) + repr(
        configured({}, {"store": url, "store_password": "canary-pw"})
    )


@pytest.mark.parametrize(
    ("session", "state", "told"),
    [
        ("redis://h", "redis://h", ["state.store: needs redis", "session.store: needs redis"]),
        ("sealed", "rediss://h", ["state.store: needs redis"]),
        ("postgresql+psycopg://h/d", "sqlite:///s.db", ["session.store: needs psycopg"]),
        ("memcached://h", "sqlite:///s.db", ["session.store: needs pymemcache"]),
        ("sql", "sqlite:///s.db", []),
    ],
)
def test_what_is_not_installed_is_named_with_its_extra(
    session: str, state: str, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "find_spec", lambda name: None)
    config = configured({"store": session}, {"store": state})
    problems = [str(problem) for problem in stores_uninstalled(config)]
    assert [line.partition(";")[0] for line in problems] == told
    assert all("pip install 'oidcgate[" in line for line in problems)
    if told:
        with pytest.raises(SettingsError):
            build(config)


def test_files_are_taken_from_the_folder_of_the_configuration(tmp_path: Path) -> None:
    path = tmp_path / "oidcgate.toml"
    path.write_text(f"""
public_url = "{PUBLIC_URL}"
[provider]
issuer = "{ISSUER}"
client_id = "app"
client_secret = "client-secret"
[users]
source = "any"
[session]
secret = "{SECRET}"
store = "sqlite:///sessions/s.db"
""")
    config = load_config(path, {})
    assert config.session.store == f"sqlite:///{tmp_path}/sessions/s.db"
    with pytest.raises(SettingsError) as refused:
        load_config(path, {}, checks=[store_check(path, {})])
    (problem,) = refused.value.problems
    assert problem.key == "session.store"
    assert "there is no folder" in problem.message
    (tmp_path / "sessions").mkdir()
    assert load_config(path, {}, checks=[store_check(path, {})]).session == config.session
    # What systemd lets a service write to is for the state alone, where nothing else was said.
    elsewhere = load_config(path, {"STATE_DIRECTORY": "/var/lib/gate"})
    assert elsewhere.state.store == "sqlite:////var/lib/gate/oidcgate-state.db"
    assert elsewhere.session == config.session


def test_what_only_some_need_is_imported_only_where_it_is_named() -> None:
    some = "{'redis', 'pymemcache', 'psycopg'}"
    program = f"import sys, oidcgate.gate.build, oidcgate.cli; print({some} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout == "set()\n"


@pytest.mark.live
def test_a_redis_that_may_forget_is_doubted_by_check_and_doctor() -> None:
    with redis_server() as server:
        config = configured({}, {"store": server.url})
        parts = build(config)
        (doubt,) = state_doubts(config, parts.state)
        assert "set appendonly yes" in doubt
        examined = doctor_of(parts, Fetcher(AddressRules()), os.urandom)._stores()
        findings = [(each.subject, each.verdict) for each in examined]
        assert findings[:2] == [("state store", Verdict.FINE), ("state store", Verdict.DOUBT)]
        server.kill()
        with pytest.raises(StoreUnavailable, match="cannot be reached"):
            next(state_doubts(config, parts.state))
        examined = doctor_of(parts, Fetcher(AddressRules()), os.urandom)._stores()
        assert [each.verdict for each in examined if each.subject == "state store"] == [Verdict.WRONG]
        parts.state.close()
    assert list(state_doubts(configured({}, {"store": "memory"}), MemoryStore())) == []


@pytest.mark.row("G-16")
def test_the_doctor_says_how_long_the_secret_has_been_sealing(tmp_path: Path) -> None:
    parts = build(
        configured({}, {"store": f"sqlite:///{tmp_path}/state.db"}), clock=lambda: NOW + 86_400 * 40
    )
    doctor = doctor_of(parts, Fetcher(AddressRules()), os.urandom)
    assert [each.subject for each in doctor._stores()] == ["state store", "sessions"], "nobody has signed in"
    parts.sessions.create(record(), NOW)
    *_, secret = doctor._stores()
    assert (secret.subject, secret.verdict) == ("session secret", Verdict.FINE)
    assert secret.says.endswith("has been sealing for 40 day(s)")
    assert SECRET not in secret.says
    parts.state.close()
