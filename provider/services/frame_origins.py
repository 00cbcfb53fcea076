"""Which pages may frame `/check_session`: those of the redirect URIs of clients with `session_management`.

All of them stand in the answer's header as long as they fit there; of more than that the one that asks, if it
is one of them (decision 0025). Where none is, the realm has no session management at all.
"""

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final

from oidcgate.protocol.urls import origin
from provider.realm import Realm
from provider.services.clients import Clients
from provider.store.engine import Store, StoreUnavailable

#: How long a process goes by what it has read; it reads every client of the realm for it.
READ_AGAIN_SECONDS: Final = 30
#: The room for them in a header: with all other headers below the 4096 bytes that some proxies take.
_MOST_CHARACTERS: Final = 2048


def page_origin(url: str) -> str | None:
    """The origin of a page, as a browser writes it; None where no page could frame ours.

    A private-use scheme has no origin, and an IPv6 host none that a Content-Security-Policy can name.
    """
    found = origin(url)
    return None if found is None or found.host.startswith("[") else found.text


def allowed_origins(origins: Collection[str], referrer: str | None) -> tuple[str, ...]:
    """Choose from the origins of a realm's clients those that an answer allows.

    Args:
        referrer: What the browser says of the page that asks: its address or its origin alone. Nothing has to
            be believed: a browser compares what is allowed with where it is.
    """
    every = tuple(sorted(origins))
    if len(" ".join(every)) <= _MOST_CHARACTERS:
        return every
    asking = page_origin(referrer or "")
    return (asking,) if asking is not None and asking in origins else ()


@dataclass(frozen=True)
class FrameOrigins:
    """The origins by realm, as this process has read them last."""

    store: Store
    clients: Clients
    clock: Callable[[], float]
    read: dict[str, tuple[float, frozenset[str]]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def of(self, realm: Realm) -> frozenset[str]:
        """All of a realm; what was known before while the database does not answer."""
        now = self.clock()
        with self.lock:
            until, known = self.read.get(realm.id, (now, frozenset()))
        if now < until:
            return known
        try:
            with self.store.read() as conn:
                clients = list(self.clients.session_managing(conn, realm))
        except StoreUnavailable:
            return known
        uris = (uri for client in clients for uri in client.redirect_uris)
        found = frozenset(page for uri in uris if (page := page_origin(uri)) is not None)
        with self.lock:
            self.read[realm.id] = (now + READ_AGAIN_SECONDS, found)
        return found
