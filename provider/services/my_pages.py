"""The pages on which people look after their own account: their paths, and what stands for them in a sign-in.

Who sees one signs in as for an application, but there is no client: `ourselves` is in its place, and the
stored request (`pending`) says which page it is for. What a sign-in for them has to be is
`authorization_requests.for_account`; the pages are the endpoints `my_account` and its neighbours. The page
`/login/account`, on which somebody chooses an account for an application, is another thing.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from provider.realm import Realm
from provider.store.clients import Client

_PAGE: Final = "page"
_FRESH: Final = "fresh"


class MyPage(StrEnum):
    """One page; the value is its path inside the realm."""

    OVERVIEW = "/account"
    PROFILE = "/account/profile"
    PASSWORD = "/account/password"  # noqa: S105 (a path)
    AUTHENTICATOR = "/account/authenticator"
    NEW_AUTHENTICATOR = "/account/authenticator/new"
    SESSIONS = "/account/sessions"
    APPLICATIONS = "/account/applications"


def ourselves(realm: Realm) -> Client:
    """What stands where an application would be: trusted, for everybody, without an id."""
    return Client(
        client_id="",
        enabled=True,
        created_at=0,
        name=realm.site,
        auth_method="none",
        redirect_uris=(),
        post_logout_redirect_uris=(),
        flows=(),
        scopes=(),
        trusted=True,
        organizations=False,
    )


def parameters_for(page: MyPage, *, fresh: bool) -> list[tuple[str, str]]:
    """What is stored of somebody on the way to a page. Nothing of it is the browser's."""
    return [(_PAGE, page.value), (_FRESH, "yes" if fresh else "no")]


def page_in(parameters: Iterable[tuple[str, str]]) -> tuple[MyPage, bool]:
    """Read `parameters_for`: the page, and whether the sign-in has to be fresh."""
    stored = dict(parameters)
    return MyPage(stored[_PAGE]), stored[_FRESH] == "yes"
