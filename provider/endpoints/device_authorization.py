"""`/device_authorization`: a device without a browser asks for a code that its user types elsewhere.

What it may ask for is `provider.services.devices`; the page where the code is typed is `device` next door;
the tokens come from `/token`, by the grant `provider.grants.device_code`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from werkzeug import Request, Response

from oidcgate.audit import Audit
from oidcgate.protocol.device import parse_device_authorization_request
from oidcgate.protocol.errors import SlowDown, UnauthorizedClient
from oidcgate.web.forwarded import Network, client_network
from provider.endpoints.answers import json_response
from provider.endpoints.client_entrance import ClientEntrance
from provider.endpoints.parameters import form_pairs
from provider.events import DeviceStarted
from provider.realm import Realm
from provider.services.devices import FLOW, Devices
from provider.services.throttle import device_start_scopes_of, take_attempt
from provider.store.engine import Store


@dataclass(frozen=True)
class DeviceAuthorizationEndpoint:
    """Spec: RFC 8628 3.1, 3.2.

    Attributes:
        trusted_networks: Whose X-Forwarded-For is believed when public clients are counted by network.
    """

    store: Store
    entrance: ClientEntrance
    devices: Devices
    audit: Audit
    clock: Callable[[], float]
    trusted_networks: tuple[Network, ...] = ()

    def __call__(self, realm: Realm, request: Request) -> Response:
        """Form, client, permission, answer; each phase may end it with an `OAuthError`."""
        pairs = form_pairs(request)
        presented = self.entrance.presented(request, pairs)
        asked = parse_device_authorization_request(pairs)
        client = self.entrance.admit(realm, presented).client
        with self.entrance.reporting(realm, client.client_id, "/device_authorization"):
            if FLOW not in client.flows:
                raise UnauthorizedClient("This client may not use the device flow.")
            network = client_network(request.remote_addr, request.headers, self.trusted_networks)
            # Whoever shows a secret takes only places of its own.
            scopes = device_start_scopes_of(network, realm.settings.throttle) if client.public else ()
            now = int(self.clock())
            with self.store.begin() as conn:
                wait = take_attempt(conn, realm.id, scopes, now) if scopes else 0
                if wait:
                    raise SlowDown(
                        "Too many devices began in this network; try again later.", retry_after_seconds=wait
                    )
                started = self.devices.start(conn, realm, client, asked, now)
        self.audit.emit(DeviceStarted(realm.id, client.client_id, asked.scope))
        return json_response(started.document())
