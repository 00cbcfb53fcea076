"""The whole sidecar, as it is started: by its command and by gunicorn, with either engine.

Here is `threads`, the engine wsgi; which of its requests is told as what is in `test_recording`.
"""

import contextlib
import errno
import json
import os
import re
import signal
import socket
import stat
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.oidcgate.serve.sidecars import CLIENT_SECRET, SECRET, Configured, app_running, configured
from tests.support.servers import ROOT, Server, free_port, running

pytestmark = [pytest.mark.live, pytest.mark.slow]

DEADLINE = 30


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    with app_running() as url:
        yield url


def by_command(at: Configured) -> list[str | Path]:
    return [sys.executable, "-m", "oidcgate", "serve", "--config", at.file]


def by_gunicorn(at: Configured) -> list[str | Path]:
    return [sys.executable, "-m", "gunicorn", "-c", ROOT / "conf" / "gunicorn.conf.py"]


@contextlib.contextmanager
def served(at: Configured, how: Callable[[Configured], list[str | Path]] = by_command) -> Iterator[Server]:
    path = os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH", "")) if part)
    env = {"OIDCGATE_CONFIG": str(at.file), "PYTHONPATH": path, "TMPDIR": str(at.file.parent)}
    with running(how(at), port=at.port, log=at.file.parent / "log", cwd=ROOT, env=env) as server:
        until(lambda: ask(at, "/.oidcgate/healthz")[0] == 200, server)
        until(lambda: len(workers(server)) == 2, server)
        yield server


def ask(at: Configured, path: str, **headers: str) -> tuple[int, bytes]:
    request = urllib.request.Request(f"http://127.0.0.1:{at.port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read()
    except OSError:
        return 0, b""


def metrics(at: Configured) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{at.metrics_port}/metrics", timeout=DEADLINE) as page:
        lines = page.read().decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}


def passed(at: Configured) -> float:
    return metrics(at).get('oidcgate_requests_total{outcome="passed",status="2xx"}', 0)


def until(true: Callable[[], object], server: Server | None = None) -> None:
    deadline = time.monotonic() + DEADLINE
    while not true():
        assert time.monotonic() < deadline, server and server.log_text()
        time.sleep(0.02)


def entries(server: Server) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in server.log_text().splitlines() if line.startswith('{"at"')]
    return [line for line in lines if line["path"] != "/.oidcgate/healthz"]


def workers(server: Server) -> set[int]:
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text()
    return {int(child) for child in children.split()}


@pytest.mark.row("T-01")
@pytest.mark.parametrize("engine", ["async", "wsgi"])
@pytest.mark.parametrize("how", [by_command, by_gunicorn], ids=["command", "gunicorn"])
def test_it_lets_through_whom_it_knows_and_says_so(
    tmp_path: Path, upstream: str, engine: str, how: Callable[[Configured], list[str | Path]]
) -> None:
    at = configured(tmp_path, upstream, engine=engine)
    cookie = at.cookie("Ålice")
    with served(at, how) as server:
        assert ask(at, "/private?secret=s3cret", Accept="application/json")[0] == 401
        status, body = ask(
            at, "/private?secret=s3cret", Cookie=f"{cookie}; own=1", X_Forwarded_User="mallory"
        )
        assert status == 200
        told = json.loads(body)
        assert told["x-forwarded-user"] not in ("", "mallory")
        assert told["cookie"] == "own=1"
        assert ask(at, "/public/x")[0] == 200
        assert ask(at, "/.oidcgate/userinfo", Cookie=cookie)[0] == 200

        until(lambda: len(entries(server)) == 4, server)
        seen = [(line["path"], line["status"], line["outcome"], line["user"]) for line in entries(server)]
        assert sorted(seen) == [
            ("/.oidcgate/userinfo", 200, "gate", ""),
            ("/private", 200, "passed", "Ålice"),
            ("/private", 401, "refused", ""),
            ("/public/x", 200, "passed", ""),
        ]
        until(lambda: passed(at) == 2, server)
        counted = metrics(at)
        assert counted['oidcgate_requests_total{outcome="refused",status="4xx"}'] == 1
        assert counted['oidcgate_refusals_total{status="401"}'] == 1
        assert counted["oidcgate_request_seconds_count"] >= 4
    assert server.process.returncode == 0
    for canary in ("s3cret", CLIENT_SECRET, SECRET, cookie.partition("=")[2]):
        assert canary not in server.log_text()
    left = [path.name for path in tmp_path.iterdir() if "metrics" in path.name]
    assert left == []


@pytest.mark.row("A-05")
@pytest.mark.parametrize("how", [by_command, by_gunicorn], ids=["command", "gunicorn"])
def test_it_says_what_to_register(
    tmp_path: Path, upstream: str, how: Callable[[Configured], list[str | Path]]
) -> None:
    at = configured(tmp_path, upstream)
    with served(at, how) as server:
        assert f"http://127.0.0.1:{at.port}/.oidcgate/callback" in server.log_text()
        assert f"http://127.0.0.1:{at.port}/.oidcgate/logged-out" in server.log_text()
        # Once, and not for each worker.
        assert server.log_text().count("/.oidcgate/callback") == 1


@pytest.mark.parametrize("engine", ["async", "wsgi"])
def test_a_reload_takes_a_right_configuration_and_leaves_a_wrong_one(
    tmp_path: Path, upstream: str, engine: str
) -> None:
    at = configured(tmp_path, upstream, engine=engine)
    right = at.file.read_text()
    with served(at) as server:
        before = workers(server)
        at.file.write_text(right.replace("workers = 2", "wrokers = 2").replace("/public/**", "public"))
        os.kill(server.process.pid, signal.SIGHUP)
        until(lambda: "was not reloaded" in server.log_text(), server)
        assert "serve.wrokers: is not a setting; did you mean 'workers'?" in server.log_text()
        assert "rules[0].path" in server.log_text()
        assert workers(server) == before
        assert ask(at, "/public/x")[0] == 200

        at.file.write_text(right.replace("/public/**", "/open/**"))
        os.kill(server.process.pid, signal.SIGHUP)
        until(lambda: ask(at, "/open/x")[0] == 200 and ask(at, "/public/x")[0] == 401, server)
        until(lambda: not workers(server) & before, server)


def test_gunicorn_itself_survives_a_wrong_configuration(tmp_path: Path, upstream: str) -> None:
    at = configured(tmp_path, upstream)
    right = at.file.read_text()
    with served(at, by_gunicorn) as server:
        before = workers(server)
        at.file.write_text(right.replace("workers = 2", "wrokers = 2"))
        os.kill(server.process.pid, signal.SIGHUP)
        until(lambda: "was not reloaded" in server.log_text(), server)
        until(lambda: not workers(server) & before, server)
        assert ask(at, "/public/x")[0] == 200
        at.file.write_text(right.replace("/public/**", "/open/**"))
        os.kill(server.process.pid, signal.SIGHUP)
        until(lambda: ask(at, "/open/x")[0] == 200, server)


def test_a_reload_does_not_move_the_sidecar(tmp_path: Path, upstream: str) -> None:
    at = configured(tmp_path, upstream)
    right = at.file.read_text()
    moved = right.replace(f'bind = "127.0.0.1:{at.port}"', f'bind = "127.0.0.1:{free_port()}"', 1)
    assert moved != right
    with served(at) as server:
        before = workers(server)
        at.file.write_text(moved.replace("/public/**", "/open/**"))
        os.kill(server.process.pid, signal.SIGHUP)
        until(lambda: "was not reloaded" in server.log_text(), server)
        assert (
            f"is not where this server listens (127.0.0.1:{at.port}), and a reload cannot"
            in server.log_text()
        )
        assert "restart it, or take the change back" in server.log_text()
        assert workers(server) == before
        assert ask(at, "/public/x")[0] == 200


@pytest.mark.parametrize("engine", ["async", "wsgi"])
def test_at_the_end_nobody_is_reset_and_nobody_new_is_let_in(tmp_path: Path, engine: str) -> None:
    def connected(path: bytes) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", at.port), timeout=DEADLINE)
        client.sendall(b"GET %b HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % (path, at.port))
        return client

    def refused() -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", at.port)) == errno.ECONNREFUSED

    with socket.create_server(("127.0.0.1", 0)) as app:
        app.settimeout(DEADLINE)
        at = configured(tmp_path, f"http://127.0.0.1:{app.getsockname()[1]}", engine=engine)
        at.file.write_text(at.file.read_text().replace("graceful_seconds = 2", "graceful_seconds = 60"))
        with served(at) as server, connected(b"/public/x") as under_way, app.accept()[0] as asked:
            # Each writes its numbers when it is up; one that is told to end before that answers nobody.
            until(lambda: len(list(tmp_path.glob("oidcgate-metrics-*/*.json"))) == 2, server)
            stopped = workers(server)
            for worker in stopped:
                os.kill(worker, signal.SIGSTOP)
            until(lambda: all(is_stopped(worker) for worker in stopped), server)
            with contextlib.ExitStack() as clients:
                # The system connects them; no worker has accepted one yet.
                late = [clients.enter_context(connected(b"/.oidcgate/healthz")) for _ in range(10)]
                server.process.send_signal(signal.SIGTERM)
                until(lambda: all(is_told_to_end(worker) for worker in stopped), server)
                for worker in stopped:
                    os.kill(worker, signal.SIGCONT)
                for client in late:
                    assert client.recv(4096).startswith(b"HTTP/1.1 200")
            until(refused, server)
            # While one of them still works.
            assert workers(server)
            asked.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
            assert read_all(under_way).endswith(b"\r\n\r\nhello")
            assert server.process.wait(DEADLINE) == 0


def is_stopped(process: int) -> bool:
    """Whether all its threads are: one that is not yet would take the next signal first."""
    threads = Path(f"/proc/{process}/task").iterdir()
    return all("\nState:\tT" in (thread / "status").read_text() for thread in threads)


def is_told_to_end(process: int) -> bool:
    """Whether a SIGTERM waits for a process that is stopped."""
    status = Path(f"/proc/{process}/status").read_text()
    [pending] = re.findall(r"^ShdPnd:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return bool(int(pending, 16) >> (signal.SIGTERM - 1) & 1)


def read_all(client: socket.socket) -> bytes:
    data = b""
    while piece := client.recv(65_536):
        data += piece
    return data


def test_counters_never_go_back(tmp_path: Path, upstream: str) -> None:
    at = configured(tmp_path, upstream)
    with served(at) as server:
        for _ in range(20):
            assert ask(at, "/public/x")[0] == 200
        until(lambda: passed(at) == 20, server)
        for worker in workers(server):
            os.kill(worker, signal.SIGTERM)
            seen = set()
            until(
                lambda worker=worker, seen=seen: seen.add(passed(at)) or worker not in workers(server), server
            )
            assert seen == {20}
        until(lambda: len(workers(server)) == 2, server)
        assert ask(at, "/public/x")[0] == 200
        until(lambda: passed(at) == 21, server)


def test_trouble_with_the_app_is_counted_and_logged(tmp_path: Path) -> None:
    at = configured(tmp_path, "http://127.0.0.1:9")
    with served(at) as server:
        assert ask(at, "/public/x?secret=s3cret")[0] == 502
        name = 'oidcgate_troubles_total{kind="upstream_unreachable"}'
        until(lambda: metrics(at).get(name) == 1, server)
        assert "upstream_unreachable http://127.0.0.1:9" in server.log_text()
        assert "s3cret" not in server.log_text()


def test_without_log_and_metrics(tmp_path: Path, upstream: str) -> None:
    at = configured(tmp_path, upstream, serve="access_log = false", metrics=False)
    with served(at) as server:
        assert ask(at, "/public/x")[0] == 200
    assert entries(server) == []
    assert ask(Configured(at.file, at.metrics_port, 0), "/metrics")[0] == 0


def test_the_metrics_are_not_on_the_sidecars_own_address(tmp_path: Path, upstream: str) -> None:
    at = configured(tmp_path, upstream)
    with served(at):
        assert ask(at, "/metrics", Accept="application/json")[0] == 401


def test_metrics_that_a_reload_switches_on_are_the_sum_over_all_workers(
    tmp_path: Path, upstream: str
) -> None:
    at = configured(tmp_path, upstream, metrics=False)
    with served(at) as server:
        before = workers(server)
        text = at.file.read_text()
        at.file.write_text(text.replace('metrics_bind = ""', f'metrics_bind = "127.0.0.1:{at.metrics_port}"'))
        os.kill(server.process.pid, signal.SIGHUP)
        until(lambda: not workers(server) & before and len(workers(server)) == 2, server)
        for _ in range(40):
            assert ask(at, "/public/x")[0] == 200
        # Whichever worker answers a scrape, and whichever had answered before.
        for _ in range(4):
            until(lambda: passed(at) == 40, server)
    assert [path.name for path in tmp_path.iterdir() if "metrics" in path.name] == []


def test_over_a_unix_socket(tmp_path: Path, upstream: str) -> None:
    at = configured(tmp_path, upstream)
    # Such a name has a limit of a hundred characters or so.
    folder = Path(tempfile.mkdtemp(prefix="s-", dir="/tmp"))
    try:
        text = re.sub(r'bind = "127[^"]*"', f'bind = "unix:{folder}/s"', at.file.read_text(), count=1)
        at.file.write_text(text)
        port = at.metrics_port
        with running(by_command(at), port=port, log=tmp_path / "log", cwd=ROOT) as server:

            def answered() -> bool:
                with socket.socket(socket.AF_UNIX) as client:
                    if client.connect_ex(f"{folder}/s"):
                        return False
                    client.sendall(b"GET /public/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                    return client.recv(4096).startswith(b"HTTP/1.1 200")

            until(answered, server)
            # Nobody else on the machine: who connects there may be believed as a proxy.
            assert stat.S_IMODE((folder / "s").stat().st_mode) == 0o660
    finally:
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
