"""What the pages of a second factor have in common beyond any visit (`visit`).

The pages are `otp` and `enrol` next door.
"""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection
from werkzeug import Request

from oidcgate.web.forwarded import Network, client_network
from provider.endpoints.visit import Desk, Visit
from provider.services.authentication_context import OTP
from provider.services.browser_session import live_session, strengthen_session

#: What events call it.
TOTP: Final = "totp"


@dataclass(frozen=True)
class FactorDesk(Desk):
    """What both pages work with.

    Attributes:
        trusted_networks: Whose X-Forwarded-For is believed when tries are counted by network.
    """

    trusted_networks: tuple[Network, ...]

    def network(self, request: Request) -> str:
        """The network a request came from."""
        return client_network(request.remote_addr, request.headers, self.trusted_networks)

    def strengthened(self, conn: Connection, visit: Visit) -> str | None:
        """Note the second factor in the session; its new cookie, or None when it was signed out meanwhile."""
        session = live_session(conn, visit.realm, visit.request.headers.get("Cookie", ""), visit.now)
        if session is None or session.user_id != visit.user.user_id:
            return None
        made = strengthen_session(conn, visit.realm, session, OTP, visit.now)
        return None if made is None else made[1]
