"""The authorization request and its answer: built and checked on both sides.

The provider reads a request in two steps, because an error may go back by redirect only after client and
redirect URI are known to belong together (P-02): `client_and_redirect` raises what has to be a page,
`complete` what may be redirected. Writing the answer is the provider's own (`provider.services.responses`).
PKCE and URL rules are next door in `oidcgate.protocol.pkce` and `oidcgate.protocol.urls`.
"""

import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from oidcgate.protocol.errors import (
    InvalidRequest,
    InvalidScope,
    Reason,
    Refused,
    RegistrationNotSupported,
    RequestNotSupported,
    RequestUriNotSupported,
)
from oidcgate.protocol.parameters import MAX_VALUE_CHARACTERS, Parameters, collect
from oidcgate.protocol.pkce import check_challenge
from oidcgate.protocol.resource import api_of, parameter_for
from oidcgate.protocol.response_type import parse_response_type

_SCOPE_TOKEN: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
_MAX_AGE: Final = re.compile(r"[0-9]{1,9}")
# What an answer of the implicit or the hybrid flow holds.
_TOKENS: Final = frozenset({"id_token", "access_token"})
_RESPONSE_MODES: Final = frozenset({"query", "fragment", "form_post"})
_PROMPTS: Final = frozenset({"none", "login", "consent", "select_account"})
_ERROR_CODE: Final = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]{1,100}")
_NOT_SUPPORTED: Final = {
    "request": RequestNotSupported,
    "request_uri": RequestUriNotSupported,
    "registration": RegistrationNotSupported,
}
#: Every parameter that `complete` reads. What else is sent is ignored.
PARAMETER_NAMES: Final = frozenset({
    "acr_values", "amr_values", "audience", "claims", "client_id", "code_challenge", "code_challenge_method",
    "id_token_hint", "login_hint", "max_age", "nonce", "org_id", "prompt", "redirect_uri", "registration",
    "request", "request_uri", "resource", "response_mode", "response_type", "scope", "state", "ui_locales",
})  # fmt: skip


@dataclass(frozen=True)
class AuthorizationRequest:
    """An authorization request, to send or as received.

    Attributes:
        redirect_uri: None only when received so; the provider then takes the one that is registered.
        response_type: Its words in alphabetical order, one space between;
            `oidcgate.protocol.response_type` says what it gives.
        max_age: Seconds; 0 asks for a new login.
        amr_values: Methods that are wished for; no standard has this parameter, Entrust does.
        claims: As it came; `oidcgate.protocol.claims_parameter` reads it.
        api: What the access token is for, by `resource` or `audience`.
        org_id: The organisation to sign in for; no standard has this parameter, Entrust does.

    Spec: OIDC Core 3.1.2.1; RFC 6749 4.1.1; RFC 7636 4.3.
    """

    client_id: str
    redirect_uri: str | None
    response_type: str = "code"
    scope: tuple[str, ...] = ()
    state: str | None = None
    nonce: str | None = None
    code_challenge: str | None = None
    code_challenge_method: str | None = None
    response_mode: str | None = None
    prompt: tuple[str, ...] = ()
    max_age: int | None = None
    login_hint: str | None = None
    id_token_hint: str | None = None
    acr_values: tuple[str, ...] = ()
    amr_values: tuple[str, ...] = ()
    claims: str | None = None
    ui_locales: tuple[str, ...] = ()
    api: str | None = None
    org_id: str | None = None


@dataclass(frozen=True)
class RawRequest:
    """An authorization request of which nothing is believed yet.

    Attributes:
        pairs: What it was read from: the query or form, or what became of it by a request object
            (`oidcgate.protocol.request_object`).
        signed: The client has signed it: it came of a request object whose signature was good.
    """

    parameters: Parameters
    pairs: tuple[tuple[str, str], ...]
    signed: bool = False

    @property
    def response_type(self) -> str | None:
        """As it came, to choose how an error answer is sent."""
        return self.parameters.get("response_type")

    @property
    def state(self) -> str | None:
        """What an error answer may echo: None if it is absent, repeated or malformed."""
        return self.parameters.safe("state")

    @property
    def response_mode(self) -> str | None:
        """How an error answer may be sent: None if it is absent, repeated or unknown."""
        mode = self.parameters.safe("response_mode")
        return mode if mode in _RESPONSE_MODES else None


def parse_authorization_request(pairs: Iterable[tuple[str, str]], *, signed: bool = False) -> RawRequest:
    """Take the decoded pairs of the query (GET) or form (POST); never fails.

    Args:
        signed: They are what was kept of a request that the client had signed.

    Spec: OIDC Core 3.1.2.1; RFC 6749 3.1.
    """
    kept = tuple(pairs)
    return RawRequest(collect(kept), kept, signed)


def client_and_redirect(raw: RawRequest) -> tuple[str, str | None]:
    """Return client_id and redirect_uri, to be looked up before anything else is judged.

    Raises:
        InvalidRequest: One is missing (client_id), repeated or malformed. Has to be a page: there is nowhere
            to redirect.
    """
    parameters = raw.parameters
    parameters.check("client_id", "redirect_uri")
    return parameters.required("client_id"), parameters.get("redirect_uri")


def complete(raw: RawRequest) -> AuthorizationRequest:
    """Return the whole request, well formed. Whether this client may ask for it is not judged.

    Raises:
        OAuthError: InvalidRequest, UnsupportedResponseType, InvalidScope, InvalidTarget, RequestNotSupported,
            RequestUriNotSupported or RegistrationNotSupported; each may go back by redirect.

    Spec: OIDC Core 3.1.2.2; RFC 6749 4.1.2.1.
    """
    parameters = raw.parameters
    parameters.check()
    for name, error in _NOT_SUPPORTED.items():
        if parameters.get(name) is not None:
            raise error(f"{name} is not supported")
    challenge, method = parameters.get("code_challenge"), parameters.get("code_challenge_method")
    check_challenge(challenge, method)
    return AuthorizationRequest(
        client_id=parameters.required("client_id"),
        redirect_uri=parameters.get("redirect_uri"),
        response_type=parse_response_type(parameters.required("response_type")).value,
        scope=parse_scope(parameters.get("scope")),
        state=parameters.get("state"),
        nonce=parameters.get("nonce"),
        code_challenge=challenge,
        code_challenge_method=method,
        response_mode=_response_mode(parameters.get("response_mode")),
        prompt=_prompt(parameters.get("prompt")),
        max_age=_max_age(parameters.get("max_age")),
        login_hint=parameters.get("login_hint"),
        id_token_hint=parameters.get("id_token_hint"),
        acr_values=_words(parameters.get("acr_values")),
        amr_values=_words(parameters.get("amr_values")),
        claims=parameters.get("claims"),
        ui_locales=_words(parameters.get("ui_locales")),
        api=api_of(parameters),
        org_id=parameters.get("org_id"),
    )


def parse_scope(text: str | None) -> tuple[str, ...]:
    """Return the scope's values in order, each once.

    Raises:
        InvalidScope: A value holds a character that no scope has.

    Spec: RFC 6749 3.3.
    """
    scope = _words(text)
    if not all(_SCOPE_TOKEN.fullmatch(value) for value in scope):
        raise InvalidScope("scope is malformed")
    return scope


def request_parameters(request: AuthorizationRequest) -> dict[str, str]:
    """Return the parameters of a request to send, as a query or form has them.

    Spec: OIDC Core 3.1.2.1; RFC 8707 2.1.
    """
    values = {
        "client_id": request.client_id,
        "scope": " ".join(request.scope),
        "response_type": request.response_type,
        "redirect_uri": request.redirect_uri,
        "state": request.state,
        "nonce": request.nonce,
        "code_challenge": request.code_challenge,
        "code_challenge_method": request.code_challenge_method,
        "response_mode": request.response_mode,
        "prompt": " ".join(request.prompt),
        "max_age": None if request.max_age is None else str(request.max_age),
        "login_hint": request.login_hint,
        "id_token_hint": request.id_token_hint,
        "acr_values": " ".join(request.acr_values),
        "amr_values": " ".join(request.amr_values),
        "claims": request.claims,
        "ui_locales": " ".join(request.ui_locales),
        "org_id": request.org_id,
    }
    if request.api is not None:
        values[parameter_for(request.api)] = request.api
    return {name: value for name, value in values.items() if value}


def check_authorization_response(
    pairs: Iterable[tuple[str, str]],
    *,
    expected_state: str | None,
    issuer: str,
    iss_wanted: bool,
) -> str:
    """Return the code of an authorization response that belongs to this browser's own request.

    State comes first, so that a foreign response is named as such whatever else it holds; then the issuer,
    for an error response too, since a mixed-up provider may send either; then the provider's error; then
    tokens, which no answer to a request for a code has; then the code.

    Args:
        pairs: Decoded pairs of the query or form.
        expected_state: The state this browser was sent out with, None if it was not.
        issuer: The issuer it was sent to.
        iss_wanted: A response without `iss` is refused: the issuer's metadata promises it, or another issuer
            sends its responses to the same redirect URI.

    Raises:
        Refused: STATE_*, ISS_*, ERROR_REPEATED, PROVIDER_ERROR (with its code), TOKENS_NOT_ASKED_FOR, CODE_*.

    Spec: RFC 6749 4.1.2, 10.12; OAuth 2.0 Multiple Response Types 3; RFC 9207 2.4; RFC 9700 4.4.2.
    """
    answer = collect(pairs)
    _refuse_repeated("state", answer.repeated, Reason.STATE_REPEATED)
    state = answer.get("state")
    if state is None:
        raise Refused(Reason.STATE_MISSING)
    if expected_state is None or not _equal(state, expected_state):
        raise Refused(Reason.STATE_UNKNOWN)
    _refuse_repeated("iss", answer.repeated, Reason.ISS_REPEATED)
    claimed = answer.get("iss")
    if claimed is None and iss_wanted:
        raise Refused(Reason.ISS_MISSING)
    if claimed is not None and claimed != issuer:
        raise Refused(Reason.ISS_MISMATCH)
    _refuse_repeated("error", answer.repeated, Reason.ERROR_REPEATED)
    error = answer.get("error")
    if error is not None:
        raise provider_error(error)
    unasked = sorted(_TOKENS & answer.values.keys())
    if unasked:
        # The answer to another request than ours, and its tokens have passed through the browser.
        detail = f"the answer holds {' and '.join(unasked)}, and only a code was asked for"
        raise Refused(Reason.TOKENS_NOT_ASKED_FOR, f"{detail} (response_type code)")
    _refuse_repeated("code", answer.repeated, Reason.CODE_REPEATED)
    code = answer.get("code")
    if code is None:
        raise Refused(Reason.CODE_MISSING)
    if len(code) > MAX_VALUE_CHARACTERS or not code.isascii() or not code.isprintable():
        raise Refused(Reason.CODE_MALFORMED)
    return code


def provider_error(error: object) -> Refused:
    """Return the refusal for an `error` the provider sent, its code kept only if it is one."""
    legal = isinstance(error, str) and _ERROR_CODE.fullmatch(error) is not None
    return Refused(Reason.PROVIDER_ERROR, error=str(error) if legal else "malformed")


def _refuse_repeated(name: str, repeated: frozenset[str], reason: Reason) -> None:
    if name in repeated:
        raise Refused(reason)


def _equal(claimed: str, ours: str) -> bool:
    # What is claimed may be any text, half a character included; that is no reason to fail.
    return hmac.compare_digest(claimed.encode("utf-8", "surrogatepass"), ours.encode())


def _words(text: str | None) -> tuple[str, ...]:
    # Runs of spaces count as one; a form may have said `+` or `%20`, which is decoded alike.
    return tuple(dict.fromkeys(word for word in (text or "").split(" ") if word))


def _response_mode(text: str | None) -> str | None:
    if text is not None and text not in _RESPONSE_MODES:
        raise InvalidRequest("response_mode has to be query, fragment or form_post")
    return text


def _prompt(text: str | None) -> tuple[str, ...]:
    prompt = _words(text)
    if not _PROMPTS.issuperset(prompt):
        raise InvalidRequest("prompt has to be none, login, consent or select_account")
    if "none" in prompt and len(prompt) > 1:
        raise InvalidRequest("prompt none goes with no other")
    return prompt


def _max_age(text: str | None) -> int | None:
    if text is None:
        return None
    if not _MAX_AGE.fullmatch(text):
        raise InvalidRequest("max_age has to be a number of seconds")
    return int(text)
