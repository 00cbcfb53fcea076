"""The authorization request and response, both directions."""

from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oidcgate.protocol.authorization import (
    AuthorizationRequest,
    check_authorization_response,
    client_and_redirect,
    complete,
    parse_authorization_request,
    request_parameters,
)
from oidcgate.protocol.errors import (
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
    OAuthError,
    Reason,
    Refused,
    RegistrationNotSupported,
    RequestNotSupported,
    RequestUriNotSupported,
    UnsupportedResponseType,
)
from oidcgate.protocol.pkce import s256_challenge
from oidcgate.protocol.urls import with_query

Pairs = list[tuple[str, str]]

CHALLENGE = s256_challenge("v" * 43)
REQUEST: dict[str, str] = {
    "client_id": "app",
    "redirect_uri": "https://app.example.com/cb",
    "response_type": "code",
    "scope": "openid profile email",
    "state": "state-1",
    "nonce": "nonce-1",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}


def pairs(**changes: str | None) -> Pairs:
    return [(name, value) for name, value in (REQUEST | changes).items() if value is not None]


def read(given_pairs: Pairs) -> AuthorizationRequest:
    raw = parse_authorization_request(given_pairs)
    client_and_redirect(raw)
    return complete(raw)


def test_a_whole_request_is_read() -> None:
    request = read(
        pairs(
            prompt="login consent",
            max_age="0",
            login_hint="alice",
            id_token_hint="h.h.h",
            acr_values="b a",
            amr_values="otp pwd",
            claims='{"id_token":null}',
            ui_locales="de en",
            response_mode="form_post",
            display="page",
            resource="https://api.example.com",
            org_id="org-1",
        )
    )
    assert request == AuthorizationRequest(
        client_id="app",
        redirect_uri="https://app.example.com/cb",
        response_type="code",
        scope=("openid", "profile", "email"),
        state="state-1",
        nonce="nonce-1",
        code_challenge=CHALLENGE,
        code_challenge_method="S256",
        response_mode="form_post",
        prompt=("login", "consent"),
        max_age=0,
        login_hint="alice",
        id_token_hint="h.h.h",
        acr_values=("b", "a"),
        amr_values=("otp", "pwd"),
        claims='{"id_token":null}',
        ui_locales=("de", "en"),
        api="https://api.example.com",
        org_id="org-1",
    )


@pytest.mark.row("F-17")
@pytest.mark.parametrize(
    "query", ["openid%20profile", "openid+profile", "openid%20%20profile+", "openid+openid+profile"]
)
def test_scope_may_be_separated_by_percent_20_or_plus(query: str) -> None:
    decoded = dict(parse_qsl(f"scope={query}"))
    assert read(pairs(scope=decoded["scope"])).scope == ("openid", "profile")


def test_words_that_stand_alone_are_taken_and_others_sorted() -> None:
    assert read(pairs(response_type="token id_token  code")).response_type == "code id_token token"
    assert read(pairs(prompt="none")).prompt == ("none",)
    assert read(pairs(prompt="select_account")).prompt == ("select_account",)
    assert [read(pairs(response_mode=mode)).response_mode for mode in ("query", "fragment")] == [
        "query",
        "fragment",
    ]
    assert [read(pairs(max_age=text)).max_age for text in ("9", "123456789")] == [9, 123456789]


def test_each_character_of_a_scope_is_one_that_rfc_6749_allows() -> None:
    for character in map(chr, range(0x21, 0x100)):
        try:
            scope = read(pairs(scope=f"a{character}")).scope
        except (InvalidScope, InvalidRequest):
            scope = ()
        legal = "\x21" <= character <= "\x7e" and character not in '"\\'
        assert scope == ((f"a{character}",) if legal else ()), ascii(character)


def test_a_parameter_without_value_counts_as_absent() -> None:
    request = read([*pairs(), ("prompt", ""), ("max_age", ""), ("request", "")])
    assert (request.prompt, request.max_age) == ((), None)


@pytest.mark.row("P-01")
@pytest.mark.parametrize(
    "given_pairs",
    [
        pytest.param(pairs(client_id=None), id="client-id-missing"),
        pytest.param(pairs(client_id=""), id="client-id-empty"),
        pytest.param([*pairs(), ("client_id", "app")], id="client-id-repeated"),
        pytest.param([*pairs(), ("redirect_uri", "https://evil.example")], id="redirect-uri-repeated"),
        pytest.param([("redirect_uri", ""), *pairs()], id="redirect-uri-repeated-once-empty"),
        pytest.param(pairs(redirect_uri="https://app.example.com/\r\nx"), id="redirect-uri-control"),
        pytest.param(
            pairs(redirect_uri="https://app.example.com/" + "x" * 4096), id="redirect-uri-oversized"
        ),
        pytest.param(pairs(client_id="a" * 4097), id="client-id-oversized"),
    ],
)
def test_what_makes_a_redirect_impossible_is_known_before_the_rest(given_pairs: Pairs) -> None:
    with pytest.raises(InvalidRequest):
        client_and_redirect(parse_authorization_request(given_pairs))


def test_the_redirect_target_is_known_although_the_rest_is_wrong() -> None:
    raw = parse_authorization_request(
        [("client_id", "app"), ("request", "x"), ("state", "s"), ("state", "s")]
    )
    assert client_and_redirect(raw) == ("app", None)
    raw = parse_authorization_request([*pairs(), ("state", "again")])
    assert client_and_redirect(raw) == ("app", "https://app.example.com/cb")
    assert not raw.signed


@pytest.mark.row("E-25")
@pytest.mark.parametrize(
    ("given_pairs", "error"),
    [
        pytest.param(pairs(response_type=None), InvalidRequest, id="response-type-missing"),
        pytest.param(pairs(response_type="codes"), UnsupportedResponseType, id="response-type-unknown"),
        pytest.param(pairs(response_type="none"), UnsupportedResponseType, id="response-type-none"),
        pytest.param(pairs(response_type=" "), UnsupportedResponseType, id="response-type-blank"),
        pytest.param(pairs(scope='open"id'), InvalidScope, id="scope-quote"),
        pytest.param(pairs(scope="öpenid"), InvalidScope, id="scope-not-ascii"),
        pytest.param(pairs(scope="openid\xa0email"), InvalidScope, id="scope-other-blank"),
        pytest.param(pairs(request="a.b.c"), RequestNotSupported, id="request"),
        pytest.param(
            pairs(request_uri="https://app.example.com/r"), RequestUriNotSupported, id="request-uri"
        ),
        pytest.param(pairs(registration="{}"), RegistrationNotSupported, id="registration"),
        pytest.param(pairs(prompt="none login"), InvalidRequest, id="prompt-none-and-login"),
        pytest.param(pairs(prompt="nothing"), InvalidRequest, id="prompt-unknown"),
        pytest.param(pairs(max_age="-1"), InvalidRequest, id="max-age-negative"),
        pytest.param(pairs(max_age="1.5"), InvalidRequest, id="max-age-fraction"),
        pytest.param(pairs(max_age="٣"), InvalidRequest, id="max-age-arabic-digit"),
        pytest.param(pairs(max_age="9" * 10), InvalidRequest, id="max-age-oversized"),
        pytest.param(pairs(response_mode="fragments"), InvalidRequest, id="response-mode-unknown"),
        pytest.param(pairs(state="s\x00"), InvalidRequest, id="state-nul"),
        pytest.param(pairs(state="s" * 4097), InvalidRequest, id="state-oversized"),
        pytest.param(pairs(nonce="n" * 4097), InvalidRequest, id="nonce-oversized"),
        pytest.param(pairs(id_token_hint="n" * 16_385), InvalidRequest, id="hint-oversized"),
        pytest.param(pairs(login_hint="\x7f"), InvalidRequest, id="login-hint-control"),
        *(
            pytest.param([*pairs(), (name, value)], InvalidRequest, id=f"{name}-repeated")
            for name, value in REQUEST.items()
        ),
        pytest.param([*pairs(org_id="a"), ("org_id", "a")], InvalidRequest, id="org-id-repeated"),
        pytest.param(pairs(org_id="o\x00"), InvalidRequest, id="org-id-nul"),
        pytest.param(pairs(resource="api"), InvalidTarget, id="resource-no-uri"),
        pytest.param(pairs(resource="urn:a:b", audience="urn:a:c"), InvalidRequest, id="two-apis"),
        pytest.param([*pairs(), ("x", "1"), ("x", "1")], InvalidRequest, id="unknown-parameter-repeated"),
    ],
)
def test_one_faulty_parameter_is_one_named_error(given_pairs: Pairs, error: type[OAuthError]) -> None:
    raw = parse_authorization_request(given_pairs)
    with pytest.raises(OAuthError) as caught:
        complete(raw)
    assert type(caught.value) is error


@pytest.mark.row("E-05", "P-05")
@pytest.mark.parametrize(
    ("challenge", "method"),
    [
        pytest.param(CHALLENGE, None, id="method-missing-means-plain"),
        pytest.param(CHALLENGE, "plain", id="plain"),
        pytest.param(CHALLENGE, "s256", id="wrong-case"),
        pytest.param(None, "S256", id="method-alone"),
        pytest.param(CHALLENGE[:-1], "S256", id="too-short"),
        pytest.param(CHALLENGE + "A", "S256", id="too-long"),
        pytest.param(CHALLENGE[:-1] + "B", "S256", id="not-32-bytes"),
        pytest.param("." * 43, "S256", id="not-base64url"),
    ],
)
def test_only_a_whole_s256_challenge_is_taken(challenge: str | None, method: str | None) -> None:
    with pytest.raises(InvalidRequest):
        read(pairs(code_challenge=challenge, code_challenge_method=method))


@pytest.mark.row("E-17")
def test_the_api_may_be_named_more_than_once_but_only_one() -> None:
    api = "https://a.example"
    assert read([*pairs(audience=api), ("resource", api), ("resource", api)]).api == api
    with pytest.raises(InvalidRequest):
        read([*pairs(), ("resource", api), ("resource", "https://b.example")])


def test_an_error_answer_goes_the_way_of_the_response_type_as_it_came() -> None:
    assert parse_authorization_request(pairs(response_type="strange")).response_type == "strange"
    assert parse_authorization_request(pairs(response_type=None)).response_type is None


def test_an_error_answer_echoes_only_a_sound_state_and_mode() -> None:
    def echoed(given_pairs: Pairs) -> tuple[str | None, str | None]:
        raw = parse_authorization_request(given_pairs)
        return raw.state, raw.response_mode

    assert echoed(pairs(state="ü & <x>", response_mode="form_post")) == ("ü & <x>", "form_post")
    assert echoed([*pairs(), ("state", "state-1")]) == (None, None)
    assert echoed(pairs(state="x" * 4097, response_mode="web_message")) == (None, None)
    assert echoed(pairs(state="a\r\nb")) == (None, None)


@pytest.mark.row("P-15")
def test_errors_never_quote_a_value() -> None:
    raw = parse_authorization_request(
        [*pairs(state="canary"), ("state", "canary"), ("canary\r\n", "1"), ("canary\r\n", "2")]
    )
    with pytest.raises(InvalidRequest) as caught:
        complete(raw)
    assert "canary" not in str(caught.value)


@pytest.mark.row("F-12", "F-17")
def test_the_url_has_the_parameters_of_the_request_and_keeps_the_endpoints_query() -> None:
    request = read(pairs())
    url = with_query("https://id.example.com/authorize?tenant=a%20b", request_parameters(request))
    assert url.startswith(
        "https://id.example.com/authorize?tenant=a%20b&client_id=app&scope=openid+profile+email&"
    )
    assert parse_qsl(urlsplit(url).query, strict_parsing=True) == [("tenant", "a b"), *sorted_like_request()]


@pytest.mark.row("F-12")
def test_every_field_of_a_request_has_its_parameter() -> None:
    request = AuthorizationRequest(
        client_id="app",
        redirect_uri="https://app.example.com/cb",
        scope=("openid", "email"),
        response_mode="form_post",
        prompt=("login", "consent"),
        max_age=0,
        login_hint="alice",
        id_token_hint="h.h.h",
        acr_values=("gold", "silver"),
        amr_values=("otp", "pwd"),
        claims="{}",
        ui_locales=("de", "en"),
        api="https://api.example.com",
        org_id="org-1",
    )
    url = with_query("https://id.example.com/authorize", request_parameters(request))
    assert parse_qsl(urlsplit(url).query, strict_parsing=True) == [
        ("client_id", "app"),
        ("scope", "openid email"),
        ("response_type", "code"),
        ("redirect_uri", "https://app.example.com/cb"),
        ("response_mode", "form_post"),
        ("prompt", "login consent"),
        ("max_age", "0"),
        ("login_hint", "alice"),
        ("id_token_hint", "h.h.h"),
        ("acr_values", "gold silver"),
        ("amr_values", "otp pwd"),
        ("claims", "{}"),
        ("ui_locales", "de en"),
        ("org_id", "org-1"),
        ("resource", "https://api.example.com"),
    ]


def sorted_like_request() -> Pairs:
    order = (
        "client_id",
        "scope",
        "response_type",
        "redirect_uri",
        "state",
        "nonce",
        "code_challenge",
        "code_challenge_method",
    )
    return [(name, REQUEST[name]) for name in order]


text = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=20)
words = st.lists(st.text("abcXYZ:/.-_", min_size=1, max_size=8), max_size=4, unique=True).map(tuple)


@given(
    st.builds(
        AuthorizationRequest,
        client_id=text,
        redirect_uri=st.none() | text,
        response_type=st.sampled_from(["code", "code id_token", "id_token token"]),
        scope=words,
        state=st.none() | text,
        nonce=st.none() | text,
        prompt=st.lists(st.sampled_from(["login", "consent", "select_account"]), unique=True).map(tuple)
        | st.just(("none",)),
        max_age=st.none() | st.integers(0, 10**9 - 1),
        login_hint=st.none() | text,
        acr_values=words,
        response_mode=st.none() | st.sampled_from(["query", "fragment", "form_post"]),
        api=st.none() | st.sampled_from(["https://api.example.com/?a=b", "urn:example:api", "api", "a#b"]),
        org_id=st.none() | text,
    ),
    st.sampled_from(
        ["https://id.example.com/authorize", "https://id.example.com/a?x=1", "https://id.example.com/a?"]
    ),
)
def test_what_is_built_is_read_back(request: AuthorizationRequest, endpoint: str) -> None:
    query = urlsplit(with_query(endpoint, request_parameters(request))).query
    assert read(parse_qsl(query, keep_blank_values=True)) == request


names = st.sampled_from(
    [*REQUEST, "prompt", "max_age", "request", "response_mode", "resource", "audience", "org_id", "x"]
)


@given(st.lists(st.tuples(names | st.text(max_size=5), st.text(max_size=30)), max_size=12))
def test_any_parameters_are_a_request_or_a_declared_error(given_pairs: Pairs) -> None:
    try:
        request = read(given_pairs)
    except OAuthError as error:
        assert error.document()["error"] == error.code  # noqa: PT017
        return
    assert request.client_id


# --- the answer, at the relying party

ISSUER = "https://id.example.com"
RESPONSE: Pairs = [("code", "canary-code"), ("state", "state-1"), ("iss", ISSUER)]


def answer(*, without: str = "", **changes: str) -> Pairs:
    values = {name: value for name, value in RESPONSE if name != without} | changes
    return list(values.items())


def check(response: Pairs, *, expected_state: str | None = "state-1", supported: bool = True) -> str:
    return check_authorization_response(
        response, expected_state=expected_state, issuer=ISSUER, iss_wanted=supported
    )


def test_an_answer_to_our_own_request_yields_its_code() -> None:
    assert check(RESPONSE) == "canary-code"
    assert check([*answer(without="iss"), ("session_state", "x")], supported=False) == "canary-code"
    assert check(answer(code="c" * 4096)) == "c" * 4096


@pytest.mark.row("F-13", "A-08", "G-24", "G-13")
@pytest.mark.parametrize(
    ("response", "reason"),
    [
        pytest.param(answer(without="state"), Reason.STATE_MISSING, id="state-missing"),
        pytest.param(answer(state=""), Reason.STATE_MISSING, id="state-empty"),
        pytest.param(answer(state="state-2"), Reason.STATE_UNKNOWN, id="state-foreign"),
        pytest.param(answer(state="state-1 "), Reason.STATE_UNKNOWN, id="state-altered"),
        pytest.param(answer(state="ställe\ud800"), Reason.STATE_UNKNOWN, id="state-not-utf8"),
        pytest.param([*RESPONSE, ("state", "state-1")], Reason.STATE_REPEATED, id="state-repeated"),
        pytest.param(answer(without="iss"), Reason.ISS_MISSING, id="iss-missing"),
        pytest.param(answer(iss=ISSUER + "/"), Reason.ISS_MISMATCH, id="iss-with-slash"),
        pytest.param(answer(iss="https://evil.example"), Reason.ISS_MISMATCH, id="iss-foreign"),
        pytest.param([*RESPONSE, ("iss", ISSUER)], Reason.ISS_REPEATED, id="iss-repeated"),
        pytest.param(answer(without="code"), Reason.CODE_MISSING, id="code-missing"),
        pytest.param(answer(code=""), Reason.CODE_MISSING, id="code-empty"),
        pytest.param([*RESPONSE, ("code", "other")], Reason.CODE_REPEATED, id="code-repeated"),
        pytest.param(answer(code="c\nd"), Reason.CODE_MALFORMED, id="code-control"),
        pytest.param(answer(code="ç"), Reason.CODE_MALFORMED, id="code-not-ascii"),
        pytest.param(answer(code="c" * 4097), Reason.CODE_MALFORMED, id="code-oversized"),
        pytest.param(answer(id_token="canary-jwt"), Reason.TOKENS_NOT_ASKED_FOR, id="hybrid"),
        pytest.param(answer(access_token="canary"), Reason.TOKENS_NOT_ASKED_FOR, id="code-and-token"),
        pytest.param(
            answer(without="code", id_token="canary-jwt"), Reason.TOKENS_NOT_ASKED_FOR, id="implicit"
        ),
        pytest.param(
            [*RESPONSE, ("id_token", "canary"), ("id_token", "canary")],
            Reason.TOKENS_NOT_ASKED_FOR,
            id="id-token-repeated",
        ),
        pytest.param(answer(error="access_denied"), Reason.PROVIDER_ERROR, id="error-beside-code"),
        pytest.param([*RESPONSE, ("error", "a"), ("error", "b")], Reason.ERROR_REPEATED, id="error-repeated"),
        pytest.param(
            answer(without="iss", error="access_denied"), Reason.ISS_MISSING, id="error-without-iss"
        ),
        pytest.param(
            answer(without="state", error="access_denied"), Reason.STATE_MISSING, id="error-without-state"
        ),
    ],
)
def test_one_faulty_thing_in_the_answer_is_one_named_refusal(response: Pairs, reason: Reason) -> None:
    with pytest.raises(Refused) as caught:
        check(response)
    assert caught.value.reason is reason
    assert "canary" not in f"{caught.value!r} {caught.value.detail}"


def test_a_wrong_issuer_is_refused_even_if_it_was_not_promised() -> None:
    with pytest.raises(Refused) as caught:
        check(answer(iss="https://evil.example"), supported=False)
    assert caught.value.reason is Reason.ISS_MISMATCH


@pytest.mark.row("A-08")
def test_nothing_is_believed_in_a_browser_that_was_not_sent_out() -> None:
    with pytest.raises(Refused) as caught:
        check(RESPONSE, expected_state=None)
    assert caught.value.reason is Reason.STATE_UNKNOWN


@pytest.mark.row("A-08")
@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        pytest.param("login_required", "login_required", id="code"),
        pytest.param("<script>", "<script>", id="legal-but-odd"),
        pytest.param('a"b', "malformed", id="quote"),
        pytest.param("a\r\nb", "malformed", id="line-break"),
        pytest.param("x", "x", id="one-letter"),
        pytest.param("x" * 100, "x" * 100, id="longest"),
        pytest.param("x" * 101, "malformed", id="oversized"),
        pytest.param("a b!~", "a b!~", id="blank-and-marks"),
        pytest.param("a\\b", "malformed", id="backslash"),
        pytest.param("a\x7f", "malformed", id="del"),
    ],
)
def test_the_providers_error_code_is_kept_if_it_is_one(sent: str, kept: str) -> None:
    with pytest.raises(Refused) as caught:
        check(answer(without="code", error=sent, error_description="canary"))
    assert (caught.value.reason, caught.value.error) == (Reason.PROVIDER_ERROR, kept)
    assert "canary" not in repr(caught.value)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["state", "code", "iss", "error", "x"]), st.text(max_size=12) | st.just("state-1")
        ),
        max_size=8,
    ),
    st.booleans(),
)
def test_any_answer_is_a_code_or_the_declared_refusal(response: Pairs, supported: bool) -> None:
    try:
        code = check(response, supported=supported)
    except Refused:
        return
    assert ("code", code) in response
    assert [value for name, value in response if name == "state"] == ["state-1"]


def test_tokens_that_nobody_asked_for_are_named_and_not_shown() -> None:
    pairs = answer(id_token="canary-1", access_token="canary-2")
    with pytest.raises(Refused) as refused:
        check_authorization_response(pairs, expected_state="state-1", issuer=ISSUER, iss_wanted=True)
    said = "the answer holds access_token and id_token, and only a code was asked for (response_type code)"
    assert refused.value.detail == said
