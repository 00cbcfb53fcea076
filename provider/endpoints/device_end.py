"""How the way of a typed code ends: the device gets its answer, and the person a page that says which.

Nothing leads on from here: the device asks for its tokens by itself (`provider.grants.device_code`). Who may
say yes is judged in `provider.services.authorization`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection
from werkzeug import Request, Response

from oidcgate.audit import Audit, Event
from oidcgate.protocol.errors import AccessDenied
from provider.endpoints.screens import Screens
from provider.events import DeviceApproved, DeviceDenied
from provider.pages import DeviceOutcome
from provider.realm import Realm
from provider.services.authorization import Authorizations, Judged
from provider.services.authorization_requests import AcceptedDevice
from provider.services.devices import settle
from provider.services.interaction import Fail, Finish
from provider.services.progress import answer_in


class Ending(NamedTuple):
    """What became of a device: to be committed, reported and shown."""

    outcome: DeviceOutcome
    event: Event


@dataclass(frozen=True)
class DeviceEnd:
    """Both ends, yes and no. Spec: RFC 8628 3.3."""

    authorizations: Authorizations
    screens: Screens
    audit: Audit

    def reach(
        self,
        conn: Connection,
        realm: Realm,
        accepted: AcceptedDevice,
        judged: Judged,
        progress: Mapping[str, Any],
        now: int,
    ) -> Ending:
        """Give the device the answer that was judged, in the transaction that closes the request.

        Raises:
            PageError: another person was first, or it took too long.
        """
        step, client_id = judged.step, accepted.target.client.client_id
        if isinstance(step, Finish):
            grant = self.authorizations.approve(conn, realm, accepted, judged, step, now)
            event = DeviceApproved(realm.id, client_id, step.user_id, step.sid, grant.grant_id, grant.scope)
            return Ending(DeviceOutcome.APPROVED, event)
        settle(conn, realm, accepted.device, None, now)
        user_id = None if judged.user is None else judged.user.user_id
        error = step.error if isinstance(step, Fail) else None
        # Not allowed to is told apart from did not want to, which also another account in this browser is.
        barred = isinstance(error, AccessDenied) and answer_in(progress) is None
        outcome = DeviceOutcome.NOT_PERMITTED if barred else DeviceOutcome.DENIED
        detail = "" if error is None else error.description
        return Ending(outcome, DeviceDenied(realm.id, client_id, user_id, detail))

    def deny(
        self, conn: Connection, realm: Realm, accepted: AcceptedDevice, user_id: str | None, now: int
    ) -> Ending:
        """Tell the device no, because the person says that it is not theirs.

        Raises:
            PageError: another person was first, or it took too long.
        """
        settle(conn, realm, accepted.device, None, now)
        event = DeviceDenied(realm.id, accepted.target.client.client_id, user_id, "not their device")
        return Ending(DeviceOutcome.DENIED, event)

    def show(self, realm: Realm, request: Request, accepted: AcceptedDevice, ending: Ending) -> Response:
        """The last page; what happened is reported, so call this after the commit."""
        self.audit.emit(ending.event)
        return self.screens.show(
            realm,
            "device_done.html",
            language=self.screens.language(request),
            client_name=accepted.target.client.name,
            outcome=ending.outcome,
        )
