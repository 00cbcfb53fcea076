"""What a client says of itself: which URLs are shown to people, and what is refused."""

from typing import Any

import pytest

from provider.client_about import AboutRules
from tests.provider.asserting import client
from tests.provider.test_config import problems

LINKS = ("client_uri", "policy_uri", "tos_uri")
URLS = (*LINKS, "logo_uri", "initiate_login_uri")


def wrong(loopback: bool = False, **changes: Any) -> list[str]:
    found = problems(clients=[client(**changes)], insecure_allow_http_loopback=loopback)
    return [problem.removeprefix("clients[0].") for problem in found]


@pytest.mark.parametrize("name", URLS)
@pytest.mark.parametrize(
    "uri",
    [
        pytest.param("https://app.example", id="host"),
        pytest.param("https://App.Example:8443/a/b?c=d&e=%20", id="everything"),
        pytest.param("https://[2001:db8::1]/x", id="address"),
    ],
)
def test_what_is_right(name: str, uri: str) -> None:
    assert wrong(**{name: uri}) == []


@pytest.mark.row("P-03")
@pytest.mark.parametrize("name", URLS)
@pytest.mark.parametrize(
    "uri",
    [
        pytest.param("javascript:alert(1)", id="script"),
        pytest.param("JavaScript://app.example/%0aalert(1)", id="script-that-looks-like-a-url"),
        pytest.param("data:text/html,<script>", id="data"),
        pytest.param("data:image/png;base64,AAAA", id="data-image"),
        pytest.param("vbscript:x", id="vbscript"),
        pytest.param("blob:https://app.example/1", id="blob"),
        pytest.param("//app.example/x", id="no-scheme"),
        pytest.param("/x", id="path"),
        pytest.param("http://app.example/x", id="http"),
        pytest.param("https://user:pw@app.example/", id="user-info"),
        pytest.param("https://app.example/ x", id="space"),
        pytest.param("https://app.example/\"onload='x'", id="quote"),
        pytest.param("https://app.example/\u202e", id="turned-around"),
        pytest.param("https://app.example/\nx", id="line-end"),
        pytest.param("https://app.example/%zz", id="broken-escape"),
        pytest.param("https://a;script-src", id="end-of-a-directive"),
        pytest.param("https://", id="no-host"),
        pytest.param("https://app.example/" + "x" * 2048, id="too-long"),
    ],
)
def test_what_is_no_address_of_an_application(name: str, uri: str) -> None:
    (problem,) = wrong(loopback=True, **{name: uri})
    assert problem.startswith((f"{name}: '", f'{name}: "'))


@pytest.mark.parametrize("name", URLS)
def test_a_part_of_a_page_is_for_links_only(name: str) -> None:
    assert (wrong(**{name: "https://app.example/terms#people"}) == []) is (name in LINKS)


@pytest.mark.parametrize("name", URLS)
def test_http_on_this_machine_needs_the_switch_and_never_begins_a_sign_in(name: str) -> None:
    uri = "http://localhost:8000/x"
    assert wrong(**{name: uri})
    assert (wrong(loopback=True, **{name: uri}) == []) is (name != "initiate_login_uri")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        pytest.param({"contacts": ["a@app.example", ""]}, "contacts[1]: ''", id="empty"),
        pytest.param({"contacts": ["a@app.example b@app.example"]}, "contacts[0]: ", id="two-in-one"),
        pytest.param({"contacts": ["a@app.example\n"]}, "contacts[0]: ", id="line-end"),
        pytest.param({"contacts": ["x" * 321]}, "contacts[0]: ", id="too-long"),
        pytest.param({"default_acr_values": ["a b"]}, "default_acr_values[0]: ", id="two-values-in-one"),
        pytest.param({"default_acr_values": ["\u202e"]}, "default_acr_values[0]: ", id="turned-around"),
        pytest.param({"default_max_age": -1}, "default_max_age: ", id="negative"),
        pytest.param({"default_max_age": "soon"}, "default_max_age: ", id="no-number"),
        pytest.param({"require_auth_time": "yes"}, "require_auth_time: ", id="no-switch"),
    ],
)
def test_what_is_wrong(changes: dict[str, Any], problem: str) -> None:
    (found,) = wrong(**changes)
    assert found.startswith(problem)


def test_what_else_is_right() -> None:
    assert wrong(
        contacts=["a@app.example", "x" * 320],
        default_acr_values=["urn:mace:incommon:iap:silver", "phr"],
        default_max_age=0,
        require_auth_time=True,
    ) == []  # fmt: skip


def test_every_address_that_is_shown_is_judged() -> None:
    judged = {name for name in AboutRules.__annotations__ if name.endswith("_uri")}
    assert judged == set(URLS)
