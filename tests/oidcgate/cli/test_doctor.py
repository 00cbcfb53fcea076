"""`oidcgate doctor` as a command: what it prints, and with which status it ends."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from oidcgate.cli import main
from tests.support.servers import free_port

SECRET = "Zq3vN8r0Yk1Hn5uWb7Xc2Jd4Lf6Mg9Pa-sTeRiVoXyZ"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A right file, and nobody where it says that provider and gate are."""
    path = tmp_path / "oidcgate.toml"
    path.write_text(
        f'public_url = "http://localhost:{free_port()}"\n'
        f'[provider]\nissuer = "http://localhost:{free_port()}"\nclient_id = "app"\n'
        'client_secret = "do-not-show"\n'
        f'[users]\nsource = "file:users.toml"\n[session]\nsecret = "{SECRET}"\n'
        '[proxy]\nupstream = "http://127.0.0.1:9"\n'
    )
    (tmp_path / "users.toml").write_text('[[users]]\nuserName = "Alice"\n')
    return path


def test_each_finding_on_a_line_and_its_fix_below(config: Path) -> None:
    result = CliRunner().invoke(main, ["doctor", "--config", str(config)])

    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[0] == "ok       state store: sqlite: its file is not there yet; nobody has signed in"
    assert any(line.startswith("problem  http://localhost:") for line in lines)
    assert "         fix: see that it can be reached" in lines
    assert any(line.startswith("warning  public URL: cannot be reached from here") for line in lines)
    assert lines[-2] == "ok       trusted proxies: none: nobody is believed what they say of a client"
    assert lines[-1] == "6 looked at: 1 problem(s), 1 warning(s)."
    assert "do-not-show" not in result.output
    assert SECRET not in result.output


def test_for_programs(config: Path) -> None:
    result = CliRunner().invoke(main, ["doctor", "--json", "--config", str(config)])

    assert result.exit_code == 1
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert {one["verdict"] for one in found} == {"ok", "warning", "problem"}
    assert all(one.keys() == {"subject", "verdict", "says", "fix"} for one in found)


def test_a_wrong_file_is_told_as_check_tells_it(config: Path) -> None:
    config.write_text(config.read_text().replace("[users]", "[user]"))
    result = CliRunner().invoke(main, ["doctor", "--config", str(config)])

    assert result.exit_code == 1
    assert "user: is not a setting; did you mean 'users'" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("url", "told", "fix"),
    [
        pytest.param("sqlite:///none.db", "sql cannot be used: sqlite:///", "correct [users]", id="answered"),
        pytest.param(
            "postgresql+psycopg://gate@127.0.0.1:9/people",
            "sql does not answer: postgresql+psycopg://",
            "see that it can be reached",
            id="away",
        ),
    ],
)
def test_a_directory_that_is_of_no_use_is_a_finding(config: Path, url: str, told: str, fix: str) -> None:
    query = "SELECT login AS user_name FROM people"
    config.write_text(
        config.read_text().replace('"file:users.toml"', '"sql"')
        + f'[users.sql]\nurl = "{url}"\nquery = "{query}"\n'
    )
    result = CliRunner().invoke(main, ["doctor", "--json", "--config", str(config)])

    assert result.exit_code == 1
    found = [json.loads(line) for line in result.stdout.splitlines()]
    (finding,) = [one for one in found if one["subject"] == "directory"]
    assert finding["verdict"] == "problem"
    assert finding["says"].startswith(told)
    assert finding["fix"] == fix


def test_a_bundle_without_a_certificate(config: Path) -> None:
    bundle = config.with_name("ca.pem")
    bundle.write_text("no certificate")
    result = CliRunner().invoke(main, ["doctor", "--ca-file", str(bundle), "--config", str(config)])

    assert result.exit_code == 1
    assert result.stderr == f"ca_file: {str(bundle)!r} is no readable PEM bundle; name one\n"
