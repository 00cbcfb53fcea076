"""Every page in a real browser: nothing refused or cut off, readable, reachable by keyboard and by name."""

import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

import pytest
from playwright.sync_api import BrowserContext, Page
from werkzeug import Request, Response
from werkzeug.serving import make_server
from werkzeug.wsgi import responder

from provider.pages import GO_ON_SCRIPT, form_post
from tests.oidcgate.web.every_page import EVERY_PAGE, PROVIDER, Example, with_every_text
from tests.support.chromium import chromium, page_of
from tests.support.portions import every

pytestmark = [pytest.mark.live, pytest.mark.slow]

NARROW = 320

# The longest text without a place to break that a person can be expected to have as a name.
LONG = "Wolfeschlegelsteinhausenbergerdorffwelchevoralternwarengewissenhaftschaferswessenschafe"

# For each text that is seen: its colour against the first opaque background behind it (WCAG 2.2, 1.4.3).
CONTRAST = """
() => {
  const channel = v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const numbers = c => c.match(/[\\d.]+/g).map(Number);
  const light = c => { const [r, g, b] = numbers(c).map(channel); return .2126 * r + .7152 * g + .0722 * b; };
  const opaque = c => { const n = numbers(c); return n.length === 3 || n[3] === 1; };
  const seen = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, element = node.parentElement;
    if (!node.data.trim() || !element.checkVisibility() || element.closest("script, style")) continue;
    let behind = element;
    while (behind && !opaque(getComputedStyle(behind).backgroundColor)) behind = behind.parentElement;
    const a = light(getComputedStyle(element).color);
    const b = light(getComputedStyle(behind || document.body).backgroundColor);
    seen.push([node.data.trim().slice(0, 40), (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)]);
  }
  return seen;
}
"""


class Site:
    """Serves the example pages, and notes what is posted to it."""

    def __init__(self) -> None:
        self.posted: list[tuple[str | None, dict[str, str]]] = []
        self.framed: list[str] = []
        self.over = threading.Event()
        self.host = ""

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return responder(self._answer)(environ, start_response)

    def _answer(self, environ: Any, start_response: Any) -> Response:
        request = Request(environ)
        if request.method == "POST" and request.path == "/consent-then-redirect":
            return Response(status=303, headers={"Location": f"http://localhost:{self.port}/landed"})
        if request.method == "POST":
            body = request.get_data(as_text=True)
            fields = dict(parse_qsl(body, keep_blank_values=True))
            self.posted.append((request.headers.get("Origin"), fields))
            return Response("<title>posted</title>", content_type="text/html")
        if request.path == "/favicon.ico":
            return Response(status=204)
        if request.path == "/landed":
            return Response("<title>landed</title>", content_type="text/html")
        if request.path.startswith("/frame"):
            self.framed.append(request.full_path)
            if request.path == "/frame-that-hangs":
                self.over.wait(30)
            return Response("<title>framed</title>", content_type="text/html")
        if request.path == "/logging-out":
            names = ("frame?iss=x&sid=y", request.args["frame"])
            frames = [f"http://localhost:{self.port}/{name}" for name in names]
            return PROVIDER.render(
                "logging_out.html",
                language="en",
                frame_src=frames,
                script=GO_ON_SCRIPT,
                site="id.example",
                frames=frames,
                next_url=f"http://localhost:{self.port}/landed?state=a+b",
                client_name="Directory",
                seconds=int(request.args["seconds"]),
            )
        if request.path == "/form-post":
            return form_post(
                PROVIDER,
                language="en",
                site="id.example",
                action=f"http://localhost:{self.port}/callback",
                fields=[("state", "100 % é+&=\"<'"), ("submit", "hides nothing")],
            )
        if request.path.startswith("/consent"):
            allowed = (f"http://localhost:{self.port}/landed",) if request.path == "/consent-allowed" else ()
            return EVERY_PAGE["provider-consent"].render(action="/consent-then-redirect", form_action=allowed)
        name = request.path.removeprefix("/page/")
        example = EVERY_PAGE[name]
        response = example.render(**self._changes(example, request.query_string == b"long"))
        # A page with status 403 is no fault of the page, and the browser would report it as an error.
        response.status_code = 200
        return response

    def _changes(self, example: Example, long: bool) -> dict[str, Any]:
        return with_every_text(example, lambda _: LONG) if long else {}

    @property
    def port(self) -> str:
        return self.host.partition(":")[2]


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    site = Site()
    server = make_server("127.0.0.1", 0, site, threaded=True)
    site.host = f"127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield site
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    with chromium(tmp_path_factory.mktemp("chromium"), width=NARROW, height=640) as context:
        yield context


@pytest.fixture
def page(browser: BrowserContext) -> Iterator[Page]:
    page = page_of(browser)
    faults: list[str] = []

    def note(message: Any) -> None:
        if message.type in ("error", "warning"):
            faults.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("requestfailed", lambda request: faults.append(f"{request.url} {request.failure}"))
    yield page
    page.remove_listener("console", note)
    page.goto("about:blank")
    page.context.new_page()
    page.close()
    assert faults == []


without_script = [pytest.param(name, id=name) for name in EVERY_PAGE if name != "provider-form-post"]


def open_page(page: Page, site: Site, path: str) -> None:
    page.goto(f"http://{site.host}{path}", wait_until="load")


@pytest.mark.parametrize("name", every(6, without_script))
def test_page(page: Page, site: Site, name: str) -> None:
    """One visit per page: the browser is the slow part."""
    example = EVERY_PAGE[name]
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        open_page(page, site, f"/page/{name}")
        assert page.locator(f"main#{example.main}").is_visible()
        seen = page.evaluate(CONTRAST)
        assert len(seen) >= 3
        assert [(text, ratio) for text, ratio in seen if ratio < 4.5] == [], scheme
    for query in ("", "?long"):
        open_page(page, site, f"/page/{name}{query}")
        width, room = page.evaluate(
            "() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        )
        assert (width <= room, room) == (True, NARROW), f"scrolls sideways{query}"
        for box in (control.bounding_box() for control in page.locator("button, a, input:visible").all()):
            assert box is not None
            assert box["height"] >= 44
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= NARROW
    # The page itself, each time, and nothing besides: no icon, no font, no style from anywhere.
    assert {url.partition("?")[0] for url in asked if not url.startswith("data:")} == {
        f"http://{site.host}/page/{name}"
    }
    assert tab_stops(page, len(example.stops)) == list(example.stops)
    assert_names(page)


def test_the_links_between_account_pages_stand_where_they_stood(page: Page, site: Site) -> None:
    places = set()
    for here in ("account", "profile", "authenticator", "applications"):
        open_page(page, site, f"/page/provider-my-{here}")
        links = page.locator(".pages a").all()
        assert len(links) == 6
        boxes = [link.bounding_box() for link in links]
        top = boxes[0]["y"]
        places.add(tuple((box["x"], box["y"] - top, box["width"]) for box in boxes))
    assert len(places) == 1


def tab_stops(page: Page, count: int) -> list[str]:
    page.evaluate("() => document.activeElement.blur()")
    page.mouse.click(1, 1)
    stops = []
    for _ in range(count):
        page.keyboard.press("Tab")
        stops.append(page.evaluate("() => document.activeElement.id"))
        outline = page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", f"{stops[-1]}: focus is not seen"
    return stops


def assert_names(page: Page) -> None:
    """What a screen reader hears: one main part, one first heading, and no control without a name."""
    session = page.context.new_cdp_session(page)
    nodes = [node for node in session.send("Accessibility.getFullAXTree")["nodes"] if not node["ignored"]]
    session.detach()
    named = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes]
    assert len([role for role, _ in named if role == "main"]) == 1
    assert len([role for role, _ in named if role == "heading"]) >= 1
    for role, name in named:
        if role in ("main", "heading", "button", "link", "textbox", "list"):
            assert name, role


@pytest.mark.row("P-03")
def test_form_post_submits_itself_to_another_origin(page: Page, site: Site) -> None:
    site.posted.clear()
    open_page(page, site, "/form-post")
    page.wait_for_url("**/callback")
    assert page.title() == "posted"
    (_, fields) = site.posted[-1]
    assert fields == {"state": "100 % é+&=\"<'", "submit": "hides nothing"}


def test_form_post_has_a_button_for_who_runs_no_scripts(page: Page, site: Site) -> None:
    site.posted.clear()
    session = page.context.new_cdp_session(page)
    session.send("Emulation.setScriptExecutionDisabled", {"value": True})
    open_page(page, site, "/form-post")
    page.locator("#continue").click()
    page.wait_for_url("**/callback")
    assert [fields["submit"] for _, fields in site.posted] == ["hides nothing"]


def test_own_forms_carry_their_origin(page: Page, site: Site) -> None:
    site.posted.clear()
    open_page(page, site, "/page/provider-login")
    page.fill("#password", "x")
    page.click("#login")
    page.wait_for_url("**/login")
    (origin, fields) = site.posted[-1]
    assert origin == f"http://{site.host}"
    assert fields == {"csrf": "a token", "interaction": "an id", "username": "alice", "password": "x"}


@pytest.mark.row("P-40")
def test_redirect_after_consent_reaches_the_client(page: Page, site: Site) -> None:
    open_page(page, site, "/consent-allowed")
    page.click("#allow")
    page.wait_for_url("**/landed")
    assert page.title() == "landed"


@pytest.mark.row("P-40")
def test_redirect_after_consent_is_stopped_without_the_clients_origin(
    browser: BrowserContext, site: Site
) -> None:
    """The browser does enforce it: without this, the test above would show nothing."""
    page = browser.new_page()
    open_page(page, site, "/consent-forbidden")
    with page.expect_event("console", lambda message: "form-action" in message.text):
        page.click("#allow")
    assert page.title() != "landed"
    page.close()


@pytest.mark.row("A-09", "A-13")
@pytest.mark.parametrize("by", ["label", "key"])
def test_what_is_unchecked_is_not_sent(page: Page, site: Site, by: str) -> None:
    open_page(page, site, "/page/provider-consent")
    if by == "label":
        page.click("text=Your name and user name")
    else:
        page.focus("#scope-2")
        page.keyboard.press("Space")
    assert [page.is_checked(f"#scope-{n}") for n in (2, 3)] == [False, True]
    page.click("#allow")
    page.wait_for_url("**/consent")
    _, fields = site.posted[-1]
    assert fields == {"csrf": "a token", "interaction": "an id", "scope": "email", "decision": "allow"}


def test_incident_number_is_taken_whole_by_one_click(page: Page, site: Site) -> None:
    open_page(page, site, "/page/provider-error-server_error")
    page.click("main code")
    assert page.evaluate("() => getSelection().toString()") == "7K3F-Q9WD-2MXA"


@pytest.mark.row("S-19")
def test_a_sign_out_goes_on_when_every_frame_has_loaded(page: Page, site: Site) -> None:
    site.framed.clear()
    page.goto(f"http://{site.host}/logging-out?frame=frame-two&seconds=3600", wait_until="commit")
    page.wait_for_url(f"http://localhost:{site.port}/landed?state=a+b")
    assert sorted(site.framed) == ["/frame-two?", "/frame?iss=x&sid=y"]


@pytest.mark.row("S-19")
def test_a_sign_out_goes_on_when_a_frame_never_loads(site: Site, browser: BrowserContext) -> None:
    page = page_of(browser)
    site.framed.clear()
    page.goto(f"http://{site.host}/logging-out?frame=frame-that-hangs&seconds=1", wait_until="commit")
    page.wait_for_url(f"http://localhost:{site.port}/landed?state=a+b")
    assert sorted(site.framed) == ["/frame-that-hangs?", "/frame?iss=x&sid=y"]
    site.over.set()
    page.context.new_page()
    page.close()


@pytest.mark.row("S-19")
def test_a_sign_out_goes_on_for_who_runs_no_scripts(page: Page, site: Site) -> None:
    session = page.context.new_cdp_session(page)
    session.send("Emulation.setScriptExecutionDisabled", {"value": True})
    page.goto(f"http://{site.host}/logging-out?frame=frame-two&seconds=1", wait_until="commit")
    page.wait_for_url(f"http://localhost:{site.port}/landed?state=a+b")
    page.goto(f"http://{site.host}/logging-out?frame=frame-two&seconds=3600")
    page.click("#continue")
    page.wait_for_url(f"http://localhost:{site.port}/landed?state=a+b")
