"""Which organization a person signs in for: `organization_of`, pure, over what is asked for and chosen.

Who belongs where is said with each person, under the property `organizations`; which organizations there are
is `provider.catalogue`. Where in a sign-in this question comes up is `interaction` next door.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from provider.catalogue import Catalogue
from provider.property_settings import ORGANIZATIONS


@dataclass(frozen=True)
class Settled:
    """Nothing to ask: for this one, or for none."""

    org_id: str | None


@dataclass(frozen=True)
class Choice:
    """The person has to choose one of these."""

    org_ids: tuple[str, ...]


@dataclass(frozen=True)
class Stranger:
    """The request names one to which the person does not belong, or which is not there."""


Task = Settled | Choice | Stranger
NO_ORGANIZATION: Final = Settled(None)


def memberships(catalogue: Catalogue, attributes: Mapping[str, Any]) -> tuple[str, ...]:
    """The ids of the organizations that a person with these attributes belongs to.

    In the order of the configuration; what is not there is nobody's.
    """
    given = attributes.get(ORGANIZATIONS)
    if not isinstance(given, list | tuple):
        return ()
    return tuple(org_id for org_id in catalogue.organizations if org_id in given)


def organization_of(asked: str | None, of: Collection[str], chosen: str | None) -> Task:
    """Judge which organization it is to be.

    Args:
        asked: The `org_id` of the request.
        of: Those that the person belongs to.
        chosen: What they chose in this interaction.
    """
    if asked is not None:
        return Settled(asked) if asked in of else Stranger()
    if chosen in of:
        return Settled(chosen)
    if len(of) > 1:
        return Choice(tuple(of))
    return Settled(next(iter(of), None))
