"""One try of a name and a password: charged, checked and reported, wherever it was typed.

The sign-in page and the grant `password` both come here, so that a guesser who is slowed at the one is slowed
at the other. How a password is checked is `password` next door, how tries are slowed
`provider.services.throttle`.
"""

from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from sqlalchemy import Connection

from oidcgate.audit import Audit
from provider.events import LoginFailed, LoginSlowed
from provider.factors.password import Busy, PasswordFactor
from provider.realm import Realm
from provider.services.throttle import Scope, forgive, give_back, scopes_of, take_attempt
from provider.services.users import UserStore
from provider.store.engine import Store
from provider.store.users import User, lock_user, set_password_hash
from provider.user_settings import fold_user_name

#: Why a right password was refused, as the audit log names it.
CHANGED: Final = "changed_meanwhile"


@dataclass(frozen=True)
class Attempt:
    """What was typed, and where.

    Attributes:
        client_id: The application they are on the way to.
        network: Where it came from.
    """

    user_name: str
    password: str = field(repr=False)
    client_id: str
    network: str


class Slowed(NamedTuple):
    """Not tried: too many failures lately."""

    wait_seconds: int


class Wrong(NamedTuple):
    """Name and password do not belong together, or the person is not active. Which of it is not said."""


@dataclass(frozen=True)
class Right:
    """The person it was. The try stays charged until `settle`.

    Attributes:
        password: What was right; None once it was looked at again (`PasswordAttempts.once_more`).
    """

    user: User
    scopes: tuple[Scope, ...]
    new_hash: str | None = field(repr=False)
    password: str | None = field(repr=False)
    users: UserStore = field(repr=False)

    def settle(self, conn: Connection, realm: Realm) -> bool:
        """Forgive earlier failures and keep a hash of today's cost, where the proof is used.

        Call it first in the transaction that uses it: whoever changes the password at that moment waits, and
        ends what was given.

        Returns:
            False when it proves nothing any more, and nothing may be given: since it was checked the password
            was changed, or the person switched off. The try stays charged.
        """
        lock_user(conn, realm.id, self.user.user_id)
        current = self.users.find(conn, realm, self.user.user_id)
        if current is None or not current.active or current.password_hash != self.user.password_hash:
            return False
        forgive(conn, realm.id, self.scopes)
        if self.new_hash is not None:
            set_password_hash(conn, realm.id, self.user.user_id, self.new_hash)
        return True


@dataclass(frozen=True)
class PasswordAttempts:
    """Trying passwords.

    Attributes:
        factor: One for the whole process: its slots bound how many are computed at once.
    """

    store: Store
    users: UserStore
    factor: PasswordFactor
    audit: Audit

    def make(self, realm: Realm, attempt: Attempt, now: int) -> Right | Wrong | Slowed:
        """Charge a try, check it, and report what failed.

        Call it outside of a transaction: the check takes long, and holds none.

        Raises:
            Busy: no slot was free; nothing is charged.
        """
        scopes = scopes_of(fold_user_name(attempt.user_name), attempt.network, realm.settings.throttle)
        with self.store.begin() as conn:
            wait = take_attempt(conn, realm.id, scopes, now)
            user = None if wait else self.users.find_by_name(conn, realm, attempt.user_name)
        if wait:
            self.audit.emit(LoginSlowed(realm.id, attempt.client_id, attempt.network, wait))
            return Slowed(wait)
        try:
            verdict = self.factor.check(user, attempt.password)
        except Busy:
            with self.store.begin() as conn:
                give_back(conn, realm.id, scopes)
            raise
        if verdict.user is None:
            user_id = None if user is None else user.user_id
            self.audit.emit(
                LoginFailed(realm.id, user_id, attempt.client_id, verdict.reason, attempt.network)
            )
            return Wrong()
        return Right(verdict.user, scopes, verdict.new_hash, attempt.password, self.users)

    def once_more(self, realm: Realm, right: Right) -> Right | None:
        """Look again at a password whose hash is another one since: another sign-in may have renewed it.

        Call it where `settle` said no, outside of the transaction. Nothing is charged a second time.

        Returns:
            What may be settled now; None where nothing but another hash could have made it good, or this is
            not the first time.
        """
        if right.password is None:
            return None
        with self.store.read() as conn:
            current = self.users.find(conn, realm, right.user.user_id)
        if current is None or not current.active or current.password_hash == right.user.password_hash:
            return None
        try:
            verdict = self.factor.check(current, right.password)
        except Busy:
            return None
        if verdict.user is None:
            return None
        return replace(right, user=verdict.user, new_hash=verdict.new_hash, password=None)
