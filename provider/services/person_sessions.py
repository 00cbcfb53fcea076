"""In which browsers one person is signed in, as their account page lists it.

One session and its cookie is `browser_session`, ending sessions is `logout`.
"""

from typing import Final

from sqlalchemy import Connection

from provider.realm import Realm
from provider.store.sessions import BrowserSession, list_live

#: As many are listed. Who has more ends all of them, and nobody reads on.
MOST_LISTED: Final = 100


def sessions_of(
    conn: Connection, realm: Realm, user_id: str, now: int, *, this: str
) -> tuple[list[BrowserSession], bool]:
    """The live sessions of a person: this one, then the others, the last used first; and whether that is all.

    Args:
        this: The `sid` of the session in the browser that asks.
    """
    idle_seconds = realm.settings.lifetimes.session_idle_seconds
    found = list_live(conn, realm.id, now=now, seen_after=now - idle_seconds, user_id=user_id)
    found.sort(key=lambda session: (session.sid != this, -session.seen_at, session.sid))
    return found[:MOST_LISTED], len(found) <= MOST_LISTED
