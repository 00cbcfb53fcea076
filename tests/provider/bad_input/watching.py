"""What holds for every answer of the provider, whatever was sent: who it may lead to, and what it may say."""

import json
import logging
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser

from werkzeug.test import TestResponse

from provider.endpoints.check_session import CheckSession
from provider.pages import FORM_POST_SCRIPT
from tests.provider.bad_input.mutations import CANARY
from tests.provider.bad_input.oracle import Outcome, Sent, Shown, Told

_ERROR_TEXT = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]*")
_LEAKS = ("Traceback", "sqlalchemy", "psycopg", "sqlite3", '.py", line', "werkzeug", "jinja2")


@dataclass
class Reader(HTMLParser):
    """Reads a page as a browser does: which elements there are, and what stands there as text."""

    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    scripts: list[str] = field(default_factory=list)
    text: str = ""
    _inside: str = ""

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts.append(data.strip())
        elif self._inside != "style":
            self.text += data


def read(page: str) -> Reader:
    """The page, read."""
    reader = Reader()
    reader.feed(page)
    reader.close()
    return reader


def problem_of(response: TestResponse, may_lead_to: Collection[str], *, public: bool = False) -> str | None:
    """What is wrong with an answer that is wrong whatever was asked; None when nothing is.

    Args:
        may_lead_to: Beginnings of addresses: our own, and those that are registered.
        public: The answer is a document that anybody may keep.
    """
    status, headers, body = response.status_code, response.headers, response.get_data(as_text=True)
    location = headers.get("Location")
    kind = response.mimetype
    if status >= 500:
        return f"status {status}: {body[:200]}"
    if any("\n" in value or "\r" in value for _, value in headers) or "X-Injected" in headers:
        return "a header was split"
    if any(CANARY in value for name, value in headers if name != "Location"):
        return "what was sent is in a header"
    if location is not None and not any(location.startswith(start) for start in may_lead_to):
        return f"leads to {location[:200]}"
    if any(word in body for word in _LEAKS):
        return "tells how it is made"
    if headers.get("Cache-Control") != "no-store" and not public:
        return f"may be kept: {headers.get('Cache-Control')}"
    if kind == "text/html":
        return _problem_of_page(response, body, may_lead_to)
    if kind == "application/json" and status >= 400:
        return _problem_of_error(headers.get("X-Content-Type-Options"), body)
    if kind not in ("application/json", "application/jwt", "text/plain", "") and status != 204:
        return f"content type {kind}"
    return None


def _problem_of_page(response: TestResponse, body: str, may_lead_to: Collection[str]) -> str | None:
    if "charset=utf-8" not in response.headers["Content-Type"]:
        return "a page without charset"
    policy = response.headers.get("Content-Security-Policy", "")
    if "default-src 'none'" not in policy or "unsafe" in policy:
        return f"policy {policy}"
    page = read(body)
    if page.scripts == [CheckSession.script().strip()]:
        framed_by = policy.partition("frame-ancestors ")[2].partition(";")[0]
        if framed_by not in ("'none'", "https://app.example"):
            return f"may be framed by {framed_by}"
    elif [script for script in page.scripts if script != FORM_POST_SCRIPT]:
        return "a script that is not ours"
    elif "frame-ancestors 'none'" not in policy or response.headers.get("X-Frame-Options") != "DENY":
        return "a page that can be framed"
    for tag, attributes in page.elements:
        if any(name.startswith("on") for name in attributes) or tag in ("img", "iframe", "object", "base"):
            return f"an element that is not ours: {tag} {attributes}"
        # The one link that is not for people is the icon, which is in the page.
        target = attributes.get("action") or attributes.get("href") if tag != "link" else None
        if target and not target.startswith(("#", "/", "otpauth://totp/", *may_lead_to)):
            return f"a page that leads to {target[:200]}"
    return None


def _problem_of_error(sniffing: str | None, body: str) -> str | None:
    if sniffing != "nosniff":
        return "may be sniffed"
    document = json.loads(body)
    if not document.keys() <= {"error", "error_description"}:
        return f"members {sorted(document)}"
    if CANARY in body:
        return "says what was sent"
    if not all(_ERROR_TEXT.fullmatch(value) for value in document.values()):
        return "characters that RFC 6749 5.2 forbids"
    return None


def outcome_problem(response: TestResponse, due: Outcome) -> str | None:
    """How an answer differs from what is due; for FINE the door has its own say."""
    status, body = response.status_code, response.get_data(as_text=True)
    match due:
        case Told(expected, error):
            said = response.get_json().get("error") if response.mimetype == "application/json" else None
            if (status, said) != (expected, error):
                return f"{status} {said or body[:100]!r} in place of {expected} {error}"
            if status == 401 and "Authorization" in response.request.headers:
                return None if "WWW-Authenticate" in response.headers else "401 without a challenge"
        case Shown(expected, main_id):
            found = re.search(r'<main[^>]*\bid="([^"]+)"', body)
            if (status, found and found[1]) != (expected, main_id):
                return f"{status} {found and found[1]} {response.headers.get('Location')} in place of {due}"
        case Sent(error):
            answer = f"{response.headers.get('Location', '')} {body}"
            if status not in (200, 303) or not re.search(rf'error(=|" value="){error}\b', answer):
                return f"{status} {answer[:200]} in place of {error}"
    return None


class Written(logging.Handler):
    """Everything that is logged, as an operator reads it, and the events beside it."""

    def __init__(self, events: list[str]) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []
        self.events = events

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))

    def holding(self, secrets: Collection[str]) -> str | None:
        """A line that holds one of these."""
        for line in (*self.lines, *self.events):
            if any(secret in line for secret in secrets):
                return line
        return None

    def clear(self) -> None:
        """Forget what was written."""
        self.lines.clear()
        self.events.clear()


@contextmanager
def written(events: list[str]) -> Iterator[Written]:
    """Listen to everything that the project logs, at the lowest level."""
    handler = Written(events)
    loggers = [logging.getLogger(name) for name in ("provider", "oidcgate")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
    yield handler
    for logger, level in zip(loggers, before, strict=True):
        logger.removeHandler(handler)
        logger.setLevel(level)
