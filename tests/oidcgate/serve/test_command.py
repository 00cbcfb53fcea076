"""`oidcgate serve` before it serves: what is wrong, what is in force, what is missing.

Here are the rules of `checks`.
"""

import builtins
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from oidcgate.cli import main
from oidcgate.gate.config import load_config
from oidcgate.serve.checks import SIDECAR_CHECKS
from oidcgate.settings import Problem, SettingsError
from tests.oidcgate.serve.sidecars import SECRET, Configured, configured
from tests.support.servers import ROOT
from tests.support.tls import Authority

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
        f"redirect URI to register at http://127.0.0.1:1: http://127.0.0.1:{at.port}/.oidcgate/callback",
        f"post-logout redirect URI to register at http://127.0.0.1:1: http://127.0.0.1:{at.port}/.oidcgate/logged-out",
        f"back-channel logout URI to register at http://127.0.0.1:1: http://127.0.0.1:{at.port}/.oidcgate/backchannel-logout",
        f"http://127.0.0.1:{at.metrics_port}/metrics",
        "The configuration is right.",
    ):
        assert line in result.output
    assert SECRET not in result.output
    assert list(at.file.parent.glob("*.db*")) == []


@pytest.mark.parametrize("command", [["serve", "--check"], ["check", "--offline"]])
def test_settings_of_the_other_engine_are_told(at: Configured, command: list[str]) -> None:
    replaced(at, "workers = 2", "workers = 2\nthreads = 9")
    result = CliRunner().invoke(main, [*command, "--config", str(at.file)], env={})
    assert result.exit_code == 0
    assert result.stderr == (
        "warning: settings that have no effect here: serve.threads "
        '(for `oidcgate serve` with proxy.engine = "wsgi")\n'
    )
    replaced(at, 'engine = "async"', 'engine = "wsgi"')
    result = CliRunner().invoke(main, [*command, "--config", str(at.file)], env={})
    assert (result.exit_code, result.stderr) == (0, "")


def test_a_server_without_an_upstream_is_told(at: Configured) -> None:
    replaced(at, f'upstream = "{UPSTREAM}"', "")
    result = CliRunner().invoke(main, ["check", "--offline", "--config", str(at.file)], env={})
    assert result.exit_code == 0
    assert result.stderr.startswith("warning: settings that have no effect here: serve.bind, serve.workers")


def test_every_problem_at_once(at: Configured) -> None:
    replaced(at, "workers = 2", "wrokers = 2")
    replaced(at, 'engine = "async"', 'engine = "asnyc"')
    result = check(at)
    assert result.exit_code == 1
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
    assert result.exit_code == 1
    assert said in result.stderr


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.2", "[::1]"])
def test_an_upstream_that_is_the_sidecar_itself(host: str, at: Configured) -> None:
    replaced(at, UPSTREAM, f"http://{host}:{at.port}")
    for command in (["serve", "--check"], ["check", "--offline"]):
        result = CliRunner().invoke(main, [*command, "--config", str(at.file)], env={})
        assert result.exit_code != 0
        assert "is where the sidecar itself listens" in result.stderr


def test_of_several_upstreams_the_wrong_one_is_named(at: Configured) -> None:
    replaced(at, f'upstream = "{UPSTREAM}"', "")
    places = (f'[[proxy.upstreams]]\nupstream = "http://127.0.0.1:{port}"\n' for port in (8081, at.port))
    at.file.write_text(at.file.read_text() + 'path = "/x"\n'.join(places))
    result = check(at)
    assert result.exit_code == 1
    assert "proxy.upstreams[1].upstream: " in result.stderr


def test_known_users_that_cannot_be_read_are_told(at: Configured) -> None:
    for users in at.file.parent.glob("users.*"):
        users.unlink()
    result = check(at)
    assert result.exit_code == 1
    assert "users" in result.stderr


class TestCertificates:
    """Of an https upstream, told without the words of the TLS library."""

    @pytest.fixture
    def https(self, at: Configured) -> Configured:
        return replaced(at, f'"{UPSTREAM}"', '"https://127.0.0.1:8443"\n# files')

    def said(self, https: Configured, **files: Path) -> str:
        lines = "\n".join(f'{key} = "{file}"' for key, file in files.items())
        result = check(replaced(https, "# files", lines))
        assert "_ssl" not in result.output
        assert "SSL]" not in result.output
        assert result.exit_code == (1 if result.stderr else 0)
        return result.stderr

    def test_right_ones(self, https: Configured, tmp_path: Path) -> None:
        authority = Authority.create(tmp_path / "ca")
        mine = authority.issue("localhost")
        files = {"ca_file": authority.certificate, "client_cert_file": mine.certificate}
        assert self.said(https, **files, client_key_file=mine.key) == ""

    def test_files_of_something_else(self, https: Configured, tmp_path: Path) -> None:
        other = tmp_path / "other.pem"
        other.write_text("no certificate")
        # As a problem shows its value: how long the path of a test is depends on the machine.
        told = (
            Problem(
                "proxy.ca_file", str(other), "holds no certificate", "name a file of certificates in PEM"
            ),
            Problem(
                "proxy.client_cert_file",
                str(other),
                "and its key do not fit, or one of them is no PEM or needs a pass phrase",
                "name a certificate and its own key, both in PEM and without pass phrase",
            ),
        )
        assert self.said(https, ca_file=other, client_cert_file=other).splitlines() == [*map(str, told)]

    def test_the_key_of_another(self, https: Configured, tmp_path: Path) -> None:
        authority = Authority.create(tmp_path / "ca")
        mine, other = authority.issue("localhost"), authority.issue("example.com")
        said = self.said(https, client_cert_file=mine.certificate, client_key_file=other.key)
        assert "proxy.client_cert_file" in said
        assert "do not fit" in said

    def test_nobody_is_asked_for_a_pass_phrase(self, https: Configured, tmp_path: Path) -> None:
        mine = Authority.create(tmp_path / "ca").issue("localhost")
        key = load_pem_private_key(mine.key.read_bytes(), None)
        locked = BestAvailableEncryption(b"a pass phrase")
        mine.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked))
        said = self.said(https, client_cert_file=mine.certificate, client_key_file=mine.key)
        assert "needs a pass phrase" in said

    def test_one_that_is_not_there_is_told_once(self, https: Configured, tmp_path: Path) -> None:
        said = self.said(https, ca_file=tmp_path / "nowhere.pem")
        [line] = said.splitlines()
        # A long path is cut.
        assert line.startswith("proxy.ca_file: '/")
        assert line.endswith("' is not there; name a file of PEM certificates or keys")


def test_two_upstreams_for_one_place(at: Configured) -> None:
    places = '[[proxy.upstreams]]\nupstream = "http://a"\npath = "/x"\n'
    places += '[[proxy.upstreams]]\nupstream = "http://b"\npath = "/x/"\n'
    replaced(at, f'upstream = "{UPSTREAM}"', "")
    at.file.write_text(at.file.read_text() + places)
    result = check(at)
    assert result.exit_code == 1
    assert "proxy.upstreams: contradict each other; two routes for" in result.stderr


@pytest.mark.parametrize(
    ("upstream", "said"),
    [
        pytest.param(UPSTREAM, "is for an https upstream only", id="no-tls"),
        pytest.param("https://127.0.0.1:8443", "is not there", id="missing"),
        pytest.param(
            "https://127.0.0.1:8443/", "proxy.upstream: 'https://127.0.0.1:8443/' has a path", id="path"
        ),
    ],
)
def test_what_is_wrong_with_an_upstream_is_told_once(at: Configured, upstream: str, said: str) -> None:
    replaced(at, f'"{UPSTREAM}"', f'"{upstream}"\nca_file = "nowhere.pem"')
    result = check(at)
    assert result.exit_code == 1
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_memory_is_enough_for_one_worker(at: Configured) -> None:
    replaced(at, "workers = 2", "workers = 1")
    replaced(at, "[session]", '[state]\nstore = "memory"\n[session]')
    load_config(at.file, {}, checks=SIDECAR_CHECKS)
    with pytest.raises(SettingsError) as refused:
        load_config(at.file, {"OIDCGATE_SERVE__WORKERS": "2"}, checks=SIDECAR_CHECKS)
    assert [problem.key for problem in refused.value.problems] == ["state.store"]


def test_a_check_needs_no_address_to_be_free(at: Configured) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", at.metrics_port))
        taken.listen()
        assert check(at).exit_code == 0


@pytest.mark.parametrize("how", ["command", "gunicorn"])
def test_addresses_that_are_taken(at: Configured, how: str) -> None:
    command: list[str | Path] = [sys.executable, "-m", "oidcgate", "serve", "--config", at.file]
    pid_file = at.file.parent / "pid"
    if how == "gunicorn":
        conf = ROOT / "conf" / "gunicorn.conf.py"
        command = [sys.executable, "-m", "gunicorn", "-c", conf, "--pid", pid_file]
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", at.port))
        one.listen()
        other.bind(("127.0.0.1", at.metrics_port))
        other.listen()
        done = subprocess.run(
            command,
            env={**os.environ, "OIDCGATE_CONFIG": str(at.file), "TMPDIR": str(at.file.parent)},
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 1
    for key, port in (("serve.bind", at.port), ("serve.metrics_bind", at.metrics_port)):
        assert f"{key}: '127.0.0.1:{port}' is in use by another program; end that one" in done.stderr
    assert "Traceback" not in done.stderr
    assert "listening on" not in done.stderr
    assert not pid_file.exists()
    assert list(at.file.parent.glob("oidcgate-metrics-*")) == []


def test_a_secret_file_that_is_missing_hides_nothing_else(at: Configured) -> None:
    replaced(at, f'secret = "{SECRET}"', 'secret_file = "nowhere"')
    replaced(at, "workers = 2", "workers = 2\nhead_seconds = 0")
    replaced(at, UPSTREAM, f"http://127.0.0.1:{at.port}")
    replaced(at, "[session]", '[state]\nstore = "memory"\n[session]')
    (at.file.parent / "users.toml").unlink()
    for command in (["serve", "--check"], ["check", "--offline"]):
        result = CliRunner().invoke(main, [*command, "--config", str(at.file)], env={})
        assert result.exit_code == 1
        assert sorted(line.split(":")[0] for line in result.stderr.splitlines()) == [
            str(at.file.parent / "users.toml"),
            "proxy.upstream",
            "serve.head_seconds",
            "session.secret_file",
            "state.store",
        ]


def test_a_key_that_is_given_twice(at: Configured) -> None:
    replaced(at, "workers = 2", "workers = 2\nworkers = 3")
    line = 1 + at.file.read_text().splitlines().index("workers = 3")
    result = check(at)
    assert result.exit_code == 1
    assert result.stderr == (
        f"{at.file}: line {line} gives workers a second time, first in line {line - 1}; keep one of them\n"
    )


@pytest.mark.parametrize(
    "arguments", [["serve", "--chekc"], ["check", "extra"], ["nothing"], ["init", "--issuer", "a\nb", "x"]]
)
def test_a_command_that_is_not_called_as_its_help_says(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(main, arguments, env={"OIDCGATE_CONFIG": None}).exit_code == 2


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
