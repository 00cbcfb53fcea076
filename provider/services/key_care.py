"""When keys are replaced by themselves, and when an operator is told that a certificate ends.

Whoever serves does it, after an answer was sent, as `provider.services.housekeeping` does: no thread and no
process of its own. A provider that nobody asks replaces its keys late, but never without publishing the next
one ahead. How a key is replaced is `provider.services.keyring`.
"""

import base64
import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from oidcgate.audit import Audit
from oidcgate.jose.certificates import chain_ends_at
from provider.events import CertificateEnding
from provider.instants import shown
from provider.realm import Realm
from provider.services.encryption_keys import EncryptionKeys
from provider.services.keyring import PUBLISH_AHEAD_SECONDS, RotationRefused, SigningKeys
from provider.store.engine import Store, StoreUnavailable
from provider.store.keys import KeyRow, claim_telling, delete_retired_keys, list_keys

_log = logging.getLogger("provider")

#: How often each process looks.
CARE_SECONDS: Final = 60
#: How long before its end a certificate is spoken of, and how often then.
ENDING_SECONDS: Final = 30 * 86_400
TOLD_EVERY_SECONDS: Final = 86_400
# Longer than a session, a grant or a token can last, so no hint of one is left: 366 days and a month.
_REMEMBERED_SECONDS: Final = 400 * 86_400


class EndingCertificate(NamedTuple):
    """A certificate of a key in use that ends soon, and nothing takes its place before.

    Attributes:
        configured: it stands in the configuration; else it was made with its key.
    """

    realm_id: str
    kid: str
    alg: str
    ends_at: int
    configured: bool

    def event(self) -> CertificateEnding:
        """What the audit log says of it."""
        return CertificateEnding(self.realm_id, self.kid, self.alg, self.ends_at)

    def __str__(self) -> str:
        remedy = (
            "configure another signing_cert and signing_key"
            if self.configured
            else f"run `oidcgate-provider keys rotate --algorithm {self.alg}`"
        )
        which = f"the certificate of key {self.kid} ({self.alg})"
        return f"realm {self.realm_id}: {which} ends at {shown(self.ends_at)}; {remedy}"


def ending_certificates(realm: Realm, rows: Sequence[KeyRow], now: int) -> Iterator[EndingCertificate]:
    """Those of the realm's keys that are to be spoken of."""
    for row in rows:
        chain = row.public_jwk.get("x5c")
        if row.state == "retired" or not chain:
            continue
        ends_at = chain_ends_at((base64.b64decode(chain[0]),))
        followed = row.state == "current" and any(
            other.alg == row.alg and other.state == "next" and other.not_before < ends_at for other in rows
        )
        if now >= ends_at - ENDING_SECONDS and not followed:
            yield EndingCertificate(realm.id, row.kid, row.alg, ends_at, realm.settings.has_pair_for(row.alg))


@dataclass
class KeyCare:
    """The care of one process for the keys of all realms.

    Attributes:
        due_at: when to look next.
    """

    store: Store
    keys: SigningKeys
    encryption_keys: EncryptionKeys
    realms: Sequence[Realm]
    audit: Audit
    due_at: int
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def is_due(self, now: int) -> bool:
        """Whether it is time to look."""
        return now >= self.due_at

    def tend(self, now: int) -> None:
        """Replace keys whose time has come, forget those of long ago, tell of certificates that end.

        A database in trouble is left alone until the next time, and requests say so themselves.
        """
        if not self.lock.acquire(blocking=False):
            return  # another thread is at it
        try:
            if self.is_due(now):
                self.due_at = now + CARE_SECONDS
                for realm in self.realms:
                    self._tend(realm, now)
        except StoreUnavailable as error:
            _log.info("keys were not looked after: %s", error.detail)
        finally:
            self.lock.release()

    def tell(self, now: int) -> None:
        """Tell of every certificate that ends soon, as at a start; `tend` tells each once a day.

        Raises:
            StoreUnavailable: the database is in trouble.
        """
        for realm in self.realms:
            with self.store.read() as conn:
                rows = list_keys(conn, realm.id)
            self._tell(realm, rows, now, told_before=now + 1)

    def _tend(self, realm: Realm, now: int) -> None:
        self.keys.settle(self.store, realm, now)
        self.encryption_keys.tend(realm, now)
        with self.store.read() as conn:
            rows = list_keys(conn, realm.id)
        for row in _outlived(realm, rows, now):
            try:
                self.keys.rotate(self.store, realm, row.alg, now)
            except RotationRefused:
                continue  # another process was first
        if any((row.published_until or now) < now - _REMEMBERED_SECONDS for row in rows):
            with self.store.begin() as conn:
                delete_retired_keys(conn, realm.id, now - _REMEMBERED_SECONDS)
        self._tell(realm, rows, now, told_before=now - TOLD_EVERY_SECONDS + 1)

    def _tell(self, realm: Realm, rows: Sequence[KeyRow], now: int, *, told_before: int) -> None:
        for ending in ending_certificates(realm, rows, now):
            with self.store.begin() as conn:
                ours = claim_telling(conn, realm.id, ending.kid, now, told_before)
            if ours:
                _log.warning("%s", ending)
                self.audit.emit(ending.event())


def _outlived(realm: Realm, rows: Sequence[KeyRow], now: int) -> Iterator[KeyRow]:
    """Generated keys that have to be followed by others, which are published so long before they sign."""
    settings = realm.settings
    if not settings.key_rotation_days:
        return
    replaced = now + PUBLISH_AHEAD_SECONDS - settings.key_rotation_days * 86_400
    for row in rows:
        generated = row.alg in settings.key_algorithms and not settings.has_pair_for(row.alg)
        if row.state == "current" and generated:
            waits = any(other.alg == row.alg and other.state == "next" for other in rows)
            if row.not_before <= replaced and not waits:
                yield row
