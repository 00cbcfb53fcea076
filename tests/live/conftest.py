"""What live tests share: where the peers are installed, where screenshots are kept."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live import apps, peers
from tests.live.provider_for_clients import ProviderForClients, provider_for_clients
from tests.provider.databases import empty_url, made_postgresql

__all__ = ["empty_url", "made_postgresql"]

BUILD = Path(__file__).parents[2] / "build"


@pytest.fixture(scope="session")
def peer_folder() -> Path:
    """The npm peers, installed once for all runs of this checkout."""
    return peers.install(BUILD / "peers")


@pytest.fixture(scope="session")
def app_folder() -> Path:
    """The applications from npm, installed once for all runs of this checkout."""
    return peers.install(BUILD / "apps", apps.HERE)


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProviderForClients]:
    """The one that every client library nobody here wrote is tried at."""
    with provider_for_clients(tmp_path_factory.mktemp("provider")) as served:
        yield served


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """Where pictures of pages are kept after the run."""
    folder = BUILD / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
