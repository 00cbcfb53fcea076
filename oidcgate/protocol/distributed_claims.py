"""Claims that a provider does not state, but somebody else (OIDC Core 5.6.2). They are left alone.

They stand in a token of somebody else's beside its own claims (aggregated), or it says where to fetch them
(distributed), as Microsoft Entra does with `groups` when somebody is in more of them than fit into a token.
Whose word would count is nobody's to say but the operator's: nothing is verified, fetched or taken.
"""

from collections.abc import Mapping
from typing import Any, Final

_MOST: Final = 20
_LONGEST: Final = 100


def claims_elsewhere(claims: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of claims that are not in `claims` because somebody else states them, in order.

    Spec: OIDC Core 5.6.2.
    """
    named = claims.get("_claim_names")
    names = {name[:_LONGEST] for name in named} if isinstance(named, Mapping) else set()
    # What Entra says in place of `_claim_names` where a token has to be short.
    if claims.get("hasgroups") in (True, "true"):
        names.add("groups")
    return tuple(sorted(name for name in names if name not in claims)[:_MOST])
