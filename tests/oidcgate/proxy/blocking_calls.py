"""Exchanges of a thread with an upstream that follows a script. The tests are beside this module."""

import contextlib
import ssl
from collections.abc import Iterator

from oidcgate.proxy.blocking import Pool
from oidcgate.proxy.blocking_exchange import Exchange
from oidcgate.proxy.routes import Limits, Upstream
from tests.oidcgate.net.peer import Peer, answer
from tests.support.tls import Authority, Certificate

OK = b"HTTP/1.1 200 OK\r\n"
HELLO = answer(b"hello")


@contextlib.contextmanager
def pooled(peer: Peer, limits: Limits | None = None) -> Iterator[Pool]:
    pool = Pool(Upstream(f"http://127.0.0.1:{peer.port}"), limits or Limits())
    with contextlib.closing(pool):
        yield pool


def ask(pool: Pool, method: str = "GET", body: bytes | None = None) -> bytes:
    """One exchange; the body of its answer."""
    length = b"" if body is None else b"Content-Length: %d\r\n" % len(body)
    exchange = Exchange(
        pool,
        method,
        b"%b / HTTP/1.1\r\nHost: a\r\n%b\r\n" % (method.encode(), length),
        None if body is None else [body],
    )
    try:
        whole = b""
        while data := exchange.more():
            whole += data
        return whole
    finally:
        exchange.close()


def server_side(certificate: Certificate, clients: Authority | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.certificate, certificate.key)
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients.certificate)
    return context
