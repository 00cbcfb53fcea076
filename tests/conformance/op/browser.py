"""A browser without a screen and without scripts: cookies, redirects, forms, and the way back to the client.

It never calls a client's redirect URI: arriving there ends a journey. Which forms it fills in is `target`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http import HTTPStatus
from typing import Protocol
from urllib.parse import parse_qsl, urldefrag, urljoin, urlsplit

import requests

from tests.conformance.op.outcome import Failure

Pairs = tuple[tuple[str, str], ...]
FORM = "application/x-www-form-urlencoded"
_LONGEST_JOURNEY = 30
_NAVIGATION = {
    "Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Dest": "document",
}


@dataclass(frozen=True)
class Button:
    """A button that submits its form."""

    id: str
    name: str
    value: str
    text: str


@dataclass
class Form:
    """One form of a page: where it goes, what it would send, and the types of its fields by name."""

    action: str
    method: str
    enctype: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    types: dict[str, str] = field(default_factory=dict)
    buttons: list[Button] = field(default_factory=list)
    id: str = ""


class _Document(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        #: Buttons beside the form that they name. Spec: HTML, 4.10.18.3.
        self.apart: list[tuple[str, Button]] = []
        self._form: Form | None = None
        self._button: dict[str, str] | None = None
        self._text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        kind = values.get("type", "submit" if tag == "button" else "text").lower()
        if tag == "form":
            method, enctype = values.get("method", "get").lower(), values.get("enctype", FORM).lower()
            self._form = Form(values.get("action", ""), method, enctype, id=values.get("id", ""))
            self.forms.append(self._form)
        elif tag == "button" and kind == "submit":
            self._button, self._text = values, ""
        elif tag == "input" and kind == "submit":
            self._add(values, values.get("value", ""))
        elif self._form is None:
            return
        elif (
            tag == "input"
            and values.get("name")
            and (kind not in ("checkbox", "radio") or "checked" in values)
        ):
            # What is checked and says nothing says "on". Spec: HTML, 4.10.5.1.15.
            default = "on" if kind in ("checkbox", "radio") else ""
            self._form.fields.append((values["name"], values.get("value", default)))
            self._form.types[values["name"]] = kind

    def handle_data(self, data: str) -> None:
        self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "button" and self._button is not None:
            self._add(self._button, self._text.strip())
            self._button = None

    def _add(self, values: dict[str, str], text: str) -> None:
        button = Button(values.get("id", ""), values.get("name", ""), values.get("value", ""), text)
        if "form" in values:
            self.apart.append((values["form"], button))
        elif self._form is not None:
            self._form.buttons.append(button)


@dataclass(frozen=True)
class Page:
    """What the browser shows, and what the page may load (its Content-Security-Policy)."""

    url: str
    status: int
    content_type: str
    text: str
    forms: tuple[Form, ...]
    policies: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"a page with status {self.status} at {urlsplit(self.url).path}: {self.text[:300]!r}"


@dataclass(frozen=True)
class Callback:
    """A request that left for a client: how, to where, and what it carried in each of the three places."""

    method: str
    uri: str
    query: Pairs = ()
    fragment: Pairs = ()
    form: Pairs = ()

    def __str__(self) -> str:
        places = {"query": self.query, "fragment": self.fragment, "form": self.form}
        carried = ", ".join(
            f"{place}: {dict(pairs).get('error') or sorted({name for name, _ in pairs})}"
            for place, pairs in places.items()
            if pairs
        )
        return f"a {self.method} to {self.uri} ({carried or 'empty'})"


@dataclass(frozen=True)
class Submission:
    """A form filled in, and what kind of question it answered."""

    kind: str
    form: Form
    values: dict[str, str]


@dataclass(frozen=True)
class Journey:
    """Where a request ended, and what the person was asked on the way (``login``, ``consent``)."""

    end: Page | Callback
    asked: tuple[str, ...]


Answer = Callable[[Page], Submission | None]


class Traveller(Protocol):
    """Whatever takes a person through pages: this browser, or one with a screen (`screen`)."""

    def travel(self, url: str, answer: Answer, *, form: Sequence[tuple[str, str]] | None = None) -> Journey:
        """Open ``url`` (or POST ``form`` to it from another site), fill in pages, and go where that leads.

        Args:
            answer: what to do with a page: a form to submit, or None to stop there.
        """


class Browser:
    """One browser: its cookies and its connections.

    Args:
        ca_file: the authority that the provider's certificate is from; None: those of the system.
        clients: the redirect URIs at which a journey ends, registered or not.
    """

    def __init__(self, ca_file: str | None, clients: Sequence[str]) -> None:
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = ca_file or True
        self._session.headers.update(_NAVIGATION)
        self._clients = tuple(clients)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def travel(self, url: str, answer: Answer, *, form: Sequence[tuple[str, str]] | None = None) -> Journey:
        """See `Traveller`."""
        asked: list[str] = []
        response = self._get(url) if form is None else self._post_from_elsewhere(url, form)
        for _ in range(_LONGEST_JOURNEY):
            if response.is_redirect:
                target = urljoin(response.url, response.headers["Location"])
                if self._is_a_client(target):
                    return Journey(_by_redirect(response, target), tuple(asked))
                if response.status_code in (HTTPStatus.TEMPORARY_REDIRECT, HTTPStatus.PERMANENT_REDIRECT):
                    raise Failure(
                        f"a {response.status_code} redirect repeats what the person sent", "RFC 9700 4.12"
                    )
                response = self._get(target)
                continue
            page = _page(response)
            left = self._leaving_form(page)
            if left is not None:
                return Journey(left, tuple(asked))
            submission = answer(page)
            if submission is None:
                return Journey(page, tuple(asked))
            asked.append(submission.kind)
            response = self._submit(page, submission)
        raise Failure(f"no end after {_LONGEST_JOURNEY} steps; asked: {asked}", "OIDC Core 3.1.2.1")

    def _is_a_client(self, url: str) -> bool:
        return is_one_of(url, self._clients)

    def _leaving_form(self, page: Page) -> Callback | None:
        for form in page.forms:
            target = urljoin(page.url, form.action)
            if self._is_a_client(target):
                if form.method != "post" or form.enctype != FORM:
                    raise Failure(
                        f"the answer leaves by {form.method} as {form.enctype}, not by a form-encoded POST",
                        "OAuth 2.0 Form Post Response Mode 2",
                    )
                uri, _, query = urldefrag(target).url.partition("?")
                return Callback(
                    "POST", uri, pairs_of(query), pairs_of(urlsplit(target).fragment), tuple(form.fields)
                )
        return None

    def _get(self, url: str) -> requests.Response:
        return self._session.get(url, allow_redirects=False, timeout=30)

    def _post_from_elsewhere(self, url: str, form: Sequence[tuple[str, str]]) -> requests.Response:
        """A cross-site POST: the browser sends only the cookies that are SameSite=None."""
        kept = requests.cookies.RequestsCookieJar()
        for cookie in self._session.cookies:
            rest = {name.lower(): value for name, value in vars(cookie).get("_rest", {}).items()}
            if str(rest.get("samesite", "lax")).lower() == "none":
                kept.set_cookie(cookie)
        whole = self._session.cookies
        self._session.cookies = kept
        try:
            response = self._session.post(
                url, data=list(form), headers={"Origin": "null", "Sec-Fetch-Site": "cross-site"},
                allow_redirects=False, timeout=30,
            )  # fmt: skip
        finally:
            whole.update(self._session.cookies)
            self._session.cookies = whole
        return response

    def _submit(self, page: Page, submission: Submission) -> requests.Response:
        url = urljoin(page.url, submission.form.action)
        kept = [pair for pair in submission.form.fields if pair[0] not in submission.values]
        sent = [*kept, *submission.values.items()]
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(page.url))
        headers = {"Origin": origin, "Sec-Fetch-Site": "same-origin"}
        return self._session.post(url, data=sent, headers=headers, allow_redirects=False, timeout=30)


def _by_redirect(response: requests.Response, target: str) -> Callback:
    method = response.request.method or "GET"
    repeats = response.status_code in (HTTPStatus.TEMPORARY_REDIRECT, HTTPStatus.PERMANENT_REDIRECT)
    rest, fragment = urldefrag(target)
    uri, _, query = rest.partition("?")
    return Callback(method if repeats else "GET", uri, pairs_of(query), pairs_of(fragment))


def forms_of(text: str) -> list[Form]:
    """The forms of an HTML document."""
    document = _Document()
    document.feed(text)
    for name, button in document.apart:
        for form in document.forms:
            if form.id == name:
                form.buttons.append(button)
    return document.forms


def pairs_of(encoded: str) -> Pairs:
    """What an encoded form, query or fragment says."""
    return tuple(parse_qsl(encoded, keep_blank_values=True))


def is_one_of(url: str, clients: Sequence[str]) -> bool:
    """Whether a URL is one of these, whatever its query and fragment."""
    bare = urldefrag(url).url.partition("?")[0]
    return bare in {client.partition("?")[0] for client in clients}


def _page(response: requests.Response) -> Page:
    content_type = response.headers.get("Content-Type", "")
    forms: tuple[Form, ...] = ()
    if "html" in content_type:
        forms = tuple(forms_of(response.text))
    # Several headers come as one, with commas.
    policies = tuple(response.headers.get("Content-Security-Policy", "").split(","))
    return Page(response.url, response.status_code, content_type, response.text, forms, policies)
