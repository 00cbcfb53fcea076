"""The names an identity travels under: none of them comes in from outside, in any spelling."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

import oidcgate
from oidcgate.identity import (
    IDENTITY_ENVIRON,
    Identity,
    ReservedNames,
    environ_text,
    is_reserved,
    normalise_name,
    read_only,
)

HEADERS = [
    *("X-Forwarded-User", "X-Forwarded-Email", "X-Forwarded-Groups", "X-Forwarded-Preferred-Username"),
    *("X-Forwarded-Access-Token", "X-Auth-Request-User", "X-Auth-Request-Email", "X-Auth-Request-Groups"),
    *("X-Auth-Request-Preferred-Username", "X-Auth-Request-Access-Token", "X-Auth-Request-Anything-Else"),
    *("OIDC_CLAIM_sub", "OIDC-Claim-Email", "OIDC_access_token", "OIDC_id_token_payload"),
    *("Remote-User", "Remote-Groups", "Remote-Name", "Remote-Email", "X-Remote-User"),
    *("X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method", "X-HTTP-Method-Override", "X-Forwarded-Prefix"),
    *("X-Script-Name", "Client-Cert", "Client-Cert-Chain", "X-SSL-Client-Cert", "X-SSL-Client-Verify"),
    *("X-Forwarded-Client-Cert", "SSL-Client-S-DN", "Script-Name", "Path-Info", "Auth-Type"),
]


NAMES = ReservedNames()


def spelled(name: str, draw: st.DrawFn) -> str:
    """`name` as a client might write it so that a comparison misses it."""
    out = []
    for character in name:
        if character in "-_":
            out.append(draw(st.sampled_from("-_. ~:")))
        else:
            out.append(draw(st.sampled_from([character.lower(), character.upper()])))
    return "".join(out)


@st.composite
def mutated_headers(draw: st.DrawFn) -> tuple[str, str]:
    name = draw(st.sampled_from(HEADERS))
    return name, f"HTTP_{spelled(name, draw)}"


@pytest.mark.row("G-20")
@given(mutated_headers())
def test_every_spelling_of_every_identity_header_is_deleted(header: tuple[str, str]) -> None:
    environ = {header[1]: "alice", "HTTP_HOST": "app.example.com"}
    NAMES.strip_environ(environ)
    assert environ == {"HTTP_HOST": "app.example.com"}


@pytest.mark.row("G-20")
@pytest.mark.parametrize(
    "key",
    ["REMOTE_USER", "AUTH_TYPE", "REMOTE_IDENT", IDENTITY_ENVIRON, "oidcgate.anything", "HTTP_OIDCGATE_USER"],
)
def test_keys_that_a_server_or_a_middleware_in_front_may_have_set_are_deleted(key: str) -> None:
    environ = {key: "alice"}
    NAMES.strip_environ(environ)
    assert environ == {}


@pytest.mark.parametrize(
    "key",
    [
        *(
            "HTTP_AUTHORIZATION",
            "HTTP_X_FORWARDED_FOR",
            "HTTP_X_FORWARDED_HOST",
            "HTTP_X_CUSTOM",
            "HTTP_COOKIE",
        ),
        *("REMOTE_ADDR", "SCRIPT_NAME", "PATH_INFO", "CONTENT_TYPE", "wsgi.input", "HTTP_REMOTELY_FUNNY"),
        *("HTTP_X_FORWARDED_USERS", "HTTP_X_USER_AGENT"),
    ],
)
def test_what_carries_no_identity_stays(key: str) -> None:
    environ = {key: "x", "HTTP_X_SOMETHING_UNUSUAL": "y"}
    NAMES.strip_environ(environ)
    assert environ == {key: "x", "HTTP_X_SOMETHING_UNUSUAL": "y"}


def test_long_names_are_judged_like_short_ones() -> None:
    environ = {"HTTP_X_AUTH_REQUEST_" + "A" * 500: "x", "HTTP_X_PLAIN_" + "A" * 500: "y"}
    NAMES.strip_environ(environ)
    assert list(environ.values()) == ["y"]


@pytest.mark.row("G-20")
@given(mutated_headers())
def test_every_spelling_is_deleted_from_the_headers_of_a_scope(header: tuple[str, str]) -> None:
    name = header[1].removeprefix("HTTP_").lower().encode()
    assert NAMES.strip_headers([(b"host", b"app"), (name, b"alice"), (name, b"bob")]) == [(b"host", b"app")]


def test_headers_of_a_scope_that_carry_no_identity_stay_in_order_and_in_a_list_of_their_own() -> None:
    headers = [(b"x-b", b"1"), (b"cookie", b"c"), (b"x-a", b"2"), (b"x-b", b"3")]
    kept = NAMES.strip_headers(headers)
    assert kept == headers
    headers.append((b"x-forwarded-user", b"a trailer that comes too late"))
    assert len(kept) == 4


@pytest.mark.row("G-20", "T-02")
@pytest.mark.parametrize("name", ["x-desk-user", "X_Desk.User", "x-request-id", "X-Request-Id"])
def test_names_of_ones_own_are_reserved_too_also_where_they_are_everyday_names(name: str) -> None:
    names = ReservedNames(["X-Desk-User", "X-Request-ID"])
    environ = {"HTTP_" + name.upper().replace("-", "_"): "alice", "HTTP_HOST": "app"}
    names.strip_environ(environ)
    assert environ == {"HTTP_HOST": "app"}
    assert names.strip_headers([(name.lower().encode(), b"alice"), (b"host", b"app")]) == [(b"host", b"app")]
    assert NAMES.strip_headers([(b"x-desk-user", b"x")]) == [(b"x-desk-user", b"x")]


@pytest.mark.parametrize(
    ("name", "normalised"),
    [
        pytest.param("X-Forwarded-User", "X_FORWARDED_USER", id="hyphens"),
        pytest.param("x.forwarded:user", "X_FORWARDED_USER", id="other separators"),
        pytest.param("rem\u017ft", "REM_T", id="a letter that upper() makes ASCII"),
        pytest.param("o\u0131dc", "O_DC", id="dotless i"),
        pytest.param("é", "_", id="beyond ASCII"),
    ],
)
def test_names_compare_by_ascii_letters_and_digits(name: str, normalised: str) -> None:
    assert normalise_name(name) == normalised


def test_prefixes_and_names_are_reserved_and_their_neighbours_are_not() -> None:
    assert is_reserved("X_FORWARDED_USER")
    assert is_reserved("REMOTE_GROUPS")
    assert not is_reserved("X_FORWARDED_USERS")
    assert not is_reserved("REMOTE")


def test_an_identity_cannot_be_edited_by_the_app() -> None:
    claims = read_only({"groups": ["a"], "address": {"country": "SK"}, "name": "Alice"})
    identity = Identity("Alice", "s", "https://id.example", claims=claims)
    with pytest.raises(AttributeError):
        identity.user_name = "Mallory"
    with pytest.raises(TypeError):
        identity.claims["name"] = "Mallory"
    with pytest.raises(TypeError):
        identity.claims["address"]["country"] = "CZ"
    assert identity.claims["groups"] == ("a",)


def test_names_beyond_ascii_travel_as_wsgi_wants_them() -> None:
    assert environ_text("Zoë").encode("latin-1").decode() == "Zoë"
    assert environ_text("Alice") == "Alice"


def test_the_public_names_are_exactly_those() -> None:
    assert oidcgate.__all__ == ["AsyncGate", "Gate", "Identity", "ReverseProxy"]
    assert oidcgate.Identity is Identity
    assert set(oidcgate.__all__) <= set(dir(oidcgate))
    with pytest.raises(AttributeError, match="nothing"):
        _ = oidcgate.nothing


def test_the_gate_is_read_without_what_only_its_routes_need() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, oidcgate.gate.wsgi; print(*sys.modules)"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert "oidcgate.gate.decision" in loaded
    assert not {"werkzeug", "requests", "sqlalchemy", "jinja2", "authlib", "joserfc"} & set(loaded)
