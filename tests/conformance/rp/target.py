"""What the modules know of a relying party."""

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote, urlencode


@dataclass(frozen=True)
class RelyingParty:
    """A relying party by its addresses, as it is registered at every provider that the modules play.

    Attributes:
        client_id, client_secret: the client's; it proves itself by client_secret_basic.
        login: where a sign-in begins, with `{issuer}` for the provider.
        initiate_login: where another site may send a person to sign in: its `initiate_login_uri`.
        redirect_uri: with `{name}` in it if each provider has one of its own: the last part of its issuer.
        page: shown to whoever has signed in, with all that it knows of them; to others it answers 401.
        watched: a page whose frame asks the provider's frame whether the session is still the same.
        logout: takes the POST of the button that signs out.
        backchannel_logout: takes logout tokens, with `{issuer}` if each provider has an address of its own.
        frontchannel_logout: what a page of the provider loads in a frame when its session has ended. It is
            registered with frontchannel_logout_session_required.
        set_ahead: sets its clock ahead of ours by so many seconds; where nobody can, time has to pass.
        ca_file: PEM certificates of the authorities that its own was made by.
    """

    client_id: str
    client_secret: str
    login: str
    initiate_login: str
    redirect_uri: str
    page: str
    watched: str
    logout: str
    post_logout_redirect_uri: str
    backchannel_logout: str
    frontchannel_logout: str
    ca_file: str
    set_ahead: Callable[[float], None] | None = None

    def login_at(self, issuer: str) -> str:
        """Where a sign-in at this provider begins."""
        return self.login.format(issuer=quote(issuer, safe=""))

    def redirect_uri_of(self, issuer: str) -> str:
        """Where the answers of this provider go."""
        return self.redirect_uri.format(name=issuer.removesuffix("/").rpartition("/")[2])

    def initiated_at(self, issuer: str, **more: str) -> str:
        """Where another site sends a person to sign in at this provider. Spec: OIDC Core 4."""
        joint = "&" if "?" in self.initiate_login else "?"
        return f"{self.initiate_login}{joint}{urlencode({'iss': issuer, **more})}"

    def backchannel_logout_of(self, issuer: str) -> str:
        """Where this provider posts logout tokens."""
        return self.backchannel_logout.format(issuer=quote(issuer, safe=""))

    def frontchannel_logout_of(self, issuer: str, sid: str) -> str:
        """What this provider loads when this session of it has ended."""
        mark = "&" if "?" in self.frontchannel_logout else "?"
        return f"{self.frontchannel_logout}{mark}{urlencode({'iss': issuer, 'sid': sid})}"
