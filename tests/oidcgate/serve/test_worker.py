"""The real worker under gunicorn: every probe that told servers apart, and its signals."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.oidcgate.serve.wire import Answer, parsed
from tests.support.servers import ROOT, Server, free_port, running

pytestmark = [pytest.mark.live, pytest.mark.slow]

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = b"Host: a\r\nConnection: close\r\n\r\n"
DEADLINE = 30


def command(port: int, *options: str) -> list[str]:
    return [
        *(sys.executable, "-m", "gunicorn", "tests.oidcgate.serve.probe_app:sidecar()"),
        *("--worker-class", "oidcgate.serve.worker.SidecarWorker", "--bind", f"127.0.0.1:{port}"),
        *("--graceful-timeout", "20", "--no-control-socket", *options),
    ]


def variables(env: dict[str, str]) -> dict[str, str]:
    path = os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH", "")) if part)
    return {**os.environ, "PYTHONPATH": path, **env}


@contextlib.contextmanager
def served(folder: Path, *options: str, env: dict[str, str] | None = None) -> Iterator[Server]:
    port, log, env = free_port(), folder / "log", variables(env or {})
    with running(command(port, *options), port=port, log=log, cwd=ROOT, env=env) as server:
        ask(server, b"GET / HTTP/1.1\r\n" + LAST)
        yield server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("worker"), "--workers", "1") as server:
        yield server


def connect(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE)


def read_all(client: socket.socket) -> bytes:
    data = b""
    while piece := client.recv(65_536):
        data += piece
    return data


def read_until(client: socket.socket, end: bytes) -> bytes:
    data = b""
    while not data.endswith(end):
        piece = client.recv(4096)
        assert piece, "the connection ended"
        data += piece
    return data


def ask(server: Server, data: bytes) -> Answer:
    with connect(server) as client:
        client.sendall(data)
        [answer] = parsed(read_all(client))
        return answer


def pid(server: Server) -> int:
    return int(ask(server, b"GET /pid HTTP/1.1\r\n" + LAST).body)


def memory(process: int) -> int:
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * 4096


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def refused(server: Server) -> bool:
    try:
        connect(server).close()
    except ConnectionRefusedError:
        return True
    return False


def gone(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


class TestProbes:
    """One for each line by which uvicorn's and gunicorn's own workers were compared."""

    def test_an_upload_that_nobody_reads_costs_no_memory(self, server: Server) -> None:
        worker = pid(server)
        before = memory(worker)
        with connect(server) as client:
            client.sendall(b"POST /never HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000000\r\n\r\n")
            client.settimeout(2)
            sent = 0
            with contextlib.suppress(TimeoutError):
                while sent < 100_000_000:
                    sent += client.send(b"x" * 1_000_000)
            assert sent < 32_000_000
            assert memory(worker) - before < 8_000_000

    def test_the_head_of_an_event_stream_comes_at_once(self, server: Server) -> None:
        with connect(server) as client:
            client.sendall(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
            assert b"text/event-stream" in read_until(client, b"\r\n\r\n")

    def test_a_refused_websocket_gets_an_http_status(self, server: Server) -> None:
        handshake = (
            b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        assert ask(server, handshake).status == 401

    def test_100_continue(self, server: Server) -> None:
        head = b"Host: a\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
        with connect(server) as client:
            client.sendall(b"POST /echo HTTP/1.1\r\n" + head)
            assert client.recv(65_536) == b"HTTP/1.1 100 Continue\r\n\r\n"
            client.sendall(b"ok")
            [answer] = parsed(read_all(client))
            assert answer.body == b"ok"
        assert ask(server, b"POST /refuse HTTP/1.1\r\n" + head).status == 401

    def test_an_idle_connection_is_closed(self, server: Server) -> None:
        with connect(server) as client:
            client.sendall(GET)
            [answer] = parsed(read_all(client))
            assert answer.status == 200

    @pytest.mark.parametrize("start", [b"", b"GET / HT"], ids=["nothing", "half-a-head"])
    def test_a_slow_head_is_closed(self, server: Server, start: bytes) -> None:
        with connect(server) as client:
            client.sendall(start)
            begun = time.monotonic()
            statuses = [answer.status for answer in parsed(read_all(client))]
            assert statuses == ([408] if start else [])
            assert time.monotonic() - begun < 10

    @pytest.mark.parametrize(
        ("data", "status"),
        [
            pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nbroken\r\n\r\n", 400, id="malformed"),
            pytest.param(b"\x16\x03\x01\x02\x00", 400, id="tls"),
            pytest.param(GET[:-2] + b"X: " + b"a" * 100_000 + b"\r\n\r\n", 431, id="100-kb-header"),
            pytest.param(b"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400, id="escape"),
            pytest.param(b"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, id="absolute-form"),
            pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, id="two-hosts"),
        ],
    )
    def test_what_is_no_request_gets_an_answer(self, server: Server, data: bytes, status: int) -> None:
        answer = ask(server, data)
        assert answer.status == status
        assert answer.field("connection") == "close"


class TestSignals:
    def test_sigterm_lets_end_what_is_under_way(self, tmp_path: Path) -> None:
        with served(tmp_path, env={"PROBE_GRACEFUL": "1000"}) as server:
            with connect(server) as slow, connect(server) as idle:
                idle.sendall(GET)
                read_until(idle, b"hello")
                slow.sendall(b"GET /held?%b HTTP/1.1\r\nHost: a\r\n\r\n" % bytes(tmp_path))
                until((tmp_path / "held").exists)
                worker = pid(server)
                server.process.send_signal(signal.SIGTERM)
                # The worker has heard the signal: it listens no more, and closes what is idle.
                until(lambda: refused(server))
                assert read_all(idle) == b""
                (tmp_path / "go").touch()
                [answer] = parsed(read_all(slow))
                assert answer.body == b"hello"
                assert answer.field("connection") == "close"
            assert server.process.wait(DEADLINE) == 0
            assert gone(worker)
        assert "the app has heard of its end" in server.log_text()

    def test_streams_end_when_the_time_is_over(self, tmp_path: Path) -> None:
        with served(tmp_path, env={"PROBE_GRACEFUL": "1"}) as server, connect(server) as stream:
            stream.sendall(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
            read_until(stream, b"\r\n\r\n")
            begun = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            # Cut, and not ended: the last chunk is missing.
            assert read_all(stream) == b""
            assert 0.9 < time.monotonic() - begun < 10
            assert server.process.wait(DEADLINE) == 0

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
    def test_a_quick_end_waits_for_nobody(self, tmp_path: Path, number: int) -> None:
        with served(tmp_path, env={"PROBE_GRACEFUL": "1000"}) as server, connect(server) as stream:
            stream.sendall(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
            read_until(stream, b"\r\n\r\n")
            server.process.send_signal(number)
            assert read_all(stream) == b""
            assert server.process.wait(10) == 0

    def test_a_second_signal_is_heard_while_the_first_is_obeyed(self, tmp_path: Path) -> None:
        with served(tmp_path, env={"PROBE_GRACEFUL": "1000"}) as server, connect(server) as stream:
            stream.sendall(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
            read_until(stream, b"\r\n\r\n")
            worker = pid(server)
            with connect(server) as idle:
                idle.sendall(GET)
                read_until(idle, b"hello")
                os.kill(worker, signal.SIGTERM)
                # Closed by a worker that has heard the first one.
                assert read_all(idle) == b""
            assert not gone(worker)
            os.kill(worker, signal.SIGQUIT)
            assert read_all(stream) == b""
            # Another one takes its place.
            assert pid(server) != worker

    def test_log_files_are_opened_anew(self, tmp_path: Path) -> None:
        log = tmp_path / "errors"
        with served(tmp_path, "--error-logfile", str(log)) as server:
            log.rename(tmp_path / "errors.1")
            server.process.send_signal(signal.SIGUSR1)
            until(log.exists)
            os.kill(pid(server), signal.SIGTERM)
            until(lambda: "Worker exiting" in log.read_text())

    def test_a_worker_that_hangs_is_replaced(self, tmp_path: Path) -> None:
        with served(tmp_path, "--timeout", "3") as server:
            worker = pid(server)
            with connect(server) as client:
                client.sendall(b"GET /hang HTTP/1.1\r\nHost: a\r\n\r\n")
                until(lambda: gone(worker))
            assert pid(server) != worker
            assert "WORKER TIMEOUT" in server.log_text()

    def test_a_worker_is_replaced_after_its_requests(self, tmp_path: Path) -> None:
        with served(tmp_path, "--max-requests", "20") as server:
            worker = pid(server)
            for _ in range(20):
                ask(server, b"GET / HTTP/1.1\r\n" + LAST)
            until(lambda: gone(worker))
            assert pid(server) != worker

    def test_without_its_arbiter_a_worker_ends(self, tmp_path: Path) -> None:
        with served(tmp_path) as server:
            worker = pid(server)
            server.process.kill()
            server.process.wait(DEADLINE)
            until(lambda: gone(worker))

    def test_an_app_that_cannot_start_ends_the_server(self) -> None:
        ended = subprocess.run(
            command(free_port()),
            cwd=ROOT,
            env=variables({"PROBE_START": "fails"}),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ended.returncode == 3
        assert "no certificates here" in ended.stderr


def test_over_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with served(tmp_path, "--bind", f"unix:{path}"), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(b"GET / HTTP/1.1\r\n" + LAST)
        [answer] = parsed(read_all(client))
        assert answer.body == b"hello"
