"""What of a request's scope would be granted, and for which API. Pure.

What a person agrees to of it is `interaction`; which scopes and APIs there are is `provider.catalogue`.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from oidcgate.protocol.errors import InvalidScope, InvalidTarget
from provider.catalogue import Catalogue
from provider.catalogue_settings import ResourceSettings
from provider.store.clients import Client

OPENID: Final = "openid"
OFFLINE_ACCESS: Final = "offline_access"


@dataclass(frozen=True)
class Reach:
    """What a token may be for.

    Attributes:
        scopes: Known here, allowed to the client, each once, in the order of the request.
        api: The API that access tokens are for; None for none in particular.
    """

    scopes: tuple[str, ...]
    api: ResourceSettings | None

    @property
    def audience(self) -> str | None:
        """The audience of the API."""
        return None if self.api is None else self.api.audience


def reach_of(
    catalogue: Catalogue,
    client: Client,
    asked: Collection[str],
    audience: str | None,
    *,
    refreshable: bool,
) -> Reach:
    """Judge what is asked for.

    A value that nobody here knows is ignored; one that is known but not allowed to this client, or of an API
    that was not named, is refused, so that the developer learns of it. `offline_access` is ignored where it
    could not lead to a refresh token.

    Args:
        asked: The scope of the request.
        audience: The API it names.
        refreshable: Whether the flow can give refresh tokens at all.

    Raises:
        InvalidTarget: the API is unknown, switched off, or not open to this client.
        InvalidScope: see above, or nothing is left.

    Spec: RFC 6749 3.3; OIDC Core 3.1.2.1, 11; RFC 8707 2.
    """
    api = None if audience is None else api_named(catalogue, client, audience)
    known = tuple(dict.fromkeys(scope for scope in asked if scope in catalogue.scopes))
    forbidden = [scope for scope in known if not client.may_have(scope)]
    if forbidden:
        raise InvalidScope(f"This client may not ask for: {' '.join(forbidden)}.")
    elsewhere = catalogue.of_other_apis(api)
    strange = [scope for scope in known if scope in elsewhere]
    if strange:
        raise InvalidScope(f"Not scopes of the API that the request is for: {' '.join(strange)}.")
    offline = refreshable and gives_refresh_tokens(client, api)
    scopes = tuple(scope for scope in known if scope != OFFLINE_ACCESS or offline)
    if not scopes:
        raise InvalidScope(
            "The scope holds nothing that this client could be granted.",
            detail=f"nothing that can be granted is in {' '.join(asked)!r}",
        )
    return Reach(scopes, api)


def reach_of_client(
    catalogue: Catalogue, client: Client, asked: Collection[str] | None, audience: str | None
) -> Reach:
    """Judge what a client asks for itself, with nobody behind it.

    Scopes about a person mean nothing here and are ignored.

    Args:
        asked: None or empty: all that it may have of the API.

    Raises:
        InvalidTarget, InvalidScope: as `reach_of` says.

    Spec: RFC 6749 3.3, 4.4.2; RFC 8707 2.2.
    """
    wanted = asked or scopes_open_to(catalogue, client, audience)
    reach = reach_of(catalogue, client, wanted, audience, refreshable=False)
    kept = of_access_token(
        [scope for scope in reach.scopes if not _is_about_a_person(catalogue, scope)], reach.api
    )
    if not kept:
        raise InvalidScope("The scope holds nothing that a client could be granted for itself.")
    return Reach(kept, reach.api)


def scopes_open_to(catalogue: Catalogue, client: Client, audience: str | None) -> tuple[str, ...]:
    """All scopes of an API that a client may have: what it gets that names an API and no scope.

    Raises:
        InvalidTarget: see `api_named`.
    """
    if audience is None:
        return ()
    api = api_named(catalogue, client, audience)
    return tuple(scope for scope in api.scopes if scope in catalogue.scopes and client.may_have(scope))


def still_open(catalogue: Catalogue, client: Client, granted: Collection[str]) -> tuple[str, ...]:
    """What is left of what was granted: the realm or the client may have lost a scope since then."""
    return tuple(scope for scope in granted if scope in catalogue.scopes and client.may_have(scope))


def _is_about_a_person(catalogue: Catalogue, scope: str) -> bool:
    opens_claims = bool(catalogue.scopes[scope].claims)
    return scope == OPENID or (opens_claims and scope not in catalogue.of_apis())


def api_named(catalogue: Catalogue, client: Client, audience: str) -> ResourceSettings:
    """The API of that audience.

    Raises:
        InvalidTarget: it is unknown, switched off, or not open to this client; the answer does not say which.
    """
    api = catalogue.resources.get(audience)
    if api is not None and is_open(catalogue, client, api):
        return api
    if api is None:
        why = "is not among the resources"
    elif not api.enabled:
        why = "is switched off"
    elif api.clients:
        why = "does not list this client"
    else:
        why = "is not open to clients that registered themselves"
    raise InvalidTarget(
        "This API is unknown, or not open to this client.", detail=f"the API {audience!r} {why}"
    )


def is_open(catalogue: Catalogue, client: Client, api: ResourceSettings) -> bool:
    """Whether tokens for an API may be given to a client."""
    return catalogue.is_open(api, client.client_id, registered=client.registered_itself)


def gives_refresh_tokens(client: Client, api: ResourceSettings | None) -> bool:
    """Whether a client refreshes, and the API, or none in particular, lets it."""
    return "refresh_token" in client.flows and (api is None or api.refresh_tokens)


def of_access_token(scopes: Collection[str], api: ResourceSettings | None) -> tuple[str, ...]:
    """The part of what was granted that an access token carries: what means something where it goes."""
    if api is None or "oidc_scopes" in api.include:
        return tuple(scopes)
    return tuple(scope for scope in scopes if scope in api.scopes)
