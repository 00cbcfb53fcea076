"""Modules about what is redeemed: codes that work once, refresh tokens that belong to one client."""

from tests.conformance.op import id_token
from tests.conformance.op.messages import check_error, check_refresh_token, code_form
from tests.conformance.op.outcome import Skipped, need
from tests.conformance.op.registry import module
from tests.conformance.op.run import Answer, Grant, Run

_CLAUSE = "RFC 6749 4.1.2"


def _again(run: Run, grant: Grant) -> Answer:
    answer = run.token_request(code_form(grant.answer["code"], grant.request), run.client)
    need(answer.status == 400, f"the second use of a code answered {answer.status}", _CLAUSE)
    need("access_token" not in answer.json, "the second use of a code gave an access token", _CLAUSE)
    check_error(answer.json)
    return answer


@module("oidcc-codereuse")
def _code_reuse(run: Run) -> None:
    error = _again(run, run.complete()).json.get("error")
    run.warn_unless(
        error == "invalid_grant", f"the second use of a code is {error!r}, not invalid_grant", "RFC 6749 5.2"
    )


@module("oidcc-codereuse-30seconds")
def _code_reuse_later(run: Run) -> None:
    grant = run.complete()
    run.wait(run.target.reuse_wait_seconds)
    error = _again(run, grant).json.get("error")
    need(
        error == "invalid_grant", f"the second use of a code is {error!r}, not invalid_grant", "RFC 6749 5.2"
    )
    status = run.userinfo(str(grant.access_token)).status
    run.warn_unless(
        status == 401, f"userinfo answers {status} to the token of a code that was used twice", _CLAUSE
    )


def _refresh(run: Run, token: str, *, by_another: bool = False) -> Answer:
    form = {"grant_type": "refresh_token", "refresh_token": token, "scope": "openid"}
    return run.token_request(form, run.second if by_another else run.client)


@module("oidcc-refresh-token")
def _refresh_token(run: Run) -> None:
    offline = "offline_access" in run.supported("scopes_supported")
    # Spec: OIDC Core 11: without prompt=consent it is ignored.
    grant = run.complete(scope="openid offline_access", prompt="consent") if offline else run.complete()
    announced = "refresh_token" in run.supported("grant_types_supported")
    if "refresh_token" not in grant.tokens:
        run.warn_unless(
            not announced, "no refresh token came, though the grant type is announced", "OIDC Discovery 3"
        )
        raise Skipped("no refresh token was issued")
    run.warn_unless(announced, "refresh_token is not in grant_types_supported", "OIDC Discovery 3")
    token = check_refresh_token(grant.tokens["refresh_token"])
    answer = _refresh(run, token)
    run.judge_tokens(answer)
    need(
        answer.json["access_token"] != grant.access_token,
        "the refreshed access token is the old one",
        "RFC 6749 6",
    )
    if "id_token" in answer.json:
        _same_as_before(run, grant, answer.json["id_token"])
    live = run.userinfo(answer.json["access_token"]).status
    need(live == 200, f"userinfo answers {live} to the refreshed access token", "OIDC Core 5.3.1")
    newest = check_refresh_token(answer.json.get("refresh_token", token))
    stolen = _refresh(run, newest, by_another=True)
    need(stolen.status in (400, 401), f"another client refreshed: {stolen.status}", "RFC 6749 6")
    need("access_token" not in stolen.json, "another client got an access token", "RFC 6749 6")
    error = stolen.json.get("error")
    run.warn_unless(
        error == "invalid_grant", f"another client's refresh is {error!r}, not invalid_grant", "RFC 6749 5.2"
    )


def _same_as_before(run: Run, grant: Grant, token: str) -> None:
    """Spec: OIDC Core 12.2."""
    new = id_token.verified(token, run.keys)
    for name in ("iss", "sub", "aud", "auth_time", "azp"):
        old, now = grant.claims.get(name), new.get(name)
        optional = name == "auth_time" and now is None
        need(
            optional or old == now,
            f"{name} of the refreshed ID token is {now!r}, and was {old!r}",
            "OIDC Core 12.2",
        )
    need(
        new.get("nonce") in (None, grant.claims.get("nonce")),
        f"nonce is {new.get('nonce')!r}",
        "OIDC Core 12.2",
    )
    need(
        new["iat"] >= grant.claims["iat"],
        "iat of the refreshed ID token is not that of now",
        "OIDC Core 12.2",
    )
