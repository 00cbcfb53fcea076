"""The grant of the device flow: a device code for tokens. The rules are `provider.services.devices`."""

from dataclasses import dataclass
from typing import ClassVar

from oidcgate.protocol.errors import InvalidRequest
from oidcgate.protocol.token import DEVICE_CODE
from provider.grants.base import TokenCall
from provider.services.devices import FLOW, Devices
from provider.services.tokens import Issued, Refusal
from provider.store.engine import Store


@dataclass(frozen=True)
class DeviceCodeGrant:
    """Spec: RFC 8628 3.4, 3.5."""

    grant_type: ClassVar[str] = DEVICE_CODE
    flow: ClassVar[str] = FLOW
    gives_id_tokens: ClassVar[bool] = True
    store: Store
    devices: Devices

    def exchange(self, call: TokenCall) -> Issued | Refusal:
        """Say how far it is, or redeem the request's device code."""
        code = call.request.device_code
        if code is None:
            raise InvalidRequest("device_code is missing")
        with self.store.begin() as conn:
            return self.devices.redeem(
                conn, call.realm, call.client.client, device_code=code, api=call.request.api, now=call.now
            )
