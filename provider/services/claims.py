"""Which claims a grant opens, and what they are for one person. Pure.

Which claims and scopes there are is `provider.catalogue`; where a person's attributes come from is
`provider.services.users`; who asks is `provider.endpoints.userinfo` and `provider.services.issuing`.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final

from oidcgate.protocol.claims_parameter import ClaimsRequest
from provider.catalogue import Catalogue
from provider.property_settings import ORGANIZATION_NAMES, ORGANIZATIONS, USER_NAME
from provider.services.organizations import memberships
from provider.store.clients import Client
from provider.store.users import User

USERINFO: Final = "userinfo"
ID_TOKEN: Final = "id_token"  # noqa: S105 (the name of a place)
ACCESS_TOKEN: Final = "access_token"  # noqa: S105 (the name of a place)


def userinfo_claims(
    catalogue: Catalogue, user: User, scope: Collection[str], asked: Collection[str] = ()
) -> dict[str, Any]:
    """What the UserInfo endpoint says of a person beside `sub`. What has no value is absent, never null.

    Args:
        asked: Claims that the request named one by one for this place.

    Spec: OIDC Core 5.3.2, 5.4, 5.5.
    """
    return _values(catalogue, user, _opened(catalogue, scope, asked, (USERINFO,)))


def id_token_claims_of(
    catalogue: Catalogue,
    client: Client,
    user: User,
    scope: Collection[str],
    asked: Collection[str] = (),
    *,
    alone: bool = False,
) -> dict[str, Any]:
    """What an ID token says of a person beside `sub`.

    Args:
        asked: Claims that the request named one by one for this place.
        alone: No access token comes with it, so that there is no UserInfo to ask.

    Spec: OIDC Core 2, 5.4, 5.5.
    """
    places = (ID_TOKEN, USERINFO) if alone else (ID_TOKEN,)
    if client.id_token_claims is None:
        opened = _opened(catalogue, scope, asked, places)
    else:
        everywhere = _opened(catalogue, scope, asked, (ID_TOKEN, USERINFO, ACCESS_TOKEN))
        opened = (name for name in everywhere if name in client.id_token_claims)
    return _values(catalogue, user, opened)


def access_token_claims_of(catalogue: Catalogue, user: User, scope: Collection[str]) -> dict[str, Any]:
    """What an access token that is a JWT says of a person beside `sub`. Spec: RFC 9068 2.2.2."""
    return _values(catalogue, user, _opened(catalogue, scope, (), (ACCESS_TOKEN,)))


def askable(
    catalogue: Catalogue, client: Client, claims: ClaimsRequest, audience: str | None
) -> dict[str, tuple[str, ...]]:
    """The claims that a request names one by one, by place: those there are and this client may have.

    Others are ignored, as OIDC Core 5.5.1 has it for claims that cannot be given.

    Args:
        audience: The API that the request is for.
    """
    named = {ID_TOKEN: claims.id_token, USERINFO: claims.userinfo}
    found = {place: still_asked(catalogue, client, names, audience) for place, names in named.items()}
    return {place: names for place, names in found.items() if names}


def still_asked(
    catalogue: Catalogue, client: Client, names: Iterable[str], audience: str | None
) -> tuple[str, ...]:
    """Those of some claims that a client may ask for one by one: asked again whenever they are given.

    A claim that belongs to scopes is given to whom one of them could be granted; naming it is no way around a
    scope that the client may not have, or around an API that is not open to it.

    Args:
        audience: The API of the request or grant.
    """
    return tuple(
        name
        for name in names
        if name in catalogue.claims
        and (not _holders(catalogue, name) or _open_holders(catalogue, client, name, audience))
    )


def scopes_of_claims(
    catalogue: Catalogue,
    client: Client,
    scopes: Collection[str],
    asked: Mapping[str, Collection[str]],
    audience: str | None,
) -> tuple[str, ...]:
    """The scopes that claims named one by one belong to, for those that none of `scopes` opens already.

    Args:
        asked: As `askable` gives them.
        audience: The API of the request.
    """
    named = [name for names in asked.values() for name in names]
    holders = [_open_holders(catalogue, client, name, audience) for name in named]
    return tuple(dict.fromkeys(held[0] for held in holders if held and not set(held) & set(scopes)))


def without_claims_of(
    catalogue: Catalogue, asked: Mapping[str, Collection[str]], left_out: Collection[str]
) -> dict[str, tuple[str, ...]]:
    """Claims named one by one, without those of scopes that the person left out."""
    return {
        place: tuple(name for name in names if not set(_holders(catalogue, name)) & set(left_out))
        for place, names in asked.items()
    }


def _holders(catalogue: Catalogue, name: str) -> list[str]:
    """The scopes that open a claim."""
    return [value for value, scope in catalogue.scopes.items() if name in (scope.claims or ())]


def _open_holders(catalogue: Catalogue, client: Client, name: str, audience: str | None) -> list[str]:
    """Those of them that the client could be granted, where the API of the request or grant is that one."""
    elsewhere = catalogue.of_other_apis(catalogue.api(audience))
    return [scope for scope in _holders(catalogue, name) if client.may_have(scope) and scope not in elsewhere]


def _opened(
    catalogue: Catalogue, scope: Collection[str], asked: Collection[str], places: tuple[str, ...]
) -> Iterator[str]:
    """The names that stand in one of these places, in the order of the catalogue."""
    scoped = {name for value in catalogue.scopes.values() for name in value.claims or ()}
    by_scope = {
        name for value in scope if value in catalogue.scopes for name in catalogue.scopes[value].claims or ()
    }
    for name, claim in catalogue.claims.items():
        # A claim that no scope holds is for everybody who signs in.
        opened = name in by_scope or name not in scoped
        if (opened and set(claim.into or ()) & set(places)) or name in asked:
            yield name


def _values(catalogue: Catalogue, user: User, names: Iterator[str]) -> dict[str, Any]:
    of = memberships(catalogue, user.attributes)
    known = {
        **user.attributes,
        USER_NAME: user.user_name,
        # In one order, so that whoever is told both can put them together.
        ORGANIZATIONS: list(of),
        ORGANIZATION_NAMES: [catalogue.organizations[org_id].title for org_id in of],
    }
    mapped = ((name, catalogue.claims[name].property) for name in names)
    found = ((name, known.get(prop)) for name, prop in mapped if prop)
    return {name: value for name, value in found if value not in (None, "", [], (), {})}
