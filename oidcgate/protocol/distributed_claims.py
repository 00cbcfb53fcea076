"""Claims that a provider does not state but says where to fetch (OIDC Core 5.6.2). They are not fetched.

Microsoft Entra does so with `groups` when somebody is in more of them than fit into a token.
"""

from collections.abc import Mapping
from typing import Any, Final

_MOST: Final = 20
_LONGEST: Final = 100


def claims_elsewhere(claims: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of claims that are not in `claims` because they are kept elsewhere, in order.

    Spec: OIDC Core 5.6.2.
    """
    named = claims.get("_claim_names")
    names = {name[:_LONGEST] for name in named} if isinstance(named, Mapping) else set()
    # What Entra says in place of `_claim_names` where a token has to be short.
    if claims.get("hasgroups") in (True, "true"):
        names.add("groups")
    return tuple(sorted(name for name in names if name not in claims)[:_MOST])
