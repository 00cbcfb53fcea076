"""Who is signed in in this browser: its cookies, their lifetimes, and what a login changes.

- The session cookie `__Host-oidcprovider-<hash>` holds 256 random bits. It is new at each login, so a value
  that somebody knew or planted before is worth nothing afterwards; only a hash of it is stored.
- The browser cookie `__Host-oidcprovider-browser-<hash>` holds another 256 bits that last. Interactions are
  bound to it, because they begin before anybody is signed in and go on across a login.

Two more are there only in browsers that use an application with `session_management`, which is next door:

- `__Host-oidcprovider-silent-<hash>` leads to the session too, where an application on another site asks
  silently and the browser keeps the session cookie back. It follows from that one by a function that nobody
  can go back, so it is good for nothing else.
- `__Host-oidcprovider-state-<hash>` can be read by a script of ours and says whether somebody else is signed
  in than a moment ago.

The hash is of the issuer: two realms or two providers on one host never read each other's cookie. Over http
(loopback only) the prefix and `Secure` go and the hash stays. Rows are `provider.store.sessions`; whether a
session is enough for a request is `interaction.next_step`; how one ends is `logout`; the last two cookies are
written by `session_management`.

A session belongs to no grant. A revoked grant, or all of them, leaves the next authorization as it was.
"""

import base64
import hashlib
from dataclasses import dataclass, field, replace
from typing import Final

from sqlalchemy import Connection

from oidcgate.web.cookies import cookie_value, delete_cookie, set_cookie
from provider.realm import Realm
from provider.services.authentication_context import PLAIN, state, with_method
from provider.services.logout import end_session
from provider.services.opaque import CHARACTERS, new_token, token_hash
from provider.store import participants, sessions
from provider.store.sessions import BrowserSession

#: `seen_at` moves in steps of this, so that an idle clock does not cost a write on every request.
SEEN_STEP_SECONDS: Final = 60
#: The longest a browser keeps a cookie, by its own rules.
_BROWSER_COOKIE_SECONDS: Final = 400 * 86_400


@dataclass(frozen=True)
class Authenticated:
    """A person who has just proved who they are, by these methods (`authentication_context`), in this browser
    (`browser_label`).
    """

    user_id: str
    auth_time: int
    used: tuple[str, ...]
    browser: str = ""


@dataclass(frozen=True)
class CookieNames:
    """The names of a realm's cookies and whether they are `Secure`."""

    session: str
    browser: str
    silent: str
    state: str
    secure: bool


def cookie_names(realm: Realm) -> CookieNames:
    """The cookie names of a realm."""
    digest = hashlib.sha256(realm.issuer.encode()).hexdigest()[:16]
    secure = realm.issuer.startswith("https:")
    prefix = "__Host-" if secure else ""
    session, browser, silent, state = (
        f"{prefix}oidcprovider-{kind}{digest}" for kind in ("", "browser-", "silent-", "state-")
    )
    return CookieNames(session, browser, silent, state, secure)


@dataclass(frozen=True)
class Browser:
    """This browser's random name; `is_new` when it has yet to be told, by `browser_cookie`."""

    token: str = field(repr=False)
    is_new: bool


def this_browser(realm: Realm, cookie_header: str) -> Browser:
    """The name of the browser that sent these cookies, or a new one."""
    known = _well_formed(cookie_value(cookie_header, cookie_names(realm).browser))
    return Browser(known or new_token(), is_new=known is None)


def browser_cookie(realm: Realm, browser: Browser) -> str:
    """The Set-Cookie value that names a browser."""
    names = cookie_names(realm)
    return set_cookie(
        names.browser, browser.token, path="/", max_age=_BROWSER_COOKIE_SECONDS, secure=names.secure
    )


def session_cookie(realm: Realm, token: str) -> str:
    """The Set-Cookie value of a session.

    It ends with the browser; the server ends it earlier by its own clock.
    """
    names = cookie_names(realm)
    return set_cookie(names.session, token, path="/", secure=names.secure)


def expired_session_cookie(realm: Realm) -> str:
    """The Set-Cookie value that removes the session cookie."""
    names = cookie_names(realm)
    return delete_cookie(names.session, path="/", secure=names.secure)


def live_session(conn: Connection, realm: Realm, cookie_header: str, now: int) -> BrowserSession | None:
    """The session of this browser, unless it has ended or outlived its idle or absolute time.

    Does not say whether the user is still active.
    """
    token = session_token(realm, cookie_header)
    return None if token is None else _live(conn, realm, silent_token(token), now)


def silent_session(conn: Connection, realm: Realm, cookie_header: str, now: int) -> BrowserSession | None:
    """The session of a browser that has sent the cookie for silent requests and not the session cookie.

    For a request with `prompt=none` of a client with `session_management`, and for nothing else: any site can
    make a browser send this cookie.
    """
    names = cookie_names(realm)
    token = _well_formed(cookie_value(cookie_header, names.silent))
    if token is None or cookie_value(cookie_header, names.session) is not None:
        return None
    return _live(conn, realm, token, now)


def session_token(realm: Realm, cookie_header: str) -> str | None:
    """The value of the session cookie that came, if it can be one of ours."""
    return _well_formed(cookie_value(cookie_header, cookie_names(realm).session))


def silent_token(token: str) -> str:
    """The value of the cookie for silent requests that belongs to a session cookie.

    What is stored is the hash of it, so that both cookies lead to one row and this one to nothing more.
    """
    digest = hashlib.sha256(f"oidcprovider silent {token}".encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _live(conn: Connection, realm: Realm, silent: str, now: int) -> BrowserSession | None:
    session = sessions.find(conn, realm.id, token_hash(silent))
    if session is None or now >= session.expires_at:
        return None
    if now - session.seen_at >= realm.settings.lifetimes.session_idle_seconds:
        return None
    return session


def hold_session(conn: Connection, realm: Realm, cookie_header: str, now: int) -> None:
    """Wait for another tab that is being answered, and let the next one wait until the transaction ends.

    Call it before a stored request is read: what the other tab did is then seen, not overwritten.
    """
    live_session(conn, realm, cookie_header, now)


def note_use(conn: Connection, realm: Realm, session: BrowserSession, now: int) -> None:
    """Move the idle clock of a live session."""
    if now - session.seen_at >= SEEN_STEP_SECONDS:
        sessions.touch(conn, realm.id, session.session_hash, now)


def begin_session(
    conn: Connection, realm: Realm, who: Authenticated, previous: BrowserSession | None, now: int
) -> tuple[BrowserSession, str]:
    """Make the session of a person who has just signed in.

    The same person again keeps the `sid`, under which applications know the session and will be told of its
    end, and gets a new cookie and a new absolute lifetime. Another person ends the session before and begins
    one of their own. In both cases the old cookie is dead in the same transaction.

    Returns:
        The session, and the cookie value, which exists nowhere else.
    """
    token = new_token()
    kept_sid = previous.sid if previous is not None and previous.user_id == who.user_id else None
    session = BrowserSession(
        session_hash=token_hash(silent_token(token)),
        sid=kept_sid or new_token(),
        user_id=who.user_id,
        auth_time=who.auth_time,
        acr=state(PLAIN, who.used).acr,
        amr=who.used,
        created_at=now,
        seen_at=now,
        expires_at=now + realm.settings.lifetimes.session_seconds,
        browser=who.browser,
    )
    if previous is not None:
        if kept_sid is not None and sessions.renew(conn, realm.id, previous.session_hash, session):
            participants.prolong(conn, realm.id, session.sid, session.expires_at)
            return session, token
        end_session(conn, realm, previous, now)
        if kept_sid is not None:
            # It was signed out meanwhile: that name is dead at the applications and must not come back.
            session = BrowserSession(**{**vars(session), "sid": new_token()})
    sessions.add(conn, realm.id, session)
    return session, token


def strengthen_session(
    conn: Connection, realm: Realm, session: BrowserSession, method: str, now: int
) -> tuple[BrowserSession, str] | None:
    """Note that the person of a live session has shown a second factor, under a new cookie.

    `auth_time` and the absolute end stay: who has an authenticator in hand has not shown the password again,
    so neither `max_age` nor the end of the day is moved by it.

    Returns:
        The session and its new cookie value; None when it was signed out meanwhile.
    """
    used = with_method(session.amr, method)
    return renew_session(conn, realm, replace(session, acr=state(PLAIN, used).acr, amr=used), now)


def renew_session(
    conn: Connection, realm: Realm, session: BrowserSession, now: int
) -> tuple[BrowserSession, str] | None:
    """Put a live session under a new cookie, so that a copy of the one before is dead in this transaction.

    Its name, `auth_time` and absolute end stay.

    Args:
        session: As it is to be, still under the hash of the cookie before.

    Returns:
        The session and its new cookie value; None when it was signed out, or renewed by somebody else,
        meanwhile.
    """
    token = new_token()
    renewed = replace(session, session_hash=token_hash(silent_token(token)), seen_at=now)
    if not sessions.renew(conn, realm.id, session.session_hash, renewed):
        return None
    return renewed, token


def _well_formed(token: str | None) -> str | None:
    return token if token is not None and len(token) == CHARACTERS and token.isascii() else None
