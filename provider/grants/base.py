"""What a grant of the token endpoint is, and what it is given.

One module per grant stands next to this one; `provider.build` makes the table.

The phases that all share (method, form, client authentication, permission, answer) are
`provider.endpoints.token`, so that no grant can forget one.
"""

from dataclasses import dataclass
from typing import ClassVar, Protocol

from oidcgate.protocol.token import TokenRequest
from provider.realm import Realm
from provider.services.authenticate_client import AuthenticatedClient
from provider.services.tokens import Issued, Refusal


@dataclass(frozen=True)
class TokenCall:
    """A token request of a client that has proved itself and may use the grant.

    Attributes:
        network: Where it came from, as guesses are slowed by it.
    """

    realm: Realm
    client: AuthenticatedClient
    request: TokenRequest
    network: str
    now: int


class Grant(Protocol):
    """One way to get tokens.

    Attributes:
        grant_type: its name in a token request.
        flow: its name among a client's `flows`.
        gives_id_tokens: whether an ID token may come of it.
    """

    grant_type: ClassVar[str]
    flow: ClassVar[str]
    gives_id_tokens: ClassVar[bool]

    def exchange(self, call: TokenCall) -> Issued | Refusal:
        """Give tokens or refuse; what was written is committed when this returns.

        A grant opens its transactions itself. So one that computes for long does it while nobody waits for
        the database, and one that has nothing to write opens none that writes.

        Raises:
            OAuthError: nothing was written by the transaction that it ended.
        """
