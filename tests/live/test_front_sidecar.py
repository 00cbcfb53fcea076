"""`oidcgate serve` by the suite of all fronts, from client sockets to an app that it knows nothing of.

The engine `wsgi` is `Gate(ReverseProxy(…))` under gunicorn's threads, and differs as that does.
"""

from collections.abc import Iterator

import pytest

from tests.contracts.front import FrontContract
from tests.support.fronts import Front, sidecar

pytestmark = pytest.mark.live


class TestSidecar(FrontContract):
    @pytest.fixture(scope="class")
    @classmethod
    def made(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
        with sidecar(tmp_path_factory.mktemp("sidecar")) as front:
            yield front


class TestSidecarOfThreads(FrontContract):
    @pytest.fixture(scope="class")
    @classmethod
    def made(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
        with sidecar(tmp_path_factory.mktemp("sidecar"), engine="wsgi") as front:
            yield front
