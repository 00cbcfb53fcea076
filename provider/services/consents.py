"""What people agreed to, kept for each of them as one sealed string in the realm's attribute for it.

Here live reading, adding and withdrawing. What the string holds is `consent_record`; when a person has to be
asked is `interaction`; the rows are `provider.store.user_attributes`.
"""

import hashlib
import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from sqlalchemy import Connection

from oidcgate.audit import Audit
from oidcgate.web.sealing import KeyRing, Sealer
from provider.catalogue_settings import DEFAULT_SCOPES
from provider.events import ConsentNotStored, ConsentUnreadable, ConsentWithdrawn
from provider.property_settings import by_attribute
from provider.realm import Realm
from provider.services.consent_record import (
    LONGEST_BYTES,
    Consent,
    Measurement,
    TooLong,
    Unreadable,
    decode,
    encode,
    scopes_of,
    with_answer,
    without,
)
from provider.store.grants import revoke_user_client_grants
from provider.store.user_attributes import find_attribute, put_attribute, remove_attribute

_log = logging.getLogger("provider")

_PURPOSE: Final = "provider-consents"
#: As many scopes are in each consent that is measured.
_MEASURED_SCOPES: Final = 5


@dataclass(frozen=True)
class Kept:
    """The consents of one person.

    Attributes:
        size_bytes: How much of the attribute they take.
        max_bytes: How much it holds; 0 for no limit.
    """

    consents: tuple[Consent, ...]
    size_bytes: int
    max_bytes: int


@dataclass(frozen=True)
class Consents:
    """The consents of everybody.

    Attributes:
        ring: The first key seals, all open; whatever is written is sealed anew.
    """

    ring: KeyRing
    audit: Audit

    def granted(
        self, conn: Connection, realm: Realm, user_id: str, client_id: str, *, made_at: int = 0
    ) -> frozenset[str]:
        """The scopes that this person agreed to for this client earlier, where that is remembered.

        Args:
            made_at: When there came to be this client, as what it is now (`Client.consents_from`). What was
                agreed to before was for another one, of the same id and gone since.
        """
        if not realm.settings.consent.store:
            return frozenset()
        value = find_attribute(conn, realm.id, user_id, realm.settings.consent.attribute)
        return scopes_of(self._opened(realm, user_id, value), client_id, made_at=made_at)

    def of(self, conn: Connection, realm: Realm, user_id: str) -> Kept:
        """Everything that this person agreed to, the longest unchanged first."""
        value = find_attribute(conn, realm.id, user_id, realm.settings.consent.attribute)
        return Kept(self._opened(realm, user_id, value), len(value or ""), _limit(realm))

    def remember(
        self,
        conn: Connection,
        realm: Realm,
        user_id: str,
        client_id: str,
        asked: frozenset[str],
        agreed: frozenset[str],
        now: int,
        *,
        made_at: int = 0,
    ) -> ConsentNotStored | None:
        """Note an answer: what was asked is from now on as it was answered.

        Args:
            made_at: as for `granted`.

        Returns:
            What to report once it is committed: the attribute is full, and holds what it held before.
        """
        attribute = realm.settings.consent.attribute
        if not realm.settings.consent.store:
            return None
        value = find_attribute(conn, realm.id, user_id, attribute, to_write=True)
        before = self._opened(realm, user_id, value)
        records = with_answer(before, client_id, asked, agreed, now, made_at=made_at)
        too_long = self._put(conn, realm, user_id, records, value, now)
        if too_long is None:
            return None
        size, limit = too_long
        _log.warning(
            "the consents of %s in realm %s need %d bytes, attribute %s holds %d: not stored",
            user_id, realm.id, size, attribute, limit,
        )  # fmt: skip
        return ConsentNotStored(realm.id, user_id, client_id, attribute, size, limit)

    def withdraw(
        self, conn: Connection, realm: Realm, user_id: str, client_id: str, now: int, *, by: str
    ) -> ConsentWithdrawn | None:
        """Forget what was agreed to for a client, and end what it was granted: codes and tokens stop at once.

        A string that cannot be opened goes as a whole: whoever brings its key back would undo this.

        Args:
            by: Who says so: `person` or `operator`.

        Returns:
            What to report once it is committed; None when there was neither consent nor grant.
        """
        attribute = realm.settings.consent.attribute
        value = find_attribute(conn, realm.id, user_id, attribute, to_write=True)
        before = self._opened(realm, user_id, value)
        after = without(before, client_id)
        if value is not None and (after != before or not before):
            self._put(conn, realm, user_id, after, value, now)
        ended = revoke_user_client_grants(conn, realm.id, user_id, client_id, now, "consent_withdrawn")
        if after == before and not ended:
            return None
        return ConsentWithdrawn(realm.id, user_id, client_id, ended, by)

    def _put(
        self,
        conn: Connection,
        realm: Realm,
        user_id: str,
        records: tuple[Consent, ...],
        before: str | None,
        now: int,
    ) -> tuple[int, int] | None:
        """Keep these records in place of the string `before`.

        What gets shorter is kept in any case: a limit that was lowered must not undo a withdrawal.

        Returns:
            Their size and the limit, where they are too long and nothing was changed.
        """
        attribute = realm.settings.consent.attribute
        if not records:
            remove_attribute(conn, realm.id, user_id, attribute)
            return None
        try:
            value = _sealer(self.ring, realm, user_id).seal(encode(records), now)
        except TooLong:
            return LONGEST_BYTES, LONGEST_BYTES
        limit = _limit(realm)
        if limit and len(value) > max(limit, len(before or "")):
            return len(value), limit
        put_attribute(conn, realm.id, user_id, attribute, value)
        return None

    def _opened(self, realm: Realm, user_id: str, value: str | None) -> tuple[Consent, ...]:
        if value is None:
            return ()
        data = _sealer(self.ring, realm, user_id).open(value)
        try:
            if data is not None:
                return decode(data)
        except Unreadable:
            pass
        self.audit.emit(ConsentUnreadable(realm.id, user_id, realm.settings.consent.attribute))
        return ()


def measure(count: int, now: int) -> Measurement:
    """How long the kept string gets with `count` consents of five scopes each, of clients made up here."""
    sealer = Sealer(KeyRing([os.urandom(32)]), _PURPOSE, "")
    made = list(_made_up(count, now))
    first = len(sealer.seal(encode(made[:1]), now))
    everything = len(sealer.seal(encode(made), now))
    return Measurement(first, (everything - first) / (count - 1))


def _made_up(count: int, now: int) -> Iterable[Consent]:
    choices = tuple(combinations(sorted(DEFAULT_SCOPES), _MEASURED_SCOPES))
    for number in range(count):
        digest = hashlib.sha256(str(number).encode()).digest()
        # Five of the standard scopes, at any time of the last years: neither repeats as it does in a loop.
        scopes, ago = choices[digest[8] % len(choices)], int.from_bytes(digest[9:12]) * 8
        yield Consent(f"client-{digest[:8].hex()}", scopes, now - ago)


def _sealer(ring: KeyRing, realm: Realm, user_id: str) -> Sealer:
    # Another person's string, or another realm's, does not open.
    return Sealer(ring, _PURPOSE, f"{realm.issuer} {user_id}")


def _limit(realm: Realm) -> int:
    """How long the string may be; 0 for as long as it likes."""
    settings = realm.settings
    return by_attribute(settings.all_properties)[settings.consent.attribute].max_length
