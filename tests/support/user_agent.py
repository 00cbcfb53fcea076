"""A cookie-keeping user agent without a screen: it follows redirects and submits forms, also in process.

For what only a real browser does (SameSite, frames, layout) see :mod:`tests.support.chromium`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import parse_qsl, urljoin, urlsplit

import requests
from requests.adapters import BaseAdapter

NAVIGATION = {
    "Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Dest": "document",
}


@dataclass
class Form:
    """One form of a page: where it goes and what it would send."""

    action: str = ""
    method: str = "get"
    fields: dict[str, str | list[str]] = field(default_factory=dict)
    buttons: dict[str, tuple[str, str]] = field(default_factory=dict)


class _Document(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.main_id: str | None = None
        self.goes_on: str | None = None
        self._open: Form | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "main":
            self.main_id = values.get("id")
        elif tag == "meta" and values.get("http-equiv") == "refresh":
            seconds, _, url = values.get("content", "").partition(";url=")
            self.goes_on = url if seconds == "0" else None
        elif tag == "form":
            self._open = Form(values.get("action", ""), values.get("method", "get").lower())
            self.forms.append(self._open)
        elif self._open is not None and tag == "input" and values.get("name"):
            kind = values.get("type", "text")
            if kind == "checkbox" and "checked" in values:
                # Boxes of one name are sent together.
                before = self._open.fields.get(values["name"], [])
                assert isinstance(before, list)
                self._open.fields[values["name"]] = [*before, values.get("value", "on")]
            elif kind not in {"checkbox", "radio", "submit"} or "checked" in values:
                self._open.fields[values["name"]] = values.get("value", "")
        elif self._open is not None and tag == "button":
            self._open.buttons[values.get("id", "")] = (values.get("name", ""), values.get("value", ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = None


class Page:
    """What the user agent shows now."""

    def __init__(self, response: requests.Response) -> None:
        self.response = response
        self.url = response.url
        self.status = response.status_code
        self.text = response.text
        document = _Document()
        document.feed(self.text)
        self.forms = document.forms
        self.main_id = document.main_id
        #: Where the page leads by itself, whoever runs no scripts included.
        self.goes_on = document.goes_on

    def form_with(self, button: str) -> Form:
        """The form that holds the button with this id."""
        for form in self.forms:
            if button in form.buttons:
                return form
        raise AssertionError(f"no button {button!r} on {self.url} ({self.status}):\n{self.text[:2000]}")


class UserAgent:
    """A browser's worth of cookies, redirects and forms.

    Args:
        sites: adapters by origin; an origin that is not listed is reached over a socket.
    """

    def __init__(self, sites: Mapping[str, BaseAdapter] | None = None) -> None:
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers.update(NAVIGATION)
        for origin, adapter in (sites or {}).items():
            self.session.mount(origin, adapter)

    def open(self, url: str, **options: object) -> Page:
        """Navigate to ``url`` and follow every redirect."""
        return self._shown(self.session.get(url, timeout=30, **options))  # type: ignore[arg-type]  # options of requests

    def _shown(self, response: requests.Response) -> Page:
        """What is to be seen in the end: a page may go on by itself."""
        page = Page(response)
        while page.goes_on is not None:
            page = Page(self.session.get(urljoin(page.url, page.goes_on), timeout=30))
        return page

    def step(self, url: str) -> requests.Response:
        """One request, no redirect followed."""
        return self.session.get(url, allow_redirects=False, timeout=30)

    def answer(self, url: str, redirect_uri: str, username: str, password: str) -> dict[str, str]:
        """Ask at ``url``, sign in and agree; the parameters sent to ``redirect_uri``, which is not opened.

        Whether in query, fragment or a form is the provider's choice.
        """
        response = self._answered(url, redirect_uri, username, password)
        if location := response.headers.get("Location", ""):
            parts = urlsplit(location)
            return dict(parse_qsl(parts.fragment or parts.query, strict_parsing=True))
        form = Page(response).forms[0]
        assert form.action == redirect_uri
        return {name: str(value) for name, value in form.fields.items()}

    def answer_address(self, url: str, redirect_uri: str, username: str, password: str) -> str:
        """The same, where the answer comes by redirect: the whole address that it leads to."""
        return self._answered(url, redirect_uri, username, password).headers["Location"]

    def _answered(self, url: str, redirect_uri: str, username: str, password: str) -> requests.Response:
        """The response that sends the browser to ``redirect_uri``."""
        response = self.step(url)
        while True:
            location = response.headers.get("Location", "")
            if location.startswith(redirect_uri):
                return response
            if location:
                response = self.step(urljoin(response.url, location))
                continue
            page = Page(response)
            if page.goes_on is not None:
                response = self.step(urljoin(response.url, page.goes_on))
                continue
            if page.main_id == "page-form-post":
                return response
            assert page.main_id in ("page-login", "page-consent"), page.text[:2000]
            filled = {"username": username, "password": password}
            if page.main_id == "page-consent":
                filled = {"decision": "allow"}
            form = page.forms[0]
            response = self.session.post(
                urljoin(response.url, form.action),
                data={**form.fields, **filled},
                allow_redirects=False,
                timeout=30,
            )

    def press(self, page: Page, button: str, values: Mapping[str, str] | None = None) -> Page:
        """Fill in ``values`` and press the button with this id."""
        form = page.form_with(button)
        name, value = form.buttons[button]
        sent = {**form.fields, **(values or {}), **({name: value} if name else {})}
        url = urljoin(page.url, form.action or page.url)
        headers = {
            "Origin": "/".join(page.url.split("/")[:3]),
            "Sec-Fetch-Site": "same-origin",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        if form.method == "post":
            return self._shown(self.session.post(url, data=sent, headers=headers, timeout=30))
        return self._shown(self.session.get(url, params=sent, timeout=30))

    def sign_in(self, page: Page, username: str, password: str) -> Page:
        """Fill in the provider's sign-in page; consent is given when asked for."""
        page = self.press(page, "login", {"username": username, "password": password})
        if page.main_id == "page-consent":
            page = self.press(page, "allow")
        return page
