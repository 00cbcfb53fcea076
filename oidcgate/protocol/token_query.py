"""A token that a client asks about or gives back: the request of introspection and of revocation alike.

Who may ask is the provider's to decide; the answer to the question is `oidcgate.protocol.introspection`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from oidcgate.protocol.parameters import collect


@dataclass(frozen=True)
class TokenQuery:
    """A well formed request about one token, which may be anything. Spec: RFC 7662 2.1; RFC 7009 2.1."""

    token: str = field(repr=False)


def parse_token_query(pairs: Iterable[tuple[str, str]]) -> TokenQuery:
    """Return the request in the decoded pairs of a form.

    `token_type_hint` only says where to look first, and a wrong one must hide nothing: nobody needs it.

    Raises:
        InvalidRequest: `token` is missing, or a parameter is repeated, too long or with control characters.

    Spec: RFC 7662 2.1; RFC 7009 2.1, 2.2.1.
    """
    parameters = collect(pairs)
    parameters.check()
    return TokenQuery(parameters.required("token"))
