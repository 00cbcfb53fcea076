"""`oidcgate-provider sessions …`: who is signed in, and which applications were not told of a sign-out."""

from collections.abc import Iterator
from pathlib import Path

import click

from provider.build import Parts
from provider.cli.opening import opened, realm_option
from provider.events import LoggedOut
from provider.instants import shown
from provider.realm import Realm
from provider.services.logout import end_every_session, end_named
from provider.store import logout_notices, participants, sessions
from provider.store.sessions import BrowserSession

#: How many sessions end in one transaction.
_AT_ONCE = 200


@click.group("sessions")
def sessions_() -> None:
    """Browser sessions, and the applications that are told of their end."""


_by_sub = click.option(
    "--sub", "by_sub", is_flag=True, help="USER is a `sub`: for people who are in a store of your own."
)
_client = click.option("--client", "client_id", default=None, help="Of this application only.")


@sessions_.command("list")
@click.option("--user", default=None, help="Of this person only.")
@_by_sub
@realm_option
@click.pass_obj
def list_(config: Path, user: str | None, by_sub: bool, realm_id: str) -> None:
    """List the sessions that live: sid, person, signed in at, last used at, applications."""
    with opened(config, realm_id) as (parts, realm), parts.store.read() as conn:
        user_id = None if user is None else _user_id(parts, realm, user, by_sub)
        now = int(parts.clock())
        idle = now - realm.settings.lifetimes.session_idle_seconds
        after = ""
        while page := sessions.list_live(
            conn, realm.id, now=now, seen_after=idle, user_id=user_id, after=after
        ):
            for one in page:
                person = parts.users.find(conn, realm, one.user_id)
                click.echo(
                    "\t".join(
                        (
                            one.sid,
                            one.user_id if person is None else person.user_name,
                            shown(one.auth_time),
                            shown(one.seen_at),
                            " ".join(participants.clients_of(conn, realm.id, one.sid)),
                        )
                    )
                )
            after = page[-1].sid


@sessions_.command()
@click.option("--sid", default=None, help="This session, as `sessions list` and the audit log name it.")
@click.option("--user", default=None, help="Every session of this person.")
@_by_sub
@click.option("--everybody", is_flag=True, help="Every session of the realm.")
@realm_option
@click.pass_obj
def revoke(
    config: Path, sid: str | None, user: str | None, by_sub: bool, everybody: bool, realm_id: str
) -> None:
    """End sessions and what applications were given in them; the applications are told.

    Whoever is signed in so has to sign in again. Nobody is kept from that: see `user disable`.
    """
    if [sid is not None, user is not None, everybody].count(True) != 1:
        raise click.UsageError("name one of --sid, --user and --everybody")
    with opened(config, realm_id) as (parts, realm):
        ended = 0
        for some in _ending(parts, realm, sid, user, by_sub):
            ended += len(some)
            for session_id, user_id in some:
                parts.audit.emit(LoggedOut(realm.id, user_id, session_id, None))
            if everybody:
                click.echo(f"{ended} sessions ended", err=True)
        if sid is not None and not ended:
            raise click.ClickException(f"there is no session {sid} in realm {realm_id}")
    click.echo(f"sessions that ended: {ended}")


@sessions_.command()
@click.option("--failed", is_flag=True, help="Those that were given up, instead of those that wait.")
@_client
@realm_option
@click.pass_obj
def notices(config: Path, failed: bool, client_id: str | None, realm_id: str) -> None:
    """List which applications have yet to be told, or never were.

    One a line: application, sid, when the session ended, attempts, when the next one is or the last one was,
    and what was in the way.
    """
    with opened(config, realm_id) as (parts, realm), parts.store.read() as conn:
        for one in logout_notices.list_notices(conn, realm.id, failed=failed, client_id=client_id):
            at = one.due_at if one.failed_at is None else one.failed_at
            fields = (one.client_id, one.sid, shown(one.created_at), str(one.attempts), shown(at))
            click.echo("\t".join((*fields, one.reason or "")))
        counted = logout_notices.count(conn, realm.id)
    click.echo(
        "ended sessions of which nobody was told yet: {}; notices that wait: {}; that failed: {}".format(
            *counted
        ),
        err=True,
    )


@sessions_.command()
@_client
@realm_option
@click.pass_obj
def retry(config: Path, client_id: str | None, realm_id: str) -> None:
    """Have the notices that were given up sent once more, by whoever serves."""
    with opened(config, realm_id) as (parts, realm), parts.store.begin() as conn:
        count = logout_notices.retry_failed(conn, realm.id, int(parts.clock()), client_id=client_id)
    click.echo(f"notices that are sent again: {count}")


def _ending(
    parts: Parts, realm: Realm, sid: str | None, user: str | None, by_sub: bool
) -> Iterator[list[tuple[str, str]]]:
    """End what is named, some at a time: the sid and the person of each that ended."""
    now = int(parts.clock())
    if user is not None:
        user_id = _user_id(parts, realm, user, by_sub)
        with parts.store.begin() as conn:
            ended = end_every_session(conn, realm, user_id, now)
        yield [(one, user_id) for one in ended]
        return
    if sid is not None:
        with parts.store.begin() as conn:
            session = end_named(conn, realm, sid, now)
        yield [] if session is None else [(sid, session.user_id)]
        return
    page: list[BrowserSession] | None = None
    while page is None or len(page) == _AT_ONCE:
        with parts.store.begin() as conn:
            page = sessions.list_live(conn, realm.id, now=now, seen_after=-1, limit=_AT_ONCE)
            for one in page:
                end_named(conn, realm, one.sid, now)
        yield [(one.sid, one.user_id) for one in page]


def _user_id(parts: Parts, realm: Realm, user: str, by_sub: bool) -> str:
    if by_sub:
        return user
    with parts.store.read() as conn:
        return parts.users.known(conn, realm, user).user_id
