"""A provider that lies about itself in one way at a time."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oidcgate.protocol.errors import Reason, Refused
from oidcgate.protocol.metadata import (
    ProviderMetadata,
    check_provider_metadata,
    configuration_url,
    issuer_of,
    same_issuer,
)

ISSUER = "https://id.example.com"
DOCUMENT: dict[str, Any] = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/authorize?tenant=1",
    "token_endpoint": f"{ISSUER}/token",
    "userinfo_endpoint": f"{ISSUER}/userinfo",
    "jwks_uri": "https://keys.example.net/jwks",
    "end_session_endpoint": f"{ISSUER}/end_session",
    "scopes_supported": ["openid", "profile"],
    "response_types_supported": ["code", "id_token"],
    "subject_types_supported": ["public"],
    "id_token_signing_alg_values_supported": ["RS256", "ES256"],
    "token_endpoint_auth_methods_supported": ["client_secret_basic"],
    "code_challenge_methods_supported": ["S256"],
    "authorization_response_iss_parameter_supported": True,
    "claims_supported": "not looked at",
}
LOOPBACK = {
    name: value.replace(ISSUER, "http://localhost:9000").replace(
        "https://keys.example.net", "http://127.0.0.1:9000"
    )
    if isinstance(value, str)
    else value
    for name, value in DOCUMENT.items()
}


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in DOCUMENT.items() if key != name}


@pytest.mark.row("F-04")
def test_sound_metadata() -> None:
    assert check_provider_metadata(DOCUMENT, ISSUER) == ProviderMetadata(
        issuer=ISSUER,
        authorization_endpoint=f"{ISSUER}/authorize?tenant=1",
        token_endpoint=f"{ISSUER}/token",
        jwks_uri="https://keys.example.net/jwks",
        userinfo_endpoint=f"{ISSUER}/userinfo",
        end_session_endpoint=f"{ISSUER}/end_session",
        revocation_endpoint=None,
        check_session_iframe=None,
        pushed_authorization_request_endpoint=None,
        require_pushed_authorization_requests=False,
        id_token_signing_alg_values_supported=("RS256", "ES256"),
        token_endpoint_auth_methods_supported=("client_secret_basic",),
        token_endpoint_auth_signing_alg_values_supported=None,
        code_challenge_methods_supported=("S256",),
        scopes_supported=("openid", "profile"),
        iss_parameter_supported=True,
    )


def test_what_may_be_missing() -> None:
    required = (
        "issuer",
        "authorization_endpoint",
        "token_endpoint",
        "jwks_uri",
        "response_types_supported",
        "subject_types_supported",
        "id_token_signing_alg_values_supported",
    )
    metadata = check_provider_metadata({name: DOCUMENT[name] for name in required}, ISSUER)
    assert (metadata.userinfo_endpoint, metadata.end_session_endpoint, metadata.scopes_supported) == (
        None,
    ) * 3
    assert metadata.token_endpoint_auth_methods_supported == ("client_secret_basic",)
    assert metadata.code_challenge_methods_supported == ()
    assert metadata.iss_parameter_supported is False


@pytest.mark.row("P-14")
def test_unknown_algorithms_are_passed_over() -> None:
    document = DOCUMENT | {"id_token_signing_alg_values_supported": ["none", "HS256", "ML-DSA-65", "ES256"]}
    assert check_provider_metadata(document, ISSUER).id_token_signing_alg_values_supported == (
        "HS256",
        "ES256",
    )


@pytest.mark.row("F-04", "G-13")
@pytest.mark.parametrize(
    ("document", "reason", "member"),
    [
        pytest.param({}, Reason.METADATA_ISSUER, "issuer", id="empty"),
        pytest.param(without("issuer"), Reason.METADATA_ISSUER, "issuer", id="issuer-missing"),
        pytest.param(
            DOCUMENT | {"issuer": ISSUER + "/"}, Reason.METADATA_ISSUER, "issuer", id="issuer-with-slash"
        ),
        pytest.param(
            DOCUMENT | {"issuer": "https://ID.example.com"},
            Reason.METADATA_ISSUER,
            "issuer",
            id="issuer-in-capitals",
        ),
        pytest.param(
            DOCUMENT | {"issuer": "https://evil.example"},
            Reason.METADATA_ISSUER,
            "issuer",
            id="issuer-foreign",
        ),
        pytest.param(DOCUMENT | {"issuer": [ISSUER]}, Reason.METADATA_ISSUER, "issuer", id="issuer-list"),
        *(
            pytest.param(without(name), Reason.METADATA_INVALID, name, id=f"{name}-missing")
            for name in (
                "authorization_endpoint",
                "token_endpoint",
                "jwks_uri",
                "response_types_supported",
                "subject_types_supported",
                "id_token_signing_alg_values_supported",
            )
        ),
        *(
            pytest.param(DOCUMENT | {name: value}, Reason.METADATA_INVALID, name, id=f"{name}-{kind}")
            for name in (
                "authorization_endpoint",
                "token_endpoint",
                "jwks_uri",
                "userinfo_endpoint",
                "end_session_endpoint",
                "revocation_endpoint",
                "pushed_authorization_request_endpoint",
            )
            for kind, value in (
                ("http", "http://id.example.com/x"),
                ("http-loopback", "http://localhost/x"),
                ("fragment", "https://id.example.com/x#y"),
                ("user-info", "https://a@id.example.com/x"),
                ("relative", "/x"),
                ("javascript", "javascript:alert(1)"),
                ("list", ["https://id.example.com/x"]),
                ("empty", ""),
            )
        ),
        *(
            pytest.param(DOCUMENT | {name: value}, Reason.METADATA_INVALID, name, id=f"{name}-{kind}")
            for name in (
                "scopes_supported",
                "response_types_supported",
                "subject_types_supported",
                "id_token_signing_alg_values_supported",
                "token_endpoint_auth_methods_supported",
                "code_challenge_methods_supported",
            )
            for kind, value in (("string", "x"), ("of-lists", [["x"]]), ("object", {"x": 1}))
        ),
        pytest.param(
            DOCUMENT | {"response_types_supported": ["token"]},
            Reason.METADATA_INVALID,
            "response_types_supported",
            id="no-code-flow",
        ),
        pytest.param(
            DOCUMENT | {"subject_types_supported": ["odd"]},
            Reason.METADATA_INVALID,
            "subject_types_supported",
            id="odd-subject-type",
        ),
        pytest.param(
            DOCUMENT | {"id_token_signing_alg_values_supported": ["none"]},
            Reason.METADATA_INVALID,
            "id_token_signing_alg_values_supported",
            id="no-algorithm-we-know",
        ),
        pytest.param(
            DOCUMENT | {"authorization_response_iss_parameter_supported": "true"},
            Reason.METADATA_INVALID,
            "authorization_response_iss_parameter_supported",
            id="iss-parameter-string",
        ),
        pytest.param(
            DOCUMENT | {"token_endpoint_auth_signing_alg_values_supported": "RS256"},
            Reason.METADATA_INVALID,
            "token_endpoint_auth_signing_alg_values_supported",
            id="algorithms-of-proofs-string",
        ),
        pytest.param(
            DOCUMENT | {"require_pushed_authorization_requests": 1},
            Reason.METADATA_INVALID,
            "require_pushed_authorization_requests",
            id="require-pushed-number",
        ),
        *(
            pytest.param(
                DOCUMENT | {"authorization_endpoint": f"{ISSUER}/authorize?tenant=1&{name}=x"},
                Reason.METADATA_INVALID,
                "authorization_endpoint",
                id=f"authorization-endpoint-with-{name}",
            )
            for name in ("client_id", "redirect_uri", "state", "nonce", "request_uri", "%73tate")
        ),
    ],
)
def test_one_faulty_member_is_named(document: dict[str, Any], reason: Reason, member: str) -> None:
    with pytest.raises(Refused) as caught:
        check_provider_metadata(document, ISSUER)
    assert caught.value.reason is reason
    told = caught.value.detail
    if reason is Reason.METADATA_INVALID:
        name, _, problem = told.partition(": ")
        assert name == member
        assert problem not in ("", "None")
    else:
        assert member in told


@pytest.mark.parametrize(
    ("issuer", "said"),
    [
        pytest.param("https://evil.example", "'https://evil.example'", id="foreign"),
        pytest.param("https://evil.example/\x1b\n", r"'https://evil.example/\x1b\n'", id="control"),
        pytest.param("x" * 500, "'" + "x" * 199, id="long"),
        pytest.param([ISSUER], "missing", id="list"),
        pytest.param(None, "missing", id="null"),
    ],
)
def test_the_log_says_which_issuer_spoke_instead_of_which(issuer: object, said: str) -> None:
    with pytest.raises(Refused) as caught:
        check_provider_metadata(DOCUMENT | {"issuer": issuer}, ISSUER)
    assert f" {said}, " in caught.value.detail
    assert ISSUER in caught.value.detail


def test_an_issuer_that_is_no_issuer_is_refused_even_if_both_say_so() -> None:
    for issuer in (
        "http://id.example.com",
        "https://id.example.com?x",
        "id.example.com",
        "https://id.example.com#",
    ):
        with pytest.raises(Refused) as caught:
            check_provider_metadata(DOCUMENT | {"issuer": issuer}, issuer)
        assert caught.value.reason is Reason.METADATA_INVALID
        assert caught.value.detail.startswith("issuer: ")
        assert caught.value.detail != "issuer: None"


@pytest.mark.row("S-53")
def test_http_on_loopback_needs_the_named_switch() -> None:
    with pytest.raises(Refused):
        check_provider_metadata(LOOPBACK, "http://localhost:9000")
    metadata = check_provider_metadata(LOOPBACK, "http://localhost:9000", insecure_allow_http_loopback=True)
    assert metadata.token_endpoint == "http://localhost:9000/token"
    with pytest.raises(Refused, match="token_endpoint"):
        check_provider_metadata(
            LOOPBACK | {"token_endpoint": "http://id.example.com/token"},
            "http://localhost:9000",
            insecure_allow_http_loopback=True,
        )


def test_the_environment_does_not_switch_https_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")
    with pytest.raises(Refused, match="token_endpoint"):
        check_provider_metadata(DOCUMENT | {"token_endpoint": "http://id.example.com/token"}, ISSUER)


@pytest.mark.row("F-04")
@pytest.mark.parametrize(
    ("issuer", "url"),
    [
        (ISSUER, f"{ISSUER}/.well-known/openid-configuration"),
        (f"{ISSUER}/a/b", f"{ISSUER}/a/b/.well-known/openid-configuration"),
    ],
)
def test_issuer_and_configuration_url_belong_together(issuer: str, url: str) -> None:
    assert configuration_url(issuer) == url
    assert configuration_url(issuer + "/") == url
    assert issuer_of(url) == issuer


@pytest.mark.parametrize("url", [ISSUER, f"{ISSUER}/.well-known/openid-configuration?x", ""])
def test_another_url_has_no_issuer(url: str) -> None:
    with pytest.raises(ValueError, match="configuration URL ends in"):
        issuer_of(url)


def test_issuers_are_compared_byte_for_byte() -> None:
    assert same_issuer(ISSUER, "https://id." + "example.com")
    assert not same_issuer(ISSUER, ISSUER + "/")


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.just("https://id.example.com/x"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.dictionaries(
        st.sampled_from([*DOCUMENT, "grant_types_supported", "response_modes_supported"]), anything
    )
)
def test_any_document_is_metadata_or_the_declared_refusal(changes: dict[str, Any]) -> None:
    try:
        metadata = check_provider_metadata(DOCUMENT | changes, ISSUER)
    except Refused:
        return
    assert metadata.issuer == ISSUER
    assert metadata.token_endpoint.startswith("https://")
