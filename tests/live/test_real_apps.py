"""Applications nobody here wrote: the same files and arguments with the gate and without it.

Radicale (Python, calendars) behind the sidecar and in the gate's process; TiddlyWiki (JavaScript) behind the
sidecar. Each believes what it is told about the user, so each is also asked without the gate: there a forged
header works, which is what the gate is for.
"""

import os
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from playwright.sync_api import expect

from examples.directory.app import USERS_FILE
from examples.local_accounts import Configuration, Desk, write_configuration
from tests.live.peers import NODE
from tests.support.chromium import chromium, page_of
from tests.support.servers import ROOT, Server, free_port, running
from tests.support.user_agent import UserAgent

pytestmark = pytest.mark.live

DAV = "{DAV:}"
EVENT = """\
BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//Linden Instruments//Workshop//EN
BEGIN:VEVENT
UID:glue-day
DTSTAMP:20260301T080000Z
DTSTART:20260302T080000Z
DTEND:20260302T160000Z
SUMMARY:Glue day
END:VEVENT
END:VCALENDAR
""".replace("\n", "\r\n")
ALL_EVENTS = """\
<?xml version="1.0"?>
<c:calendar-query xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav">
<d:prop><d:getetag/><c:calendar-data/></d:prop>
<c:filter><c:comp-filter name="VCALENDAR"><c:comp-filter name="VEVENT"/></c:comp-filter></c:filter>
</c:calendar-query>"""
WHO_AM_I = '<propfind xmlns="DAV:"><prop><current-user-principal/></prop></propfind>'
SPELLINGS = (
    "X-Remote-User",
    "x_remote_user",
    "X-REMOTE_USER",
    "Remote-User",
    "Remote_User",
    "X-Forwarded-User",
)
PATH = {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)}


@dataclass(frozen=True)
class Site:
    """Where things are: the provider, the app by itself, and the app behind the gate."""

    folder: Path
    files: Configuration
    provider_port: int
    app_port: int
    gate_port: int

    @property
    def app(self) -> str:
        return f"http://127.0.0.1:{self.app_port}"

    @property
    def gate(self) -> str:
        return f"http://localhost:{self.gate_port}"

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A provider, and configurations for a gate in process and for the sidecar; neither runs yet."""
    ports = free_port(), free_port(), free_port()
    url = f"http://localhost:{ports[2]}"
    files = write_configuration(
        tmp_path,
        issuer=f"http://localhost:{ports[0]}",
        public_url=url,
        users=USERS_FILE,
        desk=Desk(url, f"http://127.0.0.1:{ports[1]}"),
    )
    site = Site(tmp_path, files, *ports)
    command = [sys.executable, "-m", "provider", "--config", files.provider, "serve", "--port", str(ports[0])]
    with running(command, port=ports[0], log=site.log("provider"), cwd=tmp_path, env=PATH):
        yield site


def sidecar(site: Site) -> list[str | Path]:
    return [sys.executable, "-m", "oidcgate", "serve", "--config", site.files.desk]


def signed_in(url: str, name: str) -> requests.Session:
    """What a calendar program has after its user signed in with a browser: the session's cookie."""
    browser = UserAgent()
    browser.sign_in(browser.open(f"{url}/.oidcgate/login"), name, f"demo-{name}")
    client = requests.Session()
    client.trust_env = False
    client.cookies.update(browser.session.cookies)
    return client


Headers = dict[str, str]
NOBODY = requests.Session()
NOBODY.trust_env = False


def ask(
    client: requests.Session, method: str, url: str, headers: Headers | None = None, body: str = ""
) -> requests.Response:
    return client.request(
        method, url, data=body.encode(), headers=headers or {}, timeout=30, allow_redirects=False
    )


def hrefs(answer: requests.Response, inside: str = "response") -> list[str | None]:
    """The addresses that a WebDAV answer gives of something."""
    assert answer.status_code == 207, answer.text
    tree = ET.fromstring(answer.content)  # noqa: S314 (of a server that the test started)
    return [element.text for element in tree.findall(f".//{DAV}{inside}/{DAV}href")]


def principal(client: requests.Session, url: str, headers: Headers | None = None) -> str | None:
    """Whom the calendar server takes the client for."""
    answer = ask(client, "PROPFIND", f"{url}/", {**(headers or {}), "Depth": "0"}, WHO_AM_I)
    (found,) = hrefs(answer, "current-user-principal")
    return found


def keep_a_calendar(url: str) -> None:
    """What a calendar program does for alice, and what nobody else can do to her calendar."""
    alice = signed_in(url, "alice")
    assert principal(alice, url) == "/Alice/"
    for name in SPELLINGS:
        assert principal(alice, url, {name: "bob"}) == "/Alice/", name
    # A header by which a proxy moves an app below a path: not the client's to say.
    assert principal(alice, url, {"X-Script-Name": "/bob"}) == "/Alice/"

    calendar = f"{url}/Alice/workshop"
    kind = {"Content-Type": "text/calendar; charset=utf-8", "If-None-Match": "*"}
    assert ask(alice, "MKCALENDAR", f"{calendar}/").status_code == 201
    assert ask(alice, "PUT", f"{calendar}/glue.ics", kind, EVENT).status_code == 201
    assert ask(alice, "PUT", f"{calendar}/glue.ics", kind, EVENT).status_code == 412
    listed = ask(alice, "PROPFIND", f"{calendar}/", {"Depth": "1"})
    assert set(hrefs(listed)) == {"/Alice/workshop/", "/Alice/workshop/glue.ics"}
    found = ask(alice, "REPORT", f"{calendar}/", {"Depth": "1"}, ALL_EVENTS)
    assert hrefs(found) == ["/Alice/workshop/glue.ics"]
    assert "SUMMARY:Glue day" in found.text
    # The app compares the destination with the host that it is told it is reached under.
    moved = ask(alice, "MOVE", f"{calendar}/glue.ics", {"Destination": f"{calendar}/peg.ics"})
    assert moved.status_code == 201
    assert "SUMMARY:Glue day" in ask(alice, "GET", f"{calendar}/peg.ics").text

    bob = signed_in(url, "bob")
    for name in SPELLINGS:
        assert principal(bob, url, {name: "Alice"}) == "/bob/", name
        for method in ("PROPFIND", "REPORT", "PUT", "DELETE", "GET"):
            answer = ask(bob, method, f"{calendar}/peg.ics", {name: "Alice"})
            assert answer.status_code == 403, (name, method)
    assert "SUMMARY:Glue day" in ask(alice, "GET", f"{calendar}/peg.ics").text


def nobody_gets_through(url: str, app: Server) -> None:
    """Who is not signed in, or not known, does not reach the app under any name."""
    before = app.log_text().count("request for")
    mallory = UserAgent()
    page = mallory.sign_in(mallory.open(f"{url}/Alice/"), "mallory", "demo-mallory")
    assert (page.status, page.main_id) == (403, "page-unknown-user")
    for client in (NOBODY, mallory.session):
        for name in SPELLINGS:
            for method in ("PROPFIND", "PUT"):
                answer = ask(client, method, f"{url}/Alice/x.ics", {name: "Alice", "Accept": "*/*"}, EVENT)
                assert answer.status_code == 401, (name, method)
    assert before > 0
    assert app.log_text().count("request for") == before


def radicale(site: Site, auth: str) -> Path:
    """The calendar server's configuration, as its own manual gives it."""
    path = site.folder / "radicale.ini"
    path.write_text(
        f"[server]\nhosts = 127.0.0.1:{site.app_port}\n[auth]\ntype = {auth}\ndelay = 0\n"
        f"[rights]\ntype = owner_only\n[storage]\nfilesystem_folder = {site.folder}/collections\n"
    )
    return path


@pytest.mark.row("T-01", "T-02")
def test_radicale_behind_the_sidecar(site: Site) -> None:
    with site.files.desk.open("a") as file:
        file.write('\n[forward]\nuser_headers = ["X-Remote-User"]\n')
    app = [sys.executable, "-m", "radicale", "--config", radicale(site, "http_x_remote_user")]
    with running(app, port=site.app_port, log=site.log("radicale")) as server:
        # Without the gate it believes anybody.
        assert principal(NOBODY, site.app, {"X-Remote-User": "Alice"}) == "/Alice/"
        with running(sidecar(site), port=site.gate_port, log=site.log("sidecar"), cwd=site.folder, env=PATH):
            keep_a_calendar(site.gate)
            nobody_gets_through(site.gate, server)
        # And what was written through the gate is there without it.
        answer = ask(NOBODY, "GET", f"{site.app}/Alice/workshop/peg.ics", {"X-Remote-User": "Alice"})
        assert "SUMMARY:Glue day" in answer.text


@pytest.mark.row("T-01", "T-02")
def test_radicale_wrapped_in_process(site: Site) -> None:
    (site.folder / "gated_radicale.py").write_text(
        "import radicale\n"
        "from oidcgate import Gate\n"
        'application = Gate.from_config(radicale.application, "oidcgate.toml")\n'
    )
    env = {**PATH, "RADICALE_CONFIG": str(radicale(site, "remote_user"))}
    threads = ["--worker-class", "gthread", "--threads", "4", "--no-control-socket"]
    bare, gated = (
        [sys.executable, "-m", "gunicorn", module, "--bind", f"127.0.0.1:{port}", *threads]
        for module, port in (("radicale:application", site.app_port), ("gated_radicale", site.gate_port))
    )
    with running(bare, port=site.app_port, log=site.log("bare"), cwd=site.folder, env=env):
        assert ask(NOBODY, "PROPFIND", f"{site.app}/", {"Depth": "0"}, WHO_AM_I).status_code in (401, 403)
    with running(gated, port=site.gate_port, log=site.log("gated"), cwd=site.folder, env=env) as server:
        keep_a_calendar(site.gate)
        nobody_gets_through(site.gate, server)


@pytest.fixture
def wiki(site: Site, app_folder: Path) -> Iterator[Server]:
    """TiddlyWiki as its manual starts it behind a proxy that says who is there."""
    program, folder = app_folder / "node_modules" / "tiddlywiki" / "tiddlywiki.js", site.folder / "wiki"
    (folder / "tiddlers").mkdir(parents=True)
    # What is open on a screen stays there. It would be kept under a path with %2F, which the gate refuses.
    (folder / "tiddlers" / "SyncFilter.tid").write_text("title: $:/config/SyncFilter\n\n[!is[system]]\n")
    (folder / "tiddlywiki.info").write_text(
        '{"plugins": ["tiddlywiki/tiddlyweb", "tiddlywiki/filesystem"],'
        ' "themes": ["tiddlywiki/vanilla", "tiddlywiki/snowwhite"]}'
    )
    command = [
        NODE, program, folder, "--listen", "host=127.0.0.1", f"port={site.app_port}", "debug-level=debug",
        "authenticated-user-header=X-Forwarded-User", "readers=(authenticated)", "writers=(authenticated)",
    ]  # fmt: skip
    with running(command, port=site.app_port, log=site.log("wiki")) as server:
        yield server


@pytest.mark.row("T-01", "T-02")
def test_tiddlywiki_behind_the_sidecar(site: Site, wiki: Server) -> None:
    assert ask(NOBODY, "GET", f"{site.app}/status").status_code == 401
    assert (
        ask(NOBODY, "GET", f"{site.app}/status", {"X-Forwarded-User": "Alice"}).json()["username"] == "Alice"
    )

    with running(sidecar(site), port=site.gate_port, log=site.log("sidecar"), cwd=site.folder, env=PATH):
        alice = signed_in(site.gate, "alice")
        for name in (*SPELLINGS, "x_forwarded_user", "X-FORWARDED-USER"):
            status = ask(alice, "GET", f"{site.gate}/status", {name: "bob"}).json()
            assert (status["username"], status["anonymous"], status["read_only"]) == ("Alice", False, False)

        tiddler = f"{site.gate}/recipes/default/tiddlers/Glue%20day"
        page = {"X-Requested-With": "TiddlyWiki"}
        kept = '{"title": "Glue day", "text": "Warm it to 60 °C."}'
        assert ask(alice, "PUT", tiddler, page, kept).status_code == 204
        assert ask(signed_in(site.gate, "bob"), "GET", tiddler).json()["text"] == "Warm it to 60 °C."

        before = wiki.log_text()
        forged = {"X-Forwarded-User": "Alice", **page}
        assert ask(NOBODY, "GET", f"{site.gate}/status", forged).status_code == 401
        assert ask(NOBODY, "PUT", tiddler, forged, kept).status_code == 401
        assert wiki.log_text() == before != ""
        # Its log has every header that it got.
        assert "x-forwarded-user" in before
        assert "oidcgate" not in before


@pytest.mark.slow
@pytest.mark.row("T-01", "T-02")
def test_a_person_writes_in_tiddlywiki(site: Site, wiki: Server, tmp_path: Path, screenshots: Path) -> None:
    with (
        running(sidecar(site), port=site.gate_port, log=site.log("sidecar"), cwd=site.folder, env=PATH),
        chromium(tmp_path / "alice", height=900) as context,
    ):
        page = page_of(context)
        page.goto(site.gate)
        page.fill("input[name=username]", "alice")
        page.fill("input[name=password]", "demo-alice")
        page.click("#login")
        page.click('button[aria-label="new tiddler"]')
        page.fill("input.tc-titlebar", "Peg day")
        with page.expect_response(lambda answer: answer.url.endswith("/Peg%20day") and answer.status == 204):
            page.click('button[aria-label="Confirm changes to this tiddler"]')
        expect(page.locator(".tc-tiddler-view-frame").first).to_contain_text("Alice")
        expect(page.locator(".tc-tiddler-edit-frame")).to_have_count(0)
        page.screenshot(path=screenshots / "tiddlywiki.png")
    assert "creator: Alice" in (site.folder / "wiki" / "tiddlers" / "Peg day.tid").read_text()
