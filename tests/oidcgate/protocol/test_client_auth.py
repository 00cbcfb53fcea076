"""How a client presents itself."""

import base64
import json
from typing import Any
from urllib.parse import quote_plus

import pytest
from authlib.oauth2.auth import ClientAuth
from hypothesis import example, given
from hypothesis import strategies as st

from oidcgate.protocol.client_assertion import JWT_BEARER
from oidcgate.protocol.client_auth import ClientAuthMethod, PresentedClient, present
from oidcgate.protocol.errors import InvalidClient, InvalidRequest, OAuthError
from oidcgate.settings import Secret


def basic(text: str | bytes) -> str:
    data = text if isinstance(text, bytes) else text.encode()
    return f"Basic {base64.b64encode(data).decode()}"


def asserted(alg: str, **claims: Any) -> list[tuple[str, str]]:
    parts = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
        for part in ({"alg": alg}, claims)
    )
    return [("client_assertion_type", JWT_BEARER), ("client_assertion", ".".join((*parts, "canary")))]


@pytest.mark.row("P-07")
@pytest.mark.parametrize(
    ("alg", "method"),
    [
        ("HS256", ClientAuthMethod.CLIENT_SECRET_JWT),
        ("HS512", ClientAuthMethod.CLIENT_SECRET_JWT),
        ("RS256", ClientAuthMethod.PRIVATE_KEY_JWT),
        ("Ed25519", ClientAuthMethod.PRIVATE_KEY_JWT),
        ("none", ClientAuthMethod.PRIVATE_KEY_JWT),
    ],
)
@pytest.mark.parametrize("named", [[], [("client_id", "app")]], ids=["unnamed", "named"])
def test_an_assertion_is_presented(alg: str, method: ClientAuthMethod, named: list[tuple[str, str]]) -> None:
    form = asserted(alg, iss="app", sub="app")
    presented = present(None, [*named, *form])
    assert presented == PresentedClient(method, "app", None, Secret(form[1][1]))
    assert "canary" not in f"{presented} {presented!r}"


@pytest.mark.row("S-02")
@pytest.mark.parametrize(
    ("header", "form", "expected"),
    [
        pytest.param(
            basic("app:s3cret"),
            [],
            PresentedClient(ClientAuthMethod.CLIENT_SECRET_BASIC, "app", Secret("s3cret")),
            id="basic",
        ),
        pytest.param(
            basic("app:s3cret"),
            [("client_id", "app")],
            PresentedClient(ClientAuthMethod.CLIENT_SECRET_BASIC, "app", Secret("s3cret")),
            id="basic-and-the-same-name",
        ),
        pytest.param(
            basic("a%3Ab+c:p%2Bw%3A+:x"),
            [],
            PresentedClient(ClientAuthMethod.CLIENT_SECRET_BASIC, "a:b c", Secret("p+w: :x")),
            id="basic-form-encoded",
        ),
        pytest.param(
            basic("app:").replace("Basic", "bAsIc"),
            [],
            PresentedClient(ClientAuthMethod.CLIENT_SECRET_BASIC, "app", Secret("")),
            id="basic-without-secret",
        ),
        pytest.param(
            basic("_app:x").replace(" ", "  ") + " ",
            [],
            PresentedClient(ClientAuthMethod.CLIENT_SECRET_BASIC, "_app", Secret("x")),
            id="basic-between-blanks",
        ),
        pytest.param(
            None,
            [("client_id", "app"), ("client_secret", "s3cret")],
            PresentedClient(ClientAuthMethod.CLIENT_SECRET_POST, "app", Secret("s3cret")),
            id="post",
        ),
        pytest.param(
            None, [("client_id", "app")], PresentedClient(ClientAuthMethod.NONE, "app", None), id="none"
        ),
        pytest.param(
            None,
            [("client_id", "app"), ("client_secret", "")],
            PresentedClient(ClientAuthMethod.NONE, "app", None),
            id="empty-secret-counts-as-absent",
        ),
    ],
)
def test_presented(header: str | None, form: list[tuple[str, str]], expected: PresentedClient) -> None:
    assert present(header, form) == expected


@pytest.mark.row("S-02")
@pytest.mark.parametrize(
    ("header", "form", "error"),
    [
        pytest.param(None, [], InvalidClient, id="nothing"),
        pytest.param(None, [("client_secret", "x")], InvalidClient, id="secret-without-name"),
        pytest.param("", [("client_id", "app")], InvalidClient, id="empty-header"),
        pytest.param("Bearer x", [("client_id", "app")], InvalidClient, id="other-scheme"),
        pytest.param("Basic", [], InvalidClient, id="no-credentials"),
        pytest.param("Basic !", [], InvalidClient, id="not-base64"),
        pytest.param("Basic ä", [], InvalidClient, id="not-ascii"),
        pytest.param("Basic YXBw*OnM=", [], InvalidClient, id="base64-with-a-foreign-character"),
        pytest.param("Basic \tYXBwOnM=", [], InvalidClient, id="base64-after-a-tab"),
        pytest.param(basic("app"), [], InvalidClient, id="no-colon"),
        pytest.param(basic(":x"), [], InvalidClient, id="no-name"),
        pytest.param(basic(b"app:\xff"), [], InvalidClient, id="not-utf8"),
        pytest.param(basic("app:%ff"), [], InvalidClient, id="not-utf8-encoded"),
        pytest.param(basic("app:%00"), [], InvalidClient, id="nul"),
        pytest.param(basic("app:%7f"), [], InvalidClient, id="del"),
        pytest.param(basic("app:x"), [("client_secret", "x")], InvalidRequest, id="basic-and-post"),
        pytest.param(basic("app:x"), [("client_id", "other")], InvalidRequest, id="two-names"),
        pytest.param(basic("app:x"), [("client_assertion", "x")], InvalidRequest, id="basic-and-assertion"),
        pytest.param(
            None, [("client_secret", "x"), ("client_assertion", "x")], InvalidRequest, id="post-and-assertion"
        ),
        pytest.param(None, [("client_id", "app"), ("client_assertion", "x")], InvalidClient, id="assertion"),
        pytest.param(
            None, [("client_id", "app"), ("client_assertion_type", "x")], InvalidClient, id="assertion-type"
        ),
        pytest.param(None, asserted("ES256", iss="a", sub="a")[1:], InvalidClient, id="assertion-no-type"),
        pytest.param(None, asserted("ES256", iss="a", sub="a")[:1], InvalidClient, id="assertion-type-only"),
        pytest.param(
            None,
            [
                ("client_assertion_type", JWT_BEARER[:-6] + "saml2-bearer"),
                asserted("ES256", iss="a", sub="a")[1],
            ],
            InvalidClient,
            id="assertion-other-type",
        ),
        pytest.param(None, asserted("ES256", iss="b", sub="a"), InvalidClient, id="assertion-two-names"),
        pytest.param(
            None,
            [("client_id", "b"), *asserted("ES256", iss="a", sub="a")],
            InvalidRequest,
            id="assertion-of-another",
        ),
        pytest.param(
            None,
            [*asserted("HS256", iss="a", sub="a")[:1], ("client_assertion", "a" * 16_385)],
            InvalidRequest,
            id="assertion-oversized",
        ),
        pytest.param(None, [("client_id", "app"), ("client_id", "app")], InvalidRequest, id="name-repeated"),
        *(
            pytest.param(
                None, [("client_id", "app"), (name, "x"), (name, "x")], InvalidRequest, id=f"{name}-repeated"
            )
            for name in ("client_assertion", "client_assertion_type")
        ),
        pytest.param(
            None,
            [("client_id", "app"), ("client_secret", "a"), ("client_secret", "b")],
            InvalidRequest,
            id="secret-repeated",
        ),
        pytest.param(None, [("client_id", "a\x00")], InvalidRequest, id="name-control"),
    ],
)
def test_refused(header: str | None, form: list[tuple[str, str]], error: type[OAuthError]) -> None:
    with pytest.raises(OAuthError) as caught:
        present(header, form)
    assert type(caught.value) is error


@pytest.mark.row("P-15", "A-04")
def test_the_secret_shows_nowhere() -> None:
    presented = present(basic("app:canary"), [])
    assert "canary" not in f"{presented} {presented!r}"


printable = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=20)


@given(printable, printable)
def test_a_form_encoded_name_and_secret_come_back_whole(name: str, secret: str) -> None:
    presented = present(basic(f"{quote_plus(name)}:{quote_plus(secret)}"), [])
    assert (presented.client_id, presented.secret) == (name, Secret(secret))


@given(
    st.from_regex(r"[A-Za-z0-9_-]{1,20}", fullmatch=True),
    st.from_regex(r"[A-Za-z0-9_-]{1,43}", fullmatch=True),
)
def test_what_our_gate_sends_through_authlib_is_understood(name: str, secret: str) -> None:
    for method in ("client_secret_basic", "client_secret_post", "none"):
        auth = ClientAuth(client_id=name, client_secret=secret, auth_method=method)
        _, headers, body = auth.prepare("POST", "https://id.example.com/token", {}, "")
        form = [tuple(pair.split("=")) for pair in body.split("&") if pair]
        presented = present(headers.get("Authorization"), form)
        assert (presented.method, presented.client_id) == (method, name)
        assert presented.secret == (None if method == "none" else Secret(secret))


@given(
    st.none() | st.text(max_size=40) | st.binary(max_size=30).map(basic),
    st.lists(
        st.tuples(st.sampled_from(["client_id", "client_secret", "client_assertion"]), st.text(max_size=8))
        | st.sampled_from(asserted("HS256", iss="a", sub="a")),
        max_size=4,
    ),
)
@example(None, [("client_assertion_type", JWT_BEARER), ("client_assertion", "\x85.a.b")])
def test_anything_is_presented_or_a_declared_error(header: str | None, form: list[tuple[str, str]]) -> None:
    try:
        presented = present(header, form)
    except OAuthError:
        return
    assert presented.client_id
