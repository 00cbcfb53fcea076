"""`oidcgate secret --password NAME`."""

import sys
from typing import Any

import pytest
from click.testing import CliRunner, Result

from oidcgate.cli import main
from oidcgate.gate.local_users import LocalUsers, entries_of

PASSWORD = "correct horse battery"


def run(*typed: str) -> Result:
    text = "".join(f"{password}\n" for password in typed)
    return CliRunner().invoke(main, ["secret", "--password", "Alice"], input=text)


def test_the_line_alone_is_on_standard_output() -> None:
    result = run(PASSWORD, PASSWORD)
    assert result.exit_code == 0
    assert result.stdout.count("\n") == 1
    assert LocalUsers(entries_of(result.stdout)[0]).admits("alice", PASSWORD)
    assert PASSWORD not in result.output


def test_a_short_password_is_refused() -> None:
    result = run("short", "short")
    assert result.exit_code == 1
    assert "take 15 characters or more" in result.output
    assert result.stdout == ""


def test_a_typing_error_is_asked_for_again() -> None:
    result = run(PASSWORD, PASSWORD + "x", PASSWORD, PASSWORD)
    assert result.exit_code == 0
    assert LocalUsers(entries_of(result.stdout)[0]).admits("alice", PASSWORD)


def test_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    missing: Any = None
    monkeypatch.setitem(sys.modules, "argon2", missing)
    result = run(PASSWORD, PASSWORD)
    assert result.exit_code == 1
    assert "pip install 'oidcgate[break-glass]'" in result.output
