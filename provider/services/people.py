"""People as the rest of the provider sees them: with the properties that the realm declares, and no others.

In front of whatever keeps them (`users`, or a store of one's own): attributes become properties
(`provider.property_settings`), and a value that is not what its property says is left out and reported, so
that nobody downstream meets it. What people write of themselves (`profile`) is read here, whoever keeps the
rest of them.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from cachetools import LRUCache
from sqlalchemy import Connection

from oidcgate.audit import Audit
from provider.events import AttributeUnusable
from provider.property_settings import USER_NAME
from provider.realm import Realm
from provider.services.profile import written
from provider.services.users import UserStore
from provider.store.users import User

#: How many wrong values are remembered as reported; one that is pushed out is reported once more.
_REMEMBERED: Final = 1024


def _remembered() -> LRUCache[tuple[str, str, str], bool]:
    return LRUCache(maxsize=_REMEMBERED)


@dataclass(frozen=True)
class People:
    """A `UserStore` over another one, whose people have properties for attributes."""

    store: UserStore
    audit: Audit
    reported: LRUCache[tuple[str, str, str], bool] = field(default_factory=_remembered, repr=False)
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def find(self, conn: Connection, realm: Realm, user_id: str) -> User | None:
        """The person of that `sub`, active or not: the caller looks at `active`."""
        return self._as_declared(conn, realm, self.store.find(conn, realm, user_id))

    def find_by_name(self, conn: Connection, realm: Realm, name: str) -> User | None:
        """The person of that name in any spelling, active or not."""
        return self._as_declared(conn, realm, self.store.find_by_name(conn, realm, name))

    def _as_declared(self, conn: Connection, realm: Realm, user: User | None) -> User | None:
        if user is None:
            return None
        given: Mapping[str, Any] = {**user.attributes, USER_NAME: user.user_name}
        own = written(conn, realm, user.user_id)
        values = {}
        for name, declared in realm.settings.all_properties.items():
            # What is writable is the provider's own, whatever a store says of it.
            value = (own if declared.writable else given).get(declared.field)
            if value is None:
                continue
            problem = declared.value_problem(value)
            if problem is None:
                values[name] = value
            else:
                self._report(realm, user, declared.field, problem)
        return replace(user, attributes=values)

    def _report(self, realm: Realm, user: User, attribute: str, problem: str) -> None:
        key = (realm.id, user.user_id, attribute)
        with self.lock:
            if key in self.reported:
                return
            self.reported[key] = True
        self.audit.emit(AttributeUnusable(realm.id, user.user_id, attribute, problem))
