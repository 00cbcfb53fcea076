"""Scrapes under gunicorn's threads; requests are the subject of `test_recording`."""

import socket
import threading
from pathlib import Path
from urllib.request import urlopen

import pytest

from oidcgate.serve import threads
from oidcgate.serve.metrics import Board
from oidcgate.serve.scraping import Scraped
from oidcgate.serve.threads import scrape_server
from tests.support.asgi import DEADLINE_SECONDS


def test_a_scrape_that_drips_is_cut_and_the_next_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "_SCRAPE_SECONDS", 0.2)
    listening = socket.create_server(("127.0.0.1", 0))
    server = scrape_server(Scraped(Board(tmp_path), listening))
    serving = threading.Thread(target=server.serve_forever, args=(0.01,))
    serving.start()
    try:
        with socket.create_connection(listening.getsockname(), DEADLINE_SECONDS) as slow:
            slow.sendall(b"GET /metr")
            assert slow.recv(100) == b""
        with urlopen(f"http://127.0.0.1:{listening.getsockname()[1]}/metrics") as page:
            assert b"oidcgate_requests_total" in page.read()
    finally:
        server.shutdown()
        serving.join(DEADLINE_SECONDS)
        server.server_close()
