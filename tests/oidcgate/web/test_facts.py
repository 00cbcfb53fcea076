"""What a request is."""

from typing import Any

import pytest

from oidcgate.web.canonical_path import PathFault
from oidcgate.web.facts import BadRequest, Facts, RequestFault, RequestKind, facts_from_environ


def environ(method: str = "GET", path: str = "/a", **more: str) -> dict[str, Any]:
    return {"REQUEST_METHOD": method, "SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": "", **more}


HTML = "text/html,application/xhtml+xml,*/*;q=0.8"
PREFLIGHT = {"HTTP_ORIGIN": "https://x.example", "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "PUT"}


@pytest.mark.row("G-09")
@pytest.mark.parametrize(
    ("method", "headers", "kind"),
    [
        pytest.param(
            "GET", {"HTTP_SEC_FETCH_MODE": "navigate"}, RequestKind.NAVIGATION, id="browser navigates"
        ),
        pytest.param(
            "POST", {"HTTP_SEC_FETCH_MODE": "navigate"}, RequestKind.NAVIGATION, id="form is posted"
        ),
        pytest.param(
            "GET", {"HTTP_SEC_FETCH_MODE": "cors", "HTTP_ACCEPT": HTML}, RequestKind.SCRIPT, id="fetch"
        ),
        pytest.param("GET", {"HTTP_SEC_FETCH_MODE": "no-cors"}, RequestKind.SCRIPT, id="image"),
        pytest.param("GET", {"HTTP_SEC_FETCH_MODE": ""}, RequestKind.SCRIPT, id="empty mode"),
        pytest.param(
            "GET",
            {"HTTP_SEC_FETCH_MODE": "navigate", "HTTP_SEC_PURPOSE": "prefetch;prerender"},
            RequestKind.SCRIPT,
            id="speculative navigation",
        ),
        pytest.param(
            "GET",
            {"HTTP_SEC_FETCH_MODE": "navigate", "HTTP_X_REQUESTED_WITH": "x"},
            RequestKind.NAVIGATION,
            id="the browser's word goes first",
        ),
        pytest.param("GET", {"HTTP_ACCEPT": HTML}, RequestKind.NAVIGATION, id="old browser"),
        pytest.param(
            "GET",
            {"HTTP_ACCEPT": HTML, "HTTP_X_REQUESTED_WITH": "XMLHttpRequest"},
            RequestKind.SCRIPT,
            id="old script",
        ),
        pytest.param("GET", {"HTTP_ACCEPT": "application/json"}, RequestKind.SCRIPT, id="program"),
        pytest.param("GET", {"HTTP_ACCEPT": "*/*"}, RequestKind.SCRIPT, id="curl"),
        pytest.param("GET", {}, RequestKind.SCRIPT, id="says nothing"),
        pytest.param("OPTIONS", PREFLIGHT, RequestKind.PREFLIGHT, id="preflight"),
        pytest.param(
            "OPTIONS", {"HTTP_ORIGIN": "https://x"}, RequestKind.SCRIPT, id="OPTIONS without a wish"
        ),
        pytest.param("GET", PREFLIGHT, RequestKind.SCRIPT, id="GET that looks like a preflight"),
        pytest.param(
            "GET",
            {"HTTP_UPGRADE": "websocket", "HTTP_CONNECTION": "keep-alive, Upgrade"},
            RequestKind.UPGRADE,
            id="WebSocket",
        ),
        pytest.param(
            "GET", {"HTTP_UPGRADE": "websocket"}, RequestKind.SCRIPT, id="Upgrade nobody is told of"
        ),
    ],
)
def test_the_kind_of_a_request(method: str, headers: dict[str, str], kind: RequestKind) -> None:
    assert facts_from_environ(environ(method, **headers)).kind is kind


@pytest.mark.row("G-21")
@pytest.mark.parametrize(
    ("script_name", "path_info", "path"),
    [
        ("", "/a", "/a"),
        ("", "", "/"),
        ("/app", "/a", "/app/a"),
        ("/app", "", "/app"),
        ("/app", "/", "/app/"),
        ("", "/\xc5\xbe", "/ž"),
    ],
)
def test_the_path_is_what_the_app_will_see(script_name: str, path_info: str, path: str) -> None:
    assert facts_from_environ(environ(path=path_info, SCRIPT_NAME=script_name)).path == path


@pytest.mark.row("G-21")
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"REQUEST_METHOD": "get"}, RequestFault.METHOD, id="method in lower case"),
        pytest.param({"REQUEST_METHOD": "GE T"}, RequestFault.METHOD, id="method with a space"),
        pytest.param({"REQUEST_METHOD": ""}, RequestFault.METHOD, id="no method"),
        pytest.param({"REQUEST_METHOD": "A" * 33}, RequestFault.METHOD, id="endless method"),
        pytest.param(
            {"SCRIPT_NAME": "/pub", "PATH_INFO": "lic"}, RequestFault.SPLIT_PATH, id="cut in a segment"
        ),
        pytest.param({"SCRIPT_NAME": "/a/", "PATH_INFO": "/b"}, PathFault.EMPTY_SEGMENT, id="slash twice"),
        pytest.param({"SCRIPT_NAME": "a"}, PathFault.NOT_ABSOLUTE, id="mounted nowhere"),
        pytest.param({"PATH_INFO": "/../a"}, PathFault.DOT_SEGMENT, id="dots"),
        pytest.param({"PATH_INFO": "/" + "a" * 300 + "/.."}, PathFault.DOT_SEGMENT, id="dots in a long path"),
        pytest.param(
            {"PATH_INFO": "/a", "RAW_URI": "/b"}, PathFault.RAW_MISMATCH, id="raw form says otherwise"
        ),
        pytest.param(
            {"PATH_INFO": "/a", "REQUEST_URI": "/b?"}, PathFault.RAW_MISMATCH, id="so does REQUEST_URI"
        ),
        pytest.param(
            {"SCRIPT_NAME": "/admin", "PATH_INFO": "/x", "RAW_URI": "/x"},
            PathFault.RAW_MISMATCH,
            id="SCRIPT_NAME from a header",
        ),
        pytest.param({"RAW_URI": "https://app.example.com/a"}, PathFault.NOT_ABSOLUTE, id="absolute-form"),
        pytest.param({"HTTP_HOST": "a.example,b.example"}, RequestFault.HOST, id="two hosts"),
        pytest.param({"HTTP_HOST": "a.example/x"}, RequestFault.HOST, id="host with a path"),
        pytest.param({"HTTP_HOST": "u@a.example"}, RequestFault.HOST, id="host with a user"),
    ],
)
def test_what_is_not_understood_is_refused_by_name(changes: dict[str, str], reason: object) -> None:
    with pytest.raises(BadRequest) as caught:
        facts_from_environ(
            environ(**changes) if "REQUEST_METHOD" not in changes else {**environ(), **changes}
        )
    assert caught.value.reason is reason


def test_a_mounted_app_whose_raw_form_is_whole_passes() -> None:
    facts = facts_from_environ(environ(path="/x y", SCRIPT_NAME="/admin", RAW_URI="/admin/x%20y?q=%2F"))
    assert facts.path == "/admin/x y"


def test_the_rest_is_taken_as_sent() -> None:
    facts = facts_from_environ(
        environ(
            QUERY_STRING="a=b",
            HTTP_HOST="app.example.com:8443",
            HTTP_ORIGIN="null",
            HTTP_SEC_FETCH_SITE="none",
        )
    )
    assert facts == Facts("GET", "/a", "a=b", RequestKind.SCRIPT, "app.example.com:8443", "null", "none")


@pytest.mark.parametrize(
    ("origin", "fetch_site", "same"),
    [
        pytest.param("https://app.example.com", "same-origin", True, id="both say so"),
        pytest.param("", "same-origin", True, id="the browser says so"),
        pytest.param("https://app.example.com", "", True, id="an old browser names our origin"),
        pytest.param("https://evil.example", "same-origin", False, id="they disagree"),
        pytest.param("https://app.example.com", "same-site", False, id="sibling host"),
        pytest.param("", "cross-site", False, id="another site"),
        pytest.param("", "none", False, id="address bar"),
        pytest.param("null", "", False, id="opaque origin"),
        pytest.param("", "", False, id="silence"),
    ],
)
def test_only_a_page_of_our_own_is_same_origin(origin: str, fetch_site: str, same: bool) -> None:
    facts = facts_from_environ(environ("POST", HTTP_ORIGIN=origin, HTTP_SEC_FETCH_SITE=fetch_site))
    assert facts.is_same_origin({"https://app.example.com"}) is same


def test_an_encoded_slash_is_read_both_ways_where_it_may_stand() -> None:
    asked = environ(path="/a/b", RAW_URI="/a%2Fb")
    facts = facts_from_environ(asked, insecure_encoded_slash=True)
    assert (facts.path, facts.other_path) == ("/a/b", "/a%2Fb")
    with pytest.raises(BadRequest):
        facts_from_environ(asked)
    assert facts_from_environ(environ(), insecure_encoded_slash=True).other_path is None


@pytest.mark.parametrize("raw", ["/public%2F..%2Fadmin", "/public%2F%2Fadmin", "/public%2F%2e%2e/admin"])
def test_no_other_rule_of_paths_is_softer_where_an_encoded_slash_may_stand(raw: str) -> None:
    decoded = raw.replace("%2F", "/").replace("%2e", ".")
    with pytest.raises(BadRequest):
        facts_from_environ(environ(path=decoded, RAW_URI=raw), insecure_encoded_slash=True)
