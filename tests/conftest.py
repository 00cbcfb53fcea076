"""What holds for every test: the rows it names exist, and a run can say which rows it showed."""

import gc
import os
import threading
from collections.abc import Generator, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from unittest.mock import patch

import hypothesis
import pytest
from _pytest.nodeid import coerce_node_id
from alembic.config import Config
from alembic.script import ScriptDirectory
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from joserfc.jwk import RSAKey

from tests.support.postgresql import Postgresql
from tests.support.rows import Rows, known_ids
from tests.support.schedule import ByModule, longest_first

# Several workers share the machine with browsers and servers: how long one example takes says nothing here.
hypothesis.settings.register_profile("oidcgate", deadline=None)
hypothesis.settings.load_profile("oidcgate")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rows-report", type=Path, metavar="FILE", help="write the outcome of each test by row")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Rows(known_ids(), config.getoption("--rows-report")), "oidcgate-rows")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage among the tests: half a million objects, none of which is."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let `--dist loadgroup` see the groups, and begin with what takes long.

    pytest-xdist 3.8 appends a test's group to `_nodeid`, and pytest 9.2 reads the name of a test elsewhere:
    without this, tests of one group run in every worker, and each starts the servers that the group shares.
    """
    for item in items:
        named = vars(item).get("_nodeid")
        if named is not None and named != item.nodeid:
            item._id = coerce_node_id(named)
    if "PYTEST_XDIST_WORKER" in os.environ:
        items[:] = longest_first(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByModule | None:
    return ByModule(config, log) if config.getvalue("dist") == "loadgroup" else None


@pytest.fixture(autouse=True, scope="session")
def _rsa_keys_are_proven_once() -> Iterator[None]:
    """Open the private RSA keys of tests once, however many providers have them.

    Each time one is opened it is proven to be a key, which takes longer than most tests do otherwise.
    """
    prove = RSAKey.binding.import_private_key
    opened = lru_cache(maxsize=1024)(lambda members: prove(dict(members)))

    def once(document: Mapping[str, str]) -> RSAPrivateKey:
        return opened(tuple(sorted(document.items())))

    with patch.object(RSAKey.binding, "import_private_key", staticmethod(once)):
        yield


@pytest.fixture(autouse=True, scope="session")
def _changes_of_tables_are_read_once() -> Iterator[None]:
    """Read the files of Alembic's changes once, however many databases are made."""
    read = lru_cache(lambda location: ScriptDirectory(location))

    def once(config: Config) -> ScriptDirectory:
        return read(config.get_main_option("script_location"))

    with patch.object(ScriptDirectory, "from_config", staticmethod(once)):
        yield


@pytest.fixture(autouse=True)
def _nothing_goes_on_in_the_background() -> Iterator[None]:
    """End what providers of a test do beside their requests.

    A process that a later test forks would take along locks that such a thread holds, and wait for them.
    """
    yield
    for thread in threading.enumerate():
        if thread.name == "provider-background":
            # What a thread runs is not to be had in another way, nor has each test a provider to tell. One
            # that is just ending has it no more.
            target = getattr(thread, "_target", None)
            if target is not None:
                target.__self__.end(10)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[Postgresql]:
    """A PostgreSQL for all tests of this process that ask for it."""
    server = Postgresql()
    yield server
    server.end()
