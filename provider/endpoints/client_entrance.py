"""Who asks: the client behind a request to an endpoint that clients call themselves.

Taking the credentials out of a request is `oidcgate.protocol.client_auth`, judging them
`provider.services.authenticate_client`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from werkzeug import Request

from oidcgate.audit import Audit
from oidcgate.protocol.client_auth import PresentedClient, present
from oidcgate.protocol.errors import AuthorizationPending, Forbidden, InvalidClient, OAuthError, SlowDown
from provider.events import ClientRefused, RequestRefused
from provider.realm import Realm
from provider.services.authenticate_client import AuthenticatedClient, ClientAuthentication


@dataclass(frozen=True)
class ClientEntrance:
    """The one way in for clients, by the method that each is registered for."""

    authentication: ClientAuthentication
    audit: Audit

    @staticmethod
    def presented(request: Request, pairs: Sequence[tuple[str, str]]) -> PresentedClient:
        """Who the request says it comes from.

        Args:
            pairs: Its form.

        Raises:
            OAuthError: InvalidRequest, InvalidClient: see `client_auth.present`.
        """
        return present(request.headers.get("Authorization"), pairs)

    def admit(
        self, realm: Realm, presented: PresentedClient, *, permission: str | None = None
    ) -> AuthenticatedClient:
        """The client, if it proves itself; if not, that is reported. Call it outside of a transaction.

        Args:
            permission: What has to be among its `flows` for this endpoint; None where it depends on the
                request.

        Raises:
            InvalidClient: it does not.
            Forbidden: it may not come here.
        """
        try:
            client = self.authentication.prove(realm, presented)
        except InvalidClient as error:
            self.audit.emit(ClientRefused(realm.id, presented.client_id, presented.method, error.detail))
            raise
        if permission is not None and permission not in client.client.flows:
            raise Forbidden(f"the client does not have the flow {permission}")
        return client

    @contextmanager
    def reporting(self, realm: Realm, client_id: str, path: str) -> Iterator[None]:
        """Report what a client that was admitted is refused inside the block: which one it was, and why.

        Args:
            path: The endpoint's.
        """
        try:
            yield
        except (AuthorizationPending, SlowDown):
            raise
        except OAuthError as error:
            detail = error.detail or error.description
            self.audit.emit(RequestRefused(realm.id, client_id, path, error.code, detail))
            raise
