"""What has to be known of a provider before it can be judged: who is registered, how pages are filled in."""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from tests.conformance.op.browser import Browser, Button, Form, Page, Submission

#: Words by which a button says no.
_NO = ("deny", "cancel", "abort", "refuse", "reject", "decline", "abandon", "no", "back", "stay")
#: Words by which it does something else than to go on with what was asked for.
_ELSEWHERE = ("logout",)

#: Where clients are that register themselves: two hosts, at which nobody has to answer.
REDIRECT_URIS = ("https://client.example/callback", "https://client-too.example/callback")


@dataclass(frozen=True)
class Client:
    """A registered client with a secret. One redirect URI is enough."""

    client_id: str
    client_secret: str
    redirect_uri: str

    @property
    def id_token_alg(self) -> str:
        """What its ID tokens are signed with. Spec: OIDC Registration 2."""
        return "RS256"

    def credentials(self, method: str, audience: str) -> tuple[dict[str, str], dict[str, str]]:
        """Headers and form by which it says who it is at the token endpoint.

        Args:
            method: one of `token_endpoint_auth_method`.
            audience: whom an assertion is for.
        """
        if method == "client_secret_post":
            return {}, {"client_id": self.client_id, "client_secret": self.client_secret}
        # Both are form-encoded before they are put together. Spec: RFC 6749 2.3.1.
        pair = f"{quote(self.client_id, safe='')}:{quote(self.client_secret, safe='')}"
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}, {}


@dataclass(frozen=True)
class LogoutClient(Client):
    """One at which a sign-out may end, and that is told of it in no other way."""

    post_logout_redirect_uri: str


@dataclass(frozen=True)
class BackchannelClient(LogoutClient):
    """One that is told by the provider, with backchannel_logout_session_required.

    Attributes:
        backchannel_logout_uri: under the URL of `Receiving`.
    """

    backchannel_logout_uri: str


@dataclass(frozen=True)
class FrontchannelClient(LogoutClient):
    """One that is told in a frame, with frontchannel_logout_session_required."""

    frontchannel_logout_uri: str


@dataclass(frozen=True)
class User:
    """Somebody who can sign in, with a value for every claim of profile, email, address and phone."""

    name: str
    password: str


@dataclass(frozen=True)
class Receiving:
    """Where the provider reaches whoever runs the modules, over HTTPS.

    Attributes:
        url: what it asks, without a path.
        listen: address and port to listen on, as in ``0.0.0.0:8443``.
        certificate: a PEM file, for the host of the URL.
        key: a PEM file.
    """

    url: str
    listen: str
    certificate: str
    key: str


@dataclass(frozen=True)
class Registration:
    """How clients register themselves.

    Attributes:
        initial_access_token: what the registration endpoint asks for; empty: nothing.
    """

    initial_access_token: str = ""


@dataclass(frozen=True)
class Target:
    """A provider as its operator knows it.

    Attributes:
        basic: a client with client_secret_basic, the response types of the plans, and refresh tokens.
        post: the same with client_secret_post.
        second: another client like `basic`.
        ca_file: the authority of its certificate; None: those of the system.
        reuse_wait_seconds: how long `oidcc-codereuse-30seconds` waits.
        receiver: what the plans need whose clients are asked by the provider.
        registration: what the plan needs whose clients register themselves.
        rotate_command: has the provider take new signing keys; empty where no command does.
        publishing_seconds: how long it may take after the command until the new keys are published.
        refetch_seconds: how long a client that took new keys waits until it uses them.
        logout: a client with client_secret_basic and the response type ``code``, as are the next three.
        session: the same, with session management.
        notice_seconds: how long a client waits to be told of a sign-out.
    """

    issuer: str
    basic: Client
    post: Client
    second: Client
    user: User
    ca_file: str | None = None
    reuse_wait_seconds: float = 30
    receiver: Receiving | None = None
    registration: Registration | None = None
    rotate_command: Sequence[str] = ()
    publishing_seconds: float = 10
    refetch_seconds: float = 60
    logout: LogoutClient | None = None
    backchannel: BackchannelClient | None = None
    frontchannel: FrontchannelClient | None = None
    session: LogoutClient | None = None
    notice_seconds: float = 30

    @property
    def uris(self) -> Sequence[str]:
        """Where a browser may be sent to: redirect URIs, and those of sign-outs."""
        told = [
            client
            for client in (self.logout, self.backchannel, self.frontchannel, self.session)
            if client is not None
        ]
        known = [client.redirect_uri for client in (self.basic, self.post, self.second, *told)]
        return [*known, *REDIRECT_URIS, *(client.post_logout_redirect_uri for client in told)]

    def browser(self, *elsewhere: str) -> Browser:
        """A browser that was never here; its journeys end at the clients, and at the URIs named here."""
        return Browser(self.ca_file, [*self.uris, *elsewhere])

    def answer(self, page: Page) -> Submission | None:
        """How a person goes on from a page: signs in, or agrees; None where there is nothing to press.

        A form with a password is the sign-in form, its first other visible field is for the name. Any other
        form is agreed to with its first button that does not say no. Forms that are no POST are left alone.
        """
        if page.status >= 400:
            return None
        forms = [form for form in page.forms if form.method == "post"]
        for form in forms:
            password = next((name for name, kind in form.types.items() if kind == "password"), None)
            if password is not None:
                name = next(name for name, kind in form.types.items() if kind in ("text", "email"))
                values = {name: self.user.name, password: self.user.password}
                return Submission("login", form, {**values, **_pressed(form.buttons[:1])})
        return _agreed(forms, "consent", _NO + _ELSEWHERE)

    def sign_out(self, page: Page) -> Submission | None:
        """How a person goes on from a page who wants to be signed out; nobody signs in for that."""
        if page.status >= 400 or any("password" in form.types.values() for form in page.forms):
            return None
        return _agreed([form for form in page.forms if form.method == "post"], "logout", _NO)


def _agreed(forms: Sequence[Form], kind: str, refusing: Sequence[str]) -> Submission | None:
    """The first form with a button that says none of these words, and that button pressed."""
    for form in forms:
        agreeing = [button for button in form.buttons if not _says(button, refusing)]
        if agreeing:
            return Submission(kind, form, _pressed(agreeing[:1]))
    return None


def _pressed(buttons: list[Button]) -> dict[str, str]:
    return {button.name: button.value for button in buttons if button.name}


def _says(button: Button, words: Sequence[str]) -> bool:
    said = {button.id.lower(), button.value.lower(), *re.findall(r"[a-z]+", button.text.lower())}
    return any(word in said for word in words)
