"""`Gate(ReverseProxy(…))` by the suite of all fronts: the app is on a server of its own."""

from collections.abc import Iterator

import pytest

from tests.contracts.front import FrontContract
from tests.support.fronts import Front, in_process, reverse_proxy_door

pytestmark = pytest.mark.live


class TestReverseProxy(FrontContract):
    @pytest.fixture(scope="class")
    @classmethod
    def made(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
        with in_process("Gate(ReverseProxy)", tmp_path_factory.mktemp("gate"), reverse_proxy_door) as front:
            yield front
