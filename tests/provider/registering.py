"""A provider that lets applications register themselves, and what one of them sends."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from werkzeug.test import TestResponse

from oidcgate.net.fetch import Fetcher
from provider.services.initial_tokens import make_initial_token
from tests.provider.world import World

CALLBACK = "https://new.example/cb"
GOOD: dict[str, Any] = {"redirect_uris": [CALLBACK], "client_name": "New"}


def registering(
    database: Path | str,
    *,
    fetcher: Fetcher | None = None,
    registration: Mapping[str, Any] = {},
    **changes: Any,
) -> World:
    """A provider whose default realm has `registration` on."""
    return World.over(database, fetcher=fetcher, registration={"enabled": True, **registration}, **changes)


def initial_token(world: World, *, uses: int = 1_000_000, life_seconds: int = 86_400) -> str:
    """A token with which applications may register."""
    with world.provider.parts.store.begin() as conn:
        made = make_initial_token(
            conn, world.realm, uses=uses, life_seconds=life_seconds, note="", now=world.now
        )
    return made.token.reveal()


def bearer(token: str | None) -> dict[str, str]:
    return {} if token is None else {"Authorization": f"Bearer {token}"}


def register(
    world: World, metadata: object = GOOD, *, token: str | None = None, **options: Any
) -> TestResponse:
    """POST what an application says of itself; with a token that is made for it, if none is given."""
    shown = initial_token(world) if token is None else token
    return world.browser().post("/register", json=metadata, headers=bearer(shown), **options)


def registered(world: World, **changes: Any) -> dict[str, Any]:
    """What an application is told that was registered; a change to None leaves a member out."""
    said = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    response = register(world, said)
    assert response.status_code == 201, response.text
    return dict(response.get_json())


def manage(
    world: World, method: str, told: Mapping[str, Any], metadata: object = None, *, token: str | None = None
) -> TestResponse:
    """GET, PUT or DELETE a registration at the address that it was told."""
    shown = told["registration_access_token"] if token is None else token
    options: dict[str, Any] = {} if metadata is None else {"json": metadata}
    path = str(told["registration_client_uri"]).removeprefix(world.realm.issuer)
    return world.browser().open(path, method=method, headers=bearer(shown), **options)
