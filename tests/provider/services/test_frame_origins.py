"""Which pages may frame `/check_session`: all that there are, or the one that asks."""

from collections.abc import Iterator

import pytest

from provider.services.frame_origins import READ_AGAIN_SECONDS, FrameOrigins, allowed_origins, page_origin
from provider.store.engine import Store, StoreUnavailable
from tests.provider.world import World

FEW = frozenset({"https://b.example", "https://a.example", "http://localhost:8000"})
MANY = frozenset(f"https://app-{n}.example" for n in range(1000))


@pytest.mark.row("S-18")
@pytest.mark.parametrize(
    ("origins", "referrer", "allowed"),
    [
        pytest.param((), "https://a.example/", (), id="none-there"),
        pytest.param(FEW, None, tuple(sorted(FEW)), id="few"),
        pytest.param(FEW, "https://evil.example/", tuple(sorted(FEW)), id="few-whoever-asks"),
        pytest.param(MANY, "https://app-7.example/", ("https://app-7.example",), id="many-by-origin"),
        pytest.param(MANY, "https://app-7.example/a?b=c", ("https://app-7.example",), id="many-by-address"),
        pytest.param(MANY, "https://app-7.example:8443/", (), id="many-other-port"),
        pytest.param(MANY, "https://evil.example/", (), id="many-stranger"),
        pytest.param(MANY, None, (), id="many-and-the-page-does-not-say"),
        pytest.param(MANY, "", (), id="many-empty"),
        pytest.param(MANY, "https://app-7.example https://evil.example", (), id="many-two"),
    ],
)
def test_who_may_frame(origins: frozenset[str], referrer: str | None, allowed: tuple[str, ...]) -> None:
    assert allowed_origins(origins, referrer) == allowed


@pytest.mark.row("S-18")
def test_the_list_stays_short_enough_for_a_header() -> None:
    room = 2048
    fits = frozenset({"https://" + "a" * (room - 8)})
    assert allowed_origins(fits, None) == tuple(fits)
    assert allowed_origins({next(iter(fits)) + "a"}, None) == ()


@pytest.mark.row("S-18")
@pytest.mark.parametrize(
    ("url", "origin"),
    [
        pytest.param("https://App.example:443/cb?a=1", "https://app.example", id="web"),
        pytest.param("http://127.0.0.1:8000/cb", "http://127.0.0.1:8000", id="loopback"),
        pytest.param("https://[2001:db8::1]/cb", None, id="ipv6"),
        pytest.param("com.example.app:/cb", None, id="private-use-scheme"),
        pytest.param("https://app.example;frame-src/", None, id="no-host"),
        pytest.param("null", None, id="opaque"),
    ],
)
def test_whose_page_it_is(url: str, origin: str | None) -> None:
    assert page_origin(url) == origin


@pytest.fixture
def world(url: str) -> Iterator[World]:
    world = World.over(url)
    yield world
    world.provider.parts.store.dispose()


def frames_of(world: World) -> FrameOrigins:
    parts = world.provider.parts
    return FrameOrigins(parts.store, parts.clients, parts.clock)


def add(world: World, client_id: str, redirect_uri: str, **changes: object) -> None:
    said = {"client_id": client_id, "redirect_uris": [redirect_uri], **changes}
    with world.provider.parts.store.begin() as conn:
        world.provider.parts.clients.add(conn, world.realm, said, world.now)


@pytest.mark.row("S-18")
def test_clients_of_the_database_count_while_they_are_enabled(world: World) -> None:
    frames = frames_of(world)
    assert frames.of(world.realm) == frozenset()
    add(world, "spa", "https://spa.example/cb", session_management=True)
    add(world, "plain", "https://plain.example/cb")
    assert frames.of(world.realm) == frozenset(), "read a moment ago"
    world.clock.move(READ_AGAIN_SECONDS)
    assert frames.of(world.realm) == {"https://spa.example"}
    with world.provider.parts.store.begin() as conn:
        world.provider.parts.clients.set_enabled(conn, world.realm, "spa", False, world.now)
    world.clock.move(READ_AGAIN_SECONDS)
    assert frames.of(world.realm) == frozenset()


def test_what_was_known_goes_on_while_the_database_does_not_answer(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(world, "spa", "https://spa.example/cb", session_management=True)
    frames = frames_of(world)
    assert frames.of(world.realm) == {"https://spa.example"}

    def unavailable(_store: Store) -> None:
        raise StoreUnavailable(TimeoutError("gone"))

    world.clock.move(READ_AGAIN_SECONDS)
    monkeypatch.setattr(Store, "read", unavailable)
    assert frames.of(world.realm) == {"https://spa.example"}
    assert frames_of(world).of(world.realm) == frozenset(), "nothing was known before"
    response = world.browser().get("/.well-known/openid-configuration")
    assert response.status_code == 200, "discovery answers without a database"
