"""`/device_authorization`: a device without a browser asks for a code that its user types elsewhere.

What it may ask for is `provider.services.devices`; the page where the code is typed is `device` next door;
the tokens come from `/token`, by the grant `provider.grants.device_code`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from werkzeug import Request, Response

from oidcgate.audit import Audit
from oidcgate.protocol.device import parse_device_authorization_request
from oidcgate.protocol.errors import UnauthorizedClient
from provider.endpoints.answers import json_response
from provider.endpoints.client_entrance import ClientEntrance
from provider.endpoints.parameters import form_pairs
from provider.events import DeviceStarted
from provider.realm import Realm
from provider.services.devices import FLOW, Devices
from provider.store.engine import Store


@dataclass(frozen=True)
class DeviceAuthorizationEndpoint:
    """Spec: RFC 8628 3.1, 3.2."""

    store: Store
    entrance: ClientEntrance
    devices: Devices
    audit: Audit
    clock: Callable[[], float]

    def __call__(self, realm: Realm, request: Request) -> Response:
        """Form, client, permission, answer; each phase may end it with an `OAuthError`."""
        pairs = form_pairs(request)
        presented = self.entrance.presented(request, pairs)
        asked = parse_device_authorization_request(pairs)
        client = self.entrance.admit(realm, presented).client
        with self.entrance.reporting(realm, client.client_id, "/device_authorization"):
            if FLOW not in client.flows:
                raise UnauthorizedClient("This client may not use the device flow.")
            with self.store.begin() as conn:
                started = self.devices.start(conn, realm, client, asked, int(self.clock()))
        self.audit.emit(DeviceStarted(realm.id, client.client_id, asked.scope))
        return json_response(started.document())
