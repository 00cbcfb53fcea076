"""The lies about sign-outs and sessions: module by module, and what the failure has to name."""

from typing import Any

from tests.conformance.lie_table import Row
from tests.conformance.lies import GONE, answers, asserts, header_of, says, sends
from tests.conformance.lies_everywhere import ELSE
from tests.conformance.lying_proxy import Lie
from tests.conformance.sign_out_lies import (
    comes_back,
    ends_with,
    frames_with,
    goes_back_at_once,
    goes_back_when_agreed,
    notices,
    silent_requests,
    tells,
)

#: Told to the peer.
ROWS: dict[str, Row] = {}
#: Told to the peer with frames.
FRAMED: dict[str, Row] = {}

_LOGOUT = "oidcc-rp-initiated-logout"
_EVENT = "http://schemas.openid.net/event/backchannel-logout"
_HOME = "https://logout.example/signed-out"


def add(module: str, lies: dict[str, tuple[Lie, str]], rows: dict[str, Row] = ROWS) -> None:
    for name, (lie, names) in lies.items():
        rows[f"{module}-{name}"] = Row(module, lie, names)


def members(*flags: str, urls: tuple[str, ...] = ("end_session_endpoint",)) -> dict[str, tuple[Lie, str]]:
    """Lies about members of the metadata."""

    def lie(**changes: Any) -> Lie:
        return says("metadata", **changes)

    return {
        **{f"no-{url}": (lie(**{url: GONE}), f"the metadata has no {url}") for url in urls},
        **{f"http-{url}": (lie(**{url: "http://localhost/"}), f"{url} is .*, not https") for url in urls},
        **{f"no-{flag}": (lie(**{flag: GONE}), f"{flag} is None") for flag in flags},
        **{f"false-{flag}": (lie(**{flag: False}), f"{flag} is False") for flag in flags},
        "another-endpoint-http": (lie(token_endpoint="http://localhost/"), "token_endpoint is .*, not https"),
        "gone": (answers("metadata", 404), "discovery answered 404"),
    }


#: What is seen wherever a sign-out comes back.
BACK: dict[str, tuple[Lie, str]] = {
    "state": (comes_back(state=ELSE), "state is 'something-else'"),
    "in-the-fragment": (comes_back(place="fragment"), "state is None"),
    "elsewhere": (comes_back(uri="https://basic.example/callback"), "ended at https://basic"),
    "more": (comes_back(code="x"), r"carries \['code'\] too"),
}
#: What is seen wherever it has to be over.
OVER: dict[str, tuple[Lie, str]] = {
    "asks": (silent_requests(asks=True), "the person was asked"),
    "other-error": (silent_requests("access_denied"), "'access_denied'"),
    "page-in-place-of-an-error": (silent_requests(page=400), "after the sign-out came a page"),
}
PAGE: dict[str, tuple[Lie, str]] = {
    "error": (ends_with(400), "no page that says that nobody is signed in, but a page with status 400"),
    "as-json": (ends_with(200, content_type="application/json"), "nothing for a person"),
    "not-signed-out": (ends_with(200), "gives .*code"),
}
STAYS: dict[str, tuple[Lie, str]] = {
    "followed": (goes_back_at_once(), "was followed"),
    "followed-when-agreed": (goes_back_when_agreed(), "was followed"),
    "status-500": (ends_with(500), "neither an error nor a question, but a page with status 500"),
    "as-json": (ends_with(400, content_type="application/json"), "nothing for a person"),
}

add(f"{_LOGOUT}-discovery-endpoint-verification", members())
add(_LOGOUT, {
    **BACK,
    **OVER,
    "state-missing": (comes_back(state=GONE), "state is None"),
    "long-state": (comes_back(state=lambda old: str(old)[:64]), "state is"),
    "page": (ends_with(200), "did not come back: a page with status 200"),
    "not-signed-out": (goes_back_at_once(), "gives .*code"),
})  # fmt: skip
add(f"{_LOGOUT}-no-state", {
    "invented": (comes_back(state="x"), "state is 'x', not None"),
    "page": (ends_with(200), "did not come back"),
    "not-signed-out": (goes_back_at_once(), "gives .*code"),
})  # fmt: skip
for which in ("no-params", "no-post-logout-redirect-uri", "only-state"):
    add(f"{_LOGOUT}-{which}", {
        **PAGE,
        "goes-home": (goes_back_at_once(_HOME), "nobody asked to come back"),
    })  # fmt: skip
for which in (
    "bad-post-logout-redirect-uri",
    "modified-id-token-hint",
    "no-id-token-hint",
    "query-added-to-post-logout-redirect-uri",
    "bad-id-token-hint",
):
    add(f"{_LOGOUT}-{which}", STAYS)

add(
    "oidcc-backchannel-logout-discovery-endpoint-verification",
    members("backchannel_logout_supported", "backchannel_logout_session_supported"),
)
add("oidcc-backchannel-rp-initiated-logout", {
    **BACK,
    "other-error": (silent_requests("access_denied"), "'access_denied'"),
    "never": (notices(dropped=True), "nothing came to https://localhost"),
    "twice": (notices(number=2), "2 notices"),
    "by-get": (notices(method="GET"), "the notice is a GET"),
    "as-json": (notices(content_type="application/json"), "'application/json', no form"),
    "another-name": (notices(logout_token=None, token="x"), "no logout_token but"),
    "more": (notices(sid="x"), r"\['logout_token', 'sid'\]"),
    "no-jwt": (notices(logout_token="x"), "the logout token cannot be read"),
    "iss": (tells(iss="https://attacker.example"), "iss is"),
    "aud": (tells(aud="another-client"), "aud is 'another-client'"),
    "aud-of-two": (tells(aud=["backchannel", "another-client"]), "aud is"),
    "aud-missing": (tells(aud=GONE), "aud is None"),
    "iat-missing": (tells(iat=GONE), "iat is None"),
    "iat-long-ago": (tells(iat=1_700_000_000), "iat is"),
    "exp-missing": (tells(exp=GONE), "exp is None"),
    "exp-past": (tells(exp=1_700_000_000), "exp is"),
    "jti-missing": (tells(jti=GONE), "jti is None"),
    "events-missing": (tells(events=GONE), "events is None"),
    "another-event": (tells(events={"http://schemas.openid.net/event/other": {}}), "events is"),
    "two-events": (tells(events={_EVENT: {}, "http://schemas.openid.net/event/other": {}}), "events is"),
    "event-not-empty": (tells(events={_EVENT: {"x": 1}}), "events is"),
    "event-no-object": (tells(events={_EVENT: True}), "events is"),
    "nonce": (tells(nonce="x"), "has a nonce"),
    "sid-missing": (tells(sid=GONE), "sid is None"),
    "sid": (tells(sid=ELSE), "sid is 'something-else', that of the ID token"),
    "sid-not-in-the-id-token": (asserts(sid=GONE), "that of the ID token None"),
    "sub": (tells(sub=ELSE), "sub is 'something-else'"),
    "key-unknown": (tells(serve=False), "no key .* for the logout token"),
    "kid-of-another-key": (tells(header={"kid": "rsa"}), "signature of the logout token"),
    "alg-none": (tells(header={"alg": "none", "kid": None}), "the logout token is signed with 'none'"),
    "alg-hs256": (tells(header={"alg": "HS256"}), "signed with 'HS256'"),
})  # fmt: skip

add(
    "oidcc-frontchannel-logout-discovery-endpoint-verification",
    members("frontchannel_logout_supported", "frontchannel_logout_session_supported"),
    FRAMED,
)
add("oidcc-frontchannel-rp-initiated-logout", {
    "never": (frames_with("<iframe", "<p"), "nothing asked for https://frontchannel.example"),
    "image": (frames_with("<iframe", "<img"), "not loaded in a frame but as 'image'"),
    "sid-missing": (frames_with("sid=", "other="), "not iss and sid"),
    "sid": (frames_with("sid=", "sid=x"), "sid is 'x.*, that of the ID token"),
    "sid-not-in-the-id-token": (asserts(sid=GONE), "that of the ID token None"),
    "iss": (frames_with("iss=https", "iss=http"), "iss of the notice is 'http:"),
    "iss-missing": (frames_with("iss=", "other="), "not iss and sid"),
    "more": (frames_with("sid=", "more=x&sid="), "not just iss and sid"),
    "state": (frames_with("state=", "state=x"), "state is 'x"),
    "other-error": (silent_requests("access_denied"), "'access_denied'"),
}, FRAMED)  # fmt: skip
add(
    "oidcc-session-management-discovery-endpoint-verification",
    members(urls=("check_session_iframe", "end_session_endpoint")),
    FRAMED,
)
add("oidcc-session-management-rp-initiated-logout", {
    "session-state-missing": (sends(session_state=GONE), "no session_state"),
    "session-state-with-a-space": (sends(session_state="x y"), "has a space"),
    "session-state": (sends(session_state="x.y"), "the frame says 'changed', not 'unchanged'"),
    "unframeable": (header_of("check_session", "X-Frame-Options", "DENY"), "does not answer"),
    "always-unchanged": (
        frames_with("var stat = 'changed'", "var stat = 'unchanged'"),
        "the frame says 'unchanged', not 'changed'",
    ),
    "always-error": (frames_with("stat = 'unchanged'", "stat = 'error'"), "the frame says 'error'"),
    "state": (comes_back(state=ELSE), "state is 'something-else'"),
    "other-error": (silent_requests("access_denied"), "'access_denied'"),
}, FRAMED)  # fmt: skip
