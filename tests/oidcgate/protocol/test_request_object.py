"""Request objects: break one thing, and nothing of the object is believed; what is believed goes first."""

import base64
import hashlib
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from oidcgate.protocol.authorization import (
    PARAMETER_NAMES,
    AuthorizationRequest,
    RawRequest,
    complete,
    parse_authorization_request,
)
from oidcgate.protocol.errors import InvalidRequest, InvalidRequestObject, RegistrationNotSupported
from oidcgate.protocol.parameters import Parameters
from oidcgate.protocol.request_object import (
    ObjectRules,
    RequestUri,
    asked_by,
    check_object_claims,
    content_hash,
    registered_request_uri,
    request_uri_problem,
    unsigned_object,
)

NOW = 1_800_000_000
SKEW = 10
ISSUER = "https://id.example.com"
RULES = ObjectRules("app", ISSUER, signed=True, clock_skew_seconds=SKEW)
UNSIGNED_RULES = ObjectRules("app", ISSUER, signed=False, clock_skew_seconds=SKEW)
HEADER: dict[str, Any] = {"alg": "RS256", "kid": "k"}
CLAIMS: dict[str, Any] = {"iss": "app", "aud": ISSUER, "client_id": "app", "response_type": "code"}
MISSING = object()
OUTER = {
    "client_id": "app",
    "response_type": "code",
    "scope": "openid profile",
    "redirect_uri": "https://app.example.com/outside",
    "state": "outside",
}


def altered(**changes: Any) -> dict[str, Any]:
    return {name: value for name, value in (CLAIMS | changes).items() if value is not MISSING}


def outer(*further: tuple[str, str], **changes: Any) -> RawRequest:
    said = OUTER | {"request": "a.b.c"} | changes
    pairs = [(name, value) for name, value in said.items() if value is not MISSING]
    return parse_authorization_request([*pairs, *further])


def merged(claims: dict[str, Any], raw: RawRequest | None = None, *, alone: bool = False) -> dict[str, str]:
    found = asked_by(raw or outer(), claims, signed=True, alone=alone)
    assert len(found.pairs) == len(dict(found.pairs))
    assert found.parameters.values == {name: value for name, value in found.pairs if value}
    return dict(found.pairs)


# --- who it is from, for whom, and when


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="as-built"),
        pytest.param({"iss": MISSING}, id="client_id-alone-says-whose-it-is"),
        pytest.param({"client_id": MISSING}, id="iss-alone-says-whose-it-is"),
        pytest.param({"aud": [ISSUER]}, id="aud-list"),
        pytest.param({"aud": ["https://other.example", ISSUER]}, id="aud-list-with-another"),
        pytest.param({"sub": "somebody"}, id="sub-of-somebody"),
        pytest.param({"exp": NOW + 1}, id="exp-ahead"),
        pytest.param({"exp": NOW - SKEW + 1}, id="exp-within-skew"),
        pytest.param({"exp": NOW + 0.5}, id="exp-fraction"),
        pytest.param({"iat": NOW + SKEW}, id="iat-within-skew"),
        pytest.param({"iat": 0}, id="iat-long-ago"),
        pytest.param({"nbf": NOW + SKEW}, id="nbf-within-skew"),
        pytest.param({"exp": NOW + 60, "iat": NOW, "nbf": NOW, "jti": "x"}, id="all-instants"),
    ],
)
def test_believed(changes: dict[str, Any]) -> None:
    check_object_claims(HEADER, altered(**changes), RULES, NOW)


@pytest.mark.parametrize(
    "typ",
    ["JWT", "jwt", "application/jwt", "oauth-authz-req+jwt", "application/OAuth-Authz-Req+JWT"],
)
def test_its_own_types_are_taken(typ: str) -> None:
    check_object_claims(HEADER | {"typ": typ}, CLAIMS, RULES, NOW)


@pytest.mark.parametrize(
    "typ",
    [
        "",
        "at+jwt",
        "dpop+jwt",
        "logout+jwt",
        "client-authentication+jwt",
        "oauth-authz-req",
        1,
        None,
        ["JWT"],
    ],
)
def test_another_kind_of_token_is_none(typ: Any) -> None:
    with pytest.raises(InvalidRequestObject) as refused:
        check_object_claims(HEADER | {"typ": typ}, CLAIMS, RULES, NOW)
    assert refused.value.description == "what was sent as request object is another kind of token"


WRONG = [
    pytest.param(
        {"iss": MISSING, "client_id": MISSING},
        "the request object does not say whose it is: iss has to be the client_id",
        id="nobodys",
    ),
    pytest.param(
        {"iss": "other"}, "iss of the request object is not the client_id beside it", id="iss-foreign"
    ),
    pytest.param({"iss": ISSUER}, "iss of", id="iss-the-issuer-as-in-an-id-token"),
    pytest.param({"iss": None}, "iss of", id="iss-null"),
    pytest.param({"iss": ["app"]}, "iss of", id="iss-list"),
    pytest.param({"iss": {"app": 1}}, "iss of", id="iss-object"),
    pytest.param(
        {"client_id": "other"},
        "client_id of the request object is not the client_id beside it",
        id="client-foreign",
    ),
    pytest.param({"client_id": ["app"]}, "client_id of", id="client-list"),
    pytest.param({"client_id": "app "}, "client_id of", id="client-altered"),
    pytest.param(
        {"sub": "app"},
        "sub of the request object is the client_id, as in a client assertion",
        id="sub-the-client",
    ),
    pytest.param(
        {"aud": "https://other.example"}, f"aud of the request object is not {ISSUER}", id="aud-foreign"
    ),
    pytest.param({"aud": f"{ISSUER}/"}, "aud of", id="aud-with-slash"),
    pytest.param({"aud": f"{ISSUER}/token"}, "aud of", id="aud-the-token-endpoint"),
    pytest.param({"aud": []}, "aud of", id="aud-empty"),
    pytest.param({"aud": None}, "aud of", id="aud-null"),
    pytest.param({"aud": {ISSUER: 1}}, "aud of", id="aud-object"),
    pytest.param({"aud": [[ISSUER]]}, "aud of", id="aud-list-of-lists"),
    pytest.param({"aud": f"{ISSUER} {ISSUER}"}, "aud of", id="aud-words"),
    pytest.param({"exp": NOW - SKEW}, "the request object has expired", id="exp-over"),
    pytest.param({"exp": 0}, "the request object has expired", id="exp-zero"),
    pytest.param({"exp": "soon"}, "the request object: exp is not an instant", id="exp-text"),
    pytest.param({"exp": True}, "the request object: exp is not an instant", id="exp-true"),
    pytest.param({"iat": NOW + SKEW + 1}, "iat of the request object is in the future", id="iat-ahead"),
    pytest.param({"iat": []}, "the request object: iat is not an instant", id="iat-list"),
    pytest.param({"nbf": NOW + SKEW + 1}, "nbf of the request object is in the future", id="nbf-ahead"),
    pytest.param({"nbf": -1}, "the request object: nbf is not an instant", id="nbf-negative"),
    pytest.param({"request": "a.b.c"}, "the request object holds request", id="holds-another"),
    pytest.param({"request": None}, "the request object holds request", id="holds-null"),
    pytest.param({"request_uri": "urn:x"}, "the request object holds request_uri", id="names-another"),
]


@pytest.mark.row("P-08")
@pytest.mark.parametrize(("changes", "description"), WRONG)
def test_not_believed(changes: dict[str, Any], description: str) -> None:
    with pytest.raises(InvalidRequestObject) as refused:
        check_object_claims(HEADER, altered(**changes), RULES, NOW)
    assert refused.value.description.startswith(description)
    assert (refused.value.code, refused.value.status) == ("invalid_request_object", 400)


def test_a_signed_object_has_to_name_us() -> None:
    with pytest.raises(InvalidRequestObject) as refused:
        check_object_claims(HEADER, altered(aud=MISSING), RULES, NOW)
    assert refused.value.description == f"aud of the request object is not {ISSUER}"


def test_an_unsigned_one_may_say_nothing_of_itself() -> None:
    check_object_claims({"alg": "none"}, {"nonce": "n"}, UNSIGNED_RULES, NOW)


@pytest.mark.parametrize(("changes", "description"), WRONG[1:])
def test_what_an_unsigned_one_says_has_to_be_right(changes: dict[str, Any], description: str) -> None:
    with pytest.raises(InvalidRequestObject) as refused:
        check_object_claims({"alg": "none"}, altered(**changes), UNSIGNED_RULES, NOW)
    assert refused.value.description.startswith(description)


# --- nobody has signed it


def compact(header: Any, payload: Any, signature: str = "") -> str:
    parts = (
        base64.urlsafe_b64encode(part if isinstance(part, bytes) else json.dumps(part).encode())
        .rstrip(b"=")
        .decode()
        for part in (header, payload)
    )
    return ".".join((*parts, signature))


def test_an_unsigned_object_is_read() -> None:
    found = unsigned_object(compact({"alg": "none"}, {"nonce": "n"}))
    assert (found.header, found.claims) == ({"alg": "none"}, {"nonce": "n"})


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(compact({"alg": "none"}, {}, "c2ln"), id="with-a-signature"),
        pytest.param(compact({"alg": "RS256"}, {}), id="another-algorithm"),
        pytest.param(compact({"alg": "None"}, {}), id="capital"),
        pytest.param(compact({"alg": "none", "crit": ["exp"]}, {}), id="crit"),
    ],
)
def test_what_only_pretends_to_be_unsigned_is_none(token: str) -> None:
    with pytest.raises(InvalidRequestObject) as refused:
        unsigned_object(token)
    assert refused.value.description == "the request object is not an unsigned one"


@pytest.mark.parametrize(
    "token",
    [
        pytest.param("", id="empty"),
        pytest.param("a.b", id="two-parts"),
        pytest.param(compact({"alg": "none"}, []), id="list"),
        pytest.param(compact({"alg": "none"}, b'{"a":1,"a":2}'), id="said-twice"),
        pytest.param(compact({}, {}), id="no-algorithm"),
        pytest.param(compact({"alg": "none"}, b"[" * 5000), id="deep"),
    ],
)
def test_what_is_no_token_is_none(token: str) -> None:
    with pytest.raises(InvalidRequestObject) as refused:
        unsigned_object(token)
    assert refused.value.description == "the request object cannot be read"
    assert refused.value.detail


# --- what is asked in the end


def test_what_is_in_the_object_goes_before_what_is_beside_it() -> None:
    inside = {**CLAIMS, "redirect_uri": "https://app.example.com/inside", "nonce": "n", "exp": NOW + 1}
    assert merged(inside) == {
        "client_id": "app",
        "scope": "openid profile",
        "state": "outside",
        "response_type": "code",
        "redirect_uri": "https://app.example.com/inside",
        "nonce": "n",
    }


def test_what_is_empty_in_the_object_takes_the_other_away() -> None:
    found = asked_by(outer(prompt="none"), {**CLAIMS, "prompt": ""}, signed=True, alone=False)
    assert found.parameters.get("prompt") is None


@pytest.mark.parametrize("name", ["request", "request_uri"])
def test_the_object_itself_is_no_parameter_any_more(name: str) -> None:
    raw = parse_authorization_request([*OUTER.items(), (name, "x")])
    assert name not in merged(dict(CLAIMS), raw)


@pytest.mark.parametrize(
    ("scope", "alone"),
    [
        pytest.param("openid profile", True, id="where-only-signed-ones-are-taken"),
        pytest.param(MISSING, False, id="no-scope-beside-it"),
        pytest.param("profile", False, id="no-openid-beside-it"),
        pytest.param("openidx", False, id="nearly-openid"),
    ],
)
def test_nothing_beside_the_object_counts(scope: Any, alone: bool) -> None:
    inside = {**CLAIMS, "scope": "openid", "redirect_uri": "https://app.example.com/inside"}
    raw = outer(("prompt", "none"), scope=scope, response_mode="form_post")
    assert merged(inside, raw, alone=alone) == {
        "client_id": "app",
        "response_type": "code",
        "scope": "openid",
        "redirect_uri": "https://app.example.com/inside",
    }


@pytest.mark.parametrize("signed", [True, False])
def test_whether_it_was_signed_is_kept(signed: bool) -> None:
    assert asked_by(outer(), dict(CLAIMS), signed=signed, alone=False).signed is signed


@pytest.mark.parametrize(
    ("beside", "inside"),
    [
        pytest.param("code", "code", id="same"),
        pytest.param("code id_token", "id_token code", id="other-order"),
        pytest.param("code  id_token", "code id_token", id="two-spaces"),
        pytest.param(MISSING, "code", id="inside-only"),
        pytest.param("code", MISSING, id="beside-only"),
    ],
)
def test_response_types_that_are_one(beside: Any, inside: Any) -> None:
    merged(altered(response_type=inside), outer(response_type=beside))


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize(("beside", "inside"), [("code", "code id_token"), ("id_token", "code"), ("x", "X")])
def test_a_response_type_that_contradicts_is_refused(beside: str, inside: str, alone: bool) -> None:
    with pytest.raises(InvalidRequestObject) as refused:
        merged(altered(response_type=inside), outer(response_type=beside), alone=alone)
    assert refused.value.description == "response_type in the request object is not the one beside it"


def test_each_value_has_its_type() -> None:
    inside = {
        **CLAIMS,
        "max_age": 0,
        "claims": {"userinfo": {"name": {"essential": True}, "größe": None}},
        "resource": ["https://a.example", "https://b.example"],
        "audience": "api",
        "unknown": {"left": "out"},
        "jti": 5,
    }
    pairs = asked_by(outer(), inside, signed=True, alone=True).pairs
    assert pairs == (
        ("client_id", "app"),
        ("response_type", "code"),
        ("max_age", "0"),
        ("claims", '{"userinfo":{"name":{"essential":true},"größe":null}}'),
        ("resource", "https://a.example"),
        ("resource", "https://b.example"),
        ("audience", "api"),
    )


TEXTS = sorted(PARAMETER_NAMES - {"claims", "max_age", "registration", "client_id", "request", "request_uri"})


@pytest.mark.parametrize("value", [None, 1, True, {"a": "b"}], ids=["null", "number", "true", "object"])
@pytest.mark.parametrize("name", TEXTS)
def test_what_is_no_text_is_refused(name: str, value: Any) -> None:
    with pytest.raises(InvalidRequestObject) as refused:
        merged(altered(**{name: value}))
    assert refused.value.description == f"{name} in the request object is no text"


@pytest.mark.parametrize("name", sorted({*TEXTS} - {"resource", "audience"}))
def test_what_may_not_be_repeated_is_no_list(name: str) -> None:
    with pytest.raises(InvalidRequestObject):
        merged(altered(**{name: ["openid"]}))


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        pytest.param("max_age", "5", "integer", id="max_age-text"),
        pytest.param("max_age", 5.0, "integer", id="max_age-fraction"),
        pytest.param("max_age", True, "integer", id="max_age-true"),
        pytest.param("max_age", None, "integer", id="max_age-null"),
        pytest.param("claims", "{}", "JSON object", id="claims-text"),
        pytest.param("claims", [], "JSON object", id="claims-list"),
        pytest.param("claims", None, "JSON object", id="claims-null"),
        pytest.param("registration", "{}", "JSON object", id="registration-text"),
        pytest.param("resource", ["https://a.example", 1], "list of texts", id="resource-of-numbers"),
        pytest.param("audience", [["a"]], "list of texts", id="audience-of-lists"),
    ],
)
def test_what_is_not_of_its_type_is_refused(name: str, value: Any, kind: str) -> None:
    with pytest.raises(InvalidRequestObject) as refused:
        merged(altered(**{name: value}))
    assert refused.value.description == f"{name} in the request object is no {kind}"


def test_what_it_says_is_judged_like_any_parameter() -> None:
    for changes in ({"max_age": -1}, {"max_age": 10**10}, {"state": "x" * 5000}, {"nonce": "a\nb"}):
        with pytest.raises(InvalidRequest):
            complete(asked_by(outer(), altered(**changes), signed=True, alone=False))
    with pytest.raises(RegistrationNotSupported):
        complete(asked_by(outer(), altered(registration={}), signed=True, alone=False))


def test_every_parameter_that_is_read_is_taken_from_an_object() -> None:
    """A parameter that `complete` learns to read is one of an object too."""

    class Noting(dict[str, str]):
        def get(self, name: str, default: Any = None) -> Any:
            asked.add(name)
            return super().get(name, default)

    asked: set[str] = set()
    values = Noting(client_id="app", response_type="code")
    complete(RawRequest(Parameters(values, frozenset()), ()))
    assert asked | {"audience"} == PARAMETER_NAMES | {"audience"}


# --- where it is

HASH = content_hash(b"a.b.c")


def test_the_hash_is_that_of_the_specification() -> None:
    digest = hashlib.sha256(b"a.b.c").digest()
    assert base64.urlsafe_b64encode(digest) == f"{HASH}=".encode()


REGISTERED = ("https://app.example.com/r", f"https://app.example.com/p#{HASH}")


@pytest.mark.parametrize(
    ("presented", "found"),
    [
        pytest.param(REGISTERED[0], RequestUri(REGISTERED[0], None), id="registered"),
        pytest.param(f"{REGISTERED[0]}#{HASH}", RequestUri(REGISTERED[0], HASH), id="hash-added"),
        pytest.param(f"{REGISTERED[0]}#", RequestUri(REGISTERED[0], None), id="empty-hash-added"),
        pytest.param(REGISTERED[1], RequestUri("https://app.example.com/p", HASH), id="registered-hash"),
        pytest.param("https://app.example.com/p", None, id="registered-hash-left-out"),
        pytest.param(f"https://app.example.com/p#{'A' * 43}", None, id="registered-hash-replaced"),
        pytest.param(f"{REGISTERED[0]}/", None, id="slash"),
        pytest.param(f"{REGISTERED[0]}?a", None, id="query"),
        pytest.param("https://APP.example.com/r", None, id="other-case"),
        pytest.param("http://app.example.com/r", None, id="http"),
        pytest.param("urn:ietf:params:oauth:request_uri:x", None, id="urn"),
        pytest.param("", None, id="empty"),
        pytest.param(f"{REGISTERED[0]}#{'x' * 512}", None, id="too-long"),
    ],
)
def test_only_a_registered_address_is_one(presented: str, found: RequestUri | None) -> None:
    assert registered_request_uri(REGISTERED, presented) == found


def test_512_characters_are_not_too_long() -> None:
    longest = f"{REGISTERED[0]}#{'x' * (512 - len(REGISTERED[0]) - 1)}"
    assert registered_request_uri(REGISTERED, longest) is not None
    assert registered_request_uri(REGISTERED, f"{longest}x") is None


def test_a_content_is_the_one_that_was_meant() -> None:
    assert RequestUri("https://a.example", None).is_of(b"anything")
    assert RequestUri("https://a.example", HASH).is_of(b"a.b.c")
    assert not RequestUri("https://a.example", HASH).is_of(b"a.b.d")
    assert not RequestUri("https://a.example", HASH.lower()).is_of(b"a.b.c")
    assert not RequestUri("https://a.example", "\ud800").is_of(b"a.b.c")


@pytest.mark.parametrize(
    ("uri", "problem"),
    [
        pytest.param("https://app.example.com/r", None, id="https"),
        pytest.param(f"https://app.example.com/r#{HASH}", None, id="with-its-hash"),
        pytest.param("https://app.example.com/r#part", "has a fragment that is no SHA-256", id="fragment"),
        pytest.param(f"https://app.example.com/r#{HASH}x", "has a fragment that is no SHA-256", id="longer"),
        pytest.param("https://app.example.com/r#", "has a fragment that is no SHA-256", id="empty-fragment"),
        pytest.param("http://app.example.com/r", "has to start with https://", id="http"),
        pytest.param("http://127.0.0.1/r", "has to start with https://", id="loopback"),
        pytest.param("urn:ietf:params:oauth:request_uri:x", "is not an absolute URL", id="urn"),
        pytest.param("javascript:alert(1)", "is not an absolute URL", id="script"),
        pytest.param(f"https://a.example/{'x' * 494}", None, id="longest"),
        pytest.param(f"https://a.example/{'x' * 495}", "is longer than 512 characters", id="too-long"),
        pytest.param(f"https://user@a.example/#{HASH}", "carries user info", id="user-info"),
    ],
)
def test_what_may_be_registered(uri: str, problem: str | None) -> None:
    found = request_uri_problem(uri, allow_http_loopback=False)
    assert found == problem or (found is not None and problem is not None and found.startswith(problem))


def test_loopback_may_be_registered_under_the_switch() -> None:
    assert request_uri_problem("http://127.0.0.1:8000/r", allow_http_loopback=True) is None


# --- the other direction


def test_what_an_object_says_is_read_as_if_it_had_come_beside_it() -> None:
    said = {"iss": "app", "aud": ISSUER, "jti": "j", "iat": NOW, "nbf": NOW, "exp": NOW + 60}
    said |= {"client_id": "app", "redirect_uri": "https://app.example.com/cb", "response_type": "code"}
    said |= {"scope": "openid email", "state": "s", "nonce": "n", "max_age": 0}
    said |= {"claims": {"id_token": {"acr": {"essential": True}}}, "resource": "https://api.example.com"}
    check_object_claims(HEADER, said, RULES, NOW)
    beside = parse_authorization_request([("client_id", "app"), ("request", "a.b.c")])
    assert complete(asked_by(beside, said, signed=True, alone=True)) == AuthorizationRequest(
        client_id="app",
        redirect_uri="https://app.example.com/cb",
        scope=("openid", "email"),
        state="s",
        nonce="n",
        max_age=0,
        claims='{"id_token":{"acr":{"essential":true}}}',
        api="https://api.example.com",
    )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.dictionaries(
        st.sampled_from([*PARAMETER_NAMES, "iss", "aud", "exp", "sub"]) | st.text(max_size=5), json_values
    )
)
@example({"request_uri": "0"})
def test_any_claims_are_a_request_or_a_declared_error(claims: dict[str, Any]) -> None:
    with suppress(InvalidRequestObject):
        check_object_claims(HEADER, claims, RULES, NOW)
    try:
        found = asked_by(outer(), claims, signed=True, alone=False)
    except InvalidRequestObject:
        return
    assert found.parameters.get("client_id") == "app"
    assert not {"request", "request_uri"} & found.parameters.values.keys()
