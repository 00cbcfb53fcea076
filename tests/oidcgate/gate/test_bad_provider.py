"""An identity provider that lies in one thing at a time, or answers without end: nobody is let in by it."""

import gzip
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from joserfc.jwk import OctKey

from oidcgate.jose.jwt import serialize, unverified_claims
from oidcgate.jose.keys import generate_key, private_jwk, public_jwk
from tests.support.lying_provider import GONE, ISSUER, NOW, Scene, signing_key

TRUE_KEY = public_jwk(signing_key(), "one", "ES256")
OTHER_KEY = public_jwk(generate_key("ES256"), "two", "ES256")
ENDPOINTS = ("/.well-known/openid-configuration", "/jwks", "/token", "/userinfo", "/par")


def without(jwk: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in jwk.items() if name not in names}


class Endless(io.RawIOBase):
    """A body that never ends."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        buffer[:] = b" " * len(buffer)
        return len(buffer)


@pytest.mark.row("G-28")
@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda: {"body": Endless()}, id="endless"),
        pytest.param(
            lambda: {"content": gzip.compress(b" " * 50_000_000), "headers": {"Content-Encoding": "gzip"}},
            id="inflating",
        ),
        pytest.param(lambda: {"text": "[" * 100_000}, id="deep"),
        pytest.param(lambda: {"text": '{"issuer": "a", "issuer": "b"}'}, id="member-twice"),
        pytest.param(lambda: {"content": b"\xff\xfe{}"}, id="no-utf-8"),
    ],
)
def test_an_answer_that_cannot_be_one(endpoint: str, answer: Callable[[], dict[str, Any]]) -> None:
    scene = Scene.set({"provider": {"get_user_info": True}})
    scene.provider.metadata["pushed_authorization_request_endpoint"] = f"{ISSUER}/par"
    scene.provider.breaks(endpoint, **answer())
    browser = scene.browser()
    page = browser.get("/.oidcgate/login?rd=/")
    if page.status_code == 303:
        page = browser.get(scene.provider.answer(page.headers["Location"]))
    assert page.status_code in (400, 503)
    assert scene.provider.calls(endpoint) == 1
    assert not browser.has_session()


@pytest.mark.row("F-04", "P-14")
class TestKeySets:
    """Which keys count: for signatures, with this algorithm, under this name."""

    def signed_in(self, document: Any, kid: Any = "one") -> tuple[Scene, int]:
        scene = Scene.set()
        scene.provider.breaks("/jwks", text=document if isinstance(document, str) else json.dumps(document))
        if kid != "one":
            scene.provider.header["kid"] = kid
        browser = scene.browser()
        status = browser.sign_in().status_code
        assert browser.has_session() is (status == 303)
        return scene, status

    @pytest.mark.parametrize(
        ("document", "kid"),
        [
            pytest.param({"keys": [OTHER_KEY, TRUE_KEY]}, "one", id="among-others"),
            pytest.param({"keys": [without(TRUE_KEY, "alg", "use")]}, "one", id="says-nothing-of-its-use"),
            pytest.param({"keys": [without(TRUE_KEY, "kid")]}, GONE, id="no-kid-and-one-key"),
            pytest.param({"keys": [{"kty": "new"}, 7, TRUE_KEY]}, "one", id="beside-what-nobody-knows"),
            pytest.param({"keys": [{**OTHER_KEY, "kid": "one"}, TRUE_KEY]}, "one", id="kid-twice"),
            pytest.param(
                json.dumps({"keys": [TRUE_KEY], "comment": "x" * 990_000}), "one", id="just-below-the-cap"
            ),
        ],
    )
    def test_what_is_believed(self, document: Any, kid: Any) -> None:
        assert self.signed_in(document, kid)[1] == 303

    @pytest.mark.parametrize(
        ("document", "kid", "reason"),
        [
            pytest.param({"keys": []}, "one", "id_token_kid_unknown", id="empty"),
            pytest.param({"keys": [OTHER_KEY]}, "one", "id_token_kid_unknown", id="another"),
            pytest.param(
                {"keys": [{**TRUE_KEY, "use": "enc"}]}, "one", "id_token_kid_unknown", id="to-encrypt-with"
            ),
            pytest.param(
                {"keys": [{**TRUE_KEY, "key_ops": ["sign"]}]},
                "one",
                "id_token_kid_unknown",
                id="key-ops",
            ),
            pytest.param(
                {"keys": [{**TRUE_KEY, "alg": "ES384"}]}, "one", "id_token_kid_unknown", id="other-alg"
            ),
            pytest.param(
                {"keys": [without(TRUE_KEY, "kid"), without(OTHER_KEY, "kid")]},
                GONE,
                "id_token_kid_unknown",
                id="two-without-kid",
            ),
            pytest.param({"keys": [{**OTHER_KEY, "kid": "one"}]}, "one", "id_token_signature", id="stolen"),
        ],
    )
    def test_what_is_refused(self, document: Any, kid: Any, reason: str) -> None:
        scene, status = self.signed_in(document, kid)
        assert status == 400
        assert scene.reasons() == [reason]

    @pytest.mark.parametrize(
        "document",
        [
            pytest.param({"keys": {"one": TRUE_KEY}}, id="no-list"),
            pytest.param({}, id="no-keys"),
            pytest.param({"keys": [TRUE_KEY, private_jwk(signing_key())]}, id="private"),
            pytest.param({"keys": [TRUE_KEY, OctKey.generate_key(256).as_dict()]}, id="symmetric"),
            pytest.param({"keys": [TRUE_KEY] * 101}, id="101-keys"),
            pytest.param(json.dumps({"keys": [TRUE_KEY], "comment": "x" * 1_000_000}), id="1-mb"),
        ],
    )
    def test_a_set_that_is_none(self, document: Any) -> None:
        scene, status = self.signed_in(document)
        assert status == 503
        assert scene.audit[-1]["event"] == "service.unavailable"


@pytest.mark.row("P-14", "G-24")
@pytest.mark.parametrize(
    ("header", "reason"),
    [
        pytest.param({"alg": "HS256", "kid": "one"}, "id_token_alg", id="hs256-with-the-public-key"),
        pytest.param({"alg": "HS256"}, "id_token_alg", id="without-kid"),
    ],
)
def test_a_public_key_is_never_a_secret(header: dict[str, str], reason: str) -> None:
    scene = Scene.set()
    scene.provider.metadata["id_token_signing_alg_values_supported"] = ["ES256", "HS256"]
    public = OctKey.import_key(json.dumps(TRUE_KEY))
    scene.provider.altered = lambda token: serialize(header, unverified_claims(token), public, None)
    assert scene.browser().sign_in().status_code == 400
    assert scene.reasons() == [reason]


@pytest.mark.row("S-33")
@pytest.mark.parametrize(
    ("skew", "claims", "reason"),
    [
        pytest.param(0, {"exp": NOW + 1}, None, id="0-good"),
        pytest.param(0, {"exp": NOW}, "id_token_exp", id="0-ended"),
        pytest.param(0, {"iat": NOW + 1}, "id_token_iat", id="0-from-the-future"),
        pytest.param(None, {"exp": NOW - 59}, None, id="default-within"),
        pytest.param(None, {"exp": NOW - 60}, "id_token_exp", id="default-beyond"),
        pytest.param(300, {"exp": NOW - 299, "iat": NOW + 300, "nbf": NOW + 300}, None, id="300-within"),
        pytest.param(300, {"exp": NOW - 300}, "id_token_exp", id="300-ended"),
        pytest.param(300, {"iat": NOW + 301}, "id_token_iat", id="300-iat"),
        pytest.param(300, {"nbf": NOW + 301}, "id_token_nbf", id="300-nbf"),
    ],
)
def test_clocks_may_differ_as_far_as_configured(
    skew: int | None, claims: dict[str, Any], reason: str | None
) -> None:
    scene = Scene.set({"provider": {"clock_skew_seconds": skew}})
    scene.provider.claims |= claims
    browser = scene.browser()
    assert browser.sign_in().status_code == (303 if reason is None else 400)
    assert scene.reasons() == ([] if reason is None else [reason])
    assert browser.has_session() is (reason is None)
