"""A provider for each test, over a copy of a database that is made once per run."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.provider.world import World, copy_database


@pytest.fixture(scope="session")
def made_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with its tables and a signing key."""
    path = tmp_path_factory.mktemp("provider") / "made.db"
    World.over(path).provider.parts.store.dispose()
    return path


@pytest.fixture
def database(made_database: Path, tmp_path: Path) -> Path:
    """A database of this test's own."""
    return copy_database(made_database, tmp_path / "provider.db")


@pytest.fixture
def world(database: Path) -> Iterator[World]:
    """A provider over it."""
    made = World.over(database)
    yield made
    made.provider.parts.store.dispose()
