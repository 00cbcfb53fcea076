"""What applications hold in the name of one person: only what is good, and only theirs."""

import pytest
from sqlalchemy import Connection

from provider.store.engine import Store
from provider.store.grants import (
    AccessTokenRow,
    GrantRow,
    RefreshTokenRow,
    consume_refresh_token,
    insert_access_token,
    insert_grant,
    insert_refresh_token,
    revoke_grant,
)
from provider.store.person_tokens import Given, Held, clients_of_user, given_to_clients, held_of_user

NOW = 1_000


def granted(
    conn: Connection,
    grant_id: str,
    client_id: str = "app",
    user_id: str | None = "u",
    *,
    scope: tuple[str, ...] = ("openid",),
    at: int = 100,
    access: tuple[int, ...] = (),
    refresh: tuple[int, ...] = (),
    realm_id: str = "default",
) -> None:
    """A grant, with access and refresh tokens that end at these instants and were given 10 before."""
    insert_grant(conn, realm_id, GrantRow(grant_id, client_id, user_id, "sid", scope, 0, "", (), at, 9_000))
    for end in access:
        row = AccessTokenRow(f"{grant_id}-a{end}", grant_id, client_id, scope, None, end - 10, end)
        insert_access_token(conn, realm_id, row)
    for end in refresh:
        token = RefreshTokenRow(f"{grant_id}-r{end}", grant_id, None, scope, end - 10, end)
        insert_refresh_token(conn, realm_id, token)


@pytest.mark.row("E-26")
def test_tokens_that_are_good_are_counted_by_client(store: Store) -> None:
    with store.begin() as conn:
        granted(conn, "g1", access=(1_001, 1_200, 1_000, 500), refresh=(2_000, 900))
        granted(conn, "g2", access=(1_100,), refresh=(1_500,))
        consume_refresh_token(conn, "default", "g2-r1500", NOW, "sealed")
        granted(conn, "g3", "other", access=(1_050,))
        granted(conn, "g4", "over", access=(900,))
        granted(conn, "g5", "stopped", access=(2_000,), refresh=(2_000,))
        revoke_grant(conn, "default", "g5", NOW, "test")
        granted(conn, "g6", "app", "somebody", access=(3_000,))
        granted(conn, "g7", "app", None, access=(3_000,))
        granted(conn, "g8", "app", access=(3_000,), realm_id="second")
    with store.read() as conn:
        assert held_of_user(conn, "default", "u", NOW) == {
            "app": Held("app", 4, 1_990),
            "other": Held("other", 1, 1_040),
        }
        assert held_of_user(conn, "default", "nobody", NOW) == {}
        assert clients_of_user(conn, "default", "u") == ["app", "other", "over"]


@pytest.mark.row("E-26")
def test_what_was_granted_last_is_what_a_client_may(store: Store) -> None:
    with store.begin() as conn:
        granted(conn, "g1", scope=("openid",), at=100)
        granted(conn, "g2", scope=("openid", "email"), at=300)
        granted(conn, "g3", scope=("openid", "groups"), at=200)
        granted(conn, "g4", scope=("openid", "phone"), at=50)
        revoke_grant(conn, "default", "g4", NOW, "test")
        granted(conn, "g5", user_id="somebody", scope=("address",), at=400)
        granted(conn, "g6", "other", at=500)
    with store.read() as conn:
        assert given_to_clients(conn, "default", "u", ["app", "none"]) == {
            "app": Given("app", ("openid", "email"), 100)
        }
