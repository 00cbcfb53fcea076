"""The device flow's rules: what a device may ask for, which typed code is good, and when it gets its tokens.

A device asks (`start`), a person types its code in a browser (`typed`), signs in as for any application and
says yes or no (`provider.services.authorization`, `settle`), and the device, which keeps asking, gets its
tokens once (`redeem`). Each function runs inside a transaction that its caller opened; as in `tokens`, a
refusal that must leave a trace is returned. Rows are `provider.store.device_codes`.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from oidcgate.audit import Event
from oidcgate.protocol.device import (
    DeviceAuthorization,
    DeviceAuthorizationRequest,
    normalise_user_code,
    user_code_from,
)
from oidcgate.protocol.errors import (
    AccessDenied,
    AuthorizationPending,
    ExpiredToken,
    InvalidGrant,
    InvalidTarget,
    SlowDown,
    TemporarilyUnavailable,
)
from oidcgate.protocol.token import DEVICE_CODE
from provider.events import CodeReused
from provider.pages import ErrorKind
from provider.realm import Realm
from provider.services.issuing import Issuing
from provider.services.opaque import new_token, token_hash
from provider.services.responses import PageError
from provider.services.scopes import reach_of, still_open
from provider.services.token_checks import TokenChecks
from provider.services.tokens import Issued, Refusal, first_tokens
from provider.store import device_codes
from provider.store.clients import Client
from provider.store.device_codes import DeviceCode
from provider.store.grants import GrantRow, find_grant, revoke_grant

#: The switch among a client's `flows`.
FLOW: Final = "device_code"
#: Where people type the code.
PATH: Final = "/device"
#: What a device that asks too often has to wait longer from then on. Spec: RFC 8628 3.5.
SLOWER_BY_SECONDS: Final = 5
#: Half of all codes in use would need as many to fail with one chance in a million.
_TRIES: Final = 20
_RANDOM_BYTES: Final = 32


@dataclass(frozen=True)
class Devices:
    """The rules, over whoever says what is good and makes what is given.

    Attributes:
        random_bytes: So many random bytes.
    """

    checks: TokenChecks
    issuing: Issuing
    random_bytes: Callable[[int], bytes] = secrets.token_bytes

    def start(
        self, conn: Connection, realm: Realm, client: Client, request: DeviceAuthorizationRequest, now: int
    ) -> DeviceAuthorization:
        """Write down what a device asks for; returns what it is told. Only the hash of its code is stored.

        Raises:
            InvalidScope, InvalidTarget: the client may not have it.
            SlowDown: too many devices of this client wait already. A public client proves nothing, so anybody
                could add rows in its name.
            TemporarilyUnavailable: no user code was found that is not in use.

        Spec: RFC 8628 3.1, 3.2, 6.1.
        """
        reach = reach_of(realm.catalogue, client, request.scope, request.api, refreshable=True)
        device_codes.lock_starts(conn, realm.id)
        limit = realm.settings.throttle.devices_per_client
        if device_codes.count_waiting(conn, realm.id, client.client_id, now) >= limit:
            raise SlowDown("Too many devices of this client wait for an answer; try again in some minutes.")
        lifetimes = realm.settings.lifetimes
        device_code = new_token()
        row = DeviceCode(
            device_hash=token_hash(device_code),
            user_code=self._unused_user_code(conn, realm),
            client_id=client.client_id,
            scope=reach.scopes,
            api=reach.audience,
            interval_seconds=lifetimes.device_interval_seconds,
            created_at=now,
            expires_at=now + lifetimes.device_code_seconds,
        )
        device_codes.add(conn, realm.id, row)
        return DeviceAuthorization(
            device_code=device_code,
            user_code=row.user_code,
            verification_uri=realm.url(PATH),
            expires_in=row.expires_at - now,
            interval_seconds=row.interval_seconds,
        )

    def typed(self, conn: Connection, realm: Realm, text: str, now: int) -> DeviceCode | None:
        """What waits under a code that a person typed; None when nothing does, for whichever reason."""
        user_code = normalise_user_code(text)
        row = None if user_code is None else device_codes.find_typed(conn, realm.id, user_code)
        waits = row is not None and row.decided_at is None and now < row.expires_at
        return row if waits else None

    def redeem(
        self, conn: Connection, realm: Realm, client: Client, *, device_code: str, api: str | None, now: int
    ) -> Issued | Refusal:
        """Answer a device that asks for its tokens; it gets them once.

        A second use stops the grant and everything it gave, as a second use of a code does.

        Args:
            api: The audience that the token request names, which has to be the one of the grant.

        Spec: RFC 8628 3.4, 3.5; RFC 8707 2.2.
        """
        # Locked, so that of two questions at once each is judged by what the other one left.
        row = device_codes.find(conn, realm.id, token_hash(device_code), for_update=True)
        if row is None:
            return _refuse("unknown device code")
        if row.client_id != client.client_id:
            # Nothing is stopped or slowed: one client must not be able to disturb the devices of another.
            return _refuse(f"device code of client {row.client_id}")
        if row.decided_at is None:
            return self._still_waiting(conn, realm, row, now)
        if row.grant_id is None:
            return Refusal(AccessDenied("The person refused, or may not use this application."))
        grant = find_grant(conn, realm.id, row.grant_id, for_update=True)
        if grant is None:
            return _refuse("device code without a grant")
        if row.consumed_at is not None:
            return _reused(conn, realm, grant, now)
        if now >= row.expires_at:
            return _expired()
        if api is not None and api != grant.api:
            return Refusal(InvalidTarget("The device code was given for another API."))
        subject = self.checks.subject_of(conn, realm, grant)
        if isinstance(subject, str):
            return _refuse(subject)
        current, user = subject
        if user is None:
            return _refuse("device code without a person")
        scope = still_open(realm.catalogue, current, grant.scope)
        if not scope:
            return _refuse("nothing is left of the scope of the device code")
        if not device_codes.consume(conn, realm.id, row.device_hash, now):
            return _reused(conn, realm, grant, now)
        return first_tokens(conn, realm, self.issuing, current, user, grant, scope, DEVICE_CODE, now)

    def _still_waiting(self, conn: Connection, realm: Realm, row: DeviceCode, now: int) -> Refusal:
        """Nobody has answered yet."""
        if now >= row.expires_at:
            return _expired()
        interval = row.interval_seconds
        early = row.polled_at is not None and now < row.polled_at + interval
        if early:
            interval += SLOWER_BY_SECONDS
        device_codes.note_poll(conn, realm.id, row.device_hash, interval, now)
        if early:
            return Refusal(SlowDown(f"Ask every {interval} seconds."))
        return Refusal(AuthorizationPending("The person has not answered yet."))

    def _unused_user_code(self, conn: Connection, realm: Realm) -> str:
        for _ in range(_TRIES):
            user_code = user_code_from(self.random_bytes(_RANDOM_BYTES))
            # Nobody adds one between this look and the insert: see `lock_starts`.
            if device_codes.find_typed(conn, realm.id, user_code) is None:
                return user_code
        raise TemporarilyUnavailable(detail="no unused user code was found")


def settle(conn: Connection, realm: Realm, device: DeviceCode, grant: GrantRow | None, now: int) -> None:
    """Give a device the person's answer: what they granted, or no.

    Raises:
        PageError: another person was first, or it took too long.
    """
    grant_id = None if grant is None else grant.grant_id
    if not device_codes.decide(conn, realm.id, device.device_hash, grant_id, now):
        raise PageError(ErrorKind.DEVICE_CODE, detail="the device was answered before, or its code has ended")


def _reused(conn: Connection, realm: Realm, grant: GrantRow, now: int) -> Refusal:
    revoke_grant(conn, realm.id, grant.grant_id, now, "device_code_reused")
    event = CodeReused(realm.id, grant.client_id, grant.user_id, grant.grant_id)
    return _refuse("device code used twice", event)


def _expired() -> Refusal:
    return Refusal(ExpiredToken("The device code has ended: ask for another one."))


def _refuse(detail: str, event: Event | None = None) -> Refusal:
    # One text for every reason: which of them it was would tell a guesser that a code exists.
    return Refusal(InvalidGrant("the device code is not valid", detail=detail), event)
