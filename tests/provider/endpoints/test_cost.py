"""What costs the same however much there is: statements are counted, not seconds."""

from collections.abc import Callable

import pytest
from sqlalchemy import event

from provider.store import grants
from tests.provider.world import ALICE, World, error_of


def statements(world: World, act: Callable[[], object]) -> list[str]:
    """The statements that `act` sends to the database, in order."""
    sent: list[str] = []

    def note(*arguments: object) -> None:
        sent.append(str(arguments[2]))

    engine = world.provider.parts.store.engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        act()
    finally:
        event.remove(engine, "before_cursor_execute", note)
    return sent


@pytest.mark.row("P-26")
def test_a_family_of_any_size_is_stopped_by_the_same_statements(world: World) -> None:
    def stopped(size: int) -> list[str]:
        first = newest = world.tokens()["refresh_token"]
        for _ in range(size):
            newest = world.refresh(newest).get_json()["refresh_token"]
        sent = statements(world, lambda: world.refresh(first))
        assert error_of(world.refresh(newest)) == (400, "invalid_grant")
        return sent

    small, large = stopped(2), stopped(30)

    assert small == large
    assert sum(statement.startswith("UPDATE") for statement in large) == 1


@pytest.mark.row("P-32")
def test_signing_out_looks_at_one_client_however_many_there_are(world: World) -> None:
    address = "https://client.example/bye"

    def add(number: int) -> str:
        wanted = {
            "client_id": f"client-{number}",
            "redirect_uris": ["https://client.example/cb"],
            "post_logout_redirect_uris": [address],
        }
        with world.provider.parts.store.begin() as conn:
            return world.provider.parts.clients.add(conn, world.realm, wanted, world.now).client.client_id

    client_id = add(0)
    query = {"client_id": client_id, "post_logout_redirect_uri": address}

    def sign_out() -> list[str]:
        return statements(world, lambda: world.browser().get("/end_session", query_string=query))

    alone = sign_out()
    for number in range(1, 60):
        add(number)

    assert sign_out() == alone
    assert alone


@pytest.mark.row("P-26", "E-26")
def test_the_applications_of_a_person_cost_the_same_however_many_there_are(world: World) -> None:
    parts, realm = world.provider.parts, world.realm

    def use(number: int) -> None:
        """One that was never asked for consent, and one that was, neither of the file."""
        trusted, asked = (f"{kind}-{number}" for kind in ("trusted", "asked"))
        agreed = frozenset({"openid"})
        with parts.store.begin() as conn:
            for client_id in (trusted, asked):
                said = {"client_id": client_id, "redirect_uris": ["https://client.example/cb"]}
                parts.clients.add(conn, realm, said, world.now)
            parts.consents.remember(conn, realm, ALICE, asked, agreed, agreed, world.now)
            grants.insert_grant(
                conn,
                realm.id,
                grants.GrantRow(
                    trusted, trusted, ALICE, None, ("openid",), 0, "", (), world.now, world.now + 9
                ),
            )
            grants.insert_access_token(
                conn,
                realm.id,
                grants.AccessTokenRow(trusted, trusted, trusted, ("openid",), None, world.now, world.now + 9),
            )

    def listed() -> tuple[int, int]:
        with parts.store.read() as conn:
            found: list[object] = []
            sent = statements(
                world, lambda: found.extend(parts.applications.of(conn, realm, ALICE, world.now))
            )
        return len(found), len(sent)

    use(0)
    few, cost = listed()
    for number in range(1, 20):
        use(number)

    assert few == 2
    assert listed() == (40, cost)
