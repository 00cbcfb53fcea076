"""What is answered to whoever asks for metrics, and where a worker's numbers go."""

import logging
import socket
from pathlib import Path

import pytest

from oidcgate.serve.access_log import AccessLog
from oidcgate.serve.metrics import Board
from oidcgate.serve.scraping import Scraped
from oidcgate.serve.sidecar import Reports


@pytest.mark.parametrize(("path", "status"), [("/", 200), ("/metrics", 200), ("/metrics/", 404), ("", 404)])
def test_the_page_is_at_its_path(path: str, status: int, tmp_path: Path) -> None:
    with socket.socket() as listening:
        answer = Scraped(Board(tmp_path), listening).answer(path)
    assert answer.status == status
    assert (b"# TYPE oidcgate_requests_total counter" in answer.body) == (status == 200)
    assert answer.content_type.startswith("text/plain")


def test_nothing_is_recorded_for_nobody(tmp_path: Path) -> None:
    with socket.socket() as listening:
        assert Reports(scraped=Scraped(Board(tmp_path), listening)).recorder() is not None
    assert Reports(access_log=AccessLog()).recorder() is not None
    assert Reports().recorder() is None


def test_a_disk_that_takes_no_numbers_does_not_end_a_worker(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as listening:
        reports = Reports(scraped=Scraped(Board(tmp_path / "gone"), listening))
        with caplog.at_level(logging.WARNING, logger="oidcgate.serve"):
            reports.send("1-7", {})
    assert "numbers for metrics cannot be written: " in caplog.text
