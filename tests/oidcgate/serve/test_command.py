"""`oidcgate serve` before it serves: what is wrong, what is in force, what is missing."""

import builtins
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from oidcgate.cli import main
from oidcgate.gate.config import load_config
from oidcgate.serve.app import sidecar_problems
from tests.oidcgate.serve.sidecars import SECRET, Configured, configured

UPSTREAM = "http://127.0.0.1:8081"


@pytest.fixture
def at(tmp_path: Path) -> Configured:
    return configured(tmp_path, UPSTREAM)


def check(at: Configured, *options: str) -> Result:
    arguments = ["serve", "--config", str(at.file), "--check", *options]
    return CliRunner().invoke(main, arguments, env={"OIDCGATE_CONFIG": None})


def replaced(at: Configured, old: str, new: str) -> Configured:
    text = at.file.read_text()
    assert old in text
    at.file.write_text(text.replace(old, new))
    return at


@pytest.mark.row("A-05")
def test_what_is_in_force(at: Configured) -> None:
    result = check(at)
    assert result.exit_code == 0, result.output
    for line in (
        f"http://127.0.0.1:{at.port}",
        UPSTREAM,
        f"redirect URI to register at the IdP:    http://127.0.0.1:{at.port}/.oidcgate/callback",
        f"post-logout redirect URI to register:   http://127.0.0.1:{at.port}/.oidcgate/logged-out",
        f"http://127.0.0.1:{at.metrics_port}/metrics",
        "The configuration is right.",
    ):
        assert line in result.output
    assert SECRET not in result.output
    assert list(at.file.parent.glob("*.db*")) == []


def test_every_problem_at_once(at: Configured) -> None:
    replaced(at, "workers = 2", "wrokers = 2")
    replaced(at, 'engine = "async"', 'engine = "asnyc"')
    result = check(at)
    assert result.exit_code == 2
    assert "serve.wrokers: is not a setting; did you mean 'workers'?" in result.stderr
    assert "did you mean 'async'?" in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        pytest.param(f'upstream = "{UPSTREAM}"', "", "proxy.upstream: is missing", id="no-upstream"),
        pytest.param(
            "[session]",
            '[state]\nstore = "memory"\n[session]',
            "state.store: 'memory' is for one process, and there are 2",
            id="memory-for-two",
        ),
        pytest.param(
            "[session]",
            '[state]\nstore = "memory"\n[session]\nstore = "memory"',
            "session.store: 'memory' is for one process, and there are 2",
            id="sessions-in-memory-for-two",
        ),
    ],
)
def test_what_a_gate_can_do_and_a_sidecar_cannot(at: Configured, old: str, new: str, said: str) -> None:
    result = check(replaced(at, old, new))
    assert result.exit_code == 2
    assert said in result.stderr


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.2", "[::1]"])
def test_an_upstream_that_is_the_sidecar_itself(host: str, at: Configured) -> None:
    replaced(at, UPSTREAM, f"http://{host}:{at.port}")
    for command in (["serve", "--check"], ["check", "--offline"]):
        result = CliRunner().invoke(main, [*command, "--config", str(at.file)], env={})
        assert result.exit_code != 0
        assert "is where the sidecar itself listens" in result.stderr


def test_known_users_that_cannot_be_read_are_told(at: Configured) -> None:
    for users in at.file.parent.glob("users.*"):
        users.unlink()
    result = check(at)
    assert result.exit_code == 2
    assert "users" in result.stderr


def test_certificates_that_are_none(at: Configured) -> None:
    (at.file.parent / "ca.pem").write_text("no certificate")
    replaced(at, f'"{UPSTREAM}"', '"https://127.0.0.1:8443"\nca_file = "ca.pem"')
    result = check(at)
    assert result.exit_code == 2
    assert "certificate" in result.stderr
    assert "Traceback" not in result.output


def test_memory_is_enough_for_one_worker(at: Configured) -> None:
    replaced(at, "workers = 2", "workers = 1")
    replaced(at, "[session]", '[state]\nstore = "memory"\n[session]')
    assert list(sidecar_problems(load_config(at.file, {}))) == []
    two = load_config(at.file, {"OIDCGATE_SERVE__WORKERS": "2"})
    assert [problem.key for problem in sidecar_problems(two)] == ["state.store"]


def test_a_check_needs_no_address_to_be_free(at: Configured) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", at.metrics_port))
        taken.listen()
        assert check(at).exit_code == 0


def test_an_address_for_metrics_that_is_taken(at: Configured) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", at.metrics_port))
        taken.listen()
        done = subprocess.run(
            [sys.executable, "-m", "oidcgate", "serve", "--config", at.file],
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 2
    assert f"serve.metrics_bind: '127.0.0.1:{at.metrics_port}' cannot be used" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("missing", ["gunicorn", "uvicorn", "httptools", "uvloop"])
def test_what_is_not_installed_is_named(
    at: Configured, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name == "oidcgate.serve.arbiter":
            raise ModuleNotFoundError(name=f"{missing}.x")
        return imported(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    result = check(at)
    assert result.exit_code == 1
    assert f"serve needs {missing}: pip install 'oidcgate[serve]'" in result.stderr


def test_another_missing_module_is_no_matter_of_extras(
    at: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name == "oidcgate.serve.arbiter":
            raise ModuleNotFoundError(name="oidcgate.gate.nothing")
        return imported(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    assert isinstance(check(at).exception, ModuleNotFoundError)
