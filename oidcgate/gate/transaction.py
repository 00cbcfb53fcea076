"""One sealed transaction per login attempt, kept by the browser that began it.

Lives here: what an attempt remembers, the values that derive from its seed, and its cookie: how it is named,
capped in number and opened. Not here: sealing itself (`oidcgate.web.sealing`), the two routes that begin and
finish an attempt (`login_start`, `login` next door), and logout, which forbids the sessions that pending
attempts would make (`logout` next door).

An attempt per tab, each in a cookie named by its state, is what lets many tabs sign in at once. Single use is
the deletion of the cookie together with the code, which the IdP redeems once.

That cookie has a path, and so a sibling host could plant one, with an attempt of its own in it: whoever
finished that would be signed in as somebody else. Beside it stands a proof, a small cookie that only this
very host can set (`__Host-`), without which an attempt is nobody's (docs/decisions/0045).
"""

import base64
import dataclasses
import hashlib
import hmac
import re
from typing import Final

import msgspec

from oidcgate.web.cookies import (
    GATE_PATH,
    CookieNames,
    cookie_value,
    cookies_with_prefix,
    set_cookie,
)
from oidcgate.web.sealing import Sealer

TTL_SECONDS: Final = 600
MAX_PENDING: Final = 16
SEED_BYTES: Final = 32

# Past the cap a browser is only for a moment, when it opens many tabs at once. Whoever sends more than this
# is none, and each attempt costs a decryption, a cookie in the answer, and at logout a write to the state
# store.
_MOST_LOOKED_AT: Final = 4 * MAX_PENDING

# Servers refuse a request head line of about 8 KB (gunicorn: 8,190), so attempts make room for each other
# long before that.
_COOKIE_HEADER_BYTES: Final = 7_000
_VERSION: Final = 2
# A sibling host can plant a name that we could not even delete.
_STATE: Final = re.compile(r"[\w-]+", re.ASCII)
# It says all by being there.
_PROOF: Final = "1"


class Transaction(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A login attempt. Everything secret about it derives from `seed`, which leaves only sealed.

    Attributes:
        issuer: the IdP that this attempt went to; an answer from another one is refused (mix-up).
        return_path: path and query on our own origin to go to afterwards.
        max_age_seconds, acr_values: what the attempt asked for beyond a plain login, to be checked on return.
        loops: logins that this browser completed just before, without the app accepting one.
        started_at: epoch seconds.
        fragment: the key under which the browser keeps the fragment of the address; "": it has none.
        form: the id of the form that waits for this sign-in; "": none does.
        framed: it only looks whether a session goes on, in a frame (`session_frame` next door).
        confirms: the subject of the session that went on meanwhile, of a sign-in that was to show nobody
            anything; "": it was an ordinary one.
    """

    seed: bytes
    issuer: str
    return_path: str
    loops: int
    started_at: int
    max_age_seconds: int | None = None
    acr_values: tuple[str, ...] = ()
    version: int = _VERSION
    # At the end: what was begun before an update is finished after it.
    fragment: str = ""
    form: str = ""
    framed: bool = False
    confirms: str = ""

    def __repr__(self) -> str:
        return f"Transaction(issuer={self.issuer!r}, started_at={self.started_at})"

    @property
    def state(self) -> str:
        """The `state` parameter, and the end of the cookie's name."""
        return self._derived(b"state")

    @property
    def nonce(self) -> str:
        """What the ID token has to carry."""
        return self._derived(b"nonce")

    @property
    def verifier(self) -> str:
        """The PKCE code verifier. Spec: RFC 7636 4.1."""
        return self._derived(b"verifier")

    @property
    def session_id(self) -> str:
        """The id of the one session that this attempt can become.

        Fixed from the start, so that a logout can forbid it while the callback is still under way.
        """
        return self._derived(b"session")

    def _derived(self, label: bytes) -> str:
        # One-way and independent: state and nonce are seen by the IdP and in logs, verifier and session id
        # never are.
        digest = hmac.new(self.seed, b"oidcgate.transaction." + label, hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


@dataclasses.dataclass(frozen=True)
class Transactions:
    """The attempts of one browser, as its cookies.

    Attributes:
        sealer: seals for this purpose and this gate only.
    """

    sealer: Sealer
    names: CookieNames

    def begin(self, transaction: Transaction, cookie_header: str, now: int) -> list[str]:
        """The `Set-Cookie` values that store `transaction`, and that evict what is too much, oldest first.

        What does not open any more goes before what does: it is of no use to anyone.
        """
        state = transaction.state
        value = self.sealer.seal(msgspec.msgpack.encode(transaction), now)
        added = self._length(state, value)
        evicted = [cookie for old in self._evicted(cookie_header, added, now) for cookie in self.end(old)]
        return [
            self._set(self.names.proof(state), _PROOF, "/", TTL_SECONDS),
            self._set(self.names.transaction(state), value, GATE_PATH, TTL_SECONDS),
            *evicted,
        ]

    def open(self, cookie_header: str, state: str, now: int) -> Transaction | None:
        """The attempt that `state` belongs to, or None when this browser has none, or it is over."""
        if cookie_value(cookie_header, self.names.proof(state)) != _PROOF:
            return None
        value = cookie_value(cookie_header, self.names.transaction(state))
        transaction = None if value is None else self._opened(value, now)
        # The name is the browser's to choose; what was sealed is not.
        if transaction is None or not hmac.compare_digest(transaction.state.encode(), state.encode()):
            return None
        return transaction

    def pending(self, cookie_header: str, now: int) -> list[Transaction]:
        """Every attempt of this browser that could still finish."""
        opened = (self._opened(value, now) for _, value in self._cookies(cookie_header))
        return [transaction for transaction in opened if transaction is not None]

    def end(self, state: str) -> list[str]:
        """The `Set-Cookie` values that delete the attempt of `state`."""
        return [
            self._set(self.names.transaction(state), "", GATE_PATH, 0),
            self._set(self.names.proof(state), "", "/", 0),
        ]

    def _cookies(self, header: str) -> list[tuple[str, str]]:
        prefix = self.names.transaction_prefix
        ours = [
            pair for pair in cookies_with_prefix(header, prefix) if _STATE.fullmatch(pair[0], len(prefix))
        ]
        # Of too many the last: a browser sends the oldest first. Spec: RFC 6265 5.4.
        return ours[-_MOST_LOOKED_AT:]

    def _opened(self, value: str, now: int) -> Transaction | None:
        plain = self.sealer.open(value)
        if plain is None:
            return None
        try:
            transaction = msgspec.msgpack.decode(plain, type=Transaction)
        except (msgspec.MsgspecError, UnicodeDecodeError):  # the latter for text that is not UTF-8
            return None
        age = now - transaction.started_at
        # A minute of grace the other way: hosts behind one balancer differ a little.
        return transaction if transaction.version == _VERSION and -60 <= age < TTL_SECONDS else None

    def _length(self, state: str, value: str) -> int:
        """How much an attempt adds to a Cookie header."""
        names = self.names.transaction(state), self.names.proof(state)
        return sum(len(name) + len("=; ") for name in names) + len(value) + len(_PROOF)

    def _evicted(self, header: str, added: int, now: int) -> list[str]:
        """The `state` of each attempt that has to make room."""
        cookies = []
        for name, value in self._cookies(header):
            opened, state = self._opened(value, now), name.removeprefix(self.names.transaction_prefix)
            cookies.append((opened.started_at if opened else 0, state, self._length(state, value)))
        cookies.sort()
        size, count, evicted = len(header) + added, len(cookies) + 1, []
        for started_at, state, length in cookies:
            if started_at and count <= MAX_PENDING and size <= _COOKIE_HEADER_BYTES:
                break
            evicted.append(state)
            size, count = size - length, count - 1
        return evicted

    def _set(self, name: str, value: str, path: str, max_age: int) -> str:
        return set_cookie(
            name,
            value,
            path=path,
            max_age=max_age,
            secure=self.names.secure,
        )
