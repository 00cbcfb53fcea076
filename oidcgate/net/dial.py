"""Sockets that connect only to an address the rules allow, and that all stop at one deadline.

The address that was checked is the address that is connected to: there is no second look-up that could answer
otherwise (DNS rebinding). The name stays in the Host header, in SNI and in the certificate check. Which
addresses are allowed is `oidcgate.net.addresses`; what is sent and how much may come back is
`oidcgate.net.fetch`.
"""

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Final

from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.poolmanager import PoolManager

from oidcgate.net.addresses import Address, AddressRules
from oidcgate.net.errors import FetchError, FetchFailure
from oidcgate.time_limit import TimeLimited

#: From a host name and a port to the addresses it has; raises OSError when there are none.
Resolver = Callable[[str, int], list[Address]]

_MAX_ADDRESSES: Final = 8
_RESOLVING_AT_ONCE: Final = 16
# One identity provider is the common case; a worker's threads share its connections.
_HOSTS: Final = 10
_CONNECTIONS_PER_HOST: Final = 16


def system_resolver(host: str, port: int) -> list[Address]:
    """Resolve as the machine does (hosts file, DNS)."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]


class Deadline(threading.local):
    """The instant (monotonic seconds) at which this thread's call has to be over."""

    at: float = 0.0

    def start(self, seconds: float) -> None:
        """Begin a call of this thread that may last `seconds`."""
        self.at = time.monotonic() + seconds

    def remaining(self) -> float:
        """Seconds left.

        Raises:
            TimeoutError: None are left.
        """
        left = self.at - time.monotonic()
        if left <= 0:
            raise TimeoutError("the call's total deadline has passed")
        return left


class _TimedSocket(socket.socket):
    """A socket whose every wait ends at the deadline: a peer that sends one byte a second gains nothing."""

    deadline: Deadline

    # http.client reads through recv_into and writes through sendall; the rest is left alone.
    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(self.deadline.remaining())
        return super().recv_into(*args, **kwargs)

    def sendall(self, *args: Any, **kwargs: Any) -> None:
        self.settimeout(self.deadline.remaining())
        super().sendall(*args, **kwargs)


class _TimedTLSSocket(ssl.SSLSocket):
    """The same over TLS. The handshake is one call under the time-out the plain socket had left."""

    deadline: Deadline

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(self.deadline.remaining())
        return super().recv_into(*args, **kwargs)

    def send(self, *args: Any, **kwargs: Any) -> int:
        # ssl's own sendall is a loop over this.
        self.settimeout(self.deadline.remaining())
        return super().send(*args, **kwargs)


class Dialler:
    """Turns a host name into a connected socket that the rules allow.

    Args:
        rules: Which addresses may be reached.
        deadline: Ends the waiting, name resolution included.
        resolver: Where addresses come from.
    """

    def __init__(self, rules: AddressRules, deadline: Deadline, resolver: Resolver = system_resolver) -> None:
        self._rules = rules
        self.deadline = deadline
        self._resolver = resolver
        # getaddrinfo has no time-out of its own.
        self._resolving = TimeLimited("oidcgate-resolve", at_once=_RESOLVING_AT_ONCE)

    def connect(self, host: str, port: int) -> socket.socket:
        """Return a socket connected to one of the addresses of `host`.

        Raises:
            FetchError: There is none, and nothing was sent anywhere. REFUSED_ADDRESS: the host has an address
                that the rules refuse; TIMEOUT: the deadline passed; CONNECTION: no address, or none that
                answers.
        """
        try:
            return self._connected(host, port)
        except TimeoutError:
            raise _not_connected(FetchFailure.TIMEOUT, host, port, "no connection in time") from None
        except OSError as error:
            detail = f"no connection: {error.strerror or error}"
            raise _not_connected(FetchFailure.CONNECTION, host, port, detail) from None

    def _connected(self, host: str, port: int) -> socket.socket:
        addresses = self._addresses(host, port)
        refused = self._rules.refused(host, addresses)
        if refused is not None:
            raise _not_connected(
                FetchFailure.REFUSED_ADDRESS,
                host,
                port,
                f"the host has the address {refused}, which is not public; "
                "name its network in allow_private if it is meant",
            )
        failure: OSError = OSError("the host has no address")
        for address in addresses[:_MAX_ADDRESSES]:
            try:
                return self._connect_to(address, port)
            except TimeoutError:
                raise
            except OSError as error:
                failure = error
        raise failure

    def _connect_to(self, address: Address, port: int) -> socket.socket:
        connection = _TimedSocket(
            socket.AF_INET6 if address.version == 6 else socket.AF_INET, socket.SOCK_STREAM
        )
        try:
            connection.deadline = self.deadline
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.settimeout(self.deadline.remaining())
            connection.connect((str(address), port))
            connection.settimeout(self.deadline.remaining())
        except BaseException:
            connection.close()
            raise
        return connection

    def _addresses(self, host: str, port: int) -> list[Address]:
        try:
            return [ipaddress.ip_address(host)]
        except ValueError:
            return self._resolve(host, port)

    def _resolve(self, host: str, port: int) -> list[Address]:
        try:
            return self._resolving.call(partial(self._resolver, host, port), self.deadline.remaining())
        except TimeoutError:
            raise
        except (OSError, ValueError) as error:  # ValueError: a name that IDNA cannot encode
            raise OSError(f"the name cannot be resolved ({type(error).__name__})") from None


def _not_connected(reason: FetchFailure, host: str, port: int, detail: str) -> FetchError:
    return FetchError(reason, f"//{host}:{port}", detail, sent=False)


class _Connection(HTTPConnection):
    dialler: Dialler

    def _new_conn(self) -> socket.socket:
        return self.dialler.connect(self._dns_host, self.port)


class _TLSConnection(HTTPSConnection):
    dialler: Dialler

    def _new_conn(self) -> socket.socket:
        return self.dialler.connect(self._dns_host, self.port)

    def connect(self) -> None:
        super().connect()
        if isinstance(self.sock, _TimedTLSSocket):
            self.sock.deadline = self.dialler.deadline


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection
    dialler: Dialler

    def _new_conn(self) -> Any:
        # urllib3 types what it makes as its own class, though it makes a `ConnectionCls`; so in the others.
        connection: Any = super()._new_conn()
        connection.dialler = self.dialler
        return connection


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _TLSConnection
    dialler: Dialler

    def _new_conn(self) -> Any:
        connection: Any = super()._new_conn()
        connection.dialler = self.dialler
        return connection


class _Pools(PoolManager):
    def __init__(self, dialler: Dialler, **settings: Any) -> None:
        super().__init__(**settings)
        self._dialler = dialler
        self.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}

    def _new_pool(self, *args: Any, **kwargs: Any) -> Any:
        pool: Any = super()._new_pool(*args, **kwargs)
        pool.dialler = self._dialler
        return pool


def _trust(ca_file: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_file)
    context.sslsocket_class = _TimedTLSSocket
    return context


@lru_cache(maxsize=1)
def _public_trust() -> ssl.SSLContext:
    """The public certificates; read once a process, which takes longer than all the rest of a gate.

    The machine's own store is not used: OpenSSL would take it from SSL_CERT_FILE, and nothing here trusts the
    environment.
    """
    return _trust(DEFAULT_CA_BUNDLE_PATH)


class DirectTransport(HTTPAdapter):
    """A requests adapter over pooled connections; no proxy, certificates always checked.

    Args:
        dialler: Opens the connections.
        ca_file: Certificates to trust in place of the public ones that requests ships.

    Raises:
        OSError: `ca_file` cannot be read or holds no certificate (`ssl.SSLError`).
    """

    def __init__(self, dialler: Dialler, ca_file: str | Path | None = None) -> None:
        self._dialler = dialler
        self._tls = _public_trust() if ca_file is None else _trust(str(ca_file))
        super().__init__(pool_connections=_HOSTS, pool_maxsize=_CONNECTIONS_PER_HOST)

    def init_poolmanager(
        self, connections: int, maxsize: int, block: bool = False, **pool_kwargs: Any
    ) -> None:
        """Set up the pools (called by requests)."""
        self.poolmanager = _Pools(
            self._dialler,
            num_pools=connections,
            maxsize=maxsize,
            block=block,
            ssl_context=self._tls,
            **pool_kwargs,
        )

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Leave the connection as it is (called by requests): trust is in the context, never off."""
