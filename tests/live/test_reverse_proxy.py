"""`ReverseProxy` under gunicorn's gthread worker, with raw sockets on both sides."""

import contextlib
import io
import re
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.oidcgate.net.peer import Conversation, Peer, answer
from tests.oidcgate.proxy.scripts import DEADLINE_SECONDS, Request, read_request
from tests.support import servers

pytestmark = pytest.mark.live

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
#: Gets the head of a request and what came with it of the body.
Act = Callable[[Conversation, bytes], None]


class Site:
    """gunicorn with the proxy, and an upstream that does for each path what a test says."""

    def __init__(self) -> None:
        self.acts: dict[str, Act] = {}
        self.heard: list[Request] = []
        self.server: servers.Server

    def script(self, conversation: Conversation) -> None:
        while head := conversation.request():
            path = head.split(b" ")[1].decode()
            act = self.acts.get(path)
            if act is not None:
                act(conversation, head)
            else:
                self.heard.append(read_request(conversation, head))
                conversation.send(answer(b"at " + path.encode()))

    @contextlib.contextmanager
    def client(self) -> Iterator["Client"]:
        with socket.create_connection(
            ("127.0.0.1", self.server.port), timeout=DEADLINE_SECONDS
        ) as connection:
            client = Client(connection)
            with client.stream:
                yield client

    def worker_memory(self) -> int:
        """The most memory that any worker has ever had, in bytes."""
        main = self.server.process.pid
        workers = Path(f"/proc/{main}/task/{main}/children").read_text().split()
        peaks = [re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text()) for pid in workers]
        return max(int(peak[1]) for peak in peaks if peak) * 1024


class Client:
    """One client connection, byte by byte."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.stream: io.BufferedReader = connection.makefile("rb")

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def head(self) -> bytes:
        lines = b""
        while not lines.endswith(b"\r\n\r\n"):
            line = self.stream.readline()
            assert line, f"the connection ended after {lines!r}"
            lines += line
        return lines

    def read(self, size: int) -> bytes:
        return self.stream.read(size)

    def rest(self) -> bytes:
        return self.stream.read()

    def get(self, path: str, method: str = "GET", headers: bytes = b"") -> tuple[bytes, bytes]:
        """One request on this connection, its answer's head and body (of a known length)."""
        self.send(b"%b %b HTTP/1.1\r\nHost: a\r\n%b\r\n" % (method.encode(), path.encode(), headers))
        head = self.head()
        length = re.search(rb"(?i)content-length: (\d+)", head)
        return head, b"" if method == "HEAD" or length is None else self.read(int(length[1]))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site()
    with Peer(site.script) as peer:
        env = {"UPSTREAM": f"http://127.0.0.1:{peer.port}"}
        log = tmp_path_factory.mktemp("proxy") / "log"
        with servers.gunicorn(
            "tests.live.sites.proxy_site:application", port=servers.free_port(), log=log, env=env
        ) as site.server:
            yield site


@pytest.fixture
def site(served: Site) -> Iterator[Site]:
    served.heard.clear()
    yield served
    served.acts.clear()


def test_one_connection_of_a_client_carries_many_answers(site: Site) -> None:
    site.acts["/204"] = lambda conversation, _: conversation.send(b"HTTP/1.1 204 No Content\r\n\r\n")
    site.acts["/304"] = lambda conversation, _: conversation.send(
        b'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nContent-Length: 9\r\n\r\n'
    )
    site.acts["/head"] = lambda conversation, _: conversation.send(OK + b"Content-Length: 9\r\n\r\n")
    site.acts["/empty"] = lambda conversation, _: conversation.send(OK + b"Content-Length: 0\r\n\r\n")
    with site.client() as client:
        assert client.get("/204")[0].startswith(b"HTTP/1.1 204 ")
        assert client.get("/304")[0].startswith(b"HTTP/1.1 304 ")
        head, _ = client.get("/head", "HEAD")
        assert b"content-length: 9\r\n" in head
        assert client.get("/empty")[1] == b""
        assert client.get("/again")[1] == b"at /again"


def test_what_the_upstream_says_of_itself_is_not_said_twice(site: Site) -> None:
    site.acts["/dated"] = lambda conversation, _: conversation.send(
        OK + b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\nServer: x\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n"
        b"Content-Length: 0\r\n\r\n"
    )
    with site.client() as client:
        head = client.get("/dated")[0].lower()

    names = [line.partition(b":")[0] for line in head.split(b"\r\n")[1:-2]]
    assert (names.count(b"date"), names.count(b"server"), names.count(b"set-cookie")) == (1, 1, 2)


@pytest.mark.row("G-27")
def test_the_head_of_a_stream_and_each_event_arrive_at_once(site: Site) -> None:
    first, second = threading.Event(), threading.Event()

    def act(conversation: Conversation, _: bytes) -> None:
        conversation.send(CHUNKED)
        first.wait(DEADLINE_SECONDS)
        conversation.send(b"1\r\na\r\n")
        second.wait(DEADLINE_SECONDS)
        conversation.send(b"1\r\nb\r\n0\r\n\r\n")

    site.acts["/events"] = act
    with site.client() as client:
        client.send(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"Transfer-Encoding: chunked" in client.head()
        first.set()
        assert client.read(6) == b"1\r\na\r\n"
        second.set()
        assert client.read(11) == b"1\r\nb\r\n0\r\n\r\n"
        assert client.get("/after")[1] == b"at /after"


@pytest.mark.parametrize(
    ("data", "seen"),
    [
        pytest.param(OK + b"Content-Length: 9\r\n\r\nabc", b"abc", id="length"),
        pytest.param(CHUNKED + b"3\r\nabc\r\n", b"3\r\nabc\r\n", id="chunked"),
        pytest.param(CHUNKED + b"3\r\nabc\r\nzz\r\n", b"3\r\nabc\r\n", id="malformed-later"),
    ],
)
def test_an_answer_that_breaks_off_is_cut_for_the_client_too(site: Site, data: bytes, seen: bytes) -> None:
    def act(conversation: Conversation, _: bytes) -> None:
        # In two parts, so that the head is on its way before the trouble is there.
        head, _, rest = data.partition(b"abc")
        conversation.send(head + b"abc")
        assert begun.wait(DEADLINE_SECONDS)
        conversation.send(rest)
        raise ConnectionError

    begun = threading.Event()
    site.acts["/cut"] = act
    with site.client() as client:
        client.send(b"GET /cut HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.head().startswith(b"HTTP/1.1 200 ")
        begun.set()
        assert seen.startswith(client.rest())


def test_an_answer_until_close_ends_in_order(site: Site) -> None:
    def act(conversation: Conversation, _: bytes) -> None:
        conversation.send(OK + b"\r\nabc")
        raise ConnectionError

    site.acts["/close"] = act
    with site.client() as client:
        client.send(b"GET /close HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"Transfer-Encoding: chunked" in client.head()
        assert client.read(13) == b"3\r\nabc\r\n0\r\n\r\n"
    with site.client() as client:
        client.send(b"GET /close HTTP/1.0\r\n\r\n")
        client.head()
        assert client.rest() == b"abc"


@pytest.mark.parametrize(
    ("framing", "sent", "arrives"),
    [
        pytest.param(b"Content-Length: 5\r\n", b"hello", b"hello", id="length"),
        pytest.param(
            b"Transfer-Encoding: chunked\r\n",
            b"2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nLate: 1\r\n\r\n",
            b"5\r\nhello\r\n0\r\n\r\n",
            id="chunked",
        ),
        pytest.param(b"Content-Length: 5\r\nExpect: 100-continue\r\n", b"hello", b"hello", id="expect"),
    ],
)
def test_an_upload_arrives(site: Site, framing: bytes, sent: bytes, arrives: bytes) -> None:
    with site.client() as client:
        client.send(b"POST /up HTTP/1.1\r\nHost: a\r\n" + framing + b"\r\n" + sent)
        head = client.head()
        if head.startswith(b"HTTP/1.1 100 "):
            head = client.head()
        assert head.startswith(b"HTTP/1.1 200 ")

    assert site.heard[-1].body == arrives


def test_a_client_that_leaves_in_the_middle_of_its_upload_is_no_complete_request(site: Site) -> None:
    begun, ended = threading.Event(), threading.Event()

    def act(conversation: Conversation, head: bytes) -> None:
        begun.set()
        with contextlib.suppress(ConnectionError):
            site.heard.append(read_request(conversation, head))
        ended.set()
        raise ConnectionError

    site.acts["/half"] = act
    with site.client() as client:
        client.send(b"PUT /half HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + b"a" * 500_000)
        assert begun.wait(DEADLINE_SECONDS)
    assert ended.wait(DEADLINE_SECONDS)

    assert site.heard == []


def test_an_early_answer_reaches_a_client_that_is_still_sending(site: Site) -> None:
    def act(conversation: Conversation, _: bytes) -> None:
        conversation.send(
            b"HTTP/1.1 413 Too Large\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nbig"
        )
        conversation.hang()
        raise ConnectionError

    site.acts["/big"] = act
    size = 30_000_000
    with site.client() as client:
        client.send(b"PUT /big HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)

        def upload() -> None:
            with contextlib.suppress(OSError):
                client.send(b"a" * size)

        thread = threading.Thread(target=upload)
        thread.start()
        assert client.head().startswith(b"HTTP/1.1 413 ")
        assert client.read(3) == b"big"
        # Whoever answered may have closed already; then there is nothing to shut.
        with contextlib.suppress(OSError):
            client.connection.shutdown(socket.SHUT_RDWR)
        thread.join(DEADLINE_SECONDS)
        assert not thread.is_alive()


@pytest.mark.parametrize(
    ("request_line", "headers", "status"),
    [
        pytest.param(b"GET /a%2Fb HTTP/1.1", b"", b"400", id="encoded-slash"),
        pytest.param(b"GET /a%zz HTTP/1.1", b"", b"400", id="broken-escape"),
        pytest.param(b"GET //evil.example/ HTTP/1.1", b"", b"400", id="two-slashes"),
        pytest.param(b"GET http://evil.example/x HTTP/1.1", b"", b"400", id="absolute-form"),
        pytest.param(b"OPTIONS * HTTP/1.1", b"", b"400", id="asterisk"),
        pytest.param(
            b"GET /ws HTTP/1.1", b"Upgrade: websocket\r\nConnection: Upgrade\r\n", b"501", id="websocket"
        ),
    ],
)
def test_what_is_not_passed_on(site: Site, request_line: bytes, headers: bytes, status: bytes) -> None:
    with site.client() as client:
        client.send(request_line + b"\r\nHost: a\r\n" + headers + b"\r\n")
        assert client.head().split(b" ")[1] == status

    assert site.heard == []


@pytest.mark.slow
def test_memory_stays_flat_while_200_megabytes_pass_each_way(site: Site) -> None:
    size, block = 200_000_000, b"a" * 100_000

    def act(conversation: Conversation, head: bytes) -> None:
        left = size - len(head.partition(b"\r\n\r\n")[2])
        while left:
            left -= len(conversation.connection.recv(1_000_000))
        conversation.send(OK + b"Content-Length: %d\r\n\r\n" % size)
        for _turn in range(size // len(block)):
            conversation.send(block)

    with site.client() as client:
        client.get("/warm")
    before = site.worker_memory()
    site.acts["/big"] = act
    with site.client() as client:
        client.send(b"PUT /big HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
        for _turn in range(size // len(block)):
            client.send(block)
        assert b"content-length: %d\r\n" % size in client.head()
        left = size
        while left:
            left -= len(client.read(min(left, 1_000_000)))

    assert site.worker_memory() - before < 8_000_000
