"""Drafts of tokens: nothing is signed before it is sent, and an ID token is bound to what it is sent with.

The hashes are computed here as OIDC Core 3.1.3.6 says, not by the code under test.
"""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from oidcgate.protocol.errors import ServerError
from oidcgate.protocol.parameters import MAX_TOKEN_CHARACTERS
from provider.services.minting import AccessDraft, FrontDraft, IdTokenDraft, TokenDraft

CODE = "the-code"
HANDLE = "the-handle"


@dataclass
class Pen:
    """A signer that keeps what it was given, and signs nothing twice with the same text."""

    alg: str = "RS256"
    signed: list[tuple[dict[str, Any], str | None]] = field(default_factory=list)

    def sign(self, claims: Mapping[str, Any], *, typ: str | None = None) -> str:
        self.signed.append((dict(claims), typ))
        return f"{self.alg}.{len(self.signed)}.signature"


def hashed(text: str, name: str = "sha256") -> str:
    digest = hashlib.new(name, text.encode()).digest()
    return urlsafe_b64encode(digest[: len(digest) // 2]).decode().rstrip("=")


def opaque() -> AccessDraft:
    return AccessDraft(HANDLE, 300, ("openid", "email"))


def jwt(pen: Pen) -> AccessDraft:
    return AccessDraft(HANDLE, 60, ("read",), pen, {"jti": HANDLE, "aud": "https://orders.example"})


def id_token(pen: Pen) -> IdTokenDraft:
    return IdTokenDraft(pen, {"sub": "sub-1", "nonce": "n"})


def test_an_opaque_token_is_its_handle() -> None:
    assert opaque().text() == HANDLE


def test_a_token_for_an_api_is_signed_as_what_it_is() -> None:
    pen = Pen()
    assert jwt(pen).text() == "RS256.1.signature"
    assert pen.signed == [({"jti": HANDLE, "aud": "https://orders.example"}, "at+jwt")]


class Brush(Pen):
    """A signer of long tokens."""

    def sign(self, claims: Mapping[str, Any], *, typ: str | None = None) -> str:
        return "x" * int(claims["length"])


def test_nobody_gets_an_access_token_that_no_endpoint_would_read_back() -> None:
    def of(length: int) -> AccessDraft:
        return AccessDraft(HANDLE, 60, ("read",), Brush(), {"length": length})

    assert len(of(MAX_TOKEN_CHARACTERS).text()) == MAX_TOKEN_CHARACTERS
    with pytest.raises(ServerError) as refused:
        of(MAX_TOKEN_CHARACTERS + 1).text()
    assert "fewer claims" in refused.value.detail


@pytest.mark.parametrize(
    "half",
    [
        pytest.param(AccessDraft(HANDLE, 60, (), signer=Pen()), id="nothing-to-sign"),
        pytest.param(AccessDraft(HANDLE, 60, (), claims={"jti": HANDLE}), id="nothing-to-sign-with"),
    ],
)
def test_what_cannot_be_signed_is_its_handle(half: AccessDraft) -> None:
    assert half.text() == HANDLE


@pytest.mark.row("S-05", "S-06")
@pytest.mark.parametrize(
    ("sent", "bound"),
    [
        pytest.param({}, {}, id="alone"),
        pytest.param({"access_token": HANDLE}, {"at_hash": hashed(HANDLE)}, id="token"),
        pytest.param({"code": CODE}, {"c_hash": hashed(CODE)}, id="code"),
        pytest.param(
            {"access_token": HANDLE, "code": CODE},
            {"at_hash": hashed(HANDLE), "c_hash": hashed(CODE)},
            id="both",
        ),
    ],
)
def test_an_id_token_is_bound_to_what_it_is_sent_with(sent: dict[str, str], bound: dict[str, str]) -> None:
    pen = Pen()
    assert id_token(pen).text(**sent) == "RS256.1.signature"
    assert pen.signed == [({"sub": "sub-1", "nonce": "n", **bound}, None)]


@pytest.mark.parametrize(
    ("alg", "name"),
    [
        pytest.param("RS256", "sha256", id="RS256"),
        pytest.param("HS384", "sha384", id="HS384"),
        pytest.param("ES512", "sha512", id="ES512"),
        pytest.param("EdDSA", "sha512", id="EdDSA"),
    ],
)
def test_the_hash_is_that_of_the_signature(alg: str, name: str) -> None:
    pen = Pen(alg)
    id_token(pen).text(access_token=HANDLE, code=CODE)
    [(claims, _)] = pen.signed
    assert (claims["at_hash"], claims["c_hash"]) == (hashed(HANDLE, name), hashed(CODE, name))


def test_claims_do_not_name_hashes_of_their_own() -> None:
    pen = Pen()
    IdTokenDraft(pen, {"at_hash": "foreign", "c_hash": "foreign"}).text(access_token=HANDLE, code=CODE)
    [(claims, _)] = pen.signed
    assert claims == {"at_hash": hashed(HANDLE), "c_hash": hashed(CODE)}


@pytest.mark.row("P-08")
def test_an_id_token_is_signed_first_and_then_encrypted() -> None:
    draft = IdTokenDraft(Pen(), {}, encrypt=lambda signed: f"[{signed}]")
    assert draft.text() == "[RS256.1.signature]"


@pytest.mark.row("E-12")
def test_the_answer_of_the_token_endpoint_for_no_person() -> None:
    assert TokenDraft(opaque(), ("openid", "email", "read")).response().document() == {
        "access_token": HANDLE,
        "token_type": "Bearer",
        "expires_in": 300,
        # What was granted, not the part of it that this token carries.
        "scope": "openid email read",
    }


def test_the_answer_of_the_token_endpoint() -> None:
    pen, other = Pen(), Pen("ES256")
    draft = TokenDraft(jwt(pen), ("openid", "read"), refresh_token="refresh", id_token=id_token(other))
    assert draft.response().document() == {
        "access_token": "RS256.1.signature",
        "token_type": "Bearer",
        "expires_in": 60,
        "scope": "openid read",
        "refresh_token": "refresh",
        "id_token": "ES256.1.signature",
    }
    # Bound to the token as it was sent, which is the one that was signed; a code is not sent here.
    assert len(pen.signed) == 1
    assert other.signed == [({"sub": "sub-1", "nonce": "n", "at_hash": hashed("RS256.1.signature")}, None)]


def test_no_part_of_an_answer_that_was_not_asked_for() -> None:
    assert FrontDraft().parameters() == {}


@pytest.mark.row("S-05", "S-06")
@pytest.mark.parametrize(
    ("code", "access", "bound"),
    [
        pytest.param(None, False, {}, id="id-token"),
        pytest.param(CODE, False, {"c_hash": hashed(CODE)}, id="code"),
        pytest.param(None, True, {"at_hash": hashed("RS256.1.signature")}, id="token"),
        pytest.param(
            CODE, True, {"c_hash": hashed(CODE), "at_hash": hashed("RS256.1.signature")}, id="code-and-token"
        ),
    ],
)
def test_the_answer_of_the_authorization_endpoint(
    code: str | None, access: bool, bound: dict[str, str]
) -> None:
    pen, other = Pen(), Pen()
    answer = FrontDraft(code, jwt(pen) if access else None, id_token(other)).parameters()
    expected = {"id_token": "RS256.1.signature"}
    if code is not None:
        expected["code"] = code
    if access:
        expected |= {
            "access_token": "RS256.1.signature",
            "token_type": "Bearer",
            "expires_in": "60",
            "scope": "read",
        }
    assert answer == expected
    assert len(pen.signed) == access
    assert other.signed == [({"sub": "sub-1", "nonce": "n", **bound}, None)]


def test_a_token_without_an_id_token_by_the_front() -> None:
    assert FrontDraft(access=opaque()).parameters() == {
        "access_token": HANDLE,
        "token_type": "Bearer",
        "expires_in": "300",
        "scope": "openid email",
    }


def test_nothing_is_signed_before_it_is_sent() -> None:
    pen = Pen()
    drafts = (
        TokenDraft(jwt(pen), ("read",), id_token=id_token(pen)),
        FrontDraft(CODE, jwt(pen), id_token(pen)),
    )
    assert pen.signed == []
    drafts[0].response()
    assert len(pen.signed) == 2
    drafts[1].parameters()
    assert len(pen.signed) == 4


def test_no_draft_shows_what_it_would_send() -> None:
    front = FrontDraft(CODE, opaque(), None)
    back = TokenDraft(opaque(), ("openid",), refresh_token="the-refresh-token")
    for text in (repr(front), repr(back)):
        assert not any(secret in text for secret in (CODE, HANDLE, "the-refresh-token"))
