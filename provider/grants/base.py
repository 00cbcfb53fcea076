"""What a grant of the token endpoint is.

One module per grant stands next to this one; `provider.build` makes the table.

The phases that all share (method, form, client authentication, permission, commit, answer) are
`provider.endpoints.token`, so that no grant can forget one.
"""

from typing import ClassVar, Protocol

from sqlalchemy import Connection

from oidcgate.protocol.token import TokenRequest
from provider.realm import Realm
from provider.services.authenticate_client import AuthenticatedClient
from provider.services.tokens import Issued, Refusal


class Grant(Protocol):
    """One way to get tokens.

    Attributes:
        grant_type: its name in a token request.
        flow: its name among a client's `flows`.
    """

    grant_type: ClassVar[str]
    flow: ClassVar[str]

    def exchange(
        self, conn: Connection, realm: Realm, client: AuthenticatedClient, request: TokenRequest, now: int
    ) -> Issued | Refusal:
        """Give tokens or refuse, inside the caller's transaction, which is committed either way.

        Raises:
            OAuthError: the request is malformed; the transaction is rolled back.
        """
