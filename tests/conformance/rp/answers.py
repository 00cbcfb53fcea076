"""What the provider that the modules play answers, and how an authorization response travels.

What it says is `alias` next door.
"""

import html
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode


@dataclass(frozen=True)
class Answer:
    """Status, headers and what is sent: as JSON, or a text as it is, whose type stands in the headers."""

    status: int
    document: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


def authorization_response(mode: str, redirect_uri: str, parameters: Mapping[str, str]) -> Answer:
    """The answer that brings these parameters to the client.

    Spec: OAuth 2.0 Multiple Response Types 2.1; OAuth 2.0 Form Post Response Mode 2.
    """
    if mode != "form_post":
        mark = {"query": "?", "fragment": "#"}[mode]
        return Answer(302, headers={"Location": f"{redirect_uri}{mark}{urlencode(parameters)}"})
    inputs = "".join(
        f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
        for name, value in parameters.items()
    )
    form = f'<form method="post" action="{html.escape(redirect_uri)}">{inputs}</form>'
    page = f"<!doctype html><title>Signed in</title>{form}<script>document.forms[0].submit()</script>"
    return Answer(200, page, {"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store"})


@dataclass(frozen=True)
class Form:
    """A form that sends itself: to where, and what."""

    action: str
    fields: tuple[tuple[str, str], ...]


def form_of(page: str) -> Form:
    """The form of a page, as `authorization_response` makes one; without one its action is ""."""
    action, fields = "", []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            nonlocal action
            values = {name: value or "" for name, value in attrs}
            if tag == "form":
                action = values["action"]
            elif tag == "input":
                fields.append((values["name"], values["value"]))

    Reader().feed(page)
    return Form(action, tuple(fields))
