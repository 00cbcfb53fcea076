"""What a client that asks about a token is told.

Who may ask is `provider.endpoints.introspect`, whether a token is good `token_checks` next door, how the
answer is written `oidcgate.protocol.introspection`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from oidcgate.protocol.errors import InvalidToken
from oidcgate.protocol.introspection import INACTIVE, introspection_document
from provider.realm import Realm
from provider.services.issuing import organization_claims, tells_authentication
from provider.services.subjects import Subjects
from provider.services.token_checks import LiveRefreshToken, LiveToken, TokenChecks
from provider.store.clients import Client
from provider.store.grants import GrantRow
from provider.store.users import User


@dataclass(frozen=True)
class Introspection:
    """Over whoever says what is good."""

    checks: TokenChecks
    subjects: Subjects

    def answer(
        self, conn: Connection, realm: Realm, asking: Client, text: str, now: int
    ) -> Mapping[str, Any]:
        """The answer about a text, which may be anything: of a good token what it stands for, else one word.

        Any client that may ask is told of every access token of the realm: which API it speaks for is known
        to nobody but itself. A refresh token is told to its own client only. It is presented to nobody else,
        and an API that took whatever is active would take it for access.

        Whoever asks, the person is named as the token's client knows them, as in a token that is a JWT. To
        name them as the asking client does would tell it who comes by which other one, of people who were
        promised that nobody can; their user name would, too.

        Spec: RFC 7662 2.2, 4.
        """
        try:
            return self._of_access_token(conn, realm, self.checks.access_token(conn, realm, text, now))
        except InvalidToken:
            pass
        try:
            live = self.checks.refresh_token(conn, realm, text, now)
        except InvalidToken:
            return INACTIVE
        if live.client.client_id != asking.client_id:
            return INACTIVE
        return self._of_refresh_token(conn, realm, live)

    def _of_access_token(self, conn: Connection, realm: Realm, live: LiveToken) -> dict[str, Any]:
        token = live.token
        api = realm.catalogue.api(token.api)
        return introspection_document(
            client_id=live.client.client_id,
            iss=realm.issuer,
            # As it was issued: the clocks' difference is ours to bear with, not for others to add again.
            exp=token.expires_at,
            iat=token.issued_at,
            scope=token.scope,
            **self._person(conn, realm, live.client, live.user),
            token_type="Bearer",  # noqa: S106 (a type, no secret)
            aud=token.api or realm.audience,
            **_sign_in(live.grant if tells_authentication(api) else None),
            org_id=None if live.grant is None else _organization(realm, live.client, live.grant),
        )

    def _of_refresh_token(self, conn: Connection, realm: Realm, live: LiveRefreshToken) -> dict[str, Any]:
        return introspection_document(
            client_id=live.client.client_id,
            iss=realm.issuer,
            exp=live.token.expires_at,
            iat=live.token.issued_at,
            scope=live.token.scope,
            **self._person(conn, realm, live.client, live.user),
            **_sign_in(live.grant),
            org_id=_organization(realm, live.client, live.grant),
        )

    def _person(self, conn: Connection, realm: Realm, client: Client, user: User | None) -> dict[str, Any]:
        if user is None:
            return {"sub": client.client_id, "username": None}
        sub = self.subjects.of(conn, realm, client, user.user_id)
        return {"sub": sub, "username": None if client.subject_type == "pairwise" else user.user_name}


def _sign_in(grant: GrantRow | None) -> dict[str, Any]:
    return {} if grant is None else {"auth_time": grant.auth_time, "acr": grant.acr, "amr": grant.amr}


def _organization(realm: Realm, client: Client, grant: GrantRow) -> str | None:
    return organization_claims(realm, client, grant).get("org_id")
