"""The databases, and a provider with APIs over each of them."""

from collections.abc import Iterator

import pytest

from tests.provider.databases import made_postgresql, url
from tests.provider.endpoints.apis import world_with_apis
from tests.provider.world import World

__all__ = ["made_postgresql", "url"]


@pytest.fixture
def apis(database) -> Iterator[World]:
    """A provider with APIs, over SQLite."""
    world = world_with_apis(database)
    yield world
    world.provider.parts.store.dispose()


@pytest.fixture
def apis_on_both(url: str) -> Iterator[World]:
    """The same over each database."""
    world = world_with_apis(url)
    yield world
    world.provider.parts.store.dispose()
