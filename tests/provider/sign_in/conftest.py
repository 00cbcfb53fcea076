"""The fixture of these tests: a provider of its own for each."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.provider.sign_in.place import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A provider with a database of its own."""
    made = World.make(tmp_path)
    yield made
    made.close()
