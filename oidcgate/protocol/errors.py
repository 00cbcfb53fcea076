"""What can be wrong with a message: as the server says it, and as the relying party names it.

Server side, `OAuthError`: each class carries the code and the HTTP status that go to the client;
`description` is for the client too, `detail` for the log only. Relying-party side, `Refused`: one `Reason`
for each faulty thing, so that a test or a log line says which check failed. How an error is answered (page,
redirect, JSON) is the callers' business.
"""

import re
from enum import StrEnum
from typing import ClassVar, Final

#: What a provider answers to `prompt=none` when it would have to show the person something. Spec: OIDC Core
#: 3.1.2.6.
NEED_A_PERSON: Final = frozenset(
    {"login_required", "interaction_required", "consent_required", "account_selection_required"}
)
# RFC 6749 5.2: what error and error_description may hold.
_ILLEGAL = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")


class OAuthError(Exception):
    """An error a client is told. Raise a subclass.

    Args:
        description: For the client; characters that RFC 6749 5.2 forbids become `?`. Never holds a secret,
            nor text of the request beyond names.
        detail: For the log only.
        retry_after_seconds: When it makes sense to try again; None where that is not known.
    """

    code: ClassVar[str]
    status: ClassVar[int] = 400

    def __init__(
        self, description: str = "", *, detail: str = "", retry_after_seconds: int | None = None
    ) -> None:
        self.description = _ILLEGAL.sub("?", description)
        self.detail = detail
        self.retry_after_seconds = retry_after_seconds
        super().__init__(f"{self.code}: {self.description}")

    def document(self) -> dict[str, str]:
        """Return the JSON body of RFC 6749 5.2."""
        body = {"error": self.code}
        if self.description:
            body["error_description"] = self.description
        return body


class InvalidRequest(OAuthError):
    """A parameter is missing, repeated or malformed. Spec: RFC 6749 4.1.2.1, 5.2."""

    code = "invalid_request"


class InvalidClient(OAuthError):
    """The client did not prove who it is. Spec: RFC 6749 5.2."""

    code = "invalid_client"
    status = 401


class InvalidGrant(OAuthError):
    """Code, refresh token or verifier is not good (any more), or another client's. Spec: RFC 6749 5.2."""

    code = "invalid_grant"


class UnauthorizedClient(OAuthError):
    """The client may not use this grant or response type. Spec: RFC 6749 4.1.2.1, 5.2."""

    code = "unauthorized_client"


class Forbidden(UnauthorizedClient):
    """The client may not use this endpoint at all. Spec: RFC 7662 2.3; RFC 7009 2.2.1."""

    status = 403


class UnsupportedGrantType(OAuthError):
    """The server has no such grant. Spec: RFC 6749 5.2."""

    code = "unsupported_grant_type"


class UnsupportedResponseType(OAuthError):
    """The server has no such response type. Spec: RFC 6749 4.1.2.1."""

    code = "unsupported_response_type"


class InvalidScope(OAuthError):
    """The scope is malformed, unknown or more than was granted. Spec: RFC 6749 4.1.2.1, 5.2."""

    code = "invalid_scope"


class AccessDenied(OAuthError):
    """The person or the server said no. Spec: RFC 6749 4.1.2.1; RFC 8628 3.5."""

    code = "access_denied"


class ServerError(OAuthError):
    """Something broke. Spec: RFC 6749 4.1.2.1."""

    code = "server_error"
    status = 500


class TemporarilyUnavailable(OAuthError):
    """Try again later. Spec: RFC 6749 4.1.2.1."""

    code = "temporarily_unavailable"
    status = 503


class LoginRequired(OAuthError):
    """A login is needed and `prompt=none` forbids to ask. Spec: OIDC Core 3.1.2.6."""

    code = "login_required"


class ConsentRequired(OAuthError):
    """Consent is needed and `prompt=none` forbids to ask. Spec: OIDC Core 3.1.2.6."""

    code = "consent_required"


class InteractionRequired(OAuthError):
    """Some page is needed and `prompt=none` forbids it. Spec: OIDC Core 3.1.2.6."""

    code = "interaction_required"


class UnmetAuthenticationRequirements(OAuthError):
    """No `acr` that was asked for as essential can be reached.

    Spec: OIDC Core Unmet Authentication Requirements 1.0 section 2.
    """

    code = "unmet_authentication_requirements"


class AccountSelectionRequired(OAuthError):
    """An account has to be chosen and `prompt=none` forbids to ask. Spec: OIDC Core 3.1.2.6."""

    code = "account_selection_required"


class RequestNotSupported(OAuthError):
    """The `request` parameter is switched off. Spec: OIDC Core 3.1.2.6."""

    code = "request_not_supported"


class RequestUriNotSupported(OAuthError):
    """The `request_uri` parameter is switched off. Spec: OIDC Core 3.1.2.6."""

    code = "request_uri_not_supported"


class InvalidRequestObject(OAuthError):
    """The request object is not believed, or holds what it must not. Spec: OIDC Core 3.1.2.6; RFC 9101 7."""

    code = "invalid_request_object"


class InvalidRequestUri(OAuthError):
    """The `request_uri` is not the client's, or gives nothing. Spec: OIDC Core 3.1.2.6; RFC 9101 7."""

    code = "invalid_request_uri"


class RegistrationNotSupported(OAuthError):
    """The `registration` parameter is switched off. Spec: OIDC Core 3.1.2.6."""

    code = "registration_not_supported"


class InvalidTarget(OAuthError):
    """The resource is unknown or not this client's. Spec: RFC 8707 2."""

    code = "invalid_target"


class AuthorizationPending(OAuthError):
    """The person has not answered yet: ask again. Spec: RFC 8628 3.5."""

    code = "authorization_pending"


class SlowDown(OAuthError):
    """As `AuthorizationPending`, and ask less often. Spec: RFC 8628 3.5."""

    code = "slow_down"


class ExpiredToken(OAuthError):
    """The device code has ended before the person answered. Spec: RFC 8628 3.5."""

    code = "expired_token"


class InvalidClientMetadata(OAuthError):
    """What is said of a client that registers itself is malformed or not allowed. Spec: RFC 7591 3.2.2."""

    code = "invalid_client_metadata"


class InvalidRedirectUri(OAuthError):
    """So is one of its redirect URIs. Spec: RFC 7591 3.2.2."""

    code = "invalid_redirect_uri"


class InvalidToken(OAuthError):
    """The access token is missing, expired, revoked or malformed. Spec: RFC 6750 3.1."""

    code = "invalid_token"
    status = 401


class InsufficientScope(OAuthError):
    """The access token does not reach that far. Spec: RFC 6750 3.1."""

    code = "insufficient_scope"
    status = 403


class Reason(StrEnum):
    """Why the relying party refused what came from outside. One for each faulty thing."""

    STATE_MISSING = "state_missing"
    STATE_REPEATED = "state_repeated"
    STATE_UNKNOWN = "state_unknown"
    CODE_MISSING = "code_missing"
    CODE_REPEATED = "code_repeated"
    CODE_MALFORMED = "code_malformed"
    TOKENS_NOT_ASKED_FOR = "tokens_not_asked_for"
    REDIRECT_URI = "redirect_uri"
    ISS_MISSING = "iss_missing"
    ISS_REPEATED = "iss_repeated"
    ISS_MISMATCH = "iss_mismatch"
    ERROR_REPEATED = "error_repeated"
    PROVIDER_ERROR = "provider_error"
    PUSHED_RESPONSE_MALFORMED = "pushed_response_malformed"
    TOKEN_RESPONSE_MALFORMED = "token_response_malformed"
    ID_TOKEN_MISSING = "id_token_missing"
    ID_TOKEN_MALFORMED = "id_token_malformed"
    ID_TOKEN_ENCRYPTION = "id_token_encryption"
    ID_TOKEN_TYPE = "id_token_type"
    ID_TOKEN_ALG = "id_token_alg"
    ID_TOKEN_KID_UNKNOWN = "id_token_kid_unknown"
    ID_TOKEN_SIGNATURE = "id_token_signature"
    ID_TOKEN_ISS = "id_token_iss"
    ID_TOKEN_TENANT = "id_token_tenant"
    ID_TOKEN_HOSTED_DOMAIN = "id_token_hosted_domain"
    ID_TOKEN_SUB = "id_token_sub"
    ID_TOKEN_AUD = "id_token_aud"
    ID_TOKEN_AZP = "id_token_azp"
    ID_TOKEN_EXP = "id_token_exp"
    ID_TOKEN_IAT = "id_token_iat"
    ID_TOKEN_NBF = "id_token_nbf"
    ID_TOKEN_NONCE = "id_token_nonce"
    ID_TOKEN_ACR = "id_token_acr"
    ID_TOKEN_AUTH_TIME = "id_token_auth_time"
    ID_TOKEN_AT_HASH = "id_token_at_hash"
    ID_TOKEN_C_HASH = "id_token_c_hash"
    USERINFO_MALFORMED = "userinfo_malformed"
    USERINFO_SIGNATURE = "userinfo_signature"
    USERINFO_ENCRYPTION = "userinfo_encryption"
    USERINFO_ISS = "userinfo_iss"
    USERINFO_AUD = "userinfo_aud"
    USERINFO_EXP = "userinfo_exp"
    USERINFO_SUB = "userinfo_sub"
    USERNAME_MISSING = "username_missing"
    EMAIL_UNVERIFIED = "email_unverified"
    METADATA_ISSUER = "metadata_issuer"
    METADATA_INVALID = "metadata_invalid"


class Refused(Exception):
    """A message that the relying party does not believe.

    Args:
        reason: Which check failed.
        detail: For the log; holds no code, token or secret.
        error: The provider's error code, when the reason is PROVIDER_ERROR.
    """

    def __init__(self, reason: Reason, detail: str = "", *, error: str | None = None) -> None:
        self.reason = reason
        self.detail = detail
        self.error = error
        super().__init__(f"{reason}: {detail}" if detail else str(reason))
