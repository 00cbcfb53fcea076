"""RP-initiated logout: the request, built by the relying party and read by the provider; and its frames.

Whether a post-logout target is registered, and whose session ends, is the provider's to decide.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from oidcgate.protocol.parameters import collect
from oidcgate.protocol.urls import with_query


@dataclass(frozen=True)
class EndSessionRequest:
    """A well formed logout request; nothing in it is believed.

    Spec: OIDC RP-Initiated Logout 2.
    """

    id_token_hint: str | None = field(default=None, repr=False)
    client_id: str | None = None
    post_logout_redirect_uri: str | None = None
    state: str | None = None
    logout_hint: str | None = None
    ui_locales: tuple[str, ...] = ()


def build_end_session_url(
    endpoint: str,
    *,
    id_token_hint: str | None,
    client_id: str,
    post_logout_redirect_uri: str | None,
    state: str | None,
) -> str:
    """Return the URL that ends the session at the provider; a query the endpoint already has is kept.

    Args:
        endpoint: The provider's `end_session_endpoint`.
        id_token_hint: The ID token of the session; without it the provider asks the person.
        client_id: Ours; sent beside the hint too, which may be too old for the provider to read.
        post_logout_redirect_uri: Registered at the provider.
        state: Comes back with the redirect, so it is left out when there is none.

    Spec: OIDC RP-Initiated Logout 2.
    """
    values = {
        "id_token_hint": id_token_hint,
        "client_id": client_id,
        "post_logout_redirect_uri": post_logout_redirect_uri,
        "state": state if post_logout_redirect_uri else None,
    }
    return with_query(endpoint, {name: value for name, value in values.items() if value})


def build_frontchannel_logout_url(uri: str, *, issuer: str, sid: str | None) -> str:
    """Return what a frame loads so that a client ends its session; a query that the URI has is kept.

    Args:
        uri: The client's `frontchannel_logout_uri`.
        sid: Which session has ended; None where the client did not ask to be told.

    Spec: OIDC Front-Channel Logout 1.0 section 2.
    """
    return with_query(uri, {} if sid is None else {"iss": issuer, "sid": sid})


def parse_end_session_request(pairs: Iterable[tuple[str, str]]) -> EndSessionRequest:
    """Return the request in the decoded pairs of a query (GET) or form (POST).

    Raises:
        InvalidRequest: A parameter is repeated or malformed. Has to be a page.

    Spec: OIDC RP-Initiated Logout 2, 4.
    """
    parameters = collect(pairs)
    parameters.check()
    return EndSessionRequest(
        id_token_hint=parameters.get("id_token_hint"),
        client_id=parameters.get("client_id"),
        post_logout_redirect_uri=parameters.get("post_logout_redirect_uri"),
        state=parameters.get("state"),
        logout_hint=parameters.get("logout_hint"),
        ui_locales=tuple((parameters.get("ui_locales") or "").split()),
    )
