"""The demo: it starts, a person signs in, and it leaves nothing behind, however it ends."""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.servers import ROOT, free_port
from tests.support.user_agent import UserAgent

pytestmark = pytest.mark.live

SECONDS = 60


@dataclass
class Demo:
    """A running demo, in a folder for temporary files of its own."""

    process: "subprocess.Popen[str]"
    provider_port: int
    app_port: int
    sidecar_port: int
    temporary: Path

    @property
    def app(self) -> str:
        return f"http://localhost:{self.app_port}"

    @property
    def desk(self) -> str:
        return f"http://localhost:{self.sidecar_port}"

    def wait_for(self, text: str) -> str:
        """What it says up to the line that holds `text`."""
        assert self.process.stdout is not None
        said = ""
        while text not in said:
            line = self.process.stdout.readline()
            assert line, f"the demo ended:\n{said}"
            said += line
        return said

    def end(self, number: int) -> str:
        """Send a signal and return the rest of what it says."""
        self.process.send_signal(number)
        return self.process.communicate(timeout=SECONDS)[0]

    def servers(self) -> list[int]:
        """The processes it started, by the group that each leads or is in."""
        leaders = _children(self.process.pid)
        return [pid for pid in _processes() if _group(pid) in leaders]


def _processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _stat(pid: int) -> list[str]:
    """State, parent, group and so on of a process; nothing of one that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ["X", "0", "0"]


def _group(pid: int) -> int:
    return int(_stat(pid)[2])


def _children(pid: int) -> set[int]:
    return {child for child in _processes() if int(_stat(child)[1]) == pid}


def _alive(pid: int) -> bool:
    return _stat(pid)[0] not in ("X", "Z")


def wait_until(condition: Callable[[], bool]) -> None:
    """Nothing announces the end of a process that is not ours; the wait is bounded."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A folder whose name is short enough for Unix sockets below it."""
    with tempfile.TemporaryDirectory(prefix="demo-", dir="/tmp") as folder:
        yield Path(folder)


@pytest.fixture
def start(tmp_path: Path, temporary: Path) -> Iterator[Callable[..., Demo]]:
    started: list[Demo] = []
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    # A setting of another gate in the environment must not reach this one.
    env = {**os.environ, "TMPDIR": str(temporary), "PYTHONPATH": path, "OIDCGATE_PUBLIC_URL": "https://other"}

    def run(**settings: str) -> Demo:
        ports = [
            int(settings.pop(f"DEMO_{name}_PORT", free_port())) for name in ("PROVIDER", "APP", "SIDECAR")
        ]
        chosen = zip(
            ("DEMO_PROVIDER_PORT", "DEMO_APP_PORT", "DEMO_SIDECAR_PORT"), map(str, ports), strict=True
        )
        process = subprocess.Popen(
            [sys.executable, "-m", "examples.demo"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**env, **settings, **dict(chosen)},
            cwd=tmp_path,
        )
        started.append(Demo(process, *ports, temporary))
        return started[-1]

    yield run
    for demo in started:
        if demo.process.poll() is None:
            demo.process.kill()
        demo.process.communicate()


@pytest.mark.row("T-04", "A-09", "F-07", "F-08")
def test_people_sign_in_and_ctrl_c_leaves_nothing(start: Callable[..., Demo]) -> None:
    demo = start()
    said = demo.wait_for("Ctrl-C")
    assert f"Open  {demo.app}\n" in said
    assert f"http://localhost:{demo.provider_port}\n" in said
    assert f"{demo.desk}\n" in said
    assert f"{demo.desk}/.oidcgate/logout\n" in said
    assert "Its sessions are kept on a memcached of this demo.\n" in said
    for name in ("alice", "bob", "mallory"):
        assert re.search(rf"{name} +demo-{name} ", said)

    browser = UserAgent()
    page = browser.open(f"{demo.app}/")
    assert page.main_id == "page-login"
    page = browser.press(page, "login", {"username": "alice", "password": "demo-alice"})
    assert page.main_id == "page-consent"
    page = browser.press(page, "allow")
    assert page.status == 200
    assert 'id="user-name">Alice<' in page.text
    assert "Linden House, room 3.14" in page.text

    # Signed in at the provider, so no password is asked; the company's own app asks for no consent either.
    page = browser.open(f"{demo.desk}/")
    assert (page.status, page.url) == (200, f"{demo.desk}/")
    assert 'id="user-name">Alice<' in page.text
    assert "Card 0417, Bench 3" in page.text

    for url in (demo.app, demo.desk):
        other = UserAgent()
        page = other.sign_in(other.open(f"{url}/"), "mallory", "demo-mallory")
        assert (page.status, page.main_id) == (403, "page-unknown-user")
    (log,) = demo.temporary.glob("*/tool desk.log")
    heard = log.read_text().splitlines()
    assert heard[0].startswith("Tool desk on ")
    assert {re.split(" - - ", line)[0] for line in heard[1:]} == {"socket Alice"}

    servers = demo.servers()
    assert len(servers) >= 8
    assert "Nothing is left behind" in demo.end(signal.SIGINT)
    assert demo.process.returncode == 0
    assert [pid for pid in servers if _alive(pid)] == []
    assert list(demo.temporary.iterdir()) == []


def test_without_memcached_sessions_are_sealed(start: Callable[..., Demo], tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    demo = start(PATH=str(tmp_path / "bin"))
    assert "Its sessions are sealed into the cookie: no memcached here.\n" in demo.wait_for("Ctrl-C")
    browser = UserAgent()
    page = browser.sign_in(browser.open(f"{demo.desk}/"), "alice", "demo-alice")
    assert "Card 0417, Bench 3" in page.text
    demo.end(signal.SIGTERM)
    assert list(demo.temporary.iterdir()) == []


def test_a_folder_that_is_too_long_for_sockets_is_named(start: Callable[..., Demo], temporary: Path) -> None:
    folder = temporary / ("x" * 90)
    folder.mkdir()
    demo = start(TMPDIR=str(folder))
    said = demo.process.communicate(timeout=SECONDS)[0]
    assert demo.process.returncode == 1
    assert f"too long a name for Unix sockets: {folder}\n" in said
    assert "make demo TMPDIR=/tmp" in said
    assert list(folder.iterdir()) == []


def test_sigterm_ends_it_as_well(start: Callable[..., Demo]) -> None:
    demo = start()
    demo.wait_for("Ctrl-C")
    servers = demo.servers()
    demo.end(signal.SIGTERM)
    assert demo.process.returncode == 0
    assert [pid for pid in servers if _alive(pid)] == []
    assert list(demo.temporary.iterdir()) == []


def test_ctrl_c_while_it_starts(start: Callable[..., Demo]) -> None:
    demo = start()
    demo.wait_for("Starting")
    wait_until(lambda: len(demo.servers()) >= 2)
    servers = demo.servers()
    demo.end(signal.SIGINT)
    assert [pid for pid in servers if _alive(pid)] == []
    assert list(demo.temporary.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends the children of a killed process")
def test_the_servers_end_when_the_demo_is_killed(start: Callable[..., Demo]) -> None:
    demo = start()
    demo.wait_for("Ctrl-C")
    servers = demo.servers()
    demo.end(signal.SIGKILL)
    wait_until(lambda: not any(map(_alive, servers)))


def test_a_server_that_dies_ends_the_demo_with_its_log(start: Callable[..., Demo]) -> None:
    demo = start()
    demo.wait_for("Ctrl-C")
    servers = demo.servers()
    (victim,) = [pid for pid in _children(demo.process.pid) if "provider" in _title(pid)]
    os.kill(victim, signal.SIGKILL)
    said = demo.process.communicate(timeout=SECONDS)[0]
    assert demo.process.returncode == 1
    assert "The provider ended by itself (status -9). The end of its log:" in said
    assert [pid for pid in servers if _alive(pid)] == []
    assert list(demo.temporary.iterdir()) == []


def _title(pid: int) -> str:
    # gunicorn puts its own there where setproctitle is installed; both name the provider.
    return Path(f"/proc/{pid}/cmdline").read_text()


@pytest.mark.parametrize("which", ["provider", "app", "sidecar"])
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_busy_port_is_named_with_what_to_do(
    start: Callable[..., Demo], which: str, address: str, tmp_path: Path
) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        holder = socket.create_server((address, 0), family=family)
    except OSError:
        pytest.skip(f"no {address} on this machine")
    with holder:
        port = holder.getsockname()[1]
        demo = start(**{f"DEMO_{which.upper()}_PORT": str(port)})
        said = demo.process.communicate(timeout=SECONDS)[0]
    assert demo.process.returncode == 1
    assert f"Port {port}, wanted by the " in said
    assert f"make demo DEMO_{which.upper()}_PORT={port + 100}" in said
    assert list(demo.temporary.iterdir()) == []


@pytest.mark.parametrize("text", ["0", "65536", "http", "-1", "٣"])
def test_what_is_no_port(text: str) -> None:
    command = [sys.executable, "-m", "examples.demo", f"--app-port={text}"]
    answer = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=SECONDS, check=False)
    assert answer.returncode == 2
    assert "is not a port; use 1 to 65535" in answer.stderr
