"""Which claims a grant opens, and what they are for one person. Pure.

Which claims and scopes there are is `provider.catalogue`; where a person's attributes come from is
`provider.services.users`; who asks is `provider.endpoints.userinfo` and `provider.services.issuing`.
"""

from collections.abc import Collection, Iterator, Mapping
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
    """What the UserInfo endpoint says of a person. A claim without a value is absent, never null.

    Args:
        asked: Claims that the request named one by one for this place.

    Spec: OIDC Core 5.3.2, 5.4, 5.5.
    """
    opened = _opened(catalogue, scope, asked, (USERINFO,))
    return {"sub": user.user_id, **_values(catalogue, user, opened)}


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


def askable(catalogue: Catalogue, client: Client, claims: ClaimsRequest) -> dict[str, tuple[str, ...]]:
    """The claims that a request names one by one, by place: those there are and this client may have.

    Others are ignored, as OIDC Core 5.5.1 has it for claims that cannot be given.
    """
    named = {ID_TOKEN: claims.id_token, USERINFO: claims.userinfo}
    found = {
        place: tuple(name for name in names if name in catalogue.claims and _may_ask(catalogue, client, name))
        for place, names in named.items()
    }
    return {place: names for place, names in found.items() if names}


def scopes_of_claims(
    catalogue: Catalogue, scopes: Collection[str], asked: Mapping[str, Collection[str]]
) -> tuple[str, ...]:
    """The scopes that claims named one by one belong to, for those that none of `scopes` opens already."""
    holders = [_holders(catalogue, name) for names in asked.values() for name in names]
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


def _may_ask(catalogue: Catalogue, client: Client, name: str) -> bool:
    holders = _holders(catalogue, name)
    return not holders or any(client.may_have(scope) for scope in holders)


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
