"""The gate's pages: templates, texts, and what each needs.

Every page needs `site` (str): the name of the application that the gate stands in front of. Each `hidden`
is a mapping of field names to values that the form sends along (the CSRF token among them). Strings are
escaped by the template; None means that the part is left out.

choose.html (200, page-choose)
    choices: Sequence[Choice]
passing.html (200, page-passing)
    url: str (where it goes on); key: str (what the fragment is kept under); script: Markup
answer.html (200, page-answer)
    action: str; fields: Sequence[tuple[str, str]] (the provider's answer); script: Markup
unknown_user.html (403, page-unknown-user)
    user_name: str; inactive: bool (known, but switched off); action: str; hidden: Mapping[str, str]
somebody_else.html (403, page-somebody-else)
    user_name: str; incident: str; action: str; hidden: Mapping[str, str]
error.html (the error's status, page-error)
    kind: ErrorKind; incident: str or None; retry_url: str or None
session_ended.html (401, page-session-ended)
    login_url: str; kept: bool (it can be sent again after the sign-in)
resend.html (200, page-resend)
    user_name: str; action: str; enctype: str; fields: Sequence[tuple[str, str]]; path: str
unavailable.html (503, page-unavailable)
    retry_url: str or None; retry_after_seconds: int or None; incident: str; break_glass_url: str or None
break_glass.html (200, 400, 403 or 429, page-break-glass)
    username: str (what the field starts with); action: str; hidden: Mapping[str, str];
    problem: BreakGlassProblem or None; retry_after_seconds: int or None
logout.html (200, page-logout)
    user_name: str or None; action: str; hidden: Mapping[str, str]; cancel_url: str
logged_out.html (200, page-logged-out)
    everywhere: bool (the provider's session is over too); login_url: str or None
login_loop.html (403, page-login-loop)
    check: LoopCheck; address: str (where the session is good); incident: str or None; retry_url: str

`unknown_user.html`, `somebody_else.html` and `logout.html` post to the gate's logout, which redirects to the
provider: give the provider's end-session endpoint (and where it is known to lead) to `render` as
`form_action`.
"""

from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from oidcgate.web.pages import Pages, packaged


class ErrorKind(StrEnum):
    """What the error page says happened; the cause itself is in the log under the incident id."""

    FORBIDDEN = "forbidden"
    """A rule does not let this person in here."""
    BAD_REQUEST = "bad_request"
    """The request cannot be understood."""
    OTHER_HOST = "other_host"
    """The request is for a host that is none of the gate's."""
    NOT_FOUND = "not_found"
    """The gate has no such page."""
    FORM_GONE = "form_gone"
    """The form that waited for a sign-in is gone, or another browser's."""
    CANCELLED = "cancelled"
    """The person, or the provider for them, said no."""
    SIGN_IN_FAILED = "sign_in_failed"
    """The provider's answer did not hold."""
    SIGN_IN_EXPIRED = "sign_in_expired"
    """The answer belongs to no sign-in that this browser has open."""
    NO_COOKIES = "no_cookies"
    """The answer belongs to no sign-in, and the browser sent no cookie at all."""
    TOO_LARGE = "too_large"
    """The session does not fit into a cookie."""
    SERVER_ERROR = "server_error"
    """A fault of ours."""


class BreakGlassProblem(StrEnum):
    """Why the break-glass form is shown again."""

    WRONG = "wrong"
    """Name and password do not belong together. Which of them it is is not said."""
    SLOWED = "slowed"
    """Too many failures: the password was not looked at."""
    EXPIRED = "expired"
    """The form was not of this browser, or is an hour old."""
    NOT_KNOWN = "not_known"
    """Name and password are right, and the directory lets nobody of that name in."""


class LoopCheck(StrEnum):
    """Which check made the signed-in person look like a stranger again."""

    COOKIE = "cookie"
    """The session cookie did not come back."""
    SESSION = "session"
    """The session cookie came back and was refused."""
    CLOCK = "clock"
    """The session was over when it had just begun: a clock is wrong, here or on another host of the gate."""
    DEMAND = "demand"
    """The session is good, and not enough for what was asked for."""
    ADDRESS = "address"
    """The session is good here; the app was opened under another name or over http, where it is not sent."""


class Choice(NamedTuple):
    """One of the providers to choose from: what it is called, where it is asked, and if it was last time."""

    name: str
    url: str
    last: bool


def gate_pages(own: Path | None = None) -> Pages:
    """Give the gate's pages, under those of an operator's folder; nothing is read before one is shown."""
    folder = Path(__file__).parent
    return packaged(folder) if own is None else Pages(folder=folder, own=own)
