"""Rows of the `browser_sessions` table: who is signed in in which browser.

Only a hash of the cookie is stored. Cookies, lifetimes and the meaning of a login are
`provider.services.browser_session`; tokens hang on grants (`provider.store.grants`), not on these rows.

A row that has ended says by itself that its clients have to be told (`told_at` is empty): whoever ends one,
by whatever way, cannot forget it (`provider.store.logout_notices`).
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, insert, select, update

from provider.store import schema
from provider.store.engine import to_be_judged
from provider.store.statements import BesideIndexes


@dataclass(frozen=True)
class BrowserSession:
    """One signed-in browser.

    Attributes:
        session_hash: SHA-256 of what follows from the cookie value. Never leaves the server.
        sid: The public random name of the session (ID token, logout).
        auth_time: When the person last proved who they are, from the password on.
        acr, amr: How. `amr` are the methods that were used, `acr` what they are worth in plain words; what a
            client is told is worded for it when a code is written.
        seen_at: The last use, in coarse steps.
        expires_at: The absolute end.
        browser: In which browser it began, as `browser_label` says it; "" where nobody knows.
    """

    session_hash: str
    sid: str
    user_id: str
    auth_time: int
    acr: str
    amr: tuple[str, ...]
    created_at: int
    seen_at: int
    expires_at: int
    browser: str = ""


def find(conn: Connection, realm_id: str, session_hash: str) -> BrowserSession | None:
    """The session of this cookie hash, unless it was ended. Lifetimes are judged by the caller.

    Nobody ends it before a writing transaction is over: what is granted in it is there when it is signed out.
    """
    table = schema.browser_sessions
    query = select(table).where(
        table.c.realm_id == realm_id, table.c.session_hash == session_hash, table.c.ended_at.is_(None)
    )
    row = conn.execute(to_be_judged(conn, query)).one_or_none()
    return None if row is None else _session(row)


def find_by_sid(conn: Connection, realm_id: str, sid: str) -> BrowserSession | None:
    """The session of this public name, unless it was ended; as `find` otherwise."""
    table = schema.browser_sessions
    query = select(table).where(table.c.realm_id == realm_id, table.c.sid == sid, table.c.ended_at.is_(None))
    row = conn.execute(to_be_judged(conn, query)).one_or_none()
    return None if row is None else _session(row)


def has_ended(conn: Connection, realm_id: str, sid: str) -> bool:
    """Whether a session of this public name was ended, as far as that is still known."""
    table = schema.browser_sessions
    query = select(table.c.sid).where(
        table.c.realm_id == realm_id, table.c.sid == sid, table.c.ended_at.is_not(None)
    )
    return conn.execute(query).first() is not None


def list_live(
    conn: Connection,
    realm_id: str,
    *,
    now: int,
    seen_after: int,
    user_id: str | None = None,
    after: str = "",
    limit: int = 1000,
) -> list[BrowserSession]:
    """Sessions that nobody ended and whose time is not over, in the order of their `sid`.

    Args:
        seen_after: The last use of one that has idled for too long.
        user_id: Whose; None for everybody's.
        after: From the one following this `sid`.
    """
    table = schema.browser_sessions
    query = select(table).where(
        table.c.realm_id == realm_id,
        table.c.ended_at.is_(None),
        BesideIndexes(table.c.expires_at) > now,
        table.c.seen_at > seen_after,
    )
    sid: ColumnElement[str] = table.c.sid
    if user_id is not None:
        query, sid = query.where(table.c.user_id == user_id), BesideIndexes(table.c.sid)
    return [_session(row) for row in conn.execute(query.where(sid > after).order_by(sid).limit(limit))]


def _session(row: Row[Any]) -> BrowserSession:
    return BrowserSession(
        session_hash=row.session_hash,
        sid=row.sid,
        user_id=row.user_id,
        auth_time=row.auth_time,
        acr=row.acr,
        amr=tuple(row.amr),
        created_at=row.created_at,
        seen_at=row.seen_at,
        expires_at=row.expires_at,
        browser=row.browser or "",
    )


def add(conn: Connection, realm_id: str, session: BrowserSession) -> None:
    """Store a new session."""
    values = {**vars(session), "amr": list(session.amr), "realm_id": realm_id}
    conn.execute(insert(schema.browser_sessions).values(**values))


def renew(conn: Connection, realm_id: str, old_hash: str, session: BrowserSession) -> bool:
    """Replace a live session by its successor under a new cookie hash; the old cookie is dead at once.

    Returns:
        False when the session was ended meanwhile: a logout that came first wins.
    """
    table = schema.browser_sessions
    changed = conn.execute(
        update(table)
        .where(table.c.realm_id == realm_id, table.c.session_hash == old_hash, table.c.ended_at.is_(None))
        .values(**{**vars(session), "amr": list(session.amr)})
    )
    return changed.rowcount == 1


def touch(conn: Connection, realm_id: str, session_hash: str, now: int) -> None:
    """Note that the session was used, never moving backwards."""
    table = schema.browser_sessions
    conn.execute(
        update(table)
        .where(table.c.realm_id == realm_id, table.c.session_hash == session_hash, table.c.seen_at < now)
        .values(seen_at=now)
    )


def end(conn: Connection, realm_id: str, session_hash: str, now: int) -> bool:
    """End a session. Returns False when it had ended already."""
    table = schema.browser_sessions
    changed = conn.execute(
        update(table)
        .where(table.c.realm_id == realm_id, table.c.session_hash == session_hash, table.c.ended_at.is_(None))
        .values(ended_at=now)
    )
    return changed.rowcount == 1


def end_of_user(
    conn: Connection, realm_id: str, user_id: str, now: int, *, keep: str | None = None
) -> tuple[str, ...]:
    """End every session of a person; returns the `sid` of each that had not ended before.

    Args:
        keep: The `sid` of one that goes on.
    """
    table = schema.browser_sessions
    query = update(table).where(
        table.c.realm_id == realm_id, table.c.user_id == user_id, table.c.ended_at.is_(None)
    )
    if keep is not None:
        query = query.where(table.c.sid != keep)
    return tuple(conn.scalars(query.values(ended_at=now).returning(table.c.sid)))
