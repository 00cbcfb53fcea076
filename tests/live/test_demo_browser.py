"""The main job as a newcomer sees it: `make demo` and a real Chromium; pictures go to build/screenshots."""

import os
import re
import shutil
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.support.chromium import chromium, page_of
from tests.support.servers import ROOT, Server, free_port, running

pytestmark = [pytest.mark.live, pytest.mark.slow]


def make_demo(ports: Mapping[str, int]) -> list[str]:
    """The README's command in a checkout; elsewhere (the tests of the wheel) what it runs."""
    if (ROOT / "Makefile").exists() and shutil.which("make"):
        return ["make", "demo", *(f"DEMO_{name.upper()}_PORT={port}" for name, port in ports.items())]
    options = [f"--{name}-port={port}" for name, port in ports.items()]
    return [sys.executable, "-m", "examples.demo", *options]


@dataclass(frozen=True)
class Demo:
    """The demo as a newcomer has it on the terminal."""

    server: Server
    app: str
    desk: str

    @property
    def logs(self) -> Path:
        """Where it says that its logs are."""
        (folder,) = re.findall(r"are in (/\S+) until it ends", self.server.log_text())
        return Path(folder)


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    ports = {name: free_port() for name in ("provider", "app", "sidecar")}
    with running(make_demo(ports), port=ports["app"], log=tmp_path / "demo.log", cwd=ROOT) as server:
        server.wait_for_text("Ctrl-C")
        yield Demo(server, f"http://localhost:{ports['app']}", f"http://localhost:{ports['sidecar']}")


def fill_in(page: Page, name: str) -> None:
    page.fill("input[name=username]", name)
    page.fill("input[name=password]", f"demo-{name}")


@pytest.mark.row("F-01", "F-07", "F-08", "T-04", "A-09", "E-01")
def test_a_newcomer_signs_in_and_ctrl_c_ends_it_all(demo: Demo, tmp_path: Path, screenshots: Path) -> None:
    app = demo.app
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
        use_the_tool_desk(page, demo.desk, screenshots)
        page.goto(app)
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
        # The same at the tool desk, without a password this time, and the tool desk never hears of it.
        heard = (demo.logs / "tool desk.log").read_text()
        page.goto(demo.desk)
        expect(page.locator("main#page-unknown-user")).to_contain_text("mallory")
        assert (demo.logs / "tool desk.log").read_text() == heard
        assert "Alice" in heard
        for site in (app, demo.desk):
            [status] = [status for url, status in statuses if url.startswith(f"{site}/.oidcgate/callback")]
            assert status == 403

    servers, process = processes_of(demo), demo.server.process
    os.killpg(process.pid, signal.SIGINT)  # what a terminal sends for Ctrl-C
    # make dies of the signal itself, after the demo that it started.
    assert process.wait(30) in (0, 2, 130, -signal.SIGINT), demo.server.log_text()
    for url in (app, demo.desk):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", int(url.rpartition(":")[2]))) != 0
    assert len(servers) >= 8
    assert [title for pid in servers if (title := title_of(pid))] == []
    assert not demo.logs.exists()


def use_the_tool_desk(page: Page, desk: str, screenshots: Path) -> None:
    """What alice does at the other app, where she is signed in already: each thing that a proxy can break."""
    page.goto(desk)
    expect(page.locator("#user-name")).to_have_text("Alice")
    expect(page.locator("#card")).to_have_text("Card 0417, Bench 3")  # only the tool desk knows
    page.screenshot(path=screenshots / "6-tool-desk.png")

    page.goto(f"{desk}/counter")
    expect(page.locator("#clock")).to_have_text(re.compile(r"\d\d:\d\d:\d\d"))
    with page.context.new_page() as other:
        other.goto(f"{desk}/tools")
        other.click('button[aria-label="Borrow: Purfling cutter"]')
        expect(other.locator("tr", has_text="Purfling cutter")).to_contain_text("with you")
    # Told to the page that was open before.
    expect(page.locator("#movements li").first).to_contain_text("Alice took Purfling cutter")

    page.goto(f"{desk}/drawings")
    content = os.urandom(300_000)
    page.set_input_files("#file", {"name": "rib.dxf", "mimeType": "image/x-dxf", "buffer": content})
    page.click("#leave")
    with page.expect_download() as download:
        page.click("text=rib.dxf")
    assert download.value.path().read_bytes() == content

    page.goto(f"{desk}/intercom")
    expect(page.locator("#heard li").last).to_have_text("Alice is on the line")
    page.fill("#words", "The glue is warm")
    page.click("#say")
    expect(page.locator("#heard li").first).to_have_text("Alice: The glue is warm")
    page.screenshot(path=screenshots / "7-intercom.png")


def processes_of(demo: Demo) -> list[int]:
    """All processes below the demo's, from /proc: its servers have sessions of their own."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ProcessLookupError):
            continue  # ended while we looked
    found, parent = [], {demo.server.process.pid}
    while parent:
        parent = {pid for pid, its in parents.items() if its in parent}
        found += parent
    return found


def title_of(pid: int) -> str:
    """The command line of a process; empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except (OSError, ProcessLookupError):
        return ""
