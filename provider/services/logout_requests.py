"""What a request to sign out asks for, as far as it is believed.

What ends with a session is `logout` next door, where a sign-out may lead `responses`, and what is said and
asked of the person `provider.endpoints.end_session`.
"""

from dataclasses import dataclass

from sqlalchemy import Connection

from oidcgate.protocol.logout import EndSessionRequest
from provider.realm import Realm
from provider.services.clients import Clients
from provider.services.id_token_hint import Hint, IdTokenHints
from provider.services.responses import PostLogoutTarget, validate_post_logout
from provider.services.subjects import Subjects
from provider.store.clients import Client
from provider.store.sessions import BrowserSession


@dataclass(frozen=True)
class Wish:
    """What a request asks for, as far as it is believed.

    Attributes:
        hint: The ID token that came with it, if it is ours and fits the client.
        client: Who asks; None when nobody is named, or not believably.
        target: Where to lead back to, if that is registered for the client.
        refused: Why a named address is not followed; "" when none is named or it is followed.
    """

    hint: Hint | None
    client: Client | None
    target: PostLogoutTarget | None
    refused: str

    @property
    def asked_by(self) -> str | None:
        """The id of the client that asks."""
        return None if self.client is None else self.client.client_id

    @property
    def unasked_target(self) -> PostLogoutTarget | None:
        """Where to lead back to when nobody was asked: then only a hint of ours may do so."""
        return None if self.hint is None else self.target


@dataclass(frozen=True)
class LogoutRequests:
    """Judges requests, over whoever reads hints and knows the clients."""

    clients: Clients
    hints: IdTokenHints
    subjects: Subjects

    def judge(self, conn: Connection, realm: Realm, wanted: EndSessionRequest) -> Wish:
        """Say what is believed of a request. Spec: OIDC RP-Initiated Logout 2, 3, 4."""
        hint, client_id, refused = None, wanted.client_id, ""
        if wanted.id_token_hint is not None:
            hint = self.hints.read(conn, realm, wanted.id_token_hint)
            if hint is None:
                # It claims to come from somebody and does not: nothing else in it is believed either.
                client_id, refused = None, "id_token_hint is not one of ours"
            elif client_id is not None and client_id not in hint.audiences:
                hint, client_id, refused = None, None, "client_id is not the one of id_token_hint"
            elif client_id is None and len(hint.audiences) == 1:
                client_id = hint.audiences[0]
        client = None if client_id is None else self.clients.find(conn, realm, client_id)
        uri = wanted.post_logout_redirect_uri
        if uri is None:
            return Wish(hint, client, None, "")
        target = validate_post_logout(client, uri, wanted.state)
        if target is None and not refused:
            registered = [] if client is None else list(client.post_logout_redirect_uris)
            refused = (
                f"post_logout_redirect_uri {uri[:300]!r} is not registered; registered are {registered!r}"
            )
        return Wish(hint, client, target, refused)

    def needs_no_question(self, conn: Connection, realm: Realm, wish: Wish, session: BrowserSession) -> bool:
        """Whether a request proves that it is about this very session, and asks for nothing that is refused.

        Anything else may come from anybody: a link, an image, a leaked token of another session.
        """
        hint, client = wish.hint, wish.client
        if wish.refused or hint is None or client is None or hint.sid != session.sid:
            return False
        return hint.sub == self.subjects.of(conn, realm, client, session.user_id)
