"""The tokens that a session keeps: sealed, in the state store, and never in a cookie.

Here live what is kept and the few verbs over it. When tokens are renewed is `oidcgate.gate.refresh` (pure),
who does it `oidcgate.gate.refreshing`; sessions themselves are `oidcgate.gate.sessions`.
"""

from typing import Final, NamedTuple

import msgspec

from oidcgate.storage.records import RecordStore
from oidcgate.web.sealing import Sealer

__all__ = ["Held", "Kept", "KeptTokens"]

_KIND: Final = "tokens"
# Longer ones (with very many groups) make an address that servers refuse. Without a hint the IdP may ask.
_LONGEST_HINT: Final = 6000


class Kept(msgspec.Struct, array_like=True, frozen=True):
    """What is kept of one session. Fields are only ever added at the end.

    Attributes:
        session_id: whose it is; what lies under another session's key is nobody's.
        id_token: decrypted, for `id_token_hint`; the newest.
        nonce: that of the sign-in, which a later ID token may repeat.
        refresh_token: what gets the next tokens. None: the provider gave none, or it was taken out to be sent
            (`oidcgate.gate.refresh`).
        access_token: only where it is handed to the app.
        renew_at: from this second on the tokens are renewed; 0: they never are.
        expires_at: when the access token ends.
        claim: who took the refresh token out; "" when nobody did.
        answer_by: until then the answer for a refresh token that was taken out may still come.
        silent_at: not before this second a browser is sent to sign in silently (again).
    """

    session_id: str
    id_token: str
    nonce: str = ""
    refresh_token: str | None = None
    access_token: str | None = None
    renew_at: int = 0
    expires_at: int = 0
    claim: str = ""
    answer_by: int = 0
    silent_at: int = 0

    @property
    def hint(self) -> str | None:
        """The ID token for an address, as `id_token_hint`; None if that would be too long for servers."""
        return self.id_token if len(self.id_token) <= _LONGEST_HINT else None

    def __repr__(self) -> str:
        return "Kept()"


class Held(NamedTuple):
    """What was found, and what it takes to change exactly that.

    Attributes:
        version: the record's, for `KeptTokens.change`.
        expires_at: when the store forgets it.
    """

    kept: Kept
    version: int
    expires_at: int


class KeptTokens:
    """The kept tokens of one gate.

    Every method raises StoreUnavailable when the store does not answer, which says neither that there is
    something nor that there is nothing.
    """

    def __init__(self, state: RecordStore, sealer: Sealer, lifetime_seconds: int) -> None:
        """Compose.

        Args:
            state: the state store, shared by all workers.
            sealer: for this purpose and this gate only.
            lifetime_seconds: the longest life of a session, and so of what it keeps.
        """
        self._state = state
        self._sealer = sealer
        self._lifetime_seconds = lifetime_seconds

    def keep(self, kept: Kept, now: int) -> None:
        """Keep what a sign-in brought, whatever was there."""
        self._state.put(
            _KIND, kept.session_id, self._sealed(kept, now), expires_at=now + self._lifetime_seconds
        )

    def find(self, session_id: str, now: int) -> Held | None:
        """What is kept; None when there is nothing, or nothing that opens."""
        record = self._state.get(_KIND, session_id, now=now)
        kept = None if record is None else self._opened(session_id, record.value)
        return None if record is None or kept is None else Held(kept, record.version, record.expires_at)

    def has_any(self, session_id: str, now: int) -> bool:
        """Whether there is anything under that id, readable or not."""
        return self._state.get(_KIND, session_id, now=now) is not None

    def change(self, held: Held, kept: Kept, now: int) -> bool:
        """Write over exactly what was found; False: somebody changed or took it meanwhile."""
        return self._state.swap(
            _KIND,
            held.kept.session_id,
            expected_version=held.version,
            value=self._sealed(kept, now),
            expires_at=held.expires_at,
            now=now,
        )

    def take(self, session_id: str, now: int) -> Kept | None:
        """Remove and return what is kept, to one caller; None when there is nothing (any more)."""
        record = self._state.take(_KIND, session_id, now=now)
        return None if record is None else self._opened(session_id, record.value)

    def _sealed(self, kept: Kept, now: int) -> bytes:
        return self._sealer.seal(msgspec.msgpack.encode(kept), now).encode()

    def _opened(self, session_id: str, value: bytes) -> Kept | None:
        plain = self._sealer.open(value.decode("ascii", "replace"))
        if plain is None:
            return None
        try:
            kept = msgspec.msgpack.decode(plain, type=Kept)
        except (msgspec.MsgspecError, UnicodeDecodeError):  # the latter for text that is not UTF-8
            return None
        # Whoever can write to the store must not be able to give one session another's tokens.
        return kept if kept.session_id == session_id else None
