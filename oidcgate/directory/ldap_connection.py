"""Connections to one LDAP server: opened when needed, kept a while, and over at a deadline, whatever it does.

ldap3 speaks the protocol. It limits neither how long an answer may take (only each read of it) nor how long
it may be, and leaves host names of certificates to code that Python gave up; so the socket below it is ours.
What is asked is `ldap` next door.

Spec: RFC 4511; RFC 4513 3.1 (StartTLS), 5.1 (simple bind).
"""

import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

# ldap3 has no types; what of it is used is held by the tests with a real server.
from ldap3 import (  # type: ignore[import-untyped]  # ldap3 has no types
    DEREF_NEVER,
    NONE,
    SUBTREE,
    SYNC,
    Connection,
    Server,
)
from ldap3.core.exceptions import (  # type: ignore[import-untyped]  # ldap3 has no types
    LDAPSessionTerminatedByServerError,
    LDAPSocketSendError,
)
from ldap3.strategy.sync import SyncStrategy  # type: ignore[import-untyped]  # ldap3 has no types
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from oidcgate.directory.port import DirectoryUnavailable
from oidcgate.net.addresses import AddressRules
from oidcgate.net.dial import Deadline, Dialler
from oidcgate.net.errors import FetchError

__all__ = ["Entries", "LdapConnections", "LdapServer", "Protection"]

#: All answers to one question together. A person's entry has a few thousand bytes, with a picture 100,000.
MOST_BYTES: Final = 1_048_576
#: So many connections wait for the next question, and no longer than servers commonly bear it.
_KEPT: Final = 4
_KEPT_SECONDS: Final = 60
_START_TLS: Final = "1.3.6.1.4.1.1466.20037"
_SUCCESS: Final = 0
_SIZE_LIMIT_EXCEEDED: Final = 4
_LATE: Final = "did not answer within users.timeout_seconds"


class Protection(Enum):
    """What keeps others from reading and answering what the server is asked."""

    LDAPS = "TLS from the start"
    START_TLS = "TLS, once both have agreed to begin it"
    NONE = "nothing"


@dataclass(frozen=True)
class LdapServer:
    """Where it is and who we are to it.

    Attributes:
        ca_file: trusted in place of the public certificates.
        bind_dn: with `bind_password`; None: it is asked by nobody in particular.
        timeout_seconds: how long one question may take, with all that has to be opened for it.
    """

    host: str
    port: int
    protection: Protection
    ca_file: Path | None = None
    bind_dn: str | None = None
    bind_password: str | None = field(default=None, repr=False)
    timeout_seconds: float = 5.0


class Entries(NamedTuple):
    """What was found: the attributes of each entry by lower-case name. `more`: there are further ones."""

    found: tuple[dict[str, tuple[bytes, ...]], ...]
    more: bool


class _Gone(Exception):
    """The server has ended the connection, and said nothing about the question."""


class LdapConnections:
    """Connections to a server. Safe to share between threads, each of which has one to itself for a question.

    Nothing is opened before the first question, and a fork takes none along: what a parent has open is the
    parent's.
    """

    def __init__(self, server: LdapServer, clock: Callable[[], float] = time.monotonic) -> None:
        self._server = server
        self._clock = clock
        self._deadline = Deadline()
        # Where the operator says that the server is may be anywhere.
        rules = AddressRules(trusted_hosts=frozenset({server.host}))
        self._dialler = Dialler(rules, self._deadline)
        self._lock = threading.Lock()
        self._tls: ssl.SSLContext | None = None
        self._pid = os.getpid()
        self._idle: list[tuple[float, Connection]] = []
        self._inherited: list[Any] = []

    def search(self, base: str, query: str, attributes: Sequence[str], *, most: int) -> Entries:
        """Entries below `base` that `query` is true of, at most `most`. Referrals are not followed.

        Raises:
            DirectoryUnavailable: there was no answer in time, or not a whole one.
        """
        self._deadline.start(self._server.timeout_seconds)
        kept = self._kept()
        if kept is not None:
            # Its server may have been started anew since; that says nothing about the one there is now.
            with suppress(_Gone):
                return self._searched(kept, base, query, attributes, most)
        try:
            return self._searched(self._opened(), base, query, attributes, most)
        except _Gone:
            raise DirectoryUnavailable(f"{self._where}: ended the connection; look in its log") from None

    def close(self) -> None:
        """Close what waits for the next question. A later one opens a connection again."""
        with self._lock:
            idle, self._idle = self._idle, []
        for _, one in idle:
            _close(one)

    @property
    def _where(self) -> str:
        return f"{self._server.host}:{self._server.port}"

    def _kept(self) -> Connection | None:
        with self._lock:
            if self._pid != os.getpid():
                # Closing these would end the parent's connections: they are kept, and not used.
                self._inherited.append(self._idle)
                self._pid, self._idle = os.getpid(), []
            old = [one for since, one in self._idle if self._clock() - since > _KEPT_SECONDS]
            self._idle = [(since, one) for since, one in self._idle if one not in old]
            kept = self._idle.pop()[1] if self._idle else None
        for one in old:
            _close(one)
        return kept

    def _keep(self, connection: Connection) -> None:
        with self._lock:
            room = len(self._idle) < _KEPT
            if room:
                self._idle.append((self._clock(), connection))
        if not room:
            _close(connection)

    def _searched(
        self, connection: Connection, base: str, query: str, attributes: Sequence[str], most: int
    ) -> Entries:
        with self._told(connection):
            connection.search(
                base,
                query,
                search_scope=SUBTREE,
                dereference_aliases=DEREF_NEVER,
                attributes=list(attributes),
                size_limit=most,
                time_limit=max(1, round(self._server.timeout_seconds)),
            )
            code, why = connection.result["result"], connection.result["description"]
            entries = tuple(_entry(one) for one in connection.response if one["type"] == "searchResEntry")
        self._keep(connection)
        if code == _SIZE_LIMIT_EXCEEDED and len(entries) >= most:
            return Entries(entries[:most], True)
        if code != _SUCCESS:
            raise DirectoryUnavailable(
                f"{self._where}: refuses the search below {base!r} ({why}); correct users.ldap, or let "
                "bind_dn search there",
                answered=True,
            )
        return Entries(entries[:most], len(entries) > most)

    def _opened(self) -> Connection:
        """A new connection that may search."""
        server = self._server
        connection = Connection(
            Server(server.host, server.port, get_info=NONE),
            user=server.bind_dn,
            password=server.bind_password,
            client_strategy=SYNC,
            auto_referrals=False,
            auto_range=False,
            check_names=False,
            raise_exceptions=False,
            return_empty_attributes=False,
        )
        strategy = _OurSocket(connection, self._connect)
        connection.strategy = strategy
        connection.send, connection.open = strategy.send, strategy.open
        connection.get_response = strategy.get_response
        connection.post_send_single_response = strategy.post_send_single_response
        connection.post_send_search = strategy.post_send_search
        with self._told(connection):
            connection.open(read_server_info=False)
            if server.protection is Protection.START_TLS:
                connection.extended(_START_TLS)
                if connection.result["result"] != _SUCCESS:
                    _close(connection)
                    raise DirectoryUnavailable(
                        f"{self._where}: refuses StartTLS ({connection.result['description']}); set it up "
                        "there, or use an ldaps: URL",
                        answered=True,
                    )
                # What came before the server said yes came in the clear, from whomever: it ends here.
                strategy.take(self._protected(connection.socket.plain))
            if server.bind_dn is not None and not connection.bind(read_server_info=False):
                _close(connection)
                raise DirectoryUnavailable(
                    f"{self._where}: refuses users.ldap.bind_dn ({connection.result['description']}); "
                    "correct it or its password",
                    answered=True,
                )
        return connection

    def _connect(self) -> "_Wire":
        try:
            plain = self._dialler.connect(self._server.host, self._server.port)
        except FetchError as error:
            raise OSError(error.detail) from None
        return (
            self._protected(plain)
            if self._server.protection is Protection.LDAPS
            else _Wire(plain, self._deadline)
        )

    def _protected(self, plain: socket.socket) -> "_Wire":
        try:
            if self._tls is None:
                self._tls = ssl.create_default_context(
                    cafile=str(self._server.ca_file or DEFAULT_CA_BUNDLE_PATH)
                )
            plain.settimeout(self._deadline.remaining())
            return _Wire(self._tls.wrap_socket(plain, server_hostname=self._server.host), self._deadline)
        except BaseException:
            plain.close()
            raise

    @contextmanager
    def _told(self, connection: Connection) -> Iterator[None]:
        """Turn whatever goes wrong around a connection into its end, and into words.

        Raises:
            _Gone: it was ended by the server.
            DirectoryUnavailable: anything else.
        """
        try:
            yield
        except DirectoryUnavailable:
            raise
        except ssl.SSLCertVerificationError as error:
            _close(connection)
            raise DirectoryUnavailable(
                f"{self._where}: its certificate is not to be trusted ({error.verify_message}); name its "
                "authority in users.ldap.ca_file, and it by a name of the certificate in url"
            ) from None
        except Exception as error:  # ldap3 fails in every way on what it cannot decode
            fault = connection.strategy.wire and connection.strategy.wire.fault
            _close(connection)
            if fault is None and isinstance(error, TimeoutError):
                fault = _LATE
            if fault is not None:
                raise DirectoryUnavailable(f"{self._where}: {fault}") from None
            if connection.strategy.wire is None and isinstance(error, OSError):
                raise DirectoryUnavailable(
                    f"{self._where}: cannot be reached ({error.strerror or error}); "
                    "check users.ldap.url, and that it runs"
                ) from None
            # The latter for a connection that was reset.
            if isinstance(error, LDAPSessionTerminatedByServerError | LDAPSocketSendError | OSError):
                raise _Gone from None
            raise DirectoryUnavailable(
                f"{self._where}: its answer cannot be understood ({type(error).__name__})", answered=True
            ) from None


class _OurSocket(SyncStrategy):  # type: ignore[misc]  # ldap3 has no types
    """ldap3's way to ask and wait, over a socket of ours.

    Attributes:
        wire: that socket; None until it is connected. ldap3 forgets it when it fails.
    """

    def __init__(self, connection: Connection, connect: Callable[[], "_Wire"]) -> None:
        super().__init__(connection)
        self._connect = connect
        self.wire: _Wire | None = None

    def open(self, reset_usage: bool = True, read_server_info: bool = True) -> None:
        self._outstanding: dict[int, Any] = {}
        self.take(self._connect())
        self.connection.closed = False
        self._start_listen()

    def take(self, wire: "_Wire") -> None:
        self.wire = self.connection.socket = wire


class _Wire:
    """What ldap3 uses of a socket, with a deadline for all reads together and a limit for what they bring.

    Attributes:
        plain: the socket.
        fault: why it was given up, if it was.
    """

    def __init__(self, plain: socket.socket, deadline: Deadline) -> None:
        self.plain = plain
        self.fault: str | None = None
        self._deadline = deadline
        self._came = 0

    def sendall(self, data: bytes) -> None:
        self._came = 0
        self._wait()
        self.plain.sendall(data)

    def recv(self, size: int) -> bytes:
        self._wait()
        try:
            data = self.plain.recv(size)
        except TimeoutError:
            self._late()
        self._came += len(data)
        if self._came > MOST_BYTES:
            self.fault = f"its answer has more than {MOST_BYTES} bytes; ask for less in users.ldap"
            raise OSError(self.fault)
        return data

    def shutdown(self, how: int) -> None:
        self.plain.shutdown(how)

    def close(self) -> None:
        self.plain.close()

    def _wait(self) -> None:
        try:
            self.plain.settimeout(self._deadline.remaining())
        except TimeoutError:
            self._late()

    def _late(self) -> NoReturn:
        self.fault = _LATE
        raise TimeoutError(_LATE)


def _close(connection: Connection) -> None:
    """Close the socket. Nothing is said on it: a server that hangs would be waited for."""
    with suppress(Exception):
        connection.strategy.close()


def _entry(response: Any) -> dict[str, tuple[bytes, ...]]:
    """Attributes by lower-case name without options, such as `;binary`."""
    found: dict[str, tuple[bytes, ...]] = {}
    for name, values in response["raw_attributes"].items():
        found[str(name).partition(";")[0].lower()] = tuple(values)
    return found
