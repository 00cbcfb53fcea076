"""Which sessions have begun and not ended, of whom: a row in the state store for each, wherever it is kept.

What a browser carries sealed nobody can list, and memcached lists nothing. So each sign-in leaves a row here,
with what an operator may see of it, and takes it away when it ends. Here lives how a row is kept and found,
and which ones are too many for one user. That a session is good is not said here: see
`oidcgate.gate.sessions` and `oidcgate.gate.revocations`.
"""

from collections.abc import Iterator
from hashlib import sha256
from typing import Final

import msgspec

from oidcgate.gate.revocations import groups_of, sid_group, sidless_group, subject_group, user_group
from oidcgate.gate.session import SessionRecord
from oidcgate.storage.records import Record, RecordStore
from oidcgate.web.sealing import KeyRing, Sealer

__all__ = ["SessionIndex"]

_KIND: Final = "signed-in"
_PAGE: Final = 500


class _Row(msgspec.Struct, frozen=True, array_like=True):
    """`order` puts the sessions of one user in line; see `SessionIndex.add`, also for `host`."""

    order: int
    record: SessionRecord
    host: str = ""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Row).decode


class SessionIndex:
    """The sessions of one gate that have begun and not ended.

    Rows are sealed, and found by names that tell nobody who it is. They are removed when a session ends, and
    are gone when it would have reached its absolute end: one that is no longer used is among them until then.

    Every method raises StoreUnavailable when the state store does not answer.
    """

    def __init__(self, state: RecordStore, ring: KeyRing, gate_id: str) -> None:
        """Compose; see `Sessions` for the arguments."""
        self._state = state
        self._sealer = Sealer(ring, "session-index", gate_id)
        self._gate_id = gate_id
        self._all = self._tag("all")

    def add(
        self, record: SessionRecord, now: int, *, at_most: int = 0, replaces: str = "", host: str = ""
    ) -> list[SessionRecord]:
        """Note a session that begins; returns those that are too many for its user now, oldest first.

        Whoever is told of them has to end them before anybody is given the new session. However many
        processes do so at once, no more than `at_most` are left: each notes its own first and looks then, the
        last one sees all, and what is behind `at_most` others in the line stays so when more come.

        Args:
            at_most: how many sessions a user may have at one host; 0: any number.
            replaces: the id of a session that is about to end in favour of this one, and does not count.
            host: where it begins.
        """
        bare = msgspec.structs.replace(record, claims={})
        order = now
        if at_most:
            # By the hosts' clocks alone, a host that is late would find its new session to be the oldest.
            order = max([now, *(row.order + 1 for row in self._of(user_group(record.user_name), now))])
        sealed = self._sealed(_Row(order, bare, host), now)
        tags = (self._all, *(self._tag(group) for group in groups_of(record)))
        self._state.put(_KIND, self._key(record.session_id), sealed, expires_at=record.absolute_at, tags=tags)
        if not at_most:
            return []
        rows = [
            row
            for row in self._of(user_group(record.user_name), now)
            if row.host == host and row.record.session_id != replaces
        ]
        rows.sort(key=lambda row: (row.order, row.record.session_id))
        return [row.record for row in rows[:-at_most]]

    def renew(self, session_id: str, now: int) -> None:
        """Seal the row under the newest secret, before the one that sealed it is dropped."""
        key = self._key(session_id)
        found = self._state.get(_KIND, key, now=now)
        row = self._opened(found)
        if found is None or row is None or self._sealer.is_newest(found.value.decode()):
            return
        # Only over what was read: a row that is removed meanwhile stays so.
        self._state.swap(
            _KIND,
            key,
            expected_version=found.version,
            value=self._sealed(row, now),
            expires_at=found.expires_at,
            tags=found.tags,
            now=now,
        )

    def remove(self, session_id: str) -> None:
        """Forget a session, for it has ended."""
        self._state.delete(_KIND, self._key(session_id))

    def get(self, session_id: str, now: int) -> SessionRecord | None:
        """The session of that id, if it has not ended; without its claims."""
        row = self._opened(self._state.get(_KIND, self._key(session_id), now=now))
        return None if row is None else row.record

    def of_user(self, user_name: str, now: int) -> Iterator[SessionRecord]:
        """Those of a user."""
        return (row.record for row in self._of(user_group(user_name), now))

    def of_subject(self, iss: str, sub: str, now: int) -> Iterator[SessionRecord]:
        """Those of a subject of a provider."""
        return (row.record for row in self._of(subject_group(iss, sub), now))

    def of_sid(self, iss: str, sid: str, now: int) -> Iterator[SessionRecord]:
        """Those that came out of one session at a provider."""
        return (row.record for row in self._of(sid_group(iss, sid), now))

    def of_sidless(self, iss: str, sub: str, now: int) -> Iterator[SessionRecord]:
        """Those of a subject of which the provider did not say a `sid`."""
        return (row.record for row in self._of(sidless_group(iss, sub), now))

    def everybody(self, now: int) -> Iterator[SessionRecord]:
        """All of this gate, in no order that means anything."""
        return (row.record for row in self._tagged(self._all, now))

    def _of(self, group: str, now: int) -> Iterator[_Row]:
        return self._tagged(self._tag(group), now)

    def _tagged(self, tag: str, now: int) -> Iterator[_Row]:
        after = ""
        while True:
            page = self._state.find(_KIND, tag, now=now, limit=_PAGE, after=after)
            yield from (row for _, record in page if (row := self._opened(record)) is not None)
            if len(page) < _PAGE:
                return
            after = page[-1][0]

    def _sealed(self, row: _Row, now: int) -> bytes:
        return self._sealer.seal(_encode(row), now).encode()

    def _opened(self, record: Record | None) -> _Row | None:
        """The row; None for one that was altered or is under a dropped secret, as its session then is."""
        data = None if record is None else self._sealer.open(record.value.decode("ascii", "replace"))
        if data is None:
            return None
        try:
            return _decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError):  # of another version
            return None

    def _key(self, session_id: str) -> str:
        return self._tag(f"id:{session_id}")

    def _tag(self, name: str) -> str:
        # The gate's id too: where two gates share a database neither finds the other's.
        return sha256(
            f"{len(self._gate_id)}:{self._gate_id}{name}".encode("utf-8", "surrogatepass")
        ).hexdigest()
