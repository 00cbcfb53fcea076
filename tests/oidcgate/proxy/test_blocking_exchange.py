"""Exchanges of threads: what is asked again over another connection, and where an answer ends."""

import contextlib
import ssl
from pathlib import Path

import pytest

from oidcgate.proxy.blocking import Pool
from oidcgate.proxy.routes import Limits, Upstream
from oidcgate.proxy.troubles import Trouble, UpstreamTrouble
from tests.oidcgate.net.peer import Conversation, Peer, Script
from tests.oidcgate.proxy.blocking_calls import HELLO, OK, ask, pooled, server_side
from tests.oidcgate.proxy.scripts import Heard, read_request
from tests.support.tls import Authority


def _closes_upon_the_second_request(heard: list[str], first: bytes = HELLO) -> Script:
    def script(conversation: Conversation) -> None:
        for _ in range(2):
            request = read_request(conversation)
            heard.append(request.line)
            if len(heard) == 2:
                return
            conversation.send(first)

    return script


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_what_asks_for_nothing_but_an_answer_is_asked_again_once(method: str) -> None:
    heard: list[str] = []
    # To all three alike: an answer without a body.
    script = _closes_upon_the_second_request(heard, OK + b"Content-Length: 0\r\n\r\n")
    with Peer(script) as peer, pooled(peer) as pool:
        ask(pool, method)
        ask(pool, method)

        assert heard == [f"{method} / HTTP/1.1"] * 3
        assert peer.connections == 2


@pytest.mark.parametrize(
    ("method", "body"),
    [("POST", b"x"), ("POST", None), ("PUT", b"x"), ("DELETE", None), ("PATCH", None), ("GET", b"x")],
)
def test_what_could_happen_twice_is_not(method: str, body: bytes | None) -> None:
    heard: list[str] = []
    with Peer(_closes_upon_the_second_request(heard)) as peer, pooled(peer) as pool:
        ask(pool)
        with pytest.raises(UpstreamTrouble) as trouble:
            ask(pool, method, body)

        assert trouble.value.kind is Trouble.CLOSED
        assert len(heard) == 2


def test_it_is_asked_again_only_once() -> None:
    heard = Heard(HELLO, b"")
    with Peer(heard) as peer, pooled(peer) as pool:
        ask(pool)
        with pytest.raises(UpstreamTrouble):
            ask(pool)

        assert len(heard) == 3


def test_a_new_connection_that_closes_is_not_asked_again() -> None:
    heard = Heard(b"")
    with Peer(heard) as peer, pooled(peer) as pool:
        with pytest.raises(UpstreamTrouble):
            ask(pool)

        assert len(heard) == 1


def test_an_answer_that_has_begun_is_not_asked_for_again() -> None:
    def closes_after_half(conversation: Conversation) -> None:
        read_request(conversation)
        conversation.send(HELLO)
        read_request(conversation)
        conversation.send(b"HTTP/1.1 2")

    with Peer(closes_after_half) as peer, pooled(peer) as pool:
        ask(pool)
        with pytest.raises(UpstreamTrouble) as trouble:
            ask(pool)

        assert (trouble.value.kind, peer.connections) == (Trouble.CLOSED, 1)


@pytest.mark.parametrize("goodbye", [True, False])
def test_an_answer_until_close_over_tls_needs_a_goodbye(tmp_path: Path, goodbye: bool) -> None:
    authority = Authority.create(tmp_path)

    def script(conversation: Conversation) -> None:
        conversation.request()
        conversation.send(OK + b"\r\nhello")
        if goodbye:
            assert isinstance(conversation.connection, ssl.SSLSocket)
            conversation.connection.unwrap()

    with Peer(script, tls=server_side(authority.issue("127.0.0.1"))) as peer:
        pool = Pool(Upstream(f"https://127.0.0.1:{peer.port}", ca_file=authority.certificate), Limits())
        with contextlib.closing(pool):
            if goodbye:
                assert ask(pool) == b"hello"
            else:
                with pytest.raises(UpstreamTrouble) as trouble:
                    ask(pool)
                assert trouble.value.kind is Trouble.TRUNCATED
