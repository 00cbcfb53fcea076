"""The end of a browser session: the one place that ends one, whoever asks for it.

The end-session endpoint, a sign-in as somebody else, the person's own pages, the commands, and what locks a
person out (`provider.services.users`) all come here. Ending the row is all it takes for the clients of the
session to be told: who is told is written down from it afterwards (`provider.services.logout_delivery`), so
an answer never waits for their number. Which grants end with it is said by each function.

A client is told of sessions one by one, each by its `sid`: a notice about a whole person could arrive late
and end what they have begun since (decision 0024).
"""

from typing import Final

from sqlalchemy import Connection

from provider.realm import Realm
from provider.services.clients import Clients
from provider.store import grants, participants, sessions
from provider.store.clients import Client
from provider.store.sessions import BrowserSession

#: The settings of a client that say where it wants to be told.
BACK_CHANNEL: Final = "backchannel_logout_uri"
FRONT_CHANNEL: Final = "frontchannel_logout_uri"


def end_session(
    conn: Connection, realm: Realm, session: BrowserSession, now: int, *, asked_by: str | None = None
) -> bool:
    """End a session; False when it had ended before.

    Args:
        asked_by: The client whose valid request ended it. What it was granted in this session is revoked with
            it, refresh tokens included, since it has told us that it is done. Other clients' tokens go on:
            they were given for work that may outlast the browser, and one client must not be able to stop
            another's (P-30).
    """
    ended = sessions.end(conn, realm.id, session.session_hash, now)
    if asked_by is not None:
        grants.revoke_session_grants(conn, realm.id, session.sid, now, "logout", client_id=asked_by)
    return ended


def end_named(
    conn: Connection, realm: Realm, sid: str, now: int, *, user_id: str | None = None
) -> BrowserSession | None:
    """End the session of that `sid` and what was granted in it; None when there is none that lives.

    Somebody points at a session, maybe in a browser that is in other hands: nothing of it is to go on.

    Args:
        user_id: Whose it has to be.
    """
    session = sessions.find_by_sid(conn, realm.id, sid)
    if session is None or (user_id is not None and session.user_id != user_id):
        return None
    sessions.end(conn, realm.id, session.session_hash, now)
    grants.revoke_session_grants(conn, realm.id, sid, now, "session_ended")
    return session


def end_every_session(
    conn: Connection, realm: Realm, user_id: str, now: int, *, keep: str | None = None
) -> tuple[str, ...]:
    """Sign a person out everywhere: end their sessions and what was granted in them.

    What was granted without a browser goes on.

    Args:
        keep: The `sid` of one session that goes on.

    Returns:
        The `sid` of each session that ended.
    """
    ended = sessions.end_of_user(conn, realm.id, user_id, now, keep=keep)
    grants.revoke_grants_of_sessions(conn, realm.id, ended, now, "session_ended")
    return ended


def end_everything(
    conn: Connection, realm: Realm, user_id: str, now: int, reason: str, *, keep: str | None = None
) -> tuple[str, ...]:
    """End every session of a person, and every token that was given in their name, wherever.

    Args:
        keep: The `sid` of one session that goes on, with what was granted in it.

    Returns:
        The `sid` of each session that ended.
    """
    ended = sessions.end_of_user(conn, realm.id, user_id, now, keep=keep)
    grants.revoke_user_grants(conn, realm.id, user_id, now, reason, keep=keep)
    return ended


def framed_clients(conn: Connection, realm: Realm, clients: Clients, session: BrowserSession) -> list[Client]:
    """The clients of a session that want to be told by a frame of the page that is shown after its end.

    Ask in the transaction that ends it.
    """
    told = participants.with_setting(
        conn, realm.id, session.sid, FRONT_CHANNEL, clients.configured_with(realm, FRONT_CHANNEL)
    )
    return clients.find_all(conn, realm, told)
