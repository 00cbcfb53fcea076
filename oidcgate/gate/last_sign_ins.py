"""How the context of each person's last sign-in came about, for whoever asks why an app is told this or that.

Kept in the state store, sealed, for as long as a session can last; names, types and origins, and no value:
what somebody's claims say is in their session and nowhere else. What a `Way` is, is `context` next door;
`oidcgate explain --user` prints it.
"""

import contextlib
import hashlib
from typing import Final

import msgspec

from oidcgate.directory.port import fold
from oidcgate.gate.context import Way
from oidcgate.storage.records import RecordStore, StoreUnavailable
from oidcgate.web.sealing import Sealer

__all__ = ["LastSignIn", "LastSignIns"]

_KIND: Final = "last-sign-in"


class LastSignIn(msgspec.Struct, array_like=True, frozen=True):
    """One sign-in. Fields are only ever added at the end.

    Attributes:
        user_name: the directory's, or what the IdP said of somebody the directory does not know.
        claimed_name: what the IdP said.
        at: when, in epoch seconds.
        ways: how each attribute became a context attribute, or did not.
    """

    user_name: str
    claimed_name: str
    iss: str
    sub: str
    at: int
    acr: str | None
    amr: tuple[str, ...]
    ways: tuple[Way, ...]


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(LastSignIn).decode


class LastSignIns:
    """The last sign-in of each person at one gate."""

    def __init__(self, state: RecordStore, sealer: Sealer, lifetime_seconds: int) -> None:
        """Compose.

        Args:
            state: the state store.
            sealer: for this purpose and this gate only.
            lifetime_seconds: how long one is kept: the longest life of a session.
        """
        self._state = state
        self._sealer = sealer
        self.lifetime_seconds = lifetime_seconds

    def note(self, sign_in: LastSignIn) -> None:
        """Keep this one; in place of the one before. Nobody is kept out because it cannot be written."""
        sealed = self._sealer.seal(_encode(sign_in), sign_in.at).encode()
        expires_at = sign_in.at + self.lifetime_seconds
        with contextlib.suppress(StoreUnavailable):
            self._state.put(_KIND, _key(sign_in.user_name), sealed, expires_at=expires_at)

    def of(self, user_name: str, now: int) -> LastSignIn | None:
        """The last sign-in under a name, if one is kept.

        Raises:
            StoreUnavailable: it cannot be said.
        """
        found = self._state.get(_KIND, _key(user_name), now=now)
        data = None if found is None else self._sealer.open(found.value.decode("ascii", "replace"))
        if data is None:
            return None
        try:
            sign_in = _decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None
        # What lies under another name is nobody's.
        return sign_in if fold(sign_in.user_name) == fold(user_name) else None


def _key(user_name: str) -> str:
    return hashlib.sha256(fold(user_name).encode()).hexdigest()
