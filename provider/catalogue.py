"""What a realm has: its scopes, claims, APIs and organizations by name, the standard ones among them. Pure.

Entries of `provider.toml` add to the standard ones or take their place (`provider.catalogue_settings`). What
a person's claims are is `provider.services.claims`; what is wrong with the entries is
`provider.catalogue_problems`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from provider.catalogue_settings import (
    DEFAULT_SCOPES,
    STANDARD_SCOPE_CLAIMS,
    ClaimSettings,
    OrganizationSettings,
    ResourceSettings,
    ScopeSettings,
)
from provider.property_settings import USER_NAME

#: The one standard claim that applications need in the ID token: they look people up by it.
_ALSO_IN_ID_TOKEN: Final = frozenset({"preferred_username"})
_BOTH: Final = ("id_token", "userinfo")


@dataclass(frozen=True)
class Catalogue:
    """By name, in the order of the configuration, the standard ones first."""

    scopes: Mapping[str, ScopeSettings]
    claims: Mapping[str, ClaimSettings]
    resources: Mapping[str, ResourceSettings]
    organizations: Mapping[str, OrganizationSettings]
    open_to_registered: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls,
        scopes: Iterable[ScopeSettings],
        claims: Iterable[ClaimSettings],
        resources: Iterable[ResourceSettings],
        organizations: Iterable[OrganizationSettings],
        open_to_registered: Iterable[str] = (),
    ) -> "Catalogue":
        """Join what is written with what is standard.

        A claim that belongs to scopes is there as long as one of them is: with the scope `address` switched
        off, or `gender` left out of `profile`, nobody is given that claim.

        Args:
            open_to_registered: The APIs that applications which registered themselves may have tokens for
                beside those that list them.
        """
        joined = {
            value: ScopeSettings(value=value, claims=STANDARD_SCOPE_CLAIMS[value]) for value in DEFAULT_SCOPES
        }
        for scope in scopes:
            standard = STANDARD_SCOPE_CLAIMS.get(scope.value, ())
            joined[scope.value] = scope if scope.claims is not None else replace(scope, claims=standard)
        known = {name: _standard(name) for names in STANDARD_SCOPE_CLAIMS.values() for name in names}
        written = {claim.name: _completed(claim, known.get(claim.name)) for claim in claims}
        opened = {name for scope in joined.values() if scope.enabled for name in scope.claims or ()}
        of_scopes = {
            *(name for scope in joined.values() for name in scope.claims or ()),
            *(name for value in DEFAULT_SCOPES for name in STANDARD_SCOPE_CLAIMS[value]),
        }
        return cls(
            scopes={value: scope for value, scope in joined.items() if scope.enabled},
            claims={
                name: claim
                for name, claim in {**known, **written}.items()
                if name in opened or (name in written and name not in of_scopes)
            },
            resources={resource.audience: resource for resource in resources},
            organizations={organization.org_id: organization for organization in organizations},
            open_to_registered=frozenset(open_to_registered),
        )

    def api(self, audience: str | None) -> ResourceSettings | None:
        """The API of a grant or token that is known to be good; None for none in particular.

        Raises:
            KeyError: there is none of that audience, which must never be taken for none in particular.
        """
        return None if audience is None else self.resources[audience]

    def is_open(self, api: ResourceSettings, client_id: str, *, registered: bool) -> bool:
        """Whether tokens for an API may be given to that application.

        Args:
            registered: It registered itself: "every application" does not mean strangers.
        """
        if not api.enabled:
            return False
        if api.clients:
            return client_id in api.clients
        return not registered or api.audience in self.open_to_registered

    def of_apis(self) -> frozenset[str]:
        """The scopes that mean something at some API, and so nothing without it."""
        return frozenset(scope for resource in self.resources.values() for scope in resource.scopes)

    def of_other_apis(self, api: ResourceSettings | None) -> frozenset[str]:
        """Those that mean nothing where that API, or none in particular, is named."""
        return self.of_apis().difference(() if api is None else api.scopes)


def _standard(name: str) -> ClaimSettings:
    into = _BOTH if name in _ALSO_IN_ID_TOKEN else ("userinfo",)
    prop = USER_NAME if name == "preferred_username" else name
    return ClaimSettings(name=name, property=prop, into=into)


def _completed(claim: ClaimSettings, standard: ClaimSettings | None) -> ClaimSettings:
    """A written claim with what it leaves open."""
    prop, into = (claim.name, _BOTH) if standard is None else (standard.property, standard.into)
    return replace(
        claim,
        property=prop if claim.property is None else claim.property,
        into=into if claim.into is None else claim.into,
    )
