"""`oidcgate users pins` and `users clear-pins`."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from oidcgate.cli import main
from oidcgate.gate.pins import Pin, Pins
from oidcgate.storage.sql import SqlStore

SECRET = "Zq3vN8r0Yk1Hn5uWb7Xc2Jd4Lf6Mg9Pa-sTeRiVoXyZ"
NOW = 1_800_000_000
pytestmark = pytest.mark.row("C-12")


def run(config: Path, *arguments: str) -> Result:
    group, command, *rest = arguments
    return CliRunner().invoke(main, [group, command, "--config", str(config), *rest])


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "oidcgate.toml"
    path.write_text(
        'public_url = "https://app.example.com"\n'
        '[provider]\nissuer = "https://id.example"\nclient_id = "app"\nclient_secret = "do-not-show"\n'
        f'[users]\nsource = "file:users.toml"\n[session]\nsecret = "{SECRET}"\n'
    )
    return path


@pytest.fixture
def pins(tmp_path: Path) -> Pins:
    pins = Pins(SqlStore(f"sqlite:///{tmp_path}/oidcgate-state.db"))
    pins.claim("Alice", "https://old.example", "1", NOW)
    pins.claim("bob", "https://id.example", "2", NOW)
    pins.claim("carol", "https://old.example", "3", NOW)
    return pins


def test_pins_are_listed(config: Path, pins: Pins) -> None:
    assert run(config, "users", "pins").output.splitlines() == [
        "Alice\t2027-01-15T08:00:00Z\thttps://old.example\t1",
        "bob\t2027-01-15T08:00:00Z\thttps://id.example\t2",
        "carol\t2027-01-15T08:00:00Z\thttps://old.example\t3",
    ]


def test_one_pin_as_json(config: Path, pins: Pins) -> None:
    result = run(config, "users", "pins", "--user", "BOB", "--json")
    assert Pin(**json.loads(result.output)) == Pin("bob", "https://id.example", "2", NOW)
    assert run(config, "users", "pins", "--user", "mallory").output == ""


def test_names_are_cleared_and_those_without_a_pin_are_told(config: Path, pins: Pins) -> None:
    result = run(config, "users", "clear-pins", "ALICE", "mallory")
    assert result.exit_code == 1
    assert "1 pin cleared." in result.output
    assert "mallory: nobody has signed in under that name" in result.output
    assert [pin.user_name for pin in pins.every(NOW)] == ["bob", "carol"]


def test_all_names_of_a_provider_that_was_replaced(config: Path, pins: Pins) -> None:
    result = run(config, "users", "clear-pins", "--issuer", "https://old.example")
    assert result.exit_code == 0
    assert "2 pins cleared." in result.output
    assert [pin.user_name for pin in pins.every(NOW)] == ["bob"]


@pytest.mark.parametrize(
    "arguments", [(), ("alice", "--issuer", "https://old.example")], ids=["none", "both"]
)
def test_what_to_clear_is_said_once(config: Path, pins: Pins, arguments: tuple[str, ...]) -> None:
    result = run(config, "users", "clear-pins", *arguments)
    assert result.exit_code == 2
    assert len(list(pins.every(NOW))) == 3


def test_a_gate_in_which_nobody_signed_in_gets_no_file_by_asking(config: Path, tmp_path: Path) -> None:
    result = run(config, "users", "pins")
    assert result.exit_code == 1
    assert "nobody has signed in yet" in result.output
    assert not (tmp_path / "oidcgate-state.db").exists()


def test_pins_in_memory_are_the_servers_own(config: Path) -> None:
    config.write_text(config.read_text() + '[state]\nstore = "memory"\n')
    result = run(config, "users", "pins")
    assert result.exit_code == 1
    assert "start the server anew instead" in result.output


def test_a_damaged_store_is_told_and_not_raised(config: Path, tmp_path: Path) -> None:
    (tmp_path / "oidcgate-state.db").write_bytes(b"no database" * 1000)
    result = run(config, "users", "pins")
    assert result.exit_code == 1
    assert "is damaged or no database" in result.output


def test_a_wrong_configuration_is_told_first(config: Path) -> None:
    config.write_text(config.read_text() + "[stat]\n")
    result = run(config, "users", "clear-pins", "alice")
    assert result.exit_code == 1
    assert "stat" in result.output
