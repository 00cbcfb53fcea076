"""Rows of `logout_notices`: which client still has to be told that which session has ended.

A session that has ended is an order by itself; `write_due` turns it into one notice for each of its clients.
A notice is leased, sent, and then deleted, put off, or kept as failed. Who sends it last counts its attempts,
which fences off whoever had it before: what a lease that ran out still says of it changes nothing.

When to try again is `provider.services.notice_rules`, sending `provider.services.logout_delivery`.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Update,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    tuple_,
    update,
)

from provider.store.participants import beside_clients, wanting
from provider.store.schema import browser_sessions, clients, logout_notices, session_clients
from provider.store.statements import BesideIndexes

_notices = logout_notices.c
#: How many rows of a long list are held at once.
_AT_ONCE: Final = 1000


@dataclass(frozen=True)
class Notice:
    """One client to be told of the end of one session.

    Attributes:
        created_at: When the session ended.
        attempts: How often it was begun to be sent, this time included once it is leased.
        reason: Why the last attempt failed.
        failed_at: When it was given up.
    """

    sid: str
    client_id: str
    user_id: str
    created_at: int
    due_at: int
    attempts: int
    reason: str | None = None
    failed_at: int | None = None


def write_due(
    conn: Connection, realm_id: str, setting: str, configured: Collection[str], now: int, *, sessions: int
) -> int:
    """Write the notices of sessions that have ended; returns of how many.

    Args:
        setting: The setting of a client that says where it is told.
        configured: The clients of the file that have it.
        sessions: At most so many. Those that somebody else is at are left to them.
    """
    ended = browser_sessions.c
    found = conn.execute(
        select(ended.session_hash, ended.sid)
        .where(ended.realm_id == realm_id, ended.ended_at.is_not(None), ended.told_at.is_(None))
        .order_by(ended.ended_at)
        .limit(sessions)
        .with_for_update(skip_locked=True)
    ).all()
    if not found:
        return 0
    sids = [row.sid for row in found]
    taking_part = session_clients.c
    told = (
        select(
            taking_part.realm_id,
            taking_part.sid,
            taking_part.client_id,
            ended.user_id,
            ended.ended_at,
            literal(now),
            literal(0),
        )
        .select_from(session_clients)
        .join(browser_sessions, and_(ended.realm_id == taking_part.realm_id, ended.sid == taking_part.sid))
        .outerjoin(clients, beside_clients())
        .where(taking_part.realm_id == realm_id, taking_part.sid.in_(sids), wanting(setting, configured))
    )
    names = ["realm_id", "sid", "client_id", "user_id", "created_at", "due_at", "attempts"]
    conn.execute(insert(logout_notices).from_select(names, told))
    conn.execute(delete(session_clients).where(taking_part.realm_id == realm_id, taking_part.sid.in_(sids)))
    hashes = [row.session_hash for row in found]
    conn.execute(
        update(browser_sessions)
        .where(ended.realm_id == realm_id, ended.session_hash.in_(hashes))
        .values(told_at=now)
    )
    return len(found)


def has_untold(conn: Connection, realm_id: str) -> bool:
    """Whether a session has ended whose notices are not written."""
    ended = browser_sessions.c
    untold = select(literal(1)).where(
        ended.realm_id == realm_id, ended.ended_at.is_not(None), ended.told_at.is_(None)
    )
    return conn.execute(untold.limit(1)).first() is not None


def due_clients(conn: Connection, realm_id: str, after: str, now: int, *, limit: int) -> Sequence[str]:
    """The first clients after that id which have a notice to be sent now."""
    # From client to client, a step of the index each: of one that is put off any number may wait.
    following = select(func.min(_notices.client_id).label("client_id")).where(
        _notices.realm_id == realm_id, _notices.failed_at.is_(None)
    )
    waiting = following.where(_notices.client_id > after).cte("waiting", recursive=True)
    last = waiting.c.client_id
    step = following.where(_notices.client_id > last).scalar_subquery()
    waiting = waiting.union_all(select(step).where(last.is_not(None)))
    here = waiting.c.client_id
    due = exists().where(_sendable(realm_id, now), _notices.client_id == here)
    return conn.scalars(select(here).where(due).order_by(here).limit(limit)).all()


def lease(
    conn: Connection, realm_id: str, client_id: str, now: int, *, until: int, limit: int
) -> list[Notice]:
    """Take notices of one client, the longest due first: nobody else has them before `until`."""
    due = select(logout_notices).where(_sendable(realm_id, now), _notices.client_id == client_id)
    query = due.order_by(_notices.due_at).limit(limit).with_for_update(skip_locked=True)
    rows = conn.execute(query).all()
    if rows:
        taken = update(logout_notices).where(
            _notices.realm_id == realm_id,
            _notices.client_id == client_id,
            _notices.sid.in_([row.sid for row in rows]),
        )
        conn.execute(taken.values(leased_until=until, attempts=_notices.attempts + 1))
    return [_notice(row, attempts=row.attempts + 1) for row in rows]


def give_back(conn: Connection, realm_id: str, notices: Sequence[Notice]) -> None:
    """Undo the lease of notices that were not begun to be sent."""
    if notices:
        query = _free(realm_id).values(attempts=_notices.attempts - 1)
        conn.execute(query, [_key(notice) for notice in notices])


def settle_done(conn: Connection, realm_id: str, notices: Sequence[Notice]) -> None:
    """Forget notices that their clients have taken."""
    if notices:
        query = delete(logout_notices).where(_held(realm_id))
        conn.execute(query, [_key(notice) for notice in notices])


def settle_later(conn: Connection, realm_id: str, notices: Iterable[tuple[Notice, str, int]]) -> None:
    """Put notices off: each with why it failed, and when to try again."""
    values = [{**_key(notice), "why": reason, "at": due_at} for notice, reason, due_at in notices]
    if values:
        conn.execute(_free(realm_id).values(reason=bindparam("why"), due_at=bindparam("at")), values)


def settle_failed(conn: Connection, realm_id: str, notices: Iterable[tuple[Notice, str]], now: int) -> None:
    """Give notices up, each for its reason."""
    values = [{**_key(notice), "why": reason} for notice, reason in notices]
    if values:
        conn.execute(_free(realm_id).values(reason=bindparam("why"), failed_at=now), values)


def put_off(conn: Connection, realm_id: str, clients_until: Mapping[str, int]) -> None:
    """Send nothing to these clients before their instants, but what somebody is sending now."""
    # Whoever sends the others writes down what became of them, and then does this: two that waited for each
    # other's rows would stand still.
    query = update(logout_notices).where(
        _notices.realm_id == realm_id,
        _notices.client_id == bindparam("of_client"),
        _notices.failed_at.is_(None),
        _notices.leased_until.is_(None),
        _notices.due_at < bindparam("at"),
    )
    if clients_until:
        values = [{"of_client": client_id, "at": until} for client_id, until in sorted(clients_until.items())]
        conn.execute(query.values(due_at=bindparam("at")), values)


def has_older(conn: Connection, realm_id: str, before: int) -> bool:
    """Whether a notice waits of a session that ended before that instant."""
    query = select(literal(1)).where(
        _notices.realm_id == realm_id, _notices.failed_at.is_(None), _notices.created_at < before
    )
    return conn.execute(query.limit(1)).first() is not None


def give_up_older(conn: Connection, realm_id: str, before: int, now: int, *, limit: int) -> list[Notice]:
    """Give up at most so many notices, sent by nobody, of sessions that ended before that instant.

    Returns:
        Those; `reason` is that of the last attempt.
    """
    old = select(logout_notices).where(_free_now(realm_id, now), _notices.created_at < before)
    rows = conn.execute(old.limit(limit).with_for_update(skip_locked=True)).all()
    if rows:
        query = update(logout_notices).where(
            _notices.realm_id == realm_id,
            # By itself as well: SQLite finds no pairs by an index.
            _notices.sid.in_([row.sid for row in rows]),
            tuple_(_notices.sid, _notices.client_id).in_([(row.sid, row.client_id) for row in rows]),
        )
        conn.execute(query.values(failed_at=now))
    return [_notice(row, failed_at=now) for row in rows]


def retry_failed(conn: Connection, realm_id: str, now: int, *, client_id: str | None = None) -> int:
    """Have failed notices sent once more, as if their session had ended now; returns how many."""
    query = update(logout_notices).where(_notices.realm_id == realm_id, _notices.failed_at.is_not(None))
    if client_id is not None:
        query = query.where(_notices.client_id == client_id)
    values = {"failed_at": None, "due_at": now, "created_at": now, "attempts": 0, "leased_until": None}
    return conn.execute(query.values(values)).rowcount


def count(conn: Connection, realm_id: str) -> tuple[int, int, int]:
    """How many sessions have ended whose notices are not written, how many notices wait, how many failed."""
    ended = browser_sessions.c
    untold = select(func.count()).where(
        ended.realm_id == realm_id, ended.ended_at.is_not(None), ended.told_at.is_(None)
    )
    failed = func.count(_notices.failed_at)
    row = conn.execute(select(func.count() - failed, failed).where(_notices.realm_id == realm_id)).one()
    return conn.scalars(untold).one(), row[0], row[1]


def list_notices(
    conn: Connection, realm_id: str, *, failed: bool, client_id: str | None = None
) -> Iterator[Notice]:
    """Those that wait or those that failed, by client, read a few at a time."""
    query = select(logout_notices).where(
        _notices.realm_id == realm_id,
        _notices.failed_at.is_not(None) if failed else _notices.failed_at.is_(None),
    )
    if client_id is not None:
        query = query.where(_notices.client_id == client_id)
    # One statement: each page of several would look for its place among all of them anew.
    rows = conn.execute(
        query.order_by(_notices.client_id, BesideIndexes(_notices.sid)),
        execution_options={"yield_per": _AT_ONCE},
    )
    yield from map(_notice, rows)


def _free_now(realm_id: str, now: int) -> ColumnElement[bool]:
    """Waiting, and in nobody's hands."""
    leased = _notices.leased_until
    return and_(
        _notices.realm_id == realm_id, _notices.failed_at.is_(None), or_(leased.is_(None), leased <= now)
    )


def _sendable(realm_id: str, now: int) -> ColumnElement[bool]:
    return and_(_free_now(realm_id, now), _notices.due_at <= now)


def _held(realm_id: str) -> ColumnElement[bool]:
    """Still in the hands of whoever leased it as that attempt."""
    return and_(
        _notices.realm_id == realm_id,
        _notices.sid == bindparam("of_sid"),
        _notices.client_id == bindparam("of_client"),
        _notices.attempts == bindparam("of_attempt"),
        _notices.leased_until.is_not(None),
    )


def _free(realm_id: str) -> Update:
    return update(logout_notices).where(_held(realm_id)).values(leased_until=None)


def _key(notice: Notice) -> dict[str, Any]:
    return {"of_sid": notice.sid, "of_client": notice.client_id, "of_attempt": notice.attempts}


def _notice(row: Any, **changes: Any) -> Notice:
    values: Mapping[str, Any] = {name: getattr(row, name) for name in Notice.__dataclass_fields__}
    return Notice(**{**values, **changes})
