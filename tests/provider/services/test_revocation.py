"""A client gives a refresh token back while another part of it uses the same one, on both databases."""

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Connection

from oidcgate.protocol.errors import InvalidGrant
from provider.grants.refresh_token import RefreshTokenGrant
from provider.services.revocation import Revocation
from provider.services.tokens import Issued, Refusal
from tests.provider.databases import one_after_the_other
from tests.provider.world import World, error_of

Act = Callable[[Connection], object]


@pytest.fixture
def world(url: str) -> Iterator[World]:
    world = World.over(url)
    yield world
    world.provider.parts.store.dispose()


@pytest.fixture
def acts(world: World) -> tuple[str, Act, Act]:
    """A refresh token, giving it back, and using it."""
    parts, realm, now = world.provider.parts, world.realm, world.now
    refresh_token = str(world.tokens()["refresh_token"])
    (endpoint,) = (route.endpoint for route in parts.routes if route.path == "/token")
    grant = endpoint.grants["refresh_token"]
    assert isinstance(grant, RefreshTokenGrant)
    revocation = Revocation(grant.tokens.checks)
    with parts.store.read() as conn:
        client = parts.clients.find(conn, realm, "app")
        assert client is not None
        found = revocation.find(conn, realm, client, refresh_token, now)
        assert found is not None

    def give_back(conn: Connection) -> object:
        return revocation.stop(conn, realm, client, found, now)

    def use(conn: Connection) -> object:
        return grant.tokens.refresh(
            conn, realm, client, refresh_token=refresh_token, scope=None, api=None, now=now
        )

    return refresh_token, give_back, use


@pytest.mark.row("S-21", "P-06", "P-23")
def test_what_is_given_back_first_gives_nothing(world: World, acts: tuple[str, Act, Act]) -> None:
    _, give_back, use = acts
    event, answer = one_after_the_other(world.provider.parts.store, give_back, use)
    assert event is not None
    assert isinstance(answer, Refusal)
    assert isinstance(answer.error, InvalidGrant)
    assert len(world.rows("refresh_tokens")) == 1


@pytest.mark.row("S-21", "P-06", "P-23")
def test_what_was_used_first_ends_with_the_rest(world: World, acts: tuple[str, Act, Act]) -> None:
    refresh_token, give_back, use = acts
    answer, event = one_after_the_other(world.provider.parts.store, use, give_back)
    assert event is not None
    assert isinstance(answer, Issued)
    assert answer.draft.refresh_token is not None
    assert world.userinfo(answer.draft.access.text()).status_code == 401
    for token in (refresh_token, answer.draft.refresh_token):
        assert error_of(world.refresh(token)) == (400, "invalid_grant")
