"""What the provider reports to the audit log.

Names are stable; values are ids, never a secret, password, code, token or cookie. A user name is reported
only when it belongs to somebody: what is typed into that field by mistake is often the password.

`client_id` is "" where somebody was on the way to their account pages, and not to an application.

How an event is written is `oidcgate.audit`; who emits it is the endpoint or service that did the thing, after
it was committed.
"""

from dataclasses import dataclass
from typing import ClassVar

from oidcgate.audit import Event


@dataclass(frozen=True)
class LoginSucceeded(Event):
    """A person signed in. `client_id` is the application they were on the way to; "" for their account pages.

    `sid` is None where the application sent the password itself: there is no browser session.
    """

    name: ClassVar[str] = "provider.login_succeeded"
    realm: str
    user_id: str
    sid: str | None
    client_id: str
    amr: tuple[str, ...]
    network: str


@dataclass(frozen=True)
class LoginFailed(Event):
    """A sign-in was refused; `user_id` is None when the name belongs to nobody."""

    name: ClassVar[str] = "provider.login_failed"
    realm: str
    user_id: str | None
    client_id: str
    reason: str
    network: str


@dataclass(frozen=True)
class LoginSlowed(Event):
    """A sign-in was not even tried: too many failures lately."""

    name: ClassVar[str] = "provider.login_slowed"
    realm: str
    client_id: str
    network: str
    wait_seconds: int


@dataclass(frozen=True)
class FactorEnrolled(Event):
    """A person set up a second factor (`factor`: `totp`), which counts from now on."""

    name: ClassVar[str] = "provider.factor_enrolled"
    realm: str
    user_id: str
    factor: str
    client_id: str
    network: str


@dataclass(frozen=True)
class FactorRemoved(Event):
    """A person's second factor was taken away. `by` is who did: `person` or `operator`.

    With an operator all sessions and tokens ended too.
    """

    name: ClassVar[str] = "provider.factor_removed"
    realm: str
    user_id: str
    factor: str
    by: str


@dataclass(frozen=True)
class FactorReplaced(Event):
    """A person set up another authenticator in place of the one they had, which counts no more."""

    name: ClassVar[str] = "provider.factor_replaced"
    realm: str
    user_id: str
    factor: str
    network: str


@dataclass(frozen=True)
class FactorSucceeded(Event):
    """A person showed a second factor; `sid` is the session that it strengthened."""

    name: ClassVar[str] = "provider.factor_succeeded"
    realm: str
    user_id: str
    factor: str
    sid: str
    client_id: str
    network: str


@dataclass(frozen=True)
class FactorFailed(Event):
    """A code was refused.

    `reason` is `wrong_code`; or `unreadable`: the configured secrets do not open what is stored of the
    factor.
    """

    name: ClassVar[str] = "provider.factor_failed"
    realm: str
    user_id: str
    factor: str
    client_id: str
    reason: str
    network: str


@dataclass(frozen=True)
class FactorReplayed(Event):
    """A code that was right came a second time, or after a later one. Somebody may have looked on."""

    name: ClassVar[str] = "provider.factor_replayed"
    realm: str
    user_id: str
    factor: str
    client_id: str
    network: str


@dataclass(frozen=True)
class FactorSlowed(Event):
    """A code was not even looked at: too many failures lately."""

    name: ClassVar[str] = "provider.factor_slowed"
    realm: str
    user_id: str
    factor: str
    client_id: str
    network: str
    wait_seconds: int


@dataclass(frozen=True)
class ConsentAnswered(Event):
    """A person agreed or refused; `scopes` were asked for, `agreed` are those that were not left out."""

    name: ClassVar[str] = "provider.consent_answered"
    realm: str
    user_id: str
    client_id: str
    scopes: tuple[str, ...]
    agreed: tuple[str, ...]
    allowed: bool


@dataclass(frozen=True)
class ConsentNotStored(Event):
    """What a person agreed to is not remembered, because the attribute is full: `size_bytes` were needed.

    The sign-in went on. They are asked again next time, until there is more room or a consent is withdrawn.
    """

    name: ClassVar[str] = "provider.consent_not_stored"
    realm: str
    user_id: str
    client_id: str
    attribute: str
    size_bytes: int
    max_bytes: int


@dataclass(frozen=True)
class ConsentUnreadable(Event):
    """The consents of a person cannot be opened, and count as none; their next consent replaces them.

    Somebody altered or moved the string, or the secret that it was sealed with is in `secret` no more.
    """

    name: ClassVar[str] = "provider.consent_unreadable"
    realm: str
    user_id: str
    attribute: str


@dataclass(frozen=True)
class ConsentWithdrawn(Event):
    """What a person had agreed to for a client is forgotten, and as many `grants` with their tokens ended.

    `by` is who said so: `person` or `operator`.
    """

    name: ClassVar[str] = "provider.consent_withdrawn"
    realm: str
    user_id: str
    client_id: str
    grants: int
    by: str


@dataclass(frozen=True)
class AttributeUnusable(Event):
    """An attribute of a person is not what its property says, and was left out. Told once by each process."""

    name: ClassVar[str] = "provider.attribute_unusable"
    realm: str
    user_id: str
    attribute: str
    problem: str


@dataclass(frozen=True)
class AuthorizationRefused(Event):
    """A client's request was answered with an error by redirect; `detail` is for the operator."""

    name: ClassVar[str] = "provider.authorization_refused"
    realm: str
    client_id: str
    error: str
    detail: str


@dataclass(frozen=True)
class RequestRefused(Event):
    """A client proved itself and was refused what it asked for; `detail` is for the operator.

    A device that has to go on waiting is not reported.
    """

    name: ClassVar[str] = "provider.request_refused"
    realm: str
    client_id: str
    path: str
    error: str
    detail: str


@dataclass(frozen=True)
class LoggedOut(Event):
    """A browser session was ended. `client_id` is the application that asked.

    It is None where the person asked by themselves, or an operator did.
    """

    name: ClassVar[str] = "provider.logged_out"
    realm: str
    user_id: str
    sid: str
    client_id: str | None


@dataclass(frozen=True)
class LogoutNoticeSent(Event):
    """A client took the notice that a session has ended; `attempts` is how often it was sent."""

    name: ClassVar[str] = "provider.logout_notice_sent"
    realm: str
    client_id: str
    sid: str
    attempts: int


@dataclass(frozen=True)
class LogoutNoticeFailed(Event):
    """A client was not told that a session has ended, and will not be: `reason` says what was in the way."""

    name: ClassVar[str] = "provider.logout_notice_failed"
    realm: str
    client_id: str
    sid: str
    attempts: int
    reason: str


@dataclass(frozen=True)
class LogoutNotReturned(Event):
    """A sign-out request named an address that is not followed; `detail` says why."""

    name: ClassVar[str] = "provider.logout_not_returned"
    realm: str
    client_id: str | None
    detail: str


@dataclass(frozen=True)
class DeviceStarted(Event):
    """A device asked for a code; nobody has signed in yet. `scope` is what it asked for."""

    name: ClassVar[str] = "provider.device_started"
    realm: str
    client_id: str
    scope: tuple[str, ...]


@dataclass(frozen=True)
class DeviceApproved(Event):
    """A person typed a device's code, signed in and agreed; `scope` is what was granted."""

    name: ClassVar[str] = "provider.device_approved"
    realm: str
    client_id: str
    user_id: str
    sid: str
    grant_id: str
    scope: tuple[str, ...]


@dataclass(frozen=True)
class DeviceDenied(Event):
    """A device gets nothing: the person said no (`user_id` is None before they signed in), or may not use it.

    `detail` is for the operator.
    """

    name: ClassVar[str] = "provider.device_denied"
    realm: str
    client_id: str
    user_id: str | None
    detail: str


@dataclass(frozen=True)
class DeviceCodeUnknown(Event):
    """Somebody typed a code under which no device waits: mistyped, over, or a guess."""

    name: ClassVar[str] = "provider.device_code_unknown"
    realm: str
    network: str


@dataclass(frozen=True)
class DeviceCodeSlowed(Event):
    """A typed code was not even looked up: too many wrong ones from that network lately."""

    name: ClassVar[str] = "provider.device_code_slowed"
    realm: str
    network: str
    wait_seconds: int


@dataclass(frozen=True)
class TokensIssued(Event):
    """Tokens were given; `grant_type` is `implicit` or `hybrid` if the authorization endpoint gave them.

    `grant_id` is None where a client got a JWT for itself that no row is about.
    """

    name: ClassVar[str] = "provider.tokens_issued"
    realm: str
    client_id: str
    user_id: str | None
    grant_id: str | None
    grant_type: str
    scope: tuple[str, ...]


@dataclass(frozen=True)
class TokenRevoked(Event):
    """A client gave a token back: an access token, or with `kind` `refresh_token` the whole grant.

    `grant_id` is None for a JWT that a client had got for itself.
    """

    name: ClassVar[str] = "provider.token_revoked"
    realm: str
    client_id: str
    user_id: str | None
    grant_id: str | None
    kind: str


@dataclass(frozen=True)
class CodeReused(Event):
    """A code or device code came a second time; the grant and all its tokens were stopped."""

    name: ClassVar[str] = "provider.code_reused"
    realm: str
    client_id: str
    user_id: str | None
    grant_id: str


@dataclass(frozen=True)
class RefreshTokenReused(Event):
    """A refresh token that was replaced came again outside the grace; the whole family was stopped."""

    name: ClassVar[str] = "provider.refresh_token_reused"
    realm: str
    client_id: str
    user_id: str | None
    grant_id: str


@dataclass(frozen=True)
class ClientRefused(Event):
    """A client did not prove itself at the token endpoint. `reason` is for the operator."""

    name: ClassVar[str] = "provider.client_refused"
    realm: str
    client_id: str
    method: str
    reason: str


@dataclass(frozen=True)
class KeyCreated(Event):
    """A key to sign with, or to be encrypted to, was made, or taken from the configuration."""

    name: ClassVar[str] = "provider.key_created"
    realm: str
    kid: str
    alg: str
    state: str


@dataclass(frozen=True)
class KeyPromoted(Event):
    """A published key began to sign; `retired` is the one it replaced."""

    name: ClassVar[str] = "provider.key_promoted"
    realm: str
    kid: str
    alg: str
    retired: str


@dataclass(frozen=True)
class KeyRetired(Event):
    """A key is not used any more, and no other took its place: its algorithm is no longer offered."""

    name: ClassVar[str] = "provider.key_retired"
    realm: str
    kid: str


@dataclass(frozen=True)
class CertificateEnding(Event):
    """The certificate of a key ends within 30 days and nothing takes its place; told once a day."""

    name: ClassVar[str] = "provider.certificate_ending"
    realm: str
    kid: str
    alg: str
    ends_at: int


@dataclass(frozen=True)
class ClientChanged(Event):
    """A client was `added`, `changed`, `disabled`, `enabled` or `removed`, or got a new secret
    (`secret_renewed`).
    """

    name: ClassVar[str] = "provider.client_changed"
    realm: str
    client_id: str
    change: str


@dataclass(frozen=True)
class InitialTokenChanged(Event):
    """A token with which applications register themselves was `made` or `revoked`; `token_id` is its name."""

    name: ClassVar[str] = "provider.initial_token_changed"
    realm: str
    token_id: str
    change: str


@dataclass(frozen=True)
class ClientRegistered(Event):
    """An application registered itself; `token_id` names the token that let it, None where anybody may."""

    name: ClassVar[str] = "provider.client_registered"
    realm: str
    client_id: str
    token_id: str | None
    network: str


@dataclass(frozen=True)
class RegistrationChanged(Event):
    """An application that registered itself `changed` its registration, or `deleted` it.

    `expired`: nobody used it for `registration.unused_days`, and it was removed.
    """

    name: ClassVar[str] = "provider.registration_changed"
    realm: str
    client_id: str
    token_id: str | None
    change: str


@dataclass(frozen=True)
class RegistrationRefused(Event):
    """Somebody was not registered, or could not change a registration. `client_id` is the one asked for."""

    name: ClassVar[str] = "provider.registration_refused"
    realm: str
    client_id: str | None
    error: str
    detail: str
    network: str


@dataclass(frozen=True)
class UserChanged(Event):
    """A person was added, disabled, enabled, or got another password."""

    name: ClassVar[str] = "provider.user_changed"
    realm: str
    user_id: str
    change: str


@dataclass(frozen=True)
class PasswordChanged(Event):
    """A person changed their own password, and as many `sessions` elsewhere ended with it."""

    name: ClassVar[str] = "provider.password_changed"
    realm: str
    user_id: str
    sid: str
    sessions: int
    network: str


@dataclass(frozen=True)
class ProfileChanged(Event):
    """A person changed what is known of them: the names of the properties, never the values."""

    name: ClassVar[str] = "provider.profile_changed"
    realm: str
    user_id: str
    properties: tuple[str, ...]


@dataclass(frozen=True)
class SignedOutEverywhere(Event):
    """A person ended all their `sessions`, and with them every token that was given in their name."""

    name: ClassVar[str] = "provider.signed_out_everywhere"
    realm: str
    user_id: str
    sessions: int


@dataclass(frozen=True)
class Incident(Event):
    """A request ended in an error that its page or answer names by this id only."""

    name: ClassVar[str] = "provider.incident"
    realm: str
    incident: str
    path: str
    error: str
    detail: str
