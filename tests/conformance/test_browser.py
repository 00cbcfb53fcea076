"""What the browser of the modules reads in a page, and what a person who judges a provider presses there."""

import pytest

from tests.conformance.op.browser import Page, forms_of
from tests.conformance.op.target import Client, Target, User

CLIENT = Client("app", "its-secret", "https://app.example/cb")
TARGET = Target("https://id.example", CLIENT, CLIENT, CLIENT, User("alice", "her-password"))

LOGIN = (
    '<form method="post" action="/in"><input type="hidden" name="csrf" value="t&amp;1">'
    '<input name="user"><input type="password" name="pass"><input type="checkbox" name="remember">'
    '<button name="do" value="in">Sign in</button></form>'
)
CONSENT = (
    '<form method="post"><input type="checkbox" name="scope" value="email" checked>'
    '<input type="checkbox" name="scope" value="phone" checked>'
    '<input type="checkbox" name="scope" value="address">'
    '<input type="checkbox" name="remember" checked>'
    '<button id="deny" name="decision" value="deny">No, thanks</button>'
    '<button id="allow" name="decision" value="allow">Allow</button></form>'
)


def page(body: str, status: int = 200) -> Page:
    return Page("https://id.example/", status, "text/html", body, tuple(forms_of(body)))


@pytest.mark.parametrize(
    ("body", "kind", "values"),
    [
        pytest.param(LOGIN, "login", {"user": "alice", "pass": "her-password", "do": "in"}, id="login"),
        pytest.param(CONSENT, "consent", {"decision": "allow"}, id="consent"),
        pytest.param(
            f'<form method="post"><button>Cancel</button></form>{CONSENT}', "consent", {"decision": "allow"},
            id="a-form-that-only-says-no",
        ),
        pytest.param(
            '<form method="post"><input type="submit" name="go" value="Continue"></form>', "consent",
            {"go": "Continue"}, id="an-input-for-a-button",
        ),
        pytest.param(
            '<form method="post"><button type="button">Show</button><button>Go on</button></form>', "consent",
            {}, id="a-button-that-submits-nothing",
        ),
        pytest.param(
            '<form method="post" id="f"></form><button form="f" name="do" value="on">On</button>', "consent",
            {"do": "on"}, id="a-button-beside-its-form",
        ),
    ],
)  # fmt: skip
def test_a_person_goes_on_from_a_page(body: str, kind: str, values: dict[str, str]) -> None:
    submission = TARGET.answer(page(body))

    assert submission is not None
    assert (submission.kind, submission.values) == (kind, values)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param("<h1>Signed out</h1>", 200, id="no-form"),
        pytest.param(LOGIN, 400, id="an-error"),
        pytest.param(LOGIN.replace("post", "get"), 200, id="a-password-for-the-address-bar"),
        pytest.param(CONSENT.replace("allow", "deny").replace("Allow", "Deny"), 200, id="only-no"),
    ],
)
def test_a_person_stops_where_there_is_nothing_to_press(body: str, status: int) -> None:
    assert TARGET.answer(page(body, status)) is None


LOGOUT = (
    '<form method="post" id="out"><input type="hidden" name="csrf" value="1"></form>'
    '<button form="out">No, stay signed in</button>'
    '<button form="out" id="logout" name="logout" value="yes">Yes, sign me out</button>'
)


@pytest.mark.parametrize(
    ("body", "status", "values"),
    [
        pytest.param(LOGOUT, 200, {"logout": "yes"}, id="a-question"),
        pytest.param(LOGOUT, 400, None, id="an-error"),
        pytest.param("<h1>Signed out</h1>", 200, None, id="no-form"),
        pytest.param(LOGIN, 200, None, id="a-sign-in"),
    ],
)
def test_a_person_who_wants_to_be_signed_out_agrees_to_that_alone(
    body: str, status: int, values: dict[str, str] | None
) -> None:
    submission = TARGET.sign_out(page(body, status))

    assert (submission and submission.values) == values


def test_fields_are_read_as_they_would_be_sent() -> None:
    (login,) = forms_of(LOGIN)
    (consent,) = forms_of(CONSENT)

    assert login.fields == [("csrf", "t&1"), ("user", ""), ("pass", "")]
    assert consent.fields == [("scope", "email"), ("scope", "phone"), ("remember", "on")]
