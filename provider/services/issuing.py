"""What a grant gives: a code, an access token, an ID token, written down and drafted.

Each function runs in the transaction of its caller. Whether anything may be given is decided before, in
`authorization`, `tokens` and `provider.grants`; drafts become strings in `minting`, after the commit.
"""

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import Connection

from oidcgate.protocol.access_token import access_token_claims
from oidcgate.protocol.errors import InvalidRequest
from oidcgate.protocol.id_token import id_token_claims
from provider.catalogue_settings import ResourceSettings
from provider.realm import Realm
from provider.services.claims import (
    ID_TOKEN,
    access_token_claims_of,
    id_token_claims_of,
    still_asked,
    userinfo_claims,
)
from provider.services.client_tokens import ClientTokens
from provider.services.keyring import SigningKeys
from provider.services.minting import AccessDraft, IdTokenDraft
from provider.services.opaque import jti_hash, new_token, token_hash
from provider.services.scopes import OPENID, of_access_token
from provider.services.subjects import Subjects
from provider.store.clients import Client
from provider.store.grants import (
    AccessTokenRow,
    CodeRow,
    GrantRow,
    insert_access_token,
    insert_code,
    insert_grant,
)
from provider.store.users import User

_NO_CLAIMS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({})


@dataclass(frozen=True)
class Authorization:
    """What a client was allowed, and how the person, if there is one, signed in.

    Attributes:
        user_id: None where the client acts for itself.
        sid: the browser session, as the ID token names it; None where there was no browser.
        scope: what was granted, in the order asked for.
        auth_time: when the person really signed in.
        api: the audience of the API that access tokens are for.
        claims: those asked for one by one, by place (`id_token`, `userinfo`).
        org_id: the organization that the person signed in for.
        sector: the client's, where it knows people as those of its sector do.
    """

    client_id: str
    scope: tuple[str, ...]
    user_id: str | None = None
    sid: str | None = None
    auth_time: int | None = None
    acr: str | None = None
    amr: tuple[str, ...] = ()
    api: str | None = None
    claims: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: _NO_CLAIMS)
    org_id: str | None = None
    sector: str | None = None


@dataclass(frozen=True)
class CodeRequest:
    """What a code is bound to beside its grant.

    Attributes:
        redirect_uri: the validated URI that the code goes to; the token request must repeat it.
        code_challenge_method: `S256` whenever there is a challenge.
    """

    redirect_uri: str
    nonce: str | None
    code_challenge: str | None
    code_challenge_method: str | None


def begin_grant(conn: Connection, realm: Realm, authorization: Authorization, now: int) -> GrantRow:
    """Write the grant that everything given for an authorization hangs on."""
    grant = new_grant(realm, authorization, now)
    insert_grant(conn, realm.id, grant)
    return grant


def new_grant(realm: Realm, authorization: Authorization, now: int) -> GrantRow:
    """A grant that is not written down."""
    if authorization.user_id is None:
        # A client that acts for itself refreshes nothing, so its grant is over with its one token.
        life_seconds = _life_seconds(realm, realm.catalogue.api(authorization.api))
    else:
        life_seconds = realm.settings.lifetimes.refresh_token_seconds
    return GrantRow(
        grant_id=secrets.token_urlsafe(16),
        client_id=authorization.client_id,
        user_id=authorization.user_id,
        sid=authorization.sid,
        scope=authorization.scope,
        auth_time=authorization.auth_time,
        acr=authorization.acr,
        amr=authorization.amr,
        api=authorization.api,
        claims=authorization.claims,
        org_id=authorization.org_id,
        sector=authorization.sector,
        created_at=now,
        expires_at=now + life_seconds,
    )


def issue_code(conn: Connection, realm: Realm, grant: GrantRow, request: CodeRequest, now: int) -> str:
    """Write a code for a grant; returns it. Only its hash is stored.

    Raises:
        InvalidRequest: the challenge is not of the method S256.

    Spec: RFC 6749 4.1.2, RFC 7636 4.4.
    """
    if request.code_challenge is not None and request.code_challenge_method != "S256":
        raise InvalidRequest("code_challenge_method must be S256")
    code = new_token()
    row = CodeRow(
        code_hash=token_hash(code),
        grant_id=grant.grant_id,
        client_id=grant.client_id,
        redirect_uri=request.redirect_uri,
        nonce=request.nonce,
        code_challenge=request.code_challenge,
        expires_at=now + realm.settings.lifetimes.code_seconds,
    )
    insert_code(conn, realm.id, row)
    return code


@dataclass(frozen=True)
class Issuing:
    """Access and ID tokens, over whoever knows the keys."""

    keys: SigningKeys
    client_tokens: ClientTokens
    subjects: Subjects

    def access_token(
        self,
        conn: Connection,
        realm: Realm,
        client: Client,
        user: User | None,
        grant: GrantRow,
        scope: Collection[str],
        now: int,
    ) -> AccessDraft:
        """Write down and draft an access token for (a part of) what was granted."""
        api = realm.catalogue.api(grant.api)
        handle = new_token()
        row = AccessTokenRow(
            token_hash=access_token_hash(realm, grant, handle),
            grant_id=grant.grant_id,
            client_id=grant.client_id,
            scope=self.carried(realm, grant, scope),
            api=grant.api,
            issued_at=now,
            expires_at=now + _life_seconds(realm, api),
        )
        insert_access_token(conn, realm.id, row)
        return self.access_again(conn, realm, client, user, grant, row, handle, scope, now)

    @staticmethod
    def carried(realm: Realm, grant: GrantRow, scope: Collection[str]) -> tuple[str, ...]:
        """What an access token says of a scope that was granted."""
        api = realm.catalogue.api(grant.api)
        return of_access_token(scope, api)

    def access_again(
        self,
        conn: Connection,
        realm: Realm,
        client: Client,
        user: User | None,
        grant: GrantRow,
        row: AccessTokenRow,
        handle: str,
        scope: Collection[str],
        now: int,
    ) -> AccessDraft:
        """Draft an access token that is written down already.

        Args:
            scope: The part of what was granted that it is for; it opens the claims, and may be more than the
                token carries.
        """
        draft = AccessDraft(handle, row.expires_at - now, row.scope)
        return self._as_jwt(conn, realm, client, user, grant, draft, scope, row.issued_at, row.expires_at)

    def unwritten(
        self, conn: Connection, realm: Realm, client: Client, grant: GrantRow, now: int
    ) -> AccessDraft | None:
        """An access token of a client that acts for itself, where it can be a JWT that no row is about.

        Such a token proves itself, so it costs no write. None where tokens for that API are opaque.
        """
        api = realm.catalogue.api(grant.api)
        if token_format(realm, api) == "opaque":
            return None
        life_seconds = _life_seconds(realm, api)
        draft = AccessDraft(new_token(), life_seconds, of_access_token(grant.scope, api))
        return self._as_jwt(conn, realm, client, None, grant, draft, grant.scope, now, now + life_seconds)

    def id_token(
        self,
        conn: Connection,
        realm: Realm,
        client: Client,
        user: User,
        grant: GrantRow,
        scope: Collection[str],
        nonce: str | None,
        now: int,
        *,
        alone: bool = False,
    ) -> IdTokenDraft | None:
        """Draft an ID token, if `openid` was granted; `client_tokens.prepare_id_tokens` was asked before.

        Args:
            nonce: None for one made by refreshing, which carries none.
            alone: no access token comes with it or after it.

        Raises:
            TemporarilyUnavailable: it cannot be encrypted for the client.

        Spec: OIDC Core 2, 3.1.3.6, 5.4, 12.2.
        """
        if OPENID not in scope:
            return None
        asked = still_asked(realm.catalogue, client, grant.claims.get(ID_TOKEN, ()), grant.api)
        about = id_token_claims_of(realm.catalogue, client, user, scope, asked, alone=alone)
        claims = id_token_claims(
            issuer=realm.issuer,
            sub=self.subjects.of(conn, realm, client, user.user_id),
            client_id=grant.client_id,
            now=now,
            lifetime_seconds=realm.settings.lifetimes.id_token_seconds,
            nonce=nonce,
            auth_time=grant.auth_time,
            acr=grant.acr,
            amr=grant.amr,
            sid=grant.sid,
            extra={**about, **organization_claims(realm, client, grant)},
        )
        return IdTokenDraft(
            self.client_tokens.id_token_signer(conn, realm, client, now),
            claims,
            self.client_tokens.id_token_encrypter(client),
        )

    def _as_jwt(
        self,
        conn: Connection,
        realm: Realm,
        client: Client,
        user: User | None,
        grant: GrantRow,
        draft: AccessDraft,
        scope: Collection[str],
        issued_at: int,
        expires_at: int,
    ) -> AccessDraft:
        api = realm.catalogue.api(grant.api)
        if token_format(realm, api) == "opaque":
            return draft
        included = () if api is None else api.include
        told = tells_authentication(api)
        claims = access_token_claims(
            issuer=realm.issuer,
            audience=grant.api or realm.audience,
            sub=client.client_id if user is None else self.subjects.of(conn, realm, client, user.user_id),
            client_id=client.client_id,
            scope=draft.scope,
            jti=draft.handle,
            now=issued_at,
            lifetime_seconds=expires_at - issued_at,
            auth_time=grant.auth_time if told else None,
            acr=grant.acr if told else None,
            amr=grant.amr if told else (),
            extra={
                **_about(realm, user, scope, included),
                **organization_claims(realm, client, grant),
                **({"client_name": client.name} if "client_name" in included else {}),
                **({CLIENT_ITSELF: True} if user is None else {}),
            },
        )
        algorithm = (api.signing_algorithm if api is not None else "") or realm.settings.signing_algorithm
        signer = self.keys.signer(conn, realm, algorithm, issued_at)
        return AccessDraft(draft.handle, draft.expires_in, draft.scope, signer, claims)


#: Says in an access token that nobody but the client stands behind it: there is no row to look for.
CLIENT_ITSELF: Final = "client_itself"


def token_format(realm: Realm, api: ResourceSettings | None) -> str:
    """How access tokens for that API, or for none in particular, are written."""
    return realm.settings.access_token_format if api is None else api.access_token_format


def access_token_hash(realm: Realm, grant: GrantRow, handle: str) -> str:
    """The form in which an access token of a grant is stored and looked up."""
    api = realm.catalogue.api(grant.api)
    return token_hash(handle) if token_format(realm, api) == "opaque" else jti_hash(handle)


def tells_authentication(api: ResourceSettings | None) -> bool:
    """Whether that API, or whoever else a token is for, is told how the person signed in."""
    return api is None or "authentication" in api.include


def organization_claims(realm: Realm, client: Client, grant: GrantRow) -> dict[str, str]:
    """What tokens say of the organization that the person signed in for."""
    if grant.org_id is None or not client.organizations:
        return {}
    organization = realm.catalogue.organizations.get(grant.org_id)
    return {"org_id": grant.org_id, **({} if organization is None else {"org_name": organization.title})}


def _life_seconds(realm: Realm, api: ResourceSettings | None) -> int:
    if api is None or api.access_token_hours is None:
        return realm.settings.lifetimes.access_token_seconds
    return round(api.access_token_hours * 3600)


def _about(
    realm: Realm, user: User | None, scope: Collection[str], included: Collection[str]
) -> dict[str, Any]:
    if user is None:
        return {}
    about = access_token_claims_of(realm.catalogue, user, scope)
    if "oidc_claims" in included:
        about = {**userinfo_claims(realm.catalogue, user, scope), **about}
    return about
