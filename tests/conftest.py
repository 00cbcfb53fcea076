"""What holds for every test: the rows it names exist, and a run can say which rows it showed."""

from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.support.postgresql import Postgresql
from tests.support.rows import Rows, known_ids

# Two workers share the machine with browsers and servers: how long one example takes says nothing here.
hypothesis.settings.register_profile("oidcgate", deadline=None)
hypothesis.settings.load_profile("oidcgate")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rows-report", type=Path, metavar="FILE", help="write the outcome of each test by row")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Rows(known_ids(), config.getoption("--rows-report")), "oidcgate-rows")


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[Postgresql]:
    """A PostgreSQL for all tests of this process that ask for it."""
    server = Postgresql()
    yield server
    server.end()
