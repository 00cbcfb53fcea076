"""What is wrong with scopes, claims, APIs and organizations taken together: names that lead nowhere. Pure.

Rules over one entry stand with the entry (`provider.catalogue_settings`).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from oidcgate.settings import Problem
from provider.catalogue import Catalogue
from provider.catalogue_settings import (
    DEFAULT_SCOPES,
    STANDARD_SCOPE_CLAIMS,
    STANDARD_TYPES,
    ClaimSettings,
    ResourceSettings,
    ScopeSettings,
)
from provider.property_settings import ORGANIZATION_NAMES, ORGANIZATIONS, PropertySettings

_OF_OPENID_CONNECT: Final = frozenset(
    name for scope in DEFAULT_SCOPES for name in STANDARD_SCOPE_CLAIMS[scope]
)

#: Applications find people by these, or take them for proven: nobody says them of themselves.
_VERIFIED: Final = frozenset({"email", "email_verified", "phone_number", "phone_number_verified", "groups"})


def claim_problems(
    catalogue: Catalogue,
    written: Sequence[ClaimSettings],
    properties: Mapping[str, PropertySettings],
    consent_attribute: str,
) -> Iterator[Problem]:
    """Claims of which nobody gets a value, or one of another type than applications expect.

    Args:
        written: The entries of the file.
        properties: By name.
        consent_attribute: Where consents are kept.
    """
    positions = {claim.name: position for position, claim in enumerate(written)}
    opened = {name for scope in catalogue.scopes.values() for name in scope.claims or ()}
    for name, position in positions.items():
        if name not in catalogue.claims:
            yield Problem(
                f"claims[{position}].name", name, "is opened by no scope",
                "name it in the claims of a scope that is enabled, or remove it",
            )  # fmt: skip
    for name, claim in catalogue.claims.items():
        key = f"claims[{positions[name]}].property" if name in positions else f"claims.{name}.property"
        if not claim.property or claim.property == ORGANIZATION_NAMES:
            continue
        found = properties.get(claim.property)
        if found is None:
            yield Problem(
                key, claim.property, "is no property",
                f'add [[properties]] with name = "{claim.property}", or name another in `property`',
            )  # fmt: skip
        elif found.field == consent_attribute:
            yield Problem(
                key, claim.property, "is what the provider writes for itself", "map the claim to another"
            )
        elif found.writable and name in _VERIFIED:
            yield Problem(
                key, claim.property,
                f"is written by people themselves, and applications take {name} for verified",
                "map the claim to a property that is not writable",
            )  # fmt: skip
        elif found.writable and name not in opened:
            # Every application would be told, and no person asked, what people write for some of them.
            yield Problem(
                key, claim.property, "is written by people themselves, and no scope opens the claim",
                f'add [[scopes]] with claims = ["{name}"], or map the claim to another',
            )  # fmt: skip
        elif name in _OF_OPENID_CONNECT:
            wanted = STANDARD_TYPES.get(name, "string")
            if found.type != wanted or found.multi_valued:
                yield Problem(
                    key, claim.property, f"holds {_shape(found)}, and {name} is one {wanted}",
                    "map it to a property of that type",
                )  # fmt: skip


def scope_problems(catalogue: Catalogue, written: Sequence[ScopeSettings]) -> Iterator[Problem]:
    """Scopes that open claims which are not there."""
    for position, scope in enumerate(written):
        for index, name in enumerate((scope.claims or ()) if scope.enabled else ()):
            if name not in catalogue.claims:
                yield Problem(
                    f"scopes[{position}].claims[{index}]", name, "is no claim of this realm",
                    f'add [[claims]] with name = "{name}"',
                )  # fmt: skip


def resource_problems(
    catalogue: Catalogue, written: Sequence[ResourceSettings], algorithms: Sequence[str]
) -> Iterator[Problem]:
    """APIs with scopes that are not there, or with tokens that nobody here signs so.

    Args:
        algorithms: What the realm can sign with.
    """
    for position, resource in enumerate(written):
        for index, value in enumerate(resource.scopes):
            if value not in catalogue.scopes:
                yield Problem(
                    f"resources[{position}].scopes[{index}]", value, "is no scope of this realm",
                    "add it under [[scopes]]",
                )  # fmt: skip
            elif value in STANDARD_SCOPE_CLAIMS:
                yield Problem(
                    f"resources[{position}].scopes[{index}]", value,
                    "means something everywhere, and would mean nothing without this API then",
                    'remove it; include = ["authentication", "oidc_scopes"] shows it to the API',
                )  # fmt: skip
        if resource.signing_algorithm and resource.signing_algorithm not in algorithms:
            yield Problem(
                f"resources[{position}].signing_algorithm", resource.signing_algorithm,
                "is not how this realm signs", f"use one of {', '.join(algorithms)}",
            )  # fmt: skip


def opened_problems(catalogue: Catalogue, audiences: Sequence[str]) -> Iterator[Problem]:
    """APIs opened to applications that register themselves, where that means nothing.

    Args:
        audiences: `registration.audiences`.
    """
    for index, audience in enumerate(audiences):
        api = catalogue.resources.get(audience)
        if api is None:
            yield Problem(
                f"registration.audiences[{index}]", audience, "is no API of this realm",
                "take it away, or add it under [[resources]]",
            )  # fmt: skip
        elif api.clients:
            yield Problem(
                f"registration.audiences[{index}]", audience, "lists the only applications that may use it",
                "add theirs to its clients, or take its clients away",
            )  # fmt: skip


def organization_problems(
    catalogue: Catalogue, properties: Mapping[str, PropertySettings]
) -> Iterator[Problem]:
    """Nowhere to read from who belongs to an organization."""
    found = properties[ORGANIZATIONS]
    if catalogue.organizations and not (found.multi_valued and found.type == "string"):
        yield Problem(
            "properties", ORGANIZATIONS, f"holds {_shape(found)}, and people may belong to several",
            'set multi_valued = true and type = "string"',
        )  # fmt: skip
    if ORGANIZATION_NAMES in properties:
        yield Problem("properties", ORGANIZATION_NAMES, "is made of the organizations", "choose another name")


def _shape(found: PropertySettings) -> str:
    return f"a list of type {found.type}" if found.multi_valued else f"one {found.type}"
