"""Modules about what a client says of itself: the sign-in page shows it. Spec: OIDC Registration 2.

The certification looks at a screenshot. Here the page has to have the image, and links with a text.
"""

import base64
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

from tests.conformance.op.browser import Page
from tests.conformance.op.outcome import Failure, need
from tests.conformance.op.registration import register
from tests.conformance.op.registry import module
from tests.conformance.op.run import Run

_CLAUSE = "OIDC Registration 2"
#: A picture of one pixel.
_PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


class _Document(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.images: list[str] = []
        self.links: dict[str, str] = {}
        self._link: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "img":
            self.images.append(values.get("src", ""))
            self.handle_data(values.get("alt", ""))
        elif tag == "a" and "href" in values:
            self._link = values["href"]
            self.links.setdefault(self._link, "")

    def handle_data(self, data: str) -> None:
        if self._link is not None:
            self.links[self._link] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self._link = None


def _sign_in_page(run: Run, **metadata: str) -> tuple[Page, _Document]:
    """Where somebody who was never here is asked to sign in at a client that registered this of itself."""
    client = register(run, **metadata)
    browser = run.target.browser()
    try:
        end = browser.travel(run.authorization_url(run.parameters(client=client)), lambda _: None).end
    finally:
        browser.close()
    if not isinstance(end, Page):
        raise Failure(f"nobody was asked to sign in: {end}", "OIDC Core 3.1.2.3")
    asked = any("password" in form.types.values() for form in end.forms)
    need(end.status == 200 and asked, f"no sign-in page but {end}", "OIDC Core 3.1.2.3")
    document = _Document()
    document.feed(end.text)
    return end, document


def _link(name: str, member: str) -> None:
    @module(name)
    def shown(run: Run) -> None:
        url = run.receiver.serve(f"{member}.html", b"<!doctype html><title>Ours</title>", "text/html")
        _, document = _sign_in_page(run, **{member: url})
        need(url in document.links, f"the sign-in page has no link to {member}", _CLAUSE)
        need(bool(document.links[url].strip()), f"the link to {member} has no text", _CLAUSE)


_link("oidcc-registration-policy-uri", "policy_uri")
_link("oidcc-registration-tos-uri", "tos_uri")


@module("oidcc-registration-logo-uri")
def _logo(run: Run) -> None:
    url = run.receiver.serve("logo.png", _PICTURE, "image/png")
    page, document = _sign_in_page(run, logo_uri=url)
    if url in document.images:
        _check_policy(page, url)
        return
    # Or the provider serves what it fetched.
    shown = (run.picture(urljoin(page.url, image)) for image in document.images)
    need(any(picture == _PICTURE for picture in shown), "the sign-in page does not show the logo", _CLAUSE)


def _check_policy(page: Page, url: str) -> None:
    """That the page lets a browser load the image. Spec: CSP 3, 6.7.2."""
    for policy in page.policies:
        directives = {words[0].lower(): words[1:] for words in map(str.split, policy.split(";")) if words}
        sources = directives.get("img-src", directives.get("default-src", ["*"]))
        allowed = any(_allows(source, url, page.url) for source in sources)
        need(allowed, f"the page forbids its own logo: img-src {' '.join(sources)}", _CLAUSE)


def _allows(source: str, url: str, page: str) -> bool:
    wanted, here = urlsplit(url), urlsplit(page)
    if source == "'self'":
        return (wanted.scheme, wanted.netloc) == (here.scheme, here.netloc)
    if source in ("*", f"{wanted.scheme}:"):
        return True
    origin = f"{wanted.scheme}://{wanted.netloc}"
    return source in (wanted.netloc, origin) or (source.startswith(f"{origin}/") and url.startswith(source))
