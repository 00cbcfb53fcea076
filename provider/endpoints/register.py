"""`/register`: applications register themselves, and manage what they registered.

POST registers; GET, PUT and DELETE with `client_id` in the query are the client configuration endpoint. There
is no such path in a realm that does not want it. What may be registered is `provider.services.registration`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from werkzeug import Request, Response

from oidcgate.audit import Audit
from oidcgate.protocol.bearer import bearer_token
from oidcgate.protocol.errors import InvalidRequest, OAuthError
from oidcgate.protocol.parameters import collect
from oidcgate.protocol.registration import read_client_metadata
from oidcgate.web.forwarded import Network, client_network
from provider.endpoints.answers import json_response
from provider.endpoints.parameters import query_pairs
from provider.events import ClientRegistered, RegistrationChanged, RegistrationRefused
from provider.realm import Realm
from provider.services.registration import Registrations

_JSON: Final = "application/json"


def is_on(realm: Realm) -> bool:
    """Whether a realm lets applications register themselves."""
    return realm.settings.registration.enabled


@dataclass(frozen=True)
class Register:
    """Spec: RFC 7591 3; RFC 7592 2; OIDC Registration 3, 4.

    Attributes:
        trusted_networks: Whose X-Forwarded-For is believed when clients are counted by network.
    """

    registrations: Registrations
    audit: Audit
    trusted_networks: tuple[Network, ...] = ()

    def __call__(self, realm: Realm, request: Request) -> Response:
        """Token, document, answer; each phase may end it with an `OAuthError`."""
        network = client_network(request.remote_addr, request.headers, self.trusted_networks)
        if request.method == "POST":
            with self._reporting(realm, None, network):
                return self._register(realm, request, network)
        client_id = _named(request)
        with self._reporting(realm, client_id, network):
            return self._manage(realm, request, client_id)

    def _register(self, realm: Realm, request: Request, network: str) -> Response:
        header = request.headers.get("Authorization")
        token = None if header is None else bearer_token(header, None)
        self.registrations.admit(realm, token, network)
        made = self.registrations.register(realm, token, _metadata(realm, request))
        client = made.client
        self.audit.emit(ClientRegistered(realm.id, client.client_id, client.initial_token_id, network))
        return json_response(made.document(realm), status=201)

    def _manage(self, realm: Realm, request: Request, client_id: str) -> Response:
        token = bearer_token(request.headers.get("Authorization"), None)
        # First of all: a stranger learns nothing, not even that a body cannot be read.
        found = self.registrations.read(realm, client_id, token)
        if request.method == "PUT":
            found = self.registrations.replace(realm, client_id, token, _metadata(realm, request))
            self._changed(realm, client_id, found.client.initial_token_id, "changed")
        elif request.method == "DELETE":
            client = self.registrations.delete(realm, client_id, token)
            self._changed(realm, client_id, client.initial_token_id, "deleted")
            return Response("", status=204, headers={"Cache-Control": "no-store"})
        return json_response(found.document(realm))

    def _changed(self, realm: Realm, client_id: str, token_id: str | None, change: str) -> None:
        self.audit.emit(RegistrationChanged(realm.id, client_id, token_id, change))

    @contextmanager
    def _reporting(self, realm: Realm, client_id: str | None, network: str) -> Iterator[None]:
        try:
            yield
        except OAuthError as error:
            detail = error.detail or error.description
            self.audit.emit(RegistrationRefused(realm.id, client_id, error.code, detail, network))
            raise


def _named(request: Request) -> str:
    """The client that a request is about; "" is nobody's id."""
    return collect(query_pairs(request)).safe("client_id") or ""


def _metadata(realm: Realm, request: Request) -> dict[str, Any]:
    if request.mimetype != _JSON:
        raise InvalidRequest(f"The body is not {_JSON}.")
    length, most = request.content_length, realm.settings.registration.max_bytes
    if length is None or length > most:
        raise InvalidRequest(f"The body is longer than {most} bytes, or does not say how long it is.")
    return read_client_metadata(request.stream.read(length))
