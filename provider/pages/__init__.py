"""The provider's pages: templates, texts, and what each needs.

Every page needs `site` (str): the name of the provider or realm. Each `hidden` is a mapping of field names to
values that the form sends along (the CSRF token and the interaction among them). Strings are escaped by the
template; None means that the part is left out.

home.html (200, page-home)
    account_url: str; discovery_url: str
login.html (200, page-login)
    action: str; hidden: Mapping[str, str]; username: str ("" for none); client_name: str; about: About;
    problem: LoginProblem or None; retry_after_seconds: int or None
account.html (200, page-account)
    action: str; hidden: Mapping[str, str]; client_name: str; about: About; user_name: str; expired: bool
otp.html (200, page-otp)
    action: str; hidden: Mapping[str, str]; client_name: str; user_name: str;
    problem: FactorProblem or None; retry_after_seconds: int or None
enrol.html (200, page-enrol)
    action: str; hidden: Mapping[str, str]; client_name: str; user_name: str; problem: FactorProblem or None;
    optional: bool (going on without is offered); qr: Markup (an svg); otpauth_uri: str; secret: str
no_factor.html (200, page-no-second-factor)
    action: str; hidden: Mapping[str, str]; client_name: str; user_name: str
organization.html (200, page-organization)
    action: str; hidden: Mapping[str, str]; client_name: str; user_name: str;
    organizations: Sequence[OrganizationLine]; expired: bool
consent.html (200, page-consent)
    action: str; hidden: Mapping[str, str]; client_name: str; about: About; user_name: str;
    scopes: Sequence[ScopeLine]; api: str or None (what it is for, where that is one API in particular);
    return_host: str (where the browser goes next, as `responses.shown_destination` says it) or None (nowhere)
device.html (200, page-device)
    action: str; hidden: Mapping[str, str]; user_code: str ("" for none); problem: DeviceProblem or None;
    retry_after_seconds: int or None
device_confirm.html (200, page-device-confirm)
    action: str; hidden: Mapping[str, str]; client_name: str; user_code: str; user_name: str or None
device_done.html (200, page-device-done)
    client_name: str; outcome: DeviceOutcome
logout.html (200, page-logout)
    action: str; hidden: Mapping[str, str]; user_name: str or None; client_name: str or None;
    problem: LogoutProblem or None
logged_out.html (200, page-logged-out)
    frames: Sequence[str]; everywhere: bool
logging_out.html (200, page-logging-out)
    frames: Sequence[str]; next_url: str; client_name: str; seconds: int; script: Markup
error.html (the error's status, page-error)
    kind: ErrorKind; incident: str; retry_after_seconds: int or None
my_base.html (the frame of the account pages, which give it this)
    user_name: str; here: str and links: Mapping[str, str], by the names of `MyPage` in small letters;
    sign_out: str; notice: MyNotice or None
my_account.html (200, page-my-overview)
    sessions: int; applications: int; has_authenticator: bool
my_profile.html (200, page-my-profile)
    action: str; hidden: Mapping[str, str]; known: Sequence[tuple[str, str]]; lines: Sequence[ProfileLine];
    expired: bool
my_password.html (200, page-my-password)
    action: str; hidden: Mapping[str, str]; changeable: bool; fewest: int; ends_others: bool;
    problem: PasswordProblem or None; retry_after_seconds: int or None
my_authenticator.html (200, page-my-authenticator)
    action: str; hidden: Mapping[str, str]; enrolled_at: Moment or None; offered: bool; removable: bool;
    expired: bool
my_new_authenticator.html (200, page-my-new-authenticator)
    action: str; hidden: Mapping[str, str]; waiting: str; replaces: bool; problem: FactorProblem or None;
    qr: Markup; otpauth_uri: str; secret: str
my_sessions.html (200, page-my-sessions)
    action: str; hidden: Mapping[str, str]; sessions: Sequence[SessionLine]; more: bool; expired: bool
my_applications.html (200, page-my-applications)
    action: str; hidden: Mapping[str, str]; applications: Sequence[ApplicationLine]; expired: bool
form_post.html (200, page-form-post), rendered by `form_post`
    action: str; fields: Sequence[tuple[str, str]]; client_name: str or None; script: Markup

On consent.html each optional scope is a check box named `scope`, checked at first; its value is the scope's.

Buttons: `login` on login.html; `continue` and `other` on account.html send `decision=continue` or
`decision=other`; `verify` on otp.html and enrol.html, where `skip` sends `decision=skip`; `back` on
no_factor.html; `organization-1` and so on, each of which sends its `org_id`, on organization.html;
`allow` and `deny` on consent.html and device_confirm.html send `decision=allow` or `decision=deny`; `send` on
device.html; `logout` on logout.html; `save`, `change` and `verify` on the account pages with fields; `remove`
sends `decision=remove`, `everywhere` `decision=everywhere`; `end-1` and so on send their `sid`, `revoke-1`
and so on their `client_id`.

After the POST of each page of a sign-in the browser may be redirected
to the client: give the validated redirect URI to `render` as `form_action`, or Chromium stops there.
"""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from oidcgate.web.pages import Pages, packaged
from provider.instants import Moment

if TYPE_CHECKING:
    import werkzeug

# Taken from the prototype: a response parameter named "submit" would hide the form's own method.
FORM_POST_SCRIPT = 'HTMLFormElement.prototype.submit.call(document.getElementById("form-post"))'


# The page is left when every frame has loaded, and when one does not, after the seconds that the link names.
# Without scripts the browser's own refresh does the former, and the link both.
GO_ON_SCRIPT = (
    'const next=document.getElementById("continue");'
    "const go=()=>location.replace(next.href);"
    'addEventListener("load",go);'
    "setTimeout(go,1000*next.dataset.seconds)"
)


class ScopeLine(NamedTuple):
    """One thing that the client asks for; `optional` ones have a check box and may be left out."""

    value: str
    name: str
    description: str
    optional: bool


class OrganizationLine(NamedTuple):
    """One organization to choose from."""

    org_id: str
    name: str


class SessionLine(NamedTuple):
    """One signed-in browser of a person.

    Attributes:
        browser: Such as "Firefox on Linux"; "" where nobody knows.
        amr: How they signed in: `pwd`, and `otp` with an authenticator.
        this: It is the one that reads the page.
    """

    sid: str
    browser: str
    amr: Sequence[str]
    since: Moment
    seen_at: Moment
    this: bool


class ApplicationLine(NamedTuple):
    """One application of a person.

    Attributes:
        agreed: The person was asked; else it is trusted.
        tokens: How many that are good now.
        last_given_at: When it got the last of these.
    """

    client_id: str
    name: str
    scopes: Sequence[ScopeLine]
    agreed: bool
    since: Moment
    tokens: int
    last_given_at: Moment | None


class ProfileProblem(StrEnum):
    """Why what a person wrote of themselves is not taken."""

    NUMBER = "number"
    CHOICE = "choice"
    CHARACTERS = "characters"
    """Something in it cannot be shown."""
    LENGTH = "length"
    MANY = "many"
    """There are too many values."""


class ProfileLine(NamedTuple):
    """One property that a person may write.

    Attributes:
        field: The name of its form field.
        kind: `text`, `lines` (one value a line), `number` or `choice` (yes, no, or nothing said).
        value: What the field is filled in with.
        longest: How long a text may be, in bytes.
        exact: Whether it has to be as long as that.
    """

    field: str
    label: str
    kind: str
    value: str
    problem: ProfileProblem | None
    longest: int
    exact: bool


class MyNotice(StrEnum):
    """What an account page says was done."""

    PASSWORD_CHANGED = "password_changed"  # noqa: S105 (the name of a text)
    AUTHENTICATOR_ADDED = "authenticator_added"
    AUTHENTICATOR_REMOVED = "authenticator_removed"
    SESSION_ENDED = "session_ended"
    ACCESS_REVOKED = "access_revoked"
    PROFILE_SAVED = "profile_saved"


class PasswordProblem(StrEnum):
    """Why the page for a new password is shown once more."""

    WRONG = "wrong"
    """The password they have is another one."""
    SHORT = "short"
    """The new one has too few characters."""
    LONG = "long"
    """It has too many."""
    GUESSABLE = "guessable"
    """It is one of the first that somebody would try."""
    DIFFERENT = "different"
    """It was typed in two ways."""
    SAME = "same"
    """It is the one they have."""
    TOO_MANY = "too_many"
    """Too many attempts; `retry_after_seconds` says how long to wait."""
    BUSY = "busy"
    """Too many people sign in at this moment."""
    EXPIRED = "expired"
    """The form was open for too long, or was not shown to this person here."""


class About(NamedTuple):
    """What an application says of itself beside its name: URLs, "" for each that it does not say.

    They are its own words. A logo is loaded from there by the browser; links open elsewhere and learn nothing
    of the page they were on.
    """

    home: str = ""
    logo: str = ""
    policy: str = ""
    terms: str = ""


class LoginProblem(StrEnum):
    """Why the sign-in page is shown once more."""

    WRONG = "wrong"
    """User name or password is wrong; which of them is never said."""
    TOO_MANY = "too_many"
    """Too many attempts; `retry_after_seconds` says how long to wait."""
    BUSY = "busy"
    """Too many people sign in at this moment."""
    EXPIRED = "expired"
    """The form was open for too long, or was not shown to this browser."""


class FactorProblem(StrEnum):
    """Why a page of the second factor is shown once more."""

    WRONG = "wrong"
    """No code of this authenticator, or not of this moment."""
    USED = "used"
    """The code was used before."""
    TOO_MANY = "too_many"
    """Too many attempts; `retry_after_seconds` says how long to wait."""
    EXPIRED = "expired"
    """The form was open for too long, or was not shown to this person here."""
    UNREADABLE = "unreadable"
    """What is stored cannot be opened: the operator has to act."""


class DeviceProblem(StrEnum):
    """Why the page that asks for a device's code is shown once more."""

    WRONG = "wrong"
    """No device waits for that code; why is never said."""
    TOO_MANY = "too_many"
    """Too many wrong codes; `retry_after_seconds` says how long to wait."""
    EXPIRED = "expired"
    """The form was open for too long, or was not shown to this browser."""


class DeviceOutcome(StrEnum):
    """What became of a device."""

    APPROVED = "approved"
    DENIED = "denied"
    """The person said no."""
    NOT_PERMITTED = "not_permitted"
    """The person may not use the application, or cannot sign in as strongly as it takes."""


class LogoutProblem(StrEnum):
    """Why the sign-out page is shown once more."""

    EXPIRED = "expired"
    """The form was open for too long, or was not shown to this browser."""
    NOT_RETURNING = "not_returning"
    """The application asked to return to an address that is not registered."""


class ErrorKind(StrEnum):
    """What the error page says happened; the cause itself is in the log under the incident id."""

    BAD_REQUEST = "bad_request"
    """The application sent a request that cannot be answered."""
    UNKNOWN_CLIENT = "unknown_client"
    """No such application here, or it is switched off."""
    REDIRECT_URI = "redirect_uri"
    """The address to return to is not registered; the log says which one."""
    EXPIRED = "expired"
    """The sign-in is over, was finished in another tab, or belongs to another browser."""
    DEVICE_CODE = "device_code"
    """The code of a device was used before, or has ended."""
    NOT_FOUND = "not_found"
    """No such page."""
    UNAVAILABLE = "unavailable"
    """A part that is needed does not answer now."""
    SERVER_ERROR = "server_error"
    """A fault of ours."""


def provider_pages() -> Pages:
    """Give the provider's pages; nothing is read before the first one is shown.

    They do not cut themselves off from the window that opened them: single-page applications sign in through
    a popup and wait for its answer.
    """
    return packaged(Path(__file__).parent, opener_policy="unsafe-none")


def form_post(
    pages: Pages,
    *,
    language: str,
    site: str,
    action: str,
    fields: Sequence[tuple[str, str]],
    client_name: str | None = None,
) -> "werkzeug.Response":
    """Make the page that carries an authorization response to the client in a POST.

    The form sends itself by the one script its policy allows; without scripts the person presses the button.
    Values are HTML-escaped and arrive as they are, whatever is in them.

    Args:
        action: the validated redirect URI.
        fields: the response's parameters, in order.

    Spec: OAuth 2.0 Form Post Response Mode.
    """
    return pages.render(
        "form_post.html",
        language=language,
        form_action=(action,),
        script=FORM_POST_SCRIPT,
        site=site,
        action=action,
        fields=fields,
        client_name=client_name,
    )
