"""Module by module, the lies of a relying party that it has to see, and what its failure has to name.

The lies are in `tests/live/peers/relying_party.mjs`.
"""

from typing import NamedTuple


class Lie(NamedTuple):
    """What the relying party does wrong, and a pattern of what the module says of it."""

    name: str
    seen: str


_T = "oidcc-client-test"
_B = f"{_T}-rp-backchannel-rpinitlogout"
_R = f"{_T}-rp-init-logout"
_F = f"{_T}-rp-frontchannel"
_ACCEPTED = "the sign-in is accepted"
_REFUSED = "the sign-in is refused|the sign-in ends with 400"
_TAKEN = "the token is answered with 200"
_USERINFO_ACCEPTED = "userinfo that somebody else signed is accepted"
_OF_TWO_MINDS = "ends with 400, and the session says True"

LIES: dict[str, list[Lie]] = {
    _T: [
        Lie("no-userinfo", "userinfo was not asked"),
        Lie("no-nonce", "no nonce was sent"),
        Lie("another-redirect-uri", "redirect_uri changed"),
    ],
    f"{_T}-invalid-iss": [
        Lie("iss", _ACCEPTED),
        Lie("session-before-checks", _OF_TWO_MINDS),
        Lie("userinfo-before-checks", "userinfo was asked all the same"),
    ],
    f"{_T}-missing-sub": [Lie("sub", _ACCEPTED)],
    f"{_T}-invalid-aud": [Lie("aud", _ACCEPTED)],
    f"{_T}-missing-iat": [Lie("iat", _ACCEPTED)],
    f"{_T}-kid-absent-single-jwks": [Lie("needs-kid", _REFUSED)],
    f"{_T}-kid-absent-multiple-jwks": [Lie("session-before-checks", _OF_TWO_MINDS)],
    f"{_T}-idtoken-sig-rs256": [Lie("only-es256", _REFUSED)],
    f"{_T}-idtoken-sig-none": [Lie("session-before-checks", _OF_TWO_MINDS)],
    f"{_T}-invalid-sig-rs256": [Lie("signature", _ACCEPTED)],
    f"{_T}-userinfo-invalid-sub": [Lie("userinfo-sub", _ACCEPTED)],
    f"{_T}-nonce-invalid": [Lie("nonce", _ACCEPTED)],
    f"{_T}-scope-userinfo-claims": [Lie("openid-only", "scope is 'openid'")],
    f"{_T}-client-secret-basic": [Lie("secret-in-the-body", "did not use client_secret_basic")],
    f"{_T}-form-post-error": [Lie("redeems-errors", "the code is unknown or used")],
    "code-flow-only-id_token": [Lie("takes-any-tokens", _ACCEPTED)],
    "code-flow-only-id_token-token": [Lie("takes-any-tokens", _ACCEPTED)],
    "code-flow-only-code-id_token": [Lie("takes-any-tokens", _ACCEPTED)],
    "code-flow-only-code-id_token-token": [Lie("takes-any-tokens", _ACCEPTED)],
    "code-flow-only-fragment": [Lie("takes-empty-answers", _ACCEPTED)],
    "code-flow-only-not-offered": [Lie("redeems-errors", "the code is unknown or used")],
    f"{_T}-discovery-openid-config": [Lie("guesses-endpoints", "authorize was asked first")],
    f"{_T}-discovery-jwks-uri-keys": [Lie("signature", "the keys were not asked for")],
    f"{_T}-discovery-issuer-mismatch": [
        Lie("metadata-issuer", _ACCEPTED),
        Lie("metadata-issuer-late", "a person was sent there all the same"),
    ],
    f"{_T}-signing-key-rotation-just-before-signing": [Lie("keeps-old-keys", _REFUSED)],
    f"{_T}-signing-key-rotation": [Lie("keeps-old-keys", _REFUSED)],
    _B: [
        Lie("logout-ends-nothing", "the session lives on"),
        Lie("logout-may-be-stored", "the answer may be stored"),
    ],
    f"{_B}-alg-none": [
        Lie("logout-unsigned", _TAKEN),
        Lie("logout-before-checks", "a bad token ended a session"),
    ],
    f"{_B}-no-event": [Lie("logout-no-event", _TAKEN)],
    f"{_B}-with-nonce": [Lie("logout-nonce", _TAKEN)],
    f"{_B}-wrong-alg": [Lie("logout-alg", _TAKEN)],
    f"{_B}-wrong-aud": [Lie("logout-aud", _TAKEN)],
    f"{_B}-wrong-event": [Lie("logout-other-event", _TAKEN)],
    f"{_B}-wrong-iss": [Lie("logout-iss", _TAKEN)],
    f"{_T}-refresh-token": [
        Lie("never-renews", "no new tokens were asked for"),
        Lie("keeps-old-refresh-token", "a refresh token was sent that is not the newest"),
    ],
    f"{_T}-refresh-token-invalid-issuer": [
        Lie("renewed-iss", "the access token of a refused answer was used"),
        Lie("keeps-refused-refresh-token", "the refresh token of a refused answer was used"),
    ],
    f"{_T}-refresh-token-invalid-sub": [
        Lie("renewed-sub", "the access token of a refused answer was used"),
        Lie("keeps-refused-access-token", "the page has a token of a refused answer"),
    ],
    f"{_T}-userinfo-signed": [
        Lie("userinfo-signature", _USERINFO_ACCEPTED),
        Lie("userinfo-as-json", _REFUSED),
    ],
    f"{_T}-3rd-party-init-login": [
        Lie("open-redirector", "it is an open redirector"),
        Lie("drops-hint", "login_hint is sent as None"),
        Lie("drops-target", "the sign-in ends at "),
    ],
    f"{_T}-missing-aud": [Lie("aud", _ACCEPTED), Lie("aud-if-there", _ACCEPTED)],
    f"{_T}-ignores-unparseable-key-in-jwks": [Lie("knows-all-keys", _REFUSED)],
    f"{_T}-invalid-sig-hs256": [Lie("signature", _ACCEPTED)],
    f"{_T}-invalid-sig-es256": [Lie("signature", _ACCEPTED)],
    f"{_T}-aggregated-claims": [
        Lie("believes-claims-of-others", "a claim is shown that nobody vouches for"),
        Lie("refuses-claims-of-others", _REFUSED),
    ],
    f"{_T}-distributed-claims": [
        Lie("believes-claims-of-others", "a claim is shown that nobody vouches for"),
        Lie("fetches-with-its-own-token", "without the access token of their source"),
    ],
    _R: [
        Lie("logout-no-hint", "id_token_hint of the sign-out is no ID token"),
        Lie("logout-to-elsewhere", "post_logout_redirect_uri is another"),
        Lie("logout-here-only", "the provider was not asked to end the session"),
        Lie("logout-there-only", "who signed out is still signed in"),
        Lie("logout-knows-the-session", "told of a session that is over, it answers 400"),
        Lie("logout-signs-in", "after the sign-out a sign-in began"),
    ],
    f"{_R}-other-state": [
        Lie("logout-needs-state", "the relying party breaks"),
        Lie("logout-follows-state", "the sign-out leads on to .*jwks"),
        Lie("logout-no-state", "the sign-out has no state"),
    ],
    f"{_R}-no-state": [
        Lie("logout-needs-state", "the relying party breaks"),
        Lie("logout-signs-in", "after the sign-out a sign-in began"),
    ],
    f"{_F}-rpinitlogout": [
        Lie("logout-unframed", "X-Frame-Options is DENY"),
        Lie("logout-framed-by-itself", "frame-ancestors is"),
        Lie("logout-stored", "the answer may be stored"),
        Lie("logout-knows-the-session", "the frame is answered with 400"),
    ],
    f"{_F}-opinitlogout": [
        Lie("logout-ends-nothing", "the session lives on"),
        Lie("logout-by-cookie", "the session lives on"),
        Lie("logout-one-process", "the session lives on"),
        Lie("logout-sid", "a frame with another sid ended the session"),
        Lie("logout-iss", "a frame with another iss ended the session"),
        Lie("logout-person", "another session ended too"),
    ],
    f"{_T}-session-management": [
        Lie("watch-once", "the provider's frame is not asked again"),
        Lie("watch-state-only", "the frame is asked '[^ ]+'"),
        Lie("watch-always", "the provider is asked, although nothing has changed"),
        Lie("watch-only", "the provider is not asked, although something has changed"),
        Lie("watch-the-page", "the whole page was led to"),
        Lie("watch-no-hint", "id_token_hint of the silent request"),
        Lie("watch-old-state", "it asks about another session state|although nothing has changed"),
        Lie("watch-lives-on", "nobody is signed in at the provider, and the session goes on"),
        Lie("watch-anybody", "somebody else is signed in at the provider, and the session goes on"),
        Lie("watch-error-is-change", "the provider is asked, although its frame failed"),
    ],
}

#: Lies that only an answer by form_post shows; the others are told once, in the first plan of each module.
FORM_POST_LIES = (
    Lie("wants-a-query", "response_mode is not form_post"),
    Lie("lax-cookie", "the sign-in is refused|the sign-in ends with 400"),
)
