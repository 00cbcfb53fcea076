"""Asking the servers of clients: under which rules, and for how many threads at the same time.

An operator who writes a client down knows where it is. One that registered itself says so of itself, so what
`outbound.allow_networks` lets the first name is not for the second. Where a call may go is `oidcgate.net`.
"""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from oidcgate.net.fetch import AddressRules, Fetcher
from oidcgate.protocol.errors import TemporarilyUnavailable
from provider.config import ProviderSettings
from provider.realm import realms_of
from provider.store.clients import Client

#: How long an answer may be: a hundred keys with certificates.
MAX_BYTES: Final = 200_000
#: How many threads of a process may wait for the servers of one client: when these are slow they must not
#: hold the threads that serve everybody else.
WAITING_PER_CLIENT: Final = 4
_BUSY_RETRY_SECONDS: Final = 1


@dataclass(frozen=True)
class Outbound:
    """What asks, and who is being asked for now.

    Attributes:
        operators: Asks for clients that an operator wrote down.
        strangers: Asks for clients that registered themselves.
        waiting: How many threads wait for the servers of whom.
    """

    operators: Fetcher
    strangers: Fetcher
    waiting: Counter[str] = field(default_factory=Counter, repr=False)
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @classmethod
    def through(cls, fetcher: Fetcher) -> "Outbound":
        """Everybody's servers asked in the same way."""
        return cls(fetcher, fetcher)

    def of(self, client: Client) -> Fetcher:
        """What asks the servers of a client."""
        return self.strangers if client.registered_itself else self.operators

    @contextmanager
    def one_more(self, who: str) -> Iterator[bool]:
        """Count a thread for as long as it may have to wait; says False where there are enough.

        Args:
            who: The id of a client; where two realms have one of the same id they share the room. Or
                whatever tells apart who is no client yet.
        """
        with self.lock:
            free = self.waiting[who] < WAITING_PER_CLIENT
            self.waiting[who] += free
        try:
            yield free
        finally:
            with self.lock:
                self.waiting[who] -= free
                if not self.waiting[who]:
                    del self.waiting[who]


def busy() -> TemporarilyUnavailable:
    """What is answered where `one_more` said False."""
    return TemporarilyUnavailable(
        "the servers of this client are being waited for", retry_after_seconds=_BUSY_RETRY_SECONDS
    )


def outbound_of(settings: ProviderSettings) -> Outbound:
    """What asks the servers of clients, over sockets."""
    loopback = settings.insecure_allow_http_loopback
    # Which realm's strangers may name this machine is for the rules of registration; here it is any.
    registered = any(
        realm.settings.registration.insecure_allow_http_loopback for realm in realms_of(settings)
    )
    outbound = settings.outbound
    return Outbound(
        _fetcher(settings, outbound.allow_networks, loopback),
        _fetcher(settings, outbound.registered_allow_networks, loopback and registered),
    )


def _fetcher(settings: ProviderSettings, networks: tuple[str, ...], loopback: bool) -> Fetcher:
    return Fetcher(
        AddressRules(allow_private=networks, insecure_allow_http_loopback=loopback),
        total_seconds=settings.outbound.timeout_seconds,
        max_bytes=MAX_BYTES,
        ca_file=settings.outbound.ca_file,
    )
