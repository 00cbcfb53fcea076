"""Request objects by reference: from a registered address, once, and while nothing of ours waits for it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from oidcgate.net.fetch import AddressRules, Fetcher
from oidcgate.net.wsgi import WSGIAdapter
from oidcgate.protocol.request_object import content_hash
from provider.services.outbound import MAX_BYTES, WAITING_PER_CLIENT
from provider.store.engine import Store
from tests.provider.sign_in.objects import ELSEWHERE, REQUEST_URI, TAKEN, beside, clients, signed
from tests.provider.sign_in.place import CALLBACK, Browser, World
from tests.provider.sign_in.test_request_objects import refused, unsigned

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


@dataclass
class ObjectServer:
    """The client's server: what it answers, and how often it was asked."""

    content: bytes = b""
    status: str = "200 OK"
    headers: list[tuple[str, str]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)
    while_asked: Callable[[], None] | None = None

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> list[bytes]:
        self.asked.append(environ["PATH_INFO"])
        self.accepted.append(environ.get("HTTP_ACCEPT", ""))
        if self.while_asked is not None:
            self.while_asked()
        start_response(self.status, [("Content-Type", "text/plain"), *self.headers])
        return [self.content]


Place = tuple[World, Browser, ObjectServer]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    server = ObjectServer()
    fetcher = Fetcher(AddressRules(), adapter=WSGIAdapter(server), max_bytes=MAX_BYTES)
    world = World.make(
        tmp_path_factory.mktemp("request-uri"), clients=clients(), request_objects=TAKEN, fetcher=fetcher
    )
    browser = world.browser()
    server.content = signed().encode()
    browser.sign_in(browser.go(beside(request_uri=REQUEST_URI)))
    yield world, browser, server
    world.close()


@pytest.fixture
def place(made: Place) -> Place:
    """The same, and the server as good as new."""
    world, browser, server = made
    server.__init__(signed().encode())
    return world, browser, server


def test_the_object_is_fetched_for_each_request(place: Place) -> None:
    _, browser, server = place
    for state in ("first", "second"):
        server.content = signed(state=state).encode()
        page = browser.step(beside(request_uri=REQUEST_URI, state="outside"))
        assert page.answer["state"] == state
        assert "code" in page.answer
    assert server.asked == ["/request"] * 2
    assert server.accepted[0].startswith("application/oauth-authz-req+jwt, application/jwt;")


@pytest.mark.parametrize("around", [b"\n", b"\r\n", b" "])
def test_a_line_may_end(place: Place, around: bytes) -> None:
    _, browser, server = place
    server.content += around
    assert "code" in browser.step(beside(request_uri=REQUEST_URI)).answer


def test_an_unsigned_one_is_taken_of_a_client_that_says_so(place: Place) -> None:
    _, browser, server = place
    server.content = unsigned().encode()
    assert browser.step(beside("unsigned", request_uri=REQUEST_URI)).answer["state"] == "inside"


def test_it_is_fetched_once_for_all_pages(place: Place) -> None:
    world, _, server = place
    browser = world.browser()
    server.content = signed("asks", prompt="consent").encode()
    page = browser.go(beside("asks", request_uri=REQUEST_URI))
    server.content = signed("asks", state="changed", scope="openid email").encode()
    page = browser.submit(browser.sign_in(page), decision="allow")
    assert page.answer["state"] == "inside"
    assert server.asked == ["/request"]


def test_a_fragment_names_the_content(place: Place) -> None:
    _, browser, server = place
    named = f"{REQUEST_URI}#{content_hash(server.content)}"
    assert "code" in browser.step(beside(request_uri=named)).answer
    server.content = signed(state="changed").encode()
    answer = refused(browser.step(beside(request_uri=named, redirect_uri=CALLBACK)), "invalid_request_uri")
    assert answer["error_description"] == "what is at request_uri is not what its fragment says"
    # It is for us, and not sent on.
    assert server.asked == ["/request"] * 2


@pytest.mark.row("P-09", "P-02")
@pytest.mark.parametrize(
    "uri",
    [
        ELSEWHERE,
        f"{REQUEST_URI}/",
        f"{REQUEST_URI}?a=b",
        REQUEST_URI.replace("https", "http"),
        "https://evil.example/request",
        "https://app.example@evil.example/request",
        "https://127.0.0.1/request",
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "data:,x",
        "urn:ietf:params:oauth:request_uri:x",
        "x",
    ],
)
def test_nothing_is_fetched_that_is_not_registered(place: Place, uri: str) -> None:
    _, browser, server = place
    answer = refused(browser.step(beside(request_uri=uri, redirect_uri=CALLBACK)), "invalid_request_uri")
    assert answer["error_description"] == "request_uri is not one that this client has registered"
    assert browser.step(beside(request_uri=uri)).main_id == "page-error"
    assert server.asked == []


def test_nothing_is_fetched_for_another_client(place: Place) -> None:
    _, browser, server = place
    refused(
        browser.step(beside("hasher", request_uri=REQUEST_URI, redirect_uri=CALLBACK)), "invalid_request_uri"
    )
    assert browser.step(beside("nobody", request_uri=REQUEST_URI)).main_id == "page-error"
    assert browser.step(beside("off", request_uri=REQUEST_URI)).main_id == "page-error"
    assert server.asked == []


@pytest.mark.row("P-09")
@pytest.mark.parametrize(
    ("change", "error"),
    [
        pytest.param({"status": "404 Not Found"}, "invalid_request_uri", id="not-found"),
        pytest.param({"status": "500 Oops"}, "invalid_request_uri", id="broken"),
        pytest.param({"status": "204 No Content", "content": b""}, "invalid_request_uri", id="no-content"),
        pytest.param(
            {"status": "302 Found", "headers": [("Location", "https://app.example/other")]},
            "invalid_request_uri",
            id="redirect",
        ),
        pytest.param({"content": b"x" * 1_000_000}, "invalid_request_uri", id="a-megabyte"),
        pytest.param({"content": b"x" * 20_000}, "invalid_request_object", id="longer-than-any-token"),
        pytest.param({"content": b""}, "invalid_request_object", id="empty"),
        pytest.param({"content": b"\xff\x00"}, "invalid_request_object", id="bytes"),
        pytest.param({"content": b"<html>sorry</html>"}, "invalid_request_object", id="html"),
        pytest.param({"content": b'{"client_id": "signer"}'}, "invalid_request_object", id="bare-json"),
        pytest.param({"content": unsigned("signer").encode()}, "invalid_request_object", id="unsigned"),
        pytest.param({"content": signed("second").encode()}, "invalid_request_object", id="of-another"),
        pytest.param(
            {"content": signed(request_uri=REQUEST_URI).encode()}, "invalid_request_object", id="names-itself"
        ),
    ],
)
def test_what_comes_may_be_anything(place: Place, change: dict[str, object], error: str) -> None:
    _, browser, server = place
    for name, value in change.items():
        setattr(server, name, value)
    answer = refused(browser.step(beside(request_uri=REQUEST_URI, redirect_uri=CALLBACK, state="o")), error)
    assert answer["state"] == "o"
    assert server.asked == ["/request"]
    assert browser.step(beside(request_uri=REQUEST_URI)).main_id == "page-error"


def test_unsigned_ones_are_not_supported_without_the_switch(tmp_path: Path) -> None:
    server = ObjectServer(unsigned("signer").encode())
    fetcher = Fetcher(AddressRules(), adapter=WSGIAdapter(server))
    world = World.make(
        tmp_path, clients=clients()[:1], request_objects={"by_reference": True}, fetcher=fetcher
    )
    page = world.browser().step(beside(request_uri=REQUEST_URI, redirect_uri=CALLBACK))
    refused(page, "request_uri_not_supported")
    world.close()


@pytest.mark.row("P-09")
def test_an_inner_address_is_not_called(tmp_path: Path) -> None:
    """Registered or not: the name is looked up, and leads to this machine."""
    found: list[str] = []

    def resolver(host: str, port: int) -> list[IPv4Address | IPv6Address]:
        found.append(host)
        return [ip_address("10.0.0.1")]

    fetcher = Fetcher(AddressRules(), resolver=resolver)
    world = World.make(tmp_path, clients=clients()[:1], request_objects=TAKEN, fetcher=fetcher)
    page = world.browser().step(beside(request_uri=REQUEST_URI, redirect_uri=CALLBACK))
    answer = refused(page, "invalid_request_uri")
    assert answer["error_description"] == "request_uri gives no request object"
    assert found == ["app.example"]
    world.close()


def test_no_transaction_is_open_while_it_is_fetched(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    _, browser, server = place
    open_now, seen = [0], []

    def counting(original: object) -> object:
        @contextmanager
        def counted(self: Store) -> Iterator[object]:
            with original(self) as conn:
                open_now[0] += 1
                try:
                    yield conn
                finally:
                    open_now[0] -= 1

        return counted

    for name in ("read", "begin"):
        monkeypatch.setattr(Store, name, counting(getattr(Store, name)))
    server.while_asked = lambda: seen.append(open_now[0])
    assert "code" in browser.step(beside(request_uri=REQUEST_URI)).answer
    assert seen == [0]


@pytest.mark.row("P-09")
def test_a_slow_client_holds_few_threads(place: Place) -> None:
    """Its own requests are told to come again; those of others are served."""
    world, _, server = place
    entered, leave = threading.Semaphore(0), threading.Event()

    def slow() -> None:
        entered.release()
        assert leave.wait(30)

    server.while_asked = slow
    url = beside(request_uri=REQUEST_URI, redirect_uri=CALLBACK)
    waiting = [threading.Thread(target=lambda: world.browser().step(url)) for _ in range(WAITING_PER_CLIENT)]
    for thread in waiting:
        thread.start()
    for _ in waiting:
        assert entered.acquire(timeout=30)
    refused(world.browser().step(url), "temporarily_unavailable")
    assert len(server.asked) == WAITING_PER_CLIENT
    other = threading.Thread(target=lambda: world.browser().step(beside("unsigned", request_uri=REQUEST_URI)))
    other.start()
    assert entered.acquire(timeout=30)
    leave.set()
    for thread in (*waiting, other):
        thread.join()
    server.while_asked = None
    assert world.browser().go(url).main_id == "page-login"
