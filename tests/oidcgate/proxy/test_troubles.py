"""Which troubles an operator hears of, and that each is told alike."""

import logging

import pytest

from oidcgate.proxy.routes import Upstream
from oidcgate.proxy.troubles import Trouble, log_trouble


@pytest.mark.parametrize("kind", Trouble)
def test_the_log_warns_of_the_app_and_not_of_its_clients(
    kind: Trouble, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "oidcgate.proxy"):
        log_trouble(kind, Upstream("http://127.0.0.1:8081"), "detail")
        log_trouble(kind, None, "")

    assert [record.getMessage() for record in caplog.records] == [
        f"{kind.value} http://127.0.0.1:8081 detail",
        f"{kind.value} - ",
    ]
    expected = logging.WARNING if kind.name in _OF_THE_APP else logging.DEBUG
    assert {(record.name, record.levelno) for record in caplog.records} == {("oidcgate.proxy", expected)}


_OF_THE_APP = {
    *("UNREACHABLE", "CONNECT_TIMEOUT", "TLS", "TOO_MANY", "HEAD_TIMEOUT", "CLOSED", "MALFORMED"),
    *("HEAD_TOO_LARGE", "TOO_MANY_INTERIM", "TRUNCATED", "IDLE", "UPSTREAM_FRAMES"),
}
