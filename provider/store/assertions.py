"""Rows of `assertions`: client assertions that were used, kept until they have expired.

What an assertion has to say is `oidcgate.protocol.client_assertion`.
"""

from sqlalchemy import Connection, insert
from sqlalchemy.exc import IntegrityError

from provider.store.schema import assertions


def use_assertion(conn: Connection, realm_id: str, assertion_hash: str, expires_at: int) -> bool:
    """Use up an assertion; True for one caller, whatever races: the key of the table is unique."""
    try:
        with conn.begin_nested():
            conn.execute(
                insert(assertions).values(
                    realm_id=realm_id, assertion_hash=assertion_hash, expires_at=expires_at
                )
            )
    except IntegrityError:
        return False
    return True
