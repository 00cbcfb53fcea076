"""`oidcgate sessions …`: who is signed in, ending that, and how old the secret is that seals sessions."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from oidcgate.cli.opening import config_option, opened
from oidcgate.cli.problems import end_with
from oidcgate.gate.break_glass import IDP, issuer_of
from oidcgate.gate.events import SessionsRevoked
from oidcgate.gate.parts import GateParts
from oidcgate.gate.session import SessionRecord
from oidcgate.gate.sessions import Ended, NotFound
from oidcgate.gate.store_settings import SQLITE
from oidcgate.gate.token_revocation import Outcome, Told
from oidcgate.storage.records import StoreUnavailable

_DAY_SECONDS = 86_400
#: So long providers are waited for, all together.
_ASKING_SECONDS = 60
#: So many at a time are told of, where somebody watches.
_PROGRESS = 1000

_json = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
_provider = click.option(
    "--provider", default=None, help=f"Of this provider only, by its name; {IDP}: by the page of that name."
)


@click.group()
def sessions() -> None:
    """Who is signed in to the app, and ending that."""


@sessions.command("list")
@config_option
@click.option("--user", default=None, help="Only those of this userName.")
@click.option("--sid", default=None, help="Only those of this session at the provider (`sid`).")
@_provider
@_json
def list_(path: Path, user: str | None, sid: str | None, provider: str | None, as_json: bool) -> None:
    """List the sessions that live: id, user, provider, when it began, was last used and ends at the latest.

    When a session was last used is known where `session.store` keeps it. One that is sealed into its cookie
    is listed until it has to end, also if it is idle: only its browser knows.
    """
    with opened(path) as (parts, now):
        listed: list[tuple[SessionRecord, int | None]] = []
        gone = 0
        for record in _watched(_named(parts, now, user, sid, provider)):
            try:
                listed.append((record, parts.sessions.seen_at(record, now)))
            except NotFound:
                gone += 1
            except StoreUnavailable as error:
                end_with([f"session.store: {error}"])
        listed.sort(key=lambda each: (each[0].user_name.lower(), each[0].created_at))
        if as_json:
            for record, seen_at in listed:
                click.echo(json.dumps(_plain(record, seen_at)))
        else:
            _table(("SESSION", "USER", "PROVIDER", "BEGAN", "LAST USED", "ENDS BY"), map(_row, listed))
        if gone:
            click.echo(f"not listed: {gone} that session.store no longer has (idle, or lost)", err=True)
        if parts.config.session.store == "sealed" and listed:
            click.echo(
                "Sessions are sealed into cookies: when each was last used only its browser knows.", err=True
            )


@sessions.command()
@config_option
@click.option("--id", "session_id", default=None, help="This session, as `sessions list` names it.")
@click.option("--user", default=None, help="Every session that this userName has had up to now.")
@click.option("--sid", default=None, help="What came out of this session at the provider (`sid`).")
@_provider
@_json
def revoke(
    path: Path,
    session_id: str | None,
    user: str | None,
    sid: str | None,
    provider: str | None,
    as_json: bool,
) -> None:
    """End sessions, wherever they are kept: those sealed into cookies too.

    Whoever is signed in so has to sign in again, which nobody is kept from: for that see the directory of
    known users. Sessions that are not listed end as well. Providers that have an endpoint for it are asked to
    revoke the tokens that listed ones kept.
    """
    if [session_id, user, sid].count(None) != 2:
        raise click.UsageError("name one of --id, --user and --sid")
    if provider is not None and sid is None:
        raise click.UsageError("--provider goes with --sid")
    with opened(path) as (parts, now):
        ended = _ended(parts, now, session_id, user, sid, provider)
        by = "session" if session_id is not None else "user" if user is not None else "sid"
        parts.audit.emit(SessionsRevoked(by, session_id or user or sid or "", len(ended)))
        if not as_json and ended:
            rows = (_row((record, None))[:4] for record, _ in ended)
            _table(("SESSION", "USER", "PROVIDER", "BEGAN"), rows)
            click.echo(f"sessions that ended: {len(ended)}; in force {_when(parts)}")
        elif not as_json and session_id is None:
            whose = f"of {user}" if user is not None else f"with the sid {sid}"
            click.echo(f"no session {whose} is listed; any that a browser should have has ended now")
        for told in parts.token_revocation.revoke(ended, _ASKING_SECONDS):
            if as_json:
                click.echo(json.dumps({**_plain(told.record, None), "tokens": told.outcome}))
            elif told.outcome is not Outcome.NONE:
                click.echo(_of_tokens(told))
        if session_id is not None and not ended:
            unknown = f"--id: no session {session_id} is listed; should a browser have it, it has ended now"
            end_with([unknown])


@sessions.command()
@config_option
@_json
def keys(path: Path, as_json: bool) -> None:
    """List the secrets of the key ring: name, whether it seals or only opens, and since when it has sealed.

    The name is in every value that the secret sealed, and says nothing of it. A new one: `oidcgate secret`.
    """
    with opened(path) as (parts, now):
        rows = []
        for age in parts.sessions.key_ages.of_ring(now):
            if as_json:
                click.echo(json.dumps(age._asdict()))
                continue
            since, days = "never", ""
            if age.sealing_since is not None:
                since = _shown(age.sealing_since)
                days = str(max(0, now - age.sealing_since) // _DAY_SECONDS)
            rows.append((age.name, "seals" if age.seals else "opens", since, days))
        if not as_json:
            _table(("KEY", "USE", "SEALING SINCE", "DAYS"), rows)


def _named(
    parts: GateParts, now: int, user: str | None, sid: str | None, provider: str | None
) -> Iterator[SessionRecord]:
    index = parts.sessions.index
    issuers = _issuers(parts, provider)
    found: Iterator[SessionRecord]
    if user is not None:
        found = index.of_user(user, now)
    elif sid is not None:
        found = (record for issuer in issuers for record in index.of_sid(issuer, sid, now))
    else:
        found = index.everybody(now)
    return (
        record
        for record in found
        if (sid is None or record.sid == sid) and (provider is None or record.iss in issuers)
    )


def _ended(
    parts: GateParts,
    now: int,
    session_id: str | None,
    user: str | None,
    sid: str | None,
    provider: str | None,
) -> list[Ended]:
    if session_id is not None:
        ended = parts.sessions.revoke(session_id, now)
        return [] if ended is None else [ended]
    if user is not None:
        return parts.sessions.revoke_user(user, now)
    return [
        ended
        for issuer in _issuers(parts, provider)
        for ended in parts.sessions.revoke_sid(issuer, sid or "", now)
    ]


def _issuers(parts: GateParts, provider: str | None) -> Sequence[str]:
    configs = [there.config for there in parts.at_each_host]
    names = {entry.expected_issuer: entry.name for config in configs for entry in config.identity_providers}
    if provider is None:
        return list(names)
    named = {name: [issuer] for issuer, name in names.items() if name}
    # Without [break_glass] too: sessions that began by it may still be there.
    named.setdefault(IDP, [issuer_of(config.public_url) for config in configs])
    if provider not in named:
        end_with([f"--provider: {provider!r} is no provider here; use one of {', '.join(map(repr, named))}"])
    return named[provider]


def _watched(records: Iterator[SessionRecord]) -> Iterator[SessionRecord]:
    """The same, and where somebody watches a word each so many."""
    watched = sys.stderr.isatty()
    for number, record in enumerate(records, start=1):
        yield record
        if watched and number % _PROGRESS == 0:
            click.echo(f"\r{number} read", err=True, nl=False)
    if watched:
        click.echo("\r", err=True, nl=False)


def _of_tokens(told: Told) -> str:
    session, issuer = told.record.session_id, told.record.iss
    if told.outcome is Outcome.REVOKED:
        return f"tokens of {session}: revoked at {issuer}"
    why = told.detail or f"{issuer} has no endpoint for that"
    return f"tokens of {session}: deleted here, not revoked: {why}; there they may be good until they end"


def _when(parts: GateParts) -> str:
    if parts.config.state.store.startswith(SQLITE):
        return "at the next request"
    return f"within {parts.config.state.revocation_lag_seconds:g} seconds"


def _plain(record: SessionRecord, seen_at: int | None) -> dict[str, object]:
    return {
        "session_id": record.session_id,
        "user_name": record.user_name,
        "provider": record.idp,
        "iss": record.iss,
        "sub": record.sub,
        "sid": record.sid,
        "auth_time": record.auth_time,
        "acr": record.acr,
        "amr": record.amr,
        "began_at": record.created_at,
        "seen_at": seen_at,
        "ends_at": record.absolute_at,
    }


def _row(listed: tuple[SessionRecord, int | None]) -> tuple[str, ...]:
    record, seen_at = listed
    return (
        record.session_id,
        record.user_name,
        record.idp or record.iss,
        _shown(record.created_at),
        "-" if seen_at is None else _shown(seen_at),
        _shown(record.absolute_at),
    )


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    listed = [heads, *rows]
    widths = [max(len(row[column]) for row in listed) for column in range(len(heads))]
    for row in listed:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def _shown(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")
