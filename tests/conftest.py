"""What holds for every test: the rows it names exist, and a run can say which rows it showed."""

from pathlib import Path

import pytest

from tests.support.rows import Rows, known_ids


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rows-report", type=Path, metavar="FILE", help="write the outcome of each test by row")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Rows(known_ids(), config.getoption("--rows-report")), "oidcgate-rows")
