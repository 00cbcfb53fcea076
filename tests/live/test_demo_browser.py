"""The main job as a newcomer sees it: `make demo` and a real Chromium; pictures go to build/screenshots."""

import os
import shutil
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.support.chromium import chromium, page_of
from tests.support.servers import ROOT, Server, free_port, running

pytestmark = [pytest.mark.live, pytest.mark.slow]


def make_demo(provider_port: int, app_port: int) -> list[str]:
    """The README's command in a checkout; elsewhere (the tests of the wheel) what it runs."""
    ports = {"DEMO_PROVIDER_PORT": str(provider_port), "DEMO_APP_PORT": str(app_port)}
    if (ROOT / "Makefile").exists() and shutil.which("make"):
        return ["make", "demo", *(f"{name}={value}" for name, value in ports.items())]
    return [
        sys.executable, "-m", "examples.demo",
        "--provider-port", str(provider_port), "--app-port", str(app_port),
    ]  # fmt: skip


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Server]:
    port = free_port()
    command = make_demo(free_port(), port)
    with running(command, port=port, log=tmp_path / "demo.log", cwd=ROOT) as server:
        server.wait_for_text("The demo is up")
        yield server


def fill_in(page: Page, name: str) -> None:
    page.fill("input[name=username]", name)
    page.fill("input[name=password]", f"demo-{name}")


@pytest.mark.row("F-01", "F-07", "F-08", "T-04", "A-09", "E-01")
def test_a_newcomer_signs_in_and_ctrl_c_ends_it_all(demo: Server, tmp_path: Path, screenshots: Path) -> None:
    app = f"http://localhost:{demo.port}"
    with chromium(tmp_path / "alice", height=900) as context:
        page = page_of(context)
        page.goto(app)
        expect(page.locator("main#page-login")).to_be_visible()
        fill_in(page, "alice")
        page.screenshot(path=screenshots / "1-sign-in.png")
        page.click("#login")
        expect(page.locator("main#page-consent")).to_be_visible()
        page.screenshot(path=screenshots / "2-consent.png")
        page.click("#allow")
        expect(page.locator("#user-name")).to_have_text("Alice")
        expect(page.locator("body")).to_contain_text("Linden House, room 3.14")  # only the directory holds it
        page.screenshot(path=screenshots / "3-directory.png")
        page.click("#logout")
        expect(page.locator("main#page-logged-out")).to_be_visible()
        page.screenshot(path=screenshots / "4-signed-out.png")
        page.goto(app)
        expect(page.locator("main#page-login")).to_be_visible()

    with chromium(tmp_path / "mallory", width=390, dark=True) as context:
        page = page_of(context)
        statuses: list[tuple[str, int]] = []
        page.on("response", lambda response: statuses.append((response.url, response.status)))
        page.goto(app)
        fill_in(page, "mallory")
        page.click("#login")
        page.click("#allow")
        expect(page.locator("main#page-unknown-user")).to_contain_text("mallory")
        page.screenshot(path=screenshots / "5-unknown-user.png")
        [status] = [status for url, status in statuses if url.startswith(f"{app}/.oidcgate/callback")]
        assert status == 403

    os.killpg(demo.process.pid, signal.SIGINT)  # what a terminal sends for Ctrl-C
    # make dies of the signal itself, after the demo that it started.
    assert demo.process.wait(30) in (0, 2, 130, -signal.SIGINT), demo.log_text()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", demo.port)) != 0
    assert processes_in_session(demo.process.pid) == []


def processes_in_session(session: int) -> list[str]:
    """Command lines of all processes that belong to a session, from /proc."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] != "Z":
                found.append((folder / "cmdline").read_text().replace("\0", " "))
        except (OSError, ProcessLookupError):
            continue  # ended while we looked
    return found
