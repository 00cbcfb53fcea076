"""Keys replaced by themselves, and certificates of which an operator hears before they end."""

import json
import logging
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from oidcgate.jose.jwt import verify
from oidcgate.jose.keys import import_public_keys
from provider.cli.main import main
from provider.services.key_care import CARE_SECONDS, ending_certificates
from provider.services.keyring import PUBLISH_AHEAD_SECONDS
from provider.store.engine import Store
from provider.store.keys import list_keys
from provider.store.schema import keys
from tests.oidcgate.jose.certified import certificate_pem, ec_key, key_pem
from tests.provider.processes import in_processes
from tests.provider.services.test_signing_pair import pair, started, states
from tests.provider.world import ISSUER, SECRET, Clock, World

DAY = 86_400
START = int(Clock().at)
FIRST, SECOND = ec_key(), ec_key()
WITHIN = pair(FIRST, ends=START + 20 * DAY)


def rows(world: World, alg: str = "RS256") -> list[tuple[str, int]]:
    """(state, not_before) of the keys of an algorithm, in the order in which they sign."""
    with world.provider.parts.store.read() as conn:
        return [(row.state, row.not_before) for row in list_keys(conn, "default") if row.alg == alg]


def tend(world: World) -> None:
    world.provider.parts.key_care.tend(world.now)


def told(world: World) -> list[dict[str, Any]]:
    events = [json.loads(line) for line in world.events]
    return [event for event in events if event["event"] == "provider.certificate_ending"]


@pytest.mark.parametrize("alg", ["RS256", "ES256"])
def test_a_key_is_followed_so_that_the_next_one_signs_on_the_day(url: str, alg: str) -> None:
    world = World.over(url, key_rotation_days=30, further_signing_algorithms=["ES256"])
    ((_, began),) = rows(world, alg)
    world.clock.at = began + 29 * DAY - 1
    tend(world)
    assert len(rows(world, alg)) == 1
    world.clock.at = began + 29 * DAY
    tend(world)
    assert len(rows(world, alg)) == 1, "looks once a minute"
    world.clock.move(CARE_SECONDS)
    tend(world)
    signs_from = world.now + PUBLISH_AHEAD_SECONDS
    assert rows(world, alg) == [("current", began), ("next", signs_from)]
    world.clock.move(CARE_SECONDS)
    tend(world)
    assert len(rows(world, alg)) == 2, "one at a time"
    world.clock.at = signs_from
    tend(world)
    assert rows(world, alg) == [("retired", began), ("current", signs_from)]
    world.provider.parts.store.dispose()


def test_a_request_is_all_it_takes(database: Path) -> None:
    world = World.over(database, key_rotation_days=1)
    world.clock.move(CARE_SECONDS)
    world.browser().get("/healthz").close()
    assert [state for state, _ in rows(world)] == ["current", "next"]
    assert '"provider.key_created"' in world.events[-1]


def test_no_token_fails_through_a_year_of_rotations(database: Path) -> None:
    """A verifier that keeps the key set for an hour, and a provider that is asked now and then."""
    world = World.over(database, key_rotation_days=7, signing_algorithm="ES256")
    kids = set()
    for _ in range(120):
        public = import_public_keys(world.browser().get("/jwks").get_json())
        world.clock.move(3600)
        header = verify(world.tokens()["id_token"], public, ["ES256"]).header
        kids.add(header["kid"])
        tend(world)
        world.clock.move(3 * DAY)
        tend(world)
    assert len(kids) > 25


def test_keys_stay_without_the_setting_and_so_do_those_of_the_configuration(database: Path) -> None:
    world = World.over(database)
    world.clock.move(400 * DAY)
    tend(world)
    assert len(rows(world)) == 1
    world = World.over(database, **pair(FIRST, ends=START + 4000 * DAY), key_rotation_days=7)
    world.clock.move(90 * DAY)
    tend(world)
    assert [state for state, _ in rows(world, "ES256")] == ["current"]
    assert [state for state, _ in rows(world, "RS256")] == ["current", "next"]


def test_one_next_key_however_many_processes_look(database: Path) -> None:
    World.over(database, key_rotation_days=1).provider.parts.store.dispose()

    def look() -> None:
        world = World.over(database, key_rotation_days=1)
        world.clock.move(CARE_SECONDS)
        tend(world)

    assert in_processes(4, look) == [0] * 4
    assert [state for state, _ in rows(World.over(database))] == ["current", "next"]


def test_keys_of_long_ago_are_forgotten(database: Path) -> None:
    world = World.over(database)
    parts = world.provider.parts
    parts.keys.rotate(parts.store, world.realm, "RS256", world.now, at_once=True)
    world.clock.move(399 * DAY)
    tend(world)
    assert len(rows(world)) == 2
    world.clock.move(2 * DAY)
    tend(world)
    assert [state for state, _ in rows(world)] == ["current"]


@pytest.mark.row("S-30")
def test_a_certificate_that_ends_is_told_at_start_and_then_once_a_day(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "provider")
    world = started(url, WITHIN)
    (event,) = told(world)
    assert (event["realm"], event["alg"], event["ends_at"]) == ("default", "ES256", START + 20 * DAY)
    assert event["kid"] in states(world)
    (line,) = caplog.messages
    assert line == (
        f"realm default: the certificate of key {event['kid']} (ES256) ends at 2027-02-04 08:00:00Z; "
        "configure another signing_cert and signing_key"
    )
    for minute in range(1, 1440, 60):
        world.clock.at = START + minute * 60
        tend(world)
    assert len(told(world)) == 1
    other = World(world.provider, world.clock)  # its events are those of the first
    world.clock.at = START + DAY
    tend(other)
    assert len(told(world)) == 2
    world.clock.at = START + DAY + CARE_SECONDS
    tend(world)
    assert len(told(world)) == 2
    assert len(told(started(url, WITHIN, START + DAY + 120))) == 1, "a start always tells"
    world.provider.parts.store.dispose()


@pytest.mark.row("S-30")
def test_of_all_processes_one_tells(database: Path, tmp_path: Path) -> None:
    world = started(database, WITHIN)
    world.provider.parts.store.dispose()
    assert len(told(world)) == 1
    said = tmp_path / "said"
    said.touch()

    def look() -> None:
        # As a worker does: what was made before the fork, over a connection of its own.
        world.clock.at = START + DAY
        tend(world)
        with said.open("a") as file:
            file.write("x" * (len(told(world)) - 1))

    assert in_processes(4, look) == [0] * 4
    assert said.read_text() == "x"


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        pytest.param(START + 30 * DAY, 1, id="thirty-days"),
        pytest.param(START + 30 * DAY + 1, 0, id="a-second-more"),
    ],
)
def test_thirty_days_before(database: Path, ends: int, expected: int) -> None:
    assert len(told(started(database, pair(FIRST, ends=ends)))) == expected


def test_nothing_is_said_once_another_certificate_waits(database: Path) -> None:
    started(database, WITHIN)
    world = started(database, pair(SECOND))
    assert told(world) == []
    # One that begins to sign too late is no successor.
    with world.provider.parts.store.begin() as conn:
        conn.execute(keys.update().where(keys.c.state == "next").values(not_before=START + 20 * DAY))
    with world.provider.parts.store.read() as conn:
        present = list_keys(conn, "default")
    assert [ending.alg for ending in ending_certificates(world.realm, present, world.now)] == ["ES256"]


def test_a_generated_certificate_is_renewed_by_rotating(database: Path) -> None:
    world = World.over(database)
    world.clock.move(3650 * DAY - 30 * DAY)
    tend(world)
    (event,) = told(world)
    with world.provider.parts.store.read() as conn:
        (ending,) = ending_certificates(world.realm, list_keys(conn, "default"), world.now)
    assert str(ending).endswith("; run `oidcgate-provider keys rotate --algorithm RS256`")
    assert event["kid"] == ending.kid


def test_a_database_in_trouble_is_left_alone(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World.over(database, key_rotation_days=1)
    monkeypatch.setattr(
        world.provider.parts.key_care, "store", Store(f"sqlite:///{database.parent / 'none' / 'x.db'}")
    )
    world.clock.move(CARE_SECONDS)
    tend(world)
    world.browser().get("/healthz").close()
    assert world.provider.parts.key_care.due_at > world.now


@pytest.mark.row("S-30")
def test_check_warns_of_it(tmp_path: Path) -> None:
    now = int(time.time())
    (tmp_path / "cert.pem").write_bytes(certificate_pem(FIRST, begins=now - DAY, ends=now + 10 * DAY))
    (tmp_path / "key.pem").write_bytes(key_pem(FIRST))
    (tmp_path / "key.pem").chmod(0o600)
    config = tmp_path / "provider.toml"
    config.write_text(
        f'issuer = "{ISSUER}"\nsecret = "{SECRET}"\ndatabase = "sqlite:///{tmp_path}/provider.db"\n'
        'signing_algorithm = "ES256"\nsigning_cert_file = "cert.pem"\nsigning_key_file = "key.pem"\n'
    )

    def run(*command: str, code: int = 0) -> Any:
        result = CliRunner().invoke(main, ["--config", str(config), *command])
        assert result.exit_code == code, result.output
        return result

    assert "warning" not in run("check").stdout, "there is no database yet"
    run("keys", "list")
    for _ in range(2):
        said = run("check")
        (line,) = (line for line in said.stdout.splitlines() if line.startswith("warning: "))
        assert "configure another signing_cert and signing_key" in line
        assert '"provider.certificate_ending"' in said.stderr
        assert said.stdout.splitlines()[-1] == "The configuration is right."
    (tmp_path / "cert.pem").write_bytes(certificate_pem(FIRST, begins=now - 2 * DAY, ends=now - DAY))
    assert "is when the certificate ended" in run("check", code=1).stderr
