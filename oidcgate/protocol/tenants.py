"""Issuers of many tenants: one address, one set of keys, and an `iss` of each tenant's own (Microsoft Entra).

The metadata of such an address name an issuer with a place in it. Which tenants may come is the gate's
setting; nothing here is asked where an issuer has no such place.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

from oidcgate.protocol.errors import Reason, Refused

#: Where the tenant's id goes, as Microsoft's metadata write it.
TENANT_PLACE: Final = "{tenantid}"


def issuer_in(pattern: str, claims: Mapping[str, Any], tenants: Collection[str]) -> str:
    """Return the issuer that `claims`, whose signature is good, have to name.

    Args:
        pattern: The configured issuer; without a place for a tenant it is the answer.
        tenants: The ids of those whose people may come.

    Raises:
        Refused: ID_TOKEN_TENANT: the token says no tenant, or one that may not come.
    """
    if TENANT_PLACE not in pattern:
        return pattern
    tenant = claims.get("tid")
    if not isinstance(tenant, str) or tenant not in tenants:
        raise Refused(Reason.ID_TOKEN_TENANT, "the tenant is not one of provider.allowed_tenants")
    return pattern.replace(TENANT_PLACE, tenant)
