"""Tokens with which somebody may register applications: made, listed and revoked by an operator.

Using one is `registration` next door; the rows are `provider.store.initial_tokens`.
"""

import secrets
from typing import NamedTuple

from sqlalchemy import Connection

from oidcgate.settings import Secret
from provider.realm import Realm
from provider.services.clients import UnknownObject
from provider.services.opaque import new_token, token_hash
from provider.store.initial_tokens import InitialToken, delete_initial_token, insert_initial_token


class NewInitialToken(NamedTuple):
    """A token that was just made, with the only copy there will ever be of it."""

    row: InitialToken
    token: Secret


def make_initial_token(
    conn: Connection, realm: Realm, *, uses: int, life_seconds: int, note: str, now: int
) -> NewInitialToken:
    """Make a token.

    Args:
        uses: How many applications may be registered with it.
        note: Whom it is for; shown in lists.
    """
    token = new_token()
    row = InitialToken(f"iat-{secrets.token_hex(6)}", note, uses, now, now + life_seconds)
    insert_initial_token(conn, realm.id, row, token_hash(token))
    return NewInitialToken(row, Secret(token))


def revoke_initial_token(conn: Connection, realm: Realm, token_id: str) -> None:
    """Take a token away; what was registered with it stays.

    Raises:
        UnknownObject: there is none of that id.
    """
    if not delete_initial_token(conn, realm.id, token_id):
        raise UnknownObject(f"there is no registration token {token_id} in realm {realm.id}")
