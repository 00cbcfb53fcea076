"""`/`: what this is, for whoever opens the provider's own address.

It says what the discovery document says to everybody, and nothing of who is signed in.
"""

from dataclasses import dataclass

from werkzeug import Request, Response

from provider.endpoints.screens import Screens
from provider.realm import Realm
from provider.services.my_pages import MyPage


@dataclass(frozen=True)
class Home:
    """One page, which leads to the account pages and to the discovery document."""

    screens: Screens

    def __call__(self, realm: Realm, request: Request) -> Response:
        """Always 200."""
        return self.screens.show(
            realm,
            "home.html",
            language=self.screens.language(request),
            account_url=realm.url(MyPage.OVERVIEW),
            discovery_url=realm.url("/.well-known/openid-configuration"),
        )
