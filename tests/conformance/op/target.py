"""What has to be known of a provider before it can be judged: who is registered, how pages are filled in."""

from dataclasses import dataclass

from tests.conformance.op.browser import Browser, Button, Page, Submission

#: Words by which a button says no, or does something else than to go on.
_NOT_THESE = ("deny", "cancel", "abort", "refuse", "reject", "decline", "abandon", "no", "logout", "back")


@dataclass(frozen=True)
class Client:
    """A registered client with a secret. One redirect URI is enough."""

    client_id: str
    client_secret: str
    redirect_uri: str


@dataclass(frozen=True)
class User:
    """Somebody who can sign in, with a value for every claim of profile, email, address and phone."""

    name: str
    password: str


@dataclass(frozen=True)
class Target:
    """A provider as its operator knows it.

    Attributes:
        basic: a client with client_secret_basic, the response types of the plans, and refresh tokens.
        post: the same with client_secret_post.
        second: another client like `basic`.
        ca_file: the authority of its certificate; None: those of the system.
        reuse_wait_seconds: how long `oidcc-codereuse-30seconds` waits.
    """

    issuer: str
    basic: Client
    post: Client
    second: Client
    user: User
    ca_file: str | None = None
    reuse_wait_seconds: float = 30

    def browser(self, *elsewhere: str) -> Browser:
        """A browser that was never here; its journeys end at the clients, and at the URIs named here."""
        known = [client.redirect_uri for client in (self.basic, self.post, self.second)]
        return Browser(self.ca_file, [*known, *elsewhere])

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
        for form in forms:
            agreeing = [button for button in form.buttons if not _says_no(button)]
            if agreeing:
                return Submission("consent", form, _pressed(agreeing[:1]))
        return None


def _pressed(buttons: list[Button]) -> dict[str, str]:
    return {button.name: button.value for button in buttons if button.name}


def _says_no(button: Button) -> bool:
    words = {button.id.lower(), button.value.lower(), *button.text.lower().split()}
    return any(word in words for word in _NOT_THESE)
