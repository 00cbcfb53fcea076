"""Connections of threads to an upstream: how they are made, which is used, kept and closed."""

import contextlib
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from oidcgate.proxy.blocking import Pool, connect
from oidcgate.proxy.blocking_exchange import Exchange
from oidcgate.proxy.routes import Limits, Upstream
from oidcgate.proxy.troubles import Trouble, UpstreamTrouble
from tests.oidcgate.net.peer import Conversation, Peer, Script, answer
from tests.oidcgate.proxy.blocking_calls import HELLO, OK, ask, pooled, server_side
from tests.oidcgate.proxy.scripts import DEADLINE_SECONDS, Heard, dead_port, in_threads, once, read_request
from tests.support.tls import Authority

# One after the other


def test_a_connection_serves_many_requests() -> None:
    heard = Heard(HELLO)
    with Peer(heard) as peer, pooled(peer) as pool:
        assert [ask(pool) for _ in range(5)] == [b"hello"] * 5

        assert (peer.connections, len(heard)) == (1, 5)


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(answer(b"hello", b"Connection: close\r\n"), id="says-close"),
        pytest.param(HELLO + b"more", id="says-more"),
        pytest.param(HELLO + HELLO, id="answers-twice"),
    ],
)
def test_a_connection_that_is_done_for_is_not_used_again(first: bytes) -> None:
    heard = Heard(first, HELLO)
    with Peer(heard) as peer, pooled(peer) as pool:
        assert [ask(pool) for _ in range(2)] == [b"hello"] * 2

        assert peer.connections == 2


@pytest.mark.parametrize("late", [pytest.param(b"", id="closed"), pytest.param(HELLO, id="spoke-unasked")])
def test_an_unused_connection_that_was_closed_or_spoke_is_left(late: bytes) -> None:
    done = threading.Event()

    def script(conversation: Conversation) -> None:
        read_request(conversation)
        conversation.send(HELLO)
        if peer.connections > 1:
            conversation.hang()
        if late:
            conversation.send(late)
        else:
            conversation.connection.shutdown(socket.SHUT_RDWR)
        done.set()
        conversation.hang()

    with Peer(script) as peer, pooled(peer) as pool:
        assert ask(pool) == b"hello"
        assert done.wait(DEADLINE_SECONDS)
        assert ask(pool, "POST", b"x") == b"hello"

        assert peer.connections == 2


def test_connections_left_unused_for_long_are_closed() -> None:
    now = 1000.0
    with Peer(Heard(HELLO)) as peer:
        pool = Pool(Upstream(f"http://127.0.0.1:{peer.port}"), Limits(pooled_seconds=30), clock=lambda: now)
        with contextlib.closing(pool):
            ask(pool)
            now += 30
            ask(pool)
            assert peer.connections == 1
            now += 31
            ask(pool)
            assert peer.connections == 2


# At the same time


def test_each_thread_gets_its_own_answers() -> None:
    def echo(conversation: Conversation) -> None:
        while True:
            conversation.send(answer(read_request(conversation).body))

    with Peer(echo) as peer, pooled(peer) as pool:

        def work(index: int) -> None:
            for turn in range(25):
                body = b"%d-%d" % (index, turn)
                assert ask(pool, "POST", body) == body

        in_threads(12, work)

        assert peer.connections <= 12


def test_no_more_connections_than_allowed_are_open_at_a_time() -> None:
    limits = Limits(upstream_connections=2)
    with Peer(Heard(HELLO)) as peer, pooled(peer, limits) as pool:

        def work(_: int) -> None:
            for _turn in range(10):
                assert ask(pool) == b"hello"

        in_threads(8, work)

        # All are kept, so this is also how many there ever were.
        assert peer.connections <= 2


def test_who_finds_no_free_place_in_time_is_told() -> None:
    def hold(conversation: Conversation) -> None:
        read_request(conversation)
        conversation.send(OK + b"Content-Length: 5\r\n\r\n")
        conversation.hang()

    limits = Limits(upstream_connections=1, connect_seconds=1)
    with Peer(hold) as peer, pooled(peer, limits) as pool:
        held = Exchange(pool, "GET", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", None)
        with pytest.raises(UpstreamTrouble) as trouble:
            ask(pool)
        held.close()

        assert trouble.value.kind is Trouble.TOO_MANY
        again = Exchange(pool, "GET", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", None)
        again.close()


@pytest.mark.parametrize(
    "script", [once(b""), once(b"junk\r\n\r\n"), once(OK + b"Content-Length: 9\r\n\r\nabc")]
)
def test_a_place_is_free_again_after_trouble(script: Script) -> None:
    limits = Limits(upstream_connections=1, connect_seconds=1)
    with Peer(script) as peer, pooled(peer, limits) as pool:
        for _ in range(3):
            with pytest.raises(UpstreamTrouble) as trouble:
                ask(pool)
            assert trouble.value.kind is not Trouble.TOO_MANY


def test_a_place_is_free_again_after_nobody_was_there() -> None:
    pool = Pool(Upstream(f"http://127.0.0.1:{dead_port()}"), Limits(upstream_connections=1))
    for _ in range(3):
        with pytest.raises(UpstreamTrouble) as trouble:
            ask(pool)
        assert trouble.value.kind is Trouble.UNREACHABLE


_FORKING = """
import os, sys
from oidcgate.proxy.blocking import Pool
from oidcgate.proxy.blocking_exchange import Exchange
from oidcgate.proxy.routes import Limits, Upstream

pool = Pool(Upstream(f"http://127.0.0.1:{sys.argv[1]}"), Limits())

def ask():
    exchange = Exchange(pool, "GET", b"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n", None)
    body = exchange.more()
    exchange.close()
    return body

assert ask() == b"hello"
child = os.fork()
if child == 0:
    os._exit(0 if ask() == b"hello" else 1)
assert os.waitpid(child, 0)[1] == 0
assert ask() == b"hello"
"""


def test_a_process_forked_off_shares_no_connection_with_its_parent() -> None:
    heard = Heard(HELLO)
    with Peer(heard) as peer:
        subprocess.run([sys.executable, "-c", _FORKING, str(peer.port)], check=True, timeout=60)

        # The parent's own is alive after the child has closed its copy and made another.
        assert (peer.connections, len(heard)) == (2, 3)


# Connecting


def test_a_name_is_tried_at_all_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    with Peer(once(HELLO)) as peer:
        nobody = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", dead_port()))
        somebody = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", peer.port))
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [nobody, somebody])

        connection = connect(Upstream("http://app.internal"), 5)
        connection.send_some(memoryview(b"GET / HTTP/1.1\r\n\r\n"))

        assert connection.receive(5) == HELLO
        connection.close()


def test_a_listener_that_takes_nobody_up_is_given_up(tmp_path: Path) -> None:
    # The queue of the listener is full: on Linux it holds one more than it is told.
    with socket.socket(socket.AF_UNIX) as listener, contextlib.ExitStack() as stack:
        listener.bind(str(tmp_path / "full.sock"))
        listener.listen(0)
        stack.enter_context(socket.socket(socket.AF_UNIX)).connect(str(tmp_path / "full.sock"))

        with pytest.raises(UpstreamTrouble) as trouble:
            connect(Upstream(f"unix:{tmp_path}/full.sock"), 0.2)

    assert trouble.value.kind is Trouble.CONNECT_TIMEOUT


def test_a_handshake_that_does_not_go_on_is_given_up() -> None:
    with Peer(lambda conversation: conversation.hang()) as peer, pytest.raises(UpstreamTrouble) as trouble:
        connect(Upstream(f"https://127.0.0.1:{peer.port}"), 0.2)

    assert trouble.value.kind is Trouble.CONNECT_TIMEOUT


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("authority"))


def test_over_tls_connections_are_kept_too(authority: Authority) -> None:
    heard = Heard(HELLO)
    with Peer(heard, tls=server_side(authority.issue("localhost"))) as peer:
        pool = Pool(Upstream(f"https://localhost:{peer.port}", ca_file=authority.certificate), Limits())
        with contextlib.closing(pool):
            # What the server says of itself after the handshake (tickets) is no answer.
            assert [ask(pool) for _ in range(3)] == [b"hello"] * 3
            assert ask(pool, "POST", b"x" * 3_000_000) == b"hello"

        assert peer.connections == 1
        assert len(heard[-1].body) == 3_000_000


def test_a_large_answer_over_tls(authority: Authority) -> None:
    big = bytes(range(256)) * 20_000
    with Peer(once(answer(big)), tls=server_side(authority.issue("127.0.0.1"))) as peer:
        pool = Pool(Upstream(f"https://127.0.0.1:{peer.port}", ca_file=authority.certificate), Limits())
        with contextlib.closing(pool):
            assert ask(pool) == big


def test_an_upstream_knows_us_by_our_certificate(authority: Authority) -> None:
    ours = authority.issue("sidecar.internal")
    with Peer(Heard(HELLO), tls=server_side(authority.issue("localhost"), authority)) as peer:
        upstream = Upstream(
            f"https://localhost:{peer.port}",
            ca_file=authority.certificate,
            client_cert_file=ours.certificate,
            client_key_file=ours.key,
        )
        with contextlib.closing(Pool(upstream, Limits())) as pool:
            assert ask(pool) == b"hello"

        with contextlib.closing(
            Pool(Upstream(f"https://localhost:{peer.port}", ca_file=authority.certificate), Limits())
        ) as unknown:
            with pytest.raises(UpstreamTrouble) as trouble:
                ask(unknown)
            assert trouble.value.kind in (Trouble.TLS, Trouble.CLOSED)


@pytest.mark.parametrize(
    ("issuer", "name"),
    [
        pytest.param("another", "localhost", id="authority-not-ours"),
        pytest.param("ours", "other.internal", id="another-name"),
    ],
)
def test_an_upstream_that_is_somebody_else_gets_no_request(
    authority: Authority, tmp_path: Path, issuer: str, name: str
) -> None:
    by = authority if issuer == "ours" else Authority.create(tmp_path / "another")
    heard = Heard(HELLO)
    with Peer(heard, tls=server_side(by.issue(name))) as peer:
        pool = Pool(Upstream(f"https://localhost:{peer.port}", ca_file=authority.certificate), Limits())
        with pytest.raises(UpstreamTrouble) as trouble:
            ask(pool)

    assert trouble.value.kind is Trouble.TLS
    assert heard == []
