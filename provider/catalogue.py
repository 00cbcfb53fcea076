"""What a realm has: its scopes, claims, APIs and organizations by name, the standard ones among them. Pure.

Entries of `provider.toml` add to the standard ones or take their place (`provider.catalogue_settings`). What
a person's claims are is `provider.services.claims`.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from oidcgate.settings import Problem
from provider.catalogue_settings import (
    STANDARD_SCOPE_CLAIMS,
    ClaimSettings,
    OrganizationSettings,
    ResourceSettings,
    ScopeSettings,
)
from provider.property_settings import USER_NAME

#: The one standard claim that applications need in the ID token: they look people up by it.
_ALSO_IN_ID_TOKEN: Final = frozenset({"preferred_username"})


@dataclass(frozen=True)
class Catalogue:
    """By name, in the order of the configuration, the standard ones first."""

    scopes: Mapping[str, ScopeSettings]
    claims: Mapping[str, ClaimSettings]
    resources: Mapping[str, ResourceSettings]
    organizations: Mapping[str, OrganizationSettings]

    @classmethod
    def of(
        cls,
        scopes: Iterable[ScopeSettings],
        claims: Iterable[ClaimSettings],
        resources: Iterable[ResourceSettings],
        organizations: Iterable[OrganizationSettings],
    ) -> "Catalogue":
        """Join what is written with what is standard."""
        joined = {
            value: ScopeSettings(value=value, claims=names) for value, names in STANDARD_SCOPE_CLAIMS.items()
        }
        for scope in scopes:
            standard = STANDARD_SCOPE_CLAIMS.get(scope.value, ())
            joined[scope.value] = scope if scope.claims is not None else replace(scope, claims=standard)
        known = {name: _standard(name) for names in STANDARD_SCOPE_CLAIMS.values() for name in names}
        for claim in claims:
            otherwise = known.get(claim.name) or ClaimSettings(
                name=claim.name, property=claim.name, into=("id_token", "userinfo")
            )
            known[claim.name] = replace(
                claim,
                property=otherwise.property if claim.property is None else claim.property,
                into=otherwise.into if claim.into is None else claim.into,
            )
        return cls(
            scopes={value: scope for value, scope in joined.items() if scope.enabled},
            claims=known,
            resources={resource.audience: resource for resource in resources},
            organizations={organization.org_id: organization for organization in organizations},
        )

    def of_apis(self) -> frozenset[str]:
        """The scopes that mean something at some API, and so nothing without it."""
        return frozenset(scope for resource in self.resources.values() for scope in resource.scopes)

    def problems(self, properties: Collection[str]) -> Iterator[Problem]:
        """References that lead nowhere.

        Args:
            properties: The names of those there are.
        """
        for claim in self.claims.values():
            if claim.property and claim.property not in properties:
                yield Problem(
                    "claims", claim.name, f"is mapped to the property {claim.property}, which is not there",
                    f'add it under [[properties]] with name = "{claim.property}"',
                )  # fmt: skip
        for scope in self.scopes.values():
            for name in scope.claims or ():
                if name not in self.claims:
                    yield Problem(
                        "scopes", scope.value, f"opens the claim {name}, which is not there",
                        f'add it under [[claims]] with name = "{name}"',
                    )  # fmt: skip
        for position, resource in enumerate(self.resources.values()):
            for value in resource.scopes:
                if value not in self.scopes:
                    yield Problem(
                        f"resources[{position}].scopes", value, "is no scope of this realm",
                        "add it under [[scopes]]",
                    )  # fmt: skip


def _standard(name: str) -> ClaimSettings:
    into = ("id_token", "userinfo") if name in _ALSO_IN_ID_TOKEN else ("userinfo",)
    prop = USER_NAME if name == "preferred_username" else name
    return ClaimSettings(name=name, property=prop, into=into)
