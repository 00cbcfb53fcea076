"""The tool desk, as it was before anything stood in front of it: what it believes, lends, keeps and says."""

import ast
import http.client
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from examples.legacy.intercom import answer_to
from examples.legacy.server import FORM_BYTES, Server
from tests.support.servers import ROOT, free_port, running

FOLDER = ROOT / "examples" / "legacy"
WORDS = re.compile(
    r"oidc|open.?id|oauth|token|sign.?(in|on|out)|log.?(in|out|on)\b|sso|jwt|gate|session|cookie", re.I
)
ALICE = {"X-Forwarded-User": "Alice"}
BOB = {"X-Forwarded-User": "bob"}
SECONDS = 20


@pytest.fixture
def desk() -> Iterator[int]:
    """The port of a desk of its own."""
    with Server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


class Answer:
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    @property
    def text(self) -> str:
        return self.body.decode()


def ask(
    port: int, path: str, headers: dict[str, str] | None = None, form: str | bytes | None = None
) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request("GET" if form is None else "POST", path, form, headers or {})
        return Answer(connection.getresponse())
    finally:
        connection.close()


def leave(port: int, content: bytes, name: str = "rib.dxf", headers: dict[str, str] = ALICE) -> Answer:
    line = f'Content-Disposition: form-data; name="file"; filename="{name}"\r\n'
    body = b"--x7\r\n" + line.encode() + b"Content-Type: image/x-dxf\r\n\r\n" + content + b"\r\n--x7--\r\n"
    return ask(port, "/drawings", {**headers, "Content-Type": "multipart/form-data; boundary=x7"}, body)


@pytest.mark.row("T-02")
def test_it_has_no_word_about_who_signs_anybody_in() -> None:
    files = [path for path in FOLDER.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert len(files) >= 6
    for path in files:
        assert WORDS.findall(path.read_text()) == [], path.name


def test_it_is_made_of_the_standard_library_alone() -> None:
    for path in FOLDER.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                assert name.startswith("examples.legacy") or name.split(".")[0] in sys.stdlib_module_names


def test_it_greets_by_the_header_and_knows_what_only_it_knows(desk: int) -> None:
    page = ask(desk, "/", ALICE)
    assert page.status == 200
    assert '<span id="user-name">Alice</span>' in page.text
    assert "Card 0417, Bench 3" in page.text
    assert "Bending iron" in page.text
    assert "Finger plane" not in page.text


def test_a_name_in_another_spelling_is_another_person(desk: int) -> None:
    page = ask(desk, "/", {"X-Forwarded-User": "alice"})
    assert "No card yet" in page.text
    assert "Bending iron" not in page.text


@pytest.mark.parametrize("path", ["/", "/tools", "/counter/events", "/intercom/line", "/drawings/1/x"])
def test_nobody_sees_nothing(desk: int, path: str) -> None:
    page = ask(desk, path)
    assert page.status == 403
    assert "does not say who you are" in page.text
    assert "Bending iron" not in page.text
    assert ask(desk, path, form="tool=H-031").status == 403


def test_a_name_stays_text(desk: int) -> None:
    name = 'Zoë "<script>"'
    page = ask(desk, "/", {"X-Forwarded-User": name.encode().decode("latin-1")})
    assert "Zoë &quot;&lt;script&gt;&quot;" in page.text
    assert "<script>" not in page.text


def test_a_tool_goes_out_once_and_comes_back(desk: int) -> None:
    assert ask(desk, "/borrow", BOB, "tool=H-031").headers["Location"] == "/tools"
    assert "Purfling cutter" in ask(desk, "/", BOB).text
    assert "with bob" in ask(desk, "/tools", ALICE).text
    refused = ask(desk, "/borrow", ALICE, "tool=H-031")
    assert (refused.status, "Purfling cutter is with bob." in refused.text) == (409, True)
    assert ask(desk, "/return", ALICE, "tool=H-031").status == 409
    assert ask(desk, "/return", BOB, "tool=H-031").headers["Location"] == "/"
    assert "Purfling cutter" not in ask(desk, "/", BOB).text
    assert ask(desk, "/borrow", BOB, "tool=X").status == 409


@given(content=st.binary(max_size=300))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_a_drawing_comes_back_byte_for_byte(desk: int, content: bytes) -> None:
    assert leave(desk, content).status == 303
    link = re.findall(r'href="(/drawings/[0-9]+/rib\.dxf)"', ask(desk, "/drawings", BOB).text)[-1]
    answer = ask(desk, link, BOB)
    assert (answer.status, answer.body) == (200, content)
    assert answer.headers["Content-Disposition"] == "attachment; filename*=UTF-8''rib.dxf"


def test_lines_and_odd_names_survive(desk: int) -> None:
    content = bytes(range(256)) * 40 + b"\r\n--x6\r\n\r\n--\r\n"
    leave(desk, content, name="C:\\plans\\Bögen <1>.dxf")
    page = ask(desk, "/drawings", ALICE).text
    assert "Bögen &lt;1&gt;.dxf" in page
    assert ask(desk, "/drawings/1/anything", ALICE).body == content


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x7", "text/plain", "multipart/form-data"])
def test_a_form_without_a_file(desk: int, kind: str) -> None:
    answer = ask(desk, "/drawings", {**ALICE, "Content-Type": kind}, b"--x7\r\n\r\n--x7--")
    assert (answer.status, "No file was chosen." in answer.text) == (409, True)


def test_too_much_and_of_unknown_length(desk: int) -> None:
    for headers, status in (
        ({"Content-Length": str(FORM_BYTES + 1)}, 413),
        ({"Transfer-Encoding": "chunked"}, 411),
    ):
        connection = http.client.HTTPConnection("127.0.0.1", desk, timeout=SECONDS)
        connection.putrequest("POST", "/drawings")
        for name, value in {**ALICE, **headers}.items():
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        assert (response.status, response.headers["Connection"]) == (status, "close")
        response.read()
        connection.close()


def test_movements_are_told_as_they_happen(desk: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", desk, timeout=SECONDS)
    connection.request("GET", "/counter/events", headers=ALICE)
    response = connection.getresponse()
    assert response.headers["Content-Type"].startswith("text/event-stream")
    assert re.fullmatch(
        rb"event: clock\ndata: \d\d:\d\d:\d\d\n\n", b"".join(response.readline() for _ in "123")
    )
    ask(desk, "/borrow", BOB, "tool=P-002")
    said = b""
    while b"event: movement" not in said:
        line = response.readline()
        assert line
        said += line
    assert b"id: 1" in response.readline()
    assert response.readline().endswith(b"bob took Glue pot, electric (P-002)\n")
    response.close()
    connection.close()


def test_key_of_a_handshake() -> None:
    # Spec: RFC 6455 1.3
    assert answer_to("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


class Talk:
    """A page of the intercom, over a socket."""

    def __init__(self, port: int, name: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
        self.socket.sendall(
            f"GET /intercom/line HTTP/1.1\r\nHost: desk\r\nX-Forwarded-User: {name}\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        self.reader = self.socket.makefile("rb")
        self.head = b"".join(iter(self.reader.readline, b"\r\n"))

    def send(self, opcode: int, content: bytes, *, mask: bytes = b"\1\2\3\4", first: int = 0x80) -> None:
        length = bytes([0x80 | len(content)]) if len(content) < 126 else struct.pack("!BH", 254, len(content))
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(content))
        self.socket.sendall(bytes([first | opcode]) + length + mask + masked)

    def frame(self) -> tuple[int, bytes]:
        first, length = self.reader.read(2)
        if length == 126:
            (length,) = struct.unpack("!H", self.reader.read(2))
        return first & 0x0F, self.reader.read(length)

    def heard(self) -> dict[str, str | None]:
        opcode, content = self.frame()
        assert opcode == 1
        heard: dict[str, str | None] = json.loads(content)
        return heard

    def close(self) -> None:
        self.reader.close()
        self.socket.close()


@pytest.fixture
def talk(desk: int) -> Iterator[Talk]:
    talk = Talk(desk, "Alice")
    assert talk.head.startswith(b"HTTP/1.1 101 ")
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in talk.head
    assert talk.heard() == {"who": "Alice", "said": None}
    yield talk
    talk.close()


def test_everybody_on_the_line_hears(desk: int, talk: Talk) -> None:
    other = Talk(desk, "bob")
    assert other.heard() == talk.heard() == {"who": "bob", "said": None}
    talk.send(1, "Glue is warm ♨".encode())
    assert other.heard() == talk.heard() == {"who": "Alice", "said": "Glue is warm ♨"}
    other.close()
    talk.send(1, b"x" * 4000)
    assert talk.heard() == {"who": "Alice", "said": "x" * 4000}
    talk.send(9, b"ping")
    assert talk.frame() == (10, b"ping")
    talk.send(8, struct.pack("!H", 1000))
    assert talk.frame() == (8, struct.pack("!H", 1000))


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        pytest.param(b"\x81\xfe\x10\x01", 1009, id="too-long"),
        pytest.param(b"\x81\xff", 1009, id="eight-byte-length"),
        pytest.param(b"\x81\x01a", 1002, id="not-masked"),
        pytest.param(b"\x01\x81\0\0\0\0a", 1003, id="in-parts"),
        pytest.param(b"\xc1\x81\0\0\0\0a", 1003, id="extension"),
        pytest.param(b"\x82\x81\0\0\0\0a", 1003, id="binary"),
        pytest.param(b"\x81\x81\0\0\0\0\xff", 1007, id="no-utf-8"),
    ],
)
def test_what_the_line_does_not_take(talk: Talk, raw: bytes, code: int) -> None:
    talk.socket.sendall(raw)
    assert talk.frame() == (8, struct.pack("!H", code))
    assert talk.reader.read(1) == b""


def test_the_line_is_for_its_own_page(desk: int) -> None:
    assert ask(desk, "/intercom/line", ALICE).status == 400


@pytest.mark.parametrize("path", ["/nothing", "/drawings/9/x", "/drawings/%D9%A3/x", "/drawings/"])
def test_what_is_not_there(desk: int, path: str) -> None:
    assert ask(desk, path, ALICE).status == 404


@pytest.mark.live
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_runs_on_a_port_until_it_is_ended(tmp_path: Path, number: int) -> None:
    port = free_port()
    command = [sys.executable, "-m", "examples.legacy", "--port", str(port)]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    with running(command, port=port, log=tmp_path / "log", env={"PYTHONPATH": path}) as server:
        assert "Card 0417" in ask(port, "/", ALICE).text
        server.wait_for_text("127.0.0.1 Alice - - ")
        server.process.send_signal(number)
        assert server.process.wait(SECONDS) == 0
        assert "Tool desk closed" in server.log_text()


@pytest.mark.live
def test_it_runs_on_a_unix_socket_that_only_its_user_can_reach(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "examples.legacy", "--socket", "desk.sock"]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    process = subprocess.Popen(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "Tool desk on desk.sock\n"
        assert (tmp_path / "desk.sock").stat().st_mode & 0o777 == 0o600
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(SECONDS)
            # A path of its own length limit: relative to where the desk runs.
            client.connect(os.path.relpath(tmp_path / "desk.sock"))
            client.sendall(b"GET / HTTP/1.0\r\nX-Forwarded-User: Alice\r\n\r\n")
            answer = b"".join(iter(lambda: client.recv(65536), b""))
        assert b"Card 0417" in answer
    finally:
        process.terminate()
        process.communicate(timeout=SECONDS)
