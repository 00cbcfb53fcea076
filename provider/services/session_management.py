"""What pages of an application may learn of a browser's session: `session_state`, and two cookies behind it.

Only clients with `session_management` are told, and only a browser that comes to one of them is given the
cookies, both with `SameSite=None`: the frame of ours that compares (`endpoints.check_session`) and silent
requests stand in pages of other sites. From then on they follow the session, whichever client is signed in to
or out from.

- The state is a value that means nothing. Each session has one, from its `sid`, so that a password asked for
  once more changes nothing; without a session it is random, so that nobody can say what it would be.
- The silent cookie is `browser_session.silent_token`.

A browser that keeps `Lax` cookies back, as it does in frames and images on other sites, seems to be signed
out and is not: nothing is concluded from it, or any site could make all applications believe so.
"""

import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Final

from oidcgate.protocol.session_management import build_session_state
from oidcgate.web.cookies import SameSite, cookie_value, delete_cookie, set_cookie
from provider.realm import Realm
from provider.services.browser_session import (
    cookie_names,
    expired_session_cookie,
    session_cookie,
    session_token,
    silent_token,
    this_browser,
)
from provider.services.frame_origins import page_origin
from provider.services.opaque import new_token
from provider.services.responses import ValidatedTarget
from provider.store.sessions import BrowserSession

#: How the state of a browser begins in which nobody is signed in; that of a session is hexadecimal.
_SIGNED_OUT: Final = "out-"
_SALT_BYTES: Final = 16


@dataclass(frozen=True)
class Told:
    """What goes with one answer: parameters for the client, and Set-Cookie values for the browser."""

    parameters: dict[str, str] = field(default_factory=dict)
    cookies: tuple[str, ...] = ()


#: For an answer that is given before anybody has looked who is signed in.
UNTOLD: Final = Told()


def tell(
    realm: Realm, target: ValidatedTarget, cookie_header: str, session: BrowserSession | None, *, silent: bool
) -> Told:
    """Say what an answer to a client carries.

    Args:
        session: Whose browser it is, as far as this request shows.
        silent: It is a request for which the silent cookie counts, so that without a session nobody is
            signed in.

    Spec: OIDC Session Management 1.0 2.
    """
    browser, client = _Browser(realm, cookie_header), target.client
    origin = page_origin(target.redirect_uri)
    if not client.session_management or origin is None:
        return Told(cookies=follow(realm, cookie_header, session))
    state, salt = browser.state_for(session), secrets.token_urlsafe(_SALT_BYTES)
    value = build_session_state(client.client_id, origin, state, salt)
    # In a frame whose cookies are kept in a jar of their own, a state would be there and never change again.
    certain = browser.shows(session) or (silent and browser.state is not None)
    return Told({"session_state": value}, browser.changes(session, state) if certain else ())


def follow(realm: Realm, cookie_header: str, session: BrowserSession | None) -> tuple[str, ...]:
    """The Set-Cookie values that bring a browser up to date which has the cookies; none for another."""
    browser = _Browser(realm, cookie_header)
    if browser.state is None or not browser.shows(session):
        return ()
    return browser.changes(session, browser.state_for(session))


def signed_in_cookies(
    realm: Realm, cookie_header: str, session: BrowserSession, token: str
) -> tuple[str, ...]:
    """The Set-Cookie values of a session that was just made, or made stronger, under a new cookie value."""
    browser, own = _Browser(realm, cookie_header), session_cookie(realm, token)
    if browser.state is None:
        return (own,)
    return (own, *browser.changes(session, browser.state_for(session), token))


def signed_out_cookies(realm: Realm, cookie_header: str, ended: BrowserSession | None) -> tuple[str, ...]:
    """The Set-Cookie values after a sign-out, which may have found nobody signed in."""
    browser, own = _Browser(realm, cookie_header), expired_session_cookie(realm)
    if browser.state is None or not browser.shows(ended):
        return (own,)
    return (own, *browser.changes(None, browser.state_for(None)))


@dataclass(frozen=True)
class _Browser:
    """What came from a browser."""

    realm: Realm
    cookies: str = field(repr=False)

    @property
    def state(self) -> str | None:
        return cookie_value(self.cookies, cookie_names(self.realm).state)

    def shows(self, session: BrowserSession | None) -> bool:
        """Whether it is to be seen who is signed in.

        It is when somebody is. When nobody seems to be, then only if the browser shows its `Lax` cookies with
        this request, of which the one that names it lasts longer than any session.
        """
        return session is not None or not this_browser(self.realm, self.cookies).is_new

    def state_for(self, session: BrowserSession | None) -> str:
        """The state that it should have. That of nobody stays as it is."""
        if session is not None:
            return hashlib.sha256(f"oidcprovider state {session.sid}".encode()).hexdigest()
        state = self.state or ""
        return state if state.startswith(_SIGNED_OUT) else _SIGNED_OUT + new_token()

    def changes(
        self, session: BrowserSession | None, state: str, token: str | None = None
    ) -> tuple[str, ...]:
        """The cookies of these that it does not have.

        Args:
            token: The value of the session cookie, if it is another than came.

        Over http, which is for loopback, no cookie can be for other sites; there one machine is one site.
        """
        names, changes = cookie_names(self.realm), []
        if self.state != state:
            site: SameSite = "None" if names.secure else "Lax"
            changes.append(
                set_cookie(names.state, state, path="/", secure=names.secure, same_site=site, http_only=False)
            )
        silent = cookie_value(self.cookies, names.silent)
        token = token or session_token(self.realm, self.cookies)
        if not names.secure:
            return tuple(changes)
        if session is None:
            if silent is not None:
                changes.append(delete_cookie(names.silent, path="/", secure=True, same_site="None"))
        elif token is not None and silent != silent_token(token):
            changes.append(
                set_cookie(names.silent, silent_token(token), path="/", secure=True, same_site="None")
            )
        return tuple(changes)
