"""Reaching an upstream: TLS and the names of failures for everybody, connections for an event loop.

Here live the one place that says how an upstream's certificate is checked and our own files are read, what a
failure to connect is told as (`dialling`), and `connect`. What is spoken over a connection is the protocol's
that the caller brings; keeping connections is `upstream`'s next door, and connecting from a thread
`blocking`'s.
"""

import asyncio
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TypeVar

from oidcgate.proxy.routes import Upstream
from oidcgate.proxy.troubles import Trouble, UpstreamTrouble

__all__ = ["connect", "dialling", "error_text", "file_faults", "tls_context"]

_Protocol = TypeVar("_Protocol", bound=asyncio.BaseProtocol)


@lru_cache(maxsize=64)
def tls_context(upstream: Upstream) -> ssl.SSLContext | None:
    """How an https upstream is spoken to; None for one without TLS.

    Its certificate is always checked, for its host name too. Kept per upstream: files are read once, so that
    a process goes on with what it was started with.

    Raises:
        OSError: a file cannot be read, or holds no certificate or key, or one that needs a pass phrase
            (`ssl.SSLError`).
    """
    if not upstream.tls:
        return None
    context, faults = _loaded(upstream)
    for _, error in faults:
        raise error
    return context


def file_faults(upstream: Upstream) -> list[tuple[str, OSError]]:
    """All files for which `tls_context` would fail: the field of `Upstream` that names it, and why."""
    return _loaded(upstream)[1] if upstream.tls else []


def _loaded(upstream: Upstream) -> tuple[ssl.SSLContext, list[tuple[str, OSError]]]:
    faults: list[tuple[str, OSError]] = []
    try:
        context = ssl.create_default_context(cafile=upstream.ca_file)
    except OSError as error:
        faults.append(("ca_file", error))
        # Nothing is ever said with it: the other files are tried on it.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["http/1.1"])
    if upstream.client_cert_file is not None:
        try:
            # With a word in its place, nobody is asked for a pass phrase at the terminal.
            context.load_cert_chain(upstream.client_cert_file, upstream.client_key_file, password="")
        except OSError as error:
            faults.append(("client_cert_file", error))
    return context, faults


async def connect(
    upstream: Upstream, factory: Callable[[], _Protocol], seconds: float
) -> tuple[asyncio.Transport, _Protocol]:
    """Open a connection, TLS handshake included.

    Args:
        upstream: where to.
        factory: makes the protocol of the connection.
        seconds: after which it is given up.

    Raises:
        UpstreamTrouble: nobody answered, in time, or not with a certificate that we accept.
    """
    loop = asyncio.get_running_loop()
    with dialling(seconds):
        async with asyncio.timeout(seconds):
            if upstream.socket_path is not None:
                return await loop.create_unix_connection(factory, upstream.socket_path)
            return await loop.create_connection(
                factory, upstream.host, upstream.port, ssl=tls_context(upstream)
            )


@contextmanager
def dialling(seconds: float) -> Iterator[None]:
    """Have what goes wrong while connecting raised as the trouble that it is.

    Args:
        seconds: after which the caller gives up, by a `TimeoutError`.

    Raises:
        UpstreamTrouble: in place of any `OSError`.
    """
    try:
        yield
    except TimeoutError:
        raise UpstreamTrouble(Trouble.CONNECT_TIMEOUT, f"not connected within {seconds} s") from None
    except ssl.SSLError as error:
        raise UpstreamTrouble(Trouble.TLS, error_text(error)) from error
    except OSError as error:
        raise UpstreamTrouble(Trouble.UNREACHABLE, error_text(error)) from error


def error_text(error: OSError) -> str:
    """What the system says of a failure, for the log."""
    return f"{type(error).__name__}: {error.strerror or error}"
