"""The files of `conf/` for running the sidecar. `gunicorn.conf.py` runs in `test_sidecar`.

The systemd unit is validated by `systemd-analyze verify` where there is one, and everywhere by the rules
below. The container file is validated by the rules below alone: its instructions are known ones, its shell
is parsed by `sh -n`, what it copies exists or is built, and what it starts is run with its environment. It is
not built here, because that needs a container engine and a base image from elsewhere.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from configparser import RawConfigParser
from pathlib import Path

import pytest

from oidcgate.gate.config import GateConfig
from oidcgate.settings import describe
from tests.oidcgate.serve.sidecars import configured

CONF = Path(__file__).resolve().parents[3] / "conf"
UNIT = CONF / "systemd" / "oidcgate.service"
CONTAINERFILE = CONF / "container" / "Containerfile"
VARIABLES = {"OIDCGATE_CONFIG"} | {
    "OIDCGATE_" + doc.key.upper().replace(".", "__") for doc in describe(GateConfig) if "[]" not in doc.key
}


class _Lists(dict[str, str]):
    """A unit may say an option several times."""

    def __setitem__(self, key: str, value: object) -> None:
        if isinstance(value, list) and key in self:
            self[key].extend(value)
        else:
            super().__setitem__(key, value)


@pytest.fixture
def unit() -> RawConfigParser:
    parser = RawConfigParser(dict_type=_Lists, strict=False, interpolation=None, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(UNIT.read_text())
    return parser


class TestUnit:
    def test_systemd_takes_it(self, tmp_path: Path) -> None:
        analyze = shutil.which("systemd-analyze")
        if analyze is None:
            pytest.skip("systemd-analyze is not installed; the rules below hold all the same")
        # It looks whether the command is there.
        text = UNIT.read_text().replace(
            "/opt/oidcgate/bin/oidcgate", str(Path(sys.executable).with_name("oidcgate"))
        )
        (tmp_path / UNIT.name).write_text(text)
        done = subprocess.run(
            [analyze, "verify", "--man=no", tmp_path / UNIT.name], capture_output=True, text=True, timeout=60
        )
        said = [line for line in done.stderr.splitlines() if UNIT.name in line]
        assert said == []

    def test_what_it_starts_exists(self, unit: RawConfigParser) -> None:
        service = unit["Service"]
        assert service["ExecStart"] == "/opt/oidcgate/bin/oidcgate serve"
        assert service["ExecStartPre"] == "/opt/oidcgate/bin/oidcgate serve --check"
        assert service["ExecReload"].endswith("kill -HUP $MAINPID")
        # gunicorn says when it is ready.
        assert service["Type"] == "notify"
        names = {line.partition("=")[0] for line in service["Environment"].splitlines() if line}
        assert names <= VARIABLES
        # Where the state is kept that is not configured.
        assert service["StateDirectory"] == "oidcgate"

    @pytest.mark.parametrize(
        ("option", "value"),
        [
            ("NoNewPrivileges", "yes"),
            ("ProtectSystem", "strict"),
            ("ProtectHome", "yes"),
            ("PrivateTmp", "yes"),
            ("PrivateDevices", "yes"),
            ("CapabilityBoundingSet", ""),
            ("RestrictAddressFamilies", "AF_INET AF_INET6 AF_UNIX"),
            ("MemoryDenyWriteExecute", "yes"),
            ("User", "oidcgate"),
            ("UMask", "0077"),
        ],
    )
    def test_it_is_shut_in(self, unit: RawConfigParser, option: str, value: str) -> None:
        assert unit["Service"][option] == value

    def test_a_stop_takes_no_longer_than_it_waits(self, unit: RawConfigParser) -> None:
        graceful = next(doc for doc in describe(GateConfig) if doc.key == "serve.graceful_seconds")
        assert int(unit["Service"]["TimeoutStopSec"]) > int(graceful.default) + 5


def instructions() -> Iterator[tuple[str, str]]:
    text = re.sub(r"^#.*\n", "", CONTAINERFILE.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    for line in filter(None, map(str.strip, text.splitlines())):
        name, _, rest = line.partition(" ")
        yield name, rest.strip()


class TestContainerfile:
    def test_its_instructions_are_known_and_in_order(self) -> None:
        names = [name for name, _ in instructions()]
        assert names[0] == "FROM"
        assert names[-1] in ("ENTRYPOINT", "CMD")
        known = "FROM COPY RUN ENV USER WORKDIR VOLUME EXPOSE STOPSIGNAL HEALTHCHECK ENTRYPOINT"
        assert set(names) == set(known.split(" "))

    def test_its_shell_is_shell(self) -> None:
        for name, rest in instructions():
            if name == "RUN":
                subprocess.run(["sh", "-n"], input=rest, text=True, check=True, timeout=10)
                assert "curl" not in rest
                assert "oidcgate-*.whl" in rest

    def test_what_it_copies_is_there_or_built(self) -> None:
        for name, rest in instructions():
            if name == "COPY":
                *sources, _ = rest.split()
                for source in sources:
                    assert (CONF.parent / source).exists() or source == "dist/oidcgate-*.whl"

    def test_its_extras_exist(self) -> None:
        [extras] = re.findall(r"\[([a-z,]+)\]", next(rest for name, rest in instructions() if name == "RUN"))
        project = (CONF.parent / "pyproject.toml").read_text()
        for extra in extras.split(","):
            assert re.search(rf"^{extra} = \[", project, re.MULTILINE)

    def test_nobody_in_it_is_root(self) -> None:
        told = dict(instructions())
        assert int(told["USER"]) > 0
        names = [name for name, _ in instructions()]
        assert names.index("USER") < names.index("ENTRYPOINT")

    def test_what_it_starts_runs_with_its_environment(self, tmp_path: Path) -> None:
        told = dict(instructions())
        at = configured(tmp_path, "http://127.0.0.1:8081")
        env = dict(pair.partition("=")[::2] for pair in shlex.split(told["ENV"]))
        assert {name for name in env if name.startswith("OIDCGATE_")} <= VARIABLES
        env |= {"OIDCGATE_CONFIG": str(at.file), "STATE_DIRECTORY": str(tmp_path)}
        command, *arguments = json.loads(told["ENTRYPOINT"])
        assert command == "oidcgate"
        done = subprocess.run(
            [sys.executable, "-m", "oidcgate", *arguments, "--check"],
            env={**os.environ, **env},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        assert f"http://{env['OIDCGATE_SERVE__BIND']}" in done.stdout
        assert env["OIDCGATE_SERVE__BIND"].endswith(f":{told['EXPOSE']}")
        compile(json.loads(told["HEALTHCHECK"].partition("CMD ")[2])[2], "HEALTHCHECK", "exec")
