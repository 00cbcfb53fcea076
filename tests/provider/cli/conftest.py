"""A folder to type commands in."""

from pathlib import Path

import pytest

from tests.provider.cli.shell import TOML, Shell
from tests.provider.world import copy_database


@pytest.fixture
def shell(made_database: Path, tmp_path: Path) -> Shell:
    copy_database(made_database, tmp_path / "provider.db")
    (tmp_path / "provider.toml").write_text(TOML)
    return Shell(tmp_path)
