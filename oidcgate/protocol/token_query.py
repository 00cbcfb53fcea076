"""A token that a client asks about or gives back: the request of introspection and of revocation alike.

Who may ask is the provider's to decide; the answer to the question is `oidcgate.protocol.introspection`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from oidcgate.protocol.parameters import collect

_HINTS: Final = frozenset({"access_token", "refresh_token"})


@dataclass(frozen=True)
class TokenQuery:
    """A well formed request about one token, which may be anything.

    Attributes:
        hint: `access_token` or `refresh_token`: where to look first, and no more than that.

    Spec: RFC 7662 2.1; RFC 7009 2.1.
    """

    token: str = field(repr=False)
    hint: str | None = None


def parse_token_query(pairs: Iterable[tuple[str, str]]) -> TokenQuery:
    """Return the request in the decoded pairs of a form. A hint that is not known is ignored.

    Raises:
        InvalidRequest: `token` is missing, or a parameter is repeated, too long or with control characters.

    Spec: RFC 7662 2.1; RFC 7009 2.1, 2.2.1.
    """
    parameters = collect(pairs)
    parameters.check()
    hint = parameters.get("token_type_hint")
    return TokenQuery(parameters.required("token"), hint if hint in _HINTS else None)
